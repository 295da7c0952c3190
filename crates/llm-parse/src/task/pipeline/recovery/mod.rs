//! What the store has and the bus may not know of.

mod owed;
#[cfg(test)]
mod tests;

use std::time::Duration;

use pumasi_core::Result;
use pumasi_core::event::{Envelope, Shutdown, State};
use pumasi_core::resilience::{Backoff, Random};
use tokio::time::Instant;

use self::owed::Due;
pub(super) use self::owed::{Debt, Owed};

use super::{TaskPipeline, TaskQuery, TaskRecord, TaskState};

impl TaskPipeline {
    /// Publishes once more whatever the store has as accepted and not done; for the start of a service that was killed
    /// between storing and publishing. The bus drops what it already has. Returns how many posts there were.
    ///
    /// # Errors
    ///
    /// Those of store and bus.
    pub async fn recover(&self) -> Result<usize> {
        let mut count = 0;
        for state in [TaskState::Pending, TaskState::Withdrawing] {
            let mut query = TaskQuery::in_state(state);
            loop {
                let page = self.store.list(&query).await?;
                let Some(last) = page.last() else { break };
                query = TaskQuery::in_state(state).after(last.post_id.clone());
                for record in page {
                    self.publish_again(&record).await?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Recovers at once, and then publishes every change that a call left in the store and not on the bus, until
    /// `shutdown`: the bus did not take it, the store failed, or the call was dropped.
    ///
    /// A store may finish what a dropped call began: such a change is looked for during ten minutes. A service runs this
    /// beside its [`consumer`](Self::consumer). A store or a bus that fails is asked again, after 1 to 30 seconds.
    pub async fn keep_recovering(&self, shutdown: Shutdown) {
        let random = Random::default();
        let mut failures = 0;
        self.owed.note_all();
        loop {
            let paying = tokio::select! {
                () = shutdown.triggered() => return,
                paying = self.pay() => paying,
            };
            let next = match paying {
                Ok(posts) => {
                    if failures > 0 {
                        tracing::info!(posts, failures, "what was owed to the bus is published");
                    }
                    failures = 0;
                    self.owed.next_look()
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "accepted posts are still owed to the bus");
                    Some(Instant::now() + pauses().delay(failures, &random))
                }
            };
            tokio::select! {
                () = shutdown.triggered() => return,
                () = self.owed.told(), if failures == 0 => {}
                () = until(next) => {}
            }
        }
    }

    /// Looks for what is due to be looked for, and publishes what stands. One that fails keeps the rest for the next time.
    async fn pay(&self) -> Result<usize> {
        let mut posts = 0;
        for due in self.owed.due() {
            match self.pay_for(&due).await {
                Ok(true) => {
                    self.owed.settled(&due);
                    posts += 1;
                }
                Ok(false) => self.owed.missed(&due),
                Err(error) => {
                    self.owed.put_off(&due);
                    return Err(error);
                }
            }
        }
        if let Some(due) = self.owed.all_due() {
            posts += self.recover().await?;
            self.owed.looked_through(&due);
        }
        Ok(posts)
    }

    /// Publishes what stands about a post; tells whether that is the change or a later one.
    async fn pay_for(&self, due: &Due) -> Result<bool> {
        let Some(standing) = self.store.get(&due.post_id).await? else { return Ok(false) };
        if !standing.state.is_settled() {
            self.publish_again(&standing).await?;
        }
        Ok((standing.version, standing.round) >= due.at())
    }

    async fn publish_again(&self, record: &TaskRecord) -> Result<()> {
        let event: Envelope = match &record.post {
            None => Self::event(&record.post_id, State::Deleted, record.version, record.round),
            Some(post) => Self::accepted(post, record.version, record.round)?,
        };
        self.bus.publish(&[event]).await.map(drop)
    }
}

const fn pauses() -> Backoff {
    Backoff::new(Duration::from_secs(1), Duration::from_secs(30))
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
