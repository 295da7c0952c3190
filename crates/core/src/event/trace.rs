//! The W3C trace context that an event carries.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Error, ErrorKind, Result};

/// The longest `tracestate` that is kept; the recommendation asks for at least 512 characters to be passed on.
const MAX_STATE: usize = 512;

/// A position in a distributed trace, as the W3C recommendation *Trace Context* writes it: `traceparent` and `tracestate`.
///
/// It travels with the event, and the consumer restores it around the handler, so that one trace leads from the request
/// that published to whatever the event caused.
///
/// ```
/// use pumasi_core::event::TraceContext;
///
/// let trace: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert_eq!(trace.parent_id(), "00f067aa0ba902b7");
/// assert!(trace.is_sampled());
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct TraceContext {
    parent: String,
    state: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    traceparent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<String>,
}

impl TraceContext {
    /// Sets the `tracestate` header that came with the `traceparent`; text over 512 bytes or outside printable ASCII is
    /// left out, as the recommendation allows, because a trace must never make an event fail.
    #[must_use]
    pub fn with_state(mut self, state: impl Into<String>) -> Self {
        let state = state.into();
        let fits = state.len() <= MAX_STATE && state.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        self.state = (fits && !state.is_empty()).then_some(state);
        self
    }

    /// Returns the `traceparent` header.
    pub fn traceparent(&self) -> &str {
        &self.parent
    }

    /// Returns the `tracestate` header, if there is one.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Returns the trace's id: 32 lower-case hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.parent.get(3..35).unwrap_or_default()
    }

    /// Returns the id of the span that caused this: 16 lower-case hexadecimal digits.
    pub fn parent_id(&self) -> &str {
        self.parent.get(36..52).unwrap_or_default()
    }

    /// Tells whether whoever caused this recorded the trace.
    pub fn is_sampled(&self) -> bool {
        let flags = self.parent.get(53..55).and_then(|flags| u8::from_str_radix(flags, 16).ok());
        flags.is_some_and(|flags| flags & 1 == 1)
    }
}

impl FromStr for TraceContext {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid =
            || Error::new(ErrorKind::InvalidInput, "a traceparent does not follow W3C Trace Context");
        let hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let mut parts = text.split('-');
        let (Some(version), Some(trace), Some(parent), Some(flags)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        if !known || !hex(trace, 32) || zero(trace) || !hex(parent, 16) || zero(parent) || !hex(flags, 2) {
            return Err(invalid());
        }
        // A later version is passed on as version 00, with the parts that version 00 knows.
        Ok(Self { parent: format!("00-{trace}-{parent}-{flags}"), state: None })
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceContext").field(&self.parent).finish()
    }
}

impl TryFrom<Wire> for TraceContext {
    type Error = Error;

    fn try_from(wire: Wire) -> Result<Self> {
        let context: Self = wire.traceparent.parse()?;
        Ok(match wire.tracestate {
            Some(state) => context.with_state(state),
            None => context,
        })
    }
}

/// Reads a trace that somebody else wrote; one that is none must not make its event unreadable.
pub(super) fn if_valid<'de, D: Deserializer<'de>>(
    reader: D,
) -> std::result::Result<Option<TraceContext>, D::Error> {
    let written = Option::<Value>::deserialize(reader)?;
    let part = |name| written.as_ref()?.get(name)?.as_str();
    let context = part("traceparent").and_then(|parent| parent.parse::<TraceContext>().ok());
    Ok(match (context, part("tracestate")) {
        (Some(context), Some(state)) => Some(context.with_state(state)),
        (context, _) => context,
    })
}

impl From<TraceContext> for Wire {
    fn from(context: TraceContext) -> Self {
        Self { traceparent: context.parent, tracestate: context.state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_the_recommendation_forbids() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-한글92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01",
        ] {
            assert!(text.parse::<TraceContext>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_later_version_is_passed_on_as_the_known_one() {
        let trace: TraceContext =
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-future".parse().unwrap();
        assert_eq!(trace.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    }

    #[test]
    fn an_overlong_state_is_dropped_and_the_trace_kept() {
        let trace: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".parse().unwrap();
        assert_eq!(trace.clone().with_state("a=".repeat(300)).tracestate(), None);
        assert_eq!(trace.clone().with_state("vendor=1").tracestate(), Some("vendor=1"));
        assert!(!trace.is_sampled());
    }
}
