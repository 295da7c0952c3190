//! A reply being given: what is said when, and what time it takes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::{ChatChunk, ToolCall, Usage};
use super::Shared;
use super::reply::End;
use crate::time::Clock;
use crate::{Error, ErrorKind, Result};

/// A reply being given.
pub(super) struct Play {
    pub(super) time: Passing,
    pub(super) model: String,
    pub(super) chunks: VecDeque<String>,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) usage: Option<Usage>,
    pub(super) end: Option<End>,
    pub(super) delay: Duration,
    pub(super) chunk_delay: Duration,
    pub(super) guard: Guard,
}

impl Play {
    /// Gives the next chunk; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<ChatChunk>> {
        if self.end.is_none() {
            return Ok(None);
        }
        let delay = std::mem::replace(&mut self.delay, self.chunk_delay);
        let waited = self.time.wait(delay).await;
        waited.map_err(|error| self.over(error))?;
        if let Some(content) = self.chunks.pop_front() {
            return Ok(Some(ChatChunk::text(content)));
        }
        match self.end.take() {
            Some(End::Finish(reason)) => {
                self.guard.done();
                let mut last = ChatChunk::end(reason, self.usage);
                last.tool_calls = std::mem::take(&mut self.tool_calls);
                Ok(Some(last))
            }
            Some(End::Fail(kind, retry)) => {
                let error = Error::new(kind, format!("model {} failed as scripted: {kind}", self.model));
                let error = match retry {
                    Some(retry) => error.with_retry(retry),
                    None => error,
                };
                Err(self.over(error))
            }
            Some(End::Never) => {
                let waited = self.time.wait(Duration::MAX).await;
                Err(self.over(waited.err().unwrap_or_else(|| timed_out(Duration::MAX))))
            }
            None => Ok(None),
        }
    }

    fn over(&mut self, error: Error) -> Error {
        self.end = None;
        self.guard.done();
        error.with_known_usage(self.usage)
    }
}

/// The time a call has taken, on a clock or imagined, against its timeout.
pub(super) struct Passing {
    clock: Option<(Arc<dyn Clock>, Instant)>,
    imagined: Duration,
    timeout: Option<Duration>,
}

impl Passing {
    pub(super) fn new(clock: Option<Arc<dyn Clock>>, timeout: Option<Duration>) -> Self {
        let clock = clock.map(|clock| {
            let started = clock.instant();
            (clock, started)
        });
        Self { clock, imagined: Duration::ZERO, timeout }
    }

    fn elapsed(&self) -> Duration {
        match &self.clock {
            Some((clock, started)) => clock.instant().saturating_duration_since(*started),
            None => self.imagined,
        }
    }

    async fn wait(&mut self, delay: Duration) -> Result<()> {
        let left = self.timeout.map(|timeout| timeout.saturating_sub(self.elapsed()));
        let wait = left.map_or(delay, |left| left.min(delay));
        match &self.clock {
            None if delay == Duration::MAX && left.is_none() => std::future::pending::<()>().await,
            None => self.imagined = self.imagined.saturating_add(wait),
            Some(_) if wait == Duration::MAX => std::future::pending::<()>().await,
            Some((clock, _)) if !wait.is_zero() => clock.sleep(wait).await,
            Some(_) => {}
        }
        match self.timeout {
            Some(timeout) if self.elapsed() >= timeout => Err(timed_out(timeout)),
            _ => Ok(()),
        }
    }
}

fn timed_out(timeout: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("the scripted model did not answer within {timeout:?}"))
}

/// Counts a call as open until it is done or dropped.
pub(super) struct Guard {
    shared: Arc<Shared>,
    done: bool,
}

impl Guard {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::SeqCst);
        Self { shared, done: false }
    }

    fn done(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            self.shared.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.done {
            self.shared.cancelled.fetch_add(1, Ordering::SeqCst);
            self.done();
        }
    }
}
