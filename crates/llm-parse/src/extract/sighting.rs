//! What is seen of an answer while the model still writes it.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::form::WRAPPER;
use crate::Path;
use crate::stream::{Event, Stream};

/// A part of an answer, seen while the model still writes it: for a page that fills as one watches.
///
/// It is provisional. It has the shape that the model gave it, was not checked against the schema, the source or a
/// validator, and may be missing from the [`Extraction`](super::Extraction) in the end. `Debug` shows its place, never its
/// value.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Sighting {
    /// A field or a list item is complete.
    Part {
        /// Which part of a long source is being asked about, from 0.
        chunk: Option<usize>,
        /// Where in the value, as a JSON Pointer.
        path: String,
        /// What the model wrote.
        value: Value,
    },
    /// What was seen so far of this answer does not count: it was a draft, or part of the model's reasoning.
    Withdrawn {
        /// Which part of a long source it was about, from 0.
        chunk: Option<usize>,
    },
}

impl fmt::Debug for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part { chunk, path, .. } => {
                f.debug_struct("Part").field("chunk", chunk).field("path", path).finish_non_exhaustive()
            }
            Self::Withdrawn { chunk } => f.debug_struct("Withdrawn").field("chunk", chunk).finish(),
        }
    }
}

/// Whoever watches; parts of a long source take turns.
pub(crate) struct Observer<'a> {
    tell: Mutex<&'a mut (dyn FnMut(Sighting) + Send)>,
}

impl<'a> Observer<'a> {
    pub(crate) fn new(tell: &'a mut (dyn FnMut(Sighting) + Send)) -> Self {
        Self { tell: Mutex::new(tell) }
    }
}

/// Takes what is seen.
pub(crate) trait Tell: Sync {
    fn tell(&self, sighting: Sighting);
}

impl Tell for Observer<'_> {
    fn tell(&self, sighting: Sighting) {
        let mut tell = self.tell.lock().unwrap_or_else(PoisonError::into_inner);
        (*tell)(sighting);
    }
}

/// Reads one answer as it arrives, in linear time altogether.
pub(crate) struct Watch<'a> {
    observer: &'a dyn Tell,
    chunk: Option<usize>,
    wrapped: bool,
    stream: Stream,
    current: Option<usize>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(observer: &'a dyn Tell, chunk: Option<usize>, wrapped: bool) -> Self {
        Self { observer, chunk, wrapped, stream: Stream::new(), current: None }
    }

    pub(crate) fn push(&mut self, piece: &str) {
        for event in self.stream.push(piece) {
            match event {
                // whatever was begun before was not the answer
                Event::Started { candidate, .. } if self.current.replace(candidate).is_some() => {
                    self.observer.tell(Sighting::Withdrawn { chunk: self.chunk });
                }
                Event::Retracted { candidate } if self.current == Some(candidate) => {
                    self.observer.tell(Sighting::Withdrawn { chunk: self.chunk });
                }
                Event::FieldCompleted { path, node, .. } | Event::ItemCompleted { path, node, .. } => {
                    if let Some(path) = self.place(&path) {
                        let value = self.stream.to_value(node);
                        self.observer.tell(Sighting::Part { chunk: self.chunk, path, value });
                    }
                }
                _ => {}
            }
        }
    }

    /// Returns the place without the wrapper; `None` for the wrapper itself, and what stands beside it.
    fn place(&self, path: &Path) -> Option<String> {
        let pointer = path.to_pointer();
        if !self.wrapped {
            return Some(pointer);
        }
        let inner = pointer.strip_prefix('/')?.strip_prefix(WRAPPER)?;
        inner.starts_with('/').then(|| inner.to_owned())
    }
}
