//! Finding sagas.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::time::Timestamp;

use super::{Head, SagaId, Status, WorkerId};
use crate::{Error, ErrorKind, Result};

/// Which sagas are meant; without any condition, all.
///
/// ```
/// use std::time::Duration;
/// use pumasi_saga::store::{Query, Status};
///
/// let stuck = Query::new().with_saga("registration").with_statuses([Status::NeedsOperator, Status::Parked]);
/// // How long it has stood there, however often the step was tried meanwhile; and how old it is.
/// let slow = Query::new().with_step("start_payment").with_standing(Duration::from_secs(600));
/// let old = Query::new().with_statuses([Status::Waiting]).with_age(Duration::from_secs(86_400));
/// # let _ = (stuck, slow, old);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// The name of the definition.
    pub saga: Option<Arc<str>>,
    /// The key, as compact JSON.
    pub key: Option<Arc<str>>,
    /// The status is one of these; empty: any.
    pub statuses: Vec<Status>,
    /// The step that the saga stands at.
    pub step: Option<Arc<str>>,
    /// The last commit was at least this long ago, by the store's clock.
    pub idle: Option<Duration>,
    /// It has had its status and stood at its step for at least this long, by the store's clock.
    pub standing: Option<Duration>,
    /// It was created at least this long ago, by the store's clock.
    pub age: Option<Duration>,
    /// This worker holds it, and its lease runs.
    pub holder: Option<WorkerId>,
    /// Only sagas whose id is greater: the last one of the page before.
    pub after: Option<SagaId>,
    /// How many at most.
    pub limit: NonZeroUsize,
}

impl Query {
    /// The size of a page, unless set otherwise.
    pub const DEFAULT_LIMIT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

    /// Means all sagas, 100 a page.
    pub fn new() -> Self {
        Self {
            saga: None,
            key: None,
            statuses: Vec::new(),
            step: None,
            idle: None,
            standing: None,
            age: None,
            holder: None,
            after: None,
            limit: Self::DEFAULT_LIMIT,
        }
    }

    /// Means those of one definition.
    #[must_use]
    pub fn with_saga(mut self, saga: impl Into<Arc<str>>) -> Self {
        self.saga = Some(saga.into());
        self
    }

    /// Means those with this key, as compact JSON.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Means those whose status is one of these.
    #[must_use]
    pub fn with_statuses(mut self, statuses: impl IntoIterator<Item = Status>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// Means those that stand at this step.
    #[must_use]
    pub fn with_step(mut self, step: impl Into<Arc<str>>) -> Self {
        self.step = Some(step.into());
        self
    }

    /// Means those that were committed last at least this long ago: nobody has done anything about them since. Every attempt of a
    /// step that is tried again is a commit, and so is every look at a child that is waited for.
    #[must_use]
    pub fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Means those that have had their status, and stood at their step, for at least this long, however often that was tried: the age in
    /// the present state.
    #[must_use]
    pub fn with_standing(mut self, standing: Duration) -> Self {
        self.standing = Some(standing);
        self
    }

    /// Means those that were created at least this long ago.
    #[must_use]
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// Means those that this worker holds.
    #[must_use]
    pub fn with_holder(mut self, holder: WorkerId) -> Self {
        self.holder = Some(holder);
        self
    }

    /// Means those after this one, in the order of ids: the next page.
    #[must_use]
    pub fn with_after(mut self, after: SagaId) -> Self {
        self.after = Some(after);
        self
    }

    /// Sets the size of a page (default 100).
    #[must_use]
    pub fn with_limit(mut self, limit: NonZeroUsize) -> Self {
        self.limit = limit;
        self
    }

    /// Checks what a store may rely on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the name of the saga, the key or the step has a NUL, which no saga's has.
    pub fn check(&self) -> Result<()> {
        let has_nul = |text: &Option<Arc<str>>| text.as_ref().is_some_and(|text| text.contains('\0'));
        if has_nul(&self.saga) || has_nul(&self.key) || has_nul(&self.step) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the name, the key and the step of a saga have no NUL",
            ));
        }
        Ok(())
    }

    /// Tells whether a saga is meant, the page apart; what every store agrees with.
    pub fn matches(&self, summary: &Summary, now: Timestamp) -> bool {
        let head = &summary.head;
        self.saga.as_ref().is_none_or(|saga| *saga == head.saga)
            && self.key.as_ref().is_none_or(|key| *key == head.key)
            && (self.statuses.is_empty() || self.statuses.contains(&head.status))
            && self.step.as_ref().is_none_or(|step| *step == head.step)
            && self.holder.is_none_or(|holder| summary.holder == Some(holder))
            && self.idle.is_none_or(|idle| now.saturating_since(summary.updated_at) >= idle)
            && self.standing.is_none_or(|standing| now.saturating_since(summary.since) >= standing)
            && self.age.is_none_or(|age| now.saturating_since(summary.created_at) >= age)
    }
}

impl Default for Query {
    fn default() -> Self {
        Self::new()
    }
}

/// A saga in a list: what the store knows of it without reading its log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// What the last commit said of it.
    pub head: Head,
    /// Its version.
    pub version: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Who holds it, if anybody does whose lease runs.
    pub holder: Option<WorkerId>,
    /// When it was created, by the store's clock.
    pub created_at: Timestamp,
    /// When it was committed last, by the store's clock.
    pub updated_at: Timestamp,
    /// Since when it has had its status and stood at its step, by the store's clock.
    pub since: Timestamp,
}

impl Summary {
    /// Makes one, for stores.
    pub fn new(
        head: Head,
        version: u64,
        epoch: u64,
        holder: Option<WorkerId>,
        created_at: Timestamp,
        updated_at: Timestamp,
        since: Timestamp,
    ) -> Self {
        Self { head, version, epoch, holder, created_at, updated_at, since }
    }
}

/// How many sagas there are, and what waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// How many of which definition have which status; those that none has are left out. Ordered.
    pub sagas: Vec<(Arc<str>, Status, u64)>,
    /// How many are claimable now.
    pub claimable: u64,
    /// For how long the most overdue of them has been, by the store's clock.
    pub overdue: Duration,
    /// How many are held by somebody whose lease runs.
    pub held: u64,
    /// How many workers have a lease that runs.
    pub workers: u64,
}

impl Census {
    /// Makes an empty one, for stores to fill.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many sagas have this status.
    pub fn count(&self, status: Status) -> u64 {
        self.sagas.iter().filter(|(_, other, _)| *other == status).map(|(_, _, count)| count).sum()
    }
}
