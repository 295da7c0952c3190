//! Values that follow one another directly: what is said of them before the first or below the last is said of all.

use super::document::{Candidate, Cue, Origin};
use super::finish::explicit;
use super::machine::Machine;

impl Machine {
    /// Gives the values of each run the cue that stands before or below it.
    pub(super) fn runs(&mut self, source: &str) {
        if self.candidates.iter().all(|candidate| !explicit(candidate) || candidate.cue == Cue::None) {
            return;
        }
        let mut order: Vec<usize> = (0..self.candidates.len())
            .filter(|at| self.candidates.get(*at).is_some_and(|c| explicit(c) && !c.thinking))
            .collect();
        order.sort_by_key(|at| {
            self.candidates.get(*at).map_or((0, 0), |c| (c.span.start, usize::MAX - c.span.end))
        });
        // Where each row that was read as one list begins, in order.
        let mut rows: Vec<(usize, usize)> = self
            .candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| candidate.origin == Origin::Sequence)
            .map(|(at, candidate)| (candidate.span.start, at))
            .collect();
        rows.sort_unstable();
        let mut from = 0;
        for to in 1..=order.len() {
            let pair = order.get(to - 1).zip(order.get(to));
            let pair = pair.and_then(|(a, b)| self.candidates.get(*a).zip(self.candidates.get(*b)));
            if pair.is_some_and(|(a, b)| follows(source, a, b)) {
                continue;
            }
            if let Some(run) = order.get(from..to).filter(|run| run.len() > 1) {
                self.run_cue(source, run, &rows);
            }
            from = to;
        }
    }

    fn run_cue(&mut self, source: &str, run: &[usize], rows: &[(usize, usize)]) {
        let at = |at: Option<&usize>| at.and_then(|at| self.candidates.get(*at)).copied();
        let (Some(first), Some(second), Some(last)) = (at(run.first()), at(run.get(1)), at(run.last()))
        else {
            return;
        };
        let lines = |from: usize, to: usize| source.get(from..to).is_some_and(|gap| gap.contains('\n'));
        // `Example: {…}` on a line of its own is said of the value on that line.
        let one_line = first.before.1 > 0 && !lines(first.before.1 as usize, first.span.start);
        let own = one_line && lines(first.span.end, second.span.start);
        let lead = match first.cue {
            Cue::Example | Cue::Rejected if own => Cue::None,
            Cue::Schema => Cue::None,
            cue if first.before.1 > 0 => cue,
            _ => Cue::None,
        };
        let (start, end) = (last.after.0 as usize, last.after.1 as usize);
        let below = end > 0 && lines(last.span.end, start);
        let words = source.get(start..source.floor_char_boundary(end.min(start + 160))).unwrap_or("");
        let trail = if below && !names_the_last(words) { last.cue } else { Cue::None };
        let cue = match (lead, trail) {
            (lead, Cue::None) => lead,
            (lead, Cue::Draft) if lead != Cue::None => lead,
            (_, trail) => trail,
        };
        if cue == Cue::None {
            return;
        }
        for at in run {
            if let Some(candidate) = self.candidates.get_mut(*at) {
                candidate.cue = cue;
            }
        }
        let row = rows.get(rows.partition_point(|(start, _)| *start < first.span.start));
        let row = row
            .and_then(|(_, at)| self.candidates.get_mut(*at))
            .filter(|row| row.span.start == first.span.start && row.span.end >= last.span.end);
        if let Some(row) = row {
            row.cue = cue;
        }
    }
}

/// Tells whether nothing but white space, commas and the marks of list items stands between two values.
fn follows(source: &str, one: &Candidate, other: &Candidate) -> bool {
    source.get(one.span.end..other.span.start).is_some_and(|gap| {
        gap.lines().map(str::trim).all(|line| {
            let number = line.trim_end_matches(['.', ')']);
            line.chars().all(|c| matches!(c, ',' | ';' | '，' | '、' | '-' | '*' | '•'))
                || (number.len() < line.len() && number.bytes().all(|b| b.is_ascii_digit()))
        })
    })
}

/// “The last one is wrong.”
fn names_the_last(words: &str) -> bool {
    words.split(|c: char| !c.is_alphanumeric()).any(|word| {
        ["last", "second", "third"].iter().any(|one| word.eq_ignore_ascii_case(one))
            || ["마지막", "두번째", "세번째"].iter().any(|one| word.starts_with(one))
    })
}
