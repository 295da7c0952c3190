//! The service: a search box whose primary engine an operator can cut off, to see who answers then.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router, middleware};
use metrics_exporter_prometheus::PrometheusHandle;
use pumasi_core::event::Shutdown;
use pumasi_search::fallback::Served;
use pumasi_search::{Query, Search};
use serde::{Deserialize, Serialize};
use support::auth::{self, Bearer, Caller, Keys};
use support::body::Object;
use support::problem::{Problem, fallbacks};
use support::query::{Known, limit, none_but};
use support::telemetry;
use tokio::net::TcpListener;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cable::{Cable, Line};
use crate::{CATEGORY, Engines};

/// Who may cut the primary off.
const OPERATOR: &str = "operator";
/// For how long the token is good that is handed out at the start.
const LIFETIME: Duration = Duration::from_hours(12);

/// Where the service listens.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8791")]
    listen: SocketAddr,
}

/// What every request can reach.
struct Service {
    search: Search,
    primary: Cable,
    metrics: PrometheusHandle,
    shutdown: Shutdown,
}

type Shared = State<Arc<Service>>;
type Answer<T> = Result<T, Problem>;

/// Serves until the process is asked to stop.
pub(crate) async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    telemetry::logs();
    let keys = Keys::from_env()?;
    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    let metrics = telemetry::metrics()?;
    let Engines { search, primary, .. } = crate::engines().await?;
    let shutdown = Shutdown::new();
    let service = Arc::new(Service { search, primary, metrics, shutdown: shutdown.clone() });
    keys.offer(OPERATOR, OPERATOR, LIFETIME)?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    eprintln!("dev_search: http://{}", listener.local_addr()?);
    let stop = async move {
        telemetry::stop_signal().await;
        shutdown.trigger();
    };
    support::serve::until(stop, listener, router(service, keys)).await?;
    tracing::info!("stopped");
    Ok(())
}

#[derive(OpenApi)]
#[openapi(
    modifiers(&Bearer),
    info(title = "Search", description = "Posts of developers, found also when the engine is gone.")
)]
struct Document;

fn router(service: Arc<Service>, keys: Keys) -> Router {
    let (api, openapi) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(search))
        .routes(routes!(engines))
        .routes(routes!(cut))
        .routes(routes!(healthy))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .split_for_parts();
    let limited = api
        .layer(middleware::from_fn(|request, next| support::body::limited(4 * 1024, request, next)))
        .layer(middleware::from_fn(|request, next| none_but(&["/search"], request, next)))
        .layer(middleware::from_fn_with_state(keys, auth::identify))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(10)));
    let router = limited.route("/openapi.json", get(|| async move { Json(openapi) }));
    fallbacks(router).layer(TraceLayer::new_for_http()).with_state(service)
}

/// What is looked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Words in Korean or English; everything, if they are left out.
    #[serde(default)]
    q: String,
    /// At most so many posts, from 1 to 500; 100 if left out.
    limit: Option<u16>,
}

/// What was found.
#[derive(Serialize, ToSchema)]
struct Found {
    /// `fresh`, `cached`, `stale` or `degraded`.
    served: &'static str,
    /// The engine that answered; none, if the cache did.
    engine: Option<String>,
    /// What the answer lacks.
    gaps: Vec<String>,
    posts: Vec<FoundPost>,
    /// How many posts of each category there are.
    categories: Vec<Category>,
}

#[derive(Serialize, ToSchema)]
struct FoundPost {
    id: String,
    title: String,
}

#[derive(Serialize, ToSchema)]
struct Category {
    name: String,
    posts: u64,
}

/// Finds posts, from whichever engine answers.
#[utoipa::path(get, path = "/search", params(Asked), responses(
    (status = 200, body = Found), (status = 400, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
async fn search(State(service): Shared, Known(asked): Known<Asked>) -> Answer<Json<Found>> {
    let query = if asked.q.trim().is_empty() { Query::everything() } else { Query::new(asked.q) };
    let query = query.with_limit(limit(asked.limit)?).with_facet(&CATEGORY, 10);
    let served = service.search.search(query).await?;
    let (state, engine) = (served.as_str(), served.backend().map(str::to_owned));
    let gaps = match &served {
        Served::Degraded { gaps, .. } => gaps.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let (_, page) = served.split();
    let title = |source: &serde_json::Value| {
        source.get("title").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    let posts = page.hits.iter().map(|hit| FoundPost { id: hit.id.clone(), title: title(&hit.source) });
    let counts = page.facets.iter().flat_map(|facet| &facet.counts);
    let categories = counts.map(|count| Category { name: count.value.clone(), posts: count.count });
    Ok(Json(Found { served: state, engine, gaps, posts: posts.collect(), categories: categories.collect() }))
}

/// How an engine stands.
#[derive(Serialize, ToSchema)]
struct EngineRow {
    engine: String,
    /// `closed`, `half_open` or `open`; none for the last one, which is asked whatever its health.
    circuit: Option<&'static str>,
    documents: Option<u64>,
    /// Whether it holds so few documents that it must have lost them.
    wiped: bool,
}

/// Shows how the engines stand.
#[utoipa::path(get, path = "/engines", responses((status = 200, body = Vec<EngineRow>)))]
async fn engines(State(service): Shared) -> Json<Vec<EngineRow>> {
    let rows = service.search.engines().into_iter().map(|state| EngineRow {
        circuit: state.circuit.map(pumasi_core::resilience::BreakerState::as_str),
        engine: state.engine,
        documents: state.documents,
        wiped: state.wiped,
    });
    Json(rows.collect())
}

/// What becomes of questions on their way to the primary engine.
#[derive(Deserialize, ToSchema)]
struct Cut {
    line: Line,
}

/// Cuts the primary engine off, or lets it back in. Takes an operator.
#[utoipa::path(put, path = "/engines/primary", request_body = Cut, security(("bearer" = [])), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn cut(State(service): Shared, caller: Caller, Object(wanted): Object<Cut>) -> Answer<StatusCode> {
    caller.require(OPERATOR)?;
    service.primary.set(wanted.line);
    tracing::warn!(line = ?wanted.line, "the primary engine was cut off, or let back in");
    Ok(StatusCode::NO_CONTENT)
}

/// Tells that the process lives.
#[utoipa::path(get, path = "/healthz", responses((status = 200)))]
async fn healthy() -> StatusCode {
    StatusCode::OK
}

/// Tells whether questions can be answered, by whichever engine.
#[utoipa::path(get, path = "/readyz", responses((status = 200), (status = 503, body = Problem)))]
async fn ready(State(service): Shared) -> Answer<StatusCode> {
    if service.shutdown.is_triggered() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the service is stopping"));
    }
    let _from_whom = service.search.search(Query::everything().with_limit(1)).await?;
    Ok(StatusCode::OK)
}

/// Shows the metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics(State(service): Shared) -> Response {
    telemetry::exposition(service.metrics.render())
}
