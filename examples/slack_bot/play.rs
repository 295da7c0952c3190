//! A Slack that is played: what it would send is signed and sent to the bot, and what the bot posts is kept in memory.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pumasi_core::slack::{SIGNATURE_HEADER, SigningSecret, SlackClient, TIMESTAMP_HEADER, escape, unescape};
use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::auth::random_secret;
use support::slack::{FakeSlack, TOKEN};
use uuid::Uuid;

/// How many questions are shown with their answers.
const SHOWN: usize = 50;
/// For how long Slack waits.
const PATIENCE: Duration = Duration::from_secs(3);

/// Sends what Slack would send.
pub(crate) struct Sender {
    pub(crate) client: reqwest::Client,
    /// Where the bot takes events.
    pub(crate) url: String,
    pub(crate) secret: SigningSecret,
}

impl Sender {
    /// Signs an event and sends it, with further headers.
    pub(crate) async fn send(
        &self,
        body: &Value,
        more: &[(&str, &str)],
    ) -> reqwest::Result<(StatusCode, String)> {
        let now: Timestamp = SystemTime::now().into();
        let body = body.to_string();
        let mut request = self
            .client
            .post(&self.url)
            .header(TIMESTAMP_HEADER, now.as_micros() / 1_000_000)
            .header(SIGNATURE_HEADER, self.secret.sign(now, body.as_bytes()))
            .header("content-type", "application/json")
            .timeout(PATIENCE);
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let answer = request.body(body).send().await?;
        Ok((answer.status(), answer.text().await?))
    }
}

/// Somebody asks the bot in a channel.
pub(crate) fn mention(event_id: &str, ts: &str, text: &str) -> Value {
    json!({"type": "event_callback", "event_id": event_id, "team_id": "T1", "event_time": 1_767_225_600,
        "event": {"type": "app_mention", "channel": "C1", "user": "U2", "ts": ts, "text": format!("<@U1> {text}")}})
}

/// A question that was asked here, and what became of it.
#[derive(Clone)]
pub(crate) struct Thread {
    /// Its time in Slack, which names it.
    pub(crate) ts: String,
    pub(crate) question: String,
    /// How long the bot took to acknowledge it.
    pub(crate) acknowledged: Duration,
    /// What the bot has posted in the thread.
    pub(crate) answers: Vec<String>,
}

/// A workspace with one channel, for those who have none at Slack.
pub(crate) struct Play {
    slack: FakeSlack,
    sender: Sender,
    asked: Mutex<VecDeque<Thread>>,
}

impl Play {
    /// Starts one for a bot that listens on this address.
    pub(crate) async fn start(listening: SocketAddr) -> std::io::Result<Self> {
        let mut to = listening;
        match to.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => to.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => to.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let client = reqwest::Client::builder().no_proxy().build().map_err(std::io::Error::other)?;
        let sender = Sender {
            client,
            url: format!("http://{to}/slack/events"),
            secret: SigningSecret::new(random_secret()),
        };
        Ok(Self { slack: FakeSlack::start().await?, sender, asked: Mutex::default() })
    }

    /// What its events are signed with.
    pub(crate) fn secret(&self) -> SigningSecret {
        self.sender.secret.clone()
    }

    /// Its API.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub(crate) fn api(&self) -> Result<SlackClient> {
        SlackClient::at(self.slack.url(), TOKEN)
    }

    /// Asks the bot in the channel, as Slack hands it on.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the bot does not acknowledge it within three seconds.
    pub(crate) async fn ask(&self, text: &str) -> Result<Thread> {
        let now: Timestamp = SystemTime::now().into();
        let (seconds, micros) = (now.as_micros() / 1_000_000, now.as_micros() % 1_000_000);
        let ts = format!("{seconds}.{micros:06}");
        let event = mention(&format!("Ev{}", Uuid::new_v4().simple()), &ts, &escape(text));
        let begun = Instant::now();
        let sent = self.sender.send(&event, &[]).await;
        let thread =
            Thread { ts, question: text.to_owned(), acknowledged: begun.elapsed(), answers: Vec::new() };
        let unheard = |source| {
            Error::new(ErrorKind::Unavailable, "the bot did not acknowledge the question").with_source(source)
        };
        match sent {
            Ok((StatusCode::OK, _)) => {}
            Ok((status, _)) => return Err(unheard(format!("it answered {status}"))),
            Err(error) => return Err(unheard(error.without_url().to_string())),
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() == SHOWN {
            asked.pop_front();
        }
        asked.push_back(thread.clone());
        Ok(thread)
    }

    /// Throws the bot out of the channel, or lets it in again.
    pub(crate) fn let_in(&self, is_in: bool) {
        self.slack.refuse((!is_in).then_some("not_in_channel"));
    }

    /// Tells whether the bot is in the channel.
    pub(crate) fn is_in(&self) -> bool {
        !self.slack.refuses()
    }

    /// What was asked last, in its order, with the answers.
    pub(crate) fn threads(&self) -> Vec<Thread> {
        let mut answers: HashMap<String, Vec<String>> = HashMap::new();
        for post in self.slack.posts() {
            if let Some(thread) = post.thread {
                answers.entry(thread).or_default().push(unescape(&post.text).into_owned());
            }
        }
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked
            .iter()
            .map(|thread| Thread {
                answers: answers.remove(&thread.ts).unwrap_or_default(),
                ..thread.clone()
            })
            .collect()
    }
}
