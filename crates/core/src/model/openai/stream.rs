//! Streamed answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Response;
use serde_json::Value;
use tokio::time::Instant;

use super::answer::Answer;
use super::failure::{Call, ServerError};
use super::retry_after::stated;
use super::sse::{Event, Malformed, Parser, Stray};
use super::transport::{Body, NOT_JSON, NOT_UTF8, PAGE, TOO_EARLY, TOO_LONG, Transport};
use crate::model::{ChatChunk, Usage};
use crate::{Error, ErrorKind, Result};

/// How long is waited for the usage and the end mark, once the server has said that the answer is over.
const GRACE: Duration = Duration::from_secs(5);

/// The mark at the end of a stream.
const END: &str = "[DONE]";

const WITHIN_A_PIECE: &str = "broke off within a piece of the answer";

/// A stream being read.
pub(super) struct Streaming {
    transport: Arc<Transport>,
    operation: &'static str,
    /// The body of the request.
    sent: Bytes,
    body: Option<Body>,
    parser: Parser,
    answer: Answer,
    ready: VecDeque<ChatChunk>,
    failure: Option<Error>,
    /// How long the headers say that is to be waited, should the stream fail.
    asked_delay: Option<Duration>,
    /// Whether a piece came that is JSON, but no object.
    has_odd_pieces: bool,
    deadline: Instant,
    /// Until when is waited once the server has said that the answer is over.
    grace: Option<Instant>,
}

impl Streaming {
    /// Begins to read a stream, up to its first piece.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong before that.
    pub(super) async fn open(
        transport: Arc<Transport>,
        operation: &'static str,
        sent: Bytes,
        response: Response,
        deadline: Instant,
    ) -> Result<Self> {
        let is_json = response
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.contains("json") && !kind.contains("ndjson"));
        let mut this = Self {
            parser: Parser::new(transport.max_response_bytes),
            operation,
            sent,
            body: None,
            answer: Answer::default(),
            ready: VecDeque::new(),
            failure: None,
            asked_delay: stated(response.headers(), SystemTime::now().into()),
            has_odd_pieces: false,
            deadline,
            grace: None,
            transport,
        };
        if is_json {
            // A server that does not stream, or an error that came with status 200.
            let transport = Arc::clone(&this.transport);
            let sent = this.sent.clone();
            let value = transport.json(transport.call(operation, &sent), response).await?;
            this.take(&value);
            this.conclude();
        } else {
            let Transport { idle_timeout, max_response_bytes, .. } = *this.transport;
            this.body = Some(Body::new(response, idle_timeout, max_response_bytes));
        }
        this.fill().await;
        match this.failure.take() {
            Some(error) if this.ready.is_empty() => Err(error),
            failure => {
                this.failure = failure;
                Ok(this)
            }
        }
    }

    /// Gives the next piece; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Result<ChatChunk>> {
        self.fill().await;
        match self.ready.pop_front() {
            Some(chunk) => Some(Ok(chunk)),
            None => self.failure.take().map(Err),
        }
    }

    /// Tells how many tokens the server says it used so far.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.answer.usage()
    }

    /// Reads until there is something to give, or nothing more to come.
    async fn fill(&mut self) {
        while self.ready.is_empty() && self.failure.is_none() {
            let Some(body) = &mut self.body else { return };
            let (transport, sent) = (Arc::clone(&self.transport), self.sent.clone());
            let call = transport.call(self.operation, &sent);
            let deadline = if self.answer.is_settled() {
                self.deadline.min(*self.grace.get_or_insert_with(|| Instant::now() + GRACE))
            } else {
                self.grace = None;
                self.deadline
            };
            let mut events = Vec::new();
            let read = body.next(call, Some(deadline)).await;
            let parsed = match &read {
                Ok(Some(bytes)) => self.parser.push(bytes, &mut events),
                Ok(None) => self.parser.finish(&mut events),
                Err(_) => {
                    self.lost(call);
                    Ok(())
                }
            };
            for event in events {
                self.event(&event, call);
            }
            if let (Err(malformed), true) = (parsed, self.body.is_some()) {
                self.end_with(match malformed {
                    Malformed::NotUtf8 => call.error(ErrorKind::Protocol, NOT_UTF8),
                    Malformed::TooLong => call.error(ErrorKind::Protocol, TOO_LONG),
                    Malformed::Cut => call.broke_off(WITHIN_A_PIECE),
                });
            }
            match read {
                Ok(Some(_)) => {}
                _ if self.body.is_none() => {}
                // All that was missing was the end mark.
                Ok(None) if self.answer.has_finished() => self.conclude(),
                Err(_) if self.answer.is_settled() => self.conclude(),
                Ok(None) => self.end_without_answer(call),
                Err(error) => self.fail(error),
            }
        }
    }

    fn event(&mut self, event: &Event, call: Call<'_>) {
        if self.body.is_none() {
            return;
        }
        let data = event.data.trim();
        if data == END {
            self.conclude();
            return;
        }
        if data.is_empty() {
            return;
        }
        let value = match serde_json::from_str::<Value>(data) {
            Ok(value) => value,
            Err(fault) => {
                self.unreadable(event, data, fault.is_eof(), call);
                return;
            }
        };
        let server = ServerError::read(&value);
        if event.is_error || server.is_some() {
            self.answer.note_usage(&value);
            let bare = server.or_else(|| ServerError::read(&serde_json::json!({ "error": value })));
            let error = call.failed(200, bare.as_ref(), self.asked_delay, None);
            self.fail(self.transport.paused(error));
            return;
        }
        self.has_odd_pieces |= !value.is_object();
        self.take(&value);
    }

    /// Takes what a lost connection left of its last event, where that can be the end mark or the usage.
    fn lost(&mut self, call: Call<'_>) {
        let (settled, mut events) = (self.answer.is_settled(), Vec::new());
        if !self.answer.has_finished() || self.parser.finish(&mut events).is_err() {
            return;
        }
        for event in events {
            let is_last = can_follow(&event.data);
            if settled || is_last {
                self.event(&event, call);
            }
            if is_last && self.body.is_some() {
                self.conclude();
            }
        }
    }

    /// Takes an event that is no JSON, or only the beginning of some.
    fn unreadable(&mut self, event: &Event, data: &str, breaks_off: bool, call: Call<'_>) {
        // Events that a server did not part by empty lines arrive as one.
        let has_lines = data.lines().nth(1).is_some();
        if event.is_error {
            self.fail(call.failed(200, None, None, None));
        } else if has_lines {
            for line in data.lines() {
                self.event(&Event { data: line.into(), ..*event }, call);
            }
        } else if event.is_open && self.answer.has_finished() && can_follow(data) {
            self.conclude();
        } else if breaks_off || (event.is_open && END.starts_with(data)) {
            self.end_with(call.broke_off(WITHIN_A_PIECE));
        } else {
            self.end_with(call.error(ErrorKind::Protocol, NOT_JSON));
        }
    }

    /// Ends a stream that went wrong: it fails, unless the answer was there already.
    fn end_with(&mut self, error: Error) {
        if self.answer.is_settled() {
            self.conclude();
        } else {
            self.fail(error);
        }
    }

    /// Ends a stream that said neither why nor that the answer is over.
    fn end_without_answer(&mut self, call: Call<'_>) {
        match self.parser.stray() {
            _ if self.answer.has_begun() => self.fail(call.broke_off(TOO_EARLY)),
            Some(Stray::Page) => self.fail(call.error(ErrorKind::Protocol, PAGE)),
            Some(Stray::Text) => self.fail(call.error(ErrorKind::Protocol, NOT_JSON)),
            None if self.has_odd_pieces => self.conclude(),
            None => self.fail(call.broke_off(TOO_EARLY)),
        }
    }

    fn take(&mut self, value: &Value) {
        let text = self.answer.absorb(value);
        if !text.is_empty() {
            self.ready.push_back(ChatChunk::text(text));
        }
    }

    /// Ends the stream with its last chunk, or with what is wrong with it.
    fn conclude(&mut self) {
        self.body = None;
        let (transport, sent) = (Arc::clone(&self.transport), self.sent.clone());
        match std::mem::take(&mut self.answer).end(transport.call(self.operation, &sent)) {
            Ok(chunk) => self.ready.push_back(chunk),
            Err(error) => self.failure = Some(error),
        }
    }

    fn fail(&mut self, error: Error) {
        self.body = None;
        if self.failure.is_none() {
            self.failure = Some(error.with_known_usage(self.answer.usage()));
        }
    }
}

/// Tells whether an event, of which only the beginning may be there, comes after the answer: the end mark, or a chunk without
/// a choice.
fn can_follow(data: &str) -> bool {
    let data = data.trim();
    let squeezed = || data.split_ascii_whitespace().collect::<String>();
    !data.is_empty() && (END.starts_with(data) || squeezed().contains("\"choices\":[]"))
}
