//! The same documents and queries in PostgreSQL.

use std::time::Instant;

use pumasi_search::{Change, Document, PostgresEngine, SearchEngine, TantivyEngine};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use crate::corpus::{self, Corpus};
use crate::{Failed, LIMIT, PAGE, liked, median, rounded, schema};

/// Rounds of each query.
const ROUNDS: usize = 10;

/// Rounds of each query by `LIKE`, which are slow.
const SLOW_ROUNDS: usize = 3;

async fn by_like(pool: &PgPool, table: &str, word: &str) -> Result<Vec<String>, Failed> {
    let sql = format!("SELECT id, body FROM {table} WHERE body LIKE $1 ORDER BY likes DESC, id LIMIT {PAGE}");
    let rows: Vec<(String, String)> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(format!("%{word}%")).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(id, _)| id).collect())
}

/// Fills a schema of its own, asks, and drops it.
pub(crate) async fn compare(url: &str, corpus: &Corpus, engine: &TantivyEngine) -> Result<Value, Failed> {
    let space = format!("speed_{}", std::process::id());
    let admin = PgPool::connect(url).await?;
    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {space}"))).execute(&admin).await?;
    let path = format!("SET search_path = {space}");
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(2)
        .after_connect(move |connection, _| {
            let path = path.clone();
            Box::pin(async move { sqlx::query(AssertSqlSafe(path)).execute(connection).await.map(drop) })
        })
        .connect(url)
        .await?;
    let result = measure(&pool, corpus, engine).await;
    pool.close().await;
    sqlx::query(AssertSqlSafe(format!("DROP SCHEMA {space} CASCADE"))).execute(&admin).await?;
    result
}

async fn measure(pool: &PgPool, corpus: &Corpus, engine: &TantivyEngine) -> Result<Value, Failed> {
    sqlx::query("CREATE TABLE plain (id text PRIMARY KEY, body text NOT NULL, likes bigint NOT NULL)")
        .execute(pool)
        .await?;
    let database = PostgresEngine::open(schema(), pool.clone()).await?;
    for (number, batch) in corpus.documents.chunks(5_000).enumerate() {
        let ids: Vec<String> = (0..batch.len()).map(|place| corpus::id(number * 5_000 + place)).collect();
        let bodies: Vec<&str> = batch.iter().map(corpus::body).collect();
        let likes: Vec<i64> =
            batch.iter().map(|document| document["likes"].as_i64().unwrap_or_default()).collect();
        sqlx::query("INSERT INTO plain SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])")
            .bind(&ids)
            .bind(&bodies)
            .bind(&likes)
            .execute(pool)
            .await?;
        let changes: Vec<Change> = ids
            .into_iter()
            .zip(batch)
            .map(|(id, source)| Change::upsert(Document::new(id, source.clone()), 1))
            .collect();
        for result in database.apply(&changes).await? {
            result?;
        }
    }
    sqlx::query("VACUUM ANALYZE").execute(pool).await?;
    let (mut ours, mut first, mut like, mut indexed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut by_index, mut all_three) = (0_usize, 0_usize);
    for word in &corpus.korean {
        let query = liked(word);
        let mut least = [f64::MAX; 3];
        // each several times in a row, so that none finds its memory taken by another
        let (mut page, mut other, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        let ids = |page: pumasi_search::Page| page.hits.into_iter().map(|hit| hit.id).collect();
        for round in 0..ROUNDS {
            let begun = Instant::now();
            let answer = engine.search(&query, LIMIT).await?;
            let taken = begun.elapsed().as_secs_f64();
            page = ids(answer);
            least[0] = least[0].min(taken);
            if round == 0 {
                first.push(taken);
            }
        }
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let answer = database.search(&query, LIMIT).await?;
            least[2] = least[2].min(begun.elapsed().as_secs_f64());
            other = ids(answer);
        }
        for _ in 0..SLOW_ROUNDS {
            let begun = Instant::now();
            plain = by_like(pool, "plain", word).await?;
            least[1] = least[1].min(begun.elapsed().as_secs_f64());
        }
        // inside of a longer word only `LIKE` finds it
        by_index += usize::from(page == other);
        all_three += usize::from(page == other && page == plain);
        ours.push(least[0]);
        like.push(least[1]);
        indexed.push(least[2]);
    }
    let (ours, first, like, indexed) = (median(ours), median(first), median(like), median(indexed));
    Ok(json!({
        "queries": corpus.korean.len(), "same_as_by_index": by_index, "same_as_by_like_too": all_three,
        "ours_us": (ours * 1e6).round(), "ours_first_us": (first * 1e6).round(), "like_us": (like * 1e6).round(), "index_us": (indexed * 1e6).round(),
        "less_time_than_like_percent": rounded((1.0 - ours / like) * 100.0),
        "less_time_than_index_percent": rounded((1.0 - ours / indexed) * 100.0),
    }))
}
