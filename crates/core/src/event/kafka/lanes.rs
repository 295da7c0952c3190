//! The unsettled events of a group that this process has read: which may be handed out, and who holds which.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::event::{Delivery, Envelope, Receipt};

/// How many events of one lane a fetch hands out at most.
const RUN: usize = 32;

/// Under which a lane is found as long as it has events; later it may be another lane's.
pub(super) type LaneNumber = usize;

#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// By topic and key.
    numbers: BTreeMap<Arc<str>, HashMap<Arc<str>, LaneNumber>>,
    lanes: Slab<Lane>,
    /// The lanes by when they may be handed out, then by their oldest event.
    order: BTreeSet<(Instant, u128, LaneNumber)>,
    last_fence: u64,
}

/// The unsettled events of one topic and key, in order.
#[derive(Debug)]
struct Lane {
    topic: Arc<str>,
    key: Arc<str>,
    rows: VecDeque<Row>,
    /// When the lane may be handed out: the end of a delay, or of a lease.
    available: Instant,
    /// Under which its lane stands in the group's order.
    rank: u128,
    /// How many rows are handed out; all of them under the same fence.
    held: usize,
    /// How many settlements wait for the broker; until they are decided nobody is handed the lane.
    settling: usize,
}

impl Lane {
    fn index(&self, position: u128) -> Option<usize> {
        // Most often it is the first one.
        if self.rows.front()?.position == position {
            return Some(0);
        }
        self.rows.binary_search_by_key(&position, |row| row.position).ok()
    }
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
        let number = match self.number(topic, &event.key) {
            Some(number) => number,
            None => self.open(topic, event.key.as_str().into(), position, now),
        };
        let Some(lane) = self.lanes.get_mut(number) else { return false };
        if lane.rows.is_empty() {
            self.order.insert((lane.available, lane.rank, number));
        }
        let at = match lane.rows.back() {
            Some(last) if last.position >= position => {
                lane.rows.partition_point(|row| row.position < position)
            }
            _ => lane.rows.len(),
        };
        if lane.rows.get(at).is_some_and(|row| row.position == position) {
            return false;
        }
        lane.rows.insert(
            at,
            Row { position, event, attempts, fence: 0, begun: false, settling: false, ahead: Ahead::No },
        );
        true
    }

    fn number(&self, topic: &str, key: &str) -> Option<LaneNumber> {
        self.numbers.get(topic)?.get(key).copied()
    }

    /// Makes a lane, which is to get its first event at once.
    fn open(&mut self, topic: &Arc<str>, key: Arc<str>, rank: u128, now: Instant) -> LaneNumber {
        let number = self.lanes.insert(Lane {
            topic: Arc::clone(topic),
            key: Arc::clone(&key),
            rows: VecDeque::new(),
            available: now,
            rank,
            held: 0,
            settling: 0,
        });
        self.numbers.entry(Arc::clone(topic)).or_default().insert(key, number);
        number
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
        for &(available, rank, number) in &self.order {
            if available > now || chosen.len() == max {
                break;
            }
            let Some((lane, head)) = self.lanes.get(number).and_then(|lane| Some((lane, lane.rows.front()?)))
            else {
                continue;
            };
            // One that a commit on its way will have counted comes after that.
            let counted_soon = ahead && head.ahead == Ahead::Sent;
            let free = lane.settling == 0 && topics.contains(&lane.topic) && !counted_soon;
            if free && admit(&lane.topic, head.position, true) {
                if ahead && head.ahead != Ahead::Committed {
                    break;
                }
                chosen.push((available, rank, number));
            }
        }
        // Each lane gives one event, and what is left of `max` goes to longer runs.
        let mut spare = max - chosen.len();
        let mut taken = Vec::with_capacity(chosen.len());
        for place in chosen {
            let number = place.2;
            let Some(lane) = self.lanes.get_mut(number) else { continue };
            self.order.remove(&place);
            self.last_fence += 1;
            let fence = self.last_fence;
            let limit = (1 + spare).min(RUN);
            let mut run = 0;
            for row in &mut lane.rows {
                let head = run == 0;
                if run == limit || !(head || admit(&lane.topic, row.position, false)) {
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
                let (topic, key) = (Arc::clone(&lane.topic), Arc::clone(&lane.key));
                let receipt = Receipt { topic, key, position: row.position, fence, attempt };
                taken.push(Taken { delivery: Delivery::new(Arc::clone(&row.event), receipt), head });
            }
            if lane.held > 0 {
                // What an earlier holder still had of a longer run is nobody's now.
                for row in lane.rows.iter_mut().skip(run) {
                    row.fence = 0;
                }
            }
            lane.held = run;
            spare -= run.saturating_sub(1);
            lane.available = crate::time::after(now, lease);
            self.order.insert((lane.available, lane.rank, number));
        }
        taken
    }

    /// Chooses the events that come next and were never tried, up to `max`, whose first attempt is to be committed in advance,
    /// as far as `admit` takes them.
    pub(super) fn look_ahead(
        &mut self,
        max: usize,
        now: Instant,
        mut admit: impl FnMut(&Arc<str>, u128) -> bool,
    ) -> Vec<(LaneNumber, u128)> {
        let mut chosen = Vec::new();
        let available = self.order.iter().take_while(|(available, ..)| *available <= now);
        for &(.., number) in available.take(max) {
            let Some(lane) = self.lanes.get_mut(number) else { continue };
            let Some(head) = lane.rows.front_mut() else { continue };
            let fresh = lane.settling == 0 && head.attempts == 0 && head.ahead == Ahead::No;
            if fresh && admit(&lane.topic, head.position) {
                head.ahead = Ahead::Sent;
                chosen.push((number, head.position));
            }
        }
        chosen
    }

    /// Chooses the event that comes after those of a lane that are being settled, as [`look_ahead`](Self::look_ahead) does.
    pub(super) fn look_past(
        &mut self,
        settled: &Receipt,
        admit: impl FnOnce(&Arc<str>, u128) -> bool,
    ) -> Option<(LaneNumber, u128)> {
        let (number, lane, _) = self.find(settled)?;
        let next = lane.rows.iter_mut().find(|row| !row.settling)?;
        let fresh = next.fence == 0 && next.attempts == 0 && next.ahead == Ahead::No;
        if !fresh || !admit(&lane.topic, next.position) {
            return None;
        }
        next.ahead = Ahead::Sent;
        Some((number, next.position))
    }

    /// Says what became of the commit of [`look_ahead`](Self::look_ahead); returns the topic of the event, if it still waits
    /// for it.
    ///
    /// One commit is on its way at a time: what waits under the number of a lane that is gone is none of its events.
    pub(super) fn ahead(&mut self, number: LaneNumber, position: u128, committed: bool) -> Option<&Arc<str>> {
        let lane = self.lanes.get_mut(number)?;
        let index = lane.index(position)?;
        let row = lane.rows.get_mut(index).filter(|row| row.ahead == Ahead::Sent)?;
        row.ahead = if committed { Ahead::Committed } else { Ahead::No };
        Some(&lane.topic)
    }

    /// Takes back what is committed in advance and was not handed out; returns it.
    pub(super) fn look_back(&mut self) -> Vec<(Arc<str>, u128)> {
        let mut back = Vec::new();
        for (_, lane) in &mut self.lanes {
            for row in &mut lane.rows {
                if std::mem::replace(&mut row.ahead, Ahead::No) != Ahead::No && row.attempts == 0 {
                    back.push((Arc::clone(&lane.topic), row.position));
                }
            }
        }
        back
    }

    /// Tells whether some lane may be handed out.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.order.first().is_some_and(|(available, ..)| *available <= now)
    }

    /// Returns when the next lane may be handed out, if that is later than `now`.
    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        let later = (Bound::Excluded((now, u128::MAX, LaneNumber::MAX)), Bound::Unbounded);
        self.order.range(later).next().map(|(available, ..)| *available)
    }

    fn find(&mut self, receipt: &Receipt) -> Option<(LaneNumber, &mut Lane, usize)> {
        let number = self.number(&receipt.topic, &receipt.key)?;
        let lane = self.lanes.get_mut(number)?;
        let index = lane.index(receipt.position)?;
        Some((number, lane, index))
    }

    /// Finds the row that the receipt claims, if the claim still stands and is not being settled.
    fn claimed(&mut self, receipt: &Receipt) -> Option<(LaneNumber, &mut Lane, usize)> {
        let found = self.find(receipt)?;
        let row = found.1.rows.get(found.2)?;
        (receipt.fence != 0 && row.fence == receipt.fence && !row.settling).then_some(found)
    }

    /// Extends the lease to `until`; false if the claim is lost.
    pub(super) fn renew(&mut self, receipt: &Receipt, until: Instant) -> bool {
        let Some((number, lane, index)) = self.find(receipt) else { return false };
        if receipt.fence == 0 || lane.rows.get(index).is_none_or(|row| row.fence != receipt.fence) {
            return false;
        }
        let (old, rank) = (std::mem::replace(&mut lane.available, until), lane.rank);
        self.order.remove(&(old, rank, number));
        self.order.insert((until, rank, number));
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
        if lane.held <= 1 {
            return None;
        }
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
            && let Some(index) = lane.index(begun.position)
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
        let Some((number, lane, index)) = self.find(receipt) else { return };
        let Some(row) = lane.rows.remove(index) else { return };
        lane.settling -= usize::from(row.settling);
        let was_held = row.fence != 0;
        lane.held -= usize::from(was_held);
        let available = if was_held && lane.held == 0 { now } else { lane.available };
        self.place(number, available);
    }

    /// Gives the event and the later ones of its run back, to be handed out again from `available` on.
    pub(super) fn give_back(&mut self, receipt: &Receipt, attempts: u32, available: Instant) {
        let Some((number, lane, index)) = self.find(receipt) else { return };
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
        if fence != 0 {
            lane.held = 0;
        }
        self.place(number, available);
    }

    /// Removes what stands in positions that `gone` names, whoever holds it.
    pub(super) fn retain(&mut self, gone: impl Fn(&Arc<str>, u128) -> bool) {
        let mut touched = Vec::new();
        for (number, lane) in &mut self.lanes {
            let before = lane.rows.len();
            lane.rows.retain(|row| !gone(&lane.topic, row.position));
            if lane.rows.len() != before {
                lane.held = lane.rows.iter().filter(|row| row.fence != 0).count();
                lane.settling = lane.rows.iter().filter(|row| row.settling).count();
                touched.push((number, lane.available));
            }
        }
        for (number, available) in touched {
            self.place(number, available);
        }
    }

    /// Returns the event that a receipt is about.
    pub(super) fn event(&mut self, receipt: &Receipt) -> Option<Arc<Envelope>> {
        let (_, lane, index) = self.find(receipt)?;
        lane.rows.get(index).map(|row| Arc::clone(&row.event))
    }

    /// Tells whether an event is handed out or being settled.
    pub(super) fn is_busy(&self, topic: &str, key: &str, position: u128) -> bool {
        let lane = self.number(topic, key).and_then(|number| self.lanes.get(number));
        let row = lane.and_then(|lane| lane.rows.get(lane.index(position)?));
        row.is_some_and(|row| row.fence != 0 || row.settling)
    }

    /// Puts a lane where it belongs in the order after its rows or its time changed; an empty one goes.
    fn place(&mut self, number: LaneNumber, available: Instant) {
        let Some(lane) = self.lanes.get_mut(number) else { return };
        self.order.remove(&(lane.available, lane.rank, number));
        if let Some(front) = lane.rows.front() {
            lane.available = available;
            lane.rank = front.position;
            self.order.insert((available, lane.rank, number));
        } else if let Some(lane) = self.lanes.try_remove(number)
            && let Some(keys) = self.numbers.get_mut(&lane.topic)
        {
            keys.remove(&lane.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::State;

    const LEASE: Duration = Duration::from_secs(30);

    impl Lanes {
        fn check(&self) {
            for (number, lane) in &self.lanes {
                assert_eq!(self.number(&lane.topic, &lane.key), Some(number));
                assert!(self.order.contains(&(lane.available, lane.rank, number)), "{lane:?}");
                assert!(!lane.rows.is_empty());
                assert!(lane.rows.iter().is_sorted_by(|one, next| one.position < next.position), "{lane:?}");
                let fences: BTreeSet<u64> =
                    lane.rows.iter().map(|row| row.fence).filter(|fence| *fence != 0).collect();
                assert!(fences.len() <= 1, "{lane:?}");
                assert_eq!(lane.held, lane.rows.iter().filter(|row| row.fence != 0).count(), "{lane:?}");
                assert_eq!(lane.settling, lane.rows.iter().filter(|row| row.settling).count(), "{lane:?}");
            }
            assert_eq!(self.order.len(), self.lanes.len());
            assert_eq!(self.numbers.values().map(HashMap::len).sum::<usize>(), self.lanes.len());
        }

        fn add(&mut self, topic: &Arc<str>, key: &str, position: u128, now: Instant) -> bool {
            let event = Arc::new(Envelope::new(&**topic, key, State::Updated, 1));
            self.push(topic, position, event, 0, now)
        }
    }

    #[test]
    fn what_was_committed_in_advance_tells_nothing_of_a_lane_that_came_later() {
        let (posts, now): (Arc<str>, _) = ("posts".into(), Instant::now());
        let mut lanes = Lanes::default();
        lanes.add(&posts, "a", 7, now);
        let ahead = lanes.look_ahead(10, now, |_, _| true);
        lanes.retain(|_, _| true);
        lanes.check();
        lanes.add(&posts, "b", 7, now);
        assert_eq!(ahead, [(0, 7)]);
        assert_eq!(lanes.ahead(0, 7, true), None);
        let topics = [Arc::clone(&posts)];
        assert!(lanes.take(10, &topics, now, LEASE, true, |_, _, _| true).is_empty());
        assert_eq!(lanes.take(10, &topics, now, LEASE, false, |_, _, _| true).len(), 1);
    }

    #[test]
    fn a_run_is_free_again_when_its_last_event_is_settled() {
        let (posts, now): (Arc<str>, _) = ("posts".into(), Instant::now());
        let topics = [Arc::clone(&posts)];
        let mut lanes = Lanes::default();
        for position in 1..=4 {
            lanes.add(&posts, "a", position, now);
        }
        let run = lanes.take(3, &topics, now, LEASE, false, |_, _, _| true);
        let receipts: Vec<&Receipt> = run.iter().map(|taken| &taken.delivery.receipt).collect();
        assert_eq!(receipts.len(), 3);
        for (receipt, next) in receipts.iter().zip([Some(2), Some(3), None]) {
            assert!(lanes.take(3, &topics, now, LEASE, false, |_, _, _| true).is_empty());
            assert!(lanes.begin(receipt));
            assert_eq!(lanes.begin_next(receipt).map(|begun| begun.position), next);
            lanes.finish(receipt, now);
            lanes.check();
        }
        assert_eq!(lanes.take(3, &topics, now, LEASE, false, |_, _, _| true).len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_counted_of_a_lane_is_so_whatever_happens(
            steps in prop::collection::vec((0_u8..10, any::<u8>(), any::<u8>()), 0..300),
        ) {
            let topics: [Arc<str>; 2] = ["posts".into(), "tasks".into()];
            let mut lanes = Lanes::default();
            let mut now = Instant::now();
            let mut receipts: Vec<Receipt> = Vec::new();
            let mut next = 100_u128;
            for (action, one, two) in steps {
                let topic = &topics[usize::from(one % 2)];
                let receipt = receipts.get(usize::from(two) % receipts.len().max(1)).cloned();
                match (action, receipt) {
                    (0..3, _) => {
                        // Some come out of their order, as replays do.
                        next += 1;
                        let position = if two % 8 == 0 { u128::from(two) } else { next };
                        lanes.add(topic, ["a", "b", "c"][usize::from(one % 3)], position, now);
                    }
                    (3, _) => {
                        let max = usize::from(two % 40) + 1;
                        let taken = lanes.take(max, &topics, now, LEASE, one % 4 == 0, |_, _, _| one % 16 != 15);
                        receipts.extend(taken.into_iter().map(|taken| taken.delivery.receipt));
                    }
                    (4, _) => now += LEASE / 4,
                    (5, _) => {
                        let ahead = lanes.look_ahead(usize::from(two), now, |_, _| true);
                        for (number, position) in ahead {
                            lanes.ahead(number, position, one % 2 == 0);
                        }
                    }
                    (6, Some(receipt)) if lanes.begin(&receipt) => {
                        let begun = lanes.begin_next(&receipt);
                        match (one % 3, begun) {
                            (0, Some(begun)) => {
                                lanes.unbegin(&receipt, begun);
                                lanes.abort(&receipt);
                            }
                            (0, None) => lanes.abort(&receipt),
                            (1, _) => lanes.finish(&receipt, now),
                            _ => lanes.give_back(&receipt, 1, now + LEASE / 8),
                        }
                    }
                    (7, Some(receipt)) => {
                        lanes.begin(&receipt);
                    }
                    (8, Some(receipt)) => {
                        lanes.renew(&receipt, now + LEASE);
                    }
                    (9, _) if one < 32 => lanes.retain(|of, position| of == topic && position % 2 == 0),
                    _ => {}
                }
                lanes.check();
            }
        }
    }
}
