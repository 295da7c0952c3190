//! The whole path within one process: a small Slack on the loopback, the bot, and signed events over HTTP.

use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusHandle;
use pumasi_core::event::Shutdown;
use pumasi_core::model::ChatModel;
use pumasi_core::slack::{
    RETRY_NUM_HEADER, RETRY_REASON_HEADER, SignatureVerifier, SigningSecret, SlackClient,
};
use serde_json::{Value, json};
use support::auth::{Keys, random_secret};
use support::ready::{Health, Ready};
use support::say;
use support::serve::Surroundings;
use support::slack::{FakeSlack, Fault, TOKEN};
use tokio::net::TcpListener;

use super::bot::Bot;
use super::play::{Sender, mention};
use super::serve::{self, Role, Service};

type Failed = Box<dyn Error>;

/// Tells the story; `asked` says how often the stand-in for a model was asked, if it is one.
pub(crate) async fn run(model: Arc<dyn ChatModel>, asked: impl Fn() -> Option<u64>) -> Result<(), Failed> {
    let slack = FakeSlack::start().await?;
    let folder = tempfile::tempdir()?;
    let secret = SigningSecret::new("a secret that only Slack and the bot know");
    let keys = Keys::new(&random_secret(), "slack_bot")?;
    let reader = keys
        .issue("operator", Role::Reader.as_str(), Duration::from_mins(10))
        .map_err(|problem| problem.detail)?;
    let shutdown = Shutdown::new();
    let bot = Bot::on_files(folder.path(), model, SlackClient::at(slack.url(), TOKEN)?).await?;
    let ready = serve::ready(Ready::new(shutdown.clone()), &bot, Health::default());
    let machines = support::machines::router(ready, None::<PrometheusHandle>);
    let working = bot.consumer().run(shutdown.clone());
    let service = Service {
        bot,
        // while it is rotated, the new secret and the old one are good
        verifier: SignatureVerifier::new("the secret of next month").with_secret(secret.clone()),
        keys: keys.clone(),
        model: None,
        play: None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = serve::router(service, machines, NonZeroU32::MAX, Surroundings::from_env()?);
    let until_told = shutdown.clone();
    let serving = support::serve::until(async move { until_told.triggered().await }, listener, router);
    let telling = async {
        let client = reqwest::Client::new();
        let sender = Sender { client, url: format!("{url}/slack/events"), secret };
        let told = tell(&slack, &sender, &format!("{url}/questions"), &reader).await;
        shutdown.trigger();
        told
    };
    let (served, worked, told) = tokio::join!(serving, working, telling);
    served?;
    worked?;
    told?;
    if let Some(asked) = asked() {
        say!("\nthe answers were looked up {asked} times for 6 questions");
    }
    Ok(())
}

async fn tell(slack: &FakeSlack, sender: &Sender, questions: &str, reader: &str) -> Result<(), Failed> {
    let challenge = json!({"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"});
    let (status, answer) = sender.send(&challenge, &[]).await?;
    say!("Slack asks whether the address is ours: {status}, {answer}");
    let forger = Sender {
        client: sender.client.clone(),
        url: sender.url.clone(),
        secret: SigningSecret::new("guessed"),
    };
    let (status, _) = forger.send(&mention("Ev0", "1.0", "let me in"), &[]).await?;
    say!("somebody forges an event: {status}\n");

    let asked = [
        ("Ev1", "How do I start running?"),
        ("Ev2", "  how do i START   running"),
        ("Ev3", "하프 마라톤은 어떻게 준비하나요?"),
        ("Ev4", "하프마라톤은 어떻게 준비하나요"),
        ("Ev5", "Ｈｏｗ do I start running ？！"),
        ("Ev6", "다음 회장은 누가 되나요?"),
    ];
    for (number, (event_id, text)) in (1..).zip(asked) {
        let ts = format!("1767225600.{number:06}");
        let event = mention(event_id, &ts, text);
        say!("{event_id}: {text}");
        if number == 3 {
            slack.fail_next([Fault::RateLimited(1)]);
        }
        let begun = Instant::now();
        let (status, _) = sender.send(&event, &[]).await?;
        let took = begun.elapsed();
        say!("  latency of the acknowledgement {took:?}");
        say!("  acknowledged: {status}");
        if number == 1 {
            // Slack did not hear the answer in time.
            let again = [(RETRY_NUM_HEADER, "1"), (RETRY_REASON_HEADER, "http_timeout")];
            let (status, _) = sender.send(&event, &again).await?;
            say!("  sent again by Slack, acknowledged: {status}");
        }
        let posts = slack.wait_for(number).await;
        let Some(post) = posts.last().filter(|_| posts.len() == number) else {
            return Err(format!("{} answers to {number} questions", posts.len()).into());
        };
        let in_thread = if post.thread.as_deref() == Some(&ts) { "its thread" } else { "another place" };
        say!("  answered in {in_thread}:");
        post.text.lines().for_each(|line| say!("    {line}"));
    }

    say!("\nasked most (GET /questions):");
    let list = sender.client.get(questions).bearer_auth(reader);
    let rows = list.send().await?.json::<Value>().await?;
    for row in rows.as_array().into_iter().flatten() {
        say!("  {}  {}", row["asked"], row["question"].as_str().unwrap_or_default());
    }
    Ok(())
}
