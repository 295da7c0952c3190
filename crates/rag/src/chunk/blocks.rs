//! Where a document's parts stand: what is under which heading, and the smallest pieces that are kept whole.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use pumasi_core::text::{Span, sentences};

use crate::document::{Document, Format};

/// What stands under one heading, or on one page.
#[derive(Debug)]
pub(super) struct Part {
    /// The headings above it, outermost first.
    pub(super) headings: Vec<String>,
    /// Pieces that are kept whole where they fit, in order: sentences of prose, lines of code and tables.
    pub(super) units: Vec<Span>,
}

/// Takes a document apart; the parts' units hold all of its letters and digits, but for the headings'.
pub(super) fn parts(document: &Document) -> Vec<Part> {
    // a byte order mark would hide what the first line is
    let text = document.text.trim_start_matches('\u{FEFF}');
    let before = document.text.len() - text.len();
    let mut parts = match document.format {
        Format::Plain => pages(text),
        Format::Markdown => markdown(text),
    };
    parts.retain(|part| !part.units.is_empty());
    for unit in parts.iter_mut().flat_map(|part| &mut part.units) {
        *unit = Span::new(unit.start + before, unit.end + before);
    }
    parts
}

fn pages(text: &str) -> Vec<Part> {
    let paged = text.contains('\u{c}');
    let mut start = 0;
    let page = |(at, content): (usize, &str)| {
        let headings = if paged { vec![format!("p. {}", at + 1)] } else { Vec::new() };
        let units = prose(text, start..start + content.len());
        start += content.len() + 1;
        Part { headings, units }
    };
    text.split('\u{c}').enumerate().map(page).collect()
}

/// A heading that stands by itself, not in a list or a quotation.
struct Heading {
    level: usize,
    title: String,
    range: Range<usize>,
}

/// What of Markdown's syntax decides where a text is cut.
#[derive(Default)]
struct Outline {
    headings: Vec<Heading>,
    /// Code, tables and the like: cut between lines, not sentences.
    lines: Vec<Range<usize>>,
}

fn outline(text: &str) -> Outline {
    let options = Options::ENABLE_TABLES | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut outline = Outline::default();
    let mut open: Option<Heading> = None;
    let mut depth = 0_usize;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match (event, &mut open) {
            (Event::Start(Tag::Heading { level, .. }), None) if depth == 0 => {
                open = Some(Heading { level: level as usize, title: String::new(), range });
            }
            (Event::End(TagEnd::Heading(_)), Some(_)) if depth == 0 => outline.headings.extend(open.take()),
            (Event::Start(tag), _) => {
                if depth == 0
                    && matches!(
                        tag,
                        Tag::CodeBlock(_) | Tag::Table(_) | Tag::HtmlBlock | Tag::MetadataBlock(_)
                    )
                {
                    outline.lines.push(range);
                }
                depth += 1;
            }
            (Event::End(_), _) => depth = depth.saturating_sub(1),
            (Event::Text(piece) | Event::Code(piece), Some(heading)) => heading.title.push_str(&piece),
            (Event::SoftBreak | Event::HardBreak, Some(heading)) => heading.title.push(' '),
            _ => {}
        }
    }
    outline
}

fn markdown(text: &str) -> Vec<Part> {
    let outline = outline(text);
    let mut path: Vec<(usize, &str)> = Vec::new();
    let first = outline.headings.first().map_or(text.len(), |heading| heading.range.start);
    let mut parts = vec![Part { headings: Vec::new(), units: units(text, 0..first, &outline.lines) }];
    let mut headings = outline.headings.iter().peekable();
    while let Some(heading) = headings.next() {
        path.retain(|(level, _)| *level < heading.level);
        path.push((heading.level, heading.title.trim()));
        let end = headings.peek().map_or(text.len(), |next| next.range.start);
        let mut units = units(text, heading.range.end..end, &outline.lines);
        let leads = headings.peek().is_some_and(|next| next.level > heading.level);
        if units.is_empty() && !leads {
            // nothing is under it: its own words are all that there is to find
            units = prose(text, heading.range.clone());
        }
        let headings = path.iter().map(|(_, title)| (*title).to_owned()).filter(|title| !title.is_empty());
        parts.push(Part { headings: headings.collect(), units });
    }
    parts
}

/// Returns the units of a range: lines where `lines` says so, sentences elsewhere.
fn units(text: &str, range: Range<usize>, lines: &[Range<usize>]) -> Vec<Span> {
    let mut units = Vec::new();
    let mut from = range.start;
    let first = lines.partition_point(|block| block.start < range.start);
    for block in lines.iter().skip(first).take_while(|block| block.start < range.end) {
        units.extend(prose(text, from..block.start));
        units.extend(lines_of(text, block.clone()));
        from = block.end;
    }
    units.extend(prose(text, from..range.end.max(from)));
    units
}

/// Returns the sentences of a range, as spans of the whole text.
fn prose(text: &str, range: Range<usize>) -> Vec<Span> {
    let part = text.get(range.clone()).unwrap_or_default();
    let shift = |span: Span| Span::new(span.start + range.start, span.end + range.start);
    sentences(part).into_iter().map(shift).collect()
}

/// Returns the lines of a range that are not blank, as spans of the whole text.
fn lines_of(text: &str, range: Range<usize>) -> Vec<Span> {
    let part = text.get(range.clone()).unwrap_or_default();
    let mut start = range.start;
    let mut lines = Vec::new();
    for line in part.split_inclusive('\n') {
        let kept = line.trim_end();
        if !kept.is_empty() {
            lines.push(Span::new(start, start + kept.len()));
        }
        start += line.len();
    }
    lines
}
