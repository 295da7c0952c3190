//! The service: members post, vote, talk and take part; forecasters warn.

mod api;
mod input;
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

use pumasi_core::event::Shutdown;
use pumasi_core::time::SystemClock;
use support::listeners::Listeners;
use support::page::{Entrance, Page};
use support::service::{Host, Limits, Routes};
use support::{servers, telemetry, tokens};

use crate::Told;
use crate::community::Community;
use input::Role;

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    entrance: Entrance::Name(&["member", "forecaster"]),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

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

pub(crate) type TokenOptions = tokens::Options<Role>;

/// What every request can reach.
struct Service {
    community: Community,
    listeners: Listeners,
    shutdown: Shutdown,
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(options: Options) -> Told {
    telemetry::logs();
    let mut host = Host::start("weather_community", options.listen).await?;
    let database = servers::postgres("weather_community").await?;
    let community = Community::open(&options.data, database, Arc::new(SystemClock)).await?;
    let asked = community.clone();
    let ready = host.ready().with("store", move || {
        let community = asked.clone();
        async move { community.ping().await }
    });
    host.also(tidy(community.clone(), host.shutdown.clone()));
    let people = api::router().merge(sky::router()).merge(rooms::router()).merge(rewards::router());
    let people = people.merge(tokens::router::<Role, _>(&host.keys)).merge(tokens::about(&host.keys));
    let routes = Routes::new(people).with_endless(rooms::endless());
    let limits = Limits::new(LARGEST, options.requests_per_second);
    let router = host.router(routes, ready, limits, PAGE);
    let shutdown = host.shutdown.clone();
    let service = Service { community, listeners: Listeners::default(), shutdown };
    host.serve(router.with_state(Arc::new(service))).await
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
