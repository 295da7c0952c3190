//! The head of a tenant: which version of its knowledge is seen, and who writes the next one.
//!
//! Qdrant has no transactions over points. So each point says from which version on it is seen, and, once it is replaced or removed,
//! from which on no longer; the version that holds now stands in one point, the head, and changes at once. A writer puts the points of
//! the next version unseen, marks those that go, and then sets the head. A search reads the head first and asks for what that version
//! sees. What no version sees any more is swept away a change later; a search that is still underway then sees so by the head, and
//! begins anew.
//!
//! The head is changed only where it is as it was read (`update_filter`, since Qdrant 1.16), by one writer at a time: it holds a lease and
//! shows signs of life. One that shows none is given up: the number of its version is dead from then on, whatever of it arrives later.

use std::sync::Arc;
use std::time::Duration;

use qdrant_client::qdrant::{Condition, Filter, PointId, Range};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::condition::keyword;
use super::payload::{Members, Point, kind, point, point_id, text};
use super::wire::Wire;
use crate::document::Tenant;
use crate::store::{Statistics, next_version};
use crate::{Error, ErrorKind, Result, Retry};

/// So many writers that were given up are remembered.
const REMEMBERED: usize = 16;

/// What the head says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    /// What is seen.
    pub(super) version: u64,
    /// The number of the last writer: the version that it makes.
    pub(super) epoch: u64,
    /// Who writes; empty for nobody.
    pub(super) holder: String,
    /// Grows with each sign of life.
    pub(super) beat: u64,
    /// What no version from this one on sees may be gone.
    pub(super) swept: u64,
    /// The numbers of writers that were given up.
    pub(super) dead: Vec<u64>,
    pub(super) statistics: Statistics,
    /// The shortest and the longest mean length by which terms are weighed in the points.
    pub(super) weighed: (f32, f32),
}

impl Head {
    /// Tells one state of the head from all others.
    fn stamp(&self) -> String {
        format!("{}.{}.{}", self.epoch, self.beat, self.holder)
    }

    /// Tells whether this was the head, or is it, when it is `now` another one: the number after that of a writer that was given up
    /// comes with its death, and any other after what it left.
    fn came_before(&self, now: &Self) -> bool {
        let left = self.holder.is_empty() && now.epoch > self.epoch && !now.dead.contains(&self.epoch);
        now == self || left
    }

    /// The points of a tenant that this version sees.
    pub(super) fn seen(&self, tenant: &Tenant) -> Filter {
        let begun = Condition::range("from", Range { lte: Some(number(self.version)), ..Range::default() });
        let must = vec![keyword("tenant", tenant.as_str()), begun];
        Filter { must, must_not: self.gone(), ..Filter::default() }
    }

    fn gone(&self) -> Vec<Condition> {
        let over = Condition::range("to", Range { lte: Some(number(self.version)), ..Range::default() });
        if self.dead.is_empty() {
            return vec![over];
        }
        let over = Filter { must: vec![over], must_not: vec![self.in_dead("to")], ..Filter::default() };
        vec![over.into(), self.in_dead("from")]
    }

    /// What is left of writers that were given up: points that they have put, and marks of points that they have replaced.
    pub(super) fn left_over(&self, tenant: &Tenant) -> (Filter, Filter) {
        let mine = || keyword("tenant", tenant.as_str());
        let unseen = Condition::range("from", Range { gt: Some(number(self.version)), ..Range::default() });
        let put =
            Filter { must: vec![mine()], should: vec![unseen, self.in_dead("from")], ..Filter::default() };
        (put, Filter::must([mine(), self.in_dead("to")]))
    }

    fn in_dead(&self, name: &str) -> Condition {
        let dead: Vec<i64> =
            self.dead.iter().map(|epoch| i64::try_from(*epoch).unwrap_or(i64::MAX)).collect();
        Condition::matches(name, dead)
    }

    /// The points that can be swept away.
    pub(super) fn sweepings(&self, tenant: &Tenant) -> Filter {
        let over = Condition::range("to", Range { lte: Some(number(self.swept)), ..Range::default() });
        let mine = keyword("tenant", tenant.as_str());
        if self.dead.is_empty() {
            return Filter::must([mine, over]);
        }
        let over = Filter { must: vec![over], must_not: vec![self.in_dead("to")], ..Filter::default() };
        Filter { must: vec![mine], should: vec![over.into(), self.in_dead("from")], ..Filter::default() }
    }

    /// Tells whether what was read by this head holds although the head is `now` another one.
    pub(super) fn holds(&self, now: &Self) -> bool {
        now.swept <= self.version && now.weighed.0 >= self.weighed.0
    }
}

/// A version as a double, which ranges are asked by: exact up to 2^53, microseconds until the year 2255.
#[expect(clippy::cast_precision_loss, reason = "times of changes, for the next two centuries")]
fn number(version: u64) -> f64 {
    version as f64
}

fn id(tenant: &Tenant) -> PointId {
    point_id(kind::TENANT, tenant.as_str(), "", 0, 0)
}

/// Reads the head of a tenant; `None` if nothing was put yet.
pub(super) async fn read(wire: &Wire, tenant: &Tenant, what: &str) -> Result<Option<Head>> {
    let points = wire.get(vec![id(tenant)], vec!["head"], false, what).await?;
    points.first().map(|point| Point(&point.payload).json("head")).transpose()
}

/// Puts a head in the place of another, if that is still there; returns the one that is there then.
async fn swap(
    wire: &Wire,
    tenant: &Tenant,
    old: Option<&Head>,
    new: &Head,
    what: &str,
) -> Result<Option<Head>> {
    let head = serde_json::to_string(new).map_err(|error| {
        Error::new(ErrorKind::Other, "the head of a tenant could not be written").with_source(error)
    })?;
    let members = Members::from([
        ("kind".to_owned(), text(kind::TENANT)),
        ("owner".to_owned(), text(tenant.as_str())),
        ("stamp".to_owned(), text(new.stamp())),
        ("head".to_owned(), text(head)),
    ]);
    let expected = keyword("stamp", old.map(Head::stamp).unwrap_or_default());
    let put = wire.put_if(point(id(tenant), members), Filter::must([expected]), what).await;
    // whether it was put is seen by what is there, also where the answer was lost
    match (read(wire, tenant, what).await, put) {
        (Ok(Some(now)), _) if new.came_before(&now) => Ok(Some(new.clone())),
        (_, Err(error)) => Err(error),
        (now, Ok(())) => now,
    }
}

/// The right to write the next version of a tenant's knowledge.
pub(super) struct Lease {
    wire: Arc<Wire>,
    tenant: Tenant,
    /// What the head says now.
    pub(super) head: Head,
    /// Whether a writer before this one was given up.
    pub(super) after_another: bool,
    shown: Instant,
    length: Duration,
}

impl Lease {
    /// Waits for the right to write.
    ///
    /// A writer of another process that shows no sign of life for `length` is given up, one of this process (`holder`) at once: here they
    /// write one after another, so that it has ended.
    pub(super) async fn take(
        wire: &Arc<Wire>,
        tenant: &Tenant,
        holder: &str,
        length: Duration,
        patience: Duration,
    ) -> Result<Self> {
        let what = "beginning to write the knowledge";
        let begun = Instant::now();
        let mut seen: Option<(Head, Instant)> = None;
        let mut now = read(wire, tenant, what).await?;
        loop {
            let old = now.clone().unwrap_or_default();
            let idle = match &seen {
                Some((head, since)) if *head == old => since.elapsed(),
                _ => {
                    seen = Some((old.clone(), Instant::now()));
                    Duration::ZERO
                }
            };
            if old.holder.is_empty() || old.holder == holder || idle >= length {
                let after_another = !old.holder.is_empty();
                let mut new = Head {
                    epoch: next_version(old.epoch),
                    beat: 0,
                    holder: holder.to_owned(),
                    ..old.clone()
                };
                if after_another {
                    new.dead.push(old.epoch);
                    let forgotten = new.dead.len().saturating_sub(REMEMBERED);
                    new.dead.drain(..forgotten);
                }
                let there = swap(wire, tenant, now.as_ref(), &new, what).await?;
                if there.as_ref() == Some(&new) {
                    let (wire, tenant) = (Arc::clone(wire), tenant.clone());
                    return Ok(Self {
                        wire,
                        tenant,
                        head: new,
                        after_another,
                        shown: Instant::now(),
                        length,
                    });
                }
                now = there;
                continue;
            }
            if begun.elapsed() >= patience.saturating_add(length) {
                let message = format!("{what} failed: another process is writing for too long");
                return Err(Error::new(ErrorKind::Timeout, message));
            }
            tokio::time::sleep(pause(begun.elapsed()).min(length)).await;
            now = read(wire, tenant, what).await?;
        }
    }

    /// Shows a sign of life, where it is time to.
    pub(super) async fn show(&mut self) -> Result<()> {
        if self.shown.elapsed() < self.length / 4 {
            return Ok(());
        }
        self.set(|_| ()).await
    }

    /// Changes the head, which stays with this writer.
    pub(super) async fn set(&mut self, change: impl FnOnce(&mut Head)) -> Result<()> {
        let mut new = Head { beat: self.head.beat + 1, ..self.head.clone() };
        change(&mut new);
        let there = swap(&self.wire, &self.tenant, Some(&self.head), &new, "writing the knowledge").await?;
        if there.as_ref() != Some(&new) {
            return Err(lost());
        }
        (self.head, self.shown) = (new, Instant::now());
        Ok(())
    }

    /// Gives the right back, with a change of the head.
    pub(super) async fn end(mut self, change: impl FnOnce(&mut Head)) -> Result<Head> {
        self.set(|head| {
            head.holder.clear();
            change(head);
        })
        .await?;
        Ok(self.head)
    }
}

/// How long to wait before the next look, longer after longer waiting.
fn pause(waited: Duration) -> Duration {
    (waited / 4).clamp(Duration::from_millis(5), Duration::from_millis(100))
}

fn lost() -> Error {
    let message = "writing the knowledge failed: another process took this one for dead, and goes on";
    Error::new(ErrorKind::Conflict, message).with_retry(Retry::Now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(epoch: u64, holder: &str, dead: &[u64]) -> Head {
        Head { epoch, holder: holder.to_owned(), dead: dead.to_vec(), ..Head::default() }
    }

    #[test]
    fn a_head_that_others_have_followed_was_there_unless_they_took_over() {
        let left = head(3, "", &[]);
        assert!(left.came_before(&left) && left.came_before(&head(4, "other", &[])));
        assert!(left.came_before(&head(9, "", &[5])));
        assert!(!left.came_before(&head(4, "other", &[3])) && !left.came_before(&head(3, "me", &[])));
        assert!(!head(3, "me", &[]).came_before(&head(4, "other", &[3])));
    }

    #[test]
    fn what_was_read_holds_until_it_may_have_been_swept_away_or_weighed_anew() {
        let then = Head { version: 5, swept: 4, weighed: (10.0, 12.0), ..Head::default() };
        let now = |version, swept, weighed| then.holds(&Head { version, swept, weighed, ..Head::default() });
        assert!(now(5, 4, (10.0, 12.0)) && now(6, 5, (10.0, 12.0)) && now(6, 5, (11.0, 11.0)));
        assert!(!now(7, 6, (10.0, 12.0)) && !now(5, 4, (9.0, 12.0)));
    }
}
