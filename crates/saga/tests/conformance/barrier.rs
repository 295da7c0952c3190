//! The rules of a barrier, in every table that keeps one.

use pumasi_saga::barrier::{Entry, Operation};

/// What comes under one key, and what is to be done about it.
const RULES: [&[(Operation, Entry)]; 3] = [
    &[
        (Operation::Do, Entry::First),
        (Operation::Do, Entry::Duplicate),
        (Operation::Undo, Entry::First),
        (Operation::Undo, Entry::Duplicate),
        (Operation::Do, Entry::TooLate),
    ],
    &[
        (Operation::Undo, Entry::Empty),
        (Operation::Do, Entry::TooLate),
        (Operation::Undo, Entry::Duplicate),
        (Operation::Do, Entry::TooLate),
    ],
    &[(Operation::Do, Entry::First), (Operation::Undo, Entry::First)],
];

#[test]
fn the_barrier_in_memory_keeps_the_rules() {
    let mut barrier = pumasi_saga::barrier::MemoryBarrier::new();
    for (number, rules) in RULES.iter().enumerate() {
        for (operation, entry) in *rules {
            assert_eq!(barrier.enter(&format!("키-{number}"), *operation), *entry, "{number}: {operation:?}");
        }
    }
}

macro_rules! table {
    ($barrier:ident, $pool:expr) => {
        let pool = $pool;
        $barrier::migrate(&pool).await.unwrap();
        $barrier::migrate(&pool).await.unwrap();
        for (number, rules) in RULES.iter().enumerate() {
            let key = format!("키-{number}");
            for (operation, entry) in *rules {
                let mut rolled_back = pool.begin().await.unwrap();
                assert_eq!($barrier::enter(&mut rolled_back, &key, *operation).await.unwrap(), *entry);
                rolled_back.rollback().await.unwrap();
                let mut transaction = pool.begin().await.unwrap();
                let entered = $barrier::enter(&mut transaction, &key, *operation).await.unwrap();
                assert_eq!(entered, *entry, "{number}: {operation:?}");
                transaction.commit().await.unwrap();
            }
            let mut connection = pool.acquire().await.unwrap();
            assert!(!$barrier::seen(&mut connection, &key).await.unwrap().stands(), "{number} was undone");
        }
        let mut firsts = Vec::new();
        for _ in 0..20 {
            let pool = pool.clone();
            firsts.push(tokio::spawn(async move {
                let mut transaction = pool.begin().await.unwrap();
                let entered = $barrier::enter(&mut transaction, "at once", Operation::Do).await.unwrap();
                transaction.commit().await.unwrap();
                usize::from(entered == Entry::First)
            }));
        }
        let mut count = 0;
        for first in firsts {
            count += first.await.unwrap();
        }
        assert_eq!(count, 1, "one of those that come at once is the first");
        let mut connection = pool.acquire().await.unwrap();
        assert!($barrier::seen(&mut connection, "at once").await.unwrap().stands());
    };
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn the_barrier_in_sqlite_keeps_the_rules() {
    use pumasi_core::database::open_sqlite;
    use pumasi_saga::barrier::SqliteBarrier;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("bank.db"))
        .create_if_missing(true)
        .busy_timeout(std::time::Duration::from_secs(20))
        .journal_mode(SqliteJournalMode::Wal);
    table!(SqliteBarrier, open_sqlite(SqlitePoolOptions::new().max_connections(4), options).await.unwrap());
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn the_barrier_in_postgres_keeps_the_rules() {
    use pumasi_saga::barrier::PostgresBarrier;

    let Some(schema) = pumasi_core::conformance::PostgresSchema::new("a barrier in PostgreSQL").await else {
        return;
    };
    table!(PostgresBarrier, schema.pool.clone());
}
