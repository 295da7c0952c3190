//! What the processes do that are killed.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pumasi_core::conformance::process::Part;
use pumasi_core::event::Shutdown;
use pumasi_core::resilience::Backoff;
use pumasi_saga::store::{PostgresStore, Query, RedisStore, SagaStore, SqliteStore, Status};
use pumasi_saga::{Decision, Engine, EngineOptions, Error, ErrorKind, SagaHandle, Signal, Snapshot};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};

use crate::bank::{BOOKINGS, Bank};
use crate::sagas::{
    BOOKED, Paid, Weighed, is_begun_anew, is_called_off, is_packed_again, is_repeated, order, packing,
    told_by_hand,
};
use crate::stand::Stand;
use crate::watch::Watch;
use crate::{Failure, LEASE, ROLES, Setup, files};

/// How often an order goes back to before its packing at most.
const PACKINGS: usize = 3;

type Handle = SagaHandle<u64, Bank>;

/// What a worker holds of its sagas.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) orders: Handle,
    /// Their children, if they have some.
    pub(crate) packings: Option<Handle>,
}

impl std::ops::Deref for Orders {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.orders
    }
}

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
    stand: Option<Stand>,
) -> Result<(Orders, Watch<Arc<dyn SagaStore>>), Failure> {
    let store = Watch::new(open(setup, folder).await?, setup.plant == "no-fencing");
    let store = stand.into_iter().fold(store, Watch::with_stand);
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
    let child = setup.has_children().then(packing).transpose()?;
    let orders = engine.register(order(setup.store == "postgres", child.as_ref())?)?;
    let packings = child.map(|child| engine.register(child)).transpose()?;
    Ok((Orders { orders, packings }, store))
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
    let place = ROLES.iter().position(|role| *role == part.role);
    let stand = (setup.stands > 0 && place.is_some()).then(|| Stand::new(&part.folder));
    let (orders, store) = engine(setup, &part.folder, stand).await?;
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
    match place {
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

/// Starts an order and pays it, or calls it off; where it has a child, some make that again, some are begun anew before they come
/// to it, and it is weighed when it is packed.
async fn settle(orders: &Orders, order: u64) -> Result<(), String> {
    insist(|| async { orders.start(&order).await.map(drop) }).await?;
    let has_child = orders.packings.is_some();
    if has_child && is_begun_anew(order) {
        begin_anew(orders, order).await?;
    }
    let is_packed_again = has_child && is_packed_again(order);
    if is_called_off(order) && !is_packed_again {
        return call_off(orders, order).await;
    }
    pay(orders, order).await?;
    if is_packed_again {
        pack_again(orders, order).await?;
    }
    if is_called_off(order) {
        call_off(orders, order).await
    } else if has_child {
        insist(|| async { orders.advance(&order, Weighed { grams: 1_200 }).await.map(drop) }).await
    } else {
        Ok(())
    }
}

/// Calls an order off, until that is acknowledged; it may be one that has gone back already.
async fn call_off(orders: &Orders, order: u64) -> Result<(), String> {
    insist(|| async {
        match orders.decide(&order, Decision::cancel("customer", "changed my mind")).await {
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(()),
            decided => decided.map(drop),
        }
    })
    .await
}

/// Calls an order off before it is paid, and begins it anew, until that is acknowledged.
async fn begin_anew(orders: &Orders, order: u64) -> Result<(), String> {
    insist(|| async {
        let view = orders.view(&order).await?;
        if view.run > 0 {
            return Ok(());
        }
        match view.status {
            Status::Compensated => unless_in_conflict(orders.restart(&order).await),
            Status::Compensating => Err(not_yet()),
            _ => {
                unless_in_conflict(
                    orders.decide(&order, Decision::cancel("customer", "not this one")).await,
                )?;
                Err(not_yet())
            }
        }
    })
    .await
}

/// Sends an order back to before its packing, unless that was done, once it is packed.
async fn pack_again(orders: &Orders, order: u64) -> Result<(), String> {
    insist(|| async {
        let snapshot = orders.snapshot(&order).await?;
        let view = &snapshot.view;
        if times_back(&snapshot) > 0 || matches!(view.status, Status::Completed | Status::Compensated) {
            return Ok(());
        }
        if view.next.as_deref() != Some("weighed") {
            return Err(not_yet());
        }
        let decision = Decision::rollback_to(BOOKED, "customer", "another box");
        unless_in_conflict(orders.decide(&order, decision).await)
    })
    .await
}

/// How often an order was sent back to before its packing.
fn times_back(snapshot: &Snapshot) -> usize {
    snapshot.audits.iter().filter(|audit| &*audit.action == "rollback_to").count()
}

fn not_yet() -> Error {
    Error::new(ErrorKind::Overloaded, "the order is not there yet")
}

/// Has it asked again where an order has gone on meanwhile.
fn unless_in_conflict<T>(asked: pumasi_saga::Result<T>) -> pumasi_saga::Result<()> {
    match asked {
        Err(error) if error.kind() == ErrorKind::Conflict => Err(not_yet()),
        asked => asked.map(drop),
    }
}

/// Decides about every order that needs a person, for as long as it is let; and about those whose packing does not end.
async fn operate(orders: Orders) -> Result<(), String> {
    let asked = Arc::default();
    loop {
        decide(&orders).await?;
        send_back(&orders, &asked).await?;
        tokio::time::sleep(LEASE / 10).await;
    }
}

/// Sends orders whose packing is under way back to before it, or calls them off: whoever makes that packing may stand still.
async fn send_back(orders: &Orders, asked: &Arc<Mutex<HashSet<u64>>>) -> Result<(), String> {
    if orders.packings.is_none() {
        return Ok(());
    }
    let open = |asked: &Mutex<HashSet<u64>>| asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let under_way = Query::new().with_statuses([Status::Running]).with_step("packing").with_idle(LEASE / 4);
    for summary in orders.query(under_way).await.unwrap_or_default() {
        let order: u64 = summary.head.key.parse().map_err(|_| "a key is no number".to_owned())?;
        let Ok(snapshot) = orders.snapshot(&order).await else { continue };
        let times = times_back(&snapshot);
        if !is_repeated(order) || times >= PACKINGS || open(asked).contains(&order) {
            continue;
        }
        let decision = match times {
            1.. if is_called_off(order) => Decision::cancel("operator", "no box fits"),
            _ => Decision::rollback_to(BOOKED, "operator", "another box"),
        };
        asked.lock().unwrap_or_else(PoisonError::into_inner).insert(order);
        let (orders, asked) = (orders.clone(), Arc::clone(asked));
        tokio::spawn(async move {
            // What is not acknowledged is decided again.
            let _ = orders.decide(&order, decision).await;
            asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&order);
        });
    }
    Ok(())
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

/// Pays an order twice, as webhooks do, until all of that is acknowledged.
async fn pay(orders: &Orders, order: u64) -> Result<(), String> {
    let paid = || Signal::from(Paid { amount: 35_000 }).with_id(format!("evt-{order}"));
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

/// Settles what nobody settled because its worker died, and waits until every order has ended.
async fn finish(orders: &Orders) -> Result<(), Failure> {
    loop {
        decide(orders).await?;
        let ended = [Status::Completed, Status::Compensated, Status::Parked];
        let open = Status::ALL.into_iter().filter(|status| !ended.contains(status));
        let open = orders.query(Query::new().with_statuses(open)).await?;
        if open.is_empty() && !begin_forgotten_anew(orders).await? {
            return Ok(());
        }
        for summary in open.iter().filter(|summary| summary.head.status == Status::Waiting) {
            settle(orders, summary.head.key.parse()?).await?;
        }
        tokio::time::sleep(LEASE / 4).await;
    }
}

/// Settles the orders that were called off to be begun anew, and whose worker died in between; tells whether there were any.
async fn begin_forgotten_anew(orders: &Orders) -> Result<bool, Failure> {
    let mut some = false;
    let mut query = Query::new().with_statuses([Status::Compensated]);
    while orders.packings.is_some() {
        let page = orders.query(query.clone()).await?;
        let Some(last) = page.last() else { break };
        query = query.with_after(last.head.id);
        for summary in page {
            let order: u64 = summary.head.key.parse()?;
            if is_begun_anew(order) && orders.view(&order).await?.run == 0 {
                settle(orders, order).await?;
                some = true;
            }
        }
    }
    Ok(some)
}
