//! Empty brackets amid the words of a sentence or the cells of a row, which may be spoken of rather than meant.

use crate::syntax::{Candidate, Document, Origin};
use crate::tree::Kind;

/// Bounds what is looked at on either side, in bytes.
const SIDE: usize = 120;

/// Tells whether a candidate is `[]` or `{}` and the words around it on its line go on behind it, or lead to it as the cells
/// of a row do: `so [] would be wrong`, `A,1,[]`; not `The answer is [].`, `정답은 []입니다`.
pub(super) fn is_spoken_of(document: &Document, raw: &str, candidate: &Candidate) -> bool {
    let tree = document.tree();
    let compound = matches!(tree.node(candidate.root()).kind(), Kind::Array | Kind::Object);
    if candidate.origin() != Origin::Prose || !compound || tree.children(candidate.root()).next().is_some() {
        return false;
    }
    let span = candidate.span();
    let from = raw.floor_char_boundary(span.start.saturating_sub(SIDE));
    let to = raw.ceil_char_boundary((span.end + SIDE).min(raw.len()));
    let marks =
        |c: char| matches!(c, '`' | '*' | '_' | '"' | '\'' | '“' | '”' | '‘' | '’') || c.is_whitespace();
    let before = raw.get(from..span.start).unwrap_or("").rsplit('\n').next().unwrap_or("");
    let after = raw.get(span.end..to).unwrap_or("").split('\n').next().unwrap_or("");
    let (before, after) = (before.trim_end_matches(marks), after.trim_start_matches(marks));
    if before.ends_with([',', '|', ';']) {
        return true;
    }
    let copula =
        ["입니다", "이다", "임", "이에요", "예요", "이며", "이고"].iter().any(|end| after.starts_with(end));
    before.ends_with(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric) && !copula
}
