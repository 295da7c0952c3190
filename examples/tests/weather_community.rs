//! The service, from outside: one vote, view, proof and coupon a person, rooms that go on, and nothing acknowledged lost.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test"
)]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use support::auth::Keys;
use support::child::Running;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const KEY: &str = "a key of the tests, of more than 32 bytes";
const CITY_HALL: (f64, f64) = (37.5665, 126.978);

/// Who asks.
#[derive(Clone, Copy)]
enum Who<'a> {
    Nobody,
    Forecaster,
    Member(&'a str),
}
use Who::{Forecaster, Member, Nobody};

struct Town {
    service: Running,
    client: Client,
    keys: Keys,
}

impl Town {
    fn start(data: &Path) -> Self {
        Self::start_with(data, &["--requests-per-second", "5000"])
    }

    fn start_with(data: &Path, arguments: &[&str]) -> Self {
        let serve = |command: &mut Command| {
            command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(arguments);
            command.env("PUMASI_TOKEN_KEY", KEY);
        };
        let service = Running::start("weather_community", serve).unwrap();
        Self { service, client: Client::new(), keys: Keys::new(KEY, "weather_community").unwrap() }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        who: Who<'_>,
        key: Option<&str>,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let token = |name, role| self.keys.issue(name, role, Duration::from_mins(1)).unwrap();
        let mut request = self.client.request(method, self.service.url(path));
        request = match who {
            Nobody => request,
            Forecaster => request.bearer_auth(token("예보관", "forecaster")),
            Member(name) => request.bearer_auth(token(name, "member")),
        };
        request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        body.into_iter().fold(request, |request, body| request.json(&body)).send().await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        who: Who<'_>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let answer = self.send(method, path, who, None, body).await.unwrap();
        let status = answer.status();
        if !status.is_success() {
            assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
        }
        (status, answer.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str, who: Who<'_>) -> Value {
        let (status, value) = self.ask(Method::GET, path, who, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    async fn post(&self, path: &str, who: Who<'_>, body: Value) -> Value {
        let (status, value) = self.ask(Method::POST, path, who, Some(body)).await;
        assert!(status.is_success(), "{path}: {status} {value}");
        value
    }

    async fn add_post(&self, author: &str, text: &str, (lat, lon): (f64, f64)) -> i64 {
        let post = json!({"sky": "rain", "text": text, "lat": lat, "lon": lon});
        self.post("/posts", Member(author), post).await["id"].as_i64().unwrap()
    }

    async fn warning(&self) -> i64 {
        let warning = json!({"region": "seoul", "kind": "heavy_rain", "text": "시간당 50mm의 비"});
        self.post("/warnings", Forecaster, warning).await["id"].as_i64().unwrap()
    }

    async fn say(&self, warning: i64, who: &str, id: &str, text: &str) -> reqwest::Result<Response> {
        let path = format!("/warnings/{warning}/messages");
        self.send(Method::POST, &path, Member(who), None, Some(json!({"id": id, "text": text}))).await
    }

    async fn listen(&self, warning: i64, after: Option<u64>) -> Room {
        let after = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let url = self.service.url(&format!("/warnings/{warning}/live{after}"));
        Room(connect_async(url.replacen("http", "ws", 1)).await.unwrap().0)
    }
}

/// Somebody who listens.
struct Room(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Room {
    /// The next message, or the code with which the connection was closed.
    async fn next(&mut self) -> Result<Value, u16> {
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(30), self.0.next()).await;
            match frame.unwrap_or_else(|_| panic!("nothing is heard")) {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(0, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(0),
            }
        }
    }

    async fn hear(&mut self, count: usize) -> Vec<(u64, String)> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let message = self.next().await.unwrap();
            heard.push((message["number"].as_u64().unwrap(), message["text"].as_str().unwrap().to_owned()));
        }
        heard
    }
}

/// Has 50 requests under way at any time.
async fn at_once<F: Future>(requests: impl Iterator<Item = F>) -> Vec<F::Output> {
    stream::iter(requests).buffer_unordered(50).collect().await
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

#[tokio::test]
async fn posts_are_found_within_the_radius_the_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    // 4,995 m and 5,005 m to the north, by the earth's mean radius
    let degrees = |metres: f64| metres / 6_371_008.8 * 180.0 / std::f64::consts::PI;
    let (lat, lon) = CITY_HALL;
    town.add_post("민지", "inside", (lat + degrees(4_995.0), lon)).await;
    town.add_post("민지", "outside", (lat + degrees(5_005.0), lon)).await;
    town.add_post("Jane", "here", CITY_HALL).await;
    town.add_post("Jane", "Busan", (35.1587, 129.1604)).await;
    let near = format!("/posts?lat={lat}&lon={lon}");
    let found = town.get(&near, Nobody).await;
    let texts: Vec<_> = found.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["here", "inside"]);
    assert_eq!((number(&found[0]["distance_m"]), number(&found[1]["distance_m"])), (0, 4_995));
    let wider = town.get(&format!("{near}&radius_m=5010"), Nobody).await;
    assert_eq!(wider.as_array().unwrap().len(), 3);

    // page by page
    let mut walked = Vec::new();
    let mut path = format!("{near}&radius_m=50000&limit=1");
    loop {
        let answer = town.send(Method::GET, &path, Nobody, None, None).await.unwrap();
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        walked.extend(answer.json::<Vec<Value>>().await.unwrap());
        let Some(link) = link else { break };
        path = link.strip_prefix('<').unwrap().split('>').next().unwrap().to_owned();
    }
    assert_eq!(walked.len(), 3);

    // sent again under its key it is posted once, also at the same time
    let post = json!({"sky": "wind", "text": "한 번만", "lat": lat, "lon": lon});
    let sending =
        (0..6).map(|_| town.send(Method::POST, "/posts", Member("지우"), Some("k-1"), Some(post.clone())));
    let answers = join_all(sending).await;
    let mut ids = BTreeSet::new();
    for answer in answers {
        let answer = answer.unwrap();
        match answer.status() {
            StatusCode::CREATED => {
                ids.insert(answer.json::<Value>().await.unwrap()["id"].as_i64().unwrap());
            }
            status => assert_eq!(status, StatusCode::CONFLICT),
        }
    }
    assert_eq!(ids.len(), 1);
    let id = ids.first().unwrap();
    let other = json!({"sky": "wind", "text": "다른 글", "lat": lat, "lon": lon});
    let refused = town.send(Method::POST, "/posts", Member("지우"), Some("k-1"), Some(other)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);

    // one's own can be deleted, others' not, but by a forecaster; and it is found no more
    let path = format!("/posts/{id}");
    assert_eq!(town.ask(Method::DELETE, &path, Member("Jane"), None).await.0, StatusCode::FORBIDDEN);
    assert_eq!(town.ask(Method::DELETE, &path, Member("지우"), None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(town.ask(Method::GET, &path, Nobody, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(town.get(&near, Nobody).await.as_array().unwrap().len(), 2);
    assert_eq!(town.ask(Method::DELETE, "/posts/1", Forecaster, None).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_person_votes_once_and_is_seen_once_however_often_and_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let id = town.add_post("민지", "소나기", CITY_HALL).await;
    let (reaction, views) = (format!("/posts/{id}/reaction"), format!("/posts/{id}/views"));
    let people: Vec<String> = (0..40).map(|number| format!("person {number}")).collect();
    let voting = people.iter().enumerate().flat_map(|(number, person)| {
        let which = if number % 4 == 0 { "dislike" } else { "like" };
        let (town, reaction) = (&town, &reaction);
        (0..5).map(move |_| town.ask(Method::PUT, reaction, Member(person), Some(json!({"reaction": which}))))
    });
    let seeing = people.iter().flat_map(|person| {
        let (town, views) = (&town, &views);
        (0..5).map(move |_| town.ask(Method::POST, views, Member(person), None))
    });
    let (voted, seen) = tokio::join!(at_once(voting), at_once(seeing));
    assert!(voted.iter().all(|(status, _)| *status == StatusCode::OK), "{voted:?}");
    // A window of an hour may have ended meanwhile, and then some count twice.
    let counted = seen.iter().filter(|(_, seen)| seen["counted"] == true).count();
    let post = town.get(&format!("/posts/{id}"), Member("person 4")).await;
    assert_eq!(
        (number(&post["likes"]), number(&post["dislikes"]), post["mine"].as_str()),
        (30, 10, Some("dislike"))
    );
    assert_eq!(number(&post["views"]), counted as u64);
    assert!((40..=80).contains(&counted), "{counted}");

    town.ask(Method::PUT, &reaction, Member("person 4"), Some(json!({"reaction": "like"}))).await;
    let (_, tally) =
        town.ask(Method::PUT, &reaction, Member("person 1"), Some(json!({"reaction": "none"}))).await;
    assert_eq!(tally, json!({"likes": 30, "dislikes": 9, "mine": "none"}));
    assert_eq!(
        town.ask(Method::PUT, &reaction, Nobody, Some(json!({"reaction": "like"}))).await.0,
        StatusCode::UNAUTHORIZED
    );

    // Who was counted is known after a kill.
    town.service.signal("-KILL").unwrap();
    drop(town);
    let town = Town::start(folder.path());
    let before = number(&town.get(&format!("/posts/{id}"), Nobody).await["views"]);
    assert_eq!(before, counted as u64);
    let seen = town.post(&views, Member("person 1"), json!({})).await;
    let after = number(&seen["views"]);
    assert_eq!(after, before + u64::from(seen["counted"].as_bool().unwrap()));
    let again = town.post(&views, Member("person 1"), json!({})).await;
    assert_eq!(again, json!({"counted": false, "views": after}));
    let post = town.get(&format!("/posts/{id}"), Nobody).await;
    assert_eq!((number(&post["likes"]), number(&post["dislikes"])), (30, 9));
}

#[tokio::test]
async fn a_warning_opens_a_room_with_history_and_live_messages() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let warning = json!({"region": "seoul", "kind": "heavy_rain", "text": "시간당 50mm의 비"});
    assert_eq!(
        town.ask(Method::POST, "/warnings", Member("민지"), Some(warning.clone())).await.0,
        StatusCode::FORBIDDEN
    );
    let issued =
        join_all((0..4).map(|_| town.ask(Method::POST, "/warnings", Forecaster, Some(warning.clone()))))
            .await;
    assert_eq!(issued.iter().filter(|(status, _)| *status == StatusCode::CREATED).count(), 1, "{issued:?}");
    let id = issued[0].1["id"].as_i64().unwrap();
    assert!(issued.iter().all(|(_, warning)| warning["id"] == id));
    assert_eq!(town.get("/warnings?region=seoul", Nobody).await.as_array().unwrap().len(), 1);
    assert_eq!(town.get("/warnings?region=jeju", Nobody).await, json!([]));

    let path = format!("/warnings/{id}/messages");
    for number in 1..=120 {
        let said = town.say(id, "민지", &format!("m-{number}"), &format!("말 {number}")).await.unwrap();
        assert_eq!(said.status(), StatusCode::CREATED);
    }
    let history = town.get(&path, Nobody).await;
    assert_eq!(
        (history.as_array().unwrap().len(), &history[0]["number"], &history[99]["number"]),
        (100, &json!(21), &json!(120))
    );
    let mut newcomer = town.listen(id, None).await;
    assert_eq!(
        newcomer.hear(100).await,
        (21..=120).map(|number| (number, format!("말 {number}"))).collect::<Vec<_>>()
    );
    let mut returning = town.listen(id, Some(118)).await;

    // Eight people at once, each message twice.
    let speaking = (0..8).flat_map(|person| {
        let town = &town;
        (0..5).map(move |number| async move {
            let (who, text) = (format!("person {person}"), format!("{person} {number}"));
            let first =
                town.say(id, &who, &format!("{number}"), &text).await.unwrap().json::<Value>().await.unwrap();
            let again =
                town.say(id, &who, &format!("{number}"), &text).await.unwrap().json::<Value>().await.unwrap();
            assert_eq!(first, again);
        })
    });
    let (_, heard, caught_up) = tokio::join!(join_all(speaking), newcomer.hear(40), returning.hear(42));
    assert_eq!(heard.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (121..=160).collect::<Vec<_>>());
    assert_eq!(heard.iter().map(|(_, text)| text).collect::<BTreeSet<_>>().len(), 40);
    assert_eq!(caught_up[2..], heard[..]);
    let other = town.say(id, "person 1", "1", "something else").await.unwrap();
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);

    // Lifted, it can be read, and a new one may be issued.
    let lifted = town.ask(Method::DELETE, &format!("/warnings/{id}"), Forecaster, None).await.1;
    assert!(lifted["lifted_at"].is_string(), "{lifted}");
    assert_eq!(town.say(id, "민지", "late", "늦은 말").await.unwrap().status(), StatusCode::CONFLICT);
    assert_eq!(town.get(&path, Nobody).await.as_array().unwrap().len(), 100);
    let anew = town.warning().await;
    assert_ne!(anew, id);
    assert_eq!(town.get(&format!("/warnings/{anew}/messages"), Nobody).await, json!([]));
}

#[tokio::test]
async fn what_was_said_is_there_after_a_kill_and_listeners_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut town = Town::start(folder.path());
    let id = town.warning().await;
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    let mut heard: Vec<(u64, String)> = Vec::new();
    let mut kills = 0;
    for round in 0..3 {
        let said = AtomicUsize::new(0);
        let mut room = town.listen(id, Some(heard.last().map_or(0, |(number, _)| *number))).await;
        let speaking = async {
            let each = (0..4).map(|person| {
                let (town, said) = (&town, &said);
                async move {
                    let mut mine = Vec::new();
                    for number in 0..200 {
                        let text = format!("{round} {person} {number}");
                        let Ok(answer) = town.say(id, &format!("person {person}"), &text, &text).await else {
                            break;
                        };
                        let Ok(message) = answer.json::<Value>().await else { break };
                        mine.push((text, message["number"].as_u64().unwrap()));
                        said.fetch_add(1, Ordering::Relaxed);
                    }
                    mine
                }
            });
            join_all(each).await.into_iter().flatten().collect::<Vec<_>>()
        };
        let listening = async {
            let mut heard = Vec::new();
            while let Ok(message) = room.next().await {
                heard.push((number(&message["number"]), message["text"].as_str().unwrap().to_owned()));
            }
            heard
        };
        let killing = async {
            while said.load(Ordering::Relaxed) < 15 {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            town.service.signal("-KILL").unwrap();
            kills += 1;
        };
        let (said, news, ()) = tokio::join!(speaking, listening, killing);
        acknowledged.extend(said);
        heard.extend(news);
        town = Town::start(folder.path());
    }
    let all = town.get(&format!("/warnings/{id}/messages?after=0&limit=500"), Nobody).await;
    let all: Vec<(u64, String)> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (number(&message["number"]), message["text"].as_str().unwrap().to_owned()))
        .collect();
    let mut room = town.listen(id, Some(heard.last().map_or(0, |(number, _)| *number))).await;
    heard.extend(room.hear(all.len() - heard.len()).await);
    assert_eq!(heard, all);
    assert!(all.iter().zip(1..).all(|((number, _), expected)| *number == expected));
    let texts: HashMap<&str, u64> = all.iter().map(|(number, text)| (text.as_str(), *number)).collect();
    assert_eq!(texts.len(), all.len(), "a message is there twice");
    for (text, number) in &acknowledged {
        assert_eq!(texts.get(text.as_str()), Some(number), "{text}");
    }
    println!("killed {kills} times: {} messages acknowledged, {} there", acknowledged.len(), all.len());
    // A client that heard no answer sends it again: it is there once.
    let (last, text) = all.last().unwrap();
    let author = format!("person {}", text.split(' ').nth(1).unwrap());
    let again = town.say(id, &author, text, text).await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(number(&again["number"]), *last);
}

#[tokio::test]
async fn a_mission_is_proven_once_by_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let mission =
        json!({"title": "청계천 물높이 보기", "lat": CITY_HALL.0, "lon": CITY_HALL.1, "radius_m": 500.0});
    for _ in 0..2 {
        let made =
            town.send(Method::POST, "/missions", Forecaster, Some("m"), Some(mission.clone())).await.unwrap();
        assert_eq!(made.status(), StatusCode::CREATED);
    }
    assert_eq!(town.get("/missions", Nobody).await.as_array().unwrap().len(), 1);
    let proof = |note: &str, (lat, lon): (f64, f64)| Some(json!({"lat": lat, "lon": lon, "note": note}));
    let path = "/missions/1/proof";
    let far = town.ask(Method::PUT, path, Member("민지"), proof("안 보여요", (37.528, 126.933))).await;
    assert_eq!(far.0, StatusCode::UNPROCESSABLE_ENTITY);
    let proving = (0..8).map(|_| town.ask(Method::PUT, path, Member("민지"), proof("찼어요", CITY_HALL)));
    let proven = join_all(proving).await;
    assert_eq!(proven.iter().filter(|(status, _)| *status == StatusCode::CREATED).count(), 1, "{proven:?}");
    assert!(proven.iter().all(|(status, proof)| status.is_success() && *proof == proven[0].1));
    let other = town.ask(Method::PUT, path, Member("민지"), proof("넘쳤어요", CITY_HALL)).await;
    assert_eq!(other.0, StatusCode::CONFLICT);
    town.ask(Method::PUT, path, Member("Jane"), proof("high", CITY_HALL)).await;
    let seen = town.get("/missions", Member("Jane")).await;
    assert_eq!((number(&seen[0]["proven"]), &seen[0]["mine"]), (2, &json!(true)));
    assert_eq!(town.get("/missions", Member("지우")).await[0]["mine"], false);
}

#[tokio::test]
async fn a_drop_gives_each_of_the_first_one_coupon_through_a_kill() {
    const COUPONS: usize = 60;
    const ASKERS: usize = 150;
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let drop_of = json!({"title": "우산 쿠폰", "places": COUPONS});
    let id = town.post("/drops", Forecaster, drop_of).await["id"].as_i64().unwrap();
    let path = format!("/drops/{id}/coupon");
    let people: Vec<String> = (0..ASKERS).map(|number| format!("person {number}")).collect();

    // Half of the coupons are out when the process dies, with many askers under way.
    let granted = AtomicUsize::new(0);
    let asking = people.iter().map(|person| {
        let (town, path, granted) = (&town, &path, &granted);
        async move {
            let answer = town.send(Method::POST, path, Member(person), None, None).await.ok()?;
            let coupon = answer.error_for_status().ok()?.json::<Value>().await.ok()?;
            granted.fetch_add(1, Ordering::Relaxed);
            Some((person.clone(), coupon))
        }
    });
    let killing = async {
        while granted.load(Ordering::Relaxed) < COUPONS / 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        town.service.signal("-KILL").unwrap();
    };
    let (asked, ()) = tokio::join!(join_all(asking), killing);
    let before: HashMap<String, Value> = asked.into_iter().flatten().collect();
    drop(town);

    // Everybody asks again, twice and at once.
    let town = Town::start(folder.path());
    let mut coupons: HashMap<String, Value> = before.clone();
    let asking = people.iter().chain(&people).map(|person| {
        let (town, path) = (&town, &path);
        async move { (person, town.ask(Method::POST, path, Member(person), None).await) }
    });
    for (person, (status, coupon)) in at_once(asking).await {
        if status != StatusCode::OK {
            assert_eq!(
                (status, coupon["title"].as_str()),
                (StatusCode::CONFLICT, Some("none_left")),
                "{coupon}"
            );
            continue;
        }
        let known = coupons.entry(person.clone()).or_insert_with(|| coupon.clone());
        assert_eq!(*known, coupon, "{person} has two coupons");
    }
    println!("{} coupons acknowledged before the kill, {} in the end", before.len(), coupons.len());
    assert_eq!(coupons.len(), COUPONS);
    let of =
        |field: &str| coupons.values().map(|coupon| coupon[field].to_string()).collect::<BTreeSet<_>>().len();
    assert_eq!((of("ticket"), of("code")), (COUPONS, COUPONS));
    let drops = town.get("/drops", Nobody).await;
    assert_eq!((number(&drops[0]["places"]), number(&drops[0]["free"])), (COUPONS as u64, 0));
    assert_eq!(town.ask(Method::POST, &path, Member("late"), None).await.0, StatusCode::CONFLICT);
    let metrics = town.send(Method::GET, "/metrics", Nobody, None, None).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("weather_coupons_total{outcome=\"granted\"}"), "{metrics}");
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let id = town.add_post("민지", "여기", CITY_HALL).await;
    let warning = town.warning().await;
    let (lat, lon) = CITY_HALL;
    let post = |text: &str, lat: f64| Some(json!({"sky": "rain", "text": text, "lat": lat, "lon": lon}));
    let minji = Member("민지");
    let (get, put, add, delete) = (Method::GET, Method::PUT, Method::POST, Method::DELETE);
    let long = "가".repeat(501);
    for (method, path, who, body, status) in [
        (&get, "/posts".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=91&lon=0".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=NaN&lon=0".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=0&lon=0&radius_m=60000".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=0&lon=0&after=x".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=0&lon=0&limit=0".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=0&lon=0&what=1".to_owned(), Nobody, None, 400),
        (&get, "/posts/x".to_owned(), Nobody, None, 404),
        (&get, "/posts/99999999999999999999".to_owned(), Nobody, None, 404),
        (&get, "/posts/-1".to_owned(), Nobody, None, 404),
        (&add, "/posts".to_owned(), Nobody, post("비", lat), 401),
        (&add, "/posts".to_owned(), minji, post("", lat), 422),
        (&add, "/posts".to_owned(), minji, post(&long, lat), 422),
        (&add, "/posts".to_owned(), minji, post("\u{0}", lat), 422),
        (&add, "/posts".to_owned(), minji, post("비", 90.5), 422),
        (&add, "/posts".to_owned(), minji, Some(json!(["rain", "비", 1, 2])), 422),
        (&add, "/posts".to_owned(), minji, Some(json!({"sky": "x".repeat(20_000)})), 413),
        (&put, format!("/posts/{id}/reaction"), minji, Some(json!({"reaction": "love"})), 422),
        (&put, "/posts/77/reaction".to_owned(), minji, Some(json!({"reaction": "like"})), 404),
        (&add, "/posts/77/views".to_owned(), minji, None, 404),
        (&get, "/warnings?region=atlantis".to_owned(), Nobody, None, 400),
        (
            &add,
            "/warnings".to_owned(),
            Forecaster,
            Some(json!({"region": "seoul", "kind": "frogs", "text": "!"})),
            422,
        ),
        (&delete, format!("/warnings/{warning}"), minji, None, 403),
        (&get, format!("/warnings/{warning}/live"), Nobody, None, 426),
        (&get, "/warnings/77/live".to_owned(), Nobody, None, 404),
        (&get, format!("/warnings/{warning}/live?after=-1"), Nobody, None, 400),
        (&add, format!("/warnings/{warning}/messages"), Nobody, Some(json!({"id": "1", "text": "!"})), 401),
        (&add, format!("/warnings/{warning}/messages"), minji, Some(json!({"id": "", "text": "!"})), 422),
        (
            &add,
            "/missions".to_owned(),
            minji,
            Some(json!({"title": "t", "lat": 0, "lon": 0, "radius_m": 50})),
            403,
        ),
        (&add, "/drops".to_owned(), Forecaster, Some(json!({"title": "t", "places": 0})), 422),
        (&add, "/drops/77/coupon".to_owned(), minji, None, 404),
        (&add, "/about".to_owned(), minji, None, 405),
        (&get, "/nowhere".to_owned(), Nobody, None, 404),
        (&get, "/about?x=1".to_owned(), Nobody, None, 400),
    ] {
        let (answered, problem) = town.ask(method.clone(), &path, who, body).await;
        assert_eq!(answered.as_u16(), status, "{method} {path}: {problem}");
        assert_eq!(problem["status"], status, "{method} {path}");
    }
    let forged =
        town.client.get(town.service.url("/missions")).bearer_auth("e30.e30.x").send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::UNAUTHORIZED);
    // Nobody's words are in the log.
    town.post(&format!("/warnings/{warning}/messages"), minji, json!({"id": "s", "text": "비밀 이야기"}))
        .await;
    assert!(!town.service.logs().contains("비밀"), "{}", town.service.logs());
    let openapi = town.get("/openapi.json", Nobody).await;
    assert!(openapi["paths"]["/warnings/{id}/live"]["get"].is_object());
    let page = town.send(Method::GET, "/", Nobody, None, None).await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
}

#[tokio::test]
async fn asked_to_stop_it_lets_listeners_go_and_ends_in_peace() {
    let folder = tempfile::tempdir().unwrap();
    let mut town = Town::start_with(folder.path(), &["--requests-per-second", "1"]);
    let asking = (0..10).map(|_| town.send(Method::GET, "/drops", Member("민지"), None, None));
    let answers = join_all(asking).await;
    assert!(answers.into_iter().flatten().any(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(town.get("/readyz", Nobody).await["dependencies"], json!({"store": "up"}));
    let id = town.warning().await;
    let mut room = town.listen(id, None).await;
    town.service.signal("-TERM").unwrap();
    assert_eq!(room.next().await, Err(1001));
    let deadline = Instant::now() + Duration::from_secs(15);
    let status = loop {
        if let Some(status) = town.service.ended().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    assert!(status.success(), "{status}");
}
