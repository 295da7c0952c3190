use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use pumasi_core::event::EventId;
use pumasi_core::time::Timestamp;

use super::*;
use crate::task::{MemoryTaskStore, Post, PostKind, TaskStore};

/// A post that was accepted so many microseconds after a moment.
fn record(id: &str, micros: i64) -> TaskRecord {
    let post = Post::new(id, PostKind::Story, "책을 읽었어요.");
    let mut record = TaskRecord::pending(post, 1, 0, EventId::named("t", id));
    record.posted_at = Some(Timestamp::from_micros(1_764_000_000_000_000 + micros));
    record
}

/// The identifiers of all pages of so many, one after the other.
async fn pages(store: &dyn TaskStore, mut query: TaskQuery, limit: usize) -> Vec<String> {
    query = query.newest_first().with_limit(NonZeroUsize::new(limit).unwrap());
    let mut all = Vec::new();
    loop {
        let page = store.list(&query).await.unwrap();
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return all };
        query = query.newest_after(last.place());
        all.extend(page.into_iter().map(|record| record.post_id));
    }
}

/// The newest stand first, by every size of a page, whatever the posts are called and whatever becomes of them.
pub(crate) async fn the_newest_stand_first(store: &dyn TaskStore) {
    let mut unknown = record("unknown", 0);
    unknown.posted_at = None;
    for record in [record("z", 1), record("a", 3), record("m", 2), record("가", 2), unknown, record("b", 2)]
    {
        store.put(record).await.unwrap();
    }
    let order = ["a", "가", "m", "b", "z", "unknown"];
    for limit in 1..=7 {
        assert_eq!(pages(store, TaskQuery::default(), limit).await, order, "{limit} a page");
    }
    // An edit and a result move nothing, one that is deleted is passed over, and one that comes stands before all.
    let mut edited = record("z", 1);
    (edited.version, edited.state) = (2, TaskState::Extracted);
    store.put(edited).await.unwrap();
    let read = store.list(&TaskQuery::default().newest_first().with_limit(NonZeroUsize::MIN)).await.unwrap();
    let place = read[0].place();
    store.put(record("new", 9)).await.unwrap();
    store.put(TaskRecord::withdrawing("m", 2, EventId::named("t", "gone"))).await.unwrap();
    let behind = store.list(&TaskQuery::default().newest_after(place)).await.unwrap();
    let behind: Vec<&str> = behind.iter().map(|record| record.post_id.as_str()).collect();
    assert_eq!(behind, ["가", "b", "z", "unknown"]);
    assert_eq!(pages(store, TaskQuery::in_state(TaskState::Extracted), 2).await, ["z"]);
    assert_eq!(pages(store, TaskQuery::in_state(TaskState::Withdrawing), 2).await, ["m"]);
    let by_identifier = store.list(&TaskQuery::default().after("b")).await.unwrap();
    let known: BTreeSet<&str> = by_identifier.iter().map(|record| record.post_id.as_str()).collect();
    assert_eq!(known, BTreeSet::from(["new", "unknown", "z", "가"]));
}

#[tokio::test]
async fn the_newest_stand_first_in_memory() {
    the_newest_stand_first(&MemoryTaskStore::new()).await;
}

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use sqlx::SqlitePool;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;
    use crate::task::SqliteTaskStore;

    #[tokio::test]
    async fn the_newest_stand_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteTaskStore::open(folder.path().join("tasks.sqlite")).await.unwrap();
        super::the_newest_stand_first(&store).await;
    }

    #[tokio::test]
    async fn a_table_of_the_first_layout_learns_when_posts_were_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let file =
            SqliteConnectOptions::new().filename(folder.path().join("t.sqlite")).create_if_missing(true);
        let pool = SqlitePool::connect_with(file).await.unwrap();
        let layout = include_str!("../sql/sqlite_1.sql");
        let table = layout.lines().take_while(|line| !line.starts_with("INSERT"));
        sqlx::raw_sql(sqlx::AssertSqlSafe(table.collect::<Vec<_>>().join("\n")))
            .execute(&pool)
            .await
            .unwrap();
        for record in first_layout() {
            let text = serde_json::to_string(&record).unwrap();
            let insert = "INSERT INTO pumasi_post_tasks VALUES ($1, 1, 0, 'pending', 0, 0, $2)";
            sqlx::query(insert).bind(&record.post_id).bind(text).execute(&pool).await.unwrap();
        }
        for _ in 0..2 {
            let store = SqliteTaskStore::with_pool(pool.clone()).await.unwrap();
            assert_eq!(pages(&store, TaskQuery::default(), 2).await, MOVED);
        }
    }
}

/// Records as a table may have them that did not know the time, and their order.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
fn first_layout() -> Vec<TaskRecord> {
    // Times as text: without a fraction of a second, with three digits, with six.
    let mut records = vec![record("d", 0), record("c", 500_000), record("b", 123_456), record("a", -1)];
    // Texts that look like the field, and what is no letter to PostgreSQL.
    let text = "\0 \"posted_at\":\"1999-01-01T00:00:00Z\" {\"posted_at\":\"1999-01-01T00:00:00Z\"}";
    for record in &mut records {
        record.post.as_mut().unwrap().body = text.to_owned();
    }
    let mut unknown = record("u", 0);
    unknown.posted_at = None;
    unknown.post.as_mut().unwrap().body = text.to_owned();
    records.push(unknown);
    records
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
const MOVED: [&str; 5] = ["c", "b", "d", "a", "u"];

#[cfg(feature = "postgres")]
mod on_postgres {
    use pumasi_core::conformance::PostgresSchema;

    use super::*;
    use crate::task::PostgresTaskStore;

    #[tokio::test]
    async fn the_newest_stand_first() {
        let Some(schema) = PostgresSchema::new("the newest tasks on PostgreSQL").await else { return };
        let store = PostgresTaskStore::new(schema.pool.clone());
        store.migrate().await.unwrap();
        super::the_newest_stand_first(&store).await;
    }

    #[tokio::test]
    async fn a_table_of_the_first_layout_learns_when_posts_were_accepted() {
        let Some(schema) = PostgresSchema::new("an older table of tasks on PostgreSQL").await else { return };
        for script in [include_str!("../sql/postgres_begin.sql"), include_str!("../sql/postgres_1.sql")] {
            sqlx::raw_sql(script).execute(&schema.pool).await.unwrap();
        }
        for record in first_layout() {
            let text = serde_json::to_string(&record).unwrap();
            let insert = "INSERT INTO pumasi_post_tasks VALUES ($1, 1, 0, 'pending', false, 0, 0, $2)";
            sqlx::query(insert).bind(&record.post_id).bind(text).execute(&schema.pool).await.unwrap();
        }
        let store = PostgresTaskStore::new(schema.pool.clone());
        store.migrate().await.unwrap();
        assert_eq!(pages(&store, TaskQuery::default(), 2).await, MOVED);
    }
}
