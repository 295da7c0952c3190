//! Filters as SQL: the same rows as the reference, on every database.
//!
//! `PUMASI_FILTER_CASES` sets how many random filters each database is asked (default 4,000, of 40 rows each).

mod rows;

use pumasi_core::ErrorKind;
use pumasi_core::filter::{Columns, Filter, SqlDatabase};
use sqlx::QueryBuilder;

fn cases() -> usize {
    std::env::var("PUMASI_FILTER_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4_000)
}

/// The query for the numbers of the rows that `filter` selects.
fn query<DB: SqlDatabase>(filter: &Filter, columns: &Columns) -> QueryBuilder<DB> {
    let mut query = QueryBuilder::new("SELECT id FROM row r WHERE ");
    filter.push_where(&mut query, columns).unwrap_or_else(|error| panic!("{error}: {filter:?}"));
    query.push(" ORDER BY id");
    query
}

/// Asks `select` and the reference the same, until enough cases have been seen.
macro_rules! compare {
    ($backend:literal, $db:ty, $connection:expr, $insert:expr, nul: $nul:expr, nan: $nan:expr) => {{
        let begun = std::time::Instant::now();
        let columns = rows::columns();
        let (mut seen, mut selected, mut of_all, mut round) = (0_usize, 0_usize, 0_usize, 0_u64);
        while seen < cases() {
            round += 1;
            let mut rng = fastrand::Rng::with_seed(round);
            let all: Vec<rows::Row> = (0..40).map(|_| rows::row(&mut rng, $nul, $nan)).collect();
            sqlx::query("DELETE FROM row").execute(&mut *$connection).await.unwrap();
            for (id, row) in all.iter().enumerate() {
                $insert(&mut *$connection, i32::try_from(id).unwrap(), row, &mut rng).await;
            }
            for _ in 0..100 {
                let filter = rows::filter(&mut rng, 4);
                let mut query = query::<$db>(&filter, &columns);
                let found: Vec<i32> = query
                    .build_query_scalar()
                    .persistent(false)
                    .fetch_all(&mut *$connection)
                    .await
                    .unwrap_or_else(|error| panic!("round {round}: {error}: {filter:?}\n{}", query.sql().as_str()));
                let wanted: Vec<i32> = (0_i32..)
                    .zip(&all)
                    .filter_map(|(id, row)| filter.matches(row).then_some(id))
                    .collect();
                if found != wanted {
                    let differs: Vec<_> = (0_i32..)
                        .zip(&all)
                        .filter(|(id, _)| found.contains(id) != wanted.contains(id))
                        .take(1)
                        .collect();
                    panic!(
                        "round {round}: {} selects other rows than the reference: {}\n{}\n{differs:#?}",
                        $backend,
                        serde_json::to_string(&filter).unwrap(),
                        query.sql().as_str(),
                    );
                }
                seen += 1;
                selected += found.len();
                of_all += all.len();
            }
        }
        println!(
            "filters on {}: {seen} random filters selected {selected} of {of_all} rows, each set equal to the reference's \
             ({:.1} s)",
            $backend,
            begun.elapsed().as_secs_f64(),
        );
    }};
}

#[test]
fn what_a_column_does_not_take_is_refused_alike_with_its_field_and_reason() {
    use pumasi_core::filter::{Circle, FieldPath, GeoPoint};
    let field = |name: &'static str| FieldPath::from(name);
    let columns = rows::columns();
    let near = Circle::new(GeoPoint::new(0.0, 0.0), 1.0);
    for (filter, name, reason) in [
        (field("secret").eq(1), "secret", "the field"),
        (field("n.whole").eq("many"), "n.whole", "the type of the value"),
        (field("text").eq(1), "text", "the type of the value"),
        (field("at").eq("2026-01-01T00:00:00Z"), "at", "the type of the value"),
        (field("flag").is_in([1]), "flag", "the type of the value"),
        (field("tags").eq("a"), "tags", "the type of the column"),
        (field("tags").contains(1), "tags", "the type of the value"),
        (field("small").contains(1), "small", "the type of the column"),
        (field("text").near(near), "text", "the type of the column"),
        (field("place").eq(1), "place", "the type of the column"),
        (field("json_counts").contains(1e300), "json_counts", "the size of the number"),
    ] {
        let filter = field("flag").exists().and(!filter);
        let mut messages = Vec::new();
        #[cfg(feature = "sqlite")]
        messages.push(refused::<sqlx::Sqlite>(&filter, &columns));
        #[cfg(feature = "postgres")]
        messages.push(refused::<sqlx::Postgres>(&filter, &columns));
        for message in messages {
            assert!(message.contains(&format!("(field {name})")), "{message}");
            assert!(message.starts_with(&format!("{reason} of `")), "{message}");
            assert!(message.contains("/and/1/not"), "{message}");
        }
    }
}

/// The message; the builder must be as it was.
fn refused<DB: SqlDatabase>(filter: &Filter, columns: &Columns) -> String {
    let mut query = QueryBuilder::<DB>::new("SELECT 1 WHERE ");
    let error = filter.push_where(&mut query, columns).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(query.sql().as_str(), "SELECT 1 WHERE ");
    error.to_string()
}

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use pumasi_core::filter::{
        Column, Columns, Element, Field, FieldPath, Filter, GeoPoint, MAX_DEPTH, Order, Value,
    };
    use pumasi_core::time::Timestamp;
    use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

    use super::rows::Row;
    use super::*;

    /// One moment, as different writers write it.
    fn written(rng: &mut fastrand::Rng, row: &Row) -> Option<String> {
        let text = row.at?.to_string();
        let plain = text.trim_end_matches('Z');
        Some(match rng.u8(0..4) {
            0 => text,
            1 => format!("{plain}+00:00"),
            2 => plain.replace('T', " "),
            _ => {
                let later =
                    pumasi_core::time::Timestamp::from_micros(row.at?.as_micros() + 9 * 3_600_000_000);
                format!("{}+09:00", later.to_string().trim_end_matches('Z'))
            }
        })
    }

    async fn insert(db: &mut SqliteConnection, id: i32, row: &Row, rng: &mut fastrand::Rng) {
        let json = |json: Option<serde_json::Value>| json.map(|json| json.to_string());
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO row VALUES (");
        query
            .separated(", ")
            .push_bind(id)
            .push_bind(row.flag)
            .push_bind(row.whole)
            .push_bind(row.small)
            .push_bind(row.float)
            .push_bind(row.text.clone())
            .push_bind(written(rng, row))
            .push_bind(row.epoch)
            .push_bind(json(row.tags.as_ref().map(|tags| serde_json::json!(tags))))
            .push_bind(json(row.counts.as_ref().map(|counts| serde_json::json!(counts))))
            .push_bind(json(row.json_tags.clone()))
            .push_bind(json(row.json_counts.clone()))
            .push_bind(row.lat)
            .push_bind(row.lon);
        query.push(")").build().execute(db).await.unwrap();
    }

    #[tokio::test]
    async fn random_filters_select_the_rows_that_the_reference_does() {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(include_str!("row_sqlite.sql")).execute(&mut db).await.unwrap();
        compare!("sqlite", Sqlite, &mut db, insert, nul: true, nan: false);
    }

    #[tokio::test]
    async fn what_is_no_date_and_no_json_equals_nothing_and_is_there() {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(
            "CREATE TABLE row (id INTEGER, at TEXT, tags TEXT); \
             INSERT INTO row VALUES (0, 'soon', '[oops'), (1, NULL, NULL), (2, '2026-01-01', '[\"a\"]')",
        )
        .execute(&mut db)
        .await
        .unwrap();
        let columns =
            Columns::new().with("at", Column::time("at")).with("tags", Column::array("tags", Element::Text));
        let (at, tags) = (FieldPath::from("at"), FieldPath::from("tags"));
        let moment = Value::Time("2026-01-01T00:00:00Z".parse().unwrap());
        for (filter, wanted) in [
            (at.eq(moment.clone()), vec![2]),
            (!at.eq(moment.clone()), vec![0]),
            (!at.is_in([moment]), vec![0]),
            (at.exists(), vec![0, 2]),
            (tags.contains("a"), vec![2]),
            (!tags.contains("a"), vec![0]),
            (tags.exists(), vec![0, 2]),
        ] {
            let mut query = query::<Sqlite>(&filter, &columns);
            let found: Vec<i32> = query.build_query_scalar().fetch_all(&mut db).await.unwrap();
            assert_eq!(found, wanted, "{filter:?}");
        }
    }

    #[tokio::test]
    async fn what_only_sqlite_takes_for_a_moment_is_none() {
        const AT: Field<Timestamp> = Field::new("at");
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql("CREATE TABLE row (id INTEGER, at TEXT)").execute(&mut db).await.unwrap();
        let columns = Columns::new().with("at", Column::time("at"));
        let filter = AT.above("2000-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
        for (text, is_one) in [
            ("now", false),
            ("2460000", false),
            ("12:00", false),
            ("2026-02-30T00:00:00Z", false),
            ("2026-02-28T24:00:00Z", false),
            ("2026-02-28T10:00:00Z ", false),
            (" 2026-02-28T10:00:00Z", false),
            ("2026-02-28T10:00", false),
            ("2026-02-28T10:00:00.Z", false),
            ("2026-02-28T10:00:00.5.5Z", false),
            ("2026-02-28T10:00:00+0900", false),
            ("2026-02-28", true),
            ("2026-02-28 10:00:00", true),
            ("2026-02-28T10:00:00z", true),
            ("2026-02-28T10:00:00.123456Z", true),
            ("2024-02-29T10:00:00.5+09:00", true),
        ] {
            sqlx::query("DELETE FROM row").execute(&mut db).await.unwrap();
            sqlx::query("INSERT INTO row VALUES (1, ?)").bind(text).execute(&mut db).await.unwrap();
            let mut query = query::<Sqlite>(&filter, &columns);
            let found: Vec<i32> = query.build_query_scalar().fetch_all(&mut db).await.unwrap();
            assert_eq!(!found.is_empty(), is_one, "{text:?}");
        }
    }

    #[tokio::test]
    async fn the_deepest_and_the_largest_filter_run_and_larger_ones_are_refused() {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql("CREATE TABLE row (id INTEGER, n INTEGER, lat REAL, lon REAL); INSERT INTO row VALUES (1, 5, 1, 1)")
            .execute(&mut db)
            .await
            .unwrap();
        let columns = Columns::new().with("n", Column::int("n")).with("place", Column::place("lat", "lon"));
        let n = FieldPath::from("n");
        let mut deep = n.eq(5);
        for level in 0..MAX_DEPTH {
            let others: Vec<Filter> = (0..200).map(|other| n.eq(1000 + other)).collect();
            deep = if level % 2 == 0 {
                Filter::Or(others).or(deep)
            } else {
                Filter::And(others.into_iter().map(|other| !other).collect()).and(deep)
            };
        }
        let wide = Filter::Or((0..9_000).map(|value| n.eq(value)).collect());
        let many = n.is_in(0..9_000);
        for filter in [deep, wide, many] {
            let mut query = query::<Sqlite>(&filter, &columns);
            let found: Vec<i32> = query.build_query_scalar().fetch_all(&mut db).await.unwrap();
            assert_eq!(found, [1]);
        }
        let circle = pumasi_core::filter::Circle::new(GeoPoint::new(1.0, 1.0), 5.0);
        let circles = Filter::Or((0..9_000).map(|_| FieldPath::from("place").near(circle)).collect());
        let error = circles.push_where(&mut QueryBuilder::<Sqlite>::new(""), &columns).unwrap_err();
        assert!(error.to_string().starts_with("the number of values"), "{error}");
    }

    #[tokio::test]
    async fn rows_come_in_the_order_asked_for_with_missing_ones_last() {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql("CREATE TABLE row (id INTEGER, n INTEGER); INSERT INTO row VALUES (1, 5), (2, NULL), (3, 7), (4, 5)")
            .execute(&mut db)
            .await
            .unwrap();
        let columns = Columns::new()
            .with("n", Column::int("n"))
            .with("id", Column::int("id"))
            .with("tags", Column::array("tags", Element::Text));
        for (order, wanted) in [
            (vec![Order::descending("n"), Order::ascending("id")], [3, 1, 4, 2]),
            (vec![Order::ascending("n"), Order::descending("id")], [4, 1, 3, 2]),
        ] {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM row");
            columns.push_order_by(&mut query, &order).unwrap();
            let found: Vec<i32> = query.build_query_scalar().fetch_all(&mut db).await.unwrap();
            assert_eq!(found, wanted);
        }
        for bad in ["tags", "n; DROP TABLE row"] {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM row");
            let error = columns.push_order_by(&mut query, &[Order::ascending(bad)]).unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
            assert_eq!(query.sql().as_str(), "SELECT id FROM row");
        }
    }
}

#[cfg(all(feature = "postgres", feature = "conformance"))]
mod on_postgres {
    use pumasi_core::conformance::Server;
    use pumasi_core::filter::{Column, Columns, FieldPath};
    use sqlx::{Connection, PgConnection, Postgres, QueryBuilder};

    use super::rows::Row;
    use super::*;

    async fn insert(db: &mut PgConnection, id: i32, row: &Row, _: &mut fastrand::Rng) {
        let mut query = QueryBuilder::<Postgres>::new("INSERT INTO row VALUES (");
        let mut parts = query.separated(", ");
        parts
            .push_bind(id)
            .push_bind(row.flag)
            .push_bind(row.whole)
            .push_bind(row.small)
            .push_bind(row.float)
            .push_bind(row.text.clone())
            .push_bind(row.at.map(|at| at.to_string()))
            .push_unseparated("::timestamptz")
            .push_bind(row.epoch)
            .push_bind(row.tags.clone())
            .push_bind(row.counts.clone())
            .push_bind(row.json_tags.as_ref().map(ToString::to_string))
            .push_unseparated("::jsonb")
            .push_bind(row.json_counts.as_ref().map(ToString::to_string))
            .push_unseparated("::jsonb")
            .push_bind(row.lat)
            .push_bind(row.lon);
        query.push(")").build().execute(db).await.unwrap();
    }

    #[tokio::test]
    async fn random_filters_select_the_rows_that_the_reference_does() {
        let Some(url) = Server::Postgres.url("filters on PostgreSQL") else { return };
        let mut db = PgConnection::connect(&url).await.unwrap();
        // Temporary tables are this connection's own, and go with it.
        sqlx::raw_sql(include_str!("row_postgres.sql")).execute(&mut db).await.unwrap();
        compare!("postgres", Postgres, &mut db, insert, nul: false, nan: true);
    }

    #[tokio::test]
    async fn uuids_and_enums_are_compared_by_what_they_are_written_as() {
        let Some(url) = Server::Postgres.url("filters on PostgreSQL's own types") else { return };
        let mut db = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(
            "CREATE TEMPORARY TABLE row (id INTEGER, key UUID, price NUMERIC(10, 2)); \
             INSERT INTO row VALUES (1, '2ed6657d-e927-568b-95e1-2665a8aea6a2', 12.5), (2, NULL, NULL)",
        )
        .execute(&mut db)
        .await
        .unwrap();
        let columns =
            Columns::new().with("key", Column::cast_to_text("key")).with("price", Column::float("price"));
        let (key, price) = (FieldPath::from("key"), FieldPath::from("price"));
        for filter in [
            key.eq("2ed6657d-e927-568b-95e1-2665a8aea6a2"),
            !key.eq("2ED6657D-E927-568B-95E1-2665A8AEA6A2"),
            key.contains("568b"),
            price.eq(12.5),
            !price.is_in([12.0, 13.0]),
        ] {
            let mut query = query::<Postgres>(&filter, &columns);
            let found: Vec<i32> = query.build_query_scalar().fetch_all(&mut db).await.unwrap();
            assert_eq!(found, [1], "{filter:?}");
        }
    }
}
