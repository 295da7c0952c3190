//! What was handed out of a list, and how it compares with what the whole answer says.

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use super::{Item, ItemEvent, Stream};
use crate::error::ErrorKind;
use crate::parse::{Listed, Parser, is_explicit, rank};
use crate::syntax::{Candidate, Document, Origin};
use crate::tree::{Kind, Span};

/// Is an item that was handed out.
#[derive(Clone, Copy, Debug)]
struct Given {
    candidate: usize,
    span: Span,
    /// It fitted.
    good: bool,
}

/// Is what was handed out so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    items: Vec<Given>,
    /// The values of which items were handed out, and where each begins.
    values: Vec<(usize, usize)>,
    /// The value that began last.
    started: (usize, usize),
    /// How many values were retracted: all that stood before the end of a reasoning block.
    retracted: usize,
}

impl Told {
    pub(super) fn started(&mut self, candidate: usize, at: usize) {
        self.started = (candidate, at);
    }

    pub(super) fn give(&mut self, candidate: usize, span: Span, good: bool) {
        if self.values.last().is_none_or(|(number, _)| *number != candidate) {
            let (number, at) = self.started;
            self.values.push((candidate, if number == candidate { at } else { span.start }));
        }
        self.items.push(Given { candidate, span, good });
    }

    /// Notes that a value was retracted; tells whether items of it had been handed out.
    pub(super) fn retract(&mut self, candidate: usize) -> bool {
        let known = self.values.binary_search_by_key(&candidate, |(number, _)| *number).is_ok();
        if known {
            self.retracted = candidate + 1;
            self.items.retain(|item| item.candidate > candidate);
        }
        known
    }

    /// Compares what was handed out with what the whole answer says, and makes up the difference.
    pub(super) fn settle<T: DeserializeOwned>(
        &mut self,
        stream: &Stream,
        parser: &Parser<T>,
        field: Option<&str>,
        events: &mut Vec<ItemEvent<T>>,
    ) {
        let document = stream.snapshot();
        self.values.retain(|(number, _)| *number >= self.retracted);
        if self.is_all(&document, stream.text(), field) {
            return;
        }
        let whole = parser.schema().map(|schema| schema.listed(field));
        let listed = whole
            .as_ref()
            .filter(|_| !stream.is_stopped())
            .map(|whole| parser.list(stream.text(), &document, whole, field));
        let error = match listed {
            Some(Ok(listed)) => return self.follow(&listed, parser, events),
            Some(Err(error)) => Some(error),
            None => None,
        };
        // Of what nothing tells apart, all stays.
        if error.as_ref().is_none_or(|error| error.kind() != ErrorKind::Ambiguous) {
            self.outdone(&document, events);
        }
        events.extend(error.map(ItemEvent::Failed));
    }

    /// Tells whether every item of the answer was handed out, at a glance: there is one list and nothing else, or nothing but
    /// values in a row, and no words speak for or against it.
    fn is_all(&self, document: &Document, text: &str, field: Option<&str>) -> bool {
        let tree = document.tree();
        let plain = |candidate: &&Candidate| {
            !candidate.is_thinking() && !matches!(candidate.origin(), Origin::Text | Origin::Sequence)
        };
        let mut values = 0;
        for candidate in document.candidates().iter().filter(plain) {
            let given = self.values.get(values).is_some_and(|(_, at)| *at == candidate.span().start);
            let direct = match (tree.node(candidate.root()).kind(), field) {
                (Kind::Array, None) => true,
                (Kind::Object, None) => self.items.get(values).is_some_and(|item| {
                    item.good && item.span == candidate.span() && self.items.len() == self.values.len()
                }),
                (Kind::Object, Some(field)) => {
                    let mut fields = tree.children(candidate.root());
                    let first = fields.next();
                    fields.next().is_none()
                        && first.is_some_and(|list| {
                            tree.node(list).kind() == Kind::Array && tree.key(list, text) == Some(field)
                        })
                }
                _ => false,
            };
            if !given || !direct || !is_explicit(candidate) || rank(candidate) != 2 || candidate.operand {
                return false;
            }
            values += 1;
        }
        let rows = field.is_none() && self.items.len() == self.values.len();
        values == self.values.len() && values > 0 && (values == 1 || rows)
    }

    /// Hands out what was read and not told, and takes back what was told and not read.
    fn follow<T: DeserializeOwned>(
        &mut self,
        listed: &Listed<'_>,
        parser: &Parser<T>,
        events: &mut Vec<ItemEvent<T>>,
    ) {
        let read: Vec<(usize, Span)> = listed
            .spans()
            .enumerate()
            .filter(|(_, (_, complete))| *complete)
            .map(|(at, (span, _))| (at, span))
            .collect();
        let mut sorted: Vec<Span> = read.iter().map(|(_, span)| *span).collect();
        sorted.sort_unstable_by_key(|span| (span.start, span.end));
        let lives = |given: &Given| {
            let next = sorted.get(sorted.partition_point(|span| span.start < given.span.start));
            next.is_some_and(|span| given.span.contains(*span))
        };
        let live: Vec<usize> =
            self.items.iter().filter(|item| lives(item)).map(|item| item.candidate).collect();
        let dead = |number: &usize| live.binary_search(number).is_err();
        for (candidate, _) in self.values.iter().filter(|(number, _)| dead(number)) {
            events.push(ItemEvent::Retracted { candidate: *candidate });
        }
        self.values.retain(|(number, _)| !dead(number));
        self.items.retain(|item| !dead(&item.candidate));
        // What was left out as unfit was handed out as such.
        let left_out = |given: &Given| !given.good && !lives(given);
        let told: Vec<Given> = self.items.iter().copied().filter(|item| !left_out(item)).collect();
        let same = |(at, given): (usize, &Given)| {
            read.get(at).is_some_and(|(number, span)| {
                given.span.contains(*span)
                    && read.get(at + 1).is_none_or(|(_, next)| !given.span.contains(*next))
                    && (given.good || !listed.fits(*number))
            })
        };
        let mut from = told.len();
        let mut candidate = told.last().map(|given| given.candidate);
        if !told.iter().enumerate().all(same) {
            for (candidate, _) in &self.values {
                events.push(ItemEvent::Retracted { candidate: *candidate });
            }
            (from, candidate) = (0, None);
        }
        let candidate = candidate.unwrap_or(self.started.0 + 1);
        for (at, span) in read.get(from..).unwrap_or(&[]) {
            let outcome = listed.item(*at, parser.policy());
            events.push(ItemEvent::Completed(Item {
                candidate,
                path: listed.path(*at),
                span: *span,
                outcome,
            }));
        }
    }

    /// Takes back the values whose words around them speak against them, or for another one.
    fn outdone<T>(&self, document: &Document, events: &mut Vec<ItemEvent<T>>) {
        let ranks: HashMap<usize, u8> = document
            .candidates()
            .iter()
            .filter(|candidate| is_explicit(candidate))
            .map(|candidate| (candidate.span().start, rank(candidate)))
            .collect();
        let rank = |at: usize| ranks.get(&at).copied().unwrap_or(2);
        let best = self.values.iter().map(|(_, at)| rank(*at)).max().unwrap_or(0).max(1);
        let outdone = self.values.iter().filter(|(_, at)| rank(*at) < best);
        events.extend(outdone.map(|(candidate, _)| ItemEvent::Retracted { candidate: *candidate }));
    }
}
