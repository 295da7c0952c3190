//! What earlier versions of this crate wrote is read and driven to its end: the sagas of [`sagas`], in the layout of each store.
//!
//! Each folder holds what the code of some commit left in the stores, as `sqlite.sql`, `postgres.sql` and `redis.json`, beside what was
//! done to leave that, and what the next versions make of it:
//!
//! | folder | written by |
//! |---|---|
//! | [`orders`] | `3e7c244^` |
//! | [`children`] | that which added it |
//!
//! They were written by these tests, copied into a clone at that commit:
//! `PUMASI_WRITE_RECORDS=FOLDER cargo test -p pumasi-saga --all-features --test it records`.

mod children;
mod layouts;
mod orders;
mod sagas;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use pumasi_core::event::Shutdown;
use pumasi_saga::store::{Query, SagaStore, Status};
use pumasi_saga::{Decision, Engine, EngineOptions, ErrorKind, SagaHandle, View};
use tokio::task::JoinHandle;

use sagas::{NEEDS_PERSON, Paid, Shop, TAKEN, Told, Weighed, order, packing, promised};

/// What a version wrote.
#[allow(dead_code, reason = "each store reads its own")]
struct Records {
    folder: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
    redis: &'static str,
    /// What the workers did that left it, one after the other: each dies in the middle.
    workers: &'static [Work],
    /// What stands of each order then.
    standing: &'static [(u64, &'static [&'static str])],
    /// Takes the sagas over as the next version's worker, drives all of them to their ends, and looks at what stands then.
    drive: fn(Arc<dyn SagaStore>) -> LocalBoxFuture<'static, ()>,
}

type Work = fn(Arc<dyn SagaStore>, Arc<Shop>) -> LocalBoxFuture<'static, ()>;

type Sagas = SagaHandle<u64, Arc<Shop>>;

struct Handles {
    orders: Sagas,
    packings: Sagas,
    promised: Sagas,
}

const WHO: &str = "운영자";

fn open(store: Arc<dyn SagaStore>, shop: &Arc<Shop>) -> Handles {
    open_with(store, shop, EngineOptions::new())
}

fn open_with(store: Arc<dyn SagaStore>, shop: &Arc<Shop>, options: EngineOptions) -> Handles {
    let engine = Engine::with_options(store, Arc::clone(shop), options);
    let packing = packing().unwrap();
    Handles {
        orders: engine.register(order(&packing, shop).unwrap()).unwrap(),
        promised: engine.register(promised(&packing).unwrap()).unwrap(),
        packings: engine.register(packing).unwrap(),
    }
}

async fn paid(orders: &Sagas, order: u64) {
    orders.start(&order).await.unwrap();
    orders.advance(&order, Paid(35_000)).await.unwrap();
}

async fn packed_again(orders: &Sagas, order: u64) {
    orders.decide(&order, Decision::rollback_to(TAKEN, WHO, "another box")).await.unwrap();
}

async fn called_off(orders: &Sagas, order: u64) {
    orders.decide(&order, Decision::cancel(WHO, "changed my mind")).await.unwrap();
}

/// Waits until an order stands so.
async fn come_to(orders: &Sagas, order: u64, stands: impl Fn(&View) -> bool) {
    let comes = async {
        while !stands(&orders.view(&order).await.unwrap()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_mins(1), comes).await;
    assert!(came.is_ok(), "order {order} does not come to that: {:?}", orders.view(&order).await);
}

/// An engine at work.
struct Running {
    work: JoinHandle<pumasi_saga::Result<()>>,
    shutdown: Shutdown,
}

impl Running {
    fn of(engine: &Engine<Arc<Shop>>) -> Self {
        let (engine, shutdown) = (engine.clone(), Shutdown::new());
        let told = shutdown.clone();
        Self { work: tokio::spawn(async move { engine.run(&told).await }), shutdown }
    }

    async fn end(self) {
        self.shutdown.trigger();
        self.work.await.unwrap().unwrap();
    }
}
