//! The service: an admin stores knowledge, runners ask.

mod api;

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use pumasi_core::model::ChatModel;
use pumasi_rag::answer::Assistant;
use pumasi_rag::memory::Memory;
use pumasi_rag::sse::Streams;
use support::page::Page;
use support::problem::fallbacks;
use support::telemetry;
use tokio::net::TcpListener;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::coach;
use crate::knowledge::{self, Knowledge};

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// Where the service listens.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8789")]
    listen: SocketAddr,
    /// The file of the knowledge; made, with the committed documents, if it does not exist.
    #[arg(long, default_value = "running_coach.sqlite")]
    data: PathBuf,
}

/// How many conversations are remembered.
const CONVERSATIONS: usize = 10_000;

/// What every request can reach.
struct Service {
    coach: Assistant,
    knowledge: Knowledge,
    memory: Arc<Memory>,
    streams: Streams,
    admin_token: String,
}

/// Serves until the process is asked to stop.
pub(crate) async fn run(options: Options, model: Option<Arc<dyn ChatModel>>) -> Result<(), Box<dyn Error>> {
    telemetry::logs();
    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    let is_new = !options.data.exists();
    let knowledge = knowledge::open(&options.data).await?;
    if is_new {
        let report = knowledge.ingest().run(knowledge::committed()?).await?;
        tracing::info!(documents = report.added, "stored the committed knowledge");
    }
    let set = std::env::var("RUNNING_COACH_ADMIN_TOKEN").ok().filter(|token| !token.is_empty());
    let admin_token = set.unwrap_or_else(|| {
        let token = pumasi_core::event::EventId::random().to_string();
        eprintln!("admin token: {token}");
        token
    });
    let service = Arc::new(Service {
        coach: coach::assistant(knowledge.retriever(), model)?,
        knowledge,
        memory: Arc::new(Memory::new(NonZeroUsize::new(CONVERSATIONS).unwrap_or(NonZeroUsize::MIN))),
        // without grace: a runner who leaves ends the model's call, which costs money
        streams: Streams::new(),
        admin_token,
    });
    eprintln!("running_coach: http://{}", listener.local_addr()?);
    support::serve::until(telemetry::stop_signal(), listener, router(service)).await?;
    Ok(())
}

fn router(service: Arc<Service>) -> Router {
    let limited = api::router()
        .layer(middleware::from_fn(|request, next| support::body::limited(256 * 1024, request, next)))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(30)));
    let router =
        Router::new().merge(limited).merge(PAGE.router()).route("/healthz", get(|| async { StatusCode::OK }));
    fallbacks(router).layer(TraceLayer::new_for_http()).with_state(service)
}
