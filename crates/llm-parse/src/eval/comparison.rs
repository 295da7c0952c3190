//! Two versions side by side, case by case.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::report::percent;
use super::{EvalReport, Regression};

/// How a case went before and after.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pair {
    /// The case.
    pub id: String,
    /// Its F1 with the baseline.
    pub baseline: f64,
    /// Its F1 with the candidate.
    pub candidate: f64,
}

/// Two evaluations of the same cases, side by side.
///
/// ```
/// use pumasi_llm_parse::eval::{Comparison, EvalReport};
///
/// # fn compare(baseline: &EvalReport, candidate: &EvalReport) -> Result<(), Box<dyn std::error::Error>> {
/// let comparison = Comparison::of(baseline, candidate);
/// print!("{}", comparison.to_terminal());
/// comparison.check(0.01)?; // fails if a figure fell by more than one point
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    versions: [String; 2],
    pairs: Vec<Pair>,
    unpaired: Vec<String>,
    gone: Vec<String>,
    figures: Vec<(String, Option<f64>, Option<f64>)>,
    latency: [Duration; 2],
    cost: [Option<String>; 2],
}

/// Differences of F1 below this are a tie.
const TIE: f64 = 1e-9;

impl Comparison {
    /// Puts `candidate` beside `baseline`. Figures are taken over the cases that both have.
    pub fn of(baseline: &EvalReport, candidate: &EvalReport) -> Self {
        let before: HashMap<&str, f64> =
            baseline.cases.iter().map(|case| (case.id.as_str(), case.f1())).collect();
        let pairs: Vec<Pair> = candidate
            .cases
            .iter()
            .filter_map(|case| {
                let baseline = *before.get(case.id.as_str())?;
                Some(Pair { id: case.id.clone(), baseline, candidate: case.f1() })
            })
            .collect();
        let shared: HashSet<&str> = pairs.iter().map(|pair| pair.id.as_str()).collect();
        let only = |report: &EvalReport| EvalReport {
            version: report.version.clone(),
            cases: report.cases.iter().filter(|case| shared.contains(case.id.as_str())).cloned().collect(),
        };
        let (one, other) = (only(baseline), only(candidate));
        let all = baseline.cases.iter().chain(&candidate.cases);
        let mut unpaired: Vec<String> =
            all.filter(|case| !shared.contains(case.id.as_str())).map(|case| case.id.clone()).collect();
        unpaired.sort_unstable();
        let lost = baseline.cases.iter().filter(|case| !shared.contains(case.id.as_str()));
        let gone = lost.map(|case| case.id.clone()).collect();
        let after: HashMap<String, Option<f64>> = other.figures().into_iter().collect();
        let figures = one.figures().into_iter().map(|(name, before)| {
            let after = after.get(&name).copied().flatten();
            (name, before, after)
        });
        Self {
            figures: figures.collect(),
            versions: [baseline.version.clone(), candidate.version.clone()],
            latency: [one.latency(0.5), other.latency(0.5)],
            cost: [one.told_cost(), other.told_cost()],
            pairs,
            unpaired,
            gone,
        }
    }

    /// Returns the cases that both have.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// Returns the cases that only one of the two has; no figure counts them.
    pub fn unpaired(&self) -> &[String] {
        &self.unpaired
    }

    /// Returns the cases that only the baseline has, in its order: a candidate that was not measured on them may hide a
    /// fall, so that [`check`](Self::check) fails on them.
    pub fn gone(&self) -> &[String] {
        &self.gone
    }

    /// Counts the cases that the candidate does better.
    pub fn wins(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.candidate > pair.baseline + TIE).count()
    }

    /// Counts the cases that the candidate does worse.
    pub fn losses(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.candidate + TIE < pair.baseline).count()
    }

    /// Returns how likely a split of wins and losses at least this uneven is if neither version is better: the two-sided
    /// sign test, exact. Ties do not count.
    pub fn p_value(&self) -> f64 {
        sign_test(self.wins(), self.losses())
    }

    /// Fails if a figure of the candidate is lower than the baseline's by more than `tolerance` (0.01 is a point), or is
    /// not there any more.
    ///
    /// # Errors
    ///
    /// The figures that fell; a case that only the baseline has is a fall as well, since it would hide one.
    pub fn check(&self, tolerance: f64) -> Result<(), Regression> {
        let mut figures: Vec<(String, f64, f64)> = self
            .figures
            .iter()
            .filter_map(|(name, before, after)| {
                let (before, after) = ((*before)?, after.unwrap_or(0.0));
                (after + tolerance + TIE < before).then(|| (name.clone(), before, after))
            })
            .collect();
        if self.pairs.is_empty() && !self.unpaired.is_empty() {
            figures.push(("shared cases".to_owned(), 1.0, 0.0));
        }
        if figures.is_empty() && self.gone.is_empty() {
            return Ok(());
        }
        Err(Regression { figures, gone: self.gone.clone() })
    }

    /// Writes the comparison as Markdown.
    pub fn to_markdown(&self) -> String {
        self.page().markdown()
    }

    /// Writes the comparison for a terminal.
    pub fn to_terminal(&self) -> String {
        self.page().terminal()
    }

    fn page(&self) -> super::table::Page {
        let [before, after] = &self.versions;
        let mut page = super::table::Page::new(format!("{before} → {after}: {} cases", self.pairs.len()));
        let rows = self.figures.iter().map(|(name, before, after)| {
            let change = before.zip(*after).map_or_else(
                || "–".to_owned(),
                |(before, after)| format!("{:+.1}", (after - before) * 100.0),
            );
            vec![name.clone(), percent(*before), percent(*after), change]
        });
        let mut rows: Vec<Vec<String>> = rows.collect();
        let [slow, quick] = self.latency;
        rows.push(vec![
            "latency p50".to_owned(),
            format!("{slow:.1?}"),
            format!("{quick:.1?}"),
            String::new(),
        ]);
        if let [Some(before), Some(after)] = &self.cost {
            rows.push(vec!["cost".to_owned(), before.clone(), after.clone(), String::new()]);
        }
        page.rows(&["figure", "baseline", "candidate", "change"], rows);
        let ties = self.pairs.len() - self.wins() - self.losses();
        page.rows(
            &["wins", "losses", "ties", "p (sign test)"],
            [vec![
                self.wins().to_string(),
                self.losses().to_string(),
                ties.to_string(),
                format!("{:.3}", self.p_value()),
            ]],
        );
        if !self.gone.is_empty() {
            page.rows(&["only in the baseline"], [vec![super::run::named(&self.gone)]]);
        }
        let mut worst: Vec<&Pair> =
            self.pairs.iter().filter(|pair| pair.candidate + TIE < pair.baseline).collect();
        worst.sort_by(|a, b| (a.candidate - a.baseline).total_cmp(&(b.candidate - b.baseline)));
        if !worst.is_empty() {
            let rows = worst.iter().take(10).map(|pair| {
                vec![pair.id.clone(), percent(Some(pair.baseline)), percent(Some(pair.candidate))]
            });
            page.rows(&["worse", "baseline", "candidate"], rows);
        }
        page
    }
}

/// The two-sided exact binomial test for one half.
#[expect(clippy::cast_precision_loss, reason = "counts of cases are small")]
fn sign_test(wins: usize, losses: usize) -> f64 {
    let (all, fewer) = (wins + losses, wins.min(losses));
    // in logarithms, since 2^-1100 is no number
    let mut term = -(all as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for k in 0..=fewer {
        sum += term.exp();
        term += ((all - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{CaseResult, Counts, Score};

    fn report(version: &str, rights: &[u64]) -> EvalReport {
        let cases = rights.iter().enumerate().map(|(at, &right)| {
            let counts = Counts { right, wrong: 0, missed: 10 - right };
            CaseResult {
                id: at.to_string(),
                error: None,
                score: Score { items: counts, fields: [("title".to_owned(), counts)].into() },
                grounded: 1,
                ungrounded: 0,
                rejected: 0,
                calls: 1,
                usage: pumasi_core::model::Usage::new(10, 1),
                cost: None,
                elapsed: Duration::from_millis(5),
            }
        });
        EvalReport { version: version.to_owned(), cases: cases.collect() }
    }

    #[test]
    fn a_fall_beyond_the_tolerance_is_a_regression() {
        let (before, after) = (report("v1", &[8, 8, 8, 8]), report("v2", &[8, 9, 8, 4]));
        let comparison = Comparison::of(&before, &after);
        assert_eq!((comparison.wins(), comparison.losses()), (1, 1));
        let regression = comparison.check(0.01).unwrap_err();
        assert!(regression.to_string().contains("title F1 fell from 88.9 %"), "{regression}");
        assert!(comparison.check(0.2).is_ok());
        assert!(Comparison::of(&before, &before).check(0.0).is_ok());
        assert!(comparison.to_terminal().contains("v1 → v2"));
    }

    #[test]
    fn cases_of_one_side_only_are_named_and_do_not_hide_a_fall() {
        let before = report("v1", &[8, 8]);
        let mut after = report("v2", &[8, 2]);
        after.cases[1].id = "new".to_owned();
        let comparison = Comparison::of(&before, &after);
        assert_eq!(comparison.unpaired(), ["1", "new"]);
        assert_eq!(comparison.pairs().len(), 1);
        after.cases.remove(0);
        assert!(Comparison::of(&before, &after).check(0.5).is_err());
    }

    #[test]
    fn a_case_that_is_gone_is_a_regression_and_named() {
        let before = report("v1", &[8, 8, 8]);
        let mut after = report("v2", &[8, 8, 8]);
        after.cases.remove(1);
        let comparison = Comparison::of(&before, &after);
        assert_eq!(comparison.gone(), ["1"]);
        let regression = comparison.check(0.5).unwrap_err();
        assert_eq!((regression.gone(), regression.figures().count()), (&["1".to_owned()][..], 0));
        assert!(regression.to_string().contains("1 case is gone: 1"), "{regression}");
        assert!(comparison.to_markdown().contains("only in the baseline"));
        // A new case is none.
        assert!(Comparison::of(&after, &before).check(0.5).is_ok());
    }

    #[test]
    fn the_sign_test_agrees_with_its_table() {
        // two-sided binomial probabilities for one half
        for (wins, losses, p) in
            [(0, 0, 1.0), (5, 5, 1.0), (6, 0, 0.031_25), (9, 1, 0.021_484), (15, 5, 0.041_389)]
        {
            assert!(
                (sign_test(wins, losses) - p).abs() < 1e-5,
                "{wins} {losses}: {}",
                sign_test(wins, losses)
            );
        }
        assert!(sign_test(5_000, 5_100) > 0.3);
    }
}
