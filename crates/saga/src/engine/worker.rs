//! Finding what is due, and what a dead worker left.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use pumasi_core::event::Shutdown;
use tokio::task::JoinSet;

use super::job::Job;
use super::measure::CENSUS_PERIOD;
use super::stored::{is_for_people, unknown};
use super::{Core, Engine};
use crate::store::{Known, Lease, Query, Status, Stored, Summary};
use crate::{Error, ErrorKind, Result};

/// How many sagas are claimed at once.
const CLAIM: usize = 128;
/// How often calls are stopped that have not ended, and how long each time is waited for.
const STOPPED: usize = 10;
const STOPPING: Duration = Duration::from_millis(10);
/// How many ended sagas are forgotten at once.
const PURGE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

impl<App: Send + Sync + 'static> Engine<App> {
    /// Drives whatever is due, in this store, until it is told to stop: sagas whose deadline or pause is over, that a signal was
    /// left for, or that a dead worker held.
    ///
    /// Told to stop, it claims nothing more, lets what is under way go on for the [drain limit](super::EngineOptions), also what calls
    /// on this engine drive, stops the rest (those calls end with `Unavailable`), and gives everything back at once: another worker goes
    /// on with it. A service stops taking requests first.
    ///
    /// # Errors
    ///
    /// Nothing that the store says ends it, unless trying again cannot help: a table that is not there, a right that is missing.
    pub async fn run(&self, shutdown: &Shutdown) -> Result<()> {
        let mut tasks = JoinSet::new();
        let ended = tokio::select! {
            ended = self.core.work(&mut tasks) => ended,
            () = shutdown.triggered() => Ok(()),
        };
        let drained = async {
            while tasks.join_next().await.is_some() {}
            self.core.rest().await;
        };
        let clock = &*self.core.options.clock;
        let _ = pumasi_core::resilience::within(clock, self.core.options.drain_limit, drained).await;
        tasks.shutdown().await;
        // Whoever waits for a call that is stopped would go on in its place.
        self.core.stopping.store(true, Ordering::SeqCst);
        for _ in 0..STOPPED {
            self.core.stop_calls();
            // A task that is stopped ends where it waits next.
            if pumasi_core::resilience::within(clock, STOPPING, self.core.rest()).await.is_some() {
                break;
            }
        }
        let left = if self.core.active().is_empty() {
            self.core.store.leave(self.core.worker).await.inspect(|()| self.core.lease_is_over())
        } else {
            Ok(())
        };
        self.core.stopping.store(false, Ordering::SeqCst);
        left.and(ended)
    }

    /// Drives what is due now, as far as it goes, and returns how many sagas that were.
    ///
    /// For tests, and for driving from a schedule.
    ///
    /// # Errors
    ///
    /// As the store's, if nothing could be claimed.
    pub async fn run_due(&self) -> Result<usize> {
        self.core.ensure_lease().await?;
        let mut driving = FuturesUnordered::new();
        let claimed = self.core.claim().await?;
        let mut count = claimed.len();
        if claimed.is_empty() {
            // What an earlier claim took without our hearing of it is ours, and nobody drives it.
            let held = self.core.store.query(&Query::new().with_holder(self.core.worker)).await?;
            for orphan in held.into_iter().filter(|held| !self.core.active().contains_key(&held.head.id)) {
                if let Some(stored) = self.core.store.load(orphan.head.id).await?
                    && stored.holder == Some(self.core.worker)
                {
                    Arc::clone(&self.core).take_back(stored).await;
                    count += 1;
                }
            }
        }
        if claimed.is_empty() {
            for stored in self.core.mind_versions().await? {
                Arc::clone(&self.core).take_back(stored).await;
                count += 1;
            }
        }
        driving.extend(claimed.into_iter().map(|stored| Arc::clone(&self.core).take_up(stored)));
        while driving.next().await.is_some() {}
        Ok(count)
    }
}

impl<App: Send + Sync + 'static> Core<App> {
    async fn work(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> Result<()> {
        let clock = Arc::clone(&self.options.clock);
        let (mut failures, mut vain) = (0, 0_u32);
        let (mut tended, mut counted) = (clock.instant(), None);
        loop {
            while tasks.try_join_next().is_some() {}
            if counted.is_none_or(|at| clock.instant() - at >= CENSUS_PERIOD) {
                counted = Some(clock.instant());
                self.take_census().await;
            }
            let mut changed = pin!(self.store.changed());
            // What changes from here on ends the wait below, so that nothing falls between looking and waiting.
            let already = changed.as_mut().now_or_never().is_some();
            if self.permits.available_permits() == 0 {
                let _ = self.permits.acquire().await;
            }
            let claimed = match self.ensure_lease().await {
                Ok(()) => self.claim().await,
                Err(error) => Err(error),
            };
            let claimed = match claimed {
                Ok(claimed) => {
                    failures = 0;
                    claimed
                }
                Err(error) => {
                    if is_hopeless(&error) {
                        return Err(error);
                    }
                    failures += 1;
                    tracing::warn!(error = %error, failures, "due sagas could not be claimed");
                    clock.sleep(self.options.store_backoff.delay(failures, &self.options.random)).await;
                    // What was claimed without our hearing of it is ours, and nobody drives it.
                    tended = clock.instant().checked_sub(self.options.lease).unwrap_or(tended);
                    continue;
                }
            };
            let none = claimed.is_empty();
            for stored in claimed {
                tasks.spawn(Arc::clone(self).take_up(stored));
            }
            if clock.instant() - tended >= self.options.lease / 2 {
                tended = clock.instant();
                self.tend(tasks).await;
            }
            if none && !already {
                let pause = match self.store.next_due().await {
                    Ok(Some(due)) => due.saturating_since(self.now()).min(self.options.poll),
                    _ => self.options.poll,
                };
                // What is due and cannot be claimed, because nobody here knows it, is not asked for without a pause.
                vain = if pause.is_zero() { (vain + 1).min(10) } else { 0 };
                let pause = pause.max(Duration::from_millis(1 << vain).min(self.options.poll));
                let pause = pause.max(Duration::from_millis(1));
                let held = self.renewal_due().max(Duration::from_millis(1));
                let pause = if self.active().is_empty() { pause } else { pause.min(held) };
                tokio::select! {
                    () = changed => {}
                    () = clock.sleep(pause) => {}
                }
            }
        }
    }

    async fn claim(&self) -> Result<Vec<Stored>> {
        let free = self.permits.available_permits().min(CLAIM);
        let Some(limit) = NonZeroUsize::new(free) else { return Ok(Vec::new()) };
        self.store.claim(self.worker, &self.known(), limit).await
    }

    /// Drives a saga that was claimed.
    async fn take_up(self: Arc<Self>, stored: Stored) {
        let id = stored.head.id;
        let lease = Lease::Held(stored.epoch);
        self.leased.hear(stored.now, &*self.options.clock);
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else { return };
        let active = loop {
            match self.begin(id) {
                Ok(active) => break active,
                Err(other) => {
                    let ended = other.ended.notified();
                    if self.active().contains_key(&id) {
                        ended.await;
                    }
                }
            }
        };
        let opened = self.definition_of(&stored).and_then(|definition| Job::open(definition, stored, lease));
        match opened {
            Ok(job) => {
                self.drive_to_rest(job, Vec::new(), active, Some(permit)).await;
            }
            Err(error) => self.park(id, Some(lease), &error).await,
        }
    }

    /// Takes up what this worker holds and nobody here drives, and forgets what ended long ago.
    async fn tend(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        let held = self.store.query(&Query::new().with_holder(self.worker)).await.unwrap_or_default();
        for orphan in held {
            let id = orphan.head.id;
            if self.active().contains_key(&id) {
                continue;
            }
            let Ok(Some(stored)) = self.store.load(id).await else { continue };
            if stored.holder != Some(self.worker) || self.active().contains_key(&id) {
                continue;
            }
            tracing::warn!(saga = %id, "a saga was held here and not driven");
            tasks.spawn(Arc::clone(self).take_back(stored));
        }
        match self.mind_versions().await {
            Ok(found) => {
                for stored in found {
                    tasks.spawn(Arc::clone(self).take_back(stored));
                }
            }
            Err(error) => tracing::warn!(error = %error, "sagas of unknown versions could not be looked for"),
        }
        if let Some(retention) = self.options.retention
            && let Err(error) = self.store.purge(retention, PURGE).await
        {
            tracing::warn!(error = %error, "ended sagas could not be forgotten");
        }
    }

    /// Parks sagas that have been overdue for long because no code knows their version, and returns those that were parked so
    /// and are known here by now.
    ///
    /// A saga whose very name is not known here is another service's.
    async fn mind_versions(&self) -> Result<Vec<Stored>> {
        let census = self.store.census().await?;
        if census.overdue >= self.options.orphaned_after {
            self.mind_ended().await?;
        }
        let mut known_again = Vec::new();
        for Known { saga, versions } in self.known().iter() {
            let query = Query::new().with_saga(Arc::clone(saga));
            // Seldom: all sagas that go on may have to be looked at.
            if census.overdue >= self.options.orphaned_after {
                let open = [Status::Running, Status::Waiting, Status::Compensating];
                let idle = query.clone().with_idle(self.options.orphaned_after).with_statuses(open);
                let now = self.now();
                let is_orphaned = |summary: &Summary| {
                    let overdue = match summary.head.due {
                        Some(due) => due.saturating_add(self.options.orphaned_after) <= now,
                        None => summary.head.status != Status::Waiting,
                    };
                    overdue && summary.holder.is_none() && !versions.contains(&summary.head.definition)
                };
                for Summary { head, epoch, .. } in self.list(idle, is_orphaned).await? {
                    let error = Error::new(ErrorKind::Unsupported, unknown(saga, head.definition));
                    self.park(head.id, Some(Lease::Take(epoch + 1)), &error).await;
                }
            }
            if census.count(Status::Parked) > 0 {
                let is_known_again = |Summary { head, .. }: &Summary| {
                    let was_unknown = head.reason.as_deref() == Some(&*unknown(saga, head.definition));
                    was_unknown && versions.contains(&head.definition)
                };
                let parked = query.with_statuses([Status::Parked]);
                for summary in self.list(parked, is_known_again).await? {
                    known_again.extend(self.store.load(summary.head.id).await?);
                }
            }
        }
        Ok(known_again)
    }

    /// Lists what is wanted of everything that matches, page by page.
    async fn list(&self, mut query: Query, wanted: impl Fn(&Summary) -> bool + Send) -> Result<Vec<Summary>> {
        let mut found = Vec::new();
        loop {
            let page = self.store.query(&query).await?;
            let Some(last) = page.last() else { return Ok(found) };
            query = query.with_after(last.head.id);
            found.extend(page.into_iter().filter(&wanted));
        }
    }

    /// Drives a saga that this worker holds already, under a new epoch.
    async fn take_back(self: Arc<Self>, stored: Stored) {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else { return };
        let id = stored.head.id;
        let Ok(active) = self.begin(id) else { return };
        let lease = Lease::Take(stored.epoch + 1);
        let opened = self.definition_of(&stored).and_then(|definition| Job::open(definition, stored, lease));
        match opened {
            Ok(mut job) => {
                // The store has to hear of the new epoch, even if there is nothing else to say.
                job.touch(crate::machine::record::Note::TakenOver);
                let driven = self.drive_to_rest(job, Vec::new(), active, Some(permit)).await;
                if let Err(error) = driven.result
                    && !driven.committed
                    && is_for_people(&error)
                {
                    self.park(id, Some(lease), &error).await;
                }
            }
            Err(error) => self.park(id, Some(lease), &error).await,
        }
    }
}

fn is_hopeless(error: &Error) -> bool {
    !error.retry().is_retryable() && matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::InvalidInput)
}
