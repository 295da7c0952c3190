//! What must not compile, does not; and says why.

#[test]
fn what_cannot_work_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/pass/*.rs");
    cases.compile_fail("tests/cases/*.rs");
}
