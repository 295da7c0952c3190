//! A message to be posted.

use std::fmt;

use serde_json::{Map, Value};

/// A message in Slack's markup.
///
/// What people wrote goes through [`escape`](super::escape) first. `Debug` leaves the text out.
///
/// ```
/// use pumasi_core::slack::{MessageMetadata, SlackMessage, escape};
///
/// let question = "a < b?";
/// let message = SlackMessage::new(format!("*{}*\nYes.", escape(question)))
///     .in_thread("1767225600.000100")
///     .with_metadata(MessageMetadata::new("answer").with("answer_id", "5ad0"));
/// assert_eq!(message.text(), "*a &lt; b?*\nYes.");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SlackMessage {
    text: String,
    thread: Option<String>,
    metadata: Option<MessageMetadata>,
}

impl SlackMessage {
    /// Makes a message of its text; Slack cuts it at 40,000 characters, and advises 4,000.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), thread: None, metadata: None }
    }

    /// Puts it into the thread that the message with this `ts` began.
    #[must_use]
    pub fn in_thread(mut self, ts: impl Into<String>) -> Self {
        self.thread = Some(ts.into());
        self
    }

    /// Attaches facts for programs, which people do not see; by them a message is [found again](super::SlackClient::find_reply).
    #[must_use]
    pub fn with_metadata(mut self, metadata: MessageMetadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Writes the body of a request.
    pub(super) fn body(&self, channel: Option<&str>) -> String {
        let mut body = Map::new();
        if let Some(channel) = channel {
            body.insert("channel".to_owned(), channel.into());
        }
        body.insert("text".to_owned(), self.text.as_str().into());
        // Whoever reads a channel has not asked for pictures of links that an answer or an error names.
        body.insert("unfurl_links".to_owned(), false.into());
        body.insert("unfurl_media".to_owned(), false.into());
        if let Some(thread) = &self.thread {
            body.insert("thread_ts".to_owned(), thread.as_str().into());
        }
        if let Some(metadata) = &self.metadata {
            body.insert("metadata".to_owned(), metadata.json());
        }
        Value::Object(body).to_string()
    }
}

impl fmt::Debug for SlackMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackMessage")
            .field("text_bytes", &self.text.len())
            .field("thread", &self.thread)
            .field("metadata", &self.metadata)
            .finish()
    }
}

/// Facts for programs that a message carries (*Using message metadata*): a type and a flat object.
///
/// `Debug` shows the type and the names, and leaves the values out.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageMetadata {
    event_type: String,
    event_payload: Map<String, Value>,
}

impl MessageMetadata {
    /// Makes metadata of a type, which Slack wants to be letters, digits and underscores.
    pub fn new(event_type: impl Into<String>) -> Self {
        Self { event_type: event_type.into(), event_payload: Map::new() }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.event_payload.insert(name.into(), Value::String(value.into()));
        self
    }

    /// Returns the type.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// Tells whether a message's metadata, as Slack tells it, has this type and all of these facts.
    pub(super) fn is_in(&self, theirs: &Value) -> bool {
        let fact = |name: &str| theirs.get("event_payload").and_then(|payload| payload.get(name));
        theirs.get("event_type").and_then(Value::as_str) == Some(&self.event_type)
            && self.event_payload.iter().all(|(name, value)| fact(name) == Some(value))
    }

    fn json(&self) -> Value {
        serde_json::json!({"event_type": self.event_type, "event_payload": self.event_payload})
    }
}

impl fmt::Debug for MessageMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageMetadata")
            .field("event_type", &self.event_type)
            .field("event_payload", &self.event_payload.keys().collect::<Vec<_>>())
            .finish()
    }
}
