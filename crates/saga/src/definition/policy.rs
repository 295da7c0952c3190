//! How often, how long and with what pauses something is tried.

use std::num::NonZeroU32;
use std::time::Duration;

use pumasi_core::resilience::Backoff;

/// How a step, a compensation or a late handler is tried.
///
/// | | default |
/// |---|---|
/// | attempts, the first one included | 5 |
/// | pause between them | [`Backoff::default`]: 100 ms doubling to 10 s, full jitter |
/// | timeout of each | 30 s; what is cut off has an unknown outcome |
/// | an unknown outcome that no probe settles | tried again under the same idempotency key |
///
/// What may be tried again at all is said by the error ([`Failure::retry`](crate::Failure::retry)).
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use pumasi_core::resilience::Backoff;
/// use pumasi_saga::Policy;
///
/// let patient = Policy::forever().with_backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(600)));
/// let once = Policy::new().with_attempts(NonZeroU32::MIN).with_timeout(Duration::from_secs(3));
/// # let _ = (patient, once);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    attempts: Option<NonZeroU32>,
    backoff: Backoff,
    timeout: Duration,
    retry_unknown: bool,
}

impl Policy {
    /// Tries five times, with the default backoff, 30 s each.
    pub const DEFAULT_ATTEMPTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

    /// Makes the default policy.
    pub fn new() -> Self {
        Self {
            attempts: Some(Self::DEFAULT_ATTEMPTS),
            backoff: Backoff::default(),
            timeout: Duration::from_secs(30),
            retry_unknown: true,
        }
    }

    /// Makes a policy that never gives up.
    pub fn forever() -> Self {
        Self { attempts: None, ..Self::new() }
    }

    /// Sets how often it is tried, the first time included.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Sets the pauses between attempts.
    #[must_use]
    pub const fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how long one attempt may take.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Has nothing tried again whose outcome is unknown: a step is then compensated itself, for partners that take no
    /// idempotency key.
    #[must_use]
    pub const fn without_blind_retries(mut self) -> Self {
        self.retry_unknown = false;
        self
    }

    /// Returns how often it is tried; `None`: without end.
    pub const fn attempts(&self) -> Option<NonZeroU32> {
        self.attempts
    }

    /// Returns the pauses between attempts.
    pub const fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    /// Returns how long one attempt may take.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Tells whether there is another attempt after this many.
    pub(crate) fn goes_on_after(&self, attempt: u32) -> bool {
        self.attempts.is_none_or(|attempts| attempt < attempts.get())
    }

    pub(crate) const fn retries_unknown(&self) -> bool {
        self.retry_unknown
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

/// What happens when a compensation is exhausted. Either way the saga ends up with an operator: it is
/// [`Compensated`](crate::store::Status::Compensated) only once everything was undone, or an operator has
/// [said](crate::Decision) what is to be taken for it.
///
/// | | `Halt` | `Continue` |
/// |---|---|---|
/// | the steps before it | stand until an operator has decided | are undone at once |
/// | then | the saga stands as `NeedsOperator` at this step, with the compensation's reason | the saga stands as `NeedsOperator` at the last step that was passed over; its reason names all of them, and so does [`Snapshot::not_undone`](crate::Snapshot::not_undone) |
/// | an operator's `retry`, `skip` or `force_done` | settles this compensation, and the rollback goes on | settles one after the other, the last step first |
/// | order | strictly reverse | compensations *begin* in reverse order; one that was passed over may end after those of the steps before it |
///
/// Choose `Continue` where the compensations do not depend on each other, and a place or a payment must not wait for a person because
/// another partner is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenExhausted {
    /// Nothing further is undone until an operator has decided.
    #[default]
    Halt,
    /// The steps before it are undone all the same, and the saga waits for an operator at the end, for what is left.
    Continue,
}
