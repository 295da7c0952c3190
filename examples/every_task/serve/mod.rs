//! The service: posts in, tasks out, progress as it happens.

mod api;
mod members;
mod news;
mod query;
mod rehearsal;
mod view;

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use pumasi_core::event::Shutdown;
use pumasi_llm_parse::task::{ExtractTasks, SqliteTaskStore, TaskMatcher, TaskPipeline, TaskStore};
use support::auth::{self, Keys};
use support::openapi::Queries;
use support::page::Page;
use support::rate::{self, Rate};
use support::ready::{Health, Ready};
use support::{servers, telemetry};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, broadcast};
use utoipa_axum::router::OpenApiRouter;

use members::Members;
use news::{News, Told};
use rehearsal::Rehearsed;
use view::Role;

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
    /// How many requests a second one caller may make.
    #[arg(long, default_value = "50")]
    requests_per_second: NonZeroU32,
}

/// The file of the events, where they are not on a server.
const EVENTS: &str = "events.sqlite";
/// How often tasks are looked for before a post has failed.
const ATTEMPTS: u32 = 5;
/// For how long a token is good.
const LIFETIME: Duration = Duration::from_hours(12);

/// Whom a token is for.
#[derive(clap::Args)]
pub(crate) struct TokenOptions {
    /// The member's identifier.
    name: String,
    /// What it lets one do.
    #[arg(long, value_enum, default_value_t)]
    role: Role,
}

/// What to do about events that were put aside.
#[derive(clap::Args)]
pub(crate) struct AsideOptions {
    /// The folder of the service, where its events are not on a server.
    #[arg(long, default_value = "every_task.data")]
    data: PathBuf,
    /// Has them delivered again, their attempts counted anew.
    #[arg(long)]
    deliver_again: bool,
}

impl AsideOptions {
    pub(crate) async fn run(&self) -> Result<(), Box<dyn Error>> {
        let bus = servers::bus(&self.data.join(EVENTS)).await?;
        let groups = [TaskPipeline::GROUP, members::GROUP];
        Ok(support::aside::run(&*bus, &groups, self.deliver_again).await?)
    }
}

impl TokenOptions {
    /// Prints the token.
    pub(crate) fn print(&self) -> Result<(), Box<dyn Error>> {
        Ok(auth::print_token("every_task", &self.name, self.role.as_str(), LIFETIME)?)
    }
}

/// What every request can reach.
struct Service {
    pipeline: TaskPipeline,
    store: Arc<dyn TaskStore>,
    members: Members,
    matcher: TaskMatcher,
    /// The places of requests that match.
    matching: Arc<Semaphore>,
    extractor: Arc<dyn ExtractTasks>,
    /// Those who want to know what happens to posts.
    listeners: broadcast::Sender<News>,
    /// Held while a post's next version is chosen.
    editing: Mutex<()>,
    keys: Keys,
    shutdown: Shutdown,
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(
    options: Options,
    extractor: Arc<dyn ExtractTasks>,
    model: Option<Health>,
    matcher: TaskMatcher,
) -> Result<(), Box<dyn Error>> {
    support::serve::check_environment()?;
    telemetry::logs();
    let keys = Keys::from_env("every_task")?;
    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    std::fs::create_dir_all(&options.data).map_err(|error| format!("{}: {error}", options.data.display()))?;
    let database = servers::postgres("every_task").await?;
    let bus = servers::bus(&options.data.join(EVENTS)).await?;
    let members =
        Members::open(bus.clone(), Clone::clone(&database), &options.data.join("members.sqlite")).await?;
    let store: Arc<dyn TaskStore> = match database {
        #[cfg(feature = "postgres")]
        Some(pool) => {
            let store = pumasi_llm_parse::task::PostgresTaskStore::new(pool);
            store.migrate().await?;
            Arc::new(store)
        }
        _ => Arc::new(SqliteTaskStore::open(options.data.join("tasks.sqlite")).await?),
    };
    let listeners = broadcast::channel(256).0;
    let is_offline = model.is_none();
    let extractor: Arc<dyn ExtractTasks> =
        if is_offline { Arc::new(Rehearsed::new(extractor, ATTEMPTS)) } else { extractor };
    let told = Arc::new(Told::new(extractor.clone(), listeners.clone()));
    let pipeline = TaskPipeline::new(bus.clone(), store.clone(), told).with_max_attempts(ATTEMPTS);
    let shutdown = Shutdown::new();
    let asked = store.clone();
    let ready =
        Ready::new(shutdown.clone()).with_bus(bus.clone()).with_model(model).with("store", move || {
            let store = asked.clone();
            async move { store.get("").await.map(drop) }
        });
    let service = Arc::new(Service {
        pipeline: pipeline.clone(),
        store,
        members,
        matcher,
        matching: Arc::new(Semaphore::new(2)),
        extractor,
        listeners,
        editing: Mutex::new(()),
        keys,
        shutdown: shutdown.clone(),
    });
    let machines = support::machines::router(ready, telemetry::metrics()?);

    let workers = tokio::spawn(or_none(shutdown.clone(), pipeline.consumer().run(shutdown.clone())));
    let group = news::group(listener.local_addr()?);
    let watch = news::watch(bus.clone(), group.clone(), service.listeners.clone()).run(shutdown.clone());
    let watcher = tokio::spawn(or_none(shutdown.clone(), watch));
    let replica = service.members.consumer().run(shutdown.clone());
    let replica = tokio::spawn(or_none(shutdown.clone(), replica));
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
    support::serve::until(stop, listener, router(service, machines, options.requests_per_second)?).await?;
    workers.await??;
    watcher.await??;
    // Nobody reads on from where the page was.
    bus.forget_group(&group).await?;
    replica.await??;
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

fn router(
    service: Arc<Service>,
    machines: OpenApiRouter<Arc<Service>>,
    requests: NonZeroU32,
) -> Result<Router, String> {
    let (api, mut openapi) = api::router().split_for_parts();
    let (endless, more) = api::endless().split_for_parts();
    openapi.merge(more);
    let (machines, more) = machines.split_for_parts();
    openapi.merge(more);
    let limited = api
        .layer(middleware::from_fn(|request, next| support::body::limited(BODY_BYTES, request, next)))
        .layer(middleware::from_fn(|request, next| {
            support::serve::in_time(Duration::from_secs(30), request, next)
        }));
    let guarded = limited
        .merge(endless)
        .layer(middleware::from_fn_with_state(Rate::per_second(requests), rate::limited))
        .layer(middleware::from_fn_with_state(service.keys.clone(), auth::identify))
        .merge(machines)
        .layer(middleware::from_fn_with_state(Queries::of(&openapi), Queries::only_where_declared));
    let router = Router::new().merge(guarded).merge(PAGE.router()).merge(support::openapi::router(openapi));
    Ok(support::serve::with_common_layers(router)?.with_state(service))
}
