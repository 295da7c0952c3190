use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::conformance::cache as laws;
use crate::conformance::cache::CacheHarness;
use crate::time::{Clock as _, ManualClock};

type Make = fn(u64, &ManualClock) -> Arc<dyn Cache>;

fn memory(capacity: u64, clock: &ManualClock) -> Arc<dyn Cache> {
    Arc::new(MemoryCache::new(capacity).with_clock(Arc::new(clock.clone())))
}

#[cfg(feature = "cache")]
fn moka(capacity: u64, clock: &ManualClock) -> Arc<dyn Cache> {
    Arc::new(MokaCache::new(capacity).with_clock(Arc::new(clock.clone())))
}

struct Harness<C> {
    clock: ManualClock,
    flaky: FlakyCache<Arc<dyn Cache>>,
    wrap: fn(FlakyCache<Arc<dyn Cache>>) -> C,
}

impl Harness<FlakyCache<Arc<dyn Cache>>> {
    fn new(make: Make) -> Self {
        Harness::wrapped(make, |flaky| flaky)
    }
}

impl<C> Harness<C> {
    fn wrapped(make: Make, wrap: fn(FlakyCache<Arc<dyn Cache>>) -> C) -> Self {
        let clock = ManualClock::new();
        Self { flaky: FlakyCache::new(make(1 << 24, &clock)), clock, wrap }
    }
}

#[async_trait]
impl<C: Cache + 'static> CacheHarness for Harness<C> {
    async fn open(&self) -> Arc<dyn Cache> {
        Arc::new((self.wrap)(self.flaky.clone()))
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn cut(&self) -> bool {
        self.flaky.set_fault(Fault::Down);
        true
    }
}

crate::cache_laws!(memory_keeps_the_laws, Harness::new(memory));
#[cfg(feature = "cache")]
crate::cache_laws!(moka_keeps_the_laws, Harness::new(moka));

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_threads_creates() {
    let makes: &[Make] = &[
        memory,
        #[cfg(feature = "cache")]
        moka,
    ];
    for make in makes {
        laws::law_04_atomic_creation(&Harness::new(*make)).await.unwrap();
    }
}

/// A cache that forgets half of what a law relies on, so that the laws are seen to bite.
#[derive(Debug)]
struct Broken<C>(C, &'static str);

#[async_trait]
impl<C: Cache> Cache for Broken<C> {
    async fn get(&self, key: &str) -> Result<Option<Arc<[u8]>>> {
        let key = if self.1 == "case" { key.to_lowercase() } else { key.to_owned() };
        match self.0.get(&key).await {
            Err(_) if self.1 == "silent" => Ok(None),
            Ok(Some(_)) if self.1 == "bytes" => Ok(Some((*b"other").into())),
            outcome => outcome,
        }
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Arc<[u8]>>>> {
        let mut values = self.0.get_many(keys).await?;
        if self.1 == "order" {
            values.sort();
        }
        Ok(values)
    }

    async fn set(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<()> {
        if self.1 == "late" {
            // half of it now, the rest when the caller waits
            self.0.set(key, value[..value.len() / 2].into(), ttl).await?;
            tokio::task::yield_now().await;
        }
        let key = if self.1 == "case" { key.to_lowercase() } else { key.to_owned() };
        let ttl = match self.1 {
            "forever" => Duration::MAX,
            "zero" => ttl.max(Duration::from_secs(1)),
            _ => ttl,
        };
        if self.1 == "first" {
            self.0.set_if_absent(&key, value, ttl).await.map(drop)
        } else {
            self.0.set(&key, value, ttl).await
        }
    }

    async fn set_if_absent(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<bool> {
        if self.1 == "race" {
            let absent = self.0.get(key).await?.is_none();
            tokio::task::yield_now().await;
            if absent {
                self.0.set(key, value, ttl).await?;
            }
            return Ok(absent);
        }
        self.0.set_if_absent(key, value, ttl).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        if self.1 == "undead" { Ok(true) } else { self.0.delete(key).await }
    }
}

#[tokio::test]
async fn broken_caches_break_the_laws() {
    macro_rules! breaks {
        ($law:ident, $how:literal) => {
            let harness = Harness::wrapped(memory, |flaky| Broken(flaky, $how));
            assert!(
                laws::$law(&harness).await.is_err(),
                "{} stands although the cache is broken: {}",
                stringify!($law),
                $how
            );
        };
    }
    breaks!(law_01_exact, "bytes");
    breaks!(law_02_expiry, "forever");
    breaks!(law_03_replacement, "first");
    breaks!(law_04_atomic_creation, "race");
    breaks!(law_05_deletion, "undead");
    breaks!(law_06_many, "order");
    breaks!(law_07_opaque_keys, "case");
    breaks!(law_08_never_a_silent_miss, "silent");
    breaks!(law_09_no_zero, "zero");
    breaks!(law_10_cancellation, "late");
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes_first() {
    let cache = MemoryCache::new(3 * (ENTRY_OVERHEAD + 2));
    let ttl = Duration::from_secs(9);
    for key in ["a", "b", "c"] {
        cache.set(key, (*b"1").into(), ttl).await.unwrap();
    }
    assert!(cache.get("a").await.unwrap().is_some());
    cache.set("d", (*b"1").into(), ttl).await.unwrap();
    assert!(cache.get("b").await.unwrap().is_none());
    assert!(cache.get("a").await.unwrap().is_some());
    assert_eq!(cache.len(), 3);
}

#[tokio::test]
async fn what_has_expired_goes_before_what_was_not_used() {
    let clock = ManualClock::new();
    let cache = MemoryCache::new(2 * (ENTRY_OVERHEAD + 2)).with_clock(Arc::new(clock.clone()));
    cache.set("o", (*b"1").into(), Duration::from_mins(1)).await.unwrap();
    cache.set("b", (*b"1").into(), Duration::from_secs(1)).await.unwrap();
    clock.advance(Duration::from_secs(1));
    cache.set("c", (*b"1").into(), Duration::from_secs(1)).await.unwrap();
    assert!(cache.get("o").await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_too_heavy_is_not_kept_and_neither_is_what_it_replaces() {
    let cache = MemoryCache::new(1_000);
    cache.set("key", (*b"small").into(), Duration::from_secs(1)).await.unwrap();
    cache.set("key", vec![0; 1_000].into(), Duration::from_secs(1)).await.unwrap();
    assert!(cache.get("key").await.unwrap().is_none());
    assert_eq!(cache.weight(), 0);
}

#[cfg(feature = "cache")]
#[tokio::test]
async fn moka_stays_near_its_capacity() {
    let cache = MokaCache::new(100_000);
    for number in 0..2_000 {
        cache.set(&number.to_string(), vec![0; 1_000].into(), Duration::from_mins(1)).await.unwrap();
    }
    let mut held = 0;
    for number in 0..2_000 {
        held += usize::from(cache.get(&number.to_string()).await.unwrap().is_some());
    }
    // the maintenance that evicts runs beside the writes
    assert!(held <= 600, "{held} entries of 1.1 kB in 100 kB");
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u16),
    SetIfAbsent(u8, u16),
    Delete(u8),
    Get(u8),
    Pass(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..4_u8, 1..500_u16).prop_map(|(key, ttl)| Step::Set(key, ttl)),
        (0..4_u8, 1..500_u16).prop_map(|(key, ttl)| Step::SetIfAbsent(key, ttl)),
        (0..4_u8).prop_map(Step::Delete),
        (0..4_u8).prop_map(Step::Get),
        (0..300_u16).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..80)
}

fn agrees_with_a_map(make: Make, steps: &[Step]) -> Result<(), TestCaseError> {
    let clock = ManualClock::new();
    let cache = make(1 << 20, &clock);
    let start = clock.instant();
    let mut model: HashMap<u8, (usize, u128)> = HashMap::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (number, step) in steps.iter().enumerate() {
        let now = (clock.instant() - start).as_millis();
        model.retain(|_, (_, until)| now < *until);
        let value: Arc<[u8]> = number.to_le_bytes()[..].into();
        let ttl = |millis: u16| Duration::from_millis(millis.into());
        match step {
            Step::Set(key, millis) => {
                runtime.block_on(cache.set(&key.to_string(), value, ttl(*millis))).unwrap();
                model.insert(*key, (number, now + u128::from(*millis)));
            }
            Step::SetIfAbsent(key, millis) => {
                let created =
                    runtime.block_on(cache.set_if_absent(&key.to_string(), value, ttl(*millis))).unwrap();
                prop_assert_eq!(created, !model.contains_key(key));
                model.entry(*key).or_insert((number, now + u128::from(*millis)));
            }
            Step::Delete(key) => {
                let deleted = runtime.block_on(cache.delete(&key.to_string())).unwrap();
                prop_assert_eq!(deleted, model.remove(key).is_some());
            }
            Step::Get(key) => {
                let found = runtime.block_on(cache.get(&key.to_string())).unwrap();
                let expected = model.get(key).map(|(number, _)| number.to_le_bytes().to_vec());
                prop_assert_eq!(found.map(|value| value.to_vec()), expected);
            }
            Step::Pass(millis) => clock.advance(ttl(*millis)),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn memory_agrees_with_a_map_that_forgets(steps in steps()) {
        agrees_with_a_map(memory, &steps)?;
    }

    #[test]
    #[cfg(feature = "cache")]
    fn moka_agrees_with_a_map_that_forgets(steps in steps()) {
        agrees_with_a_map(moka, &steps)?;
    }
}
