//! The cache on a real Redis: its laws, and what it does when the server is away, silent, full or asks for a password.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::ErrorKind;
use pumasi_core::cache::{Cache, CacheAside, CacheFailure, RedisCache, Source};
use pumasi_core::conformance::Server;
use pumasi_core::conformance::cache::CacheHarness;
use tokio::runtime::Runtime;

use crate::proxy::{Line, Proxy, authority};
use crate::redis_server::{PATIENCE, RedisServer};

struct Harness {
    proxy: Proxy,
    prefix: String,
}

impl Harness {
    async fn new() -> Option<Self> {
        let url = Server::Redis.url("the cache on Redis")?;
        let prefix = format!("test-{:016x}:", fastrand::u64(..));
        Some(Self { proxy: Proxy::to(authority(&url)).await, prefix })
    }

    fn cache(&self) -> RedisCache {
        let cache = RedisCache::open(&format!("redis://{}", self.proxy.address())).unwrap();
        cache.with_prefix(&self.prefix).with_timeout(PATIENCE)
    }
}

#[async_trait]
impl CacheHarness for Harness {
    async fn open(&self) -> Arc<dyn Cache> {
        Arc::new(self.cache())
    }

    async fn pass(&self, time: Duration) {
        // the server's clock counts whole milliseconds, and began at most one before ours
        tokio::time::sleep(time + Duration::from_millis(2)).await;
    }

    async fn cut(&self) -> bool {
        self.proxy.set(Line::Cut);
        true
    }
}

pumasi_core::cache_laws!(
    redis,
    match Harness::new().await {
        Some(harness) => harness,
        None => return Ok(pumasi_core::conformance::Kept::Whole), // the skip was printed
    }
);

fn run(test: impl Future<Output = ()>) {
    Runtime::new().unwrap().block_on(test);
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn finds_its_way_back_after_the_line_was_cut() {
    run(async {
        let Some(harness) = Harness::new().await else { return };
        let cache = harness.cache();
        cache.set("a", b"1"[..].into(), LONG).await.unwrap();
        for _ in 0..5 {
            harness.proxy.set(Line::Cut);
            // What was under way when the line was cut may still come to its end.
            let mut cut = cache.get("a").await;
            for _ in 0..100 {
                if cut.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                cut = cache.get("a").await;
            }
            assert_eq!(cut.unwrap_err().kind(), ErrorKind::Unavailable);
            harness.proxy.set(Line::Up);
            assert_eq!(
                cache.get("a").await.unwrap().as_deref(),
                Some(&b"1"[..]),
                "the first call afterwards"
            );
        }
    });
}

#[test]
fn a_silent_line_is_a_timeout_and_is_given_up() {
    run(async {
        let Some(harness) = Harness::new().await else { return };
        let cache = harness.cache().with_timeout(Duration::from_secs(1));
        cache.set("a", b"1"[..].into(), LONG).await.unwrap();
        let before = harness.proxy.accepted();
        harness.proxy.set(Line::Silent);
        let began = Instant::now();
        let error = cache.get("a").await.unwrap_err();
        assert_eq!((error.kind(), error.retry().is_retryable()), (ErrorKind::Timeout, true));
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        // a connection that cannot even be made is bounded as well
        assert_eq!(cache.get("a").await.unwrap_err().kind(), ErrorKind::Timeout);
        harness.proxy.set(Line::Up);
        assert!(cache.get("a").await.unwrap().is_some());
        assert!(harness.proxy.accepted() > before, "the silent connection was kept");
    });
}

#[test]
fn a_hundred_calls_at_once_share_one_connection() {
    run(async {
        let Some(harness) = Harness::new().await else { return };
        let cache = harness.cache();
        let calls = (0..100).map(|number: u32| {
            let cache = cache.clone();
            async move { cache.set(&format!("key-{number}"), b"1"[..].into(), LONG).await }
        });
        futures_util::future::try_join_all(calls).await.unwrap();
        assert_eq!(harness.proxy.accepted(), 1);
    });
}

#[test]
fn what_the_server_says_has_its_kind_and_retry_class() {
    run(async {
        let Some(server) = RedisServer::start("kinds of the Redis cache's errors", &[]).await else { return };
        let cache = RedisCache::open(&server.url()).unwrap();
        let set = |value: &[u8]| {
            let value = value.to_vec();
            let cache = cache.clone();
            async move { cache.set("달나라여행", value.into(), LONG).await }
        };
        set(b"1").await.unwrap();

        server.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
        let error = set(&[7; 1000]).await.unwrap_err();
        assert_eq!((error.kind(), error.retry().is_retryable()), (ErrorKind::Storage, true), "{error}");
        server.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;

        server.cli(&["LPUSH", "pumasi:cache:moonwalker", "1"]).await;
        let error = cache.get("moonwalker").await.unwrap_err();
        assert_eq!((error.kind(), error.retry().is_retryable()), (ErrorKind::Conflict, false), "{error}");

        server.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
        let error = set(b"2").await.unwrap_err();
        assert_eq!((error.kind(), error.retry().is_retryable()), (ErrorKind::Unavailable, true), "{error}");
        server.cli(&["REPLICAOF", "NO", "ONE"]).await;
        set(b"2").await.unwrap();

        server.cli(&["CONFIG", "SET", "requirepass", "sk-live-0123456789"]).await;
        let fresh = RedisCache::open(&server.url()).unwrap();
        let missing = fresh.get("달나라여행").await.unwrap_err();
        assert_eq!((missing.kind(), missing.retry().is_retryable()), (ErrorKind::Unauthorized, false));
        let wrong = RedisCache::open(&server.url_with("sk-wrong-0123456789")).unwrap();
        let error = wrong.get("달나라여행").await.unwrap_err();
        assert_eq!((error.kind(), error.retry().is_retryable()), (ErrorKind::Unauthorized, false));
        let right = RedisCache::open(&server.url_with("sk-live-0123456789")).unwrap();
        assert_eq!(right.get("달나라여행").await.unwrap().as_deref(), Some(&b"2"[..]));
        let broken = RedisCache::open("redis://user:sk-live-0123456789@:x:/y").unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::InvalidInput);
        for shown in
            [format!("{missing:?}"), format!("{error:?} {error}"), format!("{wrong:?} {right:#?} {broken:?}")]
        {
            assert!(!shown.contains("0123456789") && !shown.contains("달나라"), "{shown}");
        }
    });
}

#[test]
fn a_restarted_server_is_found_again_and_its_loading_is_said() {
    run(async {
        let Some(mut server) = RedisServer::start("the Redis cache and a restarted server", &[]).await else {
            return;
        };
        let cache = RedisCache::open(&server.url()).unwrap();
        cache.set("a", b"1"[..].into(), LONG).await.unwrap();
        // enough to be a while in loading
        server.cli(&["DEBUG", "POPULATE", "5000"]).await;
        server.cli(&["SAVE"]).await;
        let mut loading = 0;
        // a busy machine may look too late: again, with a longer while
        for pause in ["200", "1000", "4000"] {
            server.kill();
            assert_eq!(cache.get("a").await.unwrap_err().kind(), ErrorKind::Unavailable);
            server.begin(&["--key-load-delay", pause, "--loading-process-events-interval-bytes", "1024"]);
            let deadline = Instant::now() + Duration::from_mins(1);
            loop {
                match cache.get("a").await {
                    Ok(value) => break assert_eq!(value.as_deref(), Some(&b"1"[..])),
                    Err(error) => {
                        assert!(error.retry().is_retryable(), "{error}");
                        loading += u32::from(error.to_string().contains("LOADING"));
                    }
                }
                assert!(Instant::now() < deadline, "the server was not found again");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if loading > 0 {
                break;
            }
        }
        assert!(loading > 0, "the server was never seen loading");
    });
}

#[test]
fn two_services_share_values_and_a_cut_server_is_never_a_silent_miss() {
    run(async {
        let Some(harness) = Harness::new().await else { return };
        // as in two processes: two connections and two flights, nothing shared but the server
        let service = || {
            CacheAside::<String>::new(Arc::new(harness.cache()), "names")
                .with_jitter(0.0)
                .with_ttl(Duration::from_secs(2))
                .with_stale_while_revalidate(LONG)
        };
        let load = |value: &'static str| move || async move { Ok(value.to_owned()) };
        let (first, second) = (service(), service());
        assert_eq!(first.serve("7", load("지수")).await.unwrap().source, Source::Loaded);
        let served = second.serve("7", load("other")).await.unwrap();
        assert_eq!((served.value.as_str(), served.source), ("지수", Source::Fresh));
        tokio::time::sleep(Duration::from_millis(2_050)).await;
        assert_eq!(second.serve("7", load("지수")).await.unwrap().source, Source::Stale);

        harness.proxy.set(Line::Cut);
        // by the default rule it loads, and says why
        let served = first.serve("7", load("loaded")).await.unwrap();
        assert_eq!((served.value.as_str(), served.source), ("loaded", Source::Loaded));
        assert_eq!(served.cache_error.unwrap().kind(), ErrorKind::Unavailable);
        // by the other it fails, and the loader is not called
        let strict = service().with_cache_failure(CacheFailure::Fail);
        let error =
            strict.serve("7", || async { panic!("the source was asked") }).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        harness.proxy.set(Line::Up);
        assert_eq!(second.serve("8", load("8")).await.unwrap().source, Source::Loaded);
        assert_eq!(strict.serve("8", load("other")).await.unwrap().source, Source::Fresh);
    });
}
