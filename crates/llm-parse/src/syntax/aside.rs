//! Marks beside a value that take it out of the answer, and words that show it to be the start of a statement.

/// Bounds the text that is looked at on either side, in bytes.
const REACH: usize = 240;

/// Tells whether a value between `before` and `after` is commented out or struck through: `/* {…} */`, `// {…}`, `~~{…}~~`.
pub(super) fn is_set_aside(before: &str, after: &str) -> bool {
    let before = tail(before);
    let line = before.rsplit('\n').next().unwrap_or(before).trim();
    if line.starts_with("//") || line.ends_with(" //") || line == "#" {
        return true;
    }
    let starts_comment = |at: usize| {
        before.get(..at).is_some_and(|text| text.is_empty() || text.ends_with(char::is_whitespace))
    };
    if let Some(open) = before.rfind("/*")
        && starts_comment(open)
        && !before.get(open..).is_some_and(|rest| rest.contains("*/"))
    {
        return true;
    }
    if line.ends_with("~~") && !line.ends_with("~~~") {
        return after.trim_start_matches(' ').starts_with("~~");
    }
    let lower = line.to_ascii_lowercase();
    ["<del>", "<s>", "<strike>"].iter().any(|tag| lower.ends_with(tag))
}

/// Tells whether the line goes on from a list to another value: `Sum of [1,2] is [3]`, `[1,2]의 합은 3입니다`.
pub(super) fn leads_to_value(after: &str) -> bool {
    const VERBS: &[&str] = &[
        "is", "are", "was", "were", "equals", "equal", "gives", "give", "gave", "yields", "yield", "becomes",
        "become", "makes", "returns", "results", "to",
    ];
    let line = head(after).lines().next().unwrap_or("");
    let Some(at) = line.find(|c: char| c == '[' || c.is_ascii_digit()) else { return false };
    let (Some(between), Some(value)) = (line.get(..at), line.get(at..)) else { return false };
    let bracket = value.strip_prefix('[');
    if let Some(inner) = bracket {
        let Some((inner, behind)) = inner.split_once(']') else { return false };
        let link = behind.starts_with(['(', ':', '[']);
        let first = inner.trim_start().chars().next();
        if link || !first.is_some_and(|c| c.is_ascii_digit() || matches!(c, '-' | '"' | '\'')) {
            return false;
        }
    } else {
        // `[1, 2] are 2 ids` says something of the list.
        let rest = value.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ','));
        let ends = ["입니다", "이다", "이에요", "예요", "임"].iter().any(|end| rest.starts_with(end));
        if !(ends || rest.trim().is_empty() || rest.starts_with([';', '!'])) {
            return false;
        }
    }
    let between = between.trim_end();
    if between.contains(". ") || between.split_whitespace().count() > 8 {
        return false;
    }
    if between.ends_with(['=', '→', '⇒', '>']) {
        return true;
    }
    let last = between.rsplit(char::is_whitespace).next().unwrap_or("");
    let operand = ["의", "을", "를", "에서", "중"].iter().any(|particle| after.starts_with(particle));
    let topic = operand && last != between.trim() && last.ends_with(['은', '는', '이', '가', '면']);
    let verb = VERBS.iter().any(|verb| last.eq_ignore_ascii_case(verb));
    topic || (verb && (bracket.is_some() || !last.eq_ignore_ascii_case("to")))
}

fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(REACH);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or("")
}

fn head(text: &str) -> &str {
    let mut to = text.len().min(REACH);
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    text.get(..to).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::{is_set_aside, leads_to_value};

    #[test]
    fn what_is_commented_out_or_struck_through_is_set_aside() {
        for (before, after) in [
            ("/* ", " */"),
            ("/*\n", "\n*/"),
            ("text /* old: ", ""),
            ("// ", ""),
            ("x\n  // old: ", "\n"),
            ("let x = 1; // ", ""),
            ("# ", ""),
            ("~~", "~~"),
            ("<del>", "</del>"),
        ] {
            assert!(is_set_aside(before, after), "{before:?} … {after:?}");
        }
        for (before, after) in [
            ("/* note */ ", " /* end */"),
            ("// note\n", ""),
            ("See https://x.y/a ", ""),
            ("All of src/* as ", ""),
            ("# Answer\n", ""),
            ("## ", ""),
            ("~~old~~ ", ""),
            ("**", "**"),
        ] {
            assert!(!is_set_aside(before, after), "{before:?} … {after:?}");
        }
    }

    #[test]
    fn a_statement_goes_on_to_its_other_value() {
        for after in [
            " is [3]",
            " gives [3].",
            " is 3.",
            " → [3]",
            " = 3",
            ", the result is [3].",
            "의 합은 [3]입니다",
            "의 합은 3입니다",
        ] {
            assert!(leads_to_value(after), "{after:?}");
        }
        for after in [
            " is the answer",
            " is the answer [3].",
            " [3]",
            ", see [3]",
            " are 2 ids",
            " is [done](x)",
            ". The mean is [3]",
            "입니다. 참고 [3]",
            "이 답입니다",
            "\nis [3]",
        ] {
            assert!(!leads_to_value(after), "{after:?}");
        }
    }
}
