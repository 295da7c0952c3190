//! Questions about ages on PostgreSQL, which are to be answered from an index.

use pumasi_saga::store::{PostgresStore, Status};
use sqlx::Row;

use pumasi_core::conformance::PostgresSchema;

/// Twenty thousand sagas, one a minute, of which few wait for somebody.
const MANY: &str = "INSERT INTO pumasi_saga \
    (created_at, id, definition, epoch, version, token, updated_at, status, since, loose, step, saga, key) \
    SELECT now - n * 60000000::bigint, sha256(n::text::bytea), 1, 1, 1, 1, now, CASE WHEN n % 500 = 0 THEN 3 ELSE 5 END, \
        now - n * 1000000::bigint, 1, 'pay', 'order', n::text \
    FROM generate_series(20000, 1, -1) AS n, \
        (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) AS at";

#[tokio::test]
async fn questions_about_ages_are_answered_from_an_index_in_postgres() {
    let Some(schema) = PostgresSchema::new("plans of queries").await else { return };
    PostgresStore::new(schema.pool.clone()).migrate().await.unwrap();
    sqlx::raw_sql(MANY).execute(&schema.pool).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE pumasi_saga").execute(&schema.pool).await.unwrap();
    let day = Some(86_400_000_000_i64);
    let waiting = Some(vec![i16::from(Status::NeedsOperator.number())]);
    for (statuses, age, standing, index) in [
        (None, day.map(|day| 13 * day), None, "pumasi_saga_created"),
        (waiting, None, day.map(|day| day / 12), "pumasi_saga_open"),
    ] {
        let explain = concat!(
            "EXPLAIN ",
            include_str!("../../src/store/postgres/sql/columns.sql"),
            include_str!("../../src/store/postgres/sql/query.sql")
        );
        let none: Option<&str> = None;
        let plan = sqlx::query(explain)
            .bind(&[][..] as &[u8])
            .bind(none)
            .bind(none)
            .bind(statuses)
            .bind(none)
            .bind(None::<i64>)
            .bind(100_i64)
            .bind(None::<&[u8]>)
            .bind(age)
            .bind(standing)
            .persistent(false)
            .fetch_all(&schema.pool)
            .await
            .unwrap();
        let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
        assert!(plan.iter().any(|line| line.contains(index)), "{index}: {plan:#?}");
    }
}
