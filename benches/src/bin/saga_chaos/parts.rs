//! What the processes do that are killed.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pumasi_core::conformance::process::Part;
use pumasi_core::event::Shutdown;
use pumasi_core::resilience::Backoff;
use pumasi_saga::store::{PostgresStore, Query, RedisStore, SagaStore, SqliteStore, Status};
use pumasi_saga::{Decision, Engine, EngineOptions, Error, ErrorKind, SagaHandle, Signal};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};

use crate::bank::{BOOKINGS, Bank};
use crate::sagas::{Paid, is_called_off, order, told_by_hand};
use crate::watch::Watch;
use crate::{Failure, LEASE, ROLES, Setup, files};

type Orders = SagaHandle<u64, Bank>;

pub(crate) fn postgres(setup: &Setup) -> Result<PgPool, Failure> {
    let server: PgConnectOptions = setup.url.parse()?;
    let server = server.disable_statement_logging().options([("search_path", setup.run.as_str())]);
    Ok(PgPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(server))
}

pub(crate) async fn open(setup: &Setup, folder: &Path) -> Result<Arc<dyn SagaStore>, Failure> {
    Ok(match setup.store.as_str() {
        "postgres" => Arc::new(PostgresStore::new(postgres(setup)?)),
        "redis" => Arc::new(RedisStore::open(&setup.url)?.with_prefix(&format!("{}:", setup.run))),
        _ => Arc::new(SqliteStore::open(folder.join("sagas.db")).await?),
    })
}

/// Makes tables and books.
pub(crate) async fn prepare(setup: &Setup, folder: &Path) -> Result<(), Failure> {
    Bank::open(folder).await?.prepare().await?;
    if setup.store == "postgres" {
        let pool = postgres(setup)?;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {}", setup.run))).execute(&pool).await?;
        PostgresStore::new(pool.clone()).migrate().await?;
        sqlx::raw_sql(BOOKINGS).execute(&pool).await?;
    }
    Ok(())
}

/// Removes what [`prepare`] made on a server that others use too.
pub(crate) async fn clear(setup: &Setup) -> Result<(), Failure> {
    if setup.store == "postgres" && setup.restarts == 0 {
        let drop = AssertSqlSafe(format!("DROP SCHEMA {} CASCADE", setup.run));
        sqlx::raw_sql(drop).execute(&postgres(setup)?).await?;
    }
    Ok(())
}

pub(crate) async fn engine(
    setup: &Setup,
    folder: &Path,
) -> Result<(Orders, Watch<Arc<dyn SagaStore>>), Failure> {
    let store = Watch::new(open(setup, folder).await?, setup.plant == "no-fencing");
    let options = EngineOptions::new()
        .with_lease(LEASE)
        .with_poll(Duration::from_millis(200))
        .with_store_backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(300)));
    let options = match setup.retention {
        Some(retention) => options.with_retention(retention),
        None => options.keeping_ended(),
    };
    let mut bank = Bank::open(folder).await?;
    if setup.plant == "rows-apart" {
        bank = bank.with_rows_apart(postgres(setup)?);
    }
    let engine = Engine::with_options(store.clone(), bank, options);
    Ok((engine.register(order(setup.store == "postgres", setup.has_children())?)?, store))
}

/// Returns how many sagas were acknowledged.
pub(crate) fn acknowledged(folder: &Path) -> u64 {
    u64::try_from(acknowledgements(folder).len()).unwrap_or(0)
}

/// Returns the orders that were acknowledged.
pub(crate) fn acknowledgements(folder: &Path) -> HashSet<u64> {
    let texts = files(folder, "acks-").into_iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts.flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Returns how many writes of workers were refused because their sagas had gone to another one.
pub(crate) fn refused(folder: &Path) -> u64 {
    let texts = files(folder, "refused-").into_iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts.filter_map(|text| text.trim().parse::<u64>().ok()).sum()
}

pub(crate) async fn play(part: &Part, setup: &Setup) -> Result<(), Failure> {
    fastrand::seed(setup.seed ^ u64::from(std::process::id()));
    let (orders, store) = engine(setup, &part.folder).await?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn({
        let (engine, shutdown) = (orders.engine().clone(), shutdown.clone());
        async move { engine.run(&shutdown).await }
    });
    let count = part.folder.join(format!("refused-{}", std::process::id()));
    let counting = tokio::spawn(async move {
        loop {
            let _ = std::fs::write(&count, store.refused().to_string());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    match ROLES.iter().position(|role| *role == part.role) {
        Some(place) => {
            let operating = tokio::spawn(operate(orders.clone()));
            work(orders, part, setup, u64::try_from(place)?).await?;
            operating.abort();
        }
        None => finish(&orders).await?,
    }
    counting.abort();
    shutdown.trigger();
    running.await??;
    Ok(())
}

/// Starts one order after the other, pays it, and writes down what was acknowledged, until it is killed.
async fn work(orders: Orders, part: &Part, setup: &Setup, place: u64) -> Result<(), Failure> {
    let known = acknowledgements(&part.folder);
    let file = part.folder.join(format!("acks-{}", std::process::id()));
    let file = Arc::new(File::options().create(true).append(true).open(file)?);
    let (known, next) = (Arc::new(known), Arc::new(AtomicU64::new(0)));
    let players = (0..(setup.in_flight / 2).max(1)).map(|_| {
        let (orders, file) = (orders.clone(), Arc::clone(&file));
        let (known, next) = (Arc::clone(&known), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let order = next.fetch_add(1, Ordering::Relaxed) * 2 + place;
                if known.contains(&order) {
                    continue;
                }
                settle(&orders, order).await?;
                // One write, which a kill does not tear.
                (&*file).write_all(format!("{order}\n").as_bytes()).map_err(|error| error.to_string())?;
            }
        })
    });
    for player in players.collect::<Vec<_>>() {
        let played: Result<(), String> = player.await?;
        played?;
    }
    Ok(())
}

/// Starts an order and pays it, or calls it off.
async fn settle(orders: &Orders, order: u64) -> Result<(), String> {
    if is_called_off(order) { call_off(orders, order).await } else { pay(orders, order).await }
}

/// Starts an order and calls it off, until that is acknowledged; it may be one that has gone back already.
async fn call_off(orders: &Orders, order: u64) -> Result<(), String> {
    insist(|| async { orders.start(&order).await.map(drop) }).await?;
    insist(|| async {
        match orders.decide(&order, Decision::cancel("customer", "changed my mind")).await {
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(()),
            decided => decided.map(drop),
        }
    })
    .await
}

/// Decides about every order that needs a person, for as long as it is let.
async fn operate(orders: Orders) -> Result<(), String> {
    loop {
        decide(&orders).await?;
        tokio::time::sleep(LEASE / 10).await;
    }
}

async fn decide(orders: &Orders) -> Result<(), String> {
    let stuck = Query::new().with_statuses([Status::NeedsOperator]);
    for summary in orders.query(stuck).await.unwrap_or_default() {
        let order: u64 = summary.head.key.parse().map_err(|_| "a key is no number".to_owned())?;
        let decision = told_by_hand().map_err(|error| error.to_string())?;
        // What is not acknowledged is decided again.
        let _ = orders.decide(&order, decision).await;
    }
    Ok(())
}

/// Starts an order and pays it twice, as webhooks do, until all of that is acknowledged.
async fn pay(orders: &Orders, order: u64) -> Result<(), String> {
    let paid = || Signal::from(Paid { amount: 35_000 }).with_id(format!("evt-{order}"));
    insist(|| async { orders.start(&order).await.map(drop) }).await?;
    insist(|| async {
        match orders.signal(&order, paid()).await {
            // It has ended and was forgotten, or purged: whoever answers begins it anew.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            left => left.map(drop),
        }
    })
    .await?;
    insist(|| async { orders.advance(&order, paid()).await.map(drop) }).await
}

/// Asks again while the store or the other worker is busy, and where an order has ended and was forgotten in the middle of a call.
async fn insist<F: Future<Output = pumasi_saga::Result<()>>>(ask: impl Fn() -> F) -> Result<(), String> {
    loop {
        match ask().await {
            Ok(()) => return Ok(()),
            Err(error) if is_passing(&error) || error.kind() == ErrorKind::NotFound => {
                tokio::time::sleep(Duration::from_millis(20)).await
            }
            Err(error) => return Err(format!("{error:?}")),
        }
    }
}

fn is_passing(error: &Error) -> bool {
    error.retry().is_retryable()
        || matches!(
            error.kind(),
            ErrorKind::Unavailable | ErrorKind::Storage | ErrorKind::Timeout | ErrorKind::Overloaded
        )
}

/// Pays what nobody paid because its worker died, and waits until every order has ended.
async fn finish(orders: &Orders) -> Result<(), Failure> {
    loop {
        decide(orders).await?;
        let ended = [Status::Completed, Status::Compensated, Status::Parked];
        let open = Status::ALL.into_iter().filter(|status| !ended.contains(status));
        let open = orders.query(Query::new().with_statuses(open)).await?;
        if open.is_empty() {
            return Ok(());
        }
        for summary in open.iter().filter(|summary| summary.head.status == Status::Waiting) {
            settle(orders, summary.head.key.parse()?).await?;
        }
        tokio::time::sleep(LEASE / 4).await;
    }
}
