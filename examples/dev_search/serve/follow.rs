//! How the engines come to hold what the table holds, and follow it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pumasi_core::cache::Cache;
use pumasi_core::event::{Consumer, EventBus, EventId, Subscription};
use pumasi_core::resilience::Backoff;
use pumasi_core::{Error, ErrorKind, Result};
#[cfg(feature = "postgres")]
use pumasi_search::PostgresEngine;
use pumasi_search::indexer::{self, Indexer, Sweep};
use pumasi_search::{Document, MemoryEngine, PageCache, SearchEngine, TantivyEngine};
use support::database::Database;
use support::servers;
use support::service::Host;
use tokio::sync::oneshot;

use crate::board::Board;
use crate::cable::Cable;
use crate::engines::{Engines, NEAR};
use crate::entries::{TOPIC, schema};

/// What the engines are called that there may be: a cluster, the index in the folder, and the database or a copy of it.
const NAMES: [&str; 3] = [CLUSTER, INDEX, DATABASE];
const CLUSTER: &str = "opensearch";
const INDEX: &str = "engine";
const DATABASE: &str = "database";
const SERVICE: &str = "dev_search";
/// The file with the name of the folder.
pub(super) const NAME: &str = "name";
/// What cached pages may take, in bytes.
pub(super) const CACHE: u64 = 16 << 20;
/// For how long a page is served from the cache as it is.
const FRESH: Duration = Duration::from_secs(2);
/// How long the start waits for engines to be filled; what takes longer goes on meanwhile.
const AT_START: Duration = Duration::from_secs(5);
/// How many entries are compared at a time.
const BATCH: usize = 500;
/// How long a cluster that is spared is left alone between two probes; each may take half of that.
const FAR: Duration = Duration::from_secs(1);

/// Opens the engines. The primary is the cluster that the environment names, or else an index in the folder. The fallback is the
/// database; where that is a file, it is the index that the cluster stands before, or else a copy in memory.
pub(super) async fn open(data: &Path, board: &Board, cache: Arc<dyn Cache>) -> Result<Engines> {
    let cache = PageCache::shared(cache, SERVICE).with_max_age(FRESH);
    let (index_name, database): (String, Option<Arc<dyn SearchEngine>>) = match &board.database {
        // A table of this folder's own is followed by an index of its own.
        Database::Sqlite(_) => (format!("{SERVICE}_{}", name_of(data)?), None),
        #[cfg(feature = "postgres")]
        Database::Postgres(pool) => {
            let database = PostgresEngine::open(schema(), pool.clone()).await?.with_name(DATABASE);
            (SERVICE.to_owned(), Some(Arc::new(database)))
        }
    };
    let cluster = servers::opensearch(&index_name, schema())?;
    match (cluster, database) {
        (Some(cluster), Some(database)) => Engines::new(cluster, database, cache, FAR),
        (Some(cluster), None) => Engines::new(cluster, index(data).await?, cache, FAR),
        (None, Some(database)) => Engines::new(index(data).await?, database, cache, NEAR),
        (None, None) => {
            let copy = MemoryEngine::new(schema()).with_name(DATABASE);
            Engines::new(index(data).await?, copy, cache, NEAR)
        }
    }
}

async fn index(data: &Path) -> Result<TantivyEngine> {
    let folder = data.join("index");
    let opened = tokio::task::spawn_blocking(move || TantivyEngine::open(schema(), folder)).await;
    let opened = opened.map_err(|_| Error::new(ErrorKind::Other, "opening the index panicked"))??;
    Ok(opened.with_name(INDEX))
}

/// Brings the engines in step with the table, whatever they have missed since they were last in use, and compares them with it from then
/// on; one that is away follows when it is back.
pub(super) async fn keep_up(
    board: &Board,
    engines: &Engines,
    indexers: [Indexer; 2],
    host: &mut Host,
) -> Result<()> {
    let mut filling = Vec::new();
    for (engine, indexer) in [&engines.primary, &engines.fallback].into_iter().zip(indexers) {
        let mut sweep = Sweep::new(engine.name(), board.clone(), indexer, engines.search.clone())?;
        let (filled, is_filled) = oneshot::channel();
        filling.push(is_filled);
        let (board, engine, shutdown) = (board.clone(), engine.clone(), host.shutdown.clone());
        host.also(async move {
            let begin = async {
                fill(&board, &engine).await;
                // What it fails with is told by the next one.
                let _compared = sweep.once().await;
            };
            tokio::select! {
                () = begin => {}
                () = shutdown.triggered() => return,
            }
            let _waited_for = filled.send(());
            sweep.run(&shutdown).await;
        });
    }
    if tokio::time::timeout(AT_START, join_all(filling)).await.is_err() {
        tracing::warn!("serving while an engine is being filled");
    }
    Ok(())
}

async fn fill(board: &Board, engine: &Cable) {
    while let Err(error) = caught_up(board, engine).await {
        tracing::warn!(engine = engine.name(), error = &error as &dyn std::error::Error, "not filled");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn caught_up(board: &Board, engine: &Cable) -> Result<()> {
    engine.prepare().await?;
    let (mut applied, mut refused, mut from) = (0, 0, None::<String>);
    loop {
        let drift = indexer::check(board, engine, from.as_deref(), BATCH).await?;
        if !drift.is_none() {
            let repaired = indexer::repair(board, engine, &drift).await?;
            (applied, refused) = (applied + repaired.applied, refused + repaired.refused);
            if !repaired.stuck.is_empty() {
                let (engine, documents) = (engine.name(), &repaired.stuck);
                tracing::warn!(
                    engine,
                    ?documents,
                    "the index knows newer versions than the table, and keeps them"
                );
            }
        }
        from = drift.until;
        if from.is_none() {
            break;
        }
    }
    if applied > 0 || refused > 0 {
        tracing::info!(engine = engine.name(), applied, refused, "brought in step");
    }
    Ok(())
}

/// The groups that follow the table for the engines of this process: whoever keeps an engine of their own hears of every change,
/// and needs a group of their own. Which of the engines there are, the environment says.
pub(super) fn groups(data: &Path) -> Result<[String; 3]> {
    let own = name_of(data)?;
    Ok(NAMES.map(|engine| format!("search.{engine}.{own}")))
}

/// Has the bus forget the groups of engines that are not in use, for which it would keep every event.
pub(super) async fn forget(groups: [String; 3], engines: Engines, bus: Arc<dyn EventBus>) {
    for (name, group) in NAMES.iter().zip(&groups) {
        if [&engines.primary, &engines.fallback].iter().any(|engine| engine.name() == *name) {
            continue;
        }
        if let Err(error) = bus.forget_group(group).await {
            tracing::warn!(group, error = &error as &dyn std::error::Error, "the bus still keeps a group");
        }
    }
}

/// What applies changes to the engines, the primary first.
pub(super) fn indexers(engines: &Engines) -> [Indexer; 2] {
    [&engines.primary, &engines.fallback].map(|engine| {
        let indexer = Indexer::start(engine.clone(), |event| {
            Ok(Some(Document::new(event.key.as_str(), event.payload.clone())))
        });
        indexer.with_search(engines.search.clone())
    })
}

/// Follows the table with each engine, by events, however long the engine is away.
pub(super) fn consumers(
    groups: &[String; 3],
    engines: &Engines,
    indexers: &[Indexer; 2],
    bus: &Arc<dyn EventBus>,
) -> Vec<Consumer> {
    let consumer = |(name, group): (&&str, &String)| {
        let mut each = [&engines.primary, &engines.fallback].into_iter().zip(indexers);
        let (_, indexer) = each.find(|(engine, _)| engine.name() == *name)?;
        let consumer =
            Consumer::new(bus.clone(), Subscription::new(group.as_str(), [TOPIC]), indexer.clone())
                .with_max_attempts(u32::MAX)
                .with_backoff(Backoff::new(Duration::from_millis(200), Duration::from_secs(2)))
                .with_drain_limit(Duration::from_secs(2));
        Some(consumer)
    };
    NAMES.iter().zip(groups).filter_map(consumer).collect()
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
