//! The bot, from outside: what it acknowledged is answered once, whatever is killed in between.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

/// Its own tests run here: an example that is built as a test program cannot be started as a service.
#[path = "../slack_bot/question.rs"]
mod question;

mod desk;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use pumasi_core::slack::{RETRY_NUM_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER};
use pumasi_core::time::Timestamp;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::child::Running;
use support::slack::{FakeSlack, Fault, TOKEN};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const QUESTION: &str = "달나라여행은 어떻게 준비하나요?";

fn start(data: &Path, slack: &FakeSlack) -> Running {
    start_with(data, slack, "60000")
}

fn start_with(data: &Path, slack: &FakeSlack, posts_per_minute: &str) -> Running {
    try_start(data, slack, posts_per_minute, TOKEN).unwrap()
}

fn try_start(
    data: &Path,
    slack: &FakeSlack,
    posts_per_minute: &str,
    token: &str,
) -> std::io::Result<Running> {
    let serve = |command: &mut Command| {
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        command.args(["--posts-per-minute", posts_per_minute]).env("PUMASI_TOKEN_KEY", desk::KEY);
        command.env("SLACK_SIGNING_SECRET", format!("the new one,{SECRET}"));
        command.env("SLACK_BOT_TOKEN", token).env("SLACK_API_URL", slack.url());
        // As compose.yaml passes what is not set.
        command.env("SLACK_ALERT_WEBHOOK_URL", "");
    };
    Running::start("slack_bot", serve)
}

/// Runs `put-aside` beside the service.
fn put_aside(data: &Path, more: &[&str]) -> String {
    let mut command = Command::new(support::child::example("slack_bot").unwrap());
    for variable in ["PUMASI_POSTGRES_URL", "PUMASI_REDIS_URL", "PUMASI_KAFKA_URL"] {
        command.env_remove(variable);
    }
    let done = command.args(["put-aside", "--data"]).arg(data).args(more).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

fn token(role: &str) -> String {
    desk::token("slack_bot", "운영자", role)
}

fn question(number: usize, text: &str) -> Value {
    let event =
        json!({"type": "app_mention", "channel": "C1", "user": "U2", "ts": thread(number), "text": text});
    json!({"type": "event_callback", "event_id": format!("Ev{number}"), "team_id": "T1", "event": event})
}

fn thread(number: usize) -> String {
    format!("1767225600.{number:06}")
}

async fn send(client: &Client, bot: &Running, body: &Value) -> reqwest::Result<reqwest::Response> {
    signed(client, bot, body, SECRET, 0).send().await
}

fn signed(
    client: &Client,
    bot: &Running,
    body: &Value,
    secret: &str,
    seconds_ago: i64,
) -> reqwest::RequestBuilder {
    let now: Timestamp = SystemTime::now().into();
    let at = Timestamp::from_micros(now.as_micros() - seconds_ago * 1_000_000);
    let body = body.to_string();
    client
        .post(bot.url("/slack/events"))
        .header(TIMESTAMP_HEADER, at.as_micros() / 1_000_000)
        .header(SIGNATURE_HEADER, SigningSecret::new(secret).sign(at, body.as_bytes()))
        .body(body)
}

async fn most_asked(client: &Client, bot: &Running) -> Vec<(String, u64)> {
    let list = client.get(bot.url("/questions?limit=100")).bearer_auth(token("reader"));
    let rows: Value = list.send().await.unwrap().json().await.unwrap();
    let row = |row: &Value| (row["question"].as_str().unwrap().to_owned(), row["asked"].as_u64().unwrap());
    rows.as_array().unwrap().iter().map(row).collect()
}

async fn answered(slack: &FakeSlack, count: usize) -> Vec<support::slack::Post> {
    let posts = tokio::time::timeout(Duration::from_mins(1), slack.wait_for(count)).await;
    // Nothing comes after them.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(posts.is_ok() && slack.posts().len() == count, "{} of {count} answers", slack.posts().len());
    slack.posts()
}

#[tokio::test]
async fn a_question_is_acknowledged_at_once_answered_later_and_counted_once_an_event() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    let answering = Duration::from_secs(5);
    slack.fail_next([Fault::Slow(answering)]);
    let begun = Instant::now();
    let mut latencies = Vec::new();
    for _ in 0..4 {
        let begun = Instant::now();
        let answer = send(&client, &bot, &question(1, QUESTION)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        latencies.push(begun.elapsed());
    }
    println!("acknowledged after {latencies:?}");
    assert!(slack.posts().is_empty() && begun.elapsed() < answering, "{latencies:?}");
    let posts = answered(&slack, 1).await;
    assert_eq!(posts[0].thread.as_deref(), Some(thread(1).as_str()));

    for (number, text) in [(2, "달나라 여행은 어떻게 준비하나요"), (3, "Another question?")] {
        send(&client, &bot, &question(number, text)).await.unwrap();
    }
    answered(&slack, 3).await;
    let wanted = vec![(QUESTION.to_owned(), 2), ("Another question?".to_owned(), 1)];
    assert_eq!(most_asked(&client, &bot).await, wanted);

    let logs = bot.logs();
    assert!(logs.contains("answered") && logs.contains("Again"), "{logs}");
    for secret in ["달나라", "Another question", "xoxb", SECRET] {
        assert!(!logs.contains(secret), "{secret} in {logs}");
    }
    let metrics = client.get(bot.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("pumasi_cache_requests_total"), "{metrics}");
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_answered_once_after_it() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let (mut acknowledged, mut sent) = (Vec::new(), 0);
    let counted = AtomicUsize::new(0);
    for round in 0..5_u8 {
        let bot = start(folder.path(), &slack);
        // When it is killed, some answers are with Slack and the bot has not heard so, and some are not there yet.
        let faults =
            [Fault::TakenAndSlow(Duration::from_millis(60)), Fault::Slow(Duration::from_millis(400))];
        slack.fail_next(faults.into_iter().cycle().take(40));
        let asking = async {
            loop {
                sent += 1;
                let Ok(answer) = send(&client, &bot, &question(sent, &format!("질문 {}", sent % 7))).await
                else {
                    break;
                };
                assert_eq!(answer.status(), StatusCode::OK);
                acknowledged.push(sent);
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let killing = async {
            // in the middle of whatever comes after three more were acknowledged
            while counted.load(Ordering::Relaxed) < 3 * (usize::from(round) + 1) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(60 + 110 * u64::from(round))).await;
            bot.signal("-KILL").unwrap();
        };
        tokio::join!(asking, killing);
    }
    let before = slack.posts().len();
    let bot = start(folder.path(), &slack);
    let deadline = Instant::now() + Duration::from_mins(1);
    let per_thread = loop {
        let mut per_thread: HashMap<String, usize> = HashMap::new();
        for post in slack.posts() {
            *per_thread.entry(post.thread.unwrap()).or_default() += 1;
        }
        if acknowledged.iter().all(|number| per_thread.contains_key(&thread(*number))) {
            break per_thread;
        }
        assert!(Instant::now() < deadline, "{} of {} answered", per_thread.len(), acknowledged.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!(
        "killed 5 times: {} acknowledged, {} answered, {before} of them before the last start, {} looked for",
        acknowledged.len(),
        per_thread.len(),
        slack.lookups()
    );
    assert!(acknowledged.len() > 10 && before < per_thread.len(), "nothing was left to be done after a kill");
    assert!(slack.lookups() > 0, "no kill came between a post and its record");
    assert!(per_thread.values().all(|count| *count == 1), "an answer stands twice");
    let counted: u64 = most_asked(&client, &bot).await.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, per_thread.len() as u64);
}

#[tokio::test]
async fn an_answer_that_slack_took_without_saying_so_is_not_posted_again() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    slack.fail_next([Fault::TakenAndFailed, Fault::RateLimited(1)]);
    send(&client, &bot, &question(1, QUESTION)).await.unwrap();
    answered(&slack, 1).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while slack.lookups() == 0 {
        assert!(Instant::now() < deadline, "the bot did not look for its answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // the next one meets the rate limit, and gets through
    send(&client, &bot, &question(2, QUESTION)).await.unwrap();
    answered(&slack, 2).await;
    assert_eq!(slack.lookups(), 1);
}

#[tokio::test]
async fn an_outage_and_a_kill_lose_no_question() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    slack.fail_next([Fault::Slow(Duration::from_mins(1))]);
    send(&client, &bot, &question(1, QUESTION)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    bot.signal("-KILL").unwrap();
    // With the one that ended by the kill, as many attempts as a consumer makes by default.
    slack.fail_next([Fault::Refused; 7]);
    let bot = start(folder.path(), &slack);
    let posts = tokio::time::timeout(Duration::from_mins(2), slack.wait_for(1)).await.unwrap();
    assert_eq!(posts.len(), 1);
    drop(bot);
}

#[tokio::test]
async fn questions_wait_while_slack_refuses_the_token_and_are_answered_with_a_good_one() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = try_start(folder.path(), &slack, "60000", "xoxb-revoked").unwrap();
    send(&client, &bot, &question(1, QUESTION)).await.unwrap();
    let ready = bot.url("/readyz");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let ready: Value = client.get(&ready).send().await.unwrap().json().await.unwrap();
        if ready["down"] == json!(["slack"]) && bot.logs().matches("an attempt failed").count() > 1 {
            break;
        }
        assert!(Instant::now() < deadline, "{ready} {}", bot.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bot.signal("-KILL").unwrap();
    assert_eq!(put_aside(folder.path(), &[]).trim(), "nothing is put aside");
    let faults = ["token_revoked", "account_inactive", "missing_scope"];
    slack.fail_next(faults.map(Fault::Denied));
    let bot = start(folder.path(), &slack);
    for number in 2..=3 {
        send(&client, &bot, &question(number, QUESTION)).await.unwrap();
    }
    answered(&slack, 3).await;
    drop(bot);
    for token in ["", " "] {
        let refused = try_start(folder.path(), &slack, "60000", token).unwrap_err().to_string();
        assert!(refused.contains("SLACK_BOT_TOKEN"), "{refused}");
    }
}

#[tokio::test]
async fn what_a_channel_refuses_is_put_aside_until_it_is_delivered_again() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    slack.fail_next(["not_in_channel", "channel_not_found"].map(Fault::Denied));
    for number in 1..=2 {
        send(&client, &bot, &question(number, QUESTION)).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while bot.logs().matches("was put aside").count() < 2 {
        assert!(Instant::now() < deadline, "{}", bot.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let listed = put_aside(folder.path(), &[]);
    for told in ["not_in_channel", "channel_not_found", "tried once", "2 are put aside"] {
        assert!(listed.contains(told), "{told} in {listed}");
    }
    assert!(!listed.contains("달나라"), "{listed}");
    // Beside the service, which goes on.
    let told = put_aside(folder.path(), &["--deliver-again"]);
    assert!(told.contains("2 of 2 are delivered again"), "{told}");
    answered(&slack, 2).await;
    assert_eq!(put_aside(folder.path(), &[]).trim(), "nothing is put aside");
}

#[tokio::test]
async fn an_operator_sees_what_was_put_aside_and_has_it_delivered_again() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    slack.refuse(Some("not_in_channel"));
    for number in 1..=3 {
        send(&client, &bot, &question(number, QUESTION)).await.unwrap();
    }
    let get = |path: &str, role: &str| client.get(bot.url(path)).bearer_auth(token(role)).send();
    let deadline = Instant::now() + Duration::from_secs(20);
    let rows: Vec<Value> = loop {
        let rows: Vec<Value> = get("/put-aside", "operator").await.unwrap().json().await.unwrap();
        if rows.len() == 3 {
            break rows;
        }
        assert!(Instant::now() < deadline, "{rows:?} {}", bot.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(rows.iter().all(|row| row["reason"].as_str().unwrap().contains("not_in_channel")), "{rows:?}");
    assert!(!rows.iter().any(|row| row.to_string().contains("달나라")), "{rows:?}");
    let in_korean =
        client.get(bot.url("/put-aside")).bearer_auth(token("operator")).header("accept-language", "ko");
    let in_korean = in_korean.send().await.unwrap();
    assert_eq!(
        (&in_korean.headers()["content-language"], &in_korean.headers()["vary"]),
        (&"ko".parse().unwrap(), &"accept-language".parse().unwrap())
    );
    let in_korean: Vec<Value> = in_korean.json().await.unwrap();
    let reason = in_korean[0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("슬랙에 답 올리기") && reason.ends_with("봇이 채널에 없음 (not_in_channel)"),
        "{reason}"
    );
    assert_eq!(in_korean[0]["kind"], rows[0]["kind"]);
    let waiting: Value = get("/questions/waiting", "reader").await.unwrap().json().await.unwrap();
    assert_eq!(waiting["waiting"], 3);
    // page by page
    let page = get("/put-aside?limit=2", "operator").await.unwrap();
    let next = page.headers()["link"].to_str().unwrap().to_owned();
    let next = next.trim_start_matches('<').split('>').next().unwrap();
    let rest: Vec<Value> = get(next, "operator").await.unwrap().json().await.unwrap();
    assert_eq!(rest, rows[2..]);

    let again = |ids: Value, role: &str| {
        client
            .post(bot.url("/put-aside/deliver-again"))
            .bearer_auth(token(role))
            .json(&json!({"ids": ids}))
            .send()
    };
    let ids = json!(rows.iter().map(|row| &row["id"]).collect::<Vec<_>>());
    for (path, role, status) in [
        ("/put-aside", "reader", 403),
        ("/put-aside?after=x", "operator", 400),
        ("/put-aside?limit=501", "operator", 400),
        ("/about?x=1", "reader", 400),
    ] {
        assert_eq!(get(path, role).await.unwrap().status(), status, "{path} {role}");
    }
    assert_eq!(again(ids.clone(), "reader").await.unwrap().status(), 403);
    for wrong in [json!([]), json!(["no id"]), json!("all")] {
        assert_eq!(again(wrong.clone(), "operator").await.unwrap().status(), 422, "{wrong}");
    }
    slack.refuse(None);
    let delivered: Value = again(ids.clone(), "operator").await.unwrap().json().await.unwrap();
    assert_eq!(delivered["delivered"], 3);
    answered(&slack, 3).await;
    let twice: Value = again(ids, "operator").await.unwrap().json().await.unwrap();
    assert_eq!(twice["delivered"], 0);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let waiting: Value = get("/questions/waiting", "operator").await.unwrap().json().await.unwrap();
        if waiting["waiting"] == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{waiting}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn slack_is_played_where_there_is_none_and_never_by_half() {
    let client = Client::new();
    let start = |data: &Path, given: &[(&str, &str)], more: &[&str]| {
        Running::start("slack_bot", |command: &mut Command| {
            command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(more);
            for variable in ["SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN", "SLACK_API_URL", "PUMASI_TOKEN_KEY"] {
                command.env_remove(variable);
            }
            command.envs(given.iter().copied());
        })
    };
    let folder = tempfile::tempdir().unwrap();
    for given in [
        &[("SLACK_SIGNING_SECRET", SECRET)][..],
        &[("SLACK_BOT_TOKEN", TOKEN)],
        &[("PUMASI_TOKEN_KEY", desk::KEY)],
    ] {
        let refused = start(folder.path(), given, &[]).unwrap_err().to_string();
        assert!(refused.contains("--play-slack"), "{given:?}: {refused}");
    }
    let bot = start(folder.path(), &[("PUMASI_TOKEN_KEY", desk::KEY)], &["--play-slack"]).unwrap();
    let about: Value = client.get(bot.url("/about")).send().await.unwrap().json().await.unwrap();
    assert_eq!(about, json!({"development": false, "plays_slack": true, "model": null}));
    let wanted = client.post(bot.url("/tokens")).json(&json!({"name": "민지", "role": "operator"}));
    assert_eq!(wanted.send().await.unwrap().status(), 403);
    drop(bot);
    // A real Slack, and a key that nobody knows: what people ask there is not for whoever comes.
    let real = [("SLACK_SIGNING_SECRET", SECRET), ("SLACK_BOT_TOKEN", TOKEN)];
    let bot = start(folder.path(), &real, &[]).unwrap();
    let about: Value = client.get(bot.url("/about")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&about["development"], &about["plays_slack"]), (&json!(false), &json!(false)));
    let wanted = client.post(bot.url("/tokens")).json(&json!({"name": "민지", "role": "operator"}));
    assert_eq!(wanted.send().await.unwrap().status(), 403);
    drop(bot);

    let bot = start(folder.path(), &[], &[]).unwrap();
    let ask = |text: &str| client.post(bot.url("/played/questions")).json(&json!({"text": text})).send();
    let asked = ask("  <@U9> How do I start running? & so on ").await.unwrap();
    assert_eq!(asked.status(), StatusCode::CREATED);
    let asked: Value = asked.json().await.unwrap();
    assert!(asked["acknowledged_ms"].as_f64().unwrap() < 3_000.0, "{asked}");
    for text in ["", "  ", &"가".repeat(2_001)] {
        assert_eq!(ask(text).await.unwrap().status(), 422);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let threads: Vec<Value> = loop {
        let threads = client.get(bot.url("/played/questions")).send().await.unwrap();
        let threads: Vec<Value> = threads.json().await.unwrap();
        if threads[0]["answers"].as_array().unwrap().len() == 1 {
            break threads;
        }
        assert!(Instant::now() < deadline, "{threads:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((threads.len(), &threads[0]["thread"]), (1, &asked["thread"]));
    let wanted = client.post(bot.url("/tokens")).json(&json!({"name": "민지", "role": "reader"}));
    let given: Value = wanted.send().await.unwrap().json().await.unwrap();
    let list = client.get(bot.url("/questions")).bearer_auth(given["token"].as_str().unwrap());
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list, json!([{"question": "<@U9> How do I start running? & so on", "asked": 1}]));
    let page = client.get(bot.url("/")).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("id=\"threads\""));
}

#[tokio::test]
async fn a_channel_gets_no_more_answers_than_slack_takes() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start_with(folder.path(), &slack, "60");
    let begun = Instant::now();
    for number in 1..=8 {
        send(&client, &bot, &question(number, QUESTION)).await.unwrap();
    }
    answered(&slack, 8).await;
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(3), "four at once and the others a second apart: {took:?}");
}

#[tokio::test]
async fn only_slack_is_listened_to_and_it_stops_when_asked() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let mut bot = start(folder.path(), &slack);
    let asked = question(1, QUESTION);
    for (secret, seconds_ago, status) in [
        ("guessed", 0, 401),
        (SECRET, 400, 401),
        (SECRET, -400, 401),
        ("the new one", 0, 200),
        (SECRET, 200, 200),
    ] {
        let answer = signed(&client, &bot, &asked, secret, seconds_ago).send().await.unwrap();
        assert_eq!(answer.status(), status, "{secret} {seconds_ago}");
    }
    let unsigned = client.post(bot.url("/slack/events")).body(asked.to_string()).send().await.unwrap();
    assert_eq!(unsigned.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(unsigned.headers()["content-type"], "application/problem+json");
    let again = signed(&client, &bot, &asked, SECRET, 0).header(RETRY_NUM_HEADER, "2").send().await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
    answered(&slack, 1).await;

    let challenge = json!({"type": "url_verification", "challenge": "3eZbrw1a"});
    assert_eq!(send(&client, &bot, &challenge).await.unwrap().text().await.unwrap(), "3eZbrw1a");
    assert_eq!(send(&client, &bot, &json!({"no": "type"})).await.unwrap().status(), 422);
    // bots, edits, and what was not said to the bot
    for event in [
        json!({"type": "message", "channel": "C1", "channel_type": "channel", "user": "U2", "ts": "1.1", "text": "x"}),
        json!({"type": "message", "channel": "D1", "channel_type": "im", "bot_id": "B1", "ts": "1.2", "text": "x"}),
        json!({"type": "message", "channel": "D1", "channel_type": "im", "user": "U2", "subtype": "message_changed", "ts": "1.3"}),
        json!({"type": "app_mention", "channel": "C1", "user": "U2", "ts": "1.4", "text": "<@U1> "}),
        json!({"type": "team_join"}),
    ] {
        let body = json!({"type": "event_callback", "event_id": format!("E{event}"), "event": event});
        assert_eq!(send(&client, &bot, &body).await.unwrap().status(), StatusCode::OK);
    }
    let direct = json!({"type": "message", "channel": "D1", "channel_type": "im", "user": "U2", "ts": "2.1", "text": QUESTION});
    let body = json!({"type": "event_callback", "event_id": "EvD", "event": direct});
    send(&client, &bot, &body).await.unwrap();
    assert_eq!(answered(&slack, 2).await[1].channel, "D1");
    let secret = json!({"type": "message", "channel": "D1", "channel_type": "im", "user": "U2", "ts": "2.2", "text": "제 연봉은 비밀입니다?"});
    let body = json!({"type": "event_callback", "event_id": "EvS", "event": secret});
    send(&client, &bot, &body).await.unwrap();
    answered(&slack, 3).await;
    assert_eq!(most_asked(&client, &bot).await, [(QUESTION.to_owned(), 2)], "what was asked in private only");
    assert_eq!(client.get(bot.url("/played/questions")).send().await.unwrap().status(), 404);
    let list = client.get(bot.url("/questions"));
    assert_eq!(list.try_clone().unwrap().send().await.unwrap().status(), 401);
    assert_eq!(list.bearer_auth(token("member")).send().await.unwrap().status(), 403);

    let document: Value = client.get(bot.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    assert!(document["paths"]["/slack/events"]["post"].is_object());
    for (path, status) in
        [("/healthz", 200), ("/readyz", 200), ("/questions?limit=x", 400), ("/nowhere", 404)]
    {
        let request = client.get(bot.url(path)).bearer_auth(token("reader"));
        assert_eq!(request.send().await.unwrap().status(), status, "{path}");
    }
    bot.signal("-TERM").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = bot.ended().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "the service goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success());
}

#[tokio::test]
async fn a_body_that_does_not_come_to_its_end_is_told_before_slack_goes() {
    use std::io::{Read as _, Write as _};
    let (folder, slack) = (tempfile::tempdir().unwrap(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    let host = bot.url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let asking = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(&host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("POST /slack/events HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        stream.write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = asking.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    for part in ["application/problem+json", "the body did not come to its end", "\"hint\""] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
}
