use super::*;
use crate::cache::{Fault, FlakyCache, MemoryCache};
use crate::model::HashingEmbedder;
use tokio::time::{Instant, sleep, timeout};

/// Writes down what it is asked for, takes its time, and knows a text that is bad, one that panics and one that is late.
#[derive(Debug, Default)]
struct Asked {
    inner: HashingEmbedder,
    texts: Mutex<Vec<String>>,
    short: bool,
    pause: Duration,
}

#[async_trait]
impl Embedder for Asked {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        self.texts.lock().unwrap().extend(texts.iter().map(|text| (*text).to_owned()));
        if !self.pause.is_zero() {
            sleep(self.pause).await;
        }
        for (text, kind) in [("bad", ErrorKind::InvalidInput), ("busy", ErrorKind::Unavailable)] {
            if texts.contains(&text) {
                return Err(Error::new(kind, text));
            }
        }
        assert!(!texts.contains(&"panic"), "an embedder's own fault");
        let mut vectors = self.inner.embed(texts).await?;
        if self.short {
            vectors.pop();
        }
        Ok(vectors)
    }
}

impl CachedEmbedder<Asked> {
    fn asked(&self) -> usize {
        std::mem::take(&mut *self.store.inner.texts.lock().unwrap()).len()
    }
}

#[tokio::test]
async fn a_text_is_asked_for_once_and_answers_keep_their_places() {
    let cache = Arc::new(MemoryCache::new(1 << 20));
    let embedder = CachedEmbedder::new(Asked::default(), cache.clone(), Duration::from_hours(1));
    let texts = ["달리기", "걷기", "달리기", ""];
    let plain = HashingEmbedder::new().embed(&texts).await.unwrap();
    assert_eq!(embedder.embed(&texts).await.unwrap(), plain);
    assert_eq!(embedder.asked(), 3);
    assert_eq!(embedder.embed(&texts).await.unwrap(), plain);
    assert_eq!(embedder.embed(&["걷기", "수영"]).await.unwrap()[0], plain[1]);
    assert_eq!(embedder.asked(), 1);
    // What stands in the cache and is no vector of this embedder is asked for again.
    cache.set(&embedder.store.key("걷기"), Arc::from(&b"half"[..]), Duration::from_hours(1)).await.unwrap();
    assert_eq!(embedder.embed(&["걷기"]).await.unwrap()[0], plain[1]);
    assert_eq!((embedder.asked(), embedder.embed(&[]).await.unwrap().len()), (1, 0));
}

#[tokio::test]
async fn a_cache_that_fails_costs_calls_and_nothing_else() {
    let cache = FlakyCache::new(Arc::new(MemoryCache::new(1 << 20)));
    let embedder = CachedEmbedder::new(Asked::default(), Arc::new(cache.clone()), Duration::from_hours(1));
    for fault in [Fault::Down, Fault::ReadOnly, Fault::None] {
        cache.set_fault(fault);
        assert_eq!(embedder.embed(&["a", "b"]).await.unwrap().len(), 2);
        assert_eq!(embedder.asked(), 2, "{fault:?}");
    }
    assert_eq!((embedder.embed(&["a", "b"]).await.unwrap().len(), embedder.asked()), (2, 0));
}

#[tokio::test]
async fn an_embedder_that_leaves_one_out_is_an_error_and_nothing_is_remembered() {
    let short = Asked { short: true, ..Asked::default() };
    let embedder = CachedEmbedder::new(short, Arc::new(MemoryCache::new(1 << 20)), Duration::from_hours(1));
    for _ in 0..2 {
        assert_eq!(embedder.embed(&["a", "b"]).await.unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(embedder.asked(), 2);
    }
}

/// An embedder that takes 50 ms, before a cache in memory.
fn slow() -> Arc<CachedEmbedder<Asked>> {
    let inner = Asked { pause: Duration::from_millis(50), ..Asked::default() };
    Arc::new(CachedEmbedder::new(inner, Arc::new(MemoryCache::new(1 << 20)), Duration::from_hours(1)))
}

type Call = tokio::task::JoinHandle<Result<Vec<Embedding>>>;

fn call(embedder: &Arc<CachedEmbedder<Asked>>, texts: &'static [&'static str]) -> Call {
    let embedder = Arc::clone(embedder);
    tokio::spawn(async move { embedder.embed(texts).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_ask_at_once_a_text_is_asked_for_once() {
    let embedder = slow();
    let texts = ["a", "b", "c", "d"];
    let plain = HashingEmbedder::new().embed(&texts).await.unwrap();
    for round in 0..5 {
        let calls: Vec<_> = (0..60)
            .map(|at| match at % 3 {
                0 => (call(&embedder, &["a", "b"]), [0, 1]),
                1 => (call(&embedder, &["c", "b"]), [2, 1]),
                _ => (call(&embedder, &["d", "a"]), [3, 0]),
            })
            .collect();
        for (call, places) in calls {
            assert_eq!(call.await.unwrap().unwrap(), places.map(|place| plain[place].clone()));
        }
        assert_eq!(embedder.asked(), if round == 0 { 4 } else { 0 });
    }
    assert_eq!(embedder.flights.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_leaves_what_others_wait_for_under_way() {
    let embedder = slow();
    let began = Instant::now();
    let leader = call(&embedder, &["a", "b"]);
    sleep(Duration::from_millis(20)).await;
    let waiter = call(&embedder, &["b", "c"]);
    sleep(Duration::from_millis(10)).await;
    leader.abort();
    assert_eq!(waiter.await.unwrap().unwrap().len(), 2);
    // that of `b` went on, that of `c` began 20 ms later
    assert_eq!(began.elapsed(), Duration::from_millis(70));
    assert_eq!((embedder.asked(), embedder.flights.in_flight()), (3, 0));
    // and what nobody waits for any longer is dropped
    for _ in 0..2 {
        assert!(timeout(Duration::from_millis(10), embedder.embed(&["z"])).await.is_err());
        assert_eq!((embedder.asked(), embedder.flights.in_flight()), (1, 0));
    }
    assert_eq!(embedder.embed(&["z"]).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_or_a_panic_is_everyones_once_and_then_forgotten() {
    let embedder = slow();
    for (texts, kind) in [
        (&["bad"], ErrorKind::InvalidInput),
        (&["busy"], ErrorKind::Unavailable),
        (&["panic"], ErrorKind::Other),
    ] {
        for _ in 0..2 {
            let calls: Vec<_> = (0..20).map(|_| call(&embedder, texts)).collect();
            for call in calls {
                assert_eq!(call.await.unwrap().unwrap_err().kind(), kind);
            }
            assert_eq!((embedder.asked(), embedder.flights.in_flight()), (1, 0), "{texts:?}");
        }
    }
    assert_eq!(embedder.embed(&["a"]).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bad_text_of_another_call_does_no_harm() {
    for other in [&["a", "bad"], &["a", "panic"]] {
        let embedder = slow();
        let (bad, good) = (call(&embedder, other), call(&embedder, &["a", "b"]));
        assert!(bad.await.unwrap().is_err());
        assert_eq!(good.await.unwrap().unwrap().len(), 2);
        assert_eq!(embedder.asked(), 4, "its own once more");
    }
    // a server that is busy is not asked again for it
    let embedder = slow();
    let (busy, good) = (call(&embedder, &["a", "busy"]), call(&embedder, &["a"]));
    assert_eq!(busy.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(good.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(embedder.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_hangs_costs_its_time_and_nothing_else() {
    let cache = FlakyCache::new(Arc::new(MemoryCache::new(1 << 20)));
    cache.set_fault(Fault::Hanging);
    let embedder = CachedEmbedder::new(Asked::default(), Arc::new(cache.clone()), Duration::from_hours(1));
    let began = Instant::now();
    assert_eq!(embedder.embed(&["a", "b"]).await.unwrap().len(), 2);
    assert_eq!(began.elapsed(), Duration::from_secs(1), "what does not answer is not written to");
    let embedder = embedder.with_cache_timeout(Duration::from_millis(30));
    assert_eq!((embedder.asked(), embedder.embed(&["a"]).await.unwrap().len()), (2, 1));
    assert_eq!(began.elapsed(), Duration::from_millis(1_030));

    // it hangs while it is written to
    cache.set_fault(Fault::None);
    let texts: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let inner = Asked { pause: Duration::from_millis(50), ..Asked::default() };
    let embedder = CachedEmbedder::new(inner, Arc::new(cache.clone()), Duration::from_hours(1));
    let hang = async {
        sleep(Duration::from_millis(20)).await;
        cache.set_fault(Fault::Hanging);
    };
    let began = Instant::now();
    let (vectors, ()) = tokio::join!(embedder.embed(&texts), hang);
    assert_eq!((vectors.unwrap().len(), began.elapsed()), (100, Duration::from_millis(1_050)));
}
