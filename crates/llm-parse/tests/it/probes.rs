//! Never silently wrong: probes of the ways in which parsers return a wrong value without saying so, each with a benign twin.

use pumasi_llm_parse::{Policy, Severity};
use serde_json::Value;

use crate::cases::{self, Outcome};

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    Refused,
    Reported,
    SilentlyWrong,
}

fn severity(name: &str) -> Severity {
    match name {
        "repaired" => Severity::Repaired,
        "lossy" => Severity::Lossy,
        "ambiguous" => Severity::Ambiguous,
        other => panic!("unknown severity {other}"),
    }
}

fn among(list: Option<&Value>, value: &Value) -> bool {
    list.and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| cases::same(one, value)))
}

fn judge(probe: &Value, outcome: &Outcome) -> Verdict {
    let Outcome::Read { value, worst, .. } = outcome else {
        return Verdict::Refused;
    };
    if among(probe.get("never"), value) {
        return Verdict::SilentlyWrong;
    }
    if among(probe.get("right"), value) {
        return Verdict::Right;
    }
    let loud_enough = probe
        .get("report")
        .and_then(Value::as_str)
        .is_some_and(|needed| worst.is_some_and(|worst| worst >= severity(needed)));
    if loud_enough { Verdict::Reported } else { Verdict::SilentlyWrong }
}

/// The verdicts over all probes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) probes: usize,
    pub(crate) right: usize,
    pub(crate) reported: usize,
    pub(crate) refused: usize,
    pub(crate) silently_wrong: usize,
    pub(crate) twins_right: usize,
}

/// Runs every probe and its twin, printing what is silently wrong and which twin is not read right.
pub(crate) fn tally() -> Tally {
    let mut tally = Tally::default();
    for probe in cases::lines(cases::PROBES) {
        tally.probes += 1;
        let id = probe["id"].as_str().unwrap_or_default();
        let outcome = cases::run(&cases::input(&probe), probe.get("schema"), Policy::Lenient, false);
        match judge(&probe, &outcome) {
            Verdict::Right => tally.right += 1,
            Verdict::Refused => tally.refused += 1,
            Verdict::Reported => tally.reported += 1,
            Verdict::SilentlyWrong => {
                tally.silently_wrong += 1;
                println!(
                    "WRONG {id} {}: {}\n     input {:?}\n     right {} report {:?}\n     got   {outcome}",
                    probe["kind"].as_str().unwrap_or_default(),
                    probe["what"].as_str().unwrap_or_default(),
                    cases::input(&probe),
                    probe["right"],
                    probe.get("report").and_then(Value::as_str),
                );
            }
        }
        let twin = &probe["twin"];
        let outcome = cases::run(&cases::input(twin), twin.get("schema"), Policy::Lenient, false);
        if matches!(&outcome, Outcome::Read { value, .. } if among(twin.get("accept"), value)) {
            tally.twins_right += 1;
        } else {
            println!(
                "TWIN  {id}\n     input {:?}\n     right {}\n     got   {outcome}",
                cases::input(twin),
                twin["accept"],
            );
        }
    }
    println!(
        "silently wrong: {} of {} (right {}, reported {}, refused {})",
        tally.silently_wrong, tally.probes, tally.right, tally.reported, tally.refused
    );
    println!("twins right: {} of {}", tally.twins_right, tally.probes);
    tally
}

#[test]
fn no_probe_is_silently_wrong_and_the_twins_are_right() {
    let tally = tally();
    assert!(tally.probes >= 100, "at least 100 probes");
    assert_eq!(tally.silently_wrong, 0, "silently wrong");
    assert!(
        tally.twins_right * 100 >= tally.probes * 95,
        "{} of {} twins is under 95 %",
        tally.twins_right,
        tally.probes
    );
}

#[test]
fn the_judge_calls_a_wrong_value_without_a_report_wrong() {
    let probe = serde_json::json!({"right": [1], "report": "ambiguous", "never": [3]});
    let read = |value: i32, worst| Outcome::Read { value: value.into(), worst, rules: Vec::new() };
    assert_eq!(judge(&probe, &read(1, None)), Verdict::Right);
    assert_eq!(judge(&probe, &read(2, None)), Verdict::SilentlyWrong);
    assert_eq!(judge(&probe, &read(2, Some(Severity::Repaired))), Verdict::SilentlyWrong);
    assert_eq!(judge(&probe, &read(2, Some(Severity::Ambiguous))), Verdict::Reported);
    assert_eq!(judge(&probe, &read(3, Some(Severity::Ambiguous))), Verdict::SilentlyWrong);
}
