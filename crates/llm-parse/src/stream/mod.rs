//! Reading an answer while it arrives, in linear time altogether.
//!
//! A [`Stream`] takes text in pieces of any size, even bytes split inside a character, and says what became complete.
//! It runs the same machine as [`syntax::read`](crate::syntax::read): a snapshot is the open state told that the text has
//! ended, so it always equals reading the same prefix at once. What an event costs does not depend on how much was read
//! before; an owned [`snapshot`](Stream::snapshot) costs its size and is made only when asked for.

mod refusal;
mod told;
mod typed;

use std::ops::ControlFlow;

use crate::report::Path;
use crate::syntax::{Candidate, Document, LARGEST, Limits, Machine, Recorded};
use crate::tree::{NodeId, Span, Tree};

pub use typed::{Item, ItemEvent, Items, TypedStream};

pub(crate) use refusal::is_refusal;

/// Tells what became known with the text pushed last.
///
/// Values are named by node; [`Stream::to_value`] and [`Stream::tree`] read them. A value is reported when its end was
/// seen and what follows it rules out that it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A value began. There may be several in an answer, numbered in order.
    Started {
        /// The number of the value.
        candidate: usize,
        /// Where it begins in the text.
        at: usize,
    },
    /// A field of an object is complete.
    FieldCompleted {
        /// The number of the value.
        candidate: usize,
        /// The field.
        path: Path,
        /// Its value.
        node: NodeId,
    },
    /// An item of a list is complete.
    ItemCompleted {
        /// The number of the value.
        candidate: usize,
        /// The item; its last step is the index.
        path: Path,
        /// The position in the list, from zero.
        index: usize,
        /// Its value.
        node: NodeId,
    },
    /// A value has ended.
    Finished {
        /// The number of the value.
        candidate: usize,
        /// Whether its end was seen, and not only the end of the text.
        complete: bool,
        /// Its root.
        node: NodeId,
    },
    /// A value reported before stood in a reasoning block whose beginning was not in the text.
    Retracted {
        /// The number of the value.
        candidate: usize,
    },
}

/// Tells how an answer looks so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outlook {
    /// Nothing but white space or a short beginning has come.
    Waiting,
    /// The model is still reasoning or talking.
    Talking,
    /// A value is being read, or was read.
    Reading,
    /// The answer begins like a refusal and holds no value: reading on is not likely to help.
    Refusing,
}

/// Reads an answer that arrives in pieces.
///
/// ```
/// use pumasi_llm_parse::stream::{Event, Stream};
///
/// let mut stream = Stream::new();
/// let mut titles = Vec::new();
/// for piece in ["Sure: [{\"title\": \"sho", "es\"}, {\"title\": \"r", "oute\"}", "]"] {
///     for event in stream.push(piece) {
///         if let Event::ItemCompleted { index, node, .. } = event {
///             titles.push((index, stream.to_value(node)));
///         }
///     }
/// }
/// let document = stream.finish();
/// assert_eq!(titles[0], (0, serde_json::json!({"title": "shoes"})));
/// assert_eq!(titles.len(), 2);
/// assert!(document.candidates()[0].is_complete());
/// ```
#[derive(Debug, Clone)]
pub struct Stream {
    text: String,
    /// The bytes of a character that has not arrived wholly.
    tail: Vec<u8>,
    machine: Machine,
    started: usize,
    finished: usize,
    retracted: usize,
    stopped: bool,
    ended: bool,
    /// The longest text that is taken.
    largest: usize,
    /// There was more.
    overflowed: bool,
    events: Vec<Event>,
}

impl Default for Stream {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream {
    /// Creates a stream with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(&Limits::default())
    }

    /// Creates a stream with other limits.
    #[must_use]
    pub fn with_limits(limits: &Limits) -> Self {
        let mut machine = Machine::new(limits);
        machine.record();
        Self {
            text: String::new(),
            tail: Vec::new(),
            machine,
            started: 0,
            finished: 0,
            retracted: 0,
            stopped: false,
            ended: false,
            largest: LARGEST,
            overflowed: false,
            events: Vec::new(),
        }
    }

    /// Takes the next piece of text and returns what became known with it.
    ///
    /// After [`stop`](Self::stop) nothing is taken any more.
    pub fn push(&mut self, piece: &str) -> Vec<Event> {
        if self.stopped || self.ended {
            return Vec::new();
        }
        if !self.tail.is_empty() {
            self.tail.clear();
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
        self.append(piece);
        self.advance(false);
        std::mem::take(&mut self.events)
    }

    /// Takes the next piece as bytes, which may end inside a character.
    ///
    /// Bytes that are no UTF-8 are read as U+FFFD.
    ///
    /// ```
    /// use pumasi_llm_parse::stream::Stream;
    ///
    /// let mut stream = Stream::new();
    /// for byte in "{\"제목\": \"러닝\"}".bytes() {
    ///     stream.push_bytes(&[byte]);
    /// }
    /// let (value, _) = stream.value().ok_or("no value")?;
    /// assert_eq!(value, serde_json::json!({"제목": "러닝"}));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_bytes(&mut self, piece: &[u8]) -> Vec<Event> {
        if self.stopped || self.ended {
            return Vec::new();
        }
        self.tail.extend_from_slice(piece);
        let tail = std::mem::take(&mut self.tail);
        let mut rest = tail.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.append(text);
                    break;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[]));
                    self.append(std::str::from_utf8(good).unwrap_or(""));
                    let Some(len) = error.error_len() else {
                        self.tail = bad.to_vec();
                        break;
                    };
                    self.append("\u{FFFD}");
                    rest = bad.get(len..).unwrap_or(&[]);
                }
            }
        }
        self.advance(false);
        std::mem::take(&mut self.events)
    }

    /// Takes the next piece and hands each event to `consumer`, which can stop the stream.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use pumasi_llm_parse::stream::{Event, Stream};
    ///
    /// let mut stream = Stream::new();
    /// let flow = stream.push_with("[1, 2, 3, 4]", |_, event| match event {
    ///     Event::ItemCompleted { index: 1, .. } => ControlFlow::Break(()),
    ///     _ => ControlFlow::Continue(()),
    /// });
    /// assert!(flow.is_break() && stream.is_stopped());
    /// ```
    pub fn push_with(
        &mut self,
        piece: &str,
        mut consumer: impl FnMut(&Self, Event) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for event in self.push(piece) {
            if consumer(self, event).is_break() {
                self.stop();
                return ControlFlow::Break(());
            }
        }
        if self.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Ends the text and returns the last events; [`finish`](Self::finish) does so too.
    pub fn end(&mut self) -> Vec<Event> {
        if self.ended {
            return Vec::new();
        }
        if !self.tail.is_empty() {
            self.tail.clear();
            self.append("\u{FFFD}");
        }
        self.advance(true);
        self.ended = true;
        std::mem::take(&mut self.events)
    }

    /// Ends the text and returns all that was read, as [`syntax::read`](crate::syntax::read) would.
    #[must_use]
    pub fn finish(mut self) -> Document {
        self.end();
        self.machine.into_document(&self.text)
    }

    /// Reads the text so far as if it had ended here.
    ///
    /// Costs time in proportion to what was read; [`tree`](Self::tree) and the events cost nothing.
    #[must_use]
    pub fn snapshot(&self) -> Document {
        let mut machine = self.machine.clone();
        machine.run_text(&self.text, true);
        let mut document = machine.into_document(&self.text);
        if self.overflowed {
            document.mark_cut_short();
        }
        document
    }

    /// Returns the first reading of the text so far as a JSON value, and whether its end was seen.
    #[must_use]
    pub fn value(&self) -> Option<(serde_json::Value, bool)> {
        let mut document = self.snapshot();
        if !self.ended {
            document.leave_open(&self.text);
        }
        let best = document.candidates().iter().find(|c| !c.is_thinking())?;
        Some((document.to_value(best, &self.text), best.is_complete()))
    }

    /// Stops reading: pieces that still come are ignored.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Tells whether the stream was stopped.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Returns the text so far, to which all spans refer.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the tree so far; values that are still open are in it as incomplete nodes with the children they have.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.machine.tree
    }

    /// Returns the root of the value that is being read.
    #[must_use]
    pub fn open_root(&self) -> Option<NodeId> {
        self.machine.open_root()
    }

    /// Returns the values whose end was seen so far.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.machine.candidates
    }

    /// Converts a node to a JSON value.
    #[must_use]
    pub fn to_value(&self, node: NodeId) -> serde_json::Value {
        self.machine.tree.to_value(node, &self.text)
    }

    /// Returns the bytes that a node takes in the text.
    #[must_use]
    pub fn span(&self, node: NodeId) -> Span {
        self.machine.tree.node(node).span()
    }

    /// Tells how the answer looks so far, so that the caller can give up early.
    ///
    /// ```
    /// use pumasi_llm_parse::stream::{Outlook, Stream};
    ///
    /// let mut stream = Stream::new();
    /// stream.push("죄송하지만 그 요청은 도와드릴 수 없습니다.");
    /// assert_eq!(stream.outlook(), Outlook::Refusing);
    /// ```
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        if self.started > self.retracted {
            return Outlook::Reading;
        }
        if self.machine.is_reasoning() {
            return Outlook::Talking;
        }
        let from = self.machine.reasoning_end();
        let answer = self.text.get(from..).unwrap_or("").trim_start();
        if is_refusal(answer) {
            Outlook::Refusing
        } else if answer.len() < 16 {
            Outlook::Waiting
        } else {
            Outlook::Talking
        }
    }

    fn append(&mut self, piece: &str) {
        let room = self.largest.saturating_sub(self.text.len());
        if piece.len() <= room {
            self.text.push_str(piece);
        } else {
            self.text.push_str(piece.get(..piece.floor_char_boundary(room)).unwrap_or(""));
            self.stopped = true;
            self.overflowed = true;
        }
    }

    fn advance(&mut self, eof: bool) {
        self.machine.run_text(&self.text, eof);
        self.collect(eof);
    }

    fn collect(&mut self, eof: bool) {
        let held = if eof { None } else { self.machine.undecided() };
        let records = self.machine.take_log(held);
        for record in records {
            match record {
                Recorded::Started { candidate, at } => {
                    self.started += 1;
                    self.events.push(Event::Started { candidate, at });
                }
                Recorded::Completed { candidate, node, index } => {
                    let path = self.machine.path(node, &self.text);
                    let event = match index {
                        Some(index) => Event::ItemCompleted { candidate, path, index, node },
                        None => Event::FieldCompleted { candidate, path, node },
                    };
                    self.events.push(event);
                }
                Recorded::Finished { candidate, node } => {
                    self.finished += 1;
                    let complete = self.machine.tree.node(node).is_complete();
                    self.events.push(Event::Finished { candidate, complete, node });
                }
                Recorded::Retracted { candidate } => {
                    self.retracted += 1;
                    self.events.push(Event::Retracted { candidate });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
