//! The service: an admin stores knowledge, runners ask.

mod allowance;
mod api;
mod storing;
mod upload;

use std::error::Error;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::filter::Filter;
use pumasi_core::model::ChatModel;
use pumasi_rag::answer::Assistant;
use pumasi_rag::memory::Memory;
use pumasi_rag::sse::Streams;
use support::auth;
use support::model::Watched;
use support::page::{Entrance, Page};
use support::service::{Host, Limits, Routes};
use support::tokens::LIFETIME;
use support::{servers, telemetry};

use allowance::{Allowance, Bounds};
use storing::Storing;

use crate::coach;
use crate::knowledge::{self, Knowledge};

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    entrance: Entrance::Name(&[]),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// Who may store and remove knowledge.
const ADMIN: &str = "admin";
/// How many conversations are remembered.
const CONVERSATIONS: usize = 10_000;
/// The room for answers that are given again, in bytes.
const ANSWERS: u64 = 16 << 20;
/// The largest body, in bytes; and the largest of an admin, whose files may be books: one of so much text is read and embedded in the time
/// that there is for it, also by a debug build on a busy machine.
const LARGEST: usize = 64 * 1024;
const LARGEST_FILE: usize = 8 << 20;

/// Where the service listens.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8789")]
    listen: SocketAddr,
    /// The file of the knowledge; made, with the committed documents, if it does not exist.
    #[arg(long, default_value = "running_coach.sqlite")]
    data: PathBuf,
    /// How many requests a second one caller may make.
    #[arg(long, default_value = "20")]
    requests_per_second: NonZeroU32,
    #[command(flatten)]
    limits: Bounds,
}

/// Whom a token is for.
#[derive(clap::Args)]
pub(crate) struct TokenOptions {
    /// The admin's name.
    name: String,
}

impl TokenOptions {
    /// Prints an admin's token.
    pub(crate) fn print(&self) -> Result<(), Box<dyn Error>> {
        Ok(auth::print_token("running_coach", &self.name, ADMIN, LIFETIME)?)
    }
}

/// What every request can reach.
struct Service {
    coach: Assistant,
    /// Who answers what the model may not answer any more today.
    without_model: Assistant,
    allowance: Allowance,
    knowledge: Knowledge,
    memory: Arc<Memory>,
    storing: Storing,
    streams: Streams,
}

/// Serves until the process is asked to stop.
pub(crate) async fn run(options: Options, model: Option<Arc<dyn ChatModel>>) -> Result<(), Box<dyn Error>> {
    telemetry::logs();
    let host = Host::start("running_coach", options.listen).await?;
    let database = servers::postgres("running_coach").await?;
    let asked = options.data.with_extension("asked.sqlite");
    let allowance = Allowance::open(&asked, Clone::clone(&database), options.limits).await?;
    let knowledge = knowledge::shared(&options.data, database).await?;
    if knowledge.store.version().await? == 0 {
        let report = knowledge.ingest().run(knowledge::committed()?).await?;
        tracing::info!(documents = report.added, "stored the committed knowledge");
    }
    host.keys.offer("admin", ADMIN, LIFETIME)?;
    let (asked, cache) = (knowledge.store.clone(), servers::cache(ANSWERS)?);
    let model = model.map(|model| Arc::new(Watched::new(model)));
    let ready = host.ready().with_cache(cache.clone());
    let ready = ready.with_model(model.as_deref().map(Watched::health)).with("store", move || {
        let store = asked.clone();
        async move { store.count(&Filter::And(Vec::new())).await.map(drop) }
    });
    let model = model.map(|model| model as Arc<dyn ChatModel>);
    let service = Arc::new(Service {
        without_model: coach::assistant(knowledge.retriever(), None, cache.clone())?,
        coach: coach::assistant(knowledge.retriever(), model, cache)?,
        allowance,
        knowledge,
        storing: Storing::default(),
        memory: Arc::new(Memory::new(NonZeroUsize::new(CONVERSATIONS).unwrap_or(NonZeroUsize::MIN))),
        // without grace: a runner who leaves ends the model's call, which costs money
        streams: Streams::new(),
    });
    let routes = Routes::new(api::router());
    // A book takes its time to be read and embedded.
    let limits = Limits::new(LARGEST, options.requests_per_second).with_time(Duration::from_mins(2));
    let limits = limits.with_body_of(ADMIN, LARGEST_FILE);
    let router = host.router(routes, ready, limits, PAGE);
    host.serve(router.with_state(service)).await
}
