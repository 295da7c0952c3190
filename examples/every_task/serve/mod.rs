//! The service: posts in, tasks out, progress as it happens.

mod api;
mod news;
mod query;
mod view;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use pumasi_core::event::{Shutdown, SqliteBus};
use pumasi_llm_parse::task::{ExtractTasks, SqliteTaskStore, TaskMatcher, TaskPipeline, TaskStore};
use support::page::Page;
use support::problem::fallbacks;
use support::query::none_but;
use support::telemetry;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, broadcast};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use news::{News, Told};

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// What a post of the longest title, body and author takes where every character is written as two escapes.
const BODY_BYTES: usize = 256 * 1024;

/// Where the service listens and what it keeps.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// The folder for posts, tasks and events; made if it does not exist.
    #[arg(long, default_value = "every_task.data")]
    data: PathBuf,
}

/// What every request can reach.
struct Service {
    pipeline: TaskPipeline,
    store: Arc<dyn TaskStore>,
    matcher: TaskMatcher,
    /// The places of requests that match.
    matching: Semaphore,
    extractor: Arc<dyn ExtractTasks>,
    /// Those who want to know what happens to posts.
    listeners: broadcast::Sender<News>,
    /// Held while a post's next version is chosen.
    editing: Mutex<()>,
    metrics: PrometheusHandle,
    shutdown: Shutdown,
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(
    options: Options,
    extractor: Arc<dyn ExtractTasks>,
    matcher: TaskMatcher,
) -> Result<(), Box<dyn Error>> {
    telemetry::logs();
    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    std::fs::create_dir_all(&options.data).map_err(|error| format!("{}: {error}", options.data.display()))?;
    let bus = Arc::new(SqliteBus::open(options.data.join("events.sqlite")).await?);
    let store = Arc::new(SqliteTaskStore::open(options.data.join("tasks.sqlite")).await?);
    let listeners = broadcast::channel(256).0;
    let told = Arc::new(Told::new(extractor.clone(), listeners.clone()));
    let pipeline = TaskPipeline::new(bus.clone(), store.clone(), told);
    let shutdown = Shutdown::new();
    let service = Arc::new(Service {
        pipeline: pipeline.clone(),
        store,
        matcher,
        matching: Semaphore::new(2),
        extractor,
        listeners,
        editing: Mutex::new(()),
        metrics: telemetry::metrics()?,
        shutdown: shutdown.clone(),
    });

    let workers = tokio::spawn(or_none(shutdown.clone(), pipeline.consumer().run(shutdown.clone())));
    let watch = news::watch(bus, service.listeners.clone()).run(shutdown.clone());
    let watcher = tokio::spawn(or_none(shutdown.clone(), watch));
    let told = shutdown.clone();
    let recovery = tokio::spawn(async move { pipeline.keep_recovering(told).await });
    tracing::info!(address = %listener.local_addr()?, "listening");
    eprintln!("every_task: http://{}", listener.local_addr()?);

    let stop = async move {
        tokio::select! {
            () = telemetry::stop_signal() => shutdown.trigger(),
            () = shutdown.triggered() => {}
        }
    };
    support::serve::until(stop, listener, router(service)).await?;
    workers.await??;
    watcher.await??;
    recovery.await?;
    tracing::info!("stopped");
    Ok(())
}

/// Does a part of the service's work, and stops the service when the part ends, in whatever way: posts that nobody would
/// work on must not be accepted.
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

fn router(service: Arc<Service>) -> Router {
    let (api, mut openapi) = api::router().split_for_parts();
    let (endless, more) = api::endless().split_for_parts();
    openapi.merge(more);
    let limited = api
        .layer(middleware::from_fn(|request, next| support::body::limited(BODY_BYTES, request, next)))
        .layer(middleware::from_fn(no_query))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(30)));
    let router = Router::new()
        .merge(limited)
        .merge(PAGE.router())
        .merge(endless.layer(middleware::from_fn(no_query)))
        .route("/openapi.json", get(|| async move { axum::Json(openapi) }));
    fallbacks(router).layer(TraceLayer::new_for_http()).with_state(service)
}

/// Refuses parameters where a path takes none.
async fn no_query(request: Request, next: Next) -> Response {
    none_but(&["/posts", "/tasks"], request, next).await
}
