//! How many tokens an answer may take, and which passages fit.

use std::collections::HashSet;

use pumasi_core::text::{Span, sentences};

use super::event::Source;
use crate::chunk::CountTokens;
use crate::retrieve::Hit;

/// How many tokens the parts of a request may have, by the assistant's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// The passages together, with what surrounds them; 3,000 unless set.
    pub context_tokens: usize,
    /// One passage: a section that is longer is given as the chunk that was found; 600 unless set.
    pub passage_tokens: usize,
    /// The conversation so far; 1,000 unless set.
    pub history_tokens: usize,
    /// The answer; 800 unless set.
    pub answer_tokens: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { context_tokens: 3_000, passage_tokens: 600, history_tokens: 1_000, answer_tokens: 800 }
    }
}

impl Budget {
    /// Sets the tokens of the passages together.
    #[must_use]
    pub const fn with_context_tokens(mut self, tokens: usize) -> Self {
        self.context_tokens = tokens;
        self
    }

    /// Sets the tokens of one passage.
    #[must_use]
    pub const fn with_passage_tokens(mut self, tokens: usize) -> Self {
        self.passage_tokens = tokens;
        self
    }

    /// Sets the tokens of the conversation so far.
    #[must_use]
    pub const fn with_history_tokens(mut self, tokens: usize) -> Self {
        self.history_tokens = tokens;
        self
    }

    /// Sets the tokens of the answer.
    #[must_use]
    pub const fn with_answer_tokens(mut self, tokens: u32) -> Self {
        self.answer_tokens = tokens;
        self
    }
}

/// In which order the model reads the passages. Their numbers are by relevance all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContextOrder {
    /// The most relevant first.
    #[default]
    BestFirst,
    /// The most relevant at both ends and the least in the middle, where models that read much overlook it (Liu et al. 2023, "Lost
    /// in the Middle").
    Edges,
}

impl ContextOrder {
    /// Puts sources, best first, into this order.
    pub(super) fn arrange<T>(self, sources: Vec<T>) -> Vec<T> {
        match self {
            Self::BestFirst => sources,
            Self::Edges => {
                let (mut front, mut back) = (Vec::new(), Vec::new());
                for (at, source) in sources.into_iter().enumerate() {
                    if at % 2 == 0 { front.push(source) } else { back.push(source) }
                }
                front.extend(back.into_iter().rev());
                front
            }
        }
    }
}

/// Chooses what of the passages fits, best first, in whole sentences.
///
/// `cost` tells how many tokens a source takes in the prompt, with what surrounds it.
pub(super) fn pack(
    hits: &[Hit],
    budget: &Budget,
    room: usize,
    counter: &dyn CountTokens,
    cost: impl Fn(&Source) -> usize,
) -> Vec<Source> {
    let mut left = room.min(budget.context_tokens);
    let mut packed: Vec<Source> = Vec::new();
    let mut seen: HashSet<(&str, Span)> = HashSet::new();
    for hit in hits {
        let passage = &hit.passage;
        let document = passage.document.id.as_str();
        // small to big: the section is read, where it is not too long
        let is_whole = counter.count(&passage.section_text) <= budget.passage_tokens;
        let (text, span) = if is_whole {
            (passage.section_text.as_str(), passage.section_span)
        } else {
            (passage.text.as_str(), passage.span)
        };
        let is_covered =
            packed.iter().any(|source| source.document == document && source.span.contains(span));
        if is_covered || !seen.insert((document, span)) {
            continue;
        }
        let number = u32::try_from(packed.len() + 1).unwrap_or(u32::MAX);
        let source = |text: &str, start: usize| Source {
            number,
            document: document.to_owned(),
            place: passage.place(),
            uri: passage.document.uri.clone(),
            span: Span::new(start, start + text.len()),
            text: text.to_owned(),
            score: hit.score,
        };
        let whole = source(text, span.start);
        let tokens = cost(&whole);
        if tokens <= left {
            left -= tokens;
            packed.push(whole);
            continue;
        }
        // as many of the chunk's sentences as fit, from its first
        let ends: Vec<usize> = sentences(&passage.text).into_iter().map(|sentence| sentence.end).collect();
        let fits = |end: &usize| {
            cost(&source(passage.text.get(..*end).unwrap_or_default(), passage.span.start)) <= left
        };
        if let Some(end) = ends.get(..ends.partition_point(fits)).and_then(<[usize]>::last) {
            let part = source(passage.text.get(..*end).unwrap_or_default(), passage.span.start);
            left -= cost(&part).min(left);
            packed.push(part);
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stand_at_both_ends() {
        assert_eq!(ContextOrder::Edges.arrange(vec![1, 2, 3, 4, 5]), [1, 3, 5, 4, 2]);
        assert_eq!(ContextOrder::BestFirst.arrange(vec![1, 2, 3]), [1, 2, 3]);
    }
}
