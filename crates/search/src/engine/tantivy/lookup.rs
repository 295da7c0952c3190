//! A plan as a query of the index.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, FuzzyTermQuery, InvertedIndexRangeQuery, Occur,
    PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::fields::Fields;
use super::filter::Lowering;
use crate::query::{Leaf, Node, Plan};
use crate::schema::Schema;

type Boxed = Box<dyn Query>;

pub(super) struct Lookup<'a> {
    pub(super) schema: &'a Schema,
    pub(super) fields: &'a Fields,
}

impl Lookup<'_> {
    /// What the plan finds, scored; everything, scored zero, where it looks for nothing.
    pub(super) fn plan(&self, plan: &Plan, lowering: &Lowering<'_>) -> Boxed {
        let mut clauses: Vec<(Occur, Boxed)> = Vec::new();
        clauses.extend(plan.must.iter().map(|node| (Occur::Must, self.node(node))));
        let mut row = Vec::new();
        plan.should.iter().for_each(|node| self.row(node, 1.0, &mut row));
        if plan.must.is_empty() && plan.should.is_empty() {
            let everything = ConstScoreQuery::new(lowering.everything(), 0.0);
            clauses.push((Occur::Must, Box::new(everything)));
        }
        clauses.extend(row.into_iter().map(|query| (Occur::Should, query)));
        clauses.extend(plan.must_not.iter().map(|node| (Occur::MustNot, self.node(node))));
        match clauses.len() {
            1 if plan.must_not.is_empty() => clauses.swap_remove(0).1,
            _ => Box::new(BooleanQuery::new(clauses)),
        }
    }

    fn node(&self, node: &Node) -> Boxed {
        if let Node::All(nodes) = node {
            return Box::new(BooleanQuery::intersection(nodes.iter().map(|node| self.node(node)).collect()));
        }
        let mut row = Vec::new();
        self.row(node, 1.0, &mut row);
        if row.len() == 1 { row.swap_remove(0) } else { Box::new(BooleanQuery::union(row)) }
    }

    /// Appends queries of which one must hold, and whose scores add up: flat, so that the index can skip what cannot win.
    fn row(&self, node: &Node, boost: f32, row: &mut Vec<Boxed>) {
        match node {
            Node::All(_) => row.push(boosted(self.node(node), boost)),
            Node::Any(nodes) => nodes.iter().for_each(|node| self.row(node, boost, row)),
            Node::Leaf { leaf, field, boost: own } => {
                let boost = boost * own;
                row.push(boosted(self.leaf(leaf, *field), boost));
                if field.is_none() && matches!(leaf, Leaf::Term(_) | Leaf::Phrase(_)) {
                    for (index, text) in self.schema.apart().filter(|(_, text)| text.boost() > 1.0) {
                        row.push(boosted(self.leaf(leaf, Some(index)), boost * (text.boost() - 1.0)));
                    }
                }
            }
        }
    }

    fn leaf(&self, leaf: &Leaf, place: Option<usize>) -> Boxed {
        let field = self.fields.terms(place);
        match leaf {
            Leaf::Term(text) => {
                Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::WithFreqs))
            }
            Leaf::Phrase(terms) if terms.len() > 1 => {
                let terms =
                    terms.iter().map(|(offset, text)| (*offset as usize, Term::from_field_text(field, text)));
                Box::new(PhraseQuery::new_with_offset(terms.collect()))
            }
            Leaf::Phrase(_) => Box::new(EmptyQuery),
            Leaf::Prefix(key) => match self.fields.prefixes(place) {
                Some(field) => begins(field, key),
                None => Box::new(EmptyQuery),
            },
            Leaf::Typo(text, distance) => {
                let query = FuzzyTermQuery::new(Term::from_field_text(field, text), *distance, true);
                Box::new(ConstScoreQuery::new(Box::new(query), 1.0))
            }
        }
    }
}

/// Documents with a term that begins so.
fn begins(field: Field, key: &str) -> Boxed {
    let end = format!("{key}{}", char::MAX);
    let from = Bound::Included(Term::from_field_text(field, key));
    let to = Bound::Excluded(Term::from_field_text(field, &end));
    Box::new(ConstScoreQuery::new(Box::new(InvertedIndexRangeQuery::new(from, to)), 1.0))
}

fn boosted(query: Boxed, boost: f32) -> Boxed {
    if (boost - 1.0).abs() < f32::EPSILON { query } else { Box::new(BoostQuery::new(query, boost)) }
}
