//! Aligning a quote with the place where it may stand.
//!
//! Edit distance with swaps of neighbours (Damerau 1964, restricted), free ends in the text (Sellers 1980), within a band
//! (Ukkonen 1985, "Algorithms for approximate string matching").

/// One step of an alignment, at a character of the quote and one of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Match,
    Substitute,
    /// The quote has a character more.
    Insert,
    /// The text has a character more.
    Delete,
    /// Two neighbours stand in the other order; takes two characters of both.
    Swap,
}

/// How a quote lies on a text.
#[derive(Clone, Debug)]
pub(super) struct Alignment {
    /// Where it begins and ends in the text.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) edits: usize,
    pub(super) steps: Vec<Step>,
}

/// Which ends of the text are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Free,
    Fixed,
}

const FAR: u32 = u32::MAX / 2;

/// Aligns all of `quote` with a part of `text` that begins within `slack` characters of `diagonal`, at the cost of at most
/// `most` edits.
pub(super) fn align(
    quote: &[char],
    text: &[char],
    diagonal: i64,
    slack: usize,
    most: usize,
    ends: Ends,
) -> Option<Alignment> {
    let width = 2 * slack + 1;
    let origin = diagonal - i64::try_from(slack).ok()?;
    let rows = quote.len() + 1;
    let mut cost = vec![FAR; rows * width];
    // the character of the text before cell (row, column) is `origin + row + column - 1`
    let place = |row: usize, column: usize| -> Option<usize> {
        let place = origin + i64::try_from(row + column).ok()?;
        usize::try_from(place).ok().filter(|place| *place <= text.len())
    };
    let at = |cost: &[u32], row: usize, column: usize| cost.get(row * width + column).copied().unwrap_or(FAR);
    let limit = u32::try_from(most).unwrap_or(FAR);
    let mut hopeless = 0;
    for row in 0..rows {
        let mut least = FAR;
        for column in 0..width {
            let Some(here) = place(row, column) else { continue };
            let value = if row == 0 {
                match ends {
                    Ends::Free => 0,
                    Ends::Fixed => u32::try_from(here).unwrap_or(FAR),
                }
            } else {
                let wanted = quote.get(row - 1);
                let found = here.checked_sub(1).and_then(|before| text.get(before));
                let mut best = FAR;
                if found.is_some() {
                    let differs = u32::from(wanted != found);
                    best = at(&cost, row - 1, column) + differs;
                    if column > 0 {
                        best = best.min(at(&cost, row, column - 1) + 1);
                    }
                    if row > 1 && swapped(quote, text, row, here) {
                        best = best.min(at(&cost, row - 2, column) + 1);
                    }
                }
                if column + 1 < width {
                    best = best.min(at(&cost, row - 1, column + 1) + 1);
                }
                best
            };
            least = least.min(value);
            if let Some(cell) = cost.get_mut(row * width + column) {
                *cell = value;
            }
        }
        // a swap reaches over one row, nothing over two
        hopeless = if least > limit { hopeless + 1 } else { 0 };
        if hopeless == 2 {
            return None;
        }
    }
    let last = rows - 1;
    let (column, edits) = match ends {
        Ends::Free => (0..width)
            .map(|column| {
                // of equal ends, one whose last letter agrees; then the first
                let found = place(last, column)
                    .and_then(|end| end.checked_sub(1))
                    .and_then(|before| text.get(before));
                (column, at(&cost, last, column), found != quote.last())
            })
            .min_by_key(|(column, edits, differs)| (*edits, *differs, *column))
            .map(|(column, edits, _)| (column, edits))?,
        Ends::Fixed => {
            let column = i64::try_from(text.len()).ok()? - origin - i64::try_from(last).ok()?;
            let column = usize::try_from(column).ok().filter(|column| *column < width)?;
            (column, at(&cost, last, column))
        }
    };
    let edits = usize::try_from(edits).ok().filter(|edits| *edits <= most)?;
    let end = place(last, column)?;
    let mut steps = Vec::with_capacity(rows);
    let (mut row, mut column) = (last, column);
    loop {
        let here = place(row, column)?;
        if row == 0 {
            if ends == Ends::Free || here == 0 {
                break;
            }
            steps.push(Step::Delete);
            column = column.checked_sub(1)?;
            continue;
        }
        let value = at(&cost, row, column);
        let found = here.checked_sub(1).and_then(|before| text.get(before));
        let same = quote.get(row - 1) == found;
        if found.is_some() && value == at(&cost, row - 1, column) + u32::from(!same) {
            steps.push(if same { Step::Match } else { Step::Substitute });
            row -= 1;
        } else if row > 1 && swapped(quote, text, row, here) && value == at(&cost, row - 2, column) + 1 {
            steps.push(Step::Swap);
            row -= 2;
        } else if column > 0 && found.is_some() && value == at(&cost, row, column - 1) + 1 {
            steps.push(Step::Delete);
            column -= 1;
        } else {
            steps.push(Step::Insert);
            row -= 1;
            column += 1;
        }
    }
    steps.reverse();
    Some(Alignment { start: place(0, column)?, end, edits, steps })
}

fn swapped(quote: &[char], text: &[char], row: usize, here: usize) -> bool {
    let (Some(earlier), Some(one)) = (here.checked_sub(2), row.checked_sub(2)) else { return false };
    let (a, b) = (quote.get(one), quote.get(one + 1));
    a != b && a == text.get(earlier + 1) && b == text.get(earlier)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn finds_the_place_and_the_edits() {
        let text = chars("the quick brown fox jumps");
        let found = align(&chars("quikc brwn fx"), &text, 4, 6, 5, Ends::Free).unwrap();
        assert_eq!((found.start, found.end, found.edits), (4, 19, 3));
    }

    /// The textbook table, whole.
    fn reference(quote: &[char], text: &[char]) -> usize {
        let mut rows = vec![vec![0; text.len() + 1]; quote.len() + 1];
        for i in 1..=quote.len() {
            rows[i][0] = i;
            for j in 1..=text.len() {
                let differs = usize::from(quote[i - 1] != text[j - 1]);
                rows[i][j] = (rows[i - 1][j - 1] + differs).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && swapped(quote, text, i, j) {
                    rows[i][j] = rows[i][j].min(rows[i - 2][j - 2] + 1);
                }
            }
        }
        rows[quote.len()].iter().copied().min().unwrap()
    }

    proptest! {
        #[test]
        fn agrees_with_the_whole_table_when_the_band_holds_it(quote in "[abc]{1,12}", text in "[abc]{0,16}") {
            let (quote, text) = (chars(&quote), chars(&text));
            let found = align(&quote, &text, 0, 40, 40, Ends::Free).unwrap();
            prop_assert_eq!(found.edits, reference(&quote, &text));
            let in_text: usize = found.steps.iter().map(|step| match step { Step::Insert => 0, Step::Swap => 2, _ => 1 }).sum();
            let in_quote: usize = found.steps.iter().map(|step| match step { Step::Delete => 0, Step::Swap => 2, _ => 1 }).sum();
            prop_assert_eq!(in_text, found.end - found.start);
            prop_assert_eq!(in_quote, quote.len());
        }
    }
}
