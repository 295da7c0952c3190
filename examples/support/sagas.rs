//! What services with sagas keep: the sagas, places that are few, and effects of partners with the notes of their keys.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use pumasi_core::Result;
#[cfg(feature = "postgres")]
use pumasi_core::database::begin_postgres;
use pumasi_core::database::failed;
#[cfg(feature = "postgres")]
use pumasi_saga::barrier::PostgresBarrier;
use pumasi_saga::barrier::{Entry, Operation, SqliteBarrier};
#[cfg(feature = "postgres")]
use pumasi_saga::capacity::PostgresCapacity;
use pumasi_saga::capacity::{Capacity, CapacityStore, Places, SqliteCapacity};
use pumasi_saga::store::{SagaStore, SqliteStore};

use crate::database::{Database, Sql};
use crate::servers::Pool;

/// Opens the store of sagas in the database, or else in a file.
///
/// # Errors
///
/// What the engine says.
pub async fn store(file: &Path, database: Option<Pool>) -> Result<Arc<dyn SagaStore>> {
    match database {
        #[cfg(feature = "postgres")]
        Some(pool) => {
            let store = pumasi_saga::store::PostgresStore::new(pool);
            store.migrate().await?;
            Ok(Arc::new(store))
        }
        _ => Ok(Arc::new(SqliteStore::open(file).await?)),
    }
}

/// Pools of places, by name. Clones share them.
#[derive(Clone, Debug)]
pub struct Pools {
    store: Arc<dyn CapacityStore>,
    /// The desk of each pool: whoever asks at the same time shares a transaction.
    desks: Arc<Mutex<HashMap<String, Capacity>>>,
}

impl Pools {
    /// Opens the pools in a service's database.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn open(database: &Database) -> Result<Self> {
        let store: Arc<dyn CapacityStore> = match database {
            Database::Sqlite(pool) => {
                let places = SqliteCapacity::new(pool.clone());
                places.migrate().await?;
                Arc::new(places)
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => {
                let places = PostgresCapacity::new(pool.clone());
                places.migrate().await?;
                Arc::new(places)
            }
        };
        Ok(Self { store, desks: Arc::default() })
    }

    /// The places of a pool, which was opened before or has to be.
    pub fn desk(&self, name: &str) -> Capacity {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let desk = desks.entry(name.to_owned());
        desk.or_insert_with(|| Capacity::new(Arc::clone(&self.store), name)).clone()
    }

    /// Counts the places of several pools at once; `None` of one that was never opened.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn places_of(&self, names: &[String]) -> Result<Vec<Option<Places>>> {
        self.store.places_of(names).await
    }
}

/// A value in a statement.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(i64),
    /// A text, or none.
    Maybe(Option<&'a str>),
}

/// Leaves the value out, which may be somebody's.
impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Number(_) => "Number",
            Self::Maybe(_) => "Maybe",
        })
    }
}

impl Database {
    /// Makes the table of the keys that [`once`](Self::once) has seen.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn keep_keys(&self) -> Result<()> {
        match self {
            Self::Sqlite(pool) => SqliteBarrier::migrate(pool).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => PostgresBarrier::migrate(pool).await,
        }
    }

    /// Carries out a statement once under a key, in one transaction with the note of that.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn once(
        &self,
        key: &str,
        operation: Operation,
        sql: Sql,
        values: &[Value<'_>],
    ) -> Result<Entry> {
        // The two engines' connections are of two types, and so are their barriers.
        macro_rules! once {
            ($begin:expr, $barrier:ident, $sql:expr) => {{
                let broken = |error| failed("carrying out a step", error);
                let mut transaction = $begin.await.map_err(broken)?;
                let entry = $barrier::enter(&mut transaction, key, operation).await?;
                if entry == Entry::First {
                    let mut statement = sqlx::query($sql);
                    for value in values {
                        statement = match *value {
                            Value::Text(text) => statement.bind(text),
                            Value::Number(number) => statement.bind(number),
                            Value::Maybe(text) => statement.bind(text),
                        };
                    }
                    statement.execute(&mut *transaction).await.map_err(broken)?;
                }
                transaction.commit().await.map_err(broken)?;
                Ok(entry)
            }};
        }
        match self {
            Self::Sqlite(pool) => once!(pool.begin_with("BEGIN IMMEDIATE"), SqliteBarrier, sql.sqlite),
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => once!(begin_postgres(pool, "BEGIN"), PostgresBarrier, sql.postgres),
        }
    }
}
