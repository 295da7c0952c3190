//! The behaviours that BAML and json_repair document, case by case. Run with `--nocapture` for the counts and every failure.

use serde_json::Value;

use crate::cases::{self, Outcome};

/// How many cases pass, of how many.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    pub(crate) passed: usize,
    pub(crate) of: usize,
}

impl Share {
    fn add(&mut self, right: bool) {
        self.of += 1;
        self.passed += usize::from(right);
    }

    pub(crate) fn reaches(self, percent: usize) -> bool {
        self.passed * 100 >= self.of * percent
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.passed, self.of)
    }
}

/// What a page documents, and the variations of it that we wrote ourselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behaviours {
    pub(crate) documented: Share,
    pub(crate) own: Share,
}

/// Runs a case file and counts the cases that pass, printing the failures.
pub(crate) fn count(name: &str, text: &str) -> Behaviours {
    let mut counted = Behaviours::default();
    for case in &cases::lines(text) {
        let outcome = cases::run(
            &cases::input(case),
            case.get("schema"),
            cases::policy(case),
            case.get("partial").and_then(Value::as_bool) == Some(true),
        );
        let right = right(case, &outcome);
        let share = if case["page"] == "own" { &mut counted.own } else { &mut counted.documented };
        share.add(right);
        if !right {
            println!(
                "FAIL {} {}\n     input  {:?}\n     wanted {}\n     got    {outcome}",
                case["id"].as_str().unwrap_or_default(),
                case["what"].as_str().unwrap_or_default(),
                cases::input(case),
                wanted(case),
            );
        }
    }
    println!("{name}: documented {}, our own variations {}", counted.documented, counted.own);
    counted
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
    let counted = count("baml", cases::BAML);
    assert!(counted.documented.of >= 80, "at least 80 documented cases");
    assert!(counted.documented.reaches(95) && counted.own.reaches(95), "{counted:?} is under 95 %");
}

#[test]
fn json_repairs_documented_repairs_hold() {
    let counted = count("json_repair", cases::JSON_REPAIR);
    assert!(counted.documented.of >= 100, "at least 100 documented cases");
    assert!(counted.documented.reaches(90) && counted.own.reaches(90), "{counted:?} is under 90 %");
}
