//! The service: everything is found, also when the engine is gone; places are ordered, and todos edited by several at once.

mod api;
mod find;
mod follow;
mod input;
mod market;
mod todo;
mod view;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_ok;
use pumasi_core::event::Relay;
use pumasi_core::time::{Clock as _, SystemClock};
use pumasi_saga::store::SagaStore;
use pumasi_saga::{Engine, EngineOptions, SagaHandle};
use pumasi_search::{CursorKey, SearchEngine as _};
use support::aside::{self, Aside};
use support::page::{Entrance, Page};
use support::service::{Host, Limits, Routes};
use support::{sagas, servers, telemetry, tokens};

use crate::Told;
use crate::board::Board;
use crate::cable::Cable;
use crate::engines::Engines;
use crate::orders::{OrderKey, order};
use crate::shop::{Mood, Shop};
use crate::todos::Todos;
use input::Role;

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    entrance: Entrance::Name(&["member", "tutor", "operator"]),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// How long after its death what a process held is taken up.
const LEASE: Duration = Duration::from_secs(5);
/// The largest body, in bytes.
const LARGEST: usize = 64 * 1024;

/// Where the service listens and what it keeps.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8791")]
    listen: SocketAddr,
    /// The folder for entries, orders, todos and the index; made if it does not exist.
    #[arg(long, default_value = "dev_search.data")]
    data: PathBuf,
    /// Begins without the committed entries.
    #[arg(long)]
    empty: bool,
    /// How the payment partner is, until an operator says otherwise.
    #[arg(long, value_enum, default_value_t = Mood::Moody)]
    partner: Mood,
    /// How many milliseconds the payment partner takes to answer, so that one can watch an order move.
    #[arg(long, default_value_t = 0)]
    partner_delay_ms: u64,
    /// How many requests a second one caller may make.
    #[arg(long, default_value = "50")]
    requests_per_second: NonZeroU32,
}

pub(crate) type TokenOptions = tokens::Options<Role>;

/// The file of events.
const EVENTS: &str = "events.sqlite";

/// Lists what was put aside, or has it delivered again.
pub(crate) async fn put_aside(options: &aside::Options) -> Told {
    let groups = follow::groups(&options.folder("dev_search", follow::NAME)?)?;
    options.run("dev_search", EVENTS, &groups.each_ref().map(String::as_str)).await
}

/// What every request can reach.
struct Service {
    engines: Engines,
    board: Board,
    shop: Shop,
    orders: SagaHandle<OrderKey, Shop>,
    /// Where the orders' sagas are kept.
    sagas: Arc<dyn SagaStore>,
    todos: Todos,
    cursors: CursorKey,
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(options: Options) -> Told {
    telemetry::logs();
    let mut host = Host::start("dev_search", options.listen).await?;
    servers::folder(&options.data)?;
    let database = servers::postgres("dev_search").await?;
    let bus = servers::bus(&options.data.join(EVENTS)).await?;
    let board = Board::open(&options.data.join("board.sqlite"), Clone::clone(&database)).await?;
    let delay = Duration::from_millis(options.partner_delay_ms);
    let shop = Shop::open(board.database.clone(), options.partner, delay).await?;
    if !options.empty {
        board.add_sample(&shop, SystemClock.now()).await?;
    }
    let cache = servers::cache(follow::CACHE)?;
    let engines = follow::open(&options.data, &board, cache.clone()).await?;
    let store = sagas::store(&options.data.join("sagas.sqlite"), database).await?;
    let engine = Engine::with_options(
        Arc::clone(&store),
        shop.clone(),
        EngineOptions::new().with_lease(LEASE).keeping_ended(),
    );
    let (asked, books, partner) = (engines.clone(), board.clone(), shop.clone());
    let (primary, fallback) = (engines.primary.clone(), engines.fallback.clone());
    let followed = engines.clone();
    let answers = |engine: Cable| async move { engine.status().await.map(drop) };
    let ready = host
        .ready()
        .with("search", move || {
            let engines = asked.clone();
            // One of them will do; what the cache still knows will not.
            async move { select_ok([engines.primary.status(), engines.fallback.status()]).await.map(drop) }
        })
        .with("books", move || {
            let books = books.clone();
            async move { books.count().await.map(drop) }
        })
        .with_bus(bus.clone())
        .with_cache(cache)
        .with_spare("primary", move || answers(primary.clone()))
        .with_spare("fallback", move || answers(fallback.clone()))
        .with_spare("following", move || {
            let engines = followed.clone();
            async move { engines.follow().await }
        })
        .with_spare("partner", move || std::future::ready(partner.answers()));
    let service = Arc::new(Service {
        cursors: CursorKey::new(board.secret("cursors").await?)?,
        todos: Todos::new(board.database.clone(), Arc::new(SystemClock)),
        orders: engine.register(order()?)?,
        sagas: store,
        engines,
        shop,
        board,
    });

    host.works_on(Relay::new(service.board.outbox.store(), bus.clone()).run(host.shutdown.clone()));
    let groups = follow::groups(&options.data)?;
    host.also(follow::forget(groups.clone(), service.engines.clone(), bus.clone()));
    let indexers = follow::indexers(&service.engines);
    for consumer in follow::consumers(&groups, &service.engines, &indexers, &bus) {
        host.works_on(consumer.run(host.shutdown.clone()));
    }
    follow::keep_up(&service.board, &service.engines, indexers, &mut host).await?;
    host.also(service.engines.clone().watch(host.shutdown.clone()));
    let stopping = host.shutdown.clone();
    host.works_on(async move { engine.run(&stopping).await });
    let people = api::router().merge(find::router()).merge(market::router()).merge(todo::router());
    let people = people.merge(Aside::new(bus, groups, Role::Operator.as_str()).router());
    let people = people.merge(tokens::router::<Role, _>(&host.keys)).merge(tokens::about(&host.keys));
    let routes = Routes::new(people);
    let limits = Limits::new(LARGEST, options.requests_per_second);
    let router = host.router(routes, ready, limits, PAGE);
    host.serve(router.with_state(service)).await
}
