//! The behaviours that BAML and json_repair document, case by case. Run with `--nocapture` for the counts and every failure.

use serde_json::Value;

use crate::cases::{self, Outcome};

/// Runs a case file and returns how many cases pass, printing the failures.
pub(crate) fn count(name: &str, text: &str) -> (usize, usize) {
    let all = cases::lines(text);
    let mut passed = 0;
    for case in &all {
        let outcome = cases::run(
            &cases::input(case),
            case.get("schema"),
            cases::policy(case),
            case.get("partial").and_then(Value::as_bool) == Some(true),
        );
        if right(case, &outcome) {
            passed += 1;
        } else {
            println!(
                "FAIL {} {}\n     input  {:?}\n     wanted {}\n     got    {outcome}",
                case["id"].as_str().unwrap_or_default(),
                case["what"].as_str().unwrap_or_default(),
                cases::input(case),
                wanted(case),
            );
        }
    }
    println!("{name}: {passed}/{}", all.len());
    (passed, all.len())
}

fn wanted(case: &Value) -> String {
    ["expect", "accept", "error"]
        .iter()
        .filter_map(|key| case.get(*key).map(|value| format!("{key} {value}")))
        .collect::<Vec<_>>()
        .join(" or ")
}

fn right(case: &Value, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Refused { .. } => case.get("error").is_some(),
        Outcome::Read { value, .. } => {
            case.get("expect").is_some_and(|want| cases::same(want, value))
                || case
                    .get("accept")
                    .and_then(Value::as_array)
                    .is_some_and(|all| all.iter().any(|want| cases::same(want, value)))
        }
    }
}

#[test]
fn bamls_documented_behaviours_hold() {
    let (passed, of) = count("baml", cases::BAML);
    assert!(of >= 80, "at least 80 cases");
    assert!(passed * 100 >= of * 95, "{passed} of {of} is under 95 %");
}

#[test]
fn json_repairs_documented_repairs_hold() {
    let (passed, of) = count("json_repair", cases::JSON_REPAIR);
    assert!(of >= 100, "at least 100 cases");
    assert!(passed * 100 >= of * 90, "{passed} of {of} is under 90 %");
}
