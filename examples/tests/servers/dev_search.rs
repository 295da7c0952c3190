//! The search on PostgreSQL, with events and cached pages on Redis or Kafka: what one process takes, the other knows.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::child::Running;

use super::trial::{Bus, Trial, client, until};

/// How old a write is at most that a fresh or a cached answer lacks: five seconds, two more in the cache, and time for the answer.
const BOUND: Duration = Duration::from_secs(10);

fn start(trial: &Trial, folder: &std::path::Path) -> Running {
    trial.start("dev_search", |command| {
        command.args(["--partner", "well", "--data"]).arg(folder);
    })
}

fn first(found: &Value) -> &Value {
    &found["hits"][0]["id"]
}

async fn put_todo(client: &Client, url: &str, text: &str, version: u64) -> StatusCode {
    let request = client.put(url).header("if-match", format!("\"{version}\"")).json(&json!({"text": text}));
    request.send().await.unwrap().status()
}

async fn processes_share_everything(test: &str, bus: Bus) {
    let Some(trial) = Trial::new(test, bus).await else { return };
    let (folder, another) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (start(&trial, folder.path()), start(&trial, another.path()));
    let (nobody, minsu, operator) =
        (Client::new(), client("dev_search", "민수", "member"), client("dev_search", "하나", "operator"));

    // Written by one, found by the other: by its own index, and by PostgreSQL when that is cut off.
    let entry = json!({"kind": "post", "category": "database", "lang": "ko", "title": "고래와 함께 헤엄치기", "body": "본문"});
    let written = minsu.post(one.url("/entries")).json(&entry).send().await.unwrap();
    assert_eq!(written.status(), StatusCode::CREATED);
    let id = written.json::<Value>().await.unwrap()["id"].clone();
    let url = other.url("/search?q=%EA%B3%A0%EB%9E%98");
    until(&nobody, &url, |found| found["engine"] == "engine" && *first(found) == id).await;
    let cut = |line: &str| operator.put(other.url("/engines/primary")).json(&json!({"line": line})).send();
    assert_eq!(cut("refused").await.unwrap().status(), StatusCode::NO_CONTENT);
    until(&nobody, &url, |found| found["engine"] == "database" && *first(found) == id).await;

    // A walk goes on in the other process, from the other engine.
    let page =
        until(&nobody, &one.url("/search?order=likes&limit=5"), |found| found["engine"] == "engine").await;
    let next = format!("/search?order=likes&limit=5&after={}", page["next"].as_str().unwrap());
    let more = until(&nobody, &other.url(&next), |found| found["hits"].is_array()).await;
    assert!(
        more["hits"]
            .as_array()
            .unwrap()
            .iter()
            .all(|hit| { !page["hits"].as_array().unwrap().iter().any(|before| before["id"] == hit["id"]) })
    );
    assert_eq!(cut("whole").await.unwrap().status(), StatusCode::NO_CONTENT);

    // Two places, eight buyers at two processes, of which one is killed.
    let buyers: Vec<String> = (0..8).map(|number| format!("buyer {number}")).collect();
    let ordering = buyers.iter().enumerate().map(|(number, buyer)| {
        let service = if number % 2 == 0 { &one } else { &other };
        client("dev_search", buyer, "member").post(service.url("/entries/l02/order")).json(&json!({})).send()
    });
    for answer in join_all(ordering).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
    }
    one.signal("-KILL").unwrap();
    let mut completed = 0;
    for buyer in &buyers {
        let url = other.url("/entries/l02/order");
        let has_ended = |order: &Value| order["status"] == "completed" || order["status"] == "compensated";
        let order = until(&client("dev_search", buyer, "member"), &url, has_ended).await;
        completed += usize::from(order["status"] == "completed");
    }
    assert_eq!(completed, 2);
    let place = until(&nobody, &other.url("/entries/l02"), |_| true).await;
    assert_eq!((&place["places"], &place["free"]), (&json!(2), &json!(0)));

    // What was written meanwhile is not overwritten, whichever process is asked.
    let one = start(&trial, folder.path());
    // Its bus may keep the place of the one that was killed for a while: what is written now is read from the table.
    let entry = json!({"kind": "post", "category": "database", "lang": "ko", "title": "코뿔소를 찾아서", "body": "본문"});
    let (written, began) =
        (minsu.post(other.url("/entries")).json(&entry).send().await.unwrap(), Instant::now());
    let id = written.json::<Value>().await.unwrap()["id"].clone();
    for service in [&one, &other] {
        let url = service.url("/search?q=%EC%BD%94%EB%BF%94%EC%86%8C");
        until(&nobody, &url, |found| {
            let (is_there, claims) =
                (*first(found) == id, found["served"] == "fresh" || found["served"] == "cached");
            assert!(is_there || !claims || began.elapsed() < BOUND, "after {:?}: {found}", began.elapsed());
            is_there && found["engine"] == "engine"
        })
        .await;
    }
    eprintln!("{test}: found after {:?}", began.elapsed());
    let todo = minsu.put(one.url("/todos/a")).header("if-none-match", "*").json(&json!({"text": "하나"}));
    assert_eq!(todo.send().await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(put_todo(&minsu, &other.url("/todos/a"), "둘", 1).await, StatusCode::OK);
    assert_eq!(put_todo(&minsu, &one.url("/todos/a"), "셋", 1).await, StatusCode::PRECONDITION_FAILED);
    drop((one, other));
    trial.end().await;
}

#[tokio::test]
async fn processes_on_postgres_and_redis_find_sell_and_keep_the_same() {
    processes_share_everything("dev_search on PostgreSQL and Redis", Bus::Redis).await;
}

#[cfg(feature = "kafka")]
#[tokio::test]
async fn processes_on_postgres_and_kafka_find_sell_and_keep_the_same() {
    processes_share_everything("dev_search on PostgreSQL and Kafka", Bus::Kafka).await;
}
