//! Transactions in PostgreSQL whose beginning is dropped.

use std::time::Duration;

use futures_util::FutureExt;
use pumasi_core::database::begin_postgres;
use sqlx::postgres::PgPoolOptions;

use pumasi_core::conformance::PostgresSchema;

#[tokio::test]
async fn what_is_written_after_a_dropped_beginning_is_kept() {
    let Some(schema) = PostgresSchema::new("what_is_written_after_a_dropped_beginning_is_kept").await else {
        return;
    };
    sqlx::raw_sql("CREATE TABLE written (n INTEGER)").execute(&schema.pool).await.unwrap();
    let mut dropped = 0;
    for polls in 1..8_i32 {
        // One connection: what comes after is on the one whose beginning was dropped.
        let pool =
            PgPoolOptions::new().max_connections(1).connect_with(schema.options.clone()).await.unwrap();
        {
            let mut beginning = Box::pin(begin_postgres(&pool, "BEGIN"));
            let mut begun = false;
            for _ in 0..polls {
                begun |= (&mut beginning).now_or_never().is_some();
                if begun {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            dropped += i32::from(!begun);
        }
        sqlx::query("INSERT INTO written VALUES ($1)").bind(polls).execute(&pool).await.unwrap();
        let there: i64 = sqlx::query_scalar("SELECT count(*) FROM written WHERE n = $1")
            .bind(polls)
            .fetch_one(&schema.pool)
            .await
            .unwrap();
        assert_eq!(there, 1, "after {polls} polls");
        pool.close().await;
    }
    assert!(dropped > 1, "{dropped} beginnings were dropped");
}
