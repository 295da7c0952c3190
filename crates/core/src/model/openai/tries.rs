//! The tries of one call, and what those that failed used.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::transport::Transport;
use crate::model::Usage;
use crate::{Error, Result};

/// How often a call was tried, and the tokens of the tries that failed, where the server told them.
#[derive(Clone, Copy, Default)]
struct Tries {
    count: u32,
    spent: Option<Usage>,
}

impl Transport {
    /// Tries a call until it succeeds, or its policy gives up or `timeout` is over; returns beside its outcome what the tries
    /// before it used.
    ///
    /// # Errors
    ///
    /// That of the last try, with the usage of all of them.
    pub(super) async fn try_within<T, F>(
        &self,
        timeout: Duration,
        attempt: impl Fn() -> F,
    ) -> Result<(T, Option<Usage>)>
    where
        F: Future<Output = Result<T>>,
    {
        let tries = Mutex::new(Tries::default());
        let noted = |error: Error| {
            let mut tries = tries.lock().unwrap_or_else(PoisonError::into_inner);
            tries.spent = sum(tries.spent, error.usage());
            error
        };
        let counted = |_| {
            tries.lock().unwrap_or_else(PoisonError::into_inner).count += 1;
            let attempt = attempt();
            async { attempt.await.map_err(noted) }
        };
        let outcome = self.policy.clone().with_deadline(timeout).run_if(counted, Error::retry).await;
        let Tries { count, spent } = *tries.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(value) => Ok((value, spent)),
            Err(error) => Err(error.with_known_usage(spent).after_tries(count)),
        }
    }
}

/// Adds what is known of two usages.
pub(super) fn sum(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    let mut all = one.or(other)?;
    if let (Some(_), Some(other)) = (one, other) {
        all += other;
    }
    Some(all)
}
