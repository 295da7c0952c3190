//! The unsettled events of a group that this process has read: which may be handed out, and who holds which.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Delivery, Envelope, Receipt};

/// How many events of one lane a fetch hands out at most.
const RUN: usize = 32;

/// Topic and key.
pub(super) type LaneId = (Arc<str>, Arc<str>);

#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<LaneId, Lane>,
    /// The lanes by when they may be handed out, then by their oldest event.
    order: BTreeSet<(Instant, u128, LaneId)>,
    last_fence: u64,
}

/// The unsettled events of one topic and key, in order.
#[derive(Debug)]
struct Lane {
    rows: VecDeque<Row>,
    /// When the lane may be handed out: the end of a delay, or of a lease.
    available: Instant,
    /// Under which its lane stands in the group's order.
    rank: u128,
    /// How many settlements wait for the broker; until they are decided nobody is handed the lane.
    settling: usize,
}

#[derive(Debug)]
struct Row {
    position: u128,
    event: Arc<Envelope>,
    attempts: u32,
    /// The fence under which it is handed out; 0 if it is not.
    fence: u64,
    /// Whether the attempt that the current holder makes is counted already: of a run, only what was begun is.
    begun: bool,
    settling: bool,
    ahead: Ahead,
}

/// Whether the first attempt of an event that nobody holds is committed in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    No,
    /// The commit is on its way.
    Sent,
    Committed,
}

/// A row that was handed out.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) delivery: Delivery,
    /// Whether it is the first of its run, whose attempt has begun.
    pub(super) head: bool,
}

/// A row of a run whose attempt begins when the one before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) position: u128,
    pub(super) attempts: u32,
}

impl Lanes {
    /// Adds an event; returns false if its position is there already.
    pub(super) fn push(
        &mut self,
        topic: &Arc<str>,
        position: u128,
        event: Arc<Envelope>,
        attempts: u32,
        now: Instant,
    ) -> bool {
        let id: LaneId = (Arc::clone(topic), event.key.as_str().into());
        let lane = self.lanes.entry(id.clone()).or_insert_with(|| Lane {
            rows: VecDeque::new(),
            available: now,
            rank: position,
            settling: 0,
        });
        if lane.rows.is_empty() {
            self.order.insert((lane.available, lane.rank, id));
        }
        let at = lane.rows.partition_point(|row| row.position < position);
        if lane.rows.get(at).is_some_and(|row| row.position == position) {
            return false;
        }
        lane.rows.insert(
            at,
            Row { position, event, attempts, fence: 0, begun: false, settling: false, ahead: Ahead::No },
        );
        true
    }

    /// Hands out up to `max` events of these topics, in order, as far as `admit` takes them: topic, position, and whether the
    /// event is the first of its run. With `ahead`, only those that come first and whose attempts are committed in advance.
    pub(super) fn take(
        &mut self,
        max: usize,
        topics: &[Arc<str>],
        now: Instant,
        lease: Duration,
        ahead: bool,
        mut admit: impl FnMut(&Arc<str>, u128, bool) -> bool,
    ) -> Vec<Taken> {
        let mut chosen = Vec::new();
        for (available, rank, id) in &self.order {
            if *available > now || chosen.len() == max {
                break;
            }
            let Some((lane, head)) = self.lanes.get(id).and_then(|lane| Some((lane, lane.rows.front()?)))
            else {
                continue;
            };
            // One that a commit on its way will have counted comes after that.
            let counted_soon = ahead && head.ahead == Ahead::Sent;
            let free = lane.settling == 0 && topics.contains(&id.0) && !counted_soon;
            if free && admit(&id.0, head.position, true) {
                if ahead && head.ahead != Ahead::Committed {
                    break;
                }
                chosen.push((*available, *rank, id.clone()));
            }
        }
        // Each lane gives one event, and what is left of `max` goes to longer runs.
        let mut spare = max - chosen.len();
        let mut taken = Vec::new();
        for place in chosen {
            let Some(lane) = self.lanes.get_mut(&place.2) else { continue };
            self.order.remove(&place);
            let id = place.2;
            self.last_fence += 1;
            let fence = self.last_fence;
            let limit = (1 + spare).min(RUN);
            let mut run = 0;
            for row in &mut lane.rows {
                let head = run == 0;
                if run == limit || !(head || admit(&id.0, row.position, false)) {
                    break;
                }
                row.fence = fence;
                row.begun = head;
                row.ahead = Ahead::No;
                let attempt = row.attempts.saturating_add(1);
                if head {
                    row.attempts = attempt;
                }
                run += 1;
                let (topic, key) = (Arc::clone(&id.0), Arc::clone(&id.1));
                let receipt = Receipt { topic, key, position: row.position, fence, attempt };
                taken.push(Taken { delivery: Delivery::new(Arc::clone(&row.event), receipt), head });
            }
            // What an earlier holder still had of a longer run is nobody's now.
            for row in lane.rows.iter_mut().skip(run) {
                row.fence = 0;
            }
            spare -= run.saturating_sub(1);
            lane.available = crate::time::after(now, lease);
            self.order.insert((lane.available, lane.rank, id));
        }
        taken
    }

    /// Chooses the events that come next and were never tried, up to `max`, whose first attempt is to be committed in advance.
    pub(super) fn look_ahead(
        &mut self,
        max: usize,
        now: Instant,
        mut admit: impl FnMut(&Arc<str>, u128) -> bool,
    ) -> Vec<(LaneId, u128)> {
        let mut chosen = Vec::new();
        let available = self.order.iter().take_while(|(available, ..)| *available <= now);
        for (.., id) in available.take(max) {
            let Some(lane) = self.lanes.get_mut(id) else { continue };
            let Some(head) = lane.rows.front_mut() else { continue };
            let fresh = lane.settling == 0 && head.attempts == 0 && head.ahead == Ahead::No;
            if fresh && admit(&id.0, head.position) {
                head.ahead = Ahead::Sent;
                chosen.push((id.clone(), head.position));
            }
        }
        chosen
    }

    /// Chooses the event that comes after those of a lane that are being settled, as [`look_ahead`](Self::look_ahead) does.
    pub(super) fn look_past(
        &mut self,
        settled: &Receipt,
        admit: impl FnOnce(&Arc<str>, u128) -> bool,
    ) -> Option<(LaneId, u128)> {
        let (id, lane, _) = self.find(settled)?;
        let next = lane.rows.iter_mut().find(|row| !row.settling)?;
        let fresh = next.fence == 0 && next.attempts == 0 && next.ahead == Ahead::No;
        if !fresh || !admit(&id.0, next.position) {
            return None;
        }
        next.ahead = Ahead::Sent;
        Some((id, next.position))
    }

    /// Says what became of the commit of [`look_ahead`](Self::look_ahead); returns whether the event still waits for it.
    pub(super) fn ahead(&mut self, id: &LaneId, position: u128, committed: bool) -> bool {
        let Some(lane) = self.lanes.get_mut(id) else { return false };
        let Ok(index) = lane.rows.binary_search_by_key(&position, |row| row.position) else { return false };
        let Some(row) = lane.rows.get_mut(index).filter(|row| row.ahead == Ahead::Sent) else { return false };
        row.ahead = if committed { Ahead::Committed } else { Ahead::No };
        true
    }

    /// Takes back what is committed in advance and was not handed out; returns it.
    pub(super) fn look_back(&mut self) -> Vec<(Arc<str>, u128)> {
        let mut back = Vec::new();
        for (id, lane) in &mut self.lanes {
            for row in &mut lane.rows {
                if std::mem::replace(&mut row.ahead, Ahead::No) != Ahead::No && row.attempts == 0 {
                    back.push((Arc::clone(&id.0), row.position));
                }
            }
        }
        back
    }

    /// Returns when the next lane may be handed out, if that is later than `now`.
    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        self.order.iter().map(|(available, ..)| *available).find(|available| *available > now)
    }

    fn find(&mut self, receipt: &Receipt) -> Option<(LaneId, &mut Lane, usize)> {
        let id = (Arc::clone(&receipt.topic), Arc::clone(&receipt.key));
        let lane = self.lanes.get_mut(&id)?;
        let index = lane.rows.binary_search_by_key(&receipt.position, |row| row.position).ok()?;
        Some((id, lane, index))
    }

    /// Finds the row that the receipt claims, if the claim still stands and is not being settled.
    fn claimed(&mut self, receipt: &Receipt) -> Option<(LaneId, &mut Lane, usize)> {
        let found = self.find(receipt)?;
        let row = found.1.rows.get(found.2)?;
        (receipt.fence != 0 && row.fence == receipt.fence && !row.settling).then_some(found)
    }

    /// Extends the lease to `until`; false if the claim is lost.
    pub(super) fn renew(&mut self, receipt: &Receipt, until: Instant) -> bool {
        let Some((id, lane, index)) = self.find(receipt) else { return false };
        if receipt.fence == 0 || lane.rows.get(index).is_none_or(|row| row.fence != receipt.fence) {
            return false;
        }
        let (old, rank) = (std::mem::replace(&mut lane.available, until), lane.rank);
        self.order.remove(&(old, rank, id.clone()));
        self.order.insert((until, rank, id));
        true
    }

    /// Begins to settle: until the end is known, nobody else is handed the lane. False if the claim is lost.
    pub(super) fn begin(&mut self, receipt: &Receipt) -> bool {
        let Some((_, lane, index)) = self.claimed(receipt) else { return false };
        lane.settling += 1;
        if let Some(row) = lane.rows.get_mut(index) {
            row.settling = true;
        }
        true
    }

    /// Counts the attempt of the event that comes next in the run of `receipt`, if none of them has begun.
    pub(super) fn begin_next(&mut self, receipt: &Receipt) -> Option<Begun> {
        let (_, lane, _) = self.find(receipt)?;
        let mut rest = lane.rows.iter_mut().filter(|row| row.fence == receipt.fence && !row.settling);
        let next = rest.next()?;
        if next.begun || rest.any(|row| row.begun) {
            return None;
        }
        next.begun = true;
        next.attempts = next.attempts.saturating_add(1);
        Some(Begun { position: next.position, attempts: next.attempts })
    }

    /// Takes [`begin_next`](Self::begin_next) back.
    pub(super) fn unbegin(&mut self, receipt: &Receipt, begun: Begun) {
        if let Some((_, lane, _)) = self.find(receipt)
            && let Ok(index) = lane.rows.binary_search_by_key(&begun.position, |row| row.position)
            && let Some(row) = lane.rows.get_mut(index)
            && row.begun
            && row.fence == receipt.fence
        {
            row.begun = false;
            row.attempts = row.attempts.saturating_sub(1);
        }
    }

    /// Ends a settlement that failed: the claim is as it was.
    pub(super) fn abort(&mut self, receipt: &Receipt) {
        if let Some((_, lane, index)) = self.find(receipt)
            && let Some(row) = lane.rows.get_mut(index)
            && std::mem::take(&mut row.settling)
        {
            lane.settling -= 1;
        }
    }

    /// Ends a settlement: the event is done.
    pub(super) fn finish(&mut self, receipt: &Receipt, now: Instant) {
        let Some((id, lane, index)) = self.find(receipt) else { return };
        let Some(row) = lane.rows.remove(index) else { return };
        lane.settling -= usize::from(row.settling);
        let held = row.fence != 0 && lane.rows.iter().any(|other| other.fence == row.fence);
        let available = if held || row.fence == 0 { lane.available } else { now };
        self.place(id, available);
    }

    /// Gives the event and the later ones of its run back, to be handed out again from `available` on.
    pub(super) fn give_back(&mut self, receipt: &Receipt, attempts: u32, available: Instant) {
        let Some((id, lane, index)) = self.find(receipt) else { return };
        let fence = lane.rows.get(index).map_or(0, |row| row.fence);
        for (place, row) in lane.rows.iter_mut().enumerate() {
            if row.fence != fence {
                continue;
            }
            if place == index {
                row.attempts = attempts;
                lane.settling -= usize::from(std::mem::take(&mut row.settling));
            }
            row.fence = 0;
        }
        self.place(id, available);
    }

    /// Removes what stands in positions that `gone` names, whoever holds it.
    pub(super) fn retain(&mut self, gone: impl Fn(&Arc<str>, u128) -> bool) {
        let mut touched = Vec::new();
        for (id, lane) in &mut self.lanes {
            let before = lane.rows.len();
            lane.rows.retain(|row| !gone(&id.0, row.position));
            if lane.rows.len() != before {
                lane.settling = lane.rows.iter().filter(|row| row.settling).count();
                touched.push((id.clone(), lane.available));
            }
        }
        for (id, available) in touched {
            self.place(id, available);
        }
    }

    /// Returns the event that a receipt is about.
    pub(super) fn event(&mut self, receipt: &Receipt) -> Option<Arc<Envelope>> {
        let (_, lane, index) = self.find(receipt)?;
        lane.rows.get(index).map(|row| Arc::clone(&row.event))
    }

    /// Tells whether an event is handed out or being settled.
    pub(super) fn is_busy(&self, topic: &Arc<str>, key: &str, position: u128) -> bool {
        let lane = self.lanes.get(&(Arc::clone(topic), key.into()));
        let row = lane.and_then(|lane| {
            let index = lane.rows.binary_search_by_key(&position, |row| row.position).ok()?;
            lane.rows.get(index)
        });
        row.is_some_and(|row| row.fence != 0 || row.settling)
    }

    /// Puts a lane where it belongs in the order after its rows or its time changed; an empty one goes.
    fn place(&mut self, id: LaneId, available: Instant) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let old = (lane.available, lane.rank, id);
        self.order.remove(&old);
        let id = old.2;
        match lane.rows.front() {
            Some(front) => {
                lane.available = available;
                lane.rank = front.position;
                self.order.insert((available, lane.rank, id));
            }
            None => {
                self.lanes.remove(&id);
            }
        }
    }
}
