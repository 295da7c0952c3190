//! Random events against what an observer who sees everything would say.

use proptest::prelude::*;

use super::*;
use crate::fallback::{AnswerCache, CacheKey, Cause, Served};

#[derive(Clone, Copy, Debug)]
enum Event {
    Engine(Mode),
    Database(Mode),
    /// The data changes, and the cache is told.
    Write,
    /// Time passes.
    Pass(u64),
    /// The wall clock is set.
    Set(i64),
    Call(u32),
    /// Many at once, some of which leave early.
    Crowd(u8),
}

const DEADLINE: u64 = 250;
const MAX_AGE: u64 = 5_000;
const STALE: u64 = 60_000;

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        4 => (0_u64..30).prop_map(Mode::Well),
        1 => (30_u64..400).prop_map(Mode::Well),
        2 => (0_u64..30).prop_map(|after| Mode::Failing(ErrorKind::Unavailable, after)),
        2 => Just(Mode::Hanging),
        1 => Just(Mode::Partial),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => mode().prop_map(Event::Engine),
        2 => mode().prop_map(Event::Database),
        2 => Just(Event::Write),
        4 => (1_u64..3_000).prop_map(Event::Pass),
        1 => (10_000_u64..70_000).prop_map(Event::Pass),
        1 => (-100_000_i64..100_000).prop_map(Event::Set),
        8 => (0_u32..3).prop_map(Event::Call),
        2 => (2_u8..30).prop_map(Event::Crowd),
    ]
}

struct Observed {
    world: World,
    engine: Script,
    database: Script,
    fallback: Fallback<u32, Value>,
    cached: bool,
}

impl Observed {
    fn new(cached: bool) -> Self {
        let world = World::new();
        let (engine, database) = world.backends();
        let mut builder = world.builder(&engine, &database).deadline(millis(DEADLINE));
        if cached {
            let cache = AnswerCache::memory(10, |request: &u32| CacheKey::of(request.to_string()))
                .with_max_age(millis(MAX_AGE))
                .with_stale_if_error(millis(STALE));
            builder = builder.cache(cache);
        }
        let fallback = builder.build().unwrap();
        Self { world, engine, database, fallback, cached }
    }

    /// Makes a call and checks everything that is promised of it.
    async fn call(&self, request: u32) -> Result<(), TestCaseError> {
        let (began, version) = (Instant::now(), self.world.version.load(Ordering::SeqCst));
        let (engine, database) = (self.engine.mode(), self.database.mode());
        let (open, calls) = (state(&self.fallback) != BreakerState::Closed, self.engine.calls());
        let outcome = self.fallback.call(request).await;
        prop_assert!(began.elapsed() <= millis(DEADLINE), "it took {:?}", began.elapsed());
        if open && state(&self.fallback) != BreakerState::Closed {
            prop_assert_eq!(self.engine.calls(), calls, "a request reached a backend that is spared");
        }
        match outcome {
            Ok(Served::Fresh { value, .. }) => {
                prop_assert_eq!(value.by.as_str(), "engine");
                prop_assert_eq!(value.version, version);
                prop_assert!(engine != Mode::Partial, "an answer in part was called fresh");
            }
            Ok(Served::Cached { value, age }) => {
                prop_assert!(self.cached);
                prop_assert_eq!(value.by.as_str(), "engine", "only what was fresh is kept");
                prop_assert_eq!(value.version, version, "a write was missed");
                prop_assert!(age < millis(MAX_AGE));
            }
            Ok(Served::Stale { value, age, cause }) => {
                prop_assert_eq!(value.by.as_str(), "engine");
                prop_assert!(matches!(cause, Cause::Failed(_)));
                prop_assert!(age < millis(MAX_AGE + STALE));
                prop_assert!(!matches!(database, Mode::Well(after) if after < 100), "the database was well");
            }
            Ok(Served::Degraded { value, gaps, .. }) => {
                prop_assert_eq!(value.version, version);
                let whole = gaps.is_empty();
                prop_assert_eq!(whole, value.by == "database" && database != Mode::Partial);
            }
            Err(error) => {
                prop_assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout));
                prop_assert!(!matches!(database, Mode::Well(after) if after < 100), "the database was well");
                prop_assert!(database != Mode::Partial);
            }
        }
        Ok(())
    }

    async fn step(&self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Engine(mode) => self.engine.set(mode),
            Event::Database(mode) => self.database.set(mode),
            Event::Write => {
                self.world.version.fetch_add(1, Ordering::SeqCst);
                self.fallback.invalidate_all().await.unwrap();
            }
            Event::Pass(time) => tokio::time::sleep(millis(time)).await,
            Event::Set(by) => self.world.clock.set(by),
            Event::Call(request) => self.call(request).await?,
            Event::Crowd(size) => {
                let calls = (0..u64::from(size)).map(|number| async move {
                    let cut = millis(if number % 3 == 0 { number * 7 } else { 10_000 });
                    tokio::time::timeout(cut, self.fallback.call(u32::try_from(number % 3).unwrap())).await
                });
                for outcome in futures_util::future::join_all(calls).await.into_iter().flatten() {
                    prop_assert!(
                        outcome.is_ok() || !matches!(self.database.mode(), Mode::Well(after) if after < 100)
                    );
                }
            }
        }
        prop_assert!(self.engine.inner.most_probing.load(Ordering::SeqCst) <= 1, "two probes at once");
        Ok(())
    }

    /// However it got here: with both well, everything is well in the end.
    async fn recovers(&self) -> Result<(), TestCaseError> {
        self.engine.set(Mode::Well(5));
        self.database.set(Mode::Well(5));
        let _served = self.fallback.call(9).await;
        tokio::time::sleep(Duration::from_secs(70)).await;
        prop_assert_eq!(state(&self.fallback), BreakerState::Closed);
        prop_assert_eq!(self.fallback.call(8).await.unwrap().as_str(), "fresh");
        prop_assert_eq!(self.engine.inner.running.load(Ordering::SeqCst), 0);
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_promises_hold(
        cached in any::<bool>(), events in prop::collection::vec(event(), 1..80),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let observed = Observed::new(cached);
            for event in events {
                observed.step(event).await?;
            }
            observed.recovers().await
        })?;
    }
}
