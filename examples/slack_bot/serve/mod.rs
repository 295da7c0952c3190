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

use axum::{Router, middleware};
use pumasi_core::alert::Alerts;
use pumasi_core::event::Shutdown;
use pumasi_core::model::ChatModel;
use pumasi_core::slack::{SignatureVerifier, SlackClient, SlackWebhook};
use support::auth::{self, Keys};
use support::model::Watched;
use support::openapi::Queries;
use support::page::Page;
use support::rate::{self, Rate};
use support::ready::{Health, Ready};
use support::{servers, telemetry};
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

use super::bot::{Bot, EVENTS, GROUP};
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

/// Whose token to print.
#[derive(clap::Args)]
pub(crate) struct TokenOptions {
    /// The name.
    name: String,
    /// What it lets one do.
    #[arg(long, value_enum, default_value_t = Role::Reader)]
    role: Role,
}

/// What a token lets one do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Reads what is asked most.
    Reader,
    /// Sees what was put aside, too, and has it delivered again.
    Operator,
}

impl Role {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
        }
    }
}

/// What to do about questions that were put aside.
#[derive(clap::Args)]
pub(crate) struct AsideOptions {
    /// The folder of the service, where its events are not on a server.
    #[arg(long, default_value = "slack_bot.data")]
    data: PathBuf,
    /// Has them delivered again, their attempts counted anew.
    #[arg(long)]
    deliver_again: bool,
}

impl TokenOptions {
    pub(crate) fn print(&self) -> Result<(), Box<dyn Error>> {
        Ok(auth::print_token("slack_bot", &self.name, self.role.as_str(), LIFETIME)?)
    }
}

impl AsideOptions {
    pub(crate) async fn run(&self) -> Result<(), Box<dyn Error>> {
        let bus = servers::bus(&self.data.join(EVENTS)).await?;
        Ok(support::aside::run(&*bus, &[GROUP], self.deliver_again).await?)
    }
}

const PAGE: Page = Page {
    index: include_str!("../page/index.html"),
    style: include_str!("../page/style.css"),
    script: include_str!("../page/app.js"),
};

/// How long a token is good that is handed out where Slack is played.
const SESSION: Duration = Duration::from_hours(12);
/// How long a token is good.
const LIFETIME: Duration = Duration::from_hours(24 * 30);

/// What every request can reach.
pub(crate) struct Service {
    pub(crate) bot: Bot,
    pub(crate) verifier: SignatureVerifier,
    pub(crate) keys: Keys,
    /// The name of the model, if there is one.
    pub(crate) model: Option<String>,
    /// The Slack that is played, if it is.
    pub(crate) play: Option<Play>,
    pub(crate) shutdown: Shutdown,
}

/// What the bot cannot do without.
pub(crate) fn ready(bot: &Bot, model: Health, shutdown: &Shutdown) -> Ready {
    let store = bot.store.clone();
    let ready = Ready::new(shutdown.clone()).with_bus(bot.bus.clone()).with_cache(bot.cache.clone());
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
    let is_nowhere = secrets.is_none() && token.is_none() && keys.is_random();
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
    support::serve::check_environment()?;
    let alerts = match env::var("SLACK_ALERT_WEBHOOK_URL").ok().filter(|url| !url.trim().is_empty()) {
        Some(url) => Some(Alerts::to_webhook("slack_bot", SlackWebhook::new(url)?).start()?),
        None => None,
    };
    telemetry::logs_and(alerts.as_ref().map(Alerts::layer));

    let listener =
        TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    let keys = Keys::from_env("slack_bot")?;
    let (verifier, slack, play) = workspace(&options, &keys, listener.local_addr()?).await?;
    if play.is_none() {
        keys.offer("operator", Role::Operator.as_str(), LIFETIME)?;
    }
    std::fs::create_dir_all(&options.data).map_err(|error| format!("{}: {error}", options.data.display()))?;
    let shutdown = Shutdown::new();
    let name = (!is_offline).then(|| model.name().to_owned());
    let model = Arc::new(Watched::new(model));
    let health = model.health();
    let bot = Bot::on_servers(&options.data, model, slack).await?;
    let bot = bot.with_posts_per_minute(options.posts_per_minute);
    let machines = support::machines::router(ready(&bot, health, &shutdown), telemetry::metrics()?);
    let service = Service { bot, verifier, keys, model: name, play, shutdown: shutdown.clone() };
    tracing::info!(address = %listener.local_addr()?, "listening");
    eprintln!("slack_bot: http://{}", listener.local_addr()?);
    let stop = async move {
        telemetry::stop_signal().await;
        shutdown.trigger();
    };
    tokio::spawn(stop);
    serve(listener, service, machines, options.requests_per_second).await?;
    tracing::info!("stopped");
    if let Some(alerts) = alerts {
        alerts.shutdown().await;
    }
    Ok(())
}

/// Serves on a socket until the shutdown signal.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Service,
    machines: OpenApiRouter<Arc<Service>>,
    requests: NonZeroU32,
) -> Result<(), Box<dyn Error>> {
    let shutdown = service.shutdown.clone();
    let consumer = service.bot.consumer().run(shutdown.clone());
    let stop = shutdown.clone();
    let workers = tokio::spawn(async move {
        let ended = consumer.await;
        if let Err(error) = &ended {
            // What nobody would answer must not be acknowledged: Slack repeats it, by when another instance may run.
            tracing::error!(error = %error, "questions are not worked on any more");
        }
        stop.trigger();
        ended
    });
    let router = router(Arc::new(service), machines, requests)?;
    support::serve::until(async move { shutdown.triggered().await }, listener, router).await?;
    workers.await??;
    Ok(())
}

fn router(
    service: Arc<Service>,
    machines: OpenApiRouter<Arc<Service>>,
    requests: NonZeroU32,
) -> Result<Router, String> {
    let (api, mut openapi) = api::router().merge(machines).split_for_parts();
    let (people, more) = desk::router().merge(played::router()).split_for_parts();
    openapi.merge(more);
    let people = people
        .layer(middleware::from_fn_with_state(Rate::per_second(requests), rate::limited))
        .layer(middleware::from_fn_with_state(service.keys.clone(), auth::identify))
        .layer(middleware::from_fn_with_state(Queries::of(&openapi), Queries::only_where_declared));
    // Slack waits three seconds.
    let patience =
        middleware::from_fn(|request, next| support::serve::in_time(Duration::from_secs(3), request, next));
    let limit = middleware::from_fn(|request, next| support::body::limited(256 * 1024, request, next));
    let router = Router::new()
        .merge(api.merge(people).layer(limit).layer(patience))
        .merge(PAGE.router())
        .merge(support::openapi::router(openapi));
    Ok(support::serve::with_common_layers(router)?.with_state(service))
}
