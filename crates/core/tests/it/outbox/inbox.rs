//! Effects that share a transaction: on SQLite, those of one process that wait for the file at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

use pumasi_core::database::open_sqlite;
use pumasi_core::event::{Delivery, Handler, SqliteInbox};
use pumasi_core::{Error, ErrorKind};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};

use super::*;

const EFFECT: &str = "CREATE TABLE effect (n INTEGER PRIMARY KEY, key TEXT UNIQUE)";

/// A pool on a file of its own, and how many transactions were committed on it.
async fn counted(folder: &std::path::Path) -> (SqlitePool, Arc<AtomicU64>) {
    let commits = Arc::<AtomicU64>::default();
    let file = SqliteConnectOptions::new()
        .filename(folder.join("effects.db"))
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A panic prints where it was before the transaction that it was in ends: seconds, on a busy machine.
        .busy_timeout(Duration::from_mins(1));
    let count = Arc::clone(&commits);
    let options = SqlitePoolOptions::new().max_connections(4).after_connect(move |connection, _| {
        let count = Arc::clone(&count);
        Box::pin(async move {
            connection.lock_handle().await?.set_commit_hook(move || {
                count.fetch_add(1, Ordering::SeqCst);
                true
            });
            Ok(())
        })
    });
    (open_sqlite(options, file).await.unwrap(), commits)
}

async fn deliveries(count: u64) -> Vec<Delivery> {
    let bus = memory_bus();
    let events: Vec<_> = (0..count).map(|number| event(&format!("key-{number}"), 1)).collect();
    bus.publish(&events).await.unwrap();
    let member = bus.subscribe(&Subscription::new("billing", [TOPIC])).await.unwrap();
    member.fetch(MANY, Duration::ZERO).await.unwrap()
}

async fn keys(pool: &SqlitePool) -> Vec<String> {
    let rows = sqlx::query("SELECT key FROM effect ORDER BY n").fetch_all(pool).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn number(key: &str) -> u64 {
    key.rsplit_once('-').unwrap().1.parse().unwrap()
}

/// Of the keys that have an effect, in order.
async fn numbers(pool: &SqlitePool) -> Vec<u64> {
    let mut numbers: Vec<u64> = keys(pool).await.iter().map(|key| number(key)).collect();
    numbers.sort_unstable();
    numbers
}

/// Makes the tables of the effects and of the inbox.
async fn prepared(pool: &SqlitePool, tables: &'static str) -> SqliteInbox {
    sqlx::raw_sql(tables).execute(pool).await.unwrap();
    let inbox = SqliteInbox::new(pool.clone());
    inbox.migrate().await.unwrap();
    inbox
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn effects_at_the_same_time_share_a_commit_and_one_that_fails_is_undone_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (pool, commits) = counted(folder.path()).await;
    let inbox = prepared(&pool, EFFECT).await;
    let handler = inbox.handler("billing", |transaction, delivery| {
        Box::pin(async move {
            let key = &delivery.event.key;
            sqlx::query("INSERT INTO effect (key) VALUES (?1)").bind(key).execute(transaction).await?;
            match number(key) % 10 {
                3 => Err(Error::new(ErrorKind::InvalidInput, "not this one")),
                _ => Ok(()),
            }
        })
    });
    let deliveries = deliveries(300).await;
    commits.store(0, Ordering::SeqCst);
    let done = futures_util::future::join_all(deliveries.iter().map(|one| handler.handle(one))).await;
    let shared = commits.load(Ordering::SeqCst);
    for (delivery, done) in deliveries.iter().zip(done) {
        assert_eq!(done.is_err(), number(&delivery.event.key) % 10 == 3, "{}: {done:?}", delivery.event.key);
    }
    assert!(shared <= 10, "{shared} commits for 300 effects");
    // Delivered once more: nothing happens, but for what failed, which fails again.
    futures_util::future::join_all(deliveries.iter().map(|one| handler.handle(one))).await;
    let there = numbers(&pool).await;
    assert!(there.into_iter().eq((0..300).filter(|number| number % 10 != 3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_that_is_given_up_half_way_costs_the_others_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (pool, _) = counted(folder.path()).await;
    let inbox = prepared(&pool, EFFECT).await;
    let handler = inbox.handler("billing", |transaction, delivery| {
        Box::pin(async move {
            let key = &delivery.event.key;
            sqlx::query("INSERT INTO effect (key) VALUES (?1)").bind(key).execute(transaction).await?;
            match number(key) % 40 {
                17 => std::future::pending().await,
                33 => std::panic::panic_any("an effect that panics"),
                _ => Ok(()),
            }
        })
    });
    let handler = Arc::new(handler);
    let running: Vec<_> = deliveries(200)
        .await
        .into_iter()
        .map(|delivery| {
            let handler = Arc::clone(&handler);
            let given_up = number(&delivery.event.key) % 40 == 17;
            // The others may each need a sync of a busy disk after every effect that is given up.
            let limit = if given_up { Duration::from_millis(300) } else { Duration::from_mins(3) };
            tokio::spawn(async move { tokio::time::timeout(limit, handler.handle(&delivery)).await })
        })
        .collect();
    let mut done = Vec::new();
    for (number, running) in running.into_iter().enumerate() {
        match number % 40 {
            17 => assert!(running.await.unwrap().is_err()),
            33 => assert!(running.await.unwrap_err().is_panic()),
            _ => {
                running.await.unwrap().unwrap().unwrap();
                done.push(number as u64);
            }
        }
    }
    let there = numbers(&pool).await;
    assert_eq!(there, done);
}

#[tokio::test]
async fn an_effect_that_cannot_be_committed_spoils_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (pool, _) = counted(folder.path()).await;
    let tables = "CREATE TABLE member (name TEXT PRIMARY KEY);
        CREATE TABLE effect (
            n INTEGER PRIMARY KEY, key TEXT, member TEXT REFERENCES member (name) DEFERRABLE INITIALLY DEFERRED
        )";
    let inbox = prepared(&pool, tables).await;
    let handler = inbox.handler("billing", |transaction, delivery| {
        Box::pin(async move {
            let key = &delivery.event.key;
            // Whom it belongs to is looked at when the transaction is committed, and not before.
            let member = (number(key) == 5).then_some("nobody");
            let insert = "INSERT INTO effect (key, member) VALUES (?1, ?2)";
            sqlx::query(insert).bind(key).bind(member).execute(transaction).await?;
            Ok(())
        })
    });
    let deliveries = deliveries(20).await;
    let done = futures_util::future::join_all(deliveries.iter().map(|one| handler.handle(one))).await;
    let failed: Vec<u64> = deliveries
        .iter()
        .zip(&done)
        .filter(|(_, done)| done.is_err())
        .map(|(delivery, _)| number(&delivery.event.key))
        .collect();
    assert_eq!(failed, [5]);
    assert_eq!(done[5].as_ref().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(keys(&pool).await.len(), 19);
}
