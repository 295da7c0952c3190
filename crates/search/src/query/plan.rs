//! A query as terms: what every engine looks up, so that all find the same documents.

use std::collections::{BTreeSet, HashMap};

use pumasi_core::text::TokenKind;

use super::parse::{Kind, Occur, Piece, parse, words};
use super::{MAX_TERMS, Matching, Query};
use crate::schema::Schema;
use crate::terms::{Term, analyze, prefix_key};

/// How much a word with a typo counts.
const TYPO_BOOST: f32 = 0.5;

/// What no analyzer makes of any text.
const NO_TERM: &str = "!";

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Leaf {
    /// Documents that have the term.
    Term(String),
    /// Documents that have the terms, each so many places behind the first.
    Phrase(Vec<(u32, String)>),
    /// Documents with a word that begins so; keys as `terms::prefix` makes them.
    Prefix(String),
    /// Documents that have a term at most so many edits away; a swap of neighbours is one edit.
    Typo(String, u8),
}

impl std::fmt::Display for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Term(text) => write!(f, "term {text}"),
            Self::Phrase(terms) => {
                f.write_str("phrase")?;
                terms.iter().try_for_each(|(_, text)| write!(f, " {text}"))
            }
            Self::Prefix(key) => write!(f, "beginning {key}"),
            Self::Typo(text, distance) => write!(f, "term like {text} ({distance})"),
        }
    }
}

/// A condition on a document's terms, which also scores.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// One look-up, in a field that is kept apart or in the whole document, and how much it counts.
    Leaf { leaf: Leaf, field: Option<usize>, boost: f32 },
    /// One of several; the scores of those that hold add up.
    Any(Vec<Node>),
    /// All of several; the scores add up.
    All(Vec<Node>),
}

/// What a query asks of the documents' text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// All of which must hold.
    pub(crate) must: Vec<Node>,
    /// One of which must hold where nothing else must; they score.
    pub(crate) should: Vec<Node>,
    /// None of which may hold.
    pub(crate) must_not: Vec<Node>,
    /// Whether the text had more terms than are looked up.
    pub(crate) cut: bool,
}

impl Plan {
    /// Reads what somebody typed.
    pub(crate) fn of(schema: &Schema, query: &Query) -> Self {
        let pieces = if query.verbatim { words(&query.text) } else { parse(schema, &query.text) };
        let unfinished = query.is_unfinished();
        let mut analyzed: Vec<Vec<Term>> = pieces.iter().map(|piece| analyze(schema, piece.text)).collect();
        let cut = shorten(&mut analyzed);
        let builder = Builder { schema, query };
        let count = pieces.len();
        let meaningful = analyzed.iter().any(|terms| !only_stops(terms));
        let mut plan = Self { cut, ..Self::default() };
        let mut groups: Vec<(Occur, Vec<Node>)> = Vec::new();
        for (index, (piece, terms)) in pieces.iter().zip(&analyzed).enumerate() {
            // what is left out is left out once it is written: the beginning of a word would leave out too much
            let last =
                unfinished && index + 1 == count && piece.kind == Kind::Word && piece.occur != Occur::Not;
            // function words count only where there is nothing else
            if piece.kind == Kind::Word && !last && meaningful && only_stops(terms) {
                continue;
            }
            let Some(node) = builder.piece(piece, terms, last) else { continue };
            match piece.occur {
                Occur::Not => plan.must_not.push(node),
                _ if piece.or && !groups.is_empty() => {
                    if let Some((_, alternatives)) = groups.last_mut() {
                        alternatives.push(node);
                    }
                }
                occur => {
                    let occur = if piece.kind == Kind::Phrase { Occur::Must } else { occur };
                    groups.push((occur, vec![node]));
                }
            }
        }
        for (occur, mut alternatives) in groups {
            let single = alternatives.len() == 1;
            let node = match alternatives.pop() {
                Some(node) if single => node,
                Some(node) => {
                    alternatives.push(node);
                    Node::Any(alternatives)
                }
                None => continue,
            };
            if occur == Occur::Must || query.matching == Matching::All {
                plan.must.push(node);
            } else {
                plan.should.push(node);
            }
        }
        plan.flatten();
        if plan == Self::default() && !query.text.trim().is_empty() {
            // what was typed has no term: nothing has it
            plan.must.push(Node::Leaf { leaf: Leaf::Term(NO_TERM.to_owned()), field: None, boost: 1.0 });
        }
        plan
    }

    /// Tells whether it asks nothing of the text.
    #[cfg(feature = "embedded")]
    pub(crate) fn is_empty(&self) -> bool {
        self.must.is_empty() && self.should.is_empty() && self.must_not.is_empty()
    }

    /// Returns what is looked for, for marking it in the hits.
    pub(crate) fn leaves(&self) -> BTreeSet<&Leaf> {
        let mut leaves = BTreeSet::new();
        let mut open: Vec<&Node> = self.must.iter().chain(&self.should).collect();
        while let Some(node) = open.pop() {
            match node {
                Node::Leaf { leaf, .. } => {
                    leaves.insert(leaf);
                }
                Node::Any(nodes) | Node::All(nodes) => open.extend(nodes),
            }
        }
        leaves
    }

    /// Brings what one of several words would do into one row, and looks each term up once.
    fn flatten(&mut self) {
        let mut row: Vec<Node> = Vec::new();
        let mut open: Vec<Node> = std::mem::take(&mut self.should);
        open.reverse();
        while let Some(node) = open.pop() {
            match node {
                Node::Any(nodes) => open.extend(nodes.into_iter().rev()),
                other => row.push(other),
            }
        }
        self.should = merged(row);
    }
}

/// Cuts behind the terms that are looked up, and tells whether there were more. A piece without terms counts as one.
fn shorten(pieces: &mut Vec<Vec<Term>>) -> bool {
    let mut left = MAX_TERMS;
    for (place, terms) in pieces.iter_mut().enumerate() {
        if terms.len() > left || left == 0 {
            terms.truncate(left);
            pieces.truncate(if left == 0 { place } else { place + 1 });
            return true;
        }
        left = left.saturating_sub(terms.len().max(1));
    }
    false
}

/// Looks up once what is looked up several times; it counts as often.
fn merged(nodes: impl IntoIterator<Item = Node>) -> Vec<Node> {
    let mut places: HashMap<(Leaf, Option<usize>), usize> = HashMap::new();
    let mut row: Vec<Node> = Vec::new();
    for node in nodes {
        let Node::Leaf { leaf, field, boost } = &node else {
            row.push(node);
            continue;
        };
        let place = *places.entry((leaf.clone(), *field)).or_insert(row.len());
        match row.get_mut(place) {
            Some(Node::Leaf { boost: known, .. }) => *known += boost,
            _ => row.push(node),
        }
    }
    row
}

/// Tells whether a text, taken apart, is nothing but function words.
fn only_stops(terms: &[Term]) -> bool {
    terms.iter().all(|term| term.kind == TokenKind::Stop)
}

struct Builder<'a> {
    schema: &'a Schema,
    query: &'a Query,
}

impl Builder<'_> {
    /// Makes a piece a condition; `None` where it has no terms.
    fn piece(&self, piece: &Piece<'_>, terms: &[Term], unfinished: bool) -> Option<Node> {
        let field = piece.field;
        match piece.kind {
            Kind::Phrase => phrase(terms, field),
            Kind::Prefix => {
                let prefix = self.prefix(piece.text, field);
                prefix.or_else(|| self.word(piece, terms))
            }
            Kind::Word if unfinished => match (self.word(piece, terms), self.prefix(piece.text, field)) {
                (Some(word), Some(prefix)) => Some(Node::Any(vec![word, prefix])),
                (word, prefix) => word.or(prefix),
            },
            Kind::Word => self.word(piece, terms),
        }
    }

    fn prefix(&self, text: &str, field: Option<usize>) -> Option<Node> {
        let key = prefix_key(text);
        let fields = self.schema.texts().iter().enumerate();
        let mut nodes: Vec<Node> = fields
            .filter(|(index, text)| text.has_prefixes() && field.is_none_or(|field| field == *index))
            .filter(|_| !key.is_empty())
            .map(|(index, text)| Node::Leaf {
                leaf: Leaf::Prefix(key.clone()),
                field: Some(index),
                boost: text.boost(),
            })
            .collect();
        if nodes.len() > 1 { Some(Node::Any(nodes)) } else { nodes.pop() }
    }

    /// Makes a word a condition. Where one term will do, all of its terms are looked up; where it must be there, its stem
    /// or every one of those that follow each other.
    fn word(&self, piece: &Piece<'_>, terms: &[Term]) -> Option<Node> {
        let leaf =
            |term: &Term| Node::Leaf { leaf: Leaf::Term(term.text.clone()), field: piece.field, boost: 1.0 };
        if terms.is_empty() {
            return None;
        }
        let strict = self.query.matching == Matching::All || piece.occur != Occur::Plain;
        if !strict {
            let typos = terms.iter().filter_map(|term| self.typo(term, piece.field));
            return Some(Node::Any(terms.iter().map(leaf).chain(typos).collect()));
        }
        let mut units: Vec<Node> = Vec::new();
        for unit in units_of(terms) {
            let mut chained = merged(unit.iter().filter(|term| term.chained).map(leaf));
            let beside = unit.iter().filter(|term| !term.chained);
            let mut ways: Vec<Node> = beside.clone().map(leaf).collect();
            match chained.len() {
                0 => {}
                1 => ways.extend(chained.pop()),
                _ => ways.push(Node::All(chained)),
            }
            ways.extend(unit.iter().filter_map(|term| self.typo(term, piece.field)));
            units.push(if ways.len() == 1 { ways.swap_remove(0) } else { Node::Any(ways) });
        }
        let mut units = merged(units);
        if units.len() == 1 { units.pop() } else { Some(Node::All(units)) }
    }

    fn typo(&self, term: &Term, field: Option<usize>) -> Option<Node> {
        if !self.query.typos || term.text.chars().any(|c| c.is_ascii_digit()) {
            return None;
        }
        let letters = term.text.chars().count();
        // syllables of two to four letters each
        let letters = if term.text.is_ascii() { letters } else { letters.saturating_mul(4) / 3 };
        let distance = match letters {
            0..4 => return None,
            4..8 => 1,
            _ => 2,
        };
        Some(Node::Leaf { leaf: Leaf::Typo(term.text.clone(), distance), field, boost: TYPO_BOOST })
    }
}

/// Cuts a word's terms where a new one begins: at each new place but those of one run's bigrams.
fn units_of(terms: &[Term]) -> Vec<&[Term]> {
    terms
        .chunk_by(|before, term| {
            let run = before.kind == TokenKind::Bigram && term.kind == TokenKind::Bigram;
            before.position == term.position || run
        })
        .collect()
}

fn phrase(terms: &[Term], field: Option<usize>) -> Option<Node> {
    let chain: Vec<&Term> = terms.iter().filter(|term| term.chained).collect();
    let first = chain.first()?;
    let leaf = match chain.len() {
        1 => Leaf::Term(first.text.clone()),
        _ => Leaf::Phrase(
            chain
                .iter()
                .map(|term| (term.position.saturating_sub(first.position), term.text.clone()))
                .collect(),
        ),
    };
    Some(Node::Leaf { leaf, field, boost: 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TextField;

    fn plan(query: &Query) -> Plan {
        Plan::of(&Schema::new("posts").with_text(TextField::new("title").with_prefixes()), query)
    }

    fn term(text: &str) -> Node {
        Node::Leaf { leaf: Leaf::Term(text.to_owned()), field: None, boost: 1.0 }
    }

    #[test]
    fn any_word_will_do_and_each_term_is_looked_up_once() {
        let plan = plan(&Query::new("러닝 러닝크루"));
        let looked: Vec<_> = plan
            .should
            .iter()
            .filter_map(|node| match node {
                Node::Leaf { leaf: Leaf::Term(text), boost, .. } => Some((text.as_str(), *boost)),
                _ => None,
            })
            .collect();
        assert_eq!(looked, [("러닝", 3.0), ("러닝크루", 1.0), ("닝크", 1.0), ("크루", 1.0)]);
    }

    #[test]
    fn where_all_are_wanted_a_stem_or_its_whole_chain_will_do() {
        let plan = plan(&Query::new("러닝크루 the").with_matching(Matching::All));
        let chain = Node::All(vec![term("러닝"), term("닝크"), term("크루")]);
        assert_eq!(plan.must, [Node::Any(vec![term("러닝크루"), chain])]);
    }

    #[test]
    fn phrases_must_hold_and_function_words_keep_their_place() {
        let plan = plan(&Query::new("\"end of the run\" fun"));
        let phrase = Leaf::Phrase(vec![(0, "end".to_owned()), (3, "run".to_owned())]);
        assert_eq!(plan.must, [Node::Leaf { leaf: phrase, field: None, boost: 1.0 }]);
        assert_eq!(plan.should, [term("fun")]);
    }

    #[test]
    fn an_unfinished_word_is_a_beginning_too() {
        let looks = |query: &Query| plan(query).leaves().iter().any(|leaf| matches!(leaf, Leaf::Prefix(_)));
        assert!(looks(&Query::new("한강 러닝ㅋ").as_you_type()));
        assert!(!looks(&Query::new("한강 러닝 ").as_you_type()));
        assert!(looks(&Query::new("mara*")));
    }

    #[test]
    fn of_a_long_text_the_first_terms_are_looked_up() {
        let letter = |n: u32| char::from_u32(u32::from('a') + n % 16).unwrap_or('a');
        let word = |n: u32| format!("{}{}{}z", letter(n / 256), letter(n / 16), letter(n));
        let words = |count: usize| (0..).take(count).map(word).collect::<Vec<_>>().join(" ");
        let whole = plan(&Query::new(words(MAX_TERMS)));
        assert!(!whole.cut && whole.should.len() == MAX_TERMS);
        let cut = plan(&Query::new(words(MAX_TERMS + 1)));
        assert!(cut.cut && cut.should == whole.should);
        let one: String = (0..5_400_u32).filter_map(|n| char::from_u32(0xAC00 + n * 31 % 11_172)).collect();
        for query in [Query::new(one.as_str()), Query::new(format!("\"{one}\""))] {
            for matching in [Matching::Any, Matching::All] {
                let plan = plan(&query.clone().with_matching(matching));
                let terms = |leaf: &&Leaf| if let Leaf::Phrase(terms) = leaf { terms.len() } else { 1 };
                assert!(plan.cut && plan.leaves().iter().map(terms).sum::<usize>() <= MAX_TERMS);
            }
        }
    }

    #[test]
    fn function_words_count_where_there_is_nothing_else() {
        assert_eq!(plan(&Query::new("the of")).should.len(), 2);
        assert_eq!(plan(&Query::new("the run")).should, [term("run")]);
        assert_eq!(plan(&Query::new("+IT 모임")).must, [term("it")]);
    }

    #[test]
    fn an_exclusion_that_is_typed_leaves_out_no_beginnings() {
        for typed in ["러닝 -ㅁ", "러닝 -모", "러닝 -모집"] {
            let query = Query::new(typed);
            assert_eq!(plan(&query.clone().as_you_type()), plan(&query), "{typed}");
        }
        assert_eq!(plan(&Query::new("러닝 -").as_you_type()), plan(&Query::new("러닝 ")));
    }

    #[test]
    fn a_text_without_terms_finds_nothing_and_no_text_everything() {
        for text in [" ... ", "!!!", "#", "\"\"", "+!!!"] {
            assert_eq!(plan(&Query::new(text)).must, [term(NO_TERM)], "{text}");
        }
        assert_eq!(plan(&Query::new(" ... ").as_you_type()).must, [term(NO_TERM)]);
        assert_eq!(plan(&Query::new("  ")), Plan::default());
        assert!(plan(&Query::new("-광고")).must.is_empty());
    }
}
