//! Typed values while the answer arrives: whole answers and the items of a list.

use serde::de::DeserializeOwned;

use super::told::Told;
use super::{Event, Outlook, Stream};
use crate::error::{Error, Result};
use crate::parse::{Parsed, Parser};
use crate::report::{Path, Step};
use crate::tree::{Kind, NodeId, Span};

impl<T: DeserializeOwned> Parser<T> {
    /// Starts a typed stream with this parser's schema, policy and limits.
    ///
    /// ```
    /// use pumasi_llm_parse::Parser;
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Run { place: String, km: Option<f64> }
    ///
    /// let mut stream = Parser::<Run>::new().stream();
    /// stream.push("Sure: {place: '한강', km: \"1");
    /// assert_eq!(stream.snapshot()?.value.place, "한강");
    /// stream.push("0.5\"}");
    /// assert_eq!(stream.finish()?.value.km, Some(10.5));
    /// # Ok::<(), pumasi_llm_parse::Error>(())
    /// ```
    #[must_use]
    pub fn stream(&self) -> TypedStream<T> {
        TypedStream { stream: Stream::with_limits(self.limits()), parser: self.clone() }
    }

    /// Starts a stream that hands out the items of a list, each validated as soon as it is complete.
    ///
    /// This parser is for one item. Items are those of a list that is the answer itself, and objects that follow one
    /// another (JSON Lines); [`Items::with_list`] names a field that holds the list instead. A list that turns out to be a
    /// draft or part of the reasoning is taken back with [`ItemEvent::Retracted`]. Items of an answer in another form come at
    /// its [end](Items::end).
    ///
    /// ```
    /// use pumasi_llm_parse::Parser;
    /// use pumasi_llm_parse::stream::ItemEvent;
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Task { title: String, minutes: u32 }
    ///
    /// let mut items = Parser::<Task>::new().items().with_list("tasks");
    /// let mut done = Vec::new();
    /// for piece in ["{tasks: [{title: 'stretch', minutes: '10'}, {title: 'r", "un', minutes: 'many'}, "] {
    ///     for event in items.push(piece) {
    ///         match event {
    ///             ItemEvent::Completed(item) => done.push(item),
    ///             ItemEvent::Retracted { candidate } => done.retain(|item| item.candidate != candidate),
    ///             _ => {}
    ///         }
    ///     }
    /// }
    /// assert_eq!(done[1].path.to_string(), "$.tasks[1]");
    /// assert!(done[1].outcome.is_err());
    /// assert_eq!(done.remove(0).outcome?.value.minutes, 10);
    /// # Ok::<(), pumasi_llm_parse::Error>(())
    /// ```
    #[must_use]
    pub fn items(&self) -> Items<T> {
        Items {
            stream: Stream::with_limits(self.limits()),
            parser: self.clone(),
            list: None,
            told: Told::default(),
        }
    }
}

/// Reads one typed value that arrives in pieces; made by [`Parser::stream`].
#[derive(Debug, Clone)]
pub struct TypedStream<T> {
    stream: Stream,
    parser: Parser<T>,
}

impl<T: DeserializeOwned> TypedStream<T> {
    /// Takes the next piece of text and returns what became known with it.
    pub fn push(&mut self, piece: &str) -> Vec<Event> {
        self.stream.push(piece)
    }

    /// Takes the next piece as bytes, which may end inside a character.
    pub fn push_bytes(&mut self, piece: &[u8]) -> Vec<Event> {
        self.stream.push_bytes(piece)
    }

    /// Returns the stream below, for its tree, text and [`Outlook`].
    #[must_use]
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Stops reading: pieces that still come are ignored.
    pub fn stop(&mut self) {
        self.stream.stop();
    }

    /// Tells how the answer looks so far.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        self.stream.outlook()
    }

    /// Returns the value so far: what [`Parser::parse`] returns for the same text with
    /// [`with_partial`](Parser::with_partial).
    ///
    /// Costs time in proportion to what was read.
    ///
    /// # Errors
    ///
    /// Those of [`Parser::parse`], as long as required parts have not arrived.
    pub fn snapshot(&self) -> Result<Parsed<T>> {
        let parser = self.parser.clone().with_partial(true);
        parser.parse_document(self.stream.text(), self.stream.snapshot())
    }

    /// Ends the text and returns the value.
    ///
    /// # Errors
    ///
    /// Those of [`Parser::parse`].
    pub fn finish(mut self) -> Result<Parsed<T>> {
        self.stream.end();
        self.parser.parse_document(self.stream.text(), self.stream.snapshot())
    }
}

/// Is one item of a list, validated.
#[derive(Debug)]
#[non_exhaustive]
pub struct Item<T> {
    /// The number of the value in the answer that it belongs to.
    pub candidate: usize,
    /// Where it stands in that value.
    pub path: Path,
    /// The bytes that it takes in the text.
    pub span: Span,
    /// The item, or why it does not fit. Its spans and paths count from the item's own start.
    pub outcome: Result<Parsed<T>>,
}

/// Tells what became known of a list's items.
#[derive(Debug)]
#[non_exhaustive]
pub enum ItemEvent<T> {
    /// An item is complete.
    Completed(Item<T>),
    /// The items of a value that were handed out before are none of the answer: it stood in a reasoning block whose
    /// beginning was not in the text, or the words around it say that it is an example, a draft, or wrong, or that another
    /// one replaces it; or the whole answer reads otherwise ([`Items::end`]).
    Retracted {
        /// The number of the value: [`Item::candidate`].
        candidate: usize,
    },
    /// At the end: the text as a whole holds no such list, or does not say which of several values is meant. Items that were
    /// not taken back still stand.
    Failed(Error),
}

/// Hands out the items of a list that arrives in pieces; made by [`Parser::items`].
#[derive(Debug, Clone)]
pub struct Items<T> {
    stream: Stream,
    parser: Parser<T>,
    list: Option<String>,
    told: Told,
}

impl<T: DeserializeOwned> Items<T> {
    /// Names the field of the answer that holds the list.
    #[must_use]
    pub fn with_list(mut self, field: impl Into<String>) -> Self {
        self.list = Some(field.into());
        self
    }

    /// Takes the next piece of text and returns the items that became complete, or are taken back.
    ///
    /// In total this costs time in proportion to the text, however small the pieces are.
    pub fn push(&mut self, piece: &str) -> Vec<ItemEvent<T>> {
        let events = self.stream.push(piece);
        self.pick(events)
    }

    /// Takes the next piece as bytes, which may end inside a character.
    pub fn push_bytes(&mut self, piece: &[u8]) -> Vec<ItemEvent<T>> {
        let events = self.stream.push_bytes(piece);
        self.pick(events)
    }

    /// Ends the text and returns the last items. An item that was cut off is not among them.
    ///
    /// What the words around a value say is known only now, and so is what stands in no list of the kind that was waited for:
    /// under a name written otherwise (`Tasks` for `tasks`), in a wrapper, alone without its list, in a text, line by line.
    /// The text is read as [`Parser::parse`] reads a list of such items (or an object with the named field), and what that
    /// finds is handed out now as far as it was not before; values of which it finds nothing are taken back. Items that come
    /// in another order are taken back and handed out anew. Of several values that nothing tells apart, which `parse` calls
    /// ambiguous, all items stay. Where `parse` has an error for the whole and not for an item of it, that is told by
    /// [`ItemEvent::Failed`]. After [`stop`](Self::stop) nothing more is handed out.
    pub fn end(&mut self) -> Vec<ItemEvent<T>> {
        let events = self.stream.end();
        let mut items = self.pick(events);
        self.told.settle(&self.stream, &self.parser, self.list.as_deref(), &mut items);
        items
    }

    /// Returns the stream below, for its tree, text and [`Outlook`].
    #[must_use]
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Stops reading: pieces that still come are ignored.
    pub fn stop(&mut self) {
        self.stream.stop();
    }

    fn pick(&mut self, events: Vec<Event>) -> Vec<ItemEvent<T>> {
        let mut items = Vec::new();
        for event in events {
            match event {
                Event::Started { candidate, at } => self.told.started(candidate, at),
                Event::ItemCompleted { candidate, path, node, .. } if self.is_item(&path) => {
                    items.push(self.give(candidate, path, node));
                }
                Event::Finished { candidate, complete: true, node }
                    if self.list.is_none() && self.stream.tree().node(node).kind() == Kind::Object =>
                {
                    items.push(self.give(candidate, Path::root(), node));
                }
                Event::Retracted { candidate } if self.told.retract(candidate) => {
                    items.push(ItemEvent::Retracted { candidate });
                }
                _ => {}
            }
        }
        items
    }

    fn give(&mut self, candidate: usize, path: Path, node: NodeId) -> ItemEvent<T> {
        let item = self.item(candidate, path, node);
        self.told.give(candidate, item.span, item.outcome.is_ok());
        ItemEvent::Completed(item)
    }

    fn is_item(&self, path: &Path) -> bool {
        match (path.steps(), &self.list) {
            ([Step::Index(_)], None) => true,
            ([Step::Key(key), Step::Index(_)], Some(list)) => key == list,
            _ => false,
        }
    }

    fn item(&self, candidate: usize, path: Path, node: NodeId) -> Item<T> {
        let span = self.stream.span(node);
        let text = span.of(self.stream.text());
        // Inside a text that holds JSON an item is written with escapes; a text may lack its last quote.
        let string = matches!(self.stream.tree().node(node).kind(), Kind::String(_));
        let unclosed = string && text.starts_with('"') && (text.len() < 2 || !text.ends_with('"'));
        let outcome = if unclosed || text.starts_with('\\') {
            self.parser.parse(&self.stream.to_value(node).to_string())
        } else {
            self.parser.parse(text)
        };
        Item { candidate, path, span, outcome }
    }
}
