//! Posts, votes, rooms, missions and coupons in PostgreSQL, shared by several processes.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::child::Running;
use tokio_tungstenite::connect_async;

use super::trial::{self, Bus, Trial, pages, until};

const NEAR: &str = "/posts?lat=37.5665&lon=126.978&limit=500";

fn client(name: &str, role: &str) -> Client {
    trial::client("weather_community", name, role)
}

fn start(trial: &Trial, folder: &std::path::Path) -> Running {
    trial.start("weather_community", |command| {
        command.arg("--data").arg(folder);
    })
}

async fn send(client: &Client, url: String, body: Value) -> (StatusCode, Value) {
    let answer = client.post(url).json(&body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

fn post(text: &str) -> Value {
    json!({"sky": "rain", "text": text, "lat": 37.5665, "lon": 126.978})
}

#[tokio::test]
async fn processes_on_postgres_share_posts_votes_views_rooms_and_proofs() {
    let Some(trial) = Trial::new("weather_community on PostgreSQL", Bus::Redis).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (start(&trial, folder.path()), start(&trial, folder.path()));
    let (minji, forecaster) = (client("민지", "member"), client("예보관", "forecaster"));

    // The same request at both is one post.
    let asked = [&one, &other].map(|service| {
        let request = minji.post(service.url("/posts")).header("idempotency-key", "mine");
        async move { request.json(&post("소나기")).send().await.unwrap() }
    });
    for answer in join_all(asked).await {
        // Whoever comes while the first is at work is told so.
        assert!(matches!(answer.status(), StatusCode::CREATED | StatusCode::CONFLICT), "{}", answer.status());
    }
    let writing = (0..30).map(|number| {
        let service = if number % 2 == 0 { &one } else { &other };
        send(&minji, service.url("/posts"), post(&format!("글 {number}")))
    });
    for (status, answer) in join_all(writing).await {
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }
    let mut seen = Vec::new();
    for service in [&one, &other] {
        let posts = until(&minji, &service.url(NEAR), |_| true).await;
        let ids: Vec<i64> =
            posts.as_array().unwrap().iter().map(|post| post["id"].as_i64().unwrap()).collect();
        assert!(ids.is_sorted_by(|one, next| one > next), "{ids:?}");
        seen.push(ids);
    }
    assert_eq!((seen[0].len(), &seen[0]), (31, &seen[1]), "a process misses a post");
    let (newest, next) = (seen[0][0], seen[0][1]);
    assert_eq!(
        minji.delete(one.url(&format!("/posts/{newest}"))).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    let first = until(&minji, &other.url("/posts?lat=37.5665&lon=126.978&limit=1"), |_| true).await;
    assert_eq!(first[0]["id"], next, "what another process deleted leaves a hole");

    let (sizes, posts) = pages(&minji, &other, "/posts?lat=37.5665&lon=126.978&limit=9").await;
    let ids: Vec<i64> = posts.iter().map(|post| post["id"].as_i64().unwrap()).collect();
    assert_eq!((sizes, ids), (vec![9, 9, 9, 3], seen[0][1..].to_vec()));

    let voting = (0..40).map(|number| {
        let service = if number % 2 == 0 { &one } else { &other };
        let person = client(&format!("이웃 {}", number / 2), "member");
        let url = service.url(&format!("/posts/{next}/reaction"));
        async move { person.put(url).json(&json!({"reaction": "like"})).send().await.unwrap().status() }
    });
    assert!(join_all(voting).await.iter().all(StatusCode::is_success));
    for service in [&one, &other] {
        let (status, _) = send(&minji, service.url(&format!("/posts/{next}/views")), Value::Null).await;
        assert_eq!(status, StatusCode::OK);
        let post = until(&minji, &service.url(&format!("/posts/{next}")), |_| true).await;
        assert_eq!((&post["likes"], &post["views"]), (&json!(20), &json!(1)), "{post}");
    }

    let warning = json!({"region": "seoul", "kind": "heavy_rain", "text": "시간당 50mm의 비"});
    let (first, again) = tokio::join!(
        send(&forecaster, one.url("/warnings"), warning.clone()),
        send(&forecaster, other.url("/warnings"), warning)
    );
    assert_eq!(first.1["id"], again.1["id"], "a region is warned twice of one thing");
    let room = format!("/warnings/{}", first.1["id"]);
    let live = other.url(&format!("{room}/live")).replacen("http", "ws", 1);
    let (mut live, _) = connect_async(live).await.unwrap();
    let said =
        send(&minji, one.url(&format!("{room}/messages")), json!({"id": "m", "text": "물이 차요"})).await;
    assert_eq!(said.0, StatusCode::CREATED, "{}", said.1);
    let heard = tokio::time::timeout(Duration::from_secs(30), live.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(heard.to_text().unwrap()).unwrap()["text"], "물이 차요");

    let mission = json!({"title": "물높이", "radius_m": 500, "lat": 37.5665, "lon": 126.978});
    let (_, mission) = send(&forecaster, one.url("/missions"), mission).await;
    let prove = async |service: &Running| {
        let proof = json!({"note": "봤어요", "lat": 37.5665, "lon": 126.978});
        let url = service.url(&format!("/missions/{}/proof", mission["id"]));
        minji.put(url).json(&proof).send().await.unwrap().status()
    };
    assert_eq!((prove(&one).await, prove(&other).await), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file was written");
    drop((one, other));
    trial.end().await;
}

#[tokio::test]
async fn coupons_on_postgres_go_once_each_to_one_person_though_a_process_is_killed() {
    const COUPONS: usize = 12;
    let Some(trial) = Trial::new("weather_community's coupons on PostgreSQL", Bus::Redis).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (start(&trial, folder.path()), start(&trial, folder.path()));
    let drop_of = json!({"title": "우산", "places": COUPONS});
    let (_, coupons) = send(&client("예보관", "forecaster"), one.url("/drops"), drop_of).await;
    let path = format!("/drops/{}/coupon", coupons["id"]);
    let people: Vec<Client> = (0..40).map(|number| client(&format!("이웃 {number}"), "member")).collect();
    let asking = people.iter().enumerate().map(|(number, person)| {
        let (url, one) = (if number % 2 == 0 { one.url(&path) } else { other.url(&path) }, &one);
        async move {
            let answer = person.post(url).send().await.ok()?;
            let coupon = (answer.status() == StatusCode::OK).then(|| answer.json::<Value>());
            // As soon as somebody has one of it.
            if number == 0 {
                one.signal("-KILL").unwrap();
            }
            coupon?.await.ok()
        }
    });
    let had = join_all(asking).await;
    let third = start(&trial, folder.path());
    let mut granted = HashMap::new();
    for (number, (person, had)) in people.iter().zip(&had).enumerate() {
        let (status, coupon) = send(person, third.url(&path), Value::Null).await;
        if let Some(had) = had {
            assert_eq!((status, &coupon), (StatusCode::OK, had), "a coupon was lost or changed");
        }
        if status == StatusCode::OK {
            granted.insert(number, coupon);
        } else {
            assert_eq!((status, &coupon["kind"]), (StatusCode::CONFLICT, &json!("none_left")));
        }
    }
    let each = |name: &str| granted.values().map(|coupon| coupon[name].to_string()).collect::<BTreeSet<_>>();
    assert_eq!((granted.len(), each("ticket").len(), each("code").len()), (COUPONS, COUPONS, COUPONS));
    // A page counts all its drops at once, also those of which nobody has asked for a coupon.
    for title in ["장화", "비옷"] {
        let drop_of = json!({"title": title, "places": 3});
        let (status, _) = send(&client("예보관", "forecaster"), other.url("/drops"), drop_of).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    let (sizes, drops) = pages(&people[0], &third, "/drops?limit=2").await;
    let free: Vec<u64> = drops.iter().map(|drop| drop["free"].as_u64().unwrap()).collect();
    assert_eq!((sizes, free), (vec![2, 1], vec![3, 3, 0]));
    drop((one, other, third));
    trial.end().await;
}
