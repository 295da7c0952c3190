//! PostgreSQL beside the reference: filters, filtered searches by the index, rankings; and connections that break.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::model::HashingEmbedder;
use pumasi_core::text::{Analyzer, SparseVector};
use pumasi_rag::store::{Entry, PostgresOptions, StoreQuery, VectorIndex};
use pumasi_rag::{ErrorKind, MemoryStore, PostgresStore, Space, Store, Tenant};
use serde_json::Map;
use sqlx::postgres::PgPoolOptions;

use crate::random::{clustered, entry, space};
use crate::reference;
use crate::schema::Schema;

#[tokio::test]
async fn random_filters_admit_what_the_reference_does() {
    let Some(schema) = Schema::new("random filters").await else { return };
    let store = PostgresStore::open(schema.pool.clone(), space(4), Tenant::single()).await.unwrap();
    reference::admit_the_same(&store, 400, 1_500).await;
}

#[tokio::test]
async fn a_filter_that_one_in_a_hundred_matches_finds_ten_by_the_index_and_without() {
    let dimensions = 48;
    let Some(schema) = Schema::new("filtered searches").await else { return };
    let entries = clustered(3_000, dimensions);
    let reference = MemoryStore::new(space(dimensions), Tenant::single());
    reference.put(entries.clone()).await.unwrap();
    let by_index = PostgresOptions::new().with_exact_below(0).with_breadth(NonZeroU32::new(100).unwrap());
    for (what, options) in [
        ("exact", PostgresOptions::new().with_index(VectorIndex::Exact)),
        ("by the graph", by_index.with_index(VectorIndex::Hnsw)),
        ("by the graph of halves", by_index.with_index(VectorIndex::HalfHnsw)),
        ("by size", PostgresOptions::new().with_index(VectorIndex::Hnsw)),
    ] {
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(schema.options.clone());
        let store = PostgresStore::open_with(pool.clone(), space(dimensions), Tenant::single(), options)
            .await
            .unwrap();
        if what == "exact" {
            store.put(entries.clone()).await.unwrap();
        }
        let is_exact = |n: usize| what == "exact" || what == "by size" && n % 3 == 1;
        reference::find_the_nearest(what, &store, (&reference, &entries), is_exact).await;
        pool.close().await;
        let expected = what.starts_with("by the graph");
        assert_eq!(index_was_asked(&schema, expected).await, expected, "{what}");
    }
}

/// Tells whether a search has asked the index since it was made; looks for it for long, if that is expected.
async fn index_was_asked(schema: &Schema, expected: bool) -> bool {
    // what a session has counted is seen some time after it has ended
    for _ in 0..if expected { 600 } else { 40 } {
        let used: Option<i64> = sqlx::query_scalar(
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'pumasi_rag_chunk_near' AND schemaname = $1",
        )
        .bind(schema.name())
        .fetch_optional(&schema.pool)
        .await
        .unwrap();
        if used.is_some_and(|used| used > 0) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

#[tokio::test]
async fn rankings_are_the_same_on_every_store() {
    let Some(schema) = Schema::new("rankings on every store").await else { return };
    let space = Space::of(&HashingEmbedder::new());
    let postgres = PostgresStore::open(schema.pool.clone(), space.clone(), Tenant::single()).await.unwrap();
    let mut stores: Vec<Arc<dyn Store>> = vec![Arc::new(postgres)];
    let folder = tempfile::tempdir().unwrap();
    #[cfg(feature = "embedded")]
    {
        let path = folder.path().join("knowledge.db");
        let sqlite = pumasi_rag::SqliteStore::open(path, space, Tenant::single()).await.unwrap();
        stores.push(Arc::new(sqlite));
    }
    reference::rank_the_same(stores).await;
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_of_a_put_leaves_all_of_it_or_nothing() {
    let Some(schema) = Schema::new("broken connections").await else { return };
    let dimensions = 64;
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(schema.options.clone());
    let store = PostgresStore::open(pool, space(dimensions), Tenant::single()).await.unwrap();
    let version = |n: usize| -> Vec<Entry> {
        (0..150)
            .map(|document| {
                let text = format!("{n}번째 판의 {document}번째 달리기 안내");
                let embedder = HashingEmbedder::with_dimensions(NonZeroUsize::new(dimensions).unwrap());
                entry(&format!("문서-{document}"), &text, embedder.embed_one(&text), Map::new())
            })
            .collect()
    };
    let options = schema.options.clone().application_name("who ends them");
    let mut server = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let ids: Vec<String> = version(0).into_iter().map(|entry| entry.record.id).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    store.put(version(0)).await.unwrap();
    let (mut there, mut broken, mut whole) = (0, 0, 0);
    let mut rng = fastrand::Rng::with_seed(3);
    for round in 1..=40 {
        let putting = tokio::spawn({
            let (store, entries) = (store.clone(), version(round));
            async move { store.put(entries).await }
        });
        tokio::time::sleep(Duration::from_millis(rng.u64(0..60))).await;
        let ended: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND state <> 'idle'",
        )
        .bind(schema.name())
        .fetch_all(&mut server)
        .await
        .unwrap();
        let put = putting.await.unwrap();
        let expected = |n: usize| version(n).into_iter().map(Some).collect::<Vec<_>>();
        let found = store.entries(&ids).await.unwrap();
        if found == expected(round) {
            there = round;
        } else {
            assert_eq!(found, expected(there), "round {round}: neither the old nor the new");
            let error = put.as_ref().unwrap_err();
            assert!(error.retry().is_retryable(), "{error}");
        }
        match put {
            Ok(()) => whole += 1,
            Err(_) => broken += usize::from(!ended.is_empty()),
        }
    }
    println!("{broken} puts were broken off and {whole} were not");
    assert!(broken > 0);
    store.put(version(41)).await.unwrap();
    let reference = MemoryStore::new(space(dimensions), Tenant::single());
    reference.put(version(41)).await.unwrap();
    let query = StoreQuery::new(20).with_terms(SparseVector::counts("41번째 달리기", &Analyzer::default()));
    assert_eq!(store.search(&query).await.unwrap().lexical, reference.search(&query).await.unwrap().lexical);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_when_it_is_opened() {
    let Some(schema) = Schema::new("what does not fit").await else { return };
    let of = |dimensions: usize| {
        let mut space = space(dimensions);
        "x".clone_into(&mut space.embedder);
        space
    };
    let open = async |dimensions: usize, options: PostgresOptions| {
        PostgresStore::open_with(schema.pool.clone(), of(dimensions), Tenant::single(), options).await
    };
    let with = |index| PostgresOptions::new().with_index(index);
    for (dimensions, options) in [
        (2_001, with(VectorIndex::Hnsw)),
        (4_001, with(VectorIndex::HalfHnsw)),
        (16_001, PostgresOptions::new()),
    ] {
        let error = open(dimensions, options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    let store = open(3_000, PostgresOptions::new()).await.unwrap();
    assert_eq!(store.index(), VectorIndex::HalfHnsw);
    let vector = |at: usize| (0..3_000).map(|n| if n == at { 1.0 } else { 1e-3 }).collect::<Vec<f32>>();
    let entries: Vec<Entry> =
        (0..30).map(|n| entry(&n.to_string(), "긴 벡터\0와 빈 글자", vector(n), Map::new())).collect();
    store.put(entries.clone()).await.unwrap();
    let options = PostgresOptions::new().with_exact_below(0);
    let found = open(3_000, options).await.unwrap();
    let found = found.search(&StoreQuery::new(1).with_embedding(vector(7))).await.unwrap();
    assert_eq!(found.dense[0].id, entries[7].chunks[0].id);
    assert_eq!(store.entries(&["7"]).await.unwrap(), [Some(entries[7].clone())]);
    assert_eq!(open(3_000, with(VectorIndex::Exact)).await.unwrap().index(), VectorIndex::Exact);
    assert_eq!(open(3_000, PostgresOptions::new()).await.unwrap().index(), VectorIndex::Exact);
    for other in [of(2_999), space(3_000)] {
        let error = PostgresStore::open(schema.pool.clone(), other, Tenant::single()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}

/// A database of a test's own, since an extension is the whole database's.
async fn database(test: &str) -> Option<(String, sqlx::postgres::PgConnectOptions)> {
    let schema = Schema::new(test).await?;
    let name = format!("pumasi_test_{}_{:08x}", std::process::id(), fastrand::u32(..));
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0")))
        .execute(&schema.pool)
        .await
        .unwrap();
    Some((name.clone(), schema.options.clone().database(&name)))
}

#[tokio::test]
async fn two_knowledges_of_one_database_share_the_extension_wherever_it_is() {
    for place in ["made by the first", "in a schema of its own"] {
        let Some((name, server)) = database("two knowledges of one database").await else { return };
        let mut admin = sqlx::ConnectOptions::connect(&server).await.unwrap();
        let schemas = "CREATE SCHEMA \"One\"; CREATE SCHEMA two; CREATE SCHEMA \"The extensions\"";
        sqlx::raw_sql(schemas).execute(&mut admin).await.unwrap();
        if place == "in a schema of its own" {
            let create = "CREATE EXTENSION vector SCHEMA \"The extensions\"";
            sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
        }
        let open = async |schema: &str| {
            let options = server.clone().options([("search_path", schema)]);
            let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options);
            let options = PostgresOptions::new().with_exact_below(0).with_index(VectorIndex::HalfHnsw);
            let store = PostgresStore::open_with(pool.clone(), space(4), Tenant::single(), options).await;
            (pool, store.unwrap())
        };
        let entries = clustered(60, 4);
        let (first, one) = open("\"One\"").await;
        let (second, two) = open("two").await;
        for store in [&one, &two] {
            store.put(entries.clone()).await.unwrap();
        }
        first.close().await;
        sqlx::raw_sql("DROP SCHEMA \"One\" CASCADE").execute(&mut admin).await.unwrap();
        let wanted = &entries[7].chunks[0];
        let query = StoreQuery::new(3).with_embedding(wanted.embedding.clone());
        assert_eq!(two.search(&query).await.unwrap().dense[0].id, wanted.id, "{place}");
        assert_eq!(two.get(&[wanted.id]).await.unwrap().len(), 1);
        assert_eq!(two.entries(&[&entries[7].record.id]).await.unwrap(), [Some(entries[7].clone())]);
        second.close().await;
        drop(admin);
        let mut admin = sqlx::ConnectOptions::connect(&server.database("postgres")).await.unwrap();
        let drop = sqlx::AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
        sqlx::raw_sql(drop).execute(&mut admin).await.unwrap();
    }
}
