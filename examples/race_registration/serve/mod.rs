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
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::event::Shutdown;
use pumasi_saga::store::{SagaId, SagaStore, WatchedStore};
use pumasi_saga::{Engine, EngineOptions, SagaHandle};
use support::auth::{self, Keys};
use support::listeners::Listeners;
use support::page::{Entrance, Page};
use support::service::{Host, Limits, Routes};
use support::webhook::Secret;
use support::{sagas, servers, telemetry, tokens};

use crate::Told;
use crate::saga::{RegistrationKey, lottery, registration};
use books::Books;
use desk::Desk;
use input::Role;

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    entrance: Entrance::Name(&["runner", "organiser"]),
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

pub(crate) type TokenOptions = tokens::Options<Role>;

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
    /// The places of those who listen to news.
    listeners: Listeners,
    shutdown: Shutdown,
}

impl Service {
    fn handle(&self, is_lottery: bool) -> &Registrations {
        if is_lottery { &self.lotteries } else { &self.registrations }
    }
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(options: Options) -> Told {
    telemetry::logs();
    let mut host = Host::start("race_registration", options.listen).await?;
    let secret = env::var("PAYMENT_WEBHOOK_SECRET").ok().filter(|secret| !secret.is_empty());
    let plays_gateway = options.play_gateway || (secret.is_none() && host.keys.hands_out());
    if secret.is_none() && !plays_gateway {
        tracing::warn!("PAYMENT_WEBHOOK_SECRET is not set: no gateway can tell of payments");
    }
    let secret = Secret::new(&secret.unwrap_or_else(auth::random_secret))?;
    servers::folder(&options.data)?;
    let payment = Duration::from_secs(options.payment_seconds);
    let database = servers::postgres("race_registration").await?;
    let books = Books::open(&options.data.join("books.sqlite"), Clone::clone(&database)).await?;
    let store = sagas::store(&options.data.join("sagas.sqlite"), database).await?;
    let store = WatchedStore::new(store);
    let desk = Desk { books: books.clone(), payment, delay: Duration::from_millis(options.partner_delay_ms) };
    let engine =
        Engine::with_options(store.clone(), desk, EngineOptions::new().with_lease(LEASE).keeping_ended());
    let (asked, kept) = (books.clone(), store.clone());
    let ready = host
        .ready()
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
        keys: host.keys.clone(),
        secret,
        plays_gateway,
        payment,
        listeners: Listeners::default(),
        shutdown: host.shutdown.clone(),
    });

    let stopping = host.shutdown.clone();
    host.works_on(async move { engine.run(&stopping).await });
    host.also(Arc::clone(&service).call_up_the_next());
    let people = api::router().merge(office::router()).merge(tokens::router::<Role, _>(&host.keys));
    let routes = Routes::new(people).with_endless(office::endless()).with_machines(api::gateway());
    let limits = Limits::new(LARGEST, options.requests_per_second);
    let router = host.router(routes, ready, limits, PAGE);
    host.serve(router.with_state(service)).await
}
