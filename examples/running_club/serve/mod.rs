//! The service: runners record runs and look where they stand.

mod api;
mod boards;
mod input;
mod people;
mod view;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use pumasi_core::alert::Alerts;
use pumasi_core::event::Shutdown;
use pumasi_core::schedule::Schedule;
use pumasi_core::slack::{SlackClient, SlackWebhook};
use support::auth::{self, Keys};
use support::openapi::Queries;
use support::page::Page;
use support::rate::{self, Rate};
use support::ready::{Health, Ready};
use support::{servers, telemetry};
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

use crate::Told;
use crate::calendar::Calendar;
use crate::club::{Club, EVENTS, GROUPS, Setup};
use crate::notices::Channel;
use crate::statistics::chosen;
use input::Role;

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// For how long a token is good.
const LIFETIME: Duration = Duration::from_hours(12);
/// The largest body, in bytes.
const LARGEST: usize = 16 * 1024;

/// Where the service listens, what it keeps, and how the club is set up.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8793")]
    listen: SocketAddr,
    /// The folder for everything that is on no server; made if it does not exist.
    #[arg(long, default_value = "running_club.data")]
    data: PathBuf,
    /// How many requests a second one caller may make.
    #[arg(long, default_value = "50")]
    requests_per_second: NonZeroU32,
    /// Where the club runs: its days begin at two in the morning there.
    #[arg(long, default_value = "Asia/Seoul", value_name = "ZONE")]
    zone: String,
    /// When weeks are closed and recapped, as a cron expression: six hours or more after they have ended, on Mondays at two.
    #[arg(long, default_value = Setup::WEEKLY, value_name = "CRON")]
    weekly: String,
    /// When months are closed and recapped, as a cron expression: six hours or more after they have ended, at two on the first.
    #[arg(long, default_value = Setup::MONTHLY, value_name = "CRON")]
    monthly: String,
    /// What recaps tell, by comma; all that there is if left out.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    statistics: Vec<String>,
}

/// Whom a token is for.
#[derive(clap::Args)]
pub(crate) struct TokenOptions {
    /// The name.
    name: String,
    /// What it lets one do.
    #[arg(long, value_enum, default_value_t)]
    role: Role,
}

impl TokenOptions {
    /// Prints the token.
    pub(crate) fn print(&self) -> Told {
        Ok(auth::print_token("running_club", &self.name, self.role.as_str(), LIFETIME)?)
    }
}

/// What to do about events that were put aside.
#[derive(clap::Args)]
pub(crate) struct AsideOptions {
    /// The folder of the service, where its events are not on a server.
    #[arg(long, default_value = "running_club.data")]
    data: PathBuf,
    /// Has them delivered again, their attempts counted anew.
    #[arg(long)]
    deliver_again: bool,
}

impl AsideOptions {
    pub(crate) async fn run(&self) -> Told {
        let bus = servers::bus(&self.data.join(EVENTS)).await?;
        Ok(support::aside::run(&*bus, &GROUPS, self.deliver_again).await?)
    }
}

/// What every request can reach.
struct Service {
    club: Club,
    has_slack: bool,
    keys: Keys,
}

/// The channel that the environment names, if it does.
fn channel() -> Result<Option<Channel>, Box<dyn Error>> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(token), Some(channel)) = (set("SLACK_BOT_TOKEN"), set("SLACK_CHANNEL")) else {
        return Ok(None);
    };
    let api = set("SLACK_API_URL").unwrap_or_else(|| SlackClient::BASE_URL.to_owned());
    Ok(Some(Channel { slack: SlackClient::at(&api, token)?, channel, posting: Health::default() }))
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(options: Options) -> Told {
    let alerts = match env::var("SLACK_ALERT_WEBHOOK_URL") {
        Ok(url) => Some(Alerts::to_webhook("running_club", SlackWebhook::new(url)?).start()?),
        Err(_) => None,
    };
    telemetry::logs_and(alerts.as_ref().map(Alerts::layer));
    let keys = Keys::from_env("running_club")?;
    let setup = Setup {
        folder: options.data,
        calendar: Calendar::in_zone(&options.zone)?,
        statistics: chosen(&options.statistics)?,
        weekly: Schedule::cron(&options.weekly, &options.zone)?,
        monthly: Schedule::cron(&options.monthly, &options.zone)?,
        notices: channel()?,
    };
    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    let (metrics, shutdown) = (telemetry::metrics()?, Shutdown::new());
    let club = Club::open(&setup, None, shutdown.clone()).await?;
    let posting = setup.notices.as_ref().map(|channel| channel.posting.clone());
    let work = tokio::spawn(club.clone().work(setup));
    let asked = club.clone();
    let ready = Ready::new(shutdown.clone()).with_bus(Arc::clone(&club.bus)).with("store", move || {
        let club = asked.clone();
        async move { club.ping().await }
    });
    let asked = club.clone();
    let ready = ready.with("boards", move || {
        let club = asked.clone();
        async move { club.boards.ping().await }
    });
    let has_slack = posting.is_some();
    let ready = match posting {
        Some(posting) => ready.with_last_call("slack", posting),
        None => ready,
    };
    let service = Arc::new(Service { club, has_slack, keys });
    let machines = support::machines::router(ready, metrics);

    tracing::info!(address = %listener.local_addr()?, "listening");
    support::print::address("running_club", listener.local_addr()?);
    let stop = async move {
        tokio::select! {
            () = telemetry::stop_signal() => shutdown.trigger(),
            () = shutdown.triggered() => {}
        }
    };
    support::serve::until(stop, listener, router(service, machines, options.requests_per_second)?).await?;
    work.await??;
    tracing::info!("stopped");
    if let Some(alerts) = alerts {
        alerts.shutdown().await;
    }
    Ok(())
}

fn router(
    service: Arc<Service>,
    machines: OpenApiRouter<Arc<Service>>,
    requests: NonZeroU32,
) -> Result<Router, String> {
    let (api, mut openapi) = api::router().merge(boards::router()).merge(people::router()).split_for_parts();
    let (machines, more) = machines.split_for_parts();
    openapi.merge(more);
    let guarded = api
        .layer(middleware::from_fn(|request, next| support::body::limited(LARGEST, request, next)))
        .layer(middleware::from_fn(|request, next| {
            support::serve::in_time(Duration::from_secs(30), request, next)
        }))
        .layer(middleware::from_fn_with_state(Rate::per_second(requests), rate::limited))
        .layer(middleware::from_fn_with_state(service.keys.clone(), auth::identify))
        .merge(machines)
        .layer(middleware::from_fn_with_state(Queries::of(&openapi), Queries::only_where_declared));
    let router = Router::new().merge(guarded).merge(PAGE.router()).merge(support::openapi::router(openapi));
    Ok(support::serve::with_common_layers(router)?.with_state(service))
}
