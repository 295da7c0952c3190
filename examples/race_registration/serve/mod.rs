//! The service: organisers make races, runners register, and nothing that was acknowledged is lost.

mod api;
mod books;
mod desk;
mod input;
mod office;
mod titles;
mod turns;
mod view;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use pumasi_core::event::Shutdown;
use pumasi_saga::store::{SagaId, SagaStore, WatchedStore};
use pumasi_saga::{Engine, EngineOptions, SagaHandle};
use support::auth::{self, Keys};
use support::openapi::Queries;
use support::page::Page;
use support::rate::{self, Rate};
use support::ready::Ready;
use support::webhook::Secret;
use support::{sagas, servers, telemetry};
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

use crate::Told;
use crate::saga::{RegistrationKey, lottery, registration};
use books::Books;
use desk::Desk;
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
    #[arg(long, default_value = "127.0.0.1:8790")]
    listen: SocketAddr,
    /// The folder for races, registrations and payments; made if it does not exist.
    #[arg(long, default_value = "race_registration.data")]
    data: PathBuf,
    /// For how many seconds a place is held for a payment.
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..))]
    payment_seconds: u64,
    /// How many milliseconds every partner takes to answer, so that one can watch a registration move.
    #[arg(long, default_value_t = 0)]
    partner_delay_ms: u64,
    /// Lets whoever a payment is for have it taken as paid, as a gateway's own page would, though `PUMASI_TOKEN_KEY` is set: for
    /// trials.
    #[arg(long)]
    play_gateway: bool,
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
    #[arg(long, value_enum, default_value_t = Role::Runner)]
    role: Role,
}

impl TokenOptions {
    /// Prints the token.
    pub(crate) fn print(&self) -> Told {
        Ok(auth::print_token("race_registration", &self.name, self.role.as_str(), LIFETIME)?)
    }
}

type Registrations = SagaHandle<RegistrationKey, Desk>;

/// What every request can reach.
struct Service {
    /// Races that are first come, first served.
    registrations: Registrations,
    /// Races whose places are drawn.
    lotteries: Registrations,
    store: WatchedStore<Arc<dyn SagaStore>>,
    books: Books,
    keys: Keys,
    secret: Secret,
    /// Whether the page stands in for the gateway.
    plays_gateway: bool,
    /// For how long a payment may take.
    payment: Duration,
    shutdown: Shutdown,
}

impl Service {
    fn handle(&self, is_lottery: bool) -> &Registrations {
        if is_lottery { &self.lotteries } else { &self.registrations }
    }
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    support::serve::check_environment()?;
    telemetry::logs();
    let keys = Keys::from_env("race_registration")?;
    let secret = env::var("PAYMENT_WEBHOOK_SECRET").ok().filter(|secret| !secret.is_empty());
    let plays_gateway = options.play_gateway || (secret.is_none() && keys.is_random());
    if secret.is_none() && !plays_gateway {
        tracing::warn!("PAYMENT_WEBHOOK_SECRET is not set: no gateway can tell of payments");
    }
    let secret = Secret::new(&secret.unwrap_or_else(auth::random_secret))?;
    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    std::fs::create_dir_all(&options.data).map_err(|error| format!("{}: {error}", options.data.display()))?;
    let metrics = telemetry::metrics()?;

    let payment = Duration::from_secs(options.payment_seconds);
    let database = servers::postgres("race_registration").await?;
    let books = Books::open(&options.data.join("books.sqlite"), Clone::clone(&database)).await?;
    let store = sagas::store(&options.data.join("sagas.sqlite"), database).await?;
    let store = WatchedStore::new(store);
    let desk = Desk { books: books.clone(), payment, delay: Duration::from_millis(options.partner_delay_ms) };
    let engine =
        Engine::with_options(store.clone(), desk, EngineOptions::new().with_lease(LEASE).keeping_ended());
    let shutdown = Shutdown::new();
    let (asked, kept) = (books.clone(), store.clone());
    let ready = Ready::new(shutdown.clone())
        .with("books", move || {
            let books = asked.clone();
            async move { books.ping().await }
        })
        .with("store", move || {
            let store = kept.clone();
            async move { store.load(SagaId::from_bytes([0; 16])).await.map(drop) }
        });
    let service = Arc::new(Service {
        registrations: engine.register(registration(payment)?)?,
        lotteries: engine.register(lottery(payment)?)?,
        store,
        books,
        keys,
        secret,
        plays_gateway,
        payment,
        shutdown: shutdown.clone(),
    });
    let machines = support::machines::router(ready, metrics);

    let worker = tokio::spawn({
        let shutdown = shutdown.clone();
        async move {
            let ended = engine.run(&shutdown).await;
            // Registrations that nobody would drive must not be acknowledged.
            shutdown.trigger();
            ended
        }
    });
    let calling = tokio::spawn(Arc::clone(&service).call_up_the_next());
    tracing::info!(address = %listener.local_addr()?, "listening");
    eprintln!("race_registration: http://{}", listener.local_addr()?);
    let told = shutdown.clone();
    tokio::spawn(async move {
        telemetry::stop_signal().await;
        told.trigger();
    });
    let router = router(service, machines, options.requests_per_second)?;
    support::serve::until(async move { shutdown.triggered().await }, listener, router).await?;
    calling.await?;
    worker.await??;
    tracing::info!("stopped");
    Ok(())
}

fn router(
    service: Arc<Service>,
    machines: OpenApiRouter<Arc<Service>>,
    requests: NonZeroU32,
) -> Result<Router, String> {
    let (api, mut openapi) = api::router().merge(office::router()).split_for_parts();
    let (machines, more) = machines.merge(api::gateway()).split_for_parts();
    openapi.merge(more);
    let (endless, more) = office::endless().split_for_parts();
    openapi.merge(more);
    let keys = service.keys.clone();
    let bounded = |router: Router<Arc<Service>>| {
        router
            .layer(middleware::from_fn(|request, next| support::body::limited(LARGEST, request, next)))
            .layer(middleware::from_fn(|request, next| {
                support::serve::in_time(Duration::from_secs(30), request, next)
            }))
    };
    let guarded = Router::new()
        .merge(bounded(api))
        .merge(endless)
        .layer(middleware::from_fn_with_state(Rate::per_second(requests), rate::limited))
        .layer(middleware::from_fn_with_state(keys, auth::identify))
        .merge(bounded(machines))
        .layer(middleware::from_fn_with_state(Queries::of(&openapi), Queries::only_where_declared));
    let router = Router::new().merge(guarded).merge(PAGE.router()).merge(support::openapi::router(openapi));
    Ok(support::serve::with_common_layers(router)?.with_state(service))
}
