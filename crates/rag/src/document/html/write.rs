//! Pieces of a page as Markdown.

use super::extract::Block;

/// Writes pieces so that they are read as what they are.
pub(super) fn markdown(blocks: &[Block]) -> String {
    let mut text = String::new();
    let mut in_list = false;
    for block in blocks {
        let item = matches!(block, Block::Item { .. });
        let goes_on = item && in_list;
        if !text.is_empty() && !goes_on {
            text.push('\n');
        }
        in_list = item;
        match block {
            Block::Heading { level, text: heading } => {
                text.extend(std::iter::repeat_n('#', *level));
                text.push(' ');
                // signs at the end would be taken for the heading's own
                let heading = heading.trim_end_matches('#').trim_end();
                heading_of(&mut text, heading);
                text.push('\n');
            }
            Block::Paragraph(paragraph) => {
                for line in paragraph.lines() {
                    line_of(&mut text, line);
                }
            }
            Block::Item { depth, number, text: item } => {
                let indent = "  ".repeat(*depth);
                for (at, line) in item.lines().enumerate() {
                    text.push_str(&indent);
                    match (at, number) {
                        (0, Some(number)) => text.extend([number.to_string().as_str(), ". "]),
                        (0, None) => text.push_str("- "),
                        _ => text.push_str("  "),
                    }
                    line_of(&mut text, line);
                }
            }
            Block::Table(rows) => table(&mut text, rows),
            Block::Preformatted(code) => {
                let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or_default();
                let fence = "`".repeat(longest.max(2) + 1);
                text.push_str(&fence);
                text.push('\n');
                text.push_str(code.trim_matches('\n'));
                text.push('\n');
                text.push_str(&fence);
                text.push('\n');
            }
        }
    }
    text
}

/// Writes a heading, with a backslash before what would be a tag, a link, a name of a character or a backslash like this one.
fn heading_of(text: &mut String, heading: &str) {
    let has_links = heading.contains("](") || heading.contains("][");
    let mut rest = heading.chars().peekable();
    while let Some(c) = rest.next() {
        let is_read = match (c, rest.peek()) {
            ('<', Some(next)) => next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?'),
            ('&', Some(next)) => next.is_ascii_alphanumeric() || *next == '#',
            ('\\', Some(next)) => next.is_ascii_punctuation(),
            ('[', Some(_)) => has_links,
            _ => false,
        };
        if is_read {
            text.push('\\');
        }
        text.push(c);
    }
}

/// Writes a line of prose, with a backslash where it would begin something else.
fn line_of(text: &mut String, line: &str) {
    let underlines = !line.is_empty() && line.chars().all(|c| matches!(c, '=' | '-'));
    let begins = line.starts_with(['#', '<', '|', '>'])
        || line.starts_with("```")
        || line.starts_with("~~~")
        || underlines;
    if begins {
        text.push('\\');
    }
    text.push_str(line);
    text.push('\n');
}

fn table(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    if columns <= 1 {
        for cell in rows.iter().flatten() {
            line_of(text, cell);
        }
        return;
    }
    for (at, row) in rows.iter().enumerate() {
        text.push('|');
        for cell in row {
            text.push(' ');
            text.push_str(&cell.replace('|', "\\|"));
            text.push_str(" |");
        }
        text.push('\n');
        if at == 0 {
            text.push('|');
            text.push_str(&"---|".repeat(row.len().max(1)));
            text.push('\n');
        }
    }
}
