//! The service: members post, vote, talk and take part; forecasters warn.

mod api;
mod input;
mod listeners;
mod live;
mod rewards;
mod rooms;
mod sky;
mod view;

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use pumasi_core::event::Shutdown;
use pumasi_core::time::SystemClock;
use support::auth::{self, Keys};
use support::openapi::Queries;
use support::page::Page;
use support::rate::{self, Rate};
use support::ready::Ready;
use support::{servers, telemetry};
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

use crate::Told;
use crate::community::Community;
use input::Role;
use listeners::Listeners;

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// For how long a token is good.
const LIFETIME: Duration = Duration::from_hours(12);
/// The largest body, in bytes.
const LARGEST: usize = 16 * 1024;

/// Where the service listens and what it keeps.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8792")]
    listen: SocketAddr,
    /// The folder for everything; made if it does not exist.
    #[arg(long, default_value = "weather_community.data")]
    data: PathBuf,
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
        Ok(auth::print_token("weather_community", &self.name, self.role.as_str(), LIFETIME)?)
    }
}

/// What every request can reach.
struct Service {
    community: Community,
    keys: Keys,
    listeners: Listeners,
    shutdown: Shutdown,
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    telemetry::logs();
    let keys = Keys::from_env("weather_community")?;
    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    let metrics = telemetry::metrics()?;
    let community =
        Community::open(&options.data, servers::postgres("weather_community").await?, Arc::new(SystemClock))
            .await?;
    let shutdown = Shutdown::new();
    let asked = community.clone();
    let ready = Ready::new(shutdown.clone()).with("store", move || {
        let community = asked.clone();
        async move { community.ping().await }
    });
    let tidying = tokio::spawn(tidy(community.clone(), shutdown.clone()));
    let service =
        Arc::new(Service { community, keys, listeners: Listeners::default(), shutdown: shutdown.clone() });
    let machines = support::machines::router(ready, metrics);

    tracing::info!(address = %listener.local_addr()?, "listening");
    support::print::address("weather_community", listener.local_addr()?);
    let told = shutdown.clone();
    tokio::spawn(async move {
        telemetry::stop_signal().await;
        told.trigger();
    });
    let router = router(service, machines, options.requests_per_second)?;
    support::serve::until(async move { shutdown.triggered().await }, listener, router).await?;
    tidying.await?;
    tracing::info!("stopped");
    Ok(())
}

/// Forgets once an hour what nobody asks for any more.
async fn tidy(community: Community, shutdown: Shutdown) {
    let mut hour = tokio::time::interval(Duration::from_hours(1));
    loop {
        tokio::select! {
            _ = hour.tick() => {}
            () = shutdown.triggered() => return,
        }
        if let Err(error) = community.clean_up().await {
            tracing::warn!(error = &error as &dyn Error, "what is over could not be forgotten");
        }
    }
}

fn router(
    service: Arc<Service>,
    machines: OpenApiRouter<Arc<Service>>,
    requests: NonZeroU32,
) -> Result<Router, String> {
    let (api, mut openapi) =
        api::router().merge(sky::router()).merge(rooms::router()).merge(rewards::router()).split_for_parts();
    let (machines, more) = machines.split_for_parts();
    openapi.merge(more);
    let (endless, more) = rooms::endless().split_for_parts();
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
