//! The service: an admin stores knowledge, runners ask.

mod allowance;
mod api;
mod upload;

use std::error::Error;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use pumasi_core::event::Shutdown;
use pumasi_core::filter::Filter;
use pumasi_core::model::ChatModel;
use pumasi_rag::answer::Assistant;
use pumasi_rag::memory::Memory;
use pumasi_rag::sse::Streams;
use support::auth::{self, Caller, Keys};
use support::model::Watched;
use support::openapi::Queries;
use support::page::Page;
use support::rate::{self, Rate};
use support::ready::Ready;
use support::{servers, telemetry};
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

use allowance::{Allowance, Limits};

use crate::coach;
use crate::knowledge::{self, Knowledge};

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// Who may store and remove knowledge.
const ADMIN: &str = "admin";
/// For how long a token is good.
const LIFETIME: Duration = Duration::from_hours(12);
/// How many conversations are remembered.
const CONVERSATIONS: usize = 10_000;
/// The room for answers that are given again, in bytes.
const ANSWERS: u64 = 16 << 20;
/// The largest body, in bytes; and the largest of an admin, whose files may be books.
const LARGEST: usize = 64 * 1024;
const LARGEST_FILE: usize = 16 << 20;

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
    limits: Limits,
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
    streams: Streams,
    keys: Keys,
}

/// Serves until the process is asked to stop.
pub(crate) async fn run(options: Options, model: Option<Arc<dyn ChatModel>>) -> Result<(), Box<dyn Error>> {
    support::serve::check_environment()?;
    telemetry::logs();
    let metrics = telemetry::metrics()?;
    let keys = Keys::from_env("running_coach")?;
    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    let database = servers::postgres("running_coach").await?;
    let asked = options.data.with_extension("asked.sqlite");
    let allowance = Allowance::open(&asked, Clone::clone(&database), options.limits).await?;
    let knowledge = knowledge::open(&options.data, database).await?;
    if knowledge.store.version().await? == 0 {
        let report = knowledge.ingest().run(knowledge::committed()?).await?;
        tracing::info!(documents = report.added, "stored the committed knowledge");
    }
    keys.offer("admin", ADMIN, LIFETIME)?;
    let shutdown = Shutdown::new();
    let (asked, cache) = (knowledge.store.clone(), servers::cache(ANSWERS)?);
    let model = model.map(|model| Arc::new(Watched::new(model)));
    let ready = Ready::new(shutdown.clone()).with_cache(cache.clone());
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
        memory: Arc::new(Memory::new(NonZeroUsize::new(CONVERSATIONS).unwrap_or(NonZeroUsize::MIN))),
        // without grace: a runner who leaves ends the model's call, which costs money
        streams: Streams::new(),
        keys,
    });
    let machines = support::machines::router(ready, metrics);
    tracing::info!(address = %listener.local_addr()?, "listening");
    eprintln!("running_coach: http://{}", listener.local_addr()?);
    let stop = async move {
        telemetry::stop_signal().await;
        shutdown.trigger();
    };
    support::serve::until(stop, listener, router(service, machines, options.requests_per_second)?).await?;
    tracing::info!("stopped");
    Ok(())
}

fn router(
    service: Arc<Service>,
    machines: OpenApiRouter<Arc<Service>>,
    requests: NonZeroU32,
) -> Result<Router, String> {
    let (api, mut openapi) = api::router().split_for_parts();
    let (machines, more) = machines.split_for_parts();
    openapi.merge(more);
    let guarded = api
        // `limited` is the limit.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(limited))
        // A book takes its time to be read and embedded.
        .layer(middleware::from_fn(|request, next| {
            support::serve::in_time(Duration::from_mins(2), request, next)
        }))
        .layer(middleware::from_fn_with_state(Rate::per_second(requests), rate::limited))
        .layer(middleware::from_fn_with_state(service.keys.clone(), auth::identify))
        .merge(machines)
        .layer(middleware::from_fn_with_state(Queries::of(&openapi), Queries::only_where_declared));
    let router = Router::new().merge(guarded).merge(PAGE.router()).merge(support::openapi::router(openapi));
    Ok(support::serve::with_common_layers(router)?.with_state(service))
}

/// Reads a body into memory, as much of it as whoever asks may send.
async fn limited(request: Request, next: Next) -> Response {
    let is_admin = request.extensions().get::<Caller>().is_some_and(|caller| caller.is(ADMIN));
    support::body::limited(if is_admin { LARGEST_FILE } else { LARGEST }, request, next).await
}
