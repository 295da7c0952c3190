//! Alerts against a real socket: what Slack is told, what it costs, and what happens when Slack is in trouble.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pumasi_core::alert::{AlertStats, Alerts, AlertsBuilder};
use pumasi_core::event::{Context, Envelope, State};
use pumasi_core::slack::{SlackClient, SlackWebhook};
use pumasi_core::time::ManualClock;
use pumasi_core::{Error, ErrorKind};
use tracing_subscriber::prelude::*;

use crate::server::{Reply, Server};

/// A Slack that can be told to be in trouble, and remembers what it took.
struct Slack {
    server: Server,
    trouble: Arc<AtomicBool>,
    texts: Arc<Mutex<Vec<String>>>,
}

impl Slack {
    async fn start(trouble: Reply) -> Self {
        let (in_trouble, texts) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
        let (is_trouble, taken) = (Arc::clone(&in_trouble), Arc::clone(&texts));
        let server = Server::answering(move |request| {
            if is_trouble.load(Ordering::SeqCst) {
                return trouble.clone();
            }
            taken.lock().unwrap().push(request.body["text"].as_str().unwrap().to_owned());
            Reply::of(200, &[], "ok")
        })
        .await;
        Self { server, trouble: in_trouble, texts }
    }

    async fn well() -> Self {
        let slack = Self::start(Reply::default()).await;
        slack.recover();
        slack
    }

    fn recover(&self) {
        self.trouble.store(false, Ordering::SeqCst);
    }

    fn alerts(&self) -> AlertsBuilder {
        let webhook = SlackWebhook::new(format!("{}/hook", self.server.url())).unwrap();
        // What Slack takes later than that is told again, and counts twice here.
        Alerts::to_webhook("payments", webhook.with_timeout(Duration::from_secs(5)))
            .with_node("node-3")
            .with_gathering(Duration::from_millis(20))
            .with_interval(Duration::from_millis(20))
            .with_repeat_after(Duration::from_millis(100))
            .with_flush_limit(Duration::from_secs(30))
    }

    fn texts(&self) -> Vec<String> {
        self.texts.lock().unwrap().clone()
    }

    /// Adds up the counts in what was taken: with a kind, and as a number only.
    fn counts(&self) -> (u64, u64) {
        let digits = |text: &str| {
            text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
        };
        let (mut told, mut spilled) = (0, 0);
        for line in self.texts().iter().flat_map(|text| text.lines()) {
            if line.contains(" counted and not kept.") {
                spilled += digits(line);
            } else if let Some((_, count)) = line.split_once(" ×") {
                told += digits(count);
            }
        }
        (told, spilled)
    }
}

fn watched(alerts: &Alerts) -> tracing::subscriber::DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry().with(alerts.layer()))
}

/// Waits until Slack was told of everything that was seen.
async fn told(alerts: &Alerts) -> AlertStats {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let stats = alerts.stats();
        if stats.pending == 0 && stats.told + stats.spilled == stats.seen {
            return stats;
        }
        assert!(Instant::now() < deadline, "{stats:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_the_same_is_told_once_with_its_count() {
    let slack = Slack::well().await;
    let alerts = slack.alerts().with_fields(["status", "message"]).start().unwrap();
    let _watched = watched(&alerts);
    for number in 0..1000 {
        tracing::error!(status = 402, "attempt {number} was refused");
    }
    for status in [500, 503] {
        tracing::error!(status, "결제 <서버>가 답하지 않는다 & 기다린다");
    }
    tracing::warn!("no alert");
    let stats = alerts.flush().await;
    assert_eq!((stats.seen, stats.told, stats.spilled, stats.pending), (1002, 1002, 0, 0));
    assert_eq!(slack.counts(), (1002, 0));
    let texts = slack.texts().join("\n");
    assert!(texts.contains("*payments* on node-3"), "{texts}");
    assert_eq!(texts.matches("> attempt 0 was refused").count(), 1, "{texts}");
    assert!(texts.contains("*ERROR* ×1 `it::alert` crates/core/tests/it/alert.rs:"), "{texts}");
    assert!(texts.contains("status=500") && texts.contains("status=503") && texts.contains("status=402"));
    assert!(texts.contains("> 결제 &lt;서버&gt;가 답하지 않는다 &amp; 기다린다"), "{texts}");
}

/// The service logs 20,000 errors of 40 kinds while Slack is in trouble; afterwards the counts are right.
async fn endures(name: &str, trouble: Reply) {
    const ROUNDS: u64 = 500;
    let slack = Slack::start(trouble).await;
    let alerts =
        slack.alerts().with_fields(["kind"]).with_capacity(NonZeroUsize::new(16).unwrap()).start().unwrap();
    let watched = watched(&alerts);
    // The fastest round is the one that other work on the machine disturbed least.
    let mut round = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for kind in 0..40 {
            tracing::error!(kind, detail = "비밀", "a payment failed");
        }
        round = round.min(begun.elapsed());
    }
    let each = round / 40;
    let stats = alerts.stats();
    assert_eq!(stats.seen, 20_000);
    assert!(stats.kinds <= 16, "{stats:?}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while alerts.stats().failures < 2 {
        assert!(Instant::now() < deadline, "{:?}", alerts.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(watched);
    assert!(slack.texts().is_empty());
    slack.recover();
    let stats = told(&alerts).await;
    #[expect(clippy::print_stdout, reason = "a measurement")]
    {
        println!("Slack {name}: an error! cost {each:?}; {stats:?}");
    }
    assert!(each < Duration::from_micros(50), "an error! cost {each:?}");
    assert_eq!(stats.told + stats.spilled, 20_000);
    assert_eq!(slack.counts(), (stats.told, stats.spilled));
    assert!(stats.told >= 16 && stats.spilled >= 24 * ROUNDS, "{stats:?}");
    let texts = slack.texts().join("\n");
    assert!(texts.contains("Slack took no messages since 20"), "{texts}");
    assert!(!texts.contains("비밀"), "{texts}");
}

#[tokio::test]
async fn a_slack_that_hangs_is_not_noticed_and_told_afterwards() {
    endures("hangs", Reply::default().then_hang()).await;
}

#[tokio::test]
async fn a_slack_that_resets_connections_is_not_noticed_and_told_afterwards() {
    endures("resets connections", Reply::default()).await;
}

#[tokio::test]
async fn a_slack_that_fails_is_not_noticed_and_told_afterwards() {
    endures("answers 500", Reply::of(500, &[], "")).await;
}

#[tokio::test]
async fn a_slack_that_limits_the_rate_is_not_noticed_and_told_afterwards() {
    endures("answers 429", Reply::of(429, &[("retry-after", "1")], "")).await;
}

#[tokio::test]
async fn a_slack_that_is_away_is_not_noticed_and_the_end_is_not_delayed() {
    let client = SlackClient::at("http://127.0.0.1:1", "xoxb-1").unwrap();
    let limit = Duration::from_secs(1);
    let alerts = Alerts::to_channel("payments", client, "C1").with_flush_limit(limit).start().unwrap();
    let watched = watched(&alerts);
    tracing::error!("lost");
    drop(watched);
    let begun = Instant::now();
    let stats = alerts.shutdown().await;
    assert!(begun.elapsed() < limit + Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!((stats.told, stats.pending), (0, 1));
    assert!(stats.failures >= 1);
}

#[tokio::test]
async fn the_end_waits_for_slack_and_no_longer_than_it_may() {
    let slack = Slack::well().await;
    let patient = slack.alerts().with_gathering(Duration::from_mins(1)).start().unwrap();
    let watching = watched(&patient);
    for _ in 0..25 {
        tracing::error!("soon the end");
    }
    drop(watching);
    // dropping blocks its thread, and the server needs this one
    tokio::task::spawn_blocking(move || drop(patient)).await.unwrap();
    assert_eq!(slack.counts(), (25, 0));

    let hanging = Slack::start(Reply::default().then_hang()).await;
    let limit = Duration::from_millis(200);
    let alerts = hanging.alerts().with_flush_limit(limit).start().unwrap();
    let watching = watched(&alerts);
    tracing::error!("the end");
    drop(watching);
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || drop(alerts)).await.unwrap();
    assert!(begun.elapsed() < limit + Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn errors_may_be_gathered_until_the_end() {
    let slack = Slack::well().await;
    let alerts =
        slack.alerts().with_gathering(Duration::MAX).with_repeat_after(Duration::MAX).start().unwrap();
    let watching = watched(&alerts);
    tracing::error!("one of them");
    tokio::time::sleep(Duration::from_millis(50)).await;
    tracing::error!("one of them");
    drop(watching);
    let stats = alerts.shutdown().await;
    assert_eq!((stats.told, stats.pending, slack.counts()), (2, 0, (2, 0)));
}

#[tokio::test]
async fn what_was_not_declared_harmless_stays_here() {
    let slack = Slack::well().await;
    let alerts = slack.alerts().start().unwrap();
    {
        let _watched = watched(&alerts);
        let own = Error::new(ErrorKind::Timeout, "chat completion at h was not answered");
        let other = std::io::Error::other("달나라 io");
        tracing::error!(
            user = "달나라",
            number = 821_012_345_678_u64,
            error = &own as &dyn std::error::Error,
            cause = &other as &(dyn std::error::Error + 'static),
            shown = %own,
            "달나라 {}",
            "moonwalker"
        );
        tracing::error!(target: "pumasi_core::event", topic = "posts", "the event store is slow");
        tracing::error!(target: "pumasi_core_of_another", topic = "달나라", "moonwalker");
    }
    alerts.flush().await;
    let texts = slack.texts().join("\n");
    assert!(!texts.contains("달나라") && !texts.contains("moonwalker") && !texts.contains("8210"), "{texts}");
    assert!(texts.contains("> error=timeout: chat completion at h was not answered"), "{texts}");
    assert!(texts.contains("> withheld: message, user, number, cause, shown"), "{texts}");
    assert!(texts.contains("> the event store is slow\n> topic=posts"), "{texts}");
}

#[tokio::test]
async fn the_redactor_has_the_last_word() {
    let slack = Slack::well().await;
    let alerts = slack
        .alerts()
        .with_trusted_target("it::alert")
        .with_redactor(|name, value| match name {
            "account" => Some(format!("…{}", &value[value.len() - 2..])),
            "mail" => None,
            _ => Some(value.replace("지수", "[이름]")),
        })
        .start()
        .unwrap();
    {
        let _watched = watched(&alerts);
        tracing::error!(account = "12345678", mail = "a@b.example", "지수 was refused\n*ERROR* ×9 `x`");
    }
    alerts.flush().await;
    let texts = slack.texts().join("\n");
    assert!(texts.contains("> [이름] was refused *ERROR* ×9 `x`\n> account=…78"), "{texts}");
    assert!(!texts.contains("지수") && !texts.contains("1234") && !texts.contains("b.example"), "{texts}");
}

#[tokio::test]
async fn the_trace_comes_from_the_event_its_span_or_the_event_being_handled() {
    const TRACES: [&str; 4] = [
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "5bf92f3577b34da6a3ce929d0e0e4736",
        "6bf92f3577b34da6a3ce929d0e0e4736",
        "7bf92f3577b34da6a3ce929d0e0e4736",
    ];
    let slack = Slack::well().await;
    let alerts = slack.alerts().start().unwrap();
    {
        let _watched = watched(&alerts);
        tracing::error!(trace_id = TRACES[0], "own");
        tracing::info_span!("request", trace_id = %TRACES[1]).in_scope(|| {
            tracing::info_span!("inner").in_scope(|| tracing::error!("in a span"));
        });
        let late = tracing::info_span!("handle", trace_id = tracing::field::Empty);
        late.record("trace_id", TRACES[2]);
        late.in_scope(|| tracing::error!("in a span that learnt it late"));
        let traced = Envelope::new("posts", "1", State::Created, 1)
            .with_trace(format!("00-{}-00f067aa0ba902b7-01", TRACES[3]).parse().unwrap());
        Context::of(&traced).scope(async { tracing::error!("in a handler") }).await;
        tracing::error!(trace_id = "what a person wrote", "no trace");
    }
    alerts.flush().await;
    let texts = slack.texts().join("\n");
    for trace in TRACES {
        assert_eq!(texts.matches(&format!("> trace {trace}")).count(), 1, "{trace} {texts}");
    }
    assert!(!texts.contains("a person wrote"), "{texts}");
}

#[tokio::test]
async fn levels_and_targets_say_what_is_an_alert() {
    use tracing::level_filters::LevelFilter;

    let slack = Slack::well().await;
    let alerts = slack
        .alerts()
        .with_level(LevelFilter::WARN)
        .with_level_of("noisy", LevelFilter::OFF)
        .with_level_of("noisy::but_here", LevelFilter::INFO)
        .start()
        .unwrap();
    let _watched = watched(&alerts);
    tracing::warn!("yes");
    tracing::info!("no");
    tracing::error!(target: "noisy::inner", "no");
    tracing::info!(target: "noisy::but_here", "yes");
    tracing::error!(target: "noisyx", "yes");
    assert_eq!(alerts.stats().seen, 3);
}

#[tokio::test]
async fn a_kind_is_told_again_after_its_time_with_what_was_counted_since() {
    let slack = Slack::well().await;
    let clock = Arc::new(ManualClock::new());
    let alerts = slack
        .alerts()
        .with_gathering(Duration::from_secs(2))
        .with_interval(Duration::from_secs(10))
        .with_repeat_after(Duration::from_mins(5))
        .with_fields(["kind"])
        .with_clock(clock.clone())
        .start()
        .unwrap();
    let _watched = watched(&alerts);
    let fail = |kind: u32, times: u32| (0..times).for_each(|_| tracing::error!(kind, "x"));
    // Time stands still unless it is moved: what is not due is never told, however long this test takes.
    let after = async |seconds: u64, messages: u64| {
        clock.advance(Duration::from_secs(seconds));
        let deadline = Instant::now() + Duration::from_secs(30);
        while alerts.stats().messages < messages {
            assert!(Instant::now() < deadline, "{:?}", alerts.stats());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(alerts.stats().messages, messages);
    };
    fail(1, 3);
    after(1, 0).await;
    after(1, 1).await; // gathered
    fail(1, 7);
    fail(2, 1);
    after(9, 1).await; // not within the interval
    after(1, 2).await; // the new kind only
    assert_eq!(slack.counts(), (4, 0));
    after(289, 2).await;
    after(1, 3).await; // five minutes after the first time
    assert_eq!(slack.counts(), (11, 0));
    assert!(slack.texts()[2].contains("*ERROR* ×7"), "{:?}", slack.texts());
}

#[tokio::test]
async fn a_message_that_slack_refuses_is_given_up_and_counted() {
    let slack = Slack::start(Reply::of(400, &[], "invalid_payload")).await;
    let alerts =
        slack.alerts().with_gathering(Duration::MAX).with_interval(Duration::from_mins(10)).start().unwrap();
    let _watched = watched(&alerts);
    (0..5).for_each(|_| tracing::error!("x"));
    alerts.flush().await;
    assert_eq!((alerts.stats().pending, alerts.stats().spilled), (0, 5));
    assert_eq!(slack.server.received().len(), 2, "the message, and that it was not kept");
    slack.recover();
    alerts.flush().await;
    assert_eq!(slack.counts(), (0, 5));
}
