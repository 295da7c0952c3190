//! The service: people have résumés written and edited, share them, and hear what others think.

mod api;
mod shared;
mod view;

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use support::auth::Keys;
use support::page::{Entrance, Page};
use support::ready::Health;
use support::service::{Host, Limits, Routes};
use support::{telemetry, tokens};

use crate::desk::Desk;
use crate::evidence::Accounts;
use crate::partner::Partner;
use crate::store::WRITINGS_A_DAY;
use crate::writer::Writer;
use view::Role;

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    entrance: Entrance::Name(&["member", "moderator"]),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

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
    /// How much one person may have the model write within 24 hours: résumés, retries and instructions together. Each may take several
    /// calls of the model: where an answer is no use it is asked again, and where a call fails.
    #[arg(long, default_value_t = WRITINGS_A_DAY)]
    writings_a_day: NonZeroU32,
}

pub(crate) type TokenOptions = tokens::Options<Role>;

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
    let mut host = Host::start("resume_writer", options.listen).await?;
    let (accounts, partner) = (Accounts::from_env()?, Partner::from_env()?);
    let is_told = partner.is_some();
    let mut desk = Desk::on_servers(&options.data, writer, accounts, partner).await?;
    desk.store = desk.store.with_writings_a_day(options.writings_a_day);
    let store = desk.store.clone();
    let ready = host.ready().with_bus(Arc::clone(&desk.bus)).with("store", move || {
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
    for consumer in [Some(desk.work()), Some(desk.note()), desk.notify()].into_iter().flatten() {
        let stopping = host.shutdown.clone();
        host.works_on(async move { consumer.run(stopping).await });
    }
    let relay = desk.relay();
    let stopping = host.shutdown.clone();
    host.works_on(async move { relay.run(stopping).await });
    let people = api::router().merge(shared::router());
    let people = people.merge(tokens::router_with_usual(&host.keys, Role::Member));
    let routes = Routes::new(people);
    let limits = Limits::new(LARGEST, options.requests_per_second);
    let router = host.router(routes, ready, limits, PAGE);
    let service = Service { desk, samples, keys: host.keys.clone() };
    host.serve(router.with_state(Arc::new(service))).await
}
