//! Races, registrations and payments in PostgreSQL, driven by several processes.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::child::Running;
use support::webhook::Secret;

use super::trial::{Bus, Trial, client, pages, until};

const SECRET: &str = "a secret of the tests, of more than 24 bytes";

fn start(trial: &Trial, folder: &std::path::Path) -> Running {
    trial.start("race_registration", |command| {
        command.env("PAYMENT_WEBHOOK_SECRET", SECRET).args(["--partner-delay-ms", "10"]);
        command.arg("--data").arg(folder);
    })
}

async fn post(client: &Client, url: String, body: Value) -> Value {
    let answer = client.post(&url).json(&body).send().await.unwrap();
    let (status, value) = (answer.status(), answer.json().await.unwrap());
    assert!(status.is_success(), "{url}: {value}");
    value
}

async fn race(service: &Running, kind: &str, places: u32) -> String {
    let race = json!({"name": "서울마라톤", "kind": kind, "places": places, "price_krw": 35_000});
    post(&client("race_registration", "지영", "organiser"), service.url("/races"), race).await["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Answers everything that a runner is asked; the last view, or the problem that ended it.
async fn register(service: &Running, race: &str, runner: &str) -> Value {
    let (client, url) =
        (client("race_registration", runner, "runner"), service.url(&format!("/races/{race}/registration")));
    let mut view = Value::Null;
    for (answer, value) in [
        ("agree_terms", json!({"agreed": true})),
        ("choose_souvenir", json!({"souvenir": "M"})),
        ("shipping_address", json!({"city": "서울"})),
    ] {
        view = post(&client, url.clone(), json!({"answer": answer, "value": value})).await;
    }
    view
}

async fn pay(service: &Running, runner: &str, payment: &Value) -> StatusCode {
    let body = json!({"type": "payment.completed", "payment": payment, "amount_krw": 35_000}).to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let headers = Secret::new(SECRET).unwrap().sign(&format!("evt-{runner}"), now, body.as_bytes());
    let url = service.url("/payments/webhook");
    Client::new().post(url).headers(headers).body(body).send().await.unwrap().status()
}

#[tokio::test]
async fn processes_on_postgres_grant_no_place_twice_and_everybody_who_paid_runs_though_one_is_killed() {
    let Some(trial) = Trial::new("race_registration on PostgreSQL", Bus::Redis).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (start(&trial, folder.path()), start(&trial, folder.path()));
    let race = race(&one, "first_come", 6).await;
    let names: Vec<String> = (0..12).map(|number| format!("runner {number}")).collect();
    let registering = names.iter().enumerate().map(|(number, name)| {
        let service = if number % 2 == 0 { &one } else { &other };
        register(service, &race, name)
    });
    let views = futures_util::future::join_all(registering).await;
    let waiting: Vec<_> =
        names.iter().zip(&views).filter(|(_, view)| view["next"] == "payment_completed").collect();
    assert_eq!(waiting.len(), 6, "{views:?}");
    for (number, (name, view)) in waiting.iter().enumerate() {
        let service = if number % 2 == 0 { &one } else { &other };
        assert_eq!(pay(service, name, &view["payment"]["id"]).await, StatusCode::OK);
        if number == 4 {
            one.signal("-KILL").unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let mut bibs = HashSet::new();
    for (name, _) in waiting {
        let url = other.url(&format!("/races/{race}/registration"));
        let view =
            until(&client("race_registration", name, "runner"), &url, |view| view["status"] == "completed")
                .await;
        assert!(bibs.insert(view["bib"].as_u64().unwrap()), "a bib twice");
    }
    let places = until(&Client::new(), &other.url(&format!("/races/{race}")), |_| true).await;
    assert_eq!((&places["held"], &places["confirmed"]), (&json!(0), &json!(6)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file was written");
    drop((one, other));
    trial.end().await;
}

#[tokio::test]
async fn lots_that_are_drawn_on_postgres_are_of_all_who_entered_by_any_process() {
    let Some(trial) = Trial::new("race_registration draws on PostgreSQL", Bus::Redis).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (start(&trial, folder.path()), start(&trial, folder.path()));
    let race = race(&one, "lottery", 2).await;
    let names: Vec<String> = (0..6).map(|number| format!("runner {number}")).collect();
    let entering = names.iter().enumerate().map(|(number, name)| {
        let service = if number % 2 == 0 { &one } else { &other };
        register(service, &race, name)
    });
    futures_util::future::join_all(entering).await;
    let organiser = client("race_registration", "지영", "organiser");
    let draw = |service: &Running| post(&organiser, service.url(&format!("/races/{race}/draw")), json!({}));
    let (drawn, again) = tokio::join!(draw(&one), draw(&other));
    assert_eq!(drawn, again, "drawn twice");
    let list = |name: &str| -> Vec<String> { serde_json::from_value(drawn[name].clone()).unwrap() };
    assert_eq!((list("winners").len(), list("waiting").len()), (2, 4));
    let late = register(&other, &race, "too late").await;
    let url = other.url(&format!("/races/{race}/registration"));
    let ended = until(&client("race_registration", "too late", "runner"), &url, |view| {
        view["status"] == "compensated"
    })
    .await;
    assert_eq!(ended["id"], late["id"], "who came after the draw was let in");
    drop((one, other));
    trial.end().await;
}

#[tokio::test]
async fn lists_on_postgres_are_read_page_by_page_and_say_who_took_a_registration_back() {
    let Some(trial) = Trial::new("race_registration's lists on PostgreSQL", Bus::Redis).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (start(&trial, folder.path()), start(&trial, folder.path()));
    let organiser = client("race_registration", "지영", "organiser");
    let mut races = Vec::new();
    for kind in ["first_come", "lottery", "first_come"] {
        races.insert(0, race(&one, kind, 5).await);
    }
    let (sizes, rows) = pages(&organiser, &other, "/races?limit=2").await;
    let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!((sizes, ids), (vec![2, 1], races.iter().map(String::as_str).collect()));

    let (first_come, lottery) = (&races[0], &races[1]);
    let mut cancelled = Vec::new();
    for (race, runner, why) in [
        (first_come, "민수", Some("다쳤대요")),
        (lottery, "Jane", Some("two entries")),
        (first_come, "하나", None),
    ] {
        let view = register(&one, race, runner).await;
        let answer = if let Some(why) = why {
            let decisions = other.url(&format!("/registrations/{}/decisions", view["id"].as_str().unwrap()));
            organiser.post(decisions).json(&json!({"decision": "cancel", "why": why})).send().await
        } else {
            let runner = client("race_registration", runner, "runner");
            runner.delete(other.url(&format!("/races/{race}/registration"))).send().await
        };
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        let by = if why.is_some() { "organiser" } else { "runner" };
        cancelled.push((runner, json!({"by": by, "why": why})));
    }
    register(&one, first_come, "지우").await;
    let (sizes, rows) = pages(&organiser, &one, "/registrations?limit=3").await;
    assert_eq!(sizes, [3, 1]);
    for (runner, told) in cancelled.into_iter().chain([("지우", Value::Null)]) {
        let row = rows.iter().find(|row| row["runner"] == runner).unwrap();
        assert_eq!(row["cancelled"], told, "{runner}");
    }
    for runner in ["a", "B", "가"] {
        let bar = organiser.put(one.url(&format!("/races/{first_come}/barred/{runner}")));
        assert_eq!(
            bar.json(&json!({"why": "a false name"})).send().await.unwrap().status(),
            StatusCode::NO_CONTENT
        );
    }
    let (sizes, bars) = pages(&organiser, &other, &format!("/races/{first_come}/barred?limit=2")).await;
    assert_eq!((sizes, bars.len()), (vec![2, 1], 3));
    for path in
        ["/races?after=%00", "/registrations?after=%00", &format!("/races/{first_come}/barred?after=%00")]
    {
        let odd = organiser.get(one.url(path)).send().await.unwrap();
        assert_eq!(odd.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    drop((one, other));
    trial.end().await;
}
