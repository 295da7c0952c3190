//! The fragments of a document that match, the same on every engine: they are cut from what the hit says.

use std::collections::{HashMap, HashSet};
use std::fmt;

use pumasi_core::text::{Span, TokenKind, normalize, sentences};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::query::{Leaf, Plan};
use crate::schema::{Schema, text_at};
use crate::terms::{prefix_key, prefix_words};

/// About how long a fragment is, in bytes: two lines of a list of results.
const FRAGMENT: usize = 240;

/// How many fragments of a field are shown.
const FRAGMENTS: usize = 2;

/// A fragment of a field, and where in it stands what was looked for. `Debug` does not show the text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Highlight {
    /// Which field.
    pub field: String,
    /// The fragment.
    pub text: String,
    /// What matches, as bytes of the fragment, in order and apart from each other.
    pub marks: Vec<Span>,
}

impl fmt::Debug for Highlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Highlight")
            .field("field", &self.field)
            .field("marks", &self.marks)
            .finish_non_exhaustive()
    }
}

/// A piece of a [`Highlight`]. `Debug` does not show the text.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece<'a> {
    /// What it says; never empty.
    pub text: &'a str,
    /// Whether it is what was looked for.
    pub is_marked: bool,
}

impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece").field("is_marked", &self.is_marked).finish_non_exhaustive()
    }
}

impl Highlight {
    /// Returns the fragment in pieces, in order: what matches, and what stands between. For pages that write no HTML from strings.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// # use std::time::Duration;
    /// # use pumasi_search::*;
    /// # use serde_json::json;
    /// let engine = MemoryEngine::new(Schema::new("posts").with_text(TextField::new("title")));
    /// engine.apply(&[Change::upsert(Document::new("1", json!({"title": "한강 러닝크루에서"})), 1)]).await?;
    ///
    /// let page = engine.search(&Query::new("러닝크루").with_highlight(), Duration::from_secs(1)).await?;
    /// let pieces: Vec<_> = page.hits[0].highlights[0].pieces().map(|piece| (piece.text, piece.is_marked)).collect();
    /// assert_eq!(pieces, [("한강 ", false), ("러닝크루", true), ("에서", false)]);
    /// # Ok::<(), pumasi_core::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let ends = std::iter::once(0).chain(self.marks.iter().map(|mark| mark.end));
        let starts = self.marks.iter().map(|mark| mark.start).chain(std::iter::once(self.text.len()));
        let between = ends.zip(starts).map(|(start, end)| Span::new(start, end));
        let marks = self.marks.iter().copied().map(Some).chain(std::iter::once(None));
        let both = between.zip(marks).flat_map(|(between, mark)| {
            let plain = Piece { text: between.of(&self.text), is_marked: false };
            let marked = mark.map(|mark| Piece { text: mark.of(&self.text), is_marked: true });
            std::iter::once(plain).chain(marked)
        });
        both.filter(|piece| !piece.text.is_empty())
    }

    /// Writes the fragment as HTML: what matches in `<mark>`, and everything else escaped.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// # use std::time::Duration;
    /// # use pumasi_search::*;
    /// # use serde_json::json;
    /// let engine = MemoryEngine::new(Schema::new("posts").with_text(TextField::new("title")));
    /// engine.apply(&[Change::upsert(Document::new("1", json!({"title": "<b>한강</b> 러닝크루에서"})), 1)]).await?;
    ///
    /// let page = engine.search(&Query::new("러닝크루").with_highlight(), Duration::from_secs(1)).await?;
    /// let html = page.hits[0].highlights[0].to_html();
    /// assert_eq!(html, "&lt;b&gt;한강&lt;/b&gt; <mark>러닝크루</mark>에서");
    /// # Ok::<(), pumasi_core::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn to_html(&self) -> String {
        let mut html = String::with_capacity(self.text.len() + self.marks.len() * 13);
        for Piece { text, is_marked } in self.pieces() {
            html.push_str(if is_marked { "<mark>" } else { "" });
            escape(&mut html, text);
            html.push_str(if is_marked { "</mark>" } else { "" });
        }
        html
    }
}

fn escape(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(c),
        }
    }
}

/// Marks what a query looks for.
pub(crate) struct Marker<'a> {
    schema: &'a Schema,
    terms: HashSet<&'a str>,
    phrases: Vec<&'a [(u32, String)]>,
    prefixes: Vec<&'a str>,
    typos: Vec<(&'a str, u8)>,
}

impl<'a> Marker<'a> {
    pub(crate) fn new(schema: &'a Schema, plan: &'a Plan) -> Self {
        let mut marker = Self {
            schema,
            terms: HashSet::new(),
            phrases: Vec::new(),
            prefixes: Vec::new(),
            typos: Vec::new(),
        };
        for leaf in plan.leaves() {
            match leaf {
                Leaf::Term(text) => {
                    marker.terms.insert(text);
                }
                Leaf::Phrase(terms) => marker.phrases.push(terms),
                Leaf::Prefix(key) => marker.prefixes.push(key),
                Leaf::Typo(text, distance) => marker.typos.push((text, *distance)),
            }
        }
        marker
    }

    /// Returns the best fragments of each field that has any.
    pub(crate) fn highlights(&self, source: &Json) -> Vec<Highlight> {
        let mut highlights = Vec::new();
        for field in self.schema.texts() {
            let text = text_at(source, field.path());
            let marks = self.marks(&text, field.has_prefixes());
            for (span, marks) in fragments(&text, &marks) {
                highlights.push(Highlight {
                    field: field.path().as_str().to_owned(),
                    text: span.of(&text).to_owned(),
                    marks,
                });
            }
        }
        highlights
    }

    fn marks(&self, text: &str, prefixes: bool) -> Vec<Span> {
        let mut marks = Vec::new();
        let mut chain: HashMap<u32, (Span, String)> = HashMap::new();
        self.schema.analyzer().for_each(text, |token| {
            let typo = || self.typos.iter().any(|(wanted, distance)| within(wanted, token.text, *distance));
            if self.terms.contains(token.text) || typo() {
                marks.push(token.span);
            }
            let beside = matches!(token.kind, TokenKind::Stem | TokenKind::Compound);
            if !self.phrases.is_empty() && (!beside || !chain.contains_key(&token.position)) {
                chain.insert(token.position, (token.span, token.text.to_owned()));
            }
        });
        for phrase in &self.phrases {
            for start in chain.keys() {
                let found: Option<Vec<Span>> = phrase
                    .iter()
                    .map(|(offset, wanted)| {
                        let (span, text) = chain.get(&start.saturating_add(*offset))?;
                        (text == wanted).then_some(*span)
                    })
                    .collect();
                marks.extend(found.into_iter().flatten());
            }
        }
        if prefixes && !self.prefixes.is_empty() {
            let normal = normalize(text);
            let whole = normal.as_str();
            let words = whole.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            for word in words {
                let begins = prefix_words(word);
                if self.prefixes.iter().any(|prefix| begins.iter().any(|begin| begin.starts_with(prefix))) {
                    let start = word.as_ptr().addr() - whole.as_ptr().addr();
                    marks.push(normal.source_span(self.begun(word, start)));
                }
            }
        }
        merge(marks)
    }

    /// Marks as much of a word as somebody has typed.
    fn begun(&self, word: &str, start: usize) -> Span {
        let ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
        let typed = ends.clone().find(|end| {
            let key = prefix_key(word.get(..*end).unwrap_or_default());
            self.prefixes.iter().any(|prefix| key.starts_with(prefix))
        });
        Span::new(start, start + typed.unwrap_or(word.len()))
    }
}

/// Joins marks that touch or overlap.
fn merge(mut marks: Vec<Span>) -> Vec<Span> {
    marks.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(marks.len());
    for mark in marks {
        match merged.last_mut() {
            Some(last) if mark.start <= last.end => *last = last.cover(mark),
            _ => merged.push(mark),
        }
    }
    merged
}

/// Picks the parts of a text that have most to show, with marks that count from their beginning.
fn fragments(text: &str, marks: &[Span]) -> Vec<(Span, Vec<Span>)> {
    let Some(first) = marks.first() else { return Vec::new() };
    if text.len() <= FRAGMENT {
        return vec![(Span::new(0, text.len()), marks.to_vec())];
    }
    let mut pieces: Vec<Span> = Vec::new();
    for sentence in sentences(text) {
        // a long sentence is shown from its first mark on
        let from = marks.iter().find(|mark| sentence.contains(**mark)).copied().unwrap_or(*first);
        pieces.push(if sentence.len() <= FRAGMENT { sentence } else { around(text, sentence, from) });
    }
    let marked = |piece: &Span| {
        marks.iter().filter(|mark| piece.contains(**mark)).map(|mark| mark.len()).sum::<usize>()
    };
    let mut best: Vec<(usize, Span)> = pieces.into_iter().map(|piece| (marked(&piece), piece)).collect();
    best.retain(|(marked, _)| *marked > 0);
    best.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    best.truncate(FRAGMENTS);
    if best.is_empty() {
        best.push((1, around(text, Span::new(0, text.len()), *first)));
    }
    best.sort_by_key(|(_, piece)| *piece);
    best.into_iter()
        .map(|(_, piece)| {
            let inside = marks.iter().filter(|mark| piece.contains(**mark));
            (piece, inside.map(|mark| Span::new(mark.start - piece.start, mark.end - piece.start)).collect())
        })
        .collect()
}

/// Cuts about a fragment's length out of `whole`, with `mark` in its first third.
fn around(text: &str, whole: Span, mark: Span) -> Span {
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at += 1;
        }
        at
    };
    let start = boundary(mark.start.saturating_sub(FRAGMENT / 3).max(whole.start));
    let end = boundary((start + FRAGMENT).max(mark.end).min(whole.end));
    Span::new(start, end)
}

/// Tells whether two terms are at most `distance` edits apart; a swap of neighbours is one edit.
///
/// The optimal string alignment distance (Boytsov 2011, "Indexing methods for approximate dictionary searching").
pub(crate) fn within(wanted: &str, term: &str, distance: u8) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (wanted.chars().collect(), term.chars().collect());
    let distance = usize::from(distance);
    if a.len().abs_diff(b.len()) > distance {
        return false;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let change = cell(&row, j) + usize::from(x != y);
            let mut least = change.min(cell(&row, j + 1) + 1).min(cell(&next, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                least = least.min(cell(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().is_some_and(|edits| *edits <= distance)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Query, TextField};

    fn html(query: &Query, text: &str) -> Vec<String> {
        let schema = Schema::new("posts").with_text(TextField::new("body").with_prefixes());
        let plan = Plan::of(&schema, query);
        let marker = Marker::new(&schema, &plan);
        marker.highlights(&json!({"body": text})).iter().map(Highlight::to_html).collect()
    }

    #[test]
    fn marks_other_forms_phrases_beginnings_and_typos() {
        assert_eq!(html(&Query::new("run"), "I was running."), ["I was <mark>running</mark>."]);
        assert_eq!(
            html(&Query::new("\"첫 마라톤\""), "마라톤, 첫 마라톤"),
            ["마라톤, <mark>첫</mark> <mark>마라톤</mark>"]
        );
        assert_eq!(html(&Query::new("ㄹㄴ").as_you_type(), "한강 러닝크루"), ["한강 <mark>러닝크루</mark>"]);
        assert_eq!(
            html(&Query::new("러닝ㅋ").as_you_type(), "한강 러닝크루"),
            ["한강 <mark>러닝크</mark>루"]
        );
        assert_eq!(html(&Query::new("marathom").with_typos(), "a marathon"), ["a <mark>marathon</mark>"]);
        assert!(html(&Query::new("수영"), "러닝").is_empty());
    }

    #[test]
    fn beginnings_are_marked_however_the_text_is_written() {
        for typed in ["É", "ér", "e\u{301}ric"] {
            let marked = html(&Query::new(typed).as_you_type(), "Cafe\u{301} E\u{301}ric");
            let mark = ["<mark>E\u{301}</mark>ric", "<mark>E\u{301}r</mark>ic", "<mark>E\u{301}ric</mark>"];
            assert!(mark.iter().any(|mark| marked == [format!("Cafe\u{301} {mark}")]), "{typed}: {marked:?}");
        }
        // 러닝크루 in letters that join, as file names of macOS have it
        let letters = "\u{1105}\u{1165}\u{1102}\u{1175}\u{11BC}\u{110F}\u{1173}\u{1105}\u{116E}";
        let marked = html(&Query::new("러닝ㅋ").as_you_type(), letters);
        let end = "\u{1105}\u{116E}";
        let begin = letters.strip_suffix(end).unwrap_or_default();
        assert_eq!(marked, [format!("<mark>{begin}</mark>{end}")]);
        assert_eq!(html(&Query::new("ＬＧ").as_you_type(), "ＬＧ전자"), ["<mark>ＬＧ</mark>전자"]);
    }

    #[test]
    fn long_texts_are_cut_to_what_matches() {
        let text =
            format!("{} 한강에서 러닝을 했다. {}", "처음 문장이다. ".repeat(50), "끝 문장이다. ".repeat(50));
        let fragments = html(&Query::new("러닝"), &text);
        assert_eq!(fragments.len(), 1);
        assert!(fragments[0].contains("<mark>러닝</mark>을") && fragments[0].len() < 400);
        let endless = format!("{}러닝{}", "가".repeat(500), "나".repeat(500));
        assert!(html(&Query::new("가러"), &endless)[0].len() < 300);
    }

    #[test]
    fn typos_are_swaps_omissions_and_wrong_letters() {
        assert!(within("marathon", "marahton", 1) && within("marathon", "marathn", 1));
        assert!(within("marathon", "narathon", 1) && !within("marathon", "marathing", 1));
        assert!(within("러닝크루", "러닝크류", 1));
    }
}
