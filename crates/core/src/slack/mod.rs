//! What Slack sends and takes: signatures, retry headers, events, messages.
//!
//! | item | what it is | Slack's page |
//! |---|---|---|
//! | [`SignatureVerifier`], [`SigningSecret`] | whether a request comes from Slack, and is new | *Verifying requests from Slack* |
//! | [`SlackHeaders`], [`SlackRetry`] | the signature's headers, and which redelivery it is | *The Events API*, "Retries" |
//! | [`Callback`], [`SlackEvent`], [`SlackMessageEvent`] | the body of a request | *The Events API*; *app_mention*, *message*, *url_verification* |
//! | [`SlackClient`], [`SlackMessage`] | posting by a bot's token | *chat.postMessage*, *conversations.replies* |
//! | [`SlackWebhook`] | posting by an incoming webhook's address | *Sending messages using incoming webhooks* |
//! | [`escape`], [`unescape`] | people's text within a message | *Formatting message text* |
//!
//! Slack wants an answer within 3 seconds, and sends an event up to three times more if it gets none. So check the
//! signature, put the event on a bus under an id [named](crate::event::EventId::named) after its `event_id`, answer, and
//! do the work in a `Consumer`: the bus drops what Slack sends again.
//!
//! ```
//! use std::sync::Arc;
//! use pumasi_core::event::EventId;
//! use pumasi_core::slack::{Callback, SignatureVerifier, SigningSecret, SlackHeaders};
//! use pumasi_core::time::{Clock, ManualClock};
//!
//! let clock = Arc::new(ManualClock::new());
//! let verifier = SignatureVerifier::new("8f742231b10e8888abcd99yyyzzz85a5").with_clock(clock.clone());
//!
//! // what a request of Slack's brings
//! let body = r#"{"type": "event_callback", "event_id": "Ev08MFMKH6", "team_id": "T1", "event_time": 1767225600,
//!     "event": {"type": "app_mention", "channel": "C1", "user": "U2", "ts": "1767225600.000100", "text": "<@U1> 안녕?"}}"#;
//! let time = clock.now();
//! let signature = SigningSecret::new("8f742231b10e8888abcd99yyyzzz85a5").sign(time, body.as_bytes());
//! let timestamp = (time.as_micros() / 1_000_000).to_string();
//! let headers = [("x-slack-request-timestamp", &timestamp), ("x-slack-signature", &signature)];
//!
//! let headers = SlackHeaders::read(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()));
//! verifier.verify(&headers, body.as_bytes())?;
//! let Callback::Event(callback) = Callback::parse(body.as_bytes())? else { panic!("it is an event") };
//! assert_eq!(EventId::named("slack", &callback.event_id).to_string(), "9c80705b-f82f-5ec3-a6b7-0a9969679fdb");
//! # Ok::<(), pumasi_core::Error>(())
//! ```

mod client;
mod event;
mod message;
mod mrkdwn;
mod signature;
mod webhook;

pub use client::{PostedMessage, SlackClient, SlackToken};
pub use event::{Callback, EventCallback, SlackEvent, SlackMessageEvent};
pub use message::{MessageMetadata, SlackMessage};
pub use mrkdwn::{escape, unescape};
pub use signature::{
    RETRY_NUM_HEADER, RETRY_REASON_HEADER, RetryReason, SIGNATURE_HEADER, SignatureVerifier, SigningSecret,
    SlackHeaders, SlackRetry, TIMESTAMP_HEADER,
};
pub use webhook::SlackWebhook;
