//! Eight threads vote on the same posts.

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::time::ManualClock;
use pumasi_search::reactions::{MemoryReactions, Reaction, Reactions, Vote};

const ITEMS: [&str; 5] = ["a", "나", "c", "d", "e"];
const PEOPLE: u64 = 8;

/// Votes from threads with runtimes of their own, each on a store of its own; then compares counts with what stands.
fn drift_is_nothing<S: Reactions + 'static>(
    votes: u64,
    open: impl Fn() -> std::pin::Pin<Box<dyn Future<Output = S> + Send>> + Send + Sync + 'static,
) {
    let open = Arc::new(open);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let threads: Vec<_> = (0..8_u64)
        .map(|thread| {
            let open = Arc::clone(&open);
            std::thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                runtime().block_on(async {
                    let store = open().await;
                    for at in 0..votes {
                        let reaction = random
                            .choice([Reaction::None, Reaction::Like, Reaction::Dislike])
                            .unwrap_or_default();
                        let (item, person) = (random.choice(ITEMS).unwrap_or("a"), random.u64(0..PEOPLE));
                        let at = ManualClock::START.saturating_add(Duration::from_secs(at));
                        let vote = Vote::new(item, format!("회원 {person}"), reaction, at);
                        store.cast(&[vote]).await.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    runtime().block_on(async {
        let store = open().await;
        let mut stand = [(0, 0); ITEMS.len()];
        for person in 0..PEOPLE {
            let own = store.reactions(&format!("회원 {person}"), &ITEMS).await.unwrap();
            for (stand, reaction) in stand.iter_mut().zip(own) {
                stand.0 += u64::from(reaction == Reaction::Like);
                stand.1 += u64::from(reaction == Reaction::Dislike);
            }
        }
        let counts = store.counts(&ITEMS).await.unwrap();
        let counts: Vec<_> = counts.iter().map(|counts| (counts.likes, counts.dislikes)).collect();
        assert_eq!(counts, stand, "counts, and what stands");
        println!("{} votes of 8 threads, drift 0", 8 * votes);
    });
}

#[test]
fn eight_threads_leave_no_drift_in_memory() {
    let store = MemoryReactions::new();
    drift_is_nothing(5_000, move || {
        let store = store.clone();
        Box::pin(async move { store })
    });
}

#[cfg(feature = "redis")]
#[test]
fn eight_threads_leave_no_drift_on_redis() {
    use pumasi_search::reactions::RedisReactions;

    let Some(url) = pumasi_core::conformance::Server::Redis.url("votes of eight threads on Redis") else {
        return;
    };
    let prefix = format!("test-{:016x}:", fastrand::u64(..));
    drift_is_nothing(600, move || {
        let store = RedisReactions::open(&url).unwrap().with_prefix(&prefix);
        Box::pin(async move { store })
    });
}

#[cfg(feature = "postgres")]
#[test]
fn eight_threads_leave_no_drift_in_postgres() {
    use pumasi_search::reactions::PostgresReactions;
    use sqlx::AssertSqlSafe;
    use sqlx::postgres::{PgConnectOptions, PgPool};

    let Some(url) = pumasi_core::conformance::Server::Postgres.url("votes of eight threads in PostgreSQL")
    else {
        return;
    };
    let schema = format!("pumasi_test_votes_{}_{:08x}", std::process::id(), fastrand::u32(..));
    let sql = |statement: String| {
        let url = url.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let pool = PgPool::connect(&url).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
        });
    };
    sql(format!("CREATE SCHEMA {schema}"));
    let (server, path) = (url.clone(), schema.clone());
    drift_is_nothing(600, move || {
        let options: PgConnectOptions = server.parse().unwrap();
        let options = options.options([("search_path", path.as_str())]);
        Box::pin(async move {
            let store = PostgresReactions::new(PgPool::connect_with(options).await.unwrap());
            store.migrate().await.unwrap();
            store
        })
    });
    sql(format!("DROP SCHEMA {schema} CASCADE"));
}
