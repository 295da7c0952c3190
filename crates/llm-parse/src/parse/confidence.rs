//! How sure a reading is.

use super::Rejected;
use crate::report::{Repair, Rule, Severity};

/// The severities by their numbers.
const SEVERITIES: [Severity; 4] =
    [Severity::Cosmetic, Severity::Repaired, Severity::Lossy, Severity::Ambiguous];

/// Multiplies a weight per rule; a rule that was applied `n` times counts `1 + ln n` times.
pub(super) fn of(repairs: &[Repair], rejected: &[Rejected]) -> f32 {
    let mut counts = [[0_u32; SEVERITIES.len()]; Rule::ALL.len()];
    for repair in repairs {
        if let Some(count) = counts
            .get_mut(repair.rule as usize)
            .and_then(|severities| severities.get_mut(repair.severity as usize))
        {
            *count = count.saturating_add(1);
        }
    }
    let mut sure = 1.0_f64;
    for (rule, severities) in Rule::ALL.iter().zip(counts) {
        for (severity, count) in SEVERITIES.into_iter().zip(severities).filter(|(_, count)| *count > 0) {
            sure *= weight(*rule, severity).powf(1.0 + f64::from(count).ln());
        }
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
