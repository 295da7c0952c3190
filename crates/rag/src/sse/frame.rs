//! Events as server-sent events write them.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::answer::{AnswerEvent, Failure};

/// The type of what is sent.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// A comment, which keeps proxies from closing a silent connection and is shown to nobody.
pub(super) const HEARTBEAT: &[u8] = b":\n\n";

/// Writes an event: its id, its [name](AnswerEvent::name), and itself as JSON on one line.
///
/// After the WHATWG's HTML standard, section 9.2. An id must not hold line breaks or NUL; those are left out.
///
/// ```
/// use pumasi_rag::AnswerEvent;
/// use pumasi_rag::sse::frame;
///
/// let event = AnswerEvent::Delta { text: "천천히\n달리세요".to_owned() };
/// let written = frame("a.2", &event);
/// assert_eq!(written, "id: a.2\nevent: delta\ndata: {\"type\":\"delta\",\"text\":\"천천히\\n달리세요\"}\n\n");
/// ```
pub fn frame(id: &str, event: &AnswerEvent) -> Bytes {
    let data =
        serde_json::to_string(event).or_else(|_| serde_json::to_string(&AnswerEvent::Error(unwritable())));
    let id: String = id.chars().filter(|c| !matches!(c, '\n' | '\r' | '\0')).collect();
    let mut written = String::new();
    // writing to a string cannot fail
    let _ = write!(written, "id: {id}\nevent: {}\ndata: {}\n\n", event.name(), data.unwrap_or_default());
    written.into()
}

fn unwritable() -> Failure {
    Failure::from(&crate::Error::new(crate::ErrorKind::Other, "an event cannot be written as JSON"))
}
