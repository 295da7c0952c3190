//! Retention: old events go once every group has taken them in.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::Value;

use super::Shared;
use super::error::Failure;
use super::script::{self, KEEP, TRIM, TRIMMABLE};

/// How many events of a topic are deleted in one step.
const STEP: usize = 10_000;

/// What may go of one topic.
struct Trimmable {
    number: usize,
    groups: Vec<String>,
}

impl Shared {
    /// Deletes what is past its retention, and returns how many events that were.
    pub(super) async fn clean_up(&self) -> Result<usize, Failure> {
        let topics = self.link.command(redis::cmd("HKEYS").arg(self.key("topics"))).await?;
        let mut deleted = 0;
        for topic in script::list(topics)? {
            let topic = script::text(topic)?;
            loop {
                let count = self.trim(&topic).await?;
                deleted += count;
                if count < STEP {
                    break;
                }
            }
        }
        Ok(deleted)
    }

    async fn trim(&self, topic: &str) -> Result<usize, Failure> {
        let Some(trimmable) = self.trimmable(topic).await? else { return Ok(0) };
        for group in &trimmable.groups {
            for part in ["wait", "lanes"] {
                let mut cursor = "0".to_owned();
                loop {
                    let mut call = self.call(&KEEP);
                    call.arg(group).arg(topic).arg(trimmable.number).arg(part).arg(&cursor);
                    cursor = script::text(self.link.call(&call).await?)?;
                    if cursor == "0" {
                        break;
                    }
                }
            }
        }
        let mut call = self.call(&TRIM);
        call.arg(topic).arg(trimmable.number).arg(trimmable.groups.len());
        script::count(&self.link.call(&call).await?)
    }

    async fn trimmable(&self, topic: &str) -> Result<Option<Trimmable>, Failure> {
        let retention = u64::try_from(self.retention.as_micros()).unwrap_or(u64::MAX);
        let mut call = self.call(&TRIMMABLE);
        call.arg(topic).arg(self.now()).arg(retention).arg(self.max_len).arg(STEP);
        let mut parts = script::list(self.link.call(&call).await?)?.into_iter();
        let (Some(number), Some(_)) = (parts.next(), parts.next()) else { return Err(Failure::Answer) };
        let number = script::count(&number)?;
        let groups = parts.map(script::text).collect::<Result<_, _>>()?;
        Ok((number > 0).then_some(Trimmable { number, groups }))
    }

    /// Whether this process is the one that cleans up this time.
    async fn is_its_turn(&self, every: Duration) -> bool {
        let period = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).clamp(10, u64::from(u32::MAX));
        let mut command = redis::cmd("SET");
        command.arg(self.key("cleaning")).arg(1).arg("NX").arg("PX").arg(period - period / 10);
        matches!(self.link.command(&command).await, Ok(Value::Okay))
    }
}

/// Cleans up every now and then, until the bus is gone.
pub(super) async fn regularly(shared: Weak<Shared>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(shared) = shared.upgrade() else { return };
        clean_up(&shared, every).await;
    }
}

async fn clean_up(shared: &Arc<Shared>, every: Duration) {
    if !shared.is_its_turn(every).await {
        return;
    }
    match shared.clean_up().await {
        Ok(deleted) => tracing::debug!(deleted, "old events were deleted"),
        Err(failure) => {
            let error = shared.error(failure, TRIM.what);
            tracing::warn!(error = %error, "old events could not be deleted");
        }
    }
}
