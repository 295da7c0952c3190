//! What must not compile, does not; and says why.

#[test]
fn what_cannot_work_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/compile_fail/pass/*.rs");
    cases.compile_fail("tests/compile_fail/cases/*.rs");
}
