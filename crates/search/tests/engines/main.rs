//! The laws of search engines, on every engine.

#![allow(clippy::expect_used, reason = "a test fails so; not every set of features has any")]

#[cfg(feature = "embedded")]
mod kill;
mod torn;
#[cfg(feature = "embedded")]
#[expect(clippy::print_stdout, reason = "what a page cost is printed")]
mod walk;

use std::sync::Arc;

use async_trait::async_trait;
use pumasi_search::engine::conformance::{EngineHarness, schema};
use pumasi_search::{MemoryEngine, SearchEngine, engine_laws};

type Reopened = Result<Arc<dyn SearchEngine>, Arc<dyn SearchEngine>>;

struct Memory;

#[async_trait]
impl EngineHarness for Memory {
    async fn open(&self) -> Arc<dyn SearchEngine> {
        Arc::new(MemoryEngine::new(schema()))
    }

    async fn reopen(&self, engine: Arc<dyn SearchEngine>) -> Reopened {
        Err(engine)
    }
}

engine_laws!(memory, Memory);

#[cfg(feature = "embedded")]
mod embedded {
    use pumasi_search::TantivyEngine;

    use super::*;

    struct Embedded(tempfile::TempDir);

    impl Embedded {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn engine(&self) -> Arc<dyn SearchEngine> {
            Arc::new(TantivyEngine::open(schema(), self.0.path()).expect("an index"))
        }
    }

    #[async_trait]
    impl EngineHarness for Embedded {
        async fn open(&self) -> Arc<dyn SearchEngine> {
            self.engine()
        }

        async fn reopen(&self, engine: Arc<dyn SearchEngine>) -> Reopened {
            // the folder is free when the last holder is gone
            drop(engine);
            Ok(self.engine())
        }
    }

    engine_laws!(tantivy, Embedded::new());
}

#[cfg(feature = "postgres")]
mod postgres {
    use pumasi_core::conformance::Server;
    use pumasi_core::time::Timestamp;
    use pumasi_search::engine::conformance::Kept;
    use pumasi_search::{Applied, Change, Count, Document, ErrorKind, Gap, PostgresEngine, Query};
    use sqlx::postgres::PgPoolOptions;
    use sqlx::{AssertSqlSafe, Executor, PgPool};

    use super::*;

    /// More than any change or search takes, however busy the machine is.
    const PATIENCE: std::time::Duration = std::time::Duration::from_mins(2);

    /// A namespace of its own for each law.
    struct Postgres {
        url: String,
        namespace: String,
    }

    impl Postgres {
        fn new() -> Option<Self> {
            let url = Server::Postgres.url("the laws of search engines")?;
            Some(Self { url, namespace: format!("search_laws_{:016x}", fastrand::u64(..)) })
        }

        async fn pool(&self) -> PgPool {
            let namespace = self.namespace.clone();
            let options = PgPoolOptions::new().max_connections(4).after_connect(move |connection, _| {
                let sql = format!("CREATE SCHEMA IF NOT EXISTS {namespace}; SET search_path TO {namespace}");
                Box::pin(async move { connection.execute(AssertSqlSafe(sql)).await.map(drop) })
            });
            options.connect(&self.url).await.expect("a database")
        }

        async fn engine(&self) -> Arc<dyn SearchEngine> {
            let engine = PostgresEngine::open(schema(), self.pool().await).await.expect("an index");
            Arc::new(engine.with_patience(PATIENCE))
        }
    }

    #[async_trait]
    impl EngineHarness for Postgres {
        async fn open(&self) -> Arc<dyn SearchEngine> {
            self.engine().await
        }

        async fn reopen(&self, _: Arc<dyn SearchEngine>) -> Reopened {
            Ok(self.engine().await)
        }
    }

    #[tokio::test]
    async fn a_good_server_gives_nothing_to_say_and_an_index_of_another_schema_does() {
        let Some(server) = Postgres::new() else { return };
        let engine = server.engine().await;
        assert_eq!(engine.examine().await, []);
        let sql = "UPDATE pumasi_search_index SET fingerprint = 'another'";
        server.pool().await.execute(sql).await.expect("a change");
        let findings = engine.examine().await;
        assert!(findings.iter().any(|finding| finding.text.contains("another schema")), "{findings:?}");
    }

    #[tokio::test]
    async fn a_table_that_somebody_emptied_is_told_from_an_index_that_holds_nothing() {
        let Some(server) = Postgres::new() else { return };
        let (engine, time) = (server.engine().await, PATIENCE);
        let posts = Query::new("러닝");
        let counted = Query::everything().with_limit(0).with_count(Count::Exact);
        let kinds = async || {
            let (found, count) = (engine.search(&posts, time).await, engine.search(&counted, time).await);
            [found.err().map(|error| error.kind()), count.err().map(|error| error.kind())]
        };
        assert_eq!(kinds().await, [None; 2]);
        let post = Change::upsert(Document::new("1", serde_json::json!({"title": "한강"})), 1);
        engine.apply(std::slice::from_ref(&post)).await.expect("a change");
        assert_eq!(kinds().await, [None; 2]);
        server.pool().await.execute("TRUNCATE pumasi_search_laws_1").await.expect("a loss");
        assert_eq!(kinds().await, [Some(ErrorKind::Unavailable); 2]);
        engine.apply(&[post]).await.expect("a change");
        assert_eq!(kinds().await, [None; 2]);
    }

    #[tokio::test]
    async fn a_document_with_too_many_words_is_not_found_and_pages_say_that_one_is_missing() {
        let Some(server) = Postgres::new() else { return };
        let (engine, time) = (server.engine().await, PATIENCE);
        let word =
            |number: u64| format!("{number:030}").bytes().map(|digit| char::from(digit + 49)).collect();
        let words = |count: u64| (0..count).map(word).collect::<Vec<String>>().join(" ");
        let post = |id: &str, words: &str, version: u64| {
            let change = Change::upsert(Document::new(id, serde_json::json!({"title": words})), version);
            change.with_at(Timestamp::from_micros(i64::try_from(version).unwrap_or_default()))
        };
        let look = async || {
            let page = engine.search(&Query::everything(), time).await.expect("a page");
            let (ids, gaps) = (page.ids().join(" "), page.gaps.clone());
            let missing = gaps.into_iter().filter(|gap| matches!(gap, Gap::Missing(_)));
            (ids, missing.collect::<Vec<_>>(), engine.stamps(None, 9).await.expect("stamps").len())
        };
        let all = [post("a", "러닝", 1), post("b", "한강", 1)];
        let taken = engine.apply(&all).await.expect("changes");
        assert!(taken.iter().all(Result::is_ok), "{taken:?}");
        let long = words(40_000);
        for _ in 0..2 {
            let refused = engine.apply(&[post("b", &long, 2), post("c", "강", 1)]).await.expect("changes");
            let kinds: Vec<_> =
                refused.iter().map(|result| result.as_ref().err().map(pumasi_search::Error::kind)).collect();
            assert_eq!(kinds, [Some(ErrorKind::InvalidInput), None]);
            // nor by the words that it had before
            assert_eq!(look().await, ("a c".to_owned(), vec![Gap::Missing(1)], 2));
        }
        let stale = engine.apply(&all).await.expect("changes");
        assert!(stale.iter().all(|result| matches!(result, Ok(Applied::Stale))), "{stale:?}");
        assert_eq!(engine.status().await.expect("a status").applied, Some(Timestamp::from_micros(2)));
        engine.apply(&[post("b", "한강", 3)]).await.expect("a change");
        assert_eq!(look().await, ("a b c".to_owned(), vec![], 3));
        engine.apply(&[post("b", &long, 4)]).await.expect("a change");
        assert_eq!(look().await.1, [Gap::Missing(1)]);
        engine.apply(&[Change::delete("b", 5)]).await.expect("a change");
        assert_eq!(look().await, ("a c".to_owned(), vec![], 2));
    }

    #[tokio::test]
    async fn a_change_that_takes_too_long_keeps_no_other_of_its_batch_from_being_written() {
        let Some(server) = Postgres::new() else { return };
        let pool = server.pool().await;
        let engine = PostgresEngine::open(schema(), pool.clone()).await.expect("an index");
        let post = |id: &str, version: u64| {
            Change::upsert(Document::new(id, serde_json::json!({"title": "한강"})), version)
        };
        engine.apply(&[post("03", 1)]).await.expect("a change");
        // somebody else holds it
        let mut other = pool.begin().await.expect("a transaction");
        let sql = "SELECT FROM pumasi_search_laws_1 WHERE id = '03' FOR UPDATE";
        other.execute(sql).await.expect("a lock");
        let mut batch = Vec::new();
        // a machine that is too busy for the first of them is given more time
        for (version, seconds) in [(2, 8), (3, 60)] {
            let patience = std::time::Duration::from_secs(seconds);
            let began = std::time::Instant::now();
            batch = (0..40).map(|id| post(&format!("{id:02}"), version)).collect();
            let results = engine.clone().with_patience(patience).apply(&batch).await.expect("changes");
            // a try that had a patience of its own would take it for twice as long
            assert!(began.elapsed() < patience * 2, "{:?}", began.elapsed());
            let failed = results
                .iter()
                .enumerate()
                .filter_map(|(place, result)| Some((place, result.as_ref().err()?.kind())));
            let failed: Vec<_> = failed.collect();
            if failed == [(3, ErrorKind::Timeout)] {
                break;
            }
            assert_eq!(seconds, 8, "with {patience:?} {failed:?}");
        }
        other.rollback().await.expect("a lock less");
        assert!(engine.apply(&batch).await.expect("changes").iter().all(Result::is_ok));
        assert_eq!(engine.status().await.expect("a status").documents, 40);
    }

    /// A statement that holds its number as text would be prepared anew for each search.
    #[tokio::test]
    async fn searches_with_different_limits_of_time_share_their_statements() {
        let Some(server) = Postgres::new() else { return };
        let options = server.pool().await.options().clone();
        let one = options.max_connections(1).connect(&server.url).await.expect("a database");
        let engine = PostgresEngine::open(schema(), one.clone()).await.expect("an index");
        let prepared = async || {
            let sql = "SELECT count(*) FROM pg_prepared_statements";
            sqlx::query_scalar::<_, i64>(sql).fetch_one(&one).await.expect("a count")
        };
        let query = pumasi_search::Query::everything();
        let mut counts = Vec::new();
        for millis in [5_000, 6_000, 7_000, 8_000] {
            engine.search(&query, std::time::Duration::from_millis(millis)).await.expect("a page");
            counts.push(prepared().await);
        }
        assert_eq!(counts[1..], [counts[1]; 3]);
    }

    engine_laws!(
        laws,
        match Postgres::new() {
            Some(harness) => harness,
            None => return Ok(Kept::Skipped("there is no PostgreSQL")),
        }
    );
}

#[cfg(feature = "opensearch")]
mod opensearch {
    use pumasi_core::conformance::Server;
    use pumasi_search::OpenSearchEngine;
    use pumasi_search::engine::conformance::Kept;

    use super::*;

    /// Indexes of its own for each law; a second node that is dead, which nothing may notice.
    struct Cluster {
        nodes: Vec<String>,
        prefix: String,
    }

    impl Cluster {
        fn new() -> Option<Self> {
            let url = Server::OpenSearch.url("the laws of search engines")?;
            let prefix = format!("search_laws_{:016x}", fastrand::u64(..));
            Some(Self { nodes: vec![url, "http://127.0.0.1:1".to_owned()], prefix })
        }

        async fn engine(&self) -> Arc<dyn SearchEngine> {
            let engine = OpenSearchEngine::new(schema(), &self.nodes)
                .expect("an engine")
                .with_prefix(self.prefix.as_str());
            engine.prepare().await.expect("an index");
            Arc::new(engine)
        }
    }

    #[async_trait]
    impl EngineHarness for Cluster {
        async fn open(&self) -> Arc<dyn SearchEngine> {
            self.engine().await
        }

        async fn reopen(&self, _: Arc<dyn SearchEngine>) -> Reopened {
            Ok(self.engine().await)
        }
    }

    #[tokio::test]
    async fn a_good_cluster_gives_nothing_bad_to_say_and_one_without_an_index_does() {
        use pumasi_search::search::Health;
        let Some(cluster) = Cluster::new() else { return };
        let findings = cluster.engine().await.examine().await;
        assert!(findings.iter().all(|finding| finding.health < Health::Bad), "{findings:?}");
        let empty = OpenSearchEngine::new(schema(), &cluster.nodes).expect("an engine");
        let findings = empty.with_prefix(format!("{}_none", cluster.prefix)).examine().await;
        assert!(findings.iter().any(|finding| finding.text.contains("no index of ours")), "{findings:?}");
    }

    engine_laws!(
        laws,
        match Cluster::new() {
            Some(harness) => harness,
            None => return Ok(Kept::Skipped("there is no OpenSearch")),
        }
    );
}
