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

use pumasi_core::event::Shutdown;
use pumasi_core::time::SystemClock;
use pumasi_llm_parse::task::{ExtractTasks, SqliteTaskStore, TaskMatcher, TaskPipeline, TaskStore};
use support::auth::Keys;
use support::database::{Database, Sql};
use support::listeners::{Bounds, Listeners};
use support::once::Once;
use support::page::{Entrance, Page};
use support::ready::Health;
use support::service::{Host, Limits, Routes};
use support::{servers, telemetry, tokens};
use tokio::sync::{Mutex, Semaphore, broadcast};

use members::Members;
use news::{News, Told};
use rehearsal::Rehearsed;
use view::Role;

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    entrance: Entrance::Fields(include_str!("../page/asked.html")),
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
pub(crate) const EVENTS: &str = "events.sqlite";
/// The groups that work on events.
pub(crate) const GROUPS: [&str; 2] = [TaskPipeline::GROUP, members::GROUP];
/// How many may match tasks or wait for that, where two match at once: nobody waits long, and nobody waits in all places.
const WAITING: Bounds =
    Bounds { all: 8, strangers: 6, of_a_member: 2, of_a_network: 4, members_of_a_network: 6 };
/// How often tasks are looked for before a post has failed.
const ATTEMPTS: u32 = 5;

pub(crate) type TokenOptions = tokens::Options<Role>;

/// What every request can reach.
struct Service {
    pipeline: TaskPipeline,
    store: Arc<dyn TaskStore>,
    /// What was asked for under the keys of clients.
    once: Once,
    members: Members,
    matcher: TaskMatcher,
    /// The places of requests that match.
    matching: Arc<Semaphore>,
    /// Those who match, or wait for a place.
    waiting: Listeners,
    extractor: Arc<dyn ExtractTasks>,
    /// Those who want to know what happens to posts.
    listeners: broadcast::Sender<News>,
    /// The places for them.
    places: Listeners,
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
    telemetry::logs();
    let mut host = Host::start("every_task", options.listen).await?;
    servers::folder(&options.data)?;
    let database = servers::postgres("every_task").await?;
    let bus = servers::bus(&options.data.join(EVENTS)).await?;
    let members =
        Members::open(bus.clone(), Clone::clone(&database), &options.data.join("members.sqlite")).await?;
    let requests = options.data.join("requests.sqlite");
    let requests = Database::open(&requests, Clone::clone(&database), Sql::both("SELECT 1")).await?;
    let once = Once::open(&requests, Arc::new(SystemClock)).await?;
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
    let asked = store.clone();
    let ready = host.ready().with_bus(bus.clone()).with_model(model).with("store", move || {
        let store = asked.clone();
        async move { store.get("").await.map(drop) }
    });
    let service = Arc::new(Service {
        pipeline: pipeline.clone(),
        store,
        once,
        members,
        matcher,
        matching: Arc::new(Semaphore::new(2)),
        waiting: Listeners::new(WAITING),
        extractor,
        listeners,
        places: Listeners::default(),
        editing: Mutex::new(()),
        keys: host.keys.clone(),
        shutdown: host.shutdown.clone(),
    });

    let shutdown = || host.shutdown.clone();
    let group = news::group(host.address()?);
    let watch = news::watch(bus.clone(), group.clone(), service.listeners.clone()).run(shutdown());
    let (work, replica) = (pipeline.consumer().run(shutdown()), service.members.consumer().run(shutdown()));
    let told = shutdown();
    host.works_on(work);
    host.works_on(watch);
    host.works_on(replica);
    host.also(async move { pipeline.keep_recovering(told).await });
    let routes = Routes::new(api::router()).with_endless(api::endless());
    let limits = Limits::new(BODY_BYTES, options.requests_per_second);
    let router = host.router(routes, ready, limits, PAGE);
    host.serve(router.with_state(service)).await?;
    // Nobody reads on from where the page was.
    bus.forget_group(&group).await?;
    Ok(())
}
