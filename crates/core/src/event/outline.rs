//! What can be told of a stored event that this program cannot read.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Envelope, EventId, State};
use crate::time::Timestamp;

/// Makes an envelope of whatever in `body` is as it should be; the rest is what the store knows beside it.
pub(super) fn outline(
    body: &[u8],
    id: Option<EventId>,
    topic: &str,
    key: &str,
    stored_at: Timestamp,
) -> Envelope {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let state = part(&body, "state").unwrap_or(State::Updated);
    let version = part(&body, "version").unwrap_or_default();
    let mut event = Envelope::new(topic, key, state, version);
    event.id = id.unwrap_or(event.id);
    event.occurred_at = part(&body, "occurred_at").unwrap_or(stored_at);
    event.payload = body.get("payload").cloned().unwrap_or_default();
    event
}

fn part<T: DeserializeOwned>(body: &Value, name: &str) -> Option<T> {
    T::deserialize(body.get(name)?).ok()
}
