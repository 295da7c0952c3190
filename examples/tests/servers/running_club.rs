//! Runs and recaps in PostgreSQL, boards on Redis or in PostgreSQL, events on Redis or Kafka.

use std::process::Command;
use std::time::SystemTime;

use pumasi_core::time::Timestamp;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::child::Running;
use support::slack::{FakeSlack, TOKEN};

use super::trial::{Bus, Trial, client, pages, until};

#[tokio::test]
async fn clubs_on_postgres_and_redis_count_each_run_once_though_one_is_killed() {
    shared("running_club on PostgreSQL and Redis", Bus::Redis).await;
}

#[cfg(feature = "kafka")]
#[tokio::test]
async fn clubs_on_postgres_and_kafka_count_each_run_once_though_one_is_killed() {
    shared("running_club on PostgreSQL and Kafka", Bus::Kafka).await;
}

async fn record(service: &Running, runner: &str, key: &str) -> reqwest::Result<StatusCode> {
    let now: Timestamp = SystemTime::now().into();
    let run = json!({"began_at": now.to_string(), "distance_m": 1_000, "time_s": 300});
    let request =
        client("running_club", runner, "runner").post(service.url("/runs")).header("idempotency-key", key);
    request.json(&run).send().await.map(|answer| answer.status())
}

async fn shared(test: &str, bus: Bus) {
    let Some(trial) = Trial::new(test, bus).await else { return };
    let (folder, slack) = (tempfile::tempdir().unwrap(), FakeSlack::start().await.unwrap());
    let start = || {
        trial.start("running_club", |command| {
            command.env("SLACK_BOT_TOKEN", TOKEN).env("SLACK_CHANNEL", "C").env("SLACK_API_URL", slack.url());
            command.env_remove("SLACK_ALERT_WEBHOOK_URL");
            command.args(["--monthly", "* * * * * *", "--data"]).arg(folder.path());
            #[cfg(feature = "kafka")]
            if bus == Bus::Kafka {
                // The boards are in PostgreSQL then.
                command.env_remove(support::servers::REDIS);
            }
        })
    };
    let (one, other) = (start(), start());
    let founded = client("running_club", "runner 0", "runner")
        .post(one.url("/crews"))
        .json(&json!({"name": "한강러너스"}));
    assert_eq!(founded.send().await.unwrap().status(), StatusCode::CREATED);
    for number in 0..30 {
        let service = if number % 2 == 0 { &one } else { &other };
        let runner = format!("runner {}", number % 3);
        assert_eq!(record(service, &runner, &format!("run-{number}")).await.unwrap(), StatusCode::CREATED);
    }
    one.signal("-KILL").unwrap();
    let anybody = Client::new();
    let is_whole = |board: &Value| {
        let places = board["places"].as_array();
        places.is_some_and(|places| {
            places.iter().filter_map(|place| place["values"]["distance_m"].as_i64()).sum::<i64>() == 30_000
        })
    };
    let board = until(&anybody, &other.url("/boards/runners.distance"), is_whole).await;
    assert!(
        board["places"].as_array().unwrap().iter().all(|place| place["values"]["distance_m"] == 10_000),
        "{board}"
    );
    let crews = until(&anybody, &other.url("/boards/crews.attendance"), |board| {
        board["places"][0]["values"]["distance_m"] == 10_000
    })
    .await;
    assert_eq!(crews["places"][0]["values"]["members"], 1, "{crews}");
    let news = until(&anybody, &other.url("/news"), |news| {
        let first = |news: &Value| news["badge"] == "first_run";
        news.as_array().is_some_and(|news| news.iter().filter(|news| first(news)).count() == 3)
    })
    .await;

    // A process that was not there sees the same, and makes recaps that another one was asked for.
    let organiser = client("running_club", "운영진", "organiser");
    let asked = organiser.post(other.url("/recaps")).json(&json!({"span": "week"})).send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::ACCEPTED);
    let third = start();
    let runner = client("running_club", "runner 1", "runner");
    let recaps = until(&runner, &third.url("/recaps"), |recaps| recaps[0]["figures"]["runs"] == 10).await;
    assert_eq!(recaps[0]["figures"]["distance_m"], 10_000, "{recaps}");
    let again: Value = anybody.get(third.url("/news")).send().await.unwrap().json().await.unwrap();
    assert_eq!(again, news);
    until(&organiser, &third.url("/jobs"), |jobs| jobs[0]["status"] == "done").await;
    let posts = slack.wait_for(4).await;
    let firsts = posts.iter().filter(|post| post.text.contains("first run")).count();
    assert!(firsts >= 3, "a notice is missing");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file was written");
    drop((one, other, third));
    trial.end().await;
}

#[tokio::test]
async fn a_club_on_postgres_stays_in_its_zone_and_its_lists_are_read_page_by_page() {
    const ZONE: &str = "Pacific/Kiritimati";
    let Some(trial) = Trial::new("running_club's zone and lists on PostgreSQL", Bus::Redis).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let open = |zone: &str| {
        let serve = |command: &mut Command| {
            command.args(["serve", "--listen", "127.0.0.1:0", "--zone", zone, "--data"]).arg(folder.path());
            trial.environment(command);
        };
        Running::start("running_club", serve).map_err(|error| error.to_string())
    };
    let (one, other) = (open(ZONE).unwrap(), open(ZONE).unwrap());
    let error = open("Asia/Seoul").err().unwrap();
    assert!(error.contains(ZONE) && error.contains("Asia/Seoul"), "{error}");

    let runner = client("running_club", "runner 1", "runner");
    for number in 0..5 {
        let service = if number % 2 == 0 { &one } else { &other };
        assert_eq!(record(service, "runner 1", &format!("run-{number}")).await.unwrap(), StatusCode::CREATED);
    }
    for name in ["b", "B", "가", "a", "_"] {
        let founder = client("running_club", &format!("founder of {name}"), "runner");
        let founded = founder.post(one.url("/crews")).json(&json!({"name": name})).send().await.unwrap();
        assert_eq!(founded.status(), StatusCode::CREATED);
        assert_eq!(record(&other, &format!("founder of {name}"), "run").await.unwrap(), StatusCode::CREATED);
    }
    let organiser = client("running_club", "운영진", "organiser");
    for span in ["week", "month"] {
        let asked = organiser.post(other.url("/recaps")).json(&json!({"span": span})).send().await.unwrap();
        assert_eq!(asked.status(), StatusCode::ACCEPTED);
    }
    until(&runner, &one.url("/recaps?span=month"), |recaps| recaps[0]["figures"]["runs"] == 5).await;
    // Everybody's first run; and in the morning one at dawn.
    let all = |news: &Value| {
        news.as_array().is_some_and(|news| news.iter().filter(|row| row["badge"] == "first_run").count() == 6)
    };
    until(&runner, &other.url("/news"), all).await;
    for (path, sizes) in [
        ("/runs?limit=2", Some(vec![2, 2, 1])),
        ("/crews?limit=2", Some(vec![2, 2, 1])),
        ("/recaps?limit=1", Some(vec![1])),
        ("/recaps?limit=1&span=month", Some(vec![1])),
        ("/news?limit=1", None),
    ] {
        let (found, rows) = pages(&runner, &other, path).await;
        let whole: Value = runner
            .get(one.url(&path.replace("limit=1", "limit=500").replace("limit=2", "limit=500")))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(Value::Array(rows), whole, "{path}: page by page as at once");
        assert!(sizes.is_none_or(|sizes| sizes == found), "{path}: {found:?}");
    }
    for path in ["/runs?after=1,%00", "/crews?after=%00", "/news?after=1,a,%00", "/recaps?after=%00"] {
        let answer = runner.get(one.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file was written");
    drop((one, other));
    trial.end().await;
}
