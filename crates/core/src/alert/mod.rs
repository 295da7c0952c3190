//! Errors that reach a person: batched, counted, rate limited, and never in the way.
//!
//! [`Alerts`] sends what a service logs as an error to a Slack channel. Its [layer](Alerts::layer) stands beside the one
//! that writes the logs:
//!
//! ```no_run
//! use pumasi_core::alert::Alerts;
//! use pumasi_core::slack::SlackWebhook;
//! use tracing_subscriber::prelude::*;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let webhook = SlackWebhook::new(std::env::var("SLACK_WEBHOOK_URL")?)?;
//! let alerts = Alerts::to_webhook("payments", webhook)
//!     .with_node("node-3")
//!     .with_fields(["message", "status"])
//!     .start()?;
//! tracing_subscriber::registry().with(alerts.layer()).init();
//!
//! tracing::error!(status = 402, card = "4111 1111", "a payment was refused");
//! // In Slack: ERROR ×1, where, "a payment was refused", status=402, and that `card` was withheld.
//!
//! alerts.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! 1. **Never in the way.** An `error!` costs its caller a look into a table under a lock that nobody holds longer than
//!    for such a look; nothing waits for Slack. Sending has a thread and a runtime of its own.
//! 2. **Bounded.** The table holds [256](AlertsBuilder::with_capacity) kinds of errors, each with texts of bounded length.
//!    What comes on top of that is counted.
//! 3. **Counted.** Every error is told, with its kind or in the count of those that were not kept, as soon as Slack takes
//!    messages. (Slack has no key against doubles: a message whose answer was lost is sent again, and then stands there
//!    twice.)
//! 4. **Not recursive.** What the sending thread logs, `reqwest` and `hyper` included, is no alert; the service's own use
//!    of them is.
//! 5. **Rate limited.** At most a message each [10 seconds](AlertsBuilder::with_interval), never before Slack's
//!    `Retry-After`, and the same kind again after [5 minutes](AlertsBuilder::with_repeat_after) at the earliest, with what
//!    it has counted since.
//! 6. **Told before the end.** [`shutdown`](Alerts::shutdown), or dropping the handle, sends what is there, within
//!    [3 seconds](AlertsBuilder::with_flush_limit).
//!
//! # One kind of error
//!
//! Errors are of one kind if they come from the same place in the code, with the same values in the fields that
//! [`with_fields`](AlertsBuilder::with_fields) names (the message apart) and the same [kind](crate::ErrorKind) of
//! [`Error`](crate::Error). So a message with a number in it is one kind; a named field with a thousand values makes a
//! thousand kinds: name those with few.
//!
//! # What people wrote stays here
//!
//! A message or a field may hold what a person wrote: `error!("no such user: {name}")`. Nobody can see that from outside, so
//! nothing is shown that was not declared harmless:
//!
//! | shown | unless |
//! |---|---|
//! | level, target, file and line, counts, times, service, node, and a trace id that looks like one | – |
//! | an [`Error`](crate::Error) of this SDK, recorded as an error: its kind and message, which by its rules hold none | – |
//! | message and fields of this SDK's own crates, for the same reason | – |
//! | fields that [`with_fields`](AlertsBuilder::with_fields) names, `message` being one | – |
//! | all that [trusted](AlertsBuilder::with_trusted_target) parts of the service log | – |
//! | the names of the other fields, which are code | – |
//!
//! All of it goes through [`with_redactor`](AlertsBuilder::with_redactor) at the end, and through
//! [`escape`](crate::slack::escape).
//!
//! # The trace
//!
//! The trace id is that of the event's own field `trace_id`, or of the innermost span that has one, or of the
//! [event](crate::event::Context) that is being handled.
//!
//! # Metrics
//!
//! `pumasi_alerts_told_total`, `pumasi_alerts_spilled_total`, `pumasi_alert_messages_total`, `pumasi_alert_failures_total{kind}`.

mod builder;
mod layer;
mod ledger;
mod report;
mod rules;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

pub use builder::AlertsBuilder;
use layer::AlertLayer;
use ledger::Ledger;
use rules::Rules;
use worker::Command;

use crate::slack::{SlackClient, SlackWebhook};
use crate::time::Clock;

/// Sends errors to Slack; see the [module](self).
///
/// Dropping it sends what is there and ends the sending, and blocks the thread for that, at most for the
/// [flush limit](AlertsBuilder::with_flush_limit). In async code [`shutdown`](Self::shutdown) is better.
pub struct Alerts {
    ledger: Arc<Ledger>,
    rules: Arc<Rules>,
    clock: Arc<dyn Clock>,
    commands: mpsc::UnboundedSender<Command>,
    flush_limit: Duration,
    stopped: bool,
}

/// What has become of the errors so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlertStats {
    /// Errors that came to the layer.
    pub seen: u64,
    /// Errors that Slack was told of, with their kind.
    pub told: u64,
    /// Errors that were, or will be, told as a number only, because there was no room for their kind.
    pub spilled: u64,
    /// Errors that wait to be told, with their kind.
    pub pending: u64,
    /// Kinds of errors that wait.
    pub kinds: usize,
    /// Messages that Slack has taken.
    pub messages: u64,
    /// Messages that Slack has not taken.
    pub failures: u64,
}

impl Alerts {
    /// Configures alerts of `service` to the channel of an incoming webhook.
    pub fn to_webhook(service: impl Into<String>, webhook: SlackWebhook) -> AlertsBuilder {
        AlertsBuilder::new(service.into(), worker::Destination::Webhook(webhook))
    }

    /// Configures alerts of `service` to a channel, by a bot's token.
    pub fn to_channel(
        service: impl Into<String>,
        client: SlackClient,
        channel: impl Into<String>,
    ) -> AlertsBuilder {
        AlertsBuilder::new(service.into(), worker::Destination::Channel(client, channel.into()))
    }

    /// Makes the layer that watches for errors.
    ///
    /// It has a filter of its own, so it does not decide what other layers see.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let (ledger, rules) = (Arc::clone(&self.ledger), Arc::clone(&self.rules));
        AlertLayer::new(ledger, Arc::clone(&rules), Arc::clone(&self.clock)).with_filter(rules.admission())
    }

    /// Returns what has become of the errors so far.
    pub fn stats(&self) -> AlertStats {
        self.ledger.stats()
    }

    /// Sends what is there, within the [flush limit](AlertsBuilder::with_flush_limit); what Slack did not take by then
    /// waits on.
    pub async fn flush(&self) -> AlertStats {
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Flush(ended_by(done))).is_ok() {
            // The worker keeps to the limit.
            let _ = ended.await;
        }
        self.stats()
    }

    /// Sends what is there, within the [flush limit](AlertsBuilder::with_flush_limit), and ends the sending.
    ///
    /// What the layer sees after that is lost.
    pub async fn shutdown(mut self) -> AlertStats {
        self.stopped = true;
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Stop(ended_by(done))).is_ok() {
            let _ = ended.await;
        }
        self.stats()
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        let (done, ended) = std::sync::mpsc::channel();
        // Nobody waits any more: that is no error.
        let told = Box::new(move || done.send(()).unwrap_or_default());
        if self.commands.send(Command::Stop(told)).is_ok() {
            // The worker keeps to the limit; a machine that is too busy for it gets a little more.
            let _ = ended.recv_timeout(self.flush_limit + Duration::from_millis(500));
        }
    }
}

fn ended_by(done: oneshot::Sender<()>) -> Box<dyn FnOnce() + Send> {
    Box::new(|| done.send(()).unwrap_or_default())
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts")
            .field("rules", &self.rules)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
