use super::*;

/// Operations that are compared with a sorted vector: some in every run, a million with `PUMASI_RANK_OPERATIONS=1000000`.
fn operations() -> usize {
    std::env::var("PUMASI_RANK_OPERATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(60_000)
}

/// The reference: everything in one sorted vector.
#[derive(Default)]
struct Sorted {
    entries: Vec<(i64, u64)>,
    keys: std::collections::HashMap<u64, i64>,
}

impl Sorted {
    fn set(&mut self, member: u64, key: i64) {
        self.remove(member);
        let place = self.entries.binary_search(&(key, member)).unwrap_err();
        self.entries.insert(place, (key, member));
        self.keys.insert(member, key);
    }

    fn remove(&mut self, member: u64) {
        if let Some(key) = self.keys.remove(&member) {
            let place = self.entries.binary_search(&(key, member)).unwrap();
            self.entries.remove(place);
        }
    }

    fn place(&self, member: u64) -> Option<Position> {
        let key = *self.keys.get(&member)?;
        let position = self.entries.binary_search(&(key, member)).unwrap();
        let better = self.entries.partition_point(|(other, _)| *other < key);
        let until = self.entries.partition_point(|(other, _)| *other <= key);
        Some(Position { position, better, tied: until - better, distinct_better: None })
    }

    fn distinct_better(&self, key: i64) -> usize {
        let mut keys: Vec<i64> =
            self.entries.iter().map(|(key, _)| *key).filter(|other| *other < key).collect();
        keys.dedup();
        keys.len()
    }
}

/// A snapshot, and what it must list.
type Kept = (Ranking<i64, u64>, Vec<(i64, u64)>);

fn agree(members: u64, keys: i64, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ranking = Ranking::new().with_distinct();
    let mut reference = Sorted::default();
    let mut kept: Option<Kept> = None;
    for operation in 0..operations() {
        let member = random.u64(..members);
        match random.u32(..10) {
            0 => {
                ranking.remove(&member);
                reference.remove(member);
            }
            1..=5 => {
                let key = random.i64(-keys..keys);
                ranking.set(member, key);
                reference.set(member, key);
            }
            6..=8 => {
                let place = ranking.place(&member);
                let plain = place.map(|place| Position { distinct_better: None, ..place });
                assert_eq!(plain, reference.place(member), "operation {operation}, seed {seed}");
                if operation % 64 == 0
                    && let Some(place) = place
                {
                    let key = reference.keys[&member];
                    assert_eq!(place.distinct_better, Some(reference.distinct_better(key)));
                }
            }
            _ => {
                let from = random.usize(..=reference.entries.len());
                let listed: Vec<_> = ranking.range(from..from + 12).map(|(key, who)| (*key, *who)).collect();
                let end = reference.entries.len().min(from + 12);
                assert_eq!(listed, reference.entries[from..end], "operation {operation}, seed {seed}");
            }
        }
        if operation % (operations() / 7).max(1) == 0 {
            if let Some((snapshot, entries)) = kept.take() {
                let listed: Vec<_> = snapshot.range(0..usize::MAX).map(|(key, who)| (*key, *who)).collect();
                assert_eq!(listed, entries, "a snapshot changed, seed {seed}");
            }
            kept = Some((ranking.clone(), reference.entries.clone()));
        }
    }
    assert_eq!(ranking.len(), reference.entries.len());
    let built: Ranking<i64, u64> = reference.keys.iter().map(|(member, key)| (*member, *key)).collect();
    let listed: Vec<_> = built.range(0..usize::MAX).map(|(key, who)| (*key, *who)).collect();
    assert_eq!(listed, reference.entries);
}

#[test]
fn answers_equal_a_sorted_vector_with_few_ties() {
    agree(20_000, 1_000_000, 1);
}

#[test]
fn answers_equal_a_sorted_vector_with_many_ties() {
    agree(3_000, 20, 2);
}

#[test]
fn answers_equal_a_sorted_vector_of_a_small_club() {
    agree(12, 5, 3);
}

#[test]
fn members_that_leave_take_their_blocks_with_them() {
    let mut ranking: Ranking<i64, u64> = (0..10_000).map(|member| (member, 0)).collect();
    for member in 0..10_000 {
        assert_eq!(ranking.place(&member).unwrap().position, 0);
        assert_eq!(ranking.remove(&member), Some(0));
    }
    assert!(ranking.is_empty() && ranking.range(0..9).next().is_none());
    ranking.set(1, 1);
    assert_eq!(ranking.place(&1).unwrap().tied, 1);
}

#[test]
fn the_last_of_two_keys_counts_where_a_ranking_is_built() {
    let ranking: Ranking<i64, &str> = [("민지", 1), ("Lee", 2), ("민지", 3)].into_iter().collect();
    let listed: Vec<_> = ranking.range(0..9).map(|(key, who)| (*key, *who)).collect();
    assert_eq!(listed, [(2, "Lee"), (3, "민지")]);
}

#[test]
fn a_member_takes_less_than_sixty_bytes() {
    let mut ranking = Ranking::new();
    let mut random = fastrand::Rng::with_seed(4);
    for member in 0..200_000_u64 {
        ranking.set(member, random.i64(..));
    }
    let each = ranking.bytes() / ranking.len();
    assert!(each <= 60, "{each} bytes a member");
}
