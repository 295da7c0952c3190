use std::sync::atomic::AtomicU32;

use super::*;
use crate::cache::{Cache, Fault, FlakyCache, MemoryCache};
use crate::time::ManualClock;

const MINUTE: Duration = Duration::from_mins(1);
const NEARLY: Duration = Duration::from_millis(59_999);

/// A typed cache with all its windows on a turned clock, over a cache that can be told to fail.
struct Bench {
    clock: ManualClock,
    flaky: FlakyCache<Arc<MemoryCache>>,
    aside: CacheAside<String>,
    loads: Arc<AtomicU32>,
}

fn bench() -> Bench {
    let clock = ManualClock::new();
    let memory = MemoryCache::new(1 << 24).with_clock(Arc::new(clock.clone()));
    let flaky = FlakyCache::new(Arc::new(memory));
    let aside = CacheAside::new(Arc::new(flaky.clone()), "test")
        .with_ttl(MINUTE)
        .with_jitter(0.0)
        .with_clock(Arc::new(clock.clone()));
    Bench { clock, flaky, aside, loads: Arc::default() }
}

impl Bench {
    /// A loader that takes a turn of the scheduler and numbers its answers.
    fn load(
        &self,
    ) -> impl FnOnce() -> futures_util::future::BoxFuture<'static, Result<String>> + Send + use<> {
        let loads = Arc::clone(&self.loads);
        || {
            Box::pin(async move {
                tokio::task::yield_now().await;
                Ok(format!("load {}", loads.fetch_add(1, Ordering::SeqCst) + 1))
            })
        }
    }

    async fn serve(&self) -> (String, Source) {
        let served = self.aside.serve("key", self.load()).await.unwrap();
        (served.value, served.source)
    }

    /// Begins a load that ends as told when the gate is opened.
    async fn load_behind_a_gate(
        &self,
        outcome: Result<String>,
    ) -> (tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<Result<String>>) {
        let (open, gate) = tokio::sync::oneshot::channel::<()>();
        let aside = self.aside.clone();
        let loading = tokio::spawn(async move {
            aside
                .get_or_load("key", || async move {
                    gate.await.unwrap();
                    outcome
                })
                .await
        });
        settle().await;
        (open, loading)
    }

    fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }
}

fn fail(kind: ErrorKind) -> impl FnOnce() -> std::future::Ready<Result<String>> + Send {
    move || std::future::ready(Err(Error::new(kind, "the source failed")))
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stampede_of_a_thousand_makes_one_load() {
    for _ in 0..20 {
        let bench = Arc::new(bench());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let bench = Arc::clone(&bench);
            tasks.spawn(async move { bench.serve().await });
        }
        let mut loaded = 0;
        while let Some(done) = tasks.join_next().await {
            let (value, source) = done.unwrap();
            assert_eq!(value, "load 1");
            loaded += u32::from(source == Source::Loaded);
        }
        assert_eq!(bench.loads(), 1);
        assert!(loaded >= 1, "somebody loaded it");
    }
}

#[tokio::test]
async fn the_cancellation_of_the_one_who_loads_hands_the_load_over() {
    let bench = Arc::new(bench());
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let leader = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move {
            let loads = Arc::clone(&bench.loads);
            let load = || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                gate.await.unwrap();
                Ok("the leader's".to_owned())
            };
            bench.aside.get_or_load("key", load).await
        }
    });
    settle().await;
    let waiters: Vec<_> = (0..10)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.serve().await })
        })
        .collect();
    settle().await;
    leader.abort();
    settle().await;
    open.send(()).unwrap();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), ("the leader's".to_owned(), Source::Joined));
    }
    assert_eq!(bench.loads(), 1);
    assert_eq!(bench.serve().await, ("the leader's".to_owned(), Source::Fresh), "and it was kept");
}

#[tokio::test]
async fn a_value_is_fresh_for_its_time_and_no_longer() {
    let bench = bench();
    assert_eq!(bench.serve().await, ("load 1".into(), Source::Loaded));
    bench.clock.advance(NEARLY);
    let served = bench.aside.serve("key", bench.load()).await.unwrap();
    assert_eq!((served.source, served.age), (Source::Fresh, NEARLY));
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.serve().await, ("load 2".into(), Source::Loaded));
}

#[tokio::test]
async fn a_stale_value_is_served_at_once_while_one_refresh_runs() {
    let mut bench = bench();
    bench.aside = bench.aside.with_stale_while_revalidate(MINUTE);
    bench.serve().await;
    bench.clock.advance(MINUTE);
    for _ in 0..100 {
        let value = futures_util::FutureExt::now_or_never(bench.serve()).expect("nobody waits");
        assert_eq!(value, ("load 1".into(), Source::Stale));
    }
    settle().await;
    assert_eq!(bench.serve().await, ("load 2".into(), Source::Fresh));
    bench.clock.advance(MINUTE * 2);
    assert_eq!(bench.serve().await, ("load 3".into(), Source::Loaded), "the window is over");
    assert_eq!(bench.loads(), 3);
}

#[tokio::test]
async fn a_refresh_that_failed_is_not_tried_again_at_every_request() {
    let mut bench = bench();
    bench.aside = bench.aside.with_stale_while_revalidate(MINUTE);
    bench.serve().await;
    bench.clock.advance(MINUTE);
    let tries = Arc::new(AtomicU32::new(0));
    for _ in 0..50 {
        let tries = Arc::clone(&tries);
        let load = || async move {
            tries.fetch_add(1, Ordering::SeqCst);
            Err(Error::new(ErrorKind::Unavailable, "the source is down"))
        };
        assert_eq!(bench.aside.serve("key", load).await.unwrap().source, Source::Stale);
        settle().await;
    }
    assert_eq!(tries.load(Ordering::SeqCst), 1);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.serve().await.1, Source::Stale);
    settle().await;
    assert_eq!(bench.serve().await, ("load 2".into(), Source::Fresh));
}

#[tokio::test]
async fn a_stale_value_covers_for_a_source_that_is_away_but_not_for_its_answers() {
    let mut bench = bench();
    bench.aside = bench.aside.with_stale_if_error(MINUTE);
    bench.serve().await;
    bench.clock.advance(MINUTE + Duration::from_secs(5));
    let served = bench.aside.serve("key", fail(ErrorKind::Unavailable)).await.unwrap();
    assert_eq!((served.value.as_str(), served.source), ("load 1", Source::StaleOnError));
    assert_eq!(served.age, MINUTE + Duration::from_secs(5));
    let error = bench.aside.serve("key", fail(ErrorKind::Unauthorized)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    bench.clock.advance(MINUTE);
    let error = bench.aside.serve("key", fail(ErrorKind::Unavailable)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_is_gone_at_the_source_is_not_served_stale_afterwards() {
    let mut bench = bench();
    bench.aside = bench.aside.with_stale_if_error(MINUTE);
    bench.serve().await;
    bench.clock.advance(MINUTE);
    assert!(bench.aside.serve("key", fail(ErrorKind::NotFound)).await.is_err());
    let error = bench.aside.serve("key", fail(ErrorKind::Unavailable)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn absence_is_remembered_for_its_own_time() {
    let mut bench = bench();
    bench.aside = bench.aside.with_negative_ttl(Duration::from_secs(5)).with_stale_while_revalidate(MINUTE);
    let calls = Arc::new(AtomicU32::new(0));
    let find = || {
        let calls = Arc::clone(&calls);
        bench.aside.find_or_load("none", || async move {
            calls.fetch_add(1, Ordering::SeqCst);
            Ok(None)
        })
    };
    for _ in 0..10 {
        assert_eq!(find().await.unwrap(), None);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let error = bench.aside.get_or_load("none", bench.load()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(find().await.unwrap(), None);
    assert_eq!(calls.load(Ordering::SeqCst), 2, "absence is never served stale");
}

#[tokio::test]
async fn without_a_time_of_its_own_absence_is_asked_for_again() {
    let bench = bench();
    let error = bench.aside.get_or_load("key", fail(ErrorKind::NotFound)).await.unwrap_err();
    assert_eq!(error.to_string(), "the source failed", "the loader's own error");
    assert_eq!(bench.serve().await.1, Source::Loaded);
}

#[tokio::test]
async fn errors_are_not_kept() {
    let mut bench = bench();
    bench.aside = bench.aside.with_negative_ttl(MINUTE);
    assert!(bench.aside.get_or_load("key", fail(ErrorKind::Unavailable)).await.is_err());
    assert_eq!(bench.serve().await, ("load 1".into(), Source::Loaded));
}

#[tokio::test]
async fn a_loader_that_panics_is_an_error_and_wedges_nothing() {
    let bench = bench();
    let error =
        bench.aside.get_or_load("key", || async { panic!("the loader's own fault") }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(bench.serve().await, ("load 1".into(), Source::Loaded));
}

#[tokio::test]
async fn a_cache_that_is_down_is_told_and_the_value_is_loaded() {
    let bench = bench();
    bench.serve().await;
    bench.flaky.set_fault(Fault::Down);
    let served = bench.aside.serve("key", bench.load()).await.unwrap();
    assert_eq!((served.value.as_str(), served.source), ("load 2", Source::Loaded));
    assert_eq!(served.cache_error.unwrap().kind(), ErrorKind::Unavailable);
    bench.flaky.set_fault(Fault::None);
    assert_eq!(
        bench.serve().await,
        ("load 1".into(), Source::Fresh),
        "it was no miss: the entry still stands"
    );
}

#[tokio::test]
async fn a_stampede_on_a_cache_that_is_down_shares_its_load() {
    let bench = Arc::new(bench());
    bench.flaky.set_fault(Fault::Down);
    let (open, gate) = tokio::sync::watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let (bench, mut gate) = (Arc::clone(&bench), gate.clone());
        tasks.spawn(async move {
            let loads = Arc::clone(&bench.loads);
            let load = || async move {
                let _opened = gate.wait_for(|open| *open).await;
                loads.fetch_add(1, Ordering::SeqCst);
                Ok("loaded".to_owned())
            };
            bench.aside.get_or_load("key", load).await
        });
    }
    settle().await; // everyone has looked and waits
    open.send(true).unwrap();
    while let Some(done) = tasks.join_next().await {
        assert_eq!(done.unwrap().unwrap(), "loaded");
    }
    assert_eq!(bench.loads(), 1);
}

#[tokio::test]
async fn a_source_that_must_not_see_the_load_is_spared_if_wished() {
    let mut bench = bench();
    bench.aside = bench.aside.with_cache_failure(CacheFailure::Fail);
    bench.flaky.set_fault(Fault::Down);
    let error = bench.aside.get_or_load("key", bench.load()).await.unwrap_err();
    assert_eq!((error.kind(), bench.loads()), (ErrorKind::Unavailable, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_hangs_costs_its_limit_and_no_more() {
    let bench = bench();
    let aside =
        bench.aside.clone().with_clock(Arc::new(SystemClock)).with_cache_timeout(Duration::from_millis(100));
    bench.flaky.set_fault(Fault::Hanging);
    let began = tokio::time::Instant::now();
    let served = aside.serve("key", bench.load()).await.unwrap();
    assert_eq!(served.value, "load 1");
    assert_eq!(served.cache_error.unwrap().kind(), ErrorKind::Timeout);
    assert_eq!(began.elapsed(), Duration::from_millis(200), "one look, one write");
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_still_serves() {
    let bench = bench();
    bench.flaky.set_fault(Fault::ReadOnly);
    assert_eq!(bench.serve().await, ("load 1".into(), Source::Loaded));
    assert_eq!(bench.serve().await, ("load 2".into(), Source::Loaded));
    assert_eq!(bench.aside.put("key", &"x".into()).await.unwrap_err().kind(), ErrorKind::Storage);
}

#[tokio::test]
async fn bytes_of_another_hand_are_told_and_replaced() {
    let bench = bench();
    let aside = bench.aside.clone().with_cache_failure(CacheFailure::Fail);
    bench.flaky.set("test:key", b"{\"not\": ours}"[..].into(), MINUTE).await.unwrap();
    let served = aside.serve("key", bench.load()).await.unwrap();
    assert_eq!((served.value.as_str(), served.cache_error.unwrap().kind()), ("load 1", ErrorKind::Protocol));
    assert_eq!(bench.serve().await.1, Source::Fresh);
}

#[tokio::test]
async fn another_version_is_loaded_anew() {
    let bench = bench();
    bench.serve().await;
    let next = bench.aside.clone().with_version(1);
    let served = next.serve("key", bench.load()).await.unwrap();
    assert_eq!((served.source, served.cache_error.is_none()), (Source::Loaded, true));
}

#[tokio::test]
async fn a_load_that_began_before_an_invalidation_leaves_nothing_behind() {
    let bench = bench();
    let (open, old) = bench.load_behind_a_gate(Ok("old".to_owned())).await;
    bench.aside.invalidate("key").await.unwrap();
    // who comes after the invalidation does not wait for the old load
    assert_eq!(bench.serve().await, ("load 1".into(), Source::Loaded));
    open.send(()).unwrap();
    assert_eq!(old.await.unwrap().unwrap(), "old");
    assert_eq!(bench.serve().await, ("load 1".into(), Source::Fresh));
    bench.aside.put("key", &"put".into()).await.unwrap();
    assert_eq!(bench.serve().await, ("put".into(), Source::Fresh));
}

#[tokio::test]
async fn a_load_that_finds_nothing_does_not_take_away_what_was_put_meanwhile() {
    let bench = bench();
    let (open, old) = bench.load_behind_a_gate(Err(Error::new(ErrorKind::NotFound, "none yet"))).await;
    bench.aside.put("key", &"put".into()).await.unwrap();
    open.send(()).unwrap();
    assert_eq!(old.await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(bench.serve().await, ("put".into(), Source::Fresh));
}

#[tokio::test]
async fn jitter_shortens_a_time_by_its_share_at_most() {
    for (unit, fresh) in [(0.0, 60), (0.5, 57), (1.0, 54)] {
        let mut bench = bench();
        bench.aside = bench.aside.with_jitter(0.1).with_random(Random::fixed(unit));
        bench.serve().await;
        bench.clock.advance(Duration::from_millis(fresh * 1_000 - 2));
        assert_eq!(bench.serve().await.1, Source::Fresh);
        bench.clock.advance(Duration::from_millis(4));
        assert_eq!(bench.serve().await.1, Source::Loaded);
    }
    let bench = bench();
    let spread = bench.aside.clone().with_jitter(0.1).with_random(Random::seeded(1));
    for number in 0..500 {
        spread.put(&number.to_string(), &"value".into()).await.unwrap();
    }
    let mut left = Vec::new();
    for seconds in 54..=60 {
        bench.clock.advance(Duration::from_secs(if seconds == 54 { 54 } else { 1 }));
        let mut fresh = 0;
        for number in 0..500 {
            let look = bench.aside.get_or_load(&number.to_string(), fail(ErrorKind::Unavailable)).await;
            fresh += u32::from(look.is_ok());
        }
        left.push(fresh);
    }
    assert_eq!((left[0], left[6]), (500, 0), "{left:?}");
    assert!(left.windows(2).all(|pair| pair[0] - pair[1] > 40), "spread evenly: {left:?}");
}
