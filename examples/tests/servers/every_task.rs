//! Posts, tasks and members in PostgreSQL, events on Redis or Kafka.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::trial::{Bus, Cable, Trial, client, pages, until};

const EXAMPLE: &str = "every_task";

#[tokio::test]
async fn processes_on_postgres_and_redis_share_the_work_and_a_kill_loses_and_doubles_nothing() {
    shared("every_task on PostgreSQL and Redis", Bus::Redis).await;
}

#[cfg(feature = "kafka")]
#[tokio::test]
async fn processes_on_postgres_and_kafka_share_the_work_and_a_kill_loses_and_doubles_nothing() {
    shared("every_task on PostgreSQL and Kafka", Bus::Kafka).await;
}

async fn shared(test: &str, bus: Bus) {
    let Some(trial) = Trial::new(test, bus).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str| {
        let data = folder.path().join(name);
        trial.start(EXAMPLE, |command| {
            command.arg("--data").arg(data);
        })
    };
    let (one, other) = (start("one"), start("other"));
    let (minsu, membership) =
        (client("every_task", "민수", "member"), client("every_task", "members", "membership"));
    // As the pages of many visitors ask.
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(3) {
        for service in [&one, &other] {
            let ready = minsu.get(service.url("/readyz")).send().await.unwrap();
            assert_eq!(ready.status(), StatusCode::OK, "{}", ready.text().await.unwrap());
        }
    }
    let mut accepted = Vec::new();
    for number in 0..40 {
        let service = if number % 2 == 0 { &one } else { &other };
        let post = json!({"kind": "question", "body": format!("책 {number}권을 읽고 싶습니다.")});
        let answer = minsu.post(service.url("/posts")).json(&post).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        accepted.insert(0, answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
    }
    one.signal("-KILL").unwrap();
    let change = json!({"version": 3, "nickname": "달리는곰"});
    let told = membership.put(other.url("/members/민수")).json(&change).send().await.unwrap();
    assert_eq!(told.status(), StatusCode::ACCEPTED);
    let posts = until(&minsu, &other.url("/posts?limit=500"), |posts| {
        posts.as_array().is_some_and(|posts| posts.iter().all(|post| post["state"] == "extracted"))
    })
    .await;
    let posts = posts.as_array().unwrap().clone();
    let found: HashSet<&str> = posts.iter().map(|post| post["id"].as_str().unwrap()).collect();
    assert_eq!((posts.len(), found.len()), (accepted.len(), accepted.len()));
    assert!(accepted.iter().all(|id| found.contains(id.as_str())), "an accepted post is lost");

    // A process that was not there sees the same.
    let third = start("third");
    let id = &accepted[0];
    let view = until(&minsu, &third.url(&format!("/posts/{id}")), |view| {
        view["post"]["author"]["nickname"] == "달리는곰"
    })
    .await;
    assert_eq!(view["tasks"].as_array().unwrap().len(), 1);
    for (path, name) in [("/posts?limit=7", "id"), ("/tasks?limit=9", "post_id")] {
        let (_, rows) = pages(&minsu, &third, path).await;
        let ids: Vec<&str> = rows.iter().map(|row| row[name].as_str().unwrap()).collect();
        assert_eq!(ids, accepted, "{path}: the newest first");
    }
    let odd = minsu.get(third.url("/posts?after=1,%00")).send().await.unwrap();
    assert_eq!(odd.status(), StatusCode::BAD_REQUEST);
    for name in ["one", "other", "third"] {
        assert_eq!(std::fs::read_dir(folder.path().join(name)).unwrap().count(), 0, "a file was written");
    }
    drop((other, third));
    trial.end().await;
}

// The cable carries while the test waits for the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_named_and_what_was_accepted_goes_on_when_it_is_back() {
    let Some(trial) = Trial::new("every_task without its bus", Bus::Redis).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut cable = Cable::to(trial.redis.strip_prefix("redis://").unwrap());
    let through = format!("redis://{}", cable.address());
    let service = trial.start(EXAMPLE, |command| {
        command.env(support::servers::REDIS, through).arg("--data").arg(folder.path());
    });
    let minsu = client("every_task", "민수", "member");
    let ready = async || minsu.get(service.url("/readyz")).send().await.unwrap();
    assert_eq!(ready().await.status(), StatusCode::OK);

    cable.pull();
    let deadline = Instant::now() + Duration::from_secs(30);
    let problem = loop {
        let answer = ready().await;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            break answer.json::<Value>().await.unwrap();
        }
        assert!(Instant::now() < deadline, "readiness does not tell");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(problem["down"], json!(["events"]), "{problem}");
    assert!(problem["hint"].is_string(), "{problem}");
    assert_eq!(minsu.get(service.url("/healthz")).send().await.unwrap().status(), StatusCode::OK);

    let post = json!({"kind": "question", "body": "책 3권을 읽고 싶습니다."});
    let request = minsu.post(service.url("/posts")).header("idempotency-key", "mine").json(&post);
    let answer = request.try_clone().unwrap().send().await.unwrap();
    assert!(answer.status().is_server_error(), "{}", answer.status());
    assert_eq!(answer.headers()["content-type"], "application/problem+json");

    cable.plug_in();
    until(&minsu, &service.url("/readyz"), |ready| ready["dependencies"]["events"] == "up").await;
    assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
    let posts = until(&minsu, &service.url("/posts"), |posts| posts[0]["state"] == "extracted").await;
    assert_eq!(posts.as_array().unwrap().len(), 1, "the same post under its key");
    drop(service);
    trial.end().await;
}
