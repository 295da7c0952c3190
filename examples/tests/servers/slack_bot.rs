//! Questions and answers in PostgreSQL, events on Redis or Kafka, the cache on Redis.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use pumasi_core::slack::{SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER};
use pumasi_core::time::Timestamp;
use reqwest::{Client, StatusCode};
use serde_json::json;
use support::child::Running;
use support::slack::{FakeSlack, TOKEN};

use super::trial::{Bus, Trial, client, until};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

async fn mention(bot: &Running, number: usize, text: &str) -> reqwest::Result<StatusCode> {
    let event = json!({"type": "app_mention", "channel": "C1", "user": "U2", "ts": format!("1767225600.{number:06}"), "text": text});
    let body =
        json!({"type": "event_callback", "event_id": format!("Ev{number}"), "team_id": "T1", "event": event});
    let (at, body): (Timestamp, _) = (SystemTime::now().into(), body.to_string());
    let request = Client::new()
        .post(bot.url("/slack/events"))
        .header(TIMESTAMP_HEADER, at.as_micros() / 1_000_000)
        .header(SIGNATURE_HEADER, SigningSecret::new(SECRET).sign(at, body.as_bytes()))
        .body(body);
    request.send().await.map(|answer| answer.status())
}

#[tokio::test]
async fn bots_on_postgres_and_redis_answer_each_question_once_though_one_is_killed() {
    shared("slack_bot on PostgreSQL and Redis", Bus::Redis).await;
}

#[cfg(feature = "kafka")]
#[tokio::test]
async fn bots_on_postgres_and_kafka_answer_each_question_once_though_one_is_killed() {
    shared("slack_bot on PostgreSQL and Kafka", Bus::Kafka).await;
}

async fn shared(test: &str, bus: Bus) {
    let Some(trial) = Trial::new(test, bus).await else { return };
    let (folder, slack) = (tempfile::tempdir().unwrap(), FakeSlack::start().await.unwrap());
    let start = || {
        trial.start("slack_bot", |command| {
            command.env("SLACK_SIGNING_SECRET", SECRET).env("SLACK_BOT_TOKEN", TOKEN);
            command.env("SLACK_API_URL", slack.url()).env_remove("SLACK_ALERT_WEBHOOK_URL");
            command.args(["--posts-per-minute", "60000", "--data"]).arg(folder.path());
        })
    };
    let (one, other) = (start(), start());
    let mut acknowledged = 0;
    for number in 0..30 {
        let text = format!("질문 {}번은 무엇인가요?", number % 3);
        let bot = if number % 2 == 0 { &one } else { &other };
        assert_eq!(mention(bot, number, &text).await.unwrap(), StatusCode::OK);
        acknowledged += 1;
        // What Slack sends again may reach another process.
        assert_eq!(mention(&other, number, &text).await.unwrap(), StatusCode::OK);
    }
    one.signal("-KILL").unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    let per_thread = loop {
        let mut per_thread: HashMap<String, usize> = HashMap::new();
        for post in slack.posts() {
            *per_thread.entry(post.thread.unwrap()).or_default() += 1;
        }
        if per_thread.len() == acknowledged {
            break per_thread;
        }
        assert!(Instant::now() < deadline, "{} of {acknowledged} answered", per_thread.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(per_thread.values().all(|count| *count == 1), "an answer stands twice");
    let asked = until(&client("slack_bot", "운영자", "reader"), &other.url("/questions"), |asked| {
        asked.as_array().is_some_and(|asked| asked.iter().all(|row| row["asked"] == 10))
    })
    .await;
    assert_eq!(asked.as_array().unwrap().len(), 3, "each question is one, however often it is asked");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file was written");
    drop((one, other));
    trial.end().await;
}
