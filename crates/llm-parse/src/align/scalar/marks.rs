//! Signs beside a value that deny it, cross it out, or make a bound of it.

/// Signs that say no to what they stand beside.
const CROSSES: [char; 7] = ['✗', '✘', '✖', '❌', '🚫', '⛔', '×'];

/// Boxes that nobody ticked.
const EMPTY_BOXES: [&str; 4] = ["[ ]", "[]", "☐", "⬜"];

/// What a sign does to its neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A cross or an empty box, which agrees with a value that is a no itself: `❌ failed`.
    Crossed,
    Denied,
    /// A bound: what is meant lies above or below.
    Bound,
}

pub(crate) fn is_cross(c: char) -> bool {
    CROSSES.contains(&c)
}

/// A sign of an operation or of a change: the number behind it is not the value. An arrow that leads to a result is none.
pub(crate) fn is_operator(c: char) -> bool {
    let sign = matches!(c, '¬' | '\u{2190}'..='\u{22ff}' | '\u{27c0}'..='\u{27ff}' | '\u{2900}'..='\u{2aff}'
        | '⬆'..='⬍' | '🔺' | '🔻' | '🔼' | '🔽' | '📈' | '📉');
    sign && !matches!(c, '→' | '⇒' | '⟶' | '⟹' | '∙')
}

/// The sign or the markup that denies a whole text, and the rest: `~~yes~~`, `!yes`, `❌ yes`, `yes ✗`, `[ ] yes`, `// yes`.
pub(crate) fn around(text: &str) -> Option<(Mark, &str)> {
    let text = trimmed(text);
    if let Some(inner) = struck(text).or_else(|| text.strip_prefix("//")).or_else(|| text.strip_prefix("/*"))
    {
        return Some((Mark::Denied, inner.trim_end_matches("*/").trim()));
    }
    let item = text.strip_prefix(['-', '*', '+']).map_or(text, str::trim_start);
    let (mark, inner) = EMPTY_BOXES
        .iter()
        .find_map(|open| item.strip_prefix(open))
        .or_else(|| text.strip_prefix(is_cross))
        .or_else(|| text.strip_suffix(is_cross))
        .map(|inner| (Mark::Crossed, inner))
        .or_else(|| text.strip_prefix(['!', '¬', '~']).map(|inner| (Mark::Denied, inner)))?;
    inner.contains(char::is_alphanumeric).then(|| (mark, trimmed(inner)))
}

fn trimmed(text: &str) -> &str {
    // The selector that asks for the picture of a sign.
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{fe0f}')
}

/// What is struck through as a whole.
fn struck(text: &str) -> Option<&str> {
    [("~~", "~~"), ("<s>", "</s>"), ("<del>", "</del>"), ("<strike>", "</strike>")]
        .iter()
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close))
}

/// What the signs right beside the part from `start` to `end` do to it.
pub(crate) fn beside(text: &str, start: usize, end: usize) -> Option<Mark> {
    let quotes = |c: char| matches!(c, '*' | '_' | '`' | '"' | '\'' | '“' | '”' | '‘' | '’' | '\u{fe0f}');
    let glued = text.get(..start)?.trim_end_matches(quotes);
    let behind = text.get(end..)?.trim_start_matches(quotes);
    let before = glued.trim_end().trim_end_matches(quotes);
    let after = behind.trim_start();
    let opened = |open: &str, close: &str| glued.ends_with(open) && behind.starts_with(close);
    if opened("~~", "~~") || opened("<s>", "</s>") || opened("<del>", "</del>") {
        return Some(Mark::Denied);
    }
    if glued.ends_with(['!', '¬', '~']) || before.ends_with(['≠', '¬']) || before.ends_with("!=") {
        return Some(Mark::Denied);
    }
    let boxed = EMPTY_BOXES.iter().any(|open| before.ends_with(open));
    if boxed || before.ends_with(is_cross) || after.starts_with(is_cross) {
        return Some(Mark::Crossed);
    }
    let arrow =
        ["->", "=>", "-->", ">>"].iter().any(|arrow| before.ends_with(arrow)) || ends_with_tag(before);
    let bound =
        before.ends_with(['<', '>', '≤', '≥', '≦', '≧', '≮', '≯', '⩽', '⩾']) || before.ends_with("<=");
    let change =
        after.starts_with(['↑', '↓', '≤', '≥']) || behind.starts_with('+') || after.starts_with("< ");
    ((bound && !arrow) || before.ends_with(">=") || change).then_some(Mark::Bound)
}

/// Ends with a tag of HTML.
fn ends_with_tag(text: &str) -> bool {
    text.strip_suffix('>')
        .and_then(|rest| rest.rsplit_once('<'))
        .is_some_and(|(_, name)| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/'))
}

#[cfg(test)]
mod tests {
    use super::{Mark, around, beside};

    #[test]
    fn a_text_is_crossed_out_as_a_whole() {
        for text in ["✗ yes", "❌ yes", "✖\u{fe0f} yes", "yes ✘", "[ ] yes", "- [ ] yes", "☐ yes", "🚫 yes"]
        {
            assert_eq!(around(text), Some((Mark::Crossed, "yes")), "{text}");
        }
        for text in ["~~yes~~", "<s>yes</s>", "!yes", "¬yes", "~yes", "// yes", "/* yes */", "! yes"] {
            assert_eq!(around(text), Some((Mark::Denied, "yes")), "{text}");
        }
        for text in ["yes", "✓ yes", "[x] yes", "❌", "[ ]", "yes!", "- yes", "→ yes", ""] {
            assert_eq!(around(text), None, "{text}");
        }
    }

    #[test]
    fn signs_speak_of_their_neighbour() {
        let of = |text: &str| {
            let start = text.find("yes").unwrap();
            beside(text, start, start + 3)
        };
        for text in ["is !yes", "x != yes", "a ≠ yes", "is ~~yes~~ now", "¬ yes"] {
            assert_eq!(of(text), Some(Mark::Denied), "{text}");
        }
        for text in ["is ❌ yes", "yes ✗ or so", "- [ ] **yes**"] {
            assert_eq!(of(text), Some(Mark::Crossed), "{text}");
        }
        for text in [">yes", "≥ yes", "<= yes", ">= yes", "yes↑", "yes+"] {
            assert_eq!(of(text), Some(Mark::Bound), "{text}");
        }
        for text in
            ["yes", "<b>yes</b>", "-> yes", "=> yes", "→ yes", "= yes", "✓ yes", "[x] yes", "so: yes!"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
