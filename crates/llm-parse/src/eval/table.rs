//! Tables, for Markdown and for a terminal.

use std::fmt::Write as _;

/// A title and tables under it.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    tables: Vec<Vec<Vec<String>>>,
}

impl Page {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), tables: Vec::new() }
    }

    /// Adds a table; its first column is left-aligned, the others right-aligned.
    pub(super) fn rows(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        let mut table = vec![head.iter().map(|&cell| cell.to_owned()).collect()];
        table.extend(rows);
        self.tables.push(table);
    }

    pub(super) fn markdown(&self) -> String {
        let mut out = format!("### {}\n", self.title);
        for table in &self.tables {
            out.push('\n');
            for (number, row) in table.iter().enumerate() {
                let cells: Vec<String> =
                    row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
                let _ = writeln!(out, "| {} |", cells.join(" | "));
                if number == 0 {
                    let rule: Vec<&str> =
                        (0..row.len()).map(|column| if column == 0 { "---" } else { "---:" }).collect();
                    let _ = writeln!(out, "|{}|", rule.join("|"));
                }
            }
        }
        out
    }

    pub(super) fn terminal(&self) -> String {
        let mut out = format!("{}\n", self.title);
        for table in &self.tables {
            out.push('\n');
            let columns = table.iter().map(Vec::len).max().unwrap_or(0);
            let widths: Vec<usize> = (0..columns)
                .map(|column| {
                    table.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
                })
                .collect();
            for row in table {
                let mut line = String::from(" ");
                for (column, (cell, most)) in row.iter().zip(&widths).enumerate() {
                    let pad = " ".repeat(most.saturating_sub(width(cell)));
                    let _ = if column == 0 {
                        write!(line, " {cell}{pad}")
                    } else {
                        write!(line, "  {pad}{cell}")
                    };
                }
                let _ = writeln!(out, "{}", line.trim_end());
            }
        }
        out
    }
}

/// Counts the columns of a terminal: Hangul, Han, Kana and full-width forms take two.
fn width(text: &str) -> usize {
    let wide = |c: char| {
        matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}')
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_both_scripts() {
        let mut page = Page::new("제목");
        page.rows(
            &["field", "F1"],
            [vec!["제목".into(), "9.5 %".into()], vec!["a|b".into(), "100.0 %".into()]],
        );
        assert_eq!(page.terminal(), "제목\n\n  field       F1\n  제목     9.5 %\n  a|b    100.0 %\n");
        assert_eq!(
            page.markdown(),
            "### 제목\n\n| field | F1 |\n|---|---:|\n| 제목 | 9.5 % |\n| a\\|b | 100.0 % |\n"
        );
    }
}
