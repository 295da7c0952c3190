//! What happens on the thread that sends.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::ledger::{Batch, Entry, Fingerprint, Ledger};
use super::report::Identity;
use super::rules::Rules;
use crate::resilience::{Backoff, Jitter, Random};
use crate::slack::{SlackClient, SlackMessage, SlackWebhook};
use crate::time::{Clock, FAR, Timestamp, after};
use crate::{Error, ErrorKind, Result, Retry};

/// How many kinds of errors one message tells of.
const KINDS: usize = 10;

/// How often is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) gathering: Duration,
    pub(super) interval: Duration,
    pub(super) repeat: Duration,
    pub(super) flush_limit: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gathering: Duration::from_secs(2),
            interval: Duration::from_secs(10),
            repeat: Duration::from_mins(5),
            flush_limit: Duration::from_secs(3),
        }
    }
}

/// Where messages go.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    Webhook(SlackWebhook),
    Channel(SlackClient, String),
}

impl Destination {
    pub(super) fn detached(self) -> Result<Self> {
        Ok(match self {
            Self::Webhook(webhook) => Self::Webhook(webhook.detached()?),
            Self::Channel(client, channel) => Self::Channel(client.detached()?, channel),
        })
    }

    async fn post(&self, message: &SlackMessage) -> Result<()> {
        match self {
            Self::Webhook(webhook) => webhook.post(message).await,
            Self::Channel(client, channel) => client.post(channel, message).await.map(drop),
        }
    }
}

type Done = Box<dyn FnOnce() + Send>;

/// What the handle asks for; each is answered when it is done, or its time is over.
pub(super) enum Command {
    Flush(Done),
    Stop(Done),
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flush(_) => "Flush",
            Self::Stop(_) => "Stop",
        })
    }
}

pub(super) struct Worker {
    ledger: Arc<Ledger>,
    destination: Destination,
    identity: Identity,
    rules: Arc<Rules>,
    pace: Pace,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
    random: Random,
    /// When kinds of errors were told, as long as that keeps them from being told again.
    told: HashMap<Fingerprint, Instant>,
    not_before: Instant,
    failures: u32,
    down_since: Option<Timestamp>,
}

impl Worker {
    pub(super) fn new(
        ledger: Arc<Ledger>,
        destination: Destination,
        identity: Identity,
        rules: Arc<Rules>,
        pace: Pace,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let not_before = clock.instant();
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1)).with_jitter(Jitter::Equal);
        Self {
            ledger,
            destination,
            identity,
            rules,
            pace,
            clock,
            backoff,
            random: Random::system(),
            told: HashMap::new(),
            not_before,
            failures: 0,
            down_since: None,
        }
    }

    /// Tells what is due until it is told to stop, or every handle is gone.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let ledger = Arc::clone(&self.ledger);
        loop {
            let clock = Arc::clone(&self.clock);
            let next = self.next();
            let wait = async {
                match next {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let command = tokio::select! {
                biased;
                command = commands.recv() => command,
                () = wait => match self.tell(&mut commands).await {
                    Some(command) => command,
                    None => continue,
                },
                () = ledger.changed.notified() => continue,
            };
            match command {
                Some(Command::Flush(done)) => {
                    self.flush().await;
                    done();
                }
                Some(Command::Stop(done)) => {
                    self.flush().await;
                    done();
                    return;
                }
                None => return,
            }
        }
    }

    /// When something is due, if anything waits.
    fn next(&self) -> Option<Instant> {
        let (has_number, kind) = self.ledger.next(|entry| self.due(entry));
        // A number alone is told when no kind waits that could be told with it.
        let due = kind.or(has_number.then_some(self.not_before));
        due.map(|due| due.max(self.not_before))
    }

    fn due(&self, entry: &Entry) -> Instant {
        let gathered = after(entry.since, self.pace.gathering);
        let again = self.told.get(&entry.fingerprint).map(|told| after(*told, self.pace.repeat));
        again.map_or(gathered, |again| again.max(gathered))
    }

    /// Sends one message; if a command comes meanwhile, the message has until the flush limit, and the command is returned.
    async fn tell(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> Option<Option<Command>> {
        let now = self.clock.instant();
        self.told.retain(|_, told| after(*told, self.pace.repeat) > now);
        let batch = self.ledger.take(KINDS, |entry| self.due(entry) <= now);
        if batch.is_empty() {
            return None;
        }
        let (message, destination) = (self.message(&batch), self.destination.clone());
        let mut post = pin!(destination.post(&message));
        let (outcome, command) = tokio::select! {
            outcome = &mut post => (Some(outcome), None),
            command = commands.recv() => (self.within(self.pace.flush_limit, post).await, Some(command)),
        };
        self.settle(batch, outcome);
        command
    }

    /// Tells everything, as far as it goes within the limit; the interval does not count now, but what Slack asked for does.
    async fn flush(&mut self) {
        let limit = after(self.clock.instant(), self.pace.flush_limit);
        loop {
            if self.failures > 0 {
                if self.not_before >= limit {
                    return;
                }
                self.clock.sleep_until(self.not_before).await;
            }
            let left = limit.saturating_duration_since(self.clock.instant());
            if left.is_zero() {
                return;
            }
            let batch = self.ledger.take(KINDS, |_| true);
            if batch.is_empty() {
                return;
            }
            let (message, destination) = (self.message(&batch), self.destination.clone());
            let outcome = self.within(left, destination.post(&message)).await;
            // A number alone that Slack refuses it would refuse again at once.
            let is_over =
                batch.entries.is_empty() && matches!(&outcome, Some(Err(error)) if is_of_the_message(error));
            self.settle(batch, outcome);
            if is_over {
                return;
            }
        }
    }

    fn message(&self, batch: &Batch) -> SlackMessage {
        SlackMessage::new(self.identity.report(batch, self.down_since, &self.rules))
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            outcome = work => Some(outcome),
            () = self.clock.sleep(limit) => None,
        }
    }

    /// Writes down what became of a message; `None` if it was given up.
    fn settle(&mut self, batch: Batch, outcome: Option<Result<()>>) {
        let now = self.clock.instant();
        match outcome {
            Some(Ok(())) => {
                self.ledger.counts.told.fetch_add(batch.count(), Ordering::Relaxed);
                self.ledger.counts.messages.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("pumasi_alerts_told_total").increment(batch.count());
                metrics::counter!("pumasi_alerts_spilled_total").increment(batch.spilled);
                metrics::counter!("pumasi_alert_messages_total").increment(1);
                self.told.extend(batch.entries.into_iter().map(|entry| (entry.fingerprint, now)));
                self.not_before = after(now, self.pace.interval);
                self.failures = 0;
                if let Some(since) = self.down_since.take() {
                    tracing::info!(%since, "alerts reach Slack again");
                }
            }
            Some(Err(error)) if is_of_the_message(&error) => {
                tracing::warn!(error = %error, "Slack refuses an alert; its errors are only counted");
                self.count_failure(error.kind());
                self.not_before = after(now, self.pace.interval);
                self.ledger.give_up(&batch);
            }
            Some(Err(error)) => {
                if self.failures == 0 {
                    tracing::warn!(error = %error, "alerts do not reach Slack; they are kept or counted");
                }
                let backoff = self.fail(error.kind());
                self.not_before = now
                    + match error.retry() {
                        // However soon Slack says: what fails again and again is asked less and less.
                        Retry::After(delay) => delay.max(backoff).min(FAR),
                        Retry::Now => backoff,
                        // A token, an address or a channel that is wrong is not put right in a second.
                        Retry::Never => self.backoff.ceiling(u32::MAX),
                    };
                self.ledger.put_back(batch);
            }
            None => {
                let backoff = self.fail(ErrorKind::Timeout);
                self.not_before = after(now, backoff);
                self.ledger.put_back(batch);
            }
        }
    }

    /// Counts a failure of Slack's; returns how long to leave it in peace.
    fn fail(&mut self, kind: ErrorKind) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.down_since.get_or_insert(self.clock.now());
        self.count_failure(kind);
        self.backoff.delay(self.failures, &self.random)
    }

    fn count_failure(&self, kind: ErrorKind) {
        self.ledger.counts.failures.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("pumasi_alert_failures_total", "kind" => kind.as_str()).increment(1);
    }
}

/// Whether the message itself is at fault, and would be again; Slack is well.
fn is_of_the_message(error: &Error) -> bool {
    error.kind() == ErrorKind::InvalidInput
}
