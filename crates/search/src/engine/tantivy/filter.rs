//! A filter as a query of the index: the records of which it is true, or those of which it is false.

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;

use pumasi_core::filter::{Bounds, Circle, Datum, FieldPath, Filter, GeoPoint, Record, Value};
use pumasi_core::time::Timestamp;
use tantivy::query::doc_predicate_query::{DocPredicateQuery, FunctionPredicate};
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, FastFieldRangeQuery, Occur, Query, TermQuery, TermSetQuery,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, SegmentReader, Term};

use super::columns::Columns;
use super::fields::{Column, Fields, LIVE};
use super::geo::cells;
use super::within::Within;
use crate::schema::FieldKind;

type Boxed = Box<dyn Query>;

/// Turns filters into queries. A record of which a filter is unknown is in neither half, as in the reference.
pub(super) struct Lowering<'a> {
    pub(super) fields: &'a Fields,
    pub(super) columns: &'a Arc<Columns>,
}

/// A record of one field, for asking the reference.
struct Single<'a>(Datum<'a>);

impl Record for Single<'_> {
    fn field(&self, _: &FieldPath) -> Datum<'_> {
        self.0.clone()
    }
}

pub(super) fn term(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn all_of(queries: Vec<Boxed>) -> Boxed {
    Box::new(BooleanQuery::intersection(queries))
}

fn any_of(mut queries: Vec<Boxed>) -> Boxed {
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.swap_remove(0),
        _ => Box::new(BooleanQuery::union(queries)),
    }
}

fn without(base: Boxed, excluded: Boxed) -> Boxed {
    Box::new(BooleanQuery::new(vec![(Occur::Must, base), (Occur::MustNot, excluded)]))
}

fn predicate<S>(make: impl Fn(&SegmentReader) -> tantivy::Result<S> + Send + Sync + 'static) -> Boxed
where
    S: Fn(DocId) -> bool + Send + Sync + 'static,
{
    Box::new(DocPredicateQuery::from(FunctionPredicate::from(make)))
}

impl Lowering<'_> {
    /// Every document that can be found.
    pub(super) fn everything(&self) -> Boxed {
        // nothing may find what was deleted
        if self.columns.gone {
            term(Term::from_field_u64(self.fields.state, LIVE))
        } else {
            Box::new(AllQuery)
        }
    }

    fn present(&self, path: &FieldPath) -> Boxed {
        term(Term::from_field_text(self.fields.present, path.as_str()))
    }

    /// The records of which `filter` is true (or false).
    pub(super) fn lower(&self, filter: &Filter, truth: bool) -> Boxed {
        match filter {
            Filter::And(children) => self.join(children, truth, truth),
            Filter::Or(children) => self.join(children, truth, !truth),
            Filter::Not(inner) => self.lower(inner, !truth),
            leaf => match leaf.field().and_then(|path| self.fields.column(path)) {
                Some(column) => self.leaf(leaf, column, truth),
                // filters were checked against the schema
                None => Box::new(EmptyQuery),
            },
        }
    }

    fn join(&self, children: &[Filter], truth: bool, all: bool) -> Boxed {
        let mut queries: Vec<Boxed> = children.iter().map(|child| self.lower(child, truth)).collect();
        match (queries.len(), all) {
            (0, true) => self.everything(),
            (1, _) => queries.swap_remove(0),
            (_, true) => all_of(queries),
            (_, false) => any_of(queries),
        }
    }

    fn leaf(&self, leaf: &Filter, column: &Column, truth: bool) -> Boxed {
        if let Filter::Exists { field } = leaf {
            return if truth { self.present(field) } else { without(self.everything(), self.present(field)) };
        }
        if let Filter::In { values, .. } = leaf
            && values.is_empty()
        {
            return if truth { Box::new(EmptyQuery) } else { self.everything() };
        }
        let holds: Boxed = match (column.kind, leaf) {
            (FieldKind::Keyword, Filter::Contains { value: Value::Text(part), .. }) => {
                substring(column, part)
            }
            (FieldKind::Keyword | FieldKind::Keywords, _) => keywords(column, leaf),
            (FieldKind::Place, Filter::Near { circle, .. }) => near(column, *circle, self.columns),
            (FieldKind::Bool | FieldKind::Int | FieldKind::Time, _) => match range(column, leaf) {
                Some(range) => range,
                None => return by_reference(leaf, column, truth),
            },
            _ => return by_reference(leaf, column, truth),
        };
        if truth { holds } else { without(self.present(&column.path), holds) }
    }
}

/// Documents with one of the values that the leaf names.
fn keywords(column: &Column, leaf: &Filter) -> Boxed {
    let text = |value: &Value| match value {
        Value::Text(text) => Some(Term::from_field_text(column.field(), text)),
        _ => None,
    };
    match leaf {
        Filter::Eq { value, .. } | Filter::Contains { value, .. } => {
            text(value).map_or_else(|| Box::new(EmptyQuery) as Boxed, term)
        }
        Filter::In { values, .. } => Box::new(TermSetQuery::new(values.iter().filter_map(text))),
        Filter::Range { bounds, .. } => string_range(column, bounds),
        _ => Box::new(EmptyQuery),
    }
}

fn string_range(column: &Column, bounds: &Bounds) -> Boxed {
    let end = |end: Option<(&Value, bool)>| match end {
        Some((Value::Text(text), inclusive)) => {
            let term = Term::from_field_text(column.field(), text);
            if inclusive { Bound::Included(term) } else { Bound::Excluded(term) }
        }
        _ => Bound::Unbounded,
    };
    Box::new(tantivy::query::InvertedIndexRangeQuery::new(end(bounds.low()), end(bounds.high())))
}

/// Documents whose keyword has a text in it: looks at each distinct value of a segment once.
fn substring(column: &Column, part: &str) -> Boxed {
    let (name, part) = (column.name.clone(), part.to_owned());
    predicate(move |reader| {
        let mut matching: HashSet<u64> = HashSet::new();
        let values = reader.fast_fields().str(&name)?;
        if let Some(values) = &values {
            let mut stream = values.dictionary().stream()?;
            while stream.advance() {
                if memchr_find(stream.key(), part.as_bytes()) {
                    matching.insert(stream.term_ord());
                }
            }
        }
        let ords = values.map(|values| values.into_parts().1);
        Ok(move |doc| {
            ords.as_ref().and_then(|ords| ords.first(doc)).is_some_and(|ord| matching.contains(&ord))
        })
    })
}

/// Strings are UTF-8, where a part of bytes is a part of text.
fn memchr_find(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

/// Documents whose whole number, truth value or moment lies within what the leaf says; `None` where the values are decimal.
fn range(column: &Column, leaf: &Filter) -> Option<Boxed> {
    let number = |value: &Value| match value {
        Value::Bool(value) => Some(i128::from(*value)),
        Value::Int(value) => Some(*value),
        Value::Time(value) => Some(i128::from(value.as_micros())),
        _ => None,
    };
    let within = |low: i128, high: i128| -> Boxed {
        let ends = (low.max(i128::from(i64::MIN)), high.min(i128::from(i64::MAX)));
        let (Ok(low), Ok(high)) = (i64::try_from(ends.0), i64::try_from(ends.1)) else {
            return Box::new(EmptyQuery);
        };
        if low > high {
            return Box::new(EmptyQuery);
        }
        let term = |value| Bound::Included(Term::from_field_i64(column.field(), value));
        Box::new(FastFieldRangeQuery::new(term(low), term(high)))
    };
    match leaf {
        Filter::Eq { value, .. } => number(value).map(|value| within(value, value)),
        Filter::In { values, .. } => {
            let values: Vec<i128> = values.iter().map(number).collect::<Option<_>>()?;
            Some(any_of(values.into_iter().map(|value| within(value, value)).collect()))
        }
        Filter::Range { bounds, .. } => {
            let low = match bounds.low() {
                Some((value, inclusive)) => number(value)?.saturating_add(i128::from(!inclusive)),
                None => i128::MIN,
            };
            let high = match bounds.high() {
                Some((value, inclusive)) => number(value)?.saturating_sub(i128::from(!inclusive)),
                None => i128::MAX,
            };
            Some(within(low, high))
        }
        _ => None,
    }
}

/// Documents of whose number the reference says so.
fn by_reference(leaf: &Filter, column: &Column, truth: bool) -> Boxed {
    let (leaf, name, kind) = (leaf.clone(), column.name.clone(), column.kind);
    let agrees = move |datum: Datum<'_>| {
        let said = leaf.evaluate(&Single(datum));
        said == truth.into()
    };
    if kind == FieldKind::Float {
        return predicate(move |reader| {
            let (values, agrees) = (reader.fast_fields().f64(&name)?, agrees.clone());
            Ok(move |doc| values.first(doc).is_some_and(|value| agrees(Datum::Float(value))))
        });
    }
    predicate(move |reader| {
        let (values, agrees) = (reader.fast_fields().i64(&name)?, agrees.clone());
        Ok(move |doc| {
            values.first(doc).is_some_and(|value| match kind {
                FieldKind::Bool => agrees(Datum::Bool(value != 0)),
                FieldKind::Time => agrees(Datum::Time(Timestamp::from_micros(value))),
                _ => agrees(Datum::Int(value.into())),
            })
        })
    })
}

fn near(column: &Column, circle: Circle, columns: &Arc<Columns>) -> Boxed {
    if let (Some(cells), Some(field)) = (cells(circle), column.cells()) {
        return Box::new(Within::new(circle, cells, field, column, Arc::clone(columns)));
    }
    let (north, east) = (column.name.clone(), column.east());
    predicate(move |reader| {
        let (north, east) = (reader.fast_fields().f64(&north)?, reader.fast_fields().f64(&east)?);
        Ok(move |doc| match (north.first(doc), east.first(doc)) {
            (Some(lat), Some(lon)) => circle.holds(GeoPoint::new(lat, lon)),
            _ => false,
        })
    })
}
