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

use pumasi_core::alert::Alerts;
use pumasi_core::schedule::Schedule;
use pumasi_core::slack::{SlackClient, SlackWebhook};
use support::auth::Keys;
use support::page::{Entrance, Page};
use support::ready::Health;
use support::service::{Host, Limits, Routes};
use support::{telemetry, tokens};

use crate::Told;
use crate::calendar::Calendar;
use crate::club::{Club, Setup};
use crate::notices::Channel;
use crate::statistics::chosen;
use input::Role;

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    entrance: Entrance::Name(&["runner", "organiser"]),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

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
    /// Where the club runs: its days begin at two in the morning there. It stays as it was when the club was opened first.
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

pub(crate) type TokenOptions = tokens::Options<Role>;

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
    let mut host = Host::start("running_club", options.listen).await?;
    let setup = Setup {
        folder: options.data,
        calendar: Calendar::in_zone(&options.zone)?,
        statistics: chosen(&options.statistics)?,
        weekly: Schedule::cron(&options.weekly, &options.zone)?,
        monthly: Schedule::cron(&options.monthly, &options.zone)?,
        notices: channel()?,
    };
    let club = Club::open(&setup, None, host.shutdown.clone()).await?;
    let posting = setup.notices.as_ref().map(|channel| channel.posting.clone());
    host.works_on(club.clone().work(setup));
    host.also(club.followed.clone().measure(host.shutdown.clone()));
    let asked = club.clone();
    let ready = host.ready().with_bus(Arc::clone(&club.bus)).with("store", move || {
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
    let people = api::router().merge(boards::router()).merge(people::router());
    let people = people.merge(tokens::router_with_usual(&host.keys, Role::Runner));
    let routes = Routes::new(people);
    let limits = Limits::new(LARGEST, options.requests_per_second);
    let router = host.router(routes, ready, limits, PAGE);
    let service = Service { club, has_slack, keys: host.keys.clone() };
    host.serve(router.with_state(Arc::new(service))).await?;
    if let Some(alerts) = alerts {
        alerts.shutdown().await;
    }
    Ok(())
}
