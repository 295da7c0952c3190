//! The service: what Slack sends is checked, stored and acknowledged; answers follow.

mod api;
mod desk;
mod played;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use pumasi_core::alert::Alerts;
use pumasi_core::model::ChatModel;
use pumasi_core::slack::{SignatureVerifier, SlackClient, SlackWebhook};
use support::aside::Aside;
use support::auth::Keys;
use support::model::Watched;
use support::page::{Entrance, Page};
use support::ready::{Health, Ready};
use support::serve::Surroundings;
use support::service::{Host, Limits, Routes};
use support::{servers, telemetry, tokens};
use utoipa_axum::router::OpenApiRouter;

use super::bot::{Bot, GROUP};
use super::play::Play;

/// Where the service listens and what it keeps.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8788")]
    listen: SocketAddr,
    /// The folder for questions and events; made if it does not exist.
    #[arg(long, default_value = "slack_bot.data")]
    data: PathBuf,
    /// How many requests a second one caller may make; what Slack signs is not bounded.
    #[arg(long, default_value = "20")]
    requests_per_second: NonZeroU32,
    /// How many answers a minute one channel gets; Slack takes one a second.
    #[arg(long, default_value_t = Bot::PER_MINUTE)]
    posts_per_minute: NonZeroU32,
    /// Plays Slack on the page, whatever the environment says of a real one.
    #[arg(long)]
    play_slack: bool,
}

pub(crate) type TokenOptions = tokens::Options<Role>;

support::roles! {
    /// What a token lets one do.
    pub(crate) enum Role {
        /// Reads what is asked most.
        #[default]
        Reader => "reader",
        /// Sees what was put aside, too, and has it delivered again.
        Operator => "operator",
    }
}

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    entrance: Entrance::Name(&["reader", "operator"]),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// How long a token is good that is not handed out on the page.
pub(crate) const LIFETIME: Duration = Duration::from_hours(24 * 30);

/// What every request can reach.
pub(crate) struct Service {
    pub(crate) bot: Bot,
    pub(crate) verifier: SignatureVerifier,
    pub(crate) keys: Keys,
    /// The name of the model, if there is one.
    pub(crate) model: Option<String>,
    /// The Slack that is played, if it is.
    pub(crate) play: Option<Play>,
}

/// What the bot cannot do without.
pub(crate) fn ready(ready: Ready, bot: &Bot, model: Health) -> Ready {
    let store = bot.store.clone();
    let ready = ready.with_bus(bot.bus.clone()).with_cache(bot.cache.clone());
    ready.with_model(Some(model)).with_last_call("slack", bot.posting.clone()).with("store", move || {
        let store = store.clone();
        async move { store.most_asked(1).await.map(drop) }
    })
}

/// Where questions come from, and where answers go.
async fn workspace(
    options: &Options,
    keys: &Keys,
    listening: SocketAddr,
) -> Result<(SignatureVerifier, SlackClient, Option<Play>), Box<dyn Error>> {
    let given = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let (secrets, token) = (given("SLACK_SIGNING_SECRET"), given("SLACK_BOT_TOKEN"));
    let is_nowhere = secrets.is_none() && token.is_none() && keys.hands_out();
    if options.play_slack || is_nowhere {
        let play = Play::start(listening).await?;
        tracing::warn!(
            "Slack is played on the page; SLACK_SIGNING_SECRET and SLACK_BOT_TOKEN lead to a real one"
        );
        return Ok((SignatureVerifier::new(play.secret()), play.api()?, Some(play)));
    }
    let needed = |name, value: Option<String>| {
        value.ok_or_else(|| format!("{name} is not set, or empty; --play-slack does without"))
    };
    let secrets = needed("SLACK_SIGNING_SECRET", secrets)?;
    let mut secrets = secrets.split(',').filter(|secret| !secret.trim().is_empty());
    let verifier = SignatureVerifier::new(secrets.next().ok_or("SLACK_SIGNING_SECRET is empty")?);
    let verifier = secrets.fold(verifier, SignatureVerifier::with_secret);
    let api = given("SLACK_API_URL").unwrap_or_else(|| SlackClient::BASE_URL.to_owned());
    Ok((verifier, SlackClient::at(&api, needed("SLACK_BOT_TOKEN", token)?)?, None))
}

/// Serves until the process is asked to stop, then finishes what is under way.
pub(crate) async fn run(
    options: Options,
    model: Arc<dyn ChatModel>,
    is_offline: bool,
) -> Result<(), Box<dyn Error>> {
    let alerts = match env::var("SLACK_ALERT_WEBHOOK_URL").ok().filter(|url| !url.trim().is_empty()) {
        Some(url) => Some(Alerts::to_webhook("slack_bot", SlackWebhook::new(url)?).start()?),
        None => None,
    };
    telemetry::logs_and(alerts.as_ref().map(Alerts::layer));

    let mut host = Host::start("slack_bot", options.listen).await?;
    let (verifier, slack, play) = workspace(&options, &host.keys, host.address()?).await?;
    if play.is_none() {
        host.keys.offer("operator", Role::Operator.as_str(), LIFETIME)?;
    }
    servers::folder(&options.data)?;
    let name = (!is_offline).then(|| model.name().to_owned());
    let model = Arc::new(Watched::new(model));
    let health = model.health();
    let bot = Bot::on_servers(&options.data, model, slack).await?;
    let bot = bot.with_posts_per_minute(options.posts_per_minute);
    // What nobody would answer must not be acknowledged: Slack repeats it, by when another instance may run.
    host.works_on(bot.consumer().run(host.shutdown.clone()));
    let machines = host.machines(ready(host.ready(), &bot, health));
    let keys = host.keys.clone();
    // What people ask in a real Slack is for those who have a token from elsewhere.
    let keys = if play.is_some() { keys } else { keys.without_handing_out() };
    let service = Service { bot, verifier, keys, model: name, play };
    let surroundings = host.surroundings.clone();
    host.serve(router(service, machines, options.requests_per_second, surroundings)).await?;
    if let Some(alerts) = alerts {
        alerts.shutdown().await;
    }
    Ok(())
}

pub(crate) fn router(
    service: Service,
    machines: OpenApiRouter<Arc<Service>>,
    requests: NonZeroU32,
    surroundings: Surroundings,
) -> Router {
    let aside = Aside::new(service.bot.bus.clone(), [GROUP], Role::Operator.as_str());
    let tokens = tokens::router::<Role, _>(&service.keys);
    let people = desk::router().merge(tokens).merge(played::router()).merge(aside.router());
    let routes = Routes::new(people).with_machines(machines).with_foreign(api::router());
    // Slack waits three seconds.
    let limits = Limits::new(256 * 1024, requests).with_time(Duration::from_secs(3));
    routes.within(limits, service.keys.clone(), PAGE, surroundings).with_state(Arc::new(service))
}
