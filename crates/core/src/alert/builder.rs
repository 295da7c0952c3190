//! How alerts are configured and started.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::level_filters::LevelFilter;

use super::Alerts;
use super::layer::be_silent;
use super::ledger::Ledger;
use super::report::Identity;
use super::rules::Rules;
use super::worker::{Destination, Pace, Worker};
use crate::time::{Clock, FAR, SystemClock};
use crate::{Error, ErrorKind, Result};

/// Configures [`Alerts`]; nothing fails before [`start`](Self::start).
///
/// | setting | default |
/// |---|---|
/// | [level](Self::with_level) | `ERROR` and nothing below |
/// | [node](Self::with_node) | `HOSTNAME`, or the kernel's name for the machine |
/// | [fields](Self::with_fields) that may be shown | none, nor the message |
/// | [trusted](Self::with_trusted_target) targets | this SDK's crates |
/// | [gathering](Self::with_gathering) before a message | 2 s |
/// | [interval](Self::with_interval) between messages | 10 s |
/// | [repetition](Self::with_repeat_after) of the same kind | after 5 min |
/// | [capacity](Self::with_capacity) | 256 kinds |
/// | [flush limit](Self::with_flush_limit) | 3 s |
#[derive(Clone)]
pub struct AlertsBuilder {
    identity: Identity,
    destination: Destination,
    rules: Rules,
    pace: Pace,
    capacity: NonZeroUsize,
    clock: Arc<dyn Clock>,
}

impl AlertsBuilder {
    pub(super) fn new(service: String, destination: Destination) -> Self {
        Self {
            identity: Identity { service, node: this_node() },
            destination,
            rules: Rules::new(),
            pace: Pace::default(),
            capacity: NonZeroUsize::MIN.saturating_add(255),
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets the name of this node, one of many.
    #[must_use]
    pub fn with_node(mut self, node: impl Into<String>) -> Self {
        self.identity.node = Some(node.into());
        self
    }

    /// Sets from which level on an event is an alert (default [`LevelFilter::ERROR`]).
    #[must_use]
    pub fn with_level(mut self, level: LevelFilter) -> Self {
        self.rules.level = level;
        self
    }

    /// Sets another level for a target and all within it; [`LevelFilter::OFF`] leaves it out. The longest target that fits
    /// decides.
    #[must_use]
    pub fn with_level_of(mut self, target: impl Into<String>, level: LevelFilter) -> Self {
        self.rules.levels.push((target.into(), level));
        self
    }

    /// Lets fields of these names be shown, and tell kinds of errors apart; `message` is the event's message, which tells
    /// none apart.
    ///
    /// Name what cannot hold what a person wrote.
    #[must_use]
    pub fn with_fields<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.rules.fields.extend(names.into_iter().map(Into::into));
        self
    }

    /// Shows messages and fields of a target, and of all within it: what it logs holds no text of people.
    #[must_use]
    pub fn with_trusted_target(mut self, target: impl Into<String>) -> Self {
        self.rules.trusted.push(target.into());
        self
    }

    /// Sets what has the last word on everything that is shown: given a field's name and value, it returns what to show
    /// instead, or nothing.
    ///
    /// It runs on the sending thread.
    ///
    /// ```no_run
    /// # use pumasi_core::alert::Alerts;
    /// # use pumasi_core::slack::SlackWebhook;
    /// # fn start(webhook: SlackWebhook) -> pumasi_core::Result<Alerts> {
    /// Alerts::to_webhook("payments", webhook)
    ///     .with_fields(["message", "account"])
    ///     .with_redactor(|name, value| match name {
    ///         "account" => Some(format!("…{}", value.chars().skip(value.chars().count().saturating_sub(4)).collect::<String>())),
    ///         _ if value.contains('@') => None,
    ///         _ => Some(value.to_owned()),
    ///     })
    ///     .start()
    /// # }
    /// ```
    #[must_use]
    pub fn with_redactor(
        mut self,
        redactor: impl Fn(&str, &str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.rules.redactor = Some(Arc::new(redactor));
        self
    }

    /// Sets how long what comes together is gathered before a message is sent (default 2 seconds).
    #[must_use]
    pub fn with_gathering(mut self, gathering: Duration) -> Self {
        self.pace.gathering = gathering;
        self
    }

    /// Sets the least time between two messages (default 10 seconds).
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.pace.interval = interval;
        self
    }

    /// Sets after how long the same kind of error is told again, with what was counted since (default 5 minutes).
    #[must_use]
    pub fn with_repeat_after(mut self, repeat: Duration) -> Self {
        self.pace.repeat = repeat.min(FAR);
        self
    }

    /// Sets how many kinds of errors may wait to be told (default 256).
    #[must_use]
    pub fn with_capacity(mut self, kinds: NonZeroUsize) -> Self {
        self.capacity = kinds;
        self
    }

    /// Sets how long [`Alerts::flush`], [`Alerts::shutdown`] and dropping may take (default 3 seconds).
    #[must_use]
    pub fn with_flush_limit(mut self, limit: Duration) -> Self {
        self.pace.flush_limit = limit;
        self
    }

    /// Sets the clock (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the thread that sends.
    ///
    /// # Errors
    ///
    /// `Other` if the machine gives no further thread; `InvalidInput` if an HTTP client cannot be made.
    pub fn start(self) -> Result<Alerts> {
        let failed = |source: std::io::Error| {
            Error::new(ErrorKind::Other, "the thread that sends alerts could not be started")
                .with_source(source)
        };
        // Whatever runs for the sending, name resolution too, runs on threads whose events are no alerts.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("pumasi-alerts")
            .on_thread_start(be_silent)
            .build()
            .map_err(failed)?;
        let ledger = Arc::new(Ledger::new(self.capacity.get()));
        let rules = Arc::new(self.rules);
        let (commands, incoming) = mpsc::unbounded_channel();
        let flush_limit = self.pace.flush_limit;
        let worker = Worker::new(
            Arc::clone(&ledger),
            self.destination.detached()?,
            self.identity,
            Arc::clone(&rules),
            self.pace,
            Arc::clone(&self.clock),
        );
        std::thread::Builder::new()
            .name("pumasi-alerts".to_owned())
            .spawn(move || {
                be_silent();
                runtime.block_on(worker.run(incoming));
                // A name that is still being resolved keeps nobody.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Alerts { ledger, rules, clock: self.clock, commands, flush_limit, stopped: false })
    }
}

fn this_node() -> Option<String> {
    std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}

impl fmt::Debug for AlertsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertsBuilder")
            .field("identity", &self.identity)
            .field("destination", &self.destination)
            .field("rules", &self.rules)
            .field("pace", &self.pace)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
