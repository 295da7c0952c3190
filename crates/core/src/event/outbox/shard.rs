//! Which shard an event belongs to.

use crate::event::Envelope;

/// What has one topic and key falls into one of 1,024 slots; 16 neighbouring slots make one of 64 shards.
///
/// Publishers on PostgreSQL lock slots, relays claim shards. There are fewer slots than keys, because each lock takes room
/// in the server's memory, and a transaction may publish for many keys. The numbers are part of the tables' layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(i16);

impl Slot {
    #[cfg(test)]
    const COUNT: i16 = 1024;

    /// By FNV-1a, 64 bits, folded (<http://www.isthe.com/chongo/tech/comp/fnv/>), because every process and every version
    /// has to find the same slot.
    pub(super) fn of(event: &Envelope) -> Self {
        // A name has no byte 0xff, so that topic and key do not run into each other.
        let bytes = event.topic.bytes().chain([0xff]).chain(event.key.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let [.., high, low] = ((hash >> 32) ^ hash).to_be_bytes();
        Self(i16::from_be_bytes([high & 0x03, low]))
    }

    pub(super) fn shard(self) -> i16 {
        self.0 >> 4
    }

    #[cfg(feature = "postgres")]
    pub(super) fn number(self) -> i32 {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::State;

    fn slot(topic: &str, key: &str) -> Slot {
        Slot::of(&Envelope::new(topic, key, State::Created, 1))
    }

    #[test]
    fn every_version_of_this_crate_finds_the_same_slot() {
        assert_eq!(slot("posts", "post-7"), Slot(SLOT_OF_POST_7));
        assert_eq!(slot("members", "회원-42"), Slot(SLOT_OF_MEMBER_42));
    }

    const SLOT_OF_POST_7: i16 = 408;
    const SLOT_OF_MEMBER_42: i16 = 575;

    #[test]
    fn keys_spread_evenly() {
        let mut counts = [0_u32; 64];
        for key in 0..64_000 {
            let slot = slot("posts", &format!("post-{key}"));
            assert!((0..Slot::COUNT).contains(&slot.0));
            counts[usize::try_from(slot.shard()).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
