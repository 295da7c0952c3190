//! The service: everything is found, also when the engine is gone; places are ordered, and todos edited by several at once.

mod api;
mod find;
mod follow;
mod input;
mod market;
mod todo;
mod view;

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use futures_util::future::select_ok;
use pumasi_core::event::{Relay, Shutdown};
use pumasi_core::time::{Clock as _, SystemClock};
use pumasi_saga::{Engine, EngineOptions, SagaHandle};
use pumasi_search::{CursorKey, SearchEngine as _};
use support::aside::{self, Aside};
use support::auth::{self, Keys};
use support::openapi::Queries;
use support::page::Page;
use support::rate::{self, Rate};
use support::ready::Ready;
use support::{sagas, servers, telemetry};
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

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
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// For how long a token is good.
const LIFETIME: Duration = Duration::from_hours(12);
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

/// Whom a token is for.
#[derive(clap::Args)]
pub(crate) struct TokenOptions {
    /// The name.
    name: String,
    /// What it lets one do.
    #[arg(long, value_enum, default_value_t = Role::Member)]
    role: Role,
}

impl TokenOptions {
    /// Prints the token.
    pub(crate) fn print(&self) -> Told {
        Ok(auth::print_token("dev_search", &self.name, self.role.as_str(), LIFETIME)?)
    }
}

/// What to do about events that were put aside.
#[derive(clap::Args)]
pub(crate) struct AsideOptions {
    /// The folder of the service, where its events are not on a server.
    #[arg(long, default_value = "dev_search.data")]
    data: PathBuf,
    /// Has them delivered again, their attempts counted anew.
    #[arg(long)]
    deliver_again: bool,
}

impl AsideOptions {
    pub(crate) async fn run(&self) -> Told {
        let bus = servers::bus(&self.data.join("events.sqlite")).await?;
        let groups = follow::groups(&self.data)?;
        Ok(aside::run(&*bus, &groups.each_ref().map(String::as_str), self.deliver_again).await?)
    }
}

/// What every request can reach.
struct Service {
    engines: Engines,
    board: Board,
    shop: Shop,
    orders: SagaHandle<OrderKey, Shop>,
    todos: Todos,
    cursors: CursorKey,
    keys: Keys,
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    telemetry::logs();
    let keys = Keys::from_env("dev_search")?;
    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    std::fs::create_dir_all(&options.data).map_err(|error| format!("{}: {error}", options.data.display()))?;
    let metrics = telemetry::metrics()?;

    let database = servers::postgres("dev_search").await?;
    let bus = servers::bus(&options.data.join("events.sqlite")).await?;
    let board = Board::open(&options.data.join("board.sqlite"), Clone::clone(&database)).await?;
    let delay = Duration::from_millis(options.partner_delay_ms);
    let shop = Shop::open(board.database.clone(), options.partner, delay).await?;
    if !options.empty {
        board.add_sample(&shop, SystemClock.now()).await?;
    }
    let cache = servers::cache(follow::CACHE)?;
    let engines = follow::open(&options.data, &board, cache.clone()).await?;
    let store = sagas::store(&options.data.join("sagas.sqlite"), database).await?;
    let engine =
        Engine::with_options(store, shop.clone(), EngineOptions::new().with_lease(LEASE).keeping_ended());
    let shutdown = Shutdown::new();
    let (asked, books, partner) = (engines.clone(), board.clone(), shop.clone());
    let (primary, fallback) = (engines.primary.clone(), engines.fallback.clone());
    let answers = |engine: Cable| async move { engine.status().await.map(drop) };
    let ready = Ready::new(shutdown.clone())
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
        .with_spare("partner", move || std::future::ready(partner.answers()));
    let service = Arc::new(Service {
        cursors: CursorKey::new(board.secret("cursors").await?)?,
        todos: Todos::new(board.database.clone(), Arc::new(SystemClock)),
        orders: engine.register(order()?)?,
        engines,
        shop,
        keys,
        board,
    });
    let machines = support::machines::router(ready, metrics);
    let groups = follow::groups(&options.data)?;
    let aside = Aside::new(bus.clone(), groups.clone(), Role::Operator.as_str());

    let relay = Relay::new(service.board.outbox.store(), bus.clone()).run(shutdown.clone());
    let relay = tokio::spawn(or_none(shutdown.clone(), relay));
    let mut following = Vec::new();
    for consumer in follow::consumers(&groups, &service.engines, &bus) {
        following.push(tokio::spawn(or_none(shutdown.clone(), consumer.run(shutdown.clone()))));
    }
    follow::catch_up(&service.board, &service.engines, &shutdown).await;
    let stopping = shutdown.clone();
    let worker = tokio::spawn(or_none(shutdown.clone(), async move { engine.run(&stopping).await }));
    tracing::info!(address = %listener.local_addr()?, "listening");
    support::print::address("dev_search", listener.local_addr()?);
    let told = shutdown.clone();
    tokio::spawn(async move {
        telemetry::stop_signal().await;
        told.trigger();
    });
    let router = router(service, aside, machines, options.requests_per_second)?;
    support::serve::until(async move { shutdown.triggered().await }, listener, router).await?;
    worker.await??;
    relay.await??;
    for consumer in following {
        consumer.await??;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Does a part of the service's work, and stops the service when the part ends, in whatever way: what nobody would work on must
/// not be accepted.
async fn or_none<T>(shutdown: Shutdown, part: impl Future<Output = T>) -> T {
    struct Stops(Shutdown);
    impl Drop for Stops {
        fn drop(&mut self) {
            self.0.trigger();
        }
    }
    let _stops = Stops(shutdown);
    part.await
}

fn router(
    service: Arc<Service>,
    aside: Aside,
    machines: OpenApiRouter<Arc<Service>>,
    requests: NonZeroU32,
) -> Result<Router, String> {
    let api = api::router().merge(find::router()).merge(market::router()).merge(todo::router());
    let (api, mut openapi) = api.merge(aside.router()).split_for_parts();
    let (machines, more) = machines.split_for_parts();
    openapi.merge(more);
    let keys = service.keys.clone();
    let bounded = |router: Router<Arc<Service>>| {
        router
            .layer(middleware::from_fn(|request, next| support::body::limited(LARGEST, request, next)))
            .layer(middleware::from_fn(|request, next| {
                support::serve::in_time(Duration::from_secs(30), request, next)
            }))
    };
    let guarded = bounded(api)
        .layer(middleware::from_fn_with_state(Rate::per_second(requests), rate::limited))
        .layer(middleware::from_fn_with_state(keys, auth::identify))
        .merge(bounded(machines))
        .layer(middleware::from_fn_with_state(Queries::of(&openapi), Queries::only_where_declared));
    let router = Router::new().merge(guarded).merge(PAGE.router()).merge(support::openapi::router(openapi));
    Ok(support::serve::with_common_layers(router)?.with_state(service))
}
