//! The body of a request of Slack's Events API, as far as a bot needs it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::unescape;
use crate::error::JsonFault;
use crate::{Error, ErrorKind, Result};

/// What Slack posts to an app's request URL.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Callback {
    /// Slack asks whether the address is the app's: answer with the challenge as plain text (*url_verification*).
    UrlVerification {
        /// What to answer.
        challenge: String,
    },
    /// Something happened.
    Event(Box<EventCallback>),
    /// Slack leaves out events for a minute because there were too many (*app_rate_limited*).
    RateLimited {
        /// The minute's beginning, in seconds since 1970.
        minute: i64,
    },
    /// Another type of request, which this crate does not know.
    Other {
        /// Its type.
        kind: String,
    },
}

/// Something that happened in a workspace.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EventCallback {
    /// Identifies the event; a redelivery has the same one.
    pub event_id: String,
    /// The workspace.
    pub team_id: String,
    /// When it happened, in seconds since 1970.
    pub event_time: i64,
    /// What happened.
    pub event: SlackEvent,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SlackEvent {
    /// Somebody called the bot by its name (*app_mention*).
    AppMention(SlackMessageEvent),
    /// Something was written where the bot listens (*message*): by a person, a bot, or Slack itself.
    Message(SlackMessageEvent),
    /// Another event, which this crate does not read.
    Other {
        /// Its type.
        kind: String,
    },
}

/// A message that was written in Slack.
///
/// `Debug` leaves the text out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SlackMessageEvent {
    /// The channel.
    pub channel: String,
    /// `channel`, `group`, `im` or `mpim`, where Slack tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_type: Option<String>,
    /// The message's time, which is its identity within the channel.
    pub ts: String,
    /// The time of the message that began the thread, if it stands in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_ts: Option<String>,
    /// Who wrote it; Slack's own messages have nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The bot that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<String>,
    /// What kind of message it is, if it is none that somebody just wrote: an edit, a deletion, a joined member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtype: Option<String>,
    /// What was written, in Slack's markup and escaped.
    #[serde(default)]
    pub text: String,
}

impl Callback {
    /// Reads a body; check its [signature](super::SignatureVerifier) first.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no JSON, or a callback without the fields that its type has. The error says where, and
    /// never what the body says.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let wire: Wire = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
        Ok(match wire.kind.as_str() {
            "url_verification" => {
                let challenge = wire.challenge.ok_or_else(|| missing("challenge"))?;
                Self::UrlVerification { challenge }
            }
            "event_callback" => Self::Event(Box::new(EventCallback {
                event_id: wire.event_id.filter(|id| !id.is_empty()).ok_or_else(|| missing("event_id"))?,
                team_id: wire.team_id.unwrap_or_default(),
                event_time: wire.event_time.unwrap_or_default(),
                event: SlackEvent::read(wire.event.ok_or_else(|| missing("event"))?)?,
            })),
            "app_rate_limited" => Self::RateLimited { minute: wire.minute_rate_limited.unwrap_or_default() },
            _ => Self::Other { kind: wire.kind },
        })
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    challenge: Option<String>,
    event_id: Option<String>,
    team_id: Option<String>,
    event_time: Option<i64>,
    minute_rate_limited: Option<i64>,
    event: Option<Value>,
}

impl SlackEvent {
    fn read(event: Value) -> Result<Self> {
        let kind = event.get("type").and_then(Value::as_str).ok_or_else(|| missing("event.type"))?.to_owned();
        let message = |event| {
            SlackMessageEvent::deserialize(event).map_err(|error: serde_json::Error| unreadable(&error))
        };
        Ok(match kind.as_str() {
            "app_mention" => Self::AppMention(message(event)?),
            "message" => Self::Message(message(event)?),
            _ => Self::Other { kind },
        })
    }
}

fn unreadable(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, "the body of a Slack request cannot be read")
        .with_source(JsonFault::from(error))
}

fn missing(field: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("a Slack request has no {field}"))
}

impl SlackMessageEvent {
    /// Tells whether a person just wrote it: it is no bot's (so that bots do not answer each other for ever), no edit and
    /// no message of Slack's own.
    pub fn is_from_person(&self) -> bool {
        self.user.is_some()
            && self.bot_id.is_none()
            && matches!(self.subtype.as_deref(), None | Some("thread_broadcast" | "file_share"))
    }

    /// Tells whether it was written to the bot alone.
    pub fn is_direct(&self) -> bool {
        self.channel_type.as_deref() == Some("im")
    }

    /// Returns the thread in which to answer: the message's own, or the one that it begins.
    pub fn thread(&self) -> &str {
        self.thread_ts.as_deref().unwrap_or(&self.ts)
    }

    /// Returns what was written, unescaped and without the mentions (`<@U012>`) with which it begins.
    ///
    /// ```
    /// use pumasi_core::slack::{Callback, SlackEvent};
    ///
    /// let body = br#"{"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention", "channel": "C1",
    ///     "user": "U2", "ts": "1.2", "text": "<@U1> what is R&amp;D?"}}"#;
    /// let Callback::Event(callback) = Callback::parse(body)? else { panic!("it is an event") };
    /// let SlackEvent::AppMention(message) = &callback.event else { panic!("it is a mention") };
    /// assert_eq!(message.words(), "what is R&D?");
    /// # Ok::<(), pumasi_core::Error>(())
    /// ```
    pub fn words(&self) -> Cow<'_, str> {
        let mut text = self.text.trim();
        while let Some((_, rest)) = text.strip_prefix("<@").and_then(|rest| rest.split_once('>')) {
            text =
                rest.trim_start_matches(|letter: char| letter.is_whitespace() || matches!(letter, ',' | ':'));
        }
        unescape(text)
    }
}

impl fmt::Debug for SlackMessageEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackMessageEvent")
            .field("channel", &self.channel)
            .field("channel_type", &self.channel_type)
            .field("ts", &self.ts)
            .field("thread_ts", &self.thread_ts)
            .field("user", &self.user)
            .field("bot_id", &self.bot_id)
            .field("subtype", &self.subtype)
            .field("text_bytes", &self.text.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &Value) -> Result<Callback> {
        Callback::parse(body.to_string().as_bytes())
    }

    fn message(fields: &Value) -> SlackMessageEvent {
        let mut event = json!({"type": "message", "channel": "C1", "ts": "1.2"});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let body = json!({"type": "event_callback", "event_id": "Ev1", "event": event});
        match parse(&body).unwrap() {
            Callback::Event(callback) => match callback.event {
                SlackEvent::Message(message) => message,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_examples_of_slacks_documentation_are_read() {
        // url_verification, app_mention and app_rate_limited as their reference pages show them
        let challenge = json!({"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "type": "url_verification",
            "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"});
        assert_eq!(
            parse(&challenge).unwrap(),
            Callback::UrlVerification {
                challenge: "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P".to_owned()
            }
        );
        let mention = json!({"token": "ZZZZZZWSxiZZZ2yIvs3peJ", "team_id": "T123ABC456", "api_app_id": "A123ABC456",
            "event": {"type": "app_mention", "user": "U123ABC456", "text": "What is the hour of the pearl, <@U0LAN0Z89>?",
                "ts": "1515449522.000016", "channel": "C123ABC456", "event_ts": "1515449522000016"},
            "type": "event_callback", "event_id": "Ev123ABC456", "event_time": 1_515_449_522_000_016_i64,
            "authed_users": ["U0LAN0Z89"]});
        let Callback::Event(callback) = parse(&mention).unwrap() else { panic!("it is an event") };
        assert_eq!((callback.event_id.as_str(), callback.team_id.as_str()), ("Ev123ABC456", "T123ABC456"));
        let SlackEvent::AppMention(message) = &callback.event else { panic!("it is a mention") };
        assert!(message.is_from_person() && !message.is_direct());
        assert_eq!(message.words(), "What is the hour of the pearl, <@U0LAN0Z89>?");
        let limited = json!({"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "type": "app_rate_limited", "team_id": "T123456",
            "minute_rate_limited": 1_518_467_820, "api_app_id": "A123456"});
        assert_eq!(parse(&limited).unwrap(), Callback::RateLimited { minute: 1_518_467_820 });
    }

    #[test]
    fn only_what_a_person_just_wrote_is_a_persons() {
        assert!(message(&json!({"user": "U1", "text": "안녕"})).is_from_person());
        for fields in [
            json!({"bot_id": "B1", "text": "x"}),
            json!({"user": "U1", "bot_id": "B1", "text": "x"}),
            json!({"user": "U1", "subtype": "message_changed"}),
            json!({"subtype": "message_deleted"}),
            json!({"user": "U1", "subtype": "channel_join"}),
        ] {
            assert!(!message(&fields).is_from_person(), "{fields}");
        }
        assert!(message(&json!({"user": "U1", "channel_type": "im"})).is_direct());
    }

    #[test]
    fn answers_go_to_the_thread_of_the_question() {
        assert_eq!(message(&json!({})).thread(), "1.2");
        assert_eq!(message(&json!({"thread_ts": "1.0"})).thread(), "1.0");
    }

    #[test]
    fn words_are_what_a_person_wrote() {
        for (text, words) in [
            ("<@U1> 하프 마라톤은 &lt;어떻게&gt; 준비하나요?", "하프 마라톤은 <어떻게> 준비하나요?"),
            ("<@U1>: <@U2>, hi", "hi"),
            ("ask <@U1>", "ask <@U1>"),
            ("<@U1", "<@U1"),
            ("  ", ""),
        ] {
            assert_eq!(message(&json!({"text": text})).words(), words);
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_quoting_it() {
        for body in [
            "비밀".to_owned(),
            String::new(),
            json!({"event": "비밀"}).to_string(),
            json!({"type": "url_verification"}).to_string(),
            json!({"type": "event_callback", "event": {"type": "message", "channel": "C1", "ts": "1"}})
                .to_string(),
            json!({"type": "event_callback", "event_id": "", "event": {"type": "x"}}).to_string(),
            json!({"type": "event_callback", "event_id": "E", "event": {"type": "message", "ts": ["비밀"]}})
                .to_string(),
            json!({"type": "event_callback", "event_id": "E", "event": {"text": "비밀"}}).to_string(),
        ] {
            let error = Callback::parse(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error:?}").contains("비밀"), "{error:?}");
        }
        let other = json!({"type": "event_callback", "event_id": "E", "event": {"type": "team_join"}});
        let Callback::Event(callback) = parse(&other).unwrap() else { panic!("it is an event") };
        assert_eq!(callback.event, SlackEvent::Other { kind: "team_join".to_owned() });
        assert!(!format!("{:?}", message(&json!({"text": "비밀"}))).contains("비밀"));
    }
}
