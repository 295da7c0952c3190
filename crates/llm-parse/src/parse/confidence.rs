//! How sure a reading is.

use std::collections::HashMap;

use super::Rejected;
use crate::report::{Repair, Rule, Severity};

/// Multiplies a weight per rule; a rule that was applied `n` times counts `1 + ln n` times.
pub(super) fn of(repairs: &[Repair], rejected: &[Rejected]) -> f32 {
    let mut counts: HashMap<(Rule, Severity), u32> = HashMap::new();
    for repair in repairs {
        *counts.entry((repair.rule, repair.severity)).or_default() += 1;
    }
    let mut sure = 1.0_f64;
    for ((rule, severity), count) in counts {
        sure *= weight(rule, severity).powf(1.0 + f64::from(count).ln());
    }
    if !rejected.is_empty() {
        sure *= 0.9;
    }
    #[expect(clippy::cast_possible_truncation, reason = "between 0.01 and 1")]
    {
        sure.clamp(0.01, 1.0) as f32
    }
}

fn weight(rule: Rule, severity: Severity) -> f64 {
    match (rule, severity) {
        (Rule::ExtraKey, _) => 0.99,
        (Rule::LabelFuzzy | Rule::KeyFuzzy, Severity::Repaired) => 0.9,
        (Rule::LabelInText | Rule::BoolInText | Rule::DefaultFilled, Severity::Repaired) => 0.95,
        (_, Severity::Cosmetic) => 1.0,
        (_, Severity::Repaired) => 0.98,
        (_, Severity::Lossy) => 0.85,
        (_, Severity::Ambiguous) => 0.5,
    }
}
