//! How the engines come to hold what the table holds, and follow it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::cache::Cache;
use pumasi_core::event::{Consumer, EventBus, EventId, Shutdown, Subscription};
use pumasi_core::resilience::Backoff;
use pumasi_core::{Error, ErrorKind, Result};
#[cfg(feature = "postgres")]
use pumasi_search::PostgresEngine;
use pumasi_search::indexer::{Filled, Indexer, fill};
use pumasi_search::{Document, MemoryEngine, PageCache, SearchEngine as _, TantivyEngine};
use support::database::Database;
use tokio::task::JoinSet;

use crate::board::Board;
use crate::cable::Cable;
use crate::engines::Engines;
use crate::entries::{TOPIC, schema};

/// What the engines are called.
const PRIMARY: &str = "engine";
const FALLBACK: &str = "database";
/// The file with the name of the folder.
pub(super) const NAME: &str = "name";
/// What cached pages may take, in bytes.
pub(super) const CACHE: u64 = 16 << 20;
/// For how long a page is served from the cache as it is.
const FRESH: Duration = Duration::from_secs(2);
/// How long the start waits for engines to be filled; what takes longer goes on meanwhile.
const AT_START: Duration = Duration::from_secs(5);
/// How many entries are handed over at a time.
const BATCH: usize = 500;

/// Opens the engines: the primary is an index in the folder; the fallback the database itself, or a copy in memory where that
/// is a file.
pub(super) async fn open(data: &Path, board: &Board, cache: Arc<dyn Cache>) -> Result<Engines> {
    let folder = data.join("index");
    let opened = tokio::task::spawn_blocking(move || TantivyEngine::open(schema(), folder)).await;
    let primary = opened.map_err(|_| Error::new(ErrorKind::Other, "opening the index panicked"))??;
    let primary = primary.with_name(PRIMARY);
    let cache = PageCache::shared(cache, "dev_search").with_max_age(FRESH);
    match &board.database {
        Database::Sqlite(_) => Engines::new(primary, MemoryEngine::new(schema()).with_name(FALLBACK), cache),
        #[cfg(feature = "postgres")]
        Database::Postgres(pool) => {
            let database = PostgresEngine::open(schema(), pool.clone()).await?.with_name(FALLBACK);
            Engines::new(primary, database, cache)
        }
    }
}

/// Fills the engines that hold fewer entries than there are; one that is away is filled when it is back.
pub(super) async fn catch_up(board: &Board, engines: &Engines, shutdown: &Shutdown) {
    let mut filling = JoinSet::new();
    for engine in [&engines.primary, &engines.fallback] {
        let (board, engine, shutdown) = (board.clone(), engine.clone(), shutdown.clone());
        filling.spawn(async move {
            while let Err(error) = caught_up(&board, &engine).await {
                tracing::warn!(
                    engine = engine.name(),
                    error = &error as &dyn std::error::Error,
                    "not filled"
                );
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    () = shutdown.triggered() => return,
                }
            }
        });
    }
    let all = async { while filling.join_next().await.is_some() {} };
    if tokio::time::timeout(AT_START, all).await.is_err() {
        tracing::warn!("serving while an engine is being filled");
        filling.detach_all();
    }
}

async fn caught_up(board: &Board, engine: &Cable) -> Result<()> {
    if engine.status().await?.documents < board.count().await? {
        let mut filled = Filled::default();
        fill(board, engine, BATCH, &mut filled).await?;
        tracing::info!(engine = engine.name(), applied = filled.applied, refused = filled.refused, "filled");
    }
    Ok(())
}

/// The groups that follow the table for the engines of this process: whoever keeps an engine of their own hears of every change,
/// and needs a group of their own.
pub(super) fn groups(data: &Path) -> Result<[String; 2]> {
    let own = name_of(data)?;
    Ok([PRIMARY, FALLBACK].map(|engine| format!("search.{engine}.{own}")))
}

/// Follows the table with each engine, by events, however long the engine is away.
pub(super) fn consumers(groups: &[String; 2], engines: &Engines, bus: &Arc<dyn EventBus>) -> Vec<Consumer> {
    let consumer = |(engine, group): (&Cable, &String)| {
        let indexer = Indexer::start(engine.clone(), |event| {
            Ok(Some(Document::new(event.key.as_str(), event.payload.clone())))
        })
        .with_search(engines.search.clone());
        Consumer::new(bus.clone(), Subscription::new(group.as_str(), [TOPIC]), indexer)
            .with_max_attempts(u32::MAX)
            .with_backoff(Backoff::new(Duration::from_millis(200), Duration::from_secs(2)))
            .with_drain_limit(Duration::from_secs(2))
    };
    [&engines.primary, &engines.fallback].into_iter().zip(groups).map(consumer).collect()
}

/// The name of this process's folder, made up when it is first asked for.
fn name_of(data: &Path) -> Result<String> {
    let file = data.join(NAME);
    match fs::read_to_string(&file) {
        Ok(name) if !name.trim().is_empty() => Ok(name.trim().to_owned()),
        _ => {
            let name = EventId::random().to_string();
            fs::write(file, &name).map_err(|error| {
                Error::new(ErrorKind::Storage, "the folder cannot be written").with_source(error)
            })?;
            Ok(name)
        }
    }
}
