//! Whether and how well a document answers, by the definition.

use pumasi_core::text::Bm25;

use super::index::{Index, Indexed, Place, Postings};
use crate::page::{Explanation, within};
use crate::query::{Leaf, Node, Plan};
use crate::schema::Schema;

pub(super) struct Scorer<'a> {
    schema: &'a Schema,
    index: &'a Index,
    bm25: Bm25,
}

impl<'a> Scorer<'a> {
    pub(super) const fn new(schema: &'a Schema, index: &'a Index, bm25: Bm25) -> Self {
        Self { schema, index, bm25 }
    }

    /// Scores a document; `None` where it does not match.
    pub(super) fn plan(&self, plan: &Plan, indexed: &Indexed) -> Option<f32> {
        if plan.must_not.iter().any(|node| self.node(node, indexed).is_some()) {
            return None;
        }
        let must: Vec<f32> = plan.must.iter().map(|node| self.node(node, indexed)).collect::<Option<_>>()?;
        let should: Vec<f32> = plan.should.iter().filter_map(|node| self.node(node, indexed)).collect();
        if plan.must.is_empty() && should.is_empty() && !plan.should.is_empty() {
            return None;
        }
        Some(must.iter().chain(&should).sum())
    }

    fn node(&self, node: &Node, indexed: &Indexed) -> Option<f32> {
        match node {
            Node::Leaf { leaf, field, boost } => self.leaf(leaf, *field, indexed).map(|score| score * boost),
            Node::Any(nodes) => {
                let scores: Vec<f32> = nodes.iter().filter_map(|node| self.node(node, indexed)).collect();
                (!scores.is_empty()).then(|| scores.iter().sum())
            }
            Node::All(nodes) => {
                let scores: Vec<f32> =
                    nodes.iter().map(|node| self.node(node, indexed)).collect::<Option<_>>()?;
                Some(scores.iter().sum())
            }
        }
    }

    fn leaf(&self, leaf: &Leaf, field: Place, indexed: &Indexed) -> Option<f32> {
        match leaf {
            Leaf::Prefix(key) => {
                let begins = |words: &Vec<String>| words.iter().any(|word| word.starts_with(key));
                field.and_then(|field| indexed.prefixes.get(&field)).is_some_and(begins).then_some(1.0)
            }
            Leaf::Typo(text, distance) => {
                let postings = indexed.terms.get(&field)?;
                postings.positions.keys().any(|term| within(text, term, *distance)).then_some(1.0)
            }
            Leaf::Term(_) | Leaf::Phrase(_) => {
                let score = self.in_place(leaf, field, indexed)?;
                let apart = self.schema.apart().filter(|_| field.is_none());
                let more = apart.filter_map(|(index, text)| {
                    Some((text.boost() - 1.0) * self.in_place(leaf, Some(index), indexed)?)
                });
                Some(score + more.sum::<f32>())
            }
        }
    }

    /// Scores a term or a phrase in one place.
    fn in_place(&self, leaf: &Leaf, place: Place, indexed: &Indexed) -> Option<f32> {
        let postings = indexed.terms.get(&place)?;
        let (frequency, texts) = match leaf {
            Leaf::Term(text) => (postings.positions.get(text)?.len(), vec![text]),
            Leaf::Phrase(terms) => {
                (occurrences(postings, terms)?, terms.iter().map(|(_, text)| text).collect())
            }
            Leaf::Prefix(_) | Leaf::Typo(..) => return None,
        };
        let (documents, mean) = self.index.lengths(place);
        let weights = texts.into_iter().map(|text| Bm25::idf(documents, self.index.containing(place, text)));
        let frequency = u32::try_from(frequency).unwrap_or(u32::MAX);
        Some(weights.sum::<f32>() * self.bm25.document_weight(frequency, postings.length, mean))
    }

    /// Says what each part of the plan adds.
    pub(super) fn explain(&self, plan: &Plan, indexed: &Indexed) -> Vec<Explanation> {
        let nodes = plan.must.iter().chain(&plan.should);
        nodes.filter_map(|node| self.explain_node(node, indexed)).collect()
    }

    fn explain_node(&self, node: &Node, indexed: &Indexed) -> Option<Explanation> {
        match node {
            Node::Leaf { leaf, .. } => Some(Explanation::new(leaf.to_string(), self.node(node, indexed)?)),
            Node::Any(nodes) | Node::All(nodes) => {
                self.node(node, indexed)?;
                let parts = nodes.iter().filter_map(|node| self.explain_node(node, indexed)).collect();
                Some(Explanation::sum("sum of", parts))
            }
        }
    }
}

/// How often the terms of a phrase stand as far from each other as they should; `None` for not at all.
fn occurrences(postings: &Postings, terms: &[(u32, String)]) -> Option<usize> {
    let (_, first) = terms.first()?;
    let starts = postings.positions.get(first)?;
    let mut starts: Vec<u32> = starts.clone();
    starts.dedup();
    let holds = |start: &&u32| {
        terms.iter().all(|(offset, text)| {
            postings
                .positions
                .get(text)
                .is_some_and(|places| places.binary_search(&start.saturating_add(*offset)).is_ok())
        })
    };
    let count = starts.iter().filter(holds).count();
    (count > 0).then_some(count)
}
