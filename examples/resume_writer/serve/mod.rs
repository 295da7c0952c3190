//! The service: people have résumés written and edited, share them, and hear what others think.

mod api;
mod shared;
mod view;

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use pumasi_core::event::Shutdown;
use support::auth::{self, Keys};
use support::openapi::Queries;
use support::page::Page;
use support::rate::{self, Rate};
use support::ready::{Health, Ready};
use support::{servers, telemetry};
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

use crate::desk::{Desk, EVENTS, GROUPS};
use crate::evidence::Accounts;
use crate::partner::Partner;
use crate::store::CALLS_A_DAY;
use crate::writer::Writer;
use view::Role;

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// For how long a token is good.
const LIFETIME: Duration = Duration::from_hours(12);
/// The largest body, in bytes: a comment or an instruction, every character of which is written as two escapes.
const LARGEST: usize = 32 * 1024;

/// Where the service listens and what it keeps.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8794")]
    listen: SocketAddr,
    /// The folder for everything; made if it does not exist.
    #[arg(long, default_value = "resume_writer.data")]
    data: PathBuf,
    /// How many requests a second one caller may make.
    #[arg(long, default_value = "50")]
    requests_per_second: NonZeroU32,
    /// How many calls of the model one person may cause in a day: by résumés, retries and instructions.
    #[arg(long, default_value_t = CALLS_A_DAY)]
    calls_a_day: NonZeroU32,
}

/// Whom a token is for.
#[derive(clap::Args)]
pub(crate) struct TokenOptions {
    /// The name.
    name: String,
    /// What it lets one do.
    #[arg(long, value_enum, default_value_t)]
    role: Role,
}

impl TokenOptions {
    /// Prints the token.
    pub(crate) fn print(&self) -> Result<(), Box<dyn Error>> {
        Ok(auth::print_token("resume_writer", &self.name, self.role.as_str(), LIFETIME)?)
    }
}

/// What to do about events that were put aside.
#[derive(clap::Args)]
pub(crate) struct AsideOptions {
    /// The folder of the service, where its events are not on a server.
    #[arg(long, default_value = "resume_writer.data")]
    data: PathBuf,
    /// Has them delivered again, their attempts counted anew.
    #[arg(long)]
    deliver_again: bool,
}

impl AsideOptions {
    pub(crate) async fn run(&self) -> Result<(), Box<dyn Error>> {
        let bus = servers::bus(&self.data.join(EVENTS)).await?;
        Ok(support::aside::run(&*bus, &GROUPS, self.deliver_again).await?)
    }
}

/// What every request can reach.
struct Service {
    desk: Desk,
    /// The instructions to which there are committed answers, where these stand in for a model.
    samples: Vec<String>,
    keys: Keys,
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(
    options: Options,
    writer: Writer,
    model: Option<Health>,
    samples: Vec<String>,
) -> Result<(), Box<dyn Error>> {
    telemetry::logs();
    let keys = Keys::from_env("resume_writer")?;
    let (accounts, partner) = (Accounts::from_env()?, Partner::from_env()?);
    let is_told = partner.is_some();
    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    let metrics = telemetry::metrics()?;
    let mut desk = Desk::on_servers(&options.data, writer, accounts, partner).await?;
    desk.store = desk.store.with_calls_a_day(options.calls_a_day);
    let shutdown = Shutdown::new();
    let store = desk.store.clone();
    let ready = Ready::new(shutdown.clone()).with_bus(Arc::clone(&desk.bus)).with("store", move || {
        let store = store.clone();
        async move { store.ping().await }
    });
    let mut ready = ready.with_model(model);
    if !matches!(desk.accounts, Accounts::Export(None)) {
        ready = ready.with_last_call("github", desk.reading.clone());
    }
    if is_told {
        ready = ready.with_last_call("partner", desk.telling.clone());
    }
    let relay = desk.relay();
    let relay = tokio::spawn(or_none(shutdown.clone(), relay.run(shutdown.clone())));
    let consumers = [Some(desk.work()), Some(desk.note()), desk.notify()].into_iter().flatten();
    let parts: Vec<_> = consumers
        .map(|consumer| {
            let told = shutdown.clone();
            tokio::spawn(or_none(shutdown.clone(), async move { consumer.run(told).await }))
        })
        .collect();
    let service = Arc::new(Service { desk, samples, keys });
    let machines = support::machines::router(ready, metrics);

    tracing::info!(address = %listener.local_addr()?, "listening");
    support::print::address("resume_writer", listener.local_addr()?);
    let stop = async move {
        tokio::select! {
            () = telemetry::stop_signal() => shutdown.trigger(),
            () = shutdown.triggered() => {}
        }
    };
    support::serve::until(stop, listener, router(service, machines, options.requests_per_second)?).await?;
    for part in parts {
        part.await??;
    }
    relay.await??;
    tracing::info!("stopped");
    Ok(())
}

/// Does a part of the service's work, and stops the service when the part ends, in whatever way: what nobody would work on
/// must not be accepted.
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
    machines: OpenApiRouter<Arc<Service>>,
    requests: NonZeroU32,
) -> Result<Router, String> {
    let (api, mut openapi) = api::router().merge(shared::router()).split_for_parts();
    let (machines, more) = machines.split_for_parts();
    openapi.merge(more);
    let guarded = api
        .layer(middleware::from_fn(|request, next| support::body::limited(LARGEST, request, next)))
        .layer(middleware::from_fn(|request, next| {
            support::serve::in_time(Duration::from_secs(30), request, next)
        }))
        .layer(middleware::from_fn_with_state(Rate::per_second(requests), rate::limited))
        .layer(middleware::from_fn_with_state(service.keys.clone(), auth::identify))
        .merge(machines)
        .layer(middleware::from_fn_with_state(Queries::of(&openapi), Queries::only_where_declared));
    let router = Router::new().merge(guarded).merge(PAGE.router()).merge(support::openapi::router(openapi));
    Ok(support::serve::with_common_layers(router)?.with_state(service))
}
