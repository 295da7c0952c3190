//! Résumés, likes and comments in PostgreSQL, events on Redis or Kafka: what one process takes, another writes and tells.

use std::collections::HashSet;
use std::path::Path;

use futures_util::future::join_all;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use support::child::Running;

use super::partner::{Partner, SECRET};
use super::trial::{self, Bus, Trial, pages, until};

/// Has a committed answer, in place of a model's.
const INSTRUCTION: &str = "도서관 예약 API 이야기를 앞세우고, 스크린 리더 항목은 빼 줘";

#[tokio::test]
async fn desks_on_postgres_and_redis_write_share_and_tell_the_same_though_one_is_killed() {
    shared("resume_writer on PostgreSQL and Redis", Bus::Redis).await;
}

#[cfg(feature = "kafka")]
#[tokio::test]
async fn desks_on_postgres_and_kafka_write_share_and_tell_the_same_though_one_is_killed() {
    shared("resume_writer on PostgreSQL and Kafka", Bus::Kafka).await;
}

fn client(name: &str) -> Client {
    trial::client("resume_writer", name, "member")
}

fn start(trial: &Trial, folder: &Path, partner: &Partner) -> Running {
    start_with(trial, folder, partner, &[])
}

fn start_with(trial: &Trial, folder: &Path, partner: &Partner, more: &[&str]) -> Running {
    trial.start("resume_writer", |command| {
        command.args(more);
        for name in ["GITHUB_TOKEN", "GITHUB_URL", "GITHUB_EXPORT"] {
            command.env_remove(format!("PUMASI_{name}"));
        }
        command.env("PUMASI_NOTIFY_URL", &partner.url).env("PUMASI_NOTIFY_SECRET", SECRET);
        command.arg("--data").arg(folder);
    })
}

async fn ok(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, body) = (answer.status(), answer.json().await.unwrap_or_default());
    assert!(status.is_success(), "{status} {body}");
    body
}

async fn shared(test: &str, bus: Bus) {
    let Some(trial) = Trial::new(test, bus).await else { return };
    let (folder, partner) = (tempfile::tempdir().unwrap(), Partner::start(true).await);
    let (one, other) = (start(&trial, folder.path(), &partner), start(&trial, folder.path(), &partner));
    let (owner, anybody) = (client("하늘"), Client::new());

    // Asked for at both under one key it is written once, and read at either.
    let wanted = json!({"account": "haneul-example", "language": "ko"});
    let ask = |service: &Running| {
        ok(owner.post(service.url("/resumes")).header("idempotency-key", "mine").json(&wanted))
    };
    let (first, again) = tokio::join!(ask(&one), ask(&other));
    assert_eq!(first["id"], again["id"]);
    let resume = format!("/resumes/{}", first["id"].as_str().unwrap());
    let is_written = |resume: &Value| resume["state"] == "ready";
    let at_one = until(&owner, &one.url(&resume), is_written).await;
    assert_eq!(until(&owner, &other.url(&resume), is_written).await, at_one);

    // Of proposals for one version, whichever process took them, one is accepted.
    let mut edits = Vec::new();
    for (service, words) in [(&one, INSTRUCTION), (&other, "Shorten the summary")] {
        let edit = json!({"instruction": words, "version": 1});
        let edit = ok(owner.post(service.url(&format!("{resume}/edits"))).json(&edit)).await;
        let edit = format!("{resume}/edits/{}", edit["id"].as_str().unwrap());
        until(&owner, &other.url(&edit), |edit| edit["state"] == "proposed").await;
        edits.push(edit);
    }
    let accept = |service: &Running, edit: &str| owner.post(service.url(&format!("{edit}/accept"))).send();
    let (won, lost) = tokio::join!(accept(&one, &edits[0]), accept(&other, &edits[1]));
    let statuses = HashSet::from([won.unwrap().status(), lost.unwrap().status()]);
    assert_eq!(statuses, HashSet::from([StatusCode::OK, StatusCode::CONFLICT]));
    assert_eq!(until(&owner, &one.url(&resume), is_written).await["version"], 2);

    // Liked and spoken of at both, of which one is killed meanwhile: nothing that was acknowledged is lost.
    let key = ok(owner.post(one.url(&format!("{resume}/share")))).await["key"].as_str().unwrap().to_owned();
    let with =
        |client: &Client, method, url: String| client.request(method, url).header("share-key", key.as_str());
    let reading = (0..20).map(|number| {
        let (fan, one, other) = (client(&format!("fan {number}")), &one, &other);
        let like = |service: &Running| {
            with(&fan, Method::PUT, service.url("/shared/like")).json(&json!({"like": true})).send()
        };
        let (liked, liked_again) = (like(one), like(other));
        let service = if number % 2 == 0 { one } else { other };
        let said = with(&fan, Method::POST, service.url("/shared/comments"))
            .json(&json!({"text": format!("{number}")}))
            .send();
        async move {
            let (liked, liked_again, said) = tokio::join!(liked, liked_again, said);
            if number == 10 {
                one.signal("-KILL").unwrap();
            }
            assert_eq!(liked_again.unwrap().status(), StatusCode::OK);
            drop(liked);
            said.is_ok_and(|said| said.status() == StatusCode::CREATED).then(|| number.to_string())
        }
    });
    let acknowledged: HashSet<String> = join_all(reading).await.into_iter().flatten().collect();
    let third = start(&trial, folder.path(), &partner);
    assert_eq!(ok(with(&anybody, Method::GET, third.url("/shared"))).await["likes"], 20);
    let comments = ok(with(&anybody, Method::GET, third.url("/shared/comments?limit=500"))).await;
    let comments = comments.as_array().unwrap();
    let texts: HashSet<String> =
        comments.iter().map(|comment| comment["text"].as_str().unwrap().to_owned()).collect();
    assert!(texts.is_superset(&acknowledged) && texts.len() == comments.len(), "{texts:?}");

    // The partner hung so far. What the killed process was to tell it another one tells, and the owner hears of each once.
    partner.wake();
    let stored = 20 + comments.len();
    let told = || partner.got().into_iter().map(|(id, _)| id).collect::<HashSet<_>>().len();
    let notices = until(&owner, &other.url("/notices?limit=500"), |notices| {
        notices.as_array().is_some_and(|notices| notices.len() >= stored) && told() >= stored
    })
    .await;
    assert_eq!((notices.as_array().unwrap().len(), told()), (stored, stored));
    for (reader, path, all) in [(&owner, "/notices?limit=9", stored), (&owner, "/resumes?limit=1", 1)] {
        assert_eq!(pages(reader, &third, path).await.1.len(), all, "{path}");
    }

    // A link that is closed at one process is closed at all.
    let closed = owner.delete(other.url(&format!("{resume}/share"))).send().await.unwrap();
    assert_eq!(closed.status(), StatusCode::NO_CONTENT);
    let gone = with(&anybody, Method::GET, third.url("/shared")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file was written");
    drop((one, other, third));
    trial.end().await;
}

#[tokio::test]
async fn desks_on_postgres_count_together_what_a_person_has_written_within_a_day() {
    let Some(trial) = Trial::new("resume_writer counts on PostgreSQL", Bus::Redis).await else { return };
    let (folder, partner) = (tempfile::tempdir().unwrap(), Partner::start(true).await);
    let start = || start_with(&trial, folder.path(), &partner, &["--writings-a-day", "3"]);
    let (one, other) = (start(), start());
    let owner = client("하늘");
    let wanted = json!({"account": "haneul-example", "language": "ko"});
    let asking = (0..8).map(|number| {
        let service = if number % 2 == 0 { &one } else { &other };
        owner.post(service.url("/resumes")).json(&wanted).send()
    });
    let answers: Vec<_> = join_all(asking).await.into_iter().map(Result::unwrap).collect();
    let accepted = answers.iter().filter(|answer| answer.status().is_success()).count();
    assert_eq!(accepted, 3, "at the same time nobody has more written");
    for refused in answers.iter().filter(|answer| !answer.status().is_success()) {
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((86_000..=86_401).contains(&seconds), "{seconds}");
    }
    let (sizes, rows) = pages(&owner, &other, "/resumes?limit=2").await;
    assert_eq!((sizes, rows.len()), (vec![2, 1], 3));
    let other_person = client("바다").post(one.url("/resumes")).json(&wanted).send().await.unwrap();
    assert!(other_person.status().is_success(), "another person has a day of their own");
    drop((one, other));
    trial.end().await;
}
