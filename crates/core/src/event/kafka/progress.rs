//! How far a group is in one partition: which events are settled, and how often the others were tried.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What begins the metadata of a commit that this program can read.
const MARK: &str = "pumasi1:";
/// How many events of a partition may be handed out or be waiting for another attempt at a time.
pub(super) const CLAIMS: usize = 1_024;
/// How far beyond the oldest unsettled event any may be handed out, where it is not known that few bytes tell it.
const SPAN: i64 = 15_000;
/// The bytes of which base64 makes the 4,096 that a broker takes (`offset.metadata.max.bytes`), less the mark, the form and
/// the span.
const ROOM: usize = 3_050;
/// The most attempts that take one byte.
const ONE_BYTE: u32 = 127;
/// By how much settling one claimed event out of order can lengthen the list of runs.
const SPLIT: usize = 6;

/// The settled and unsettled offsets of one partition.
///
/// Everything below [`base`](Self::base) is settled and covered by the committed offset. What is settled above it, and the
/// attempts that unsettled events have used, go into the commit's metadata, so that they outlive the process.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Offsets below it were read or restored; what of them is not in `unsettled` is settled.
    next: i64,
    /// With the attempts that they have used.
    unsettled: BTreeMap<i64, u32>,
    /// What was handed out or tried, and is not settled.
    claimed: BTreeSet<i64>,
    /// Beyond it nothing needs to be told: it is neither settled nor tried.
    high: i64,
    /// The length of the list of runs when it was last written.
    runs: usize,
    /// How many events were settled since, and up to where it went.
    settled: usize,
    told: i64,
    /// Offsets behind an event that hold none: they part runs as settled ones do.
    gaps: BTreeSet<i64>,
}

impl Progress {
    /// Begins at an offset, with nothing known above it.
    pub(super) fn at(base: i64) -> Self {
        Self { next: base, high: base, told: base, ..Self::default() }
    }

    /// Reads what [`encode`](Self::encode) wrote; metadata of another origin tells nothing.
    pub(super) fn restore(base: i64, metadata: &str) -> Self {
        let mut progress = Self::at(base);
        if let Some((high, unsettled)) = decode(base, metadata) {
            progress.claimed =
                unsettled.iter().filter(|(_, attempts)| **attempts > 0).map(|(offset, _)| *offset).collect();
            progress.next = high;
            progress.high = high;
            progress.unsettled = unsettled;
        }
        progress
    }

    /// Returns the offset to commit: everything below it is settled.
    pub(super) fn base(&self) -> i64 {
        self.unsettled.first_key_value().map_or(self.next, |(offset, _)| *offset)
    }

    /// Returns one more than the last offset that is known.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Returns how many known events are not settled.
    pub(super) fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// Returns the attempts of an unsettled event.
    pub(super) fn attempts(&self, offset: i64) -> Option<u32> {
        self.unsettled.get(&offset).copied()
    }

    /// Returns the unsettled offsets.
    pub(super) fn offsets(&self) -> impl Iterator<Item = i64> {
        self.unsettled.keys().copied()
    }

    /// Notes that an offset beyond the known ones was read, as an event to be worked on or as one that is none.
    pub(super) fn read(&mut self, offset: i64, is_event: bool) {
        if offset < self.next {
            return;
        }
        self.next = offset + 1;
        if is_event {
            self.unsettled.insert(offset, 0);
        } else if self.unsettled.contains_key(&(offset - 1)) {
            self.gaps.insert(offset);
        }
    }

    /// Claims an event for handing it out; false if what would have to be remembered might not fit into a commit.
    pub(super) fn claim(&mut self, offset: i64) -> bool {
        if self.claimed.contains(&offset) {
            return true;
        }
        let high = self.claimed.last().map_or(self.high, |last| self.high.max(last + 1)).max(offset + 1);
        let claims = self.claimed.len() + 1;
        let span = high - self.base();
        let structure = if span <= SPAN {
            bytes_of(span)
        } else {
            let parted = self.settled + claims + self.gaps.range(self.told.min(high)..high).count();
            self.runs + SPLIT * parted
        };
        // A byte for what lies between two of them (two where that is much), and one for the attempts.
        let tries = 2 * claims + self.unsettled.len() / 128 + 1;
        let fits = claims <= CLAIMS && structure + tries <= ROOM;
        if fits {
            self.claimed.insert(offset);
        }
        fits
    }

    /// Sets how many attempts an unsettled event has used.
    pub(super) fn set_attempts(&mut self, offset: i64, attempts: u32) {
        if let Some(used) = self.unsettled.get_mut(&offset) {
            *used = attempts;
            if attempts > 0 {
                self.high = self.high.max(offset + 1);
            }
        }
    }

    /// Settles an event; returns the attempts that it had used, `None` if it was settled before.
    pub(super) fn settle(&mut self, offset: i64) -> Option<u32> {
        let attempts = self.unsettled.remove(&offset)?;
        self.claimed.remove(&offset);
        self.high = self.high.max(offset + 1);
        self.settled += 1;
        Some(attempts)
    }

    /// Takes [`settle`](Self::settle) back.
    pub(super) fn unsettle(&mut self, offset: i64, attempts: u32) {
        self.unsettled.insert(offset, attempts);
        self.claimed.insert(offset);
    }

    /// Writes the attempts of the unsettled events, as how many had none before each.
    fn tries(&self, most: u32) -> Vec<u8> {
        let mut tries = Vec::new();
        let mut skipped = 0;
        for &attempts in self.unsettled.range(..self.high).map(|(_, attempts)| attempts) {
            if attempts > 0 {
                push(&mut tries, skipped);
                push(&mut tries, i64::from(attempts.min(most)));
                skipped = 0;
            } else {
                skipped += 1;
            }
        }
        tries
    }

    /// Writes what lies above the base, as text of at most 4,096 bytes.
    pub(super) fn encode(&mut self) -> String {
        let base = self.base();
        self.settled = 0;
        if self.high <= base {
            self.runs = 0;
            self.told = base;
            self.gaps = self.gaps.split_off(&base);
            return String::new();
        }
        let mut runs = Vec::new();
        // A longer span is only reached where the runs are few.
        let width = if self.high - base <= SPAN { bytes_of(self.high - base) } else { 0 };
        let mut bits = vec![0_u8; width];
        let (mut expected, mut first) = (base, base);
        for &offset in self.unsettled.range(..self.high).map(|(offset, _)| offset) {
            if offset != expected {
                push(&mut runs, expected - first);
                push(&mut runs, offset - expected);
                first = offset;
            }
            expected = offset + 1;
            let place = usize::try_from(offset - base).unwrap_or(0);
            if let Some(byte) = bits.get_mut(place / 8) {
                *byte |= 1 << (place % 8);
            }
        }
        push(&mut runs, expected - first);
        push(&mut runs, self.high - expected);
        self.runs = runs.len();
        self.told = self.high;
        self.gaps = self.gaps.split_off(&self.told);
        let as_bits = !bits.is_empty() && bits.len() < runs.len();
        let structure = if as_bits { bits } else { runs };
        let mut tries = self.tries(u32::MAX);
        if structure.len() + tries.len() > ROOM {
            // Many that were tried very often: that they were tried more than this is forgotten with the process.
            tries = self.tries(ONE_BYTE);
        }
        let mut bytes = vec![u8::from(as_bits)];
        push(&mut bytes, self.high - base);
        bytes.extend(structure);
        bytes.extend(tries);
        format!("{MARK}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// The bytes of so many bits.
fn bytes_of(bits: i64) -> usize {
    usize::try_from((bits + 7) / 8).unwrap_or(0)
}

/// Reads the end of what is told, and what is unsettled before it.
fn decode(base: i64, metadata: &str) -> Option<(i64, BTreeMap<i64, u32>)> {
    let bytes = URL_SAFE_NO_PAD.decode(metadata.strip_prefix(MARK)?).ok()?;
    let (form, mut rest) = bytes.split_first()?;
    let span = pull(&mut rest)?;
    let high = base.checked_add(span)?;
    let mut unsettled = BTreeMap::new();
    if *form == 1 {
        let length = usize::try_from(span.checked_add(7)? / 8).ok()?;
        let (bits, tries) = rest.split_at_checked(length)?;
        rest = tries;
        let places = (0..span).filter(|place| {
            let place = usize::try_from(*place).unwrap_or(0);
            bits.get(place / 8).is_some_and(|byte| byte & (1 << (place % 8)) != 0)
        });
        unsettled.extend(places.map(|place| (base + place, 0)));
    } else {
        let mut at = base;
        while at < high {
            let (open, done) = (pull(&mut rest)?, pull(&mut rest)?);
            // A damaged length must not become a loop over everything.
            if open > high - at {
                return None;
            }
            unsettled.extend((at..at + open).map(|offset| (offset, 0)));
            at = at.checked_add(open)?.checked_add(done)?;
        }
    }
    let mut open = unsettled.values_mut();
    while !rest.is_empty() {
        let skipped = usize::try_from(pull(&mut rest)?).ok()?;
        *open.nth(skipped)? = u32::try_from(pull(&mut rest)?).ok()?;
    }
    Some((high, unsettled))
}

/// Appends a number in groups of seven bits, the lowest first (LEB128).
fn push(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = number.unsigned_abs();
    loop {
        let low = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn pull(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_i64;
    for shift in (0..56).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= i64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(progress: &mut Progress) -> (i64, BTreeMap<i64, u32>) {
        let restored = Progress::restore(progress.base(), &progress.encode());
        (restored.next, restored.unsettled)
    }

    #[test]
    fn what_is_settled_above_the_oldest_open_event_is_told() {
        let mut progress = Progress::at(100);
        (100..110).for_each(|offset| progress.read(offset, true));
        for offset in [101, 103, 104] {
            progress.settle(offset);
        }
        progress.set_attempts(102, 3);
        progress.set_attempts(100, 1);
        assert_eq!(progress.base(), 100);
        assert_eq!(told(&mut progress), (105, BTreeMap::from([(100, 1), (102, 3)])));
        progress.settle(100);
        assert_eq!(told(&mut progress), (105, BTreeMap::from([(102, 3)])));
        progress.settle(102);
        assert_eq!((progress.base(), progress.encode().as_str()), (105, ""));
    }

    #[test]
    fn metadata_of_another_origin_tells_nothing() {
        for text in ["", "ab", "pumasi1:", "pumasi1:!!", "pumasi1:AP__________", "pumasi1:AAEB", "한글"] {
            let progress = Progress::restore(7, text);
            assert_eq!((progress.base(), progress.unsettled()), (7, 0), "{text}");
        }
    }

    #[test]
    fn an_event_that_stays_open_does_not_stop_the_others() {
        let mut progress = Progress::at(0);
        progress.read(0, true);
        assert!(progress.claim(0));
        progress.set_attempts(0, 1);
        for offset in 1..200_000 {
            progress.read(offset, true);
            assert!(progress.claim(offset), "{offset}");
            progress.settle(offset);
            if offset % 100 == 0 {
                assert!(progress.encode().len() < 40);
            }
        }
    }

    #[test]
    fn as_many_as_may_wait_fit_into_a_commit_however_often_they_were_tried() {
        for apart in [1, 14] {
            let mut progress = Progress::at(0);
            (0..SPAN).for_each(|offset| progress.read(offset, true));
            let claimed = (0..SPAN).step_by(apart).filter(|offset| progress.claim(*offset)).count();
            assert!(claimed >= if apart == 1 { CLAIMS } else { 500 }, "{claimed} of them {apart} apart");
            for (attempts, told) in [(3, 3), (127, 127), (3_000, 127)] {
                for offset in (0..SPAN).step_by(apart).take(claimed) {
                    progress.set_attempts(offset, attempts);
                }
                let text = progress.encode();
                assert!(text.len() <= 4_096, "{} bytes", text.len());
                let restored = Progress::restore(0, &text);
                assert!(restored.attempts(0) >= Some(told), "{attempts}");
                assert_eq!(restored.claimed.len(), claimed);
            }
            assert!(!progress.claim(SPAN - 1));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_history_fits_into_a_commit_and_is_read_back(
            events in 1_i64..20_000,
            steps in prop::collection::vec((any::<u16>(), 0_u8..5), 0..2_000),
        ) {
            let mut progress = Progress::at(1_000_000);
            (0..events).for_each(|offset| progress.read(1_000_000 + offset, offset % 17 != 3));
            let mut held: Vec<i64> = Vec::new();
            for (place, action) in steps {
                let wanted = 1_000_000 + i64::from(place) % events;
                if action < 3 {
                    if progress.attempts(wanted).is_some() && progress.claim(wanted) {
                        held.push(wanted);
                        progress.set_attempts(wanted, u32::from(place % 300));
                    }
                } else if !held.is_empty() {
                    progress.settle(held.swap_remove(usize::from(place) % held.len()));
                }
            }
            let text = progress.encode();
            prop_assert!(text.len() <= 4_096, "{} bytes", text.len());
            let restored = Progress::restore(progress.base(), &text);
            for offset in progress.base()..restored.next {
                let (told, used) = (restored.attempts(offset), progress.attempts(offset));
                let is_cut = told == Some(ONE_BYTE) && used > told;
                prop_assert!(told == used || is_cut, "{} of {:?} for {:?}", offset, used, told);
            }
            let untold = progress.offsets().filter(|offset| *offset >= restored.next);
            prop_assert!(untold.into_iter().all(|offset| progress.attempts(offset) == Some(0)));
            prop_assert_eq!(Progress::restore(progress.base(), &text).base(), progress.base());
        }
    }
}
