//! The search, from outside: whatever becomes of its engines it answers, and says who did; no place is sold twice, no write of
//! others is overwritten, and nothing acknowledged is lost.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use support::auth::{KEY, Keys};
use support::child::Running;

const SIGNED_WITH: &str = "a key of this test, with at least 32 bytes";
/// A lecture of the committed entries with two places.
const LECTURE: &str = "l02";

/// Who asks.
#[derive(Clone, Copy)]
enum Who<'a> {
    Nobody,
    Member(&'a str),
    Tutor,
    Operator,
}
use Who::{Member, Nobody, Operator, Tutor};

struct Site {
    service: Running,
    client: Client,
    keys: Keys,
}

impl Site {
    fn start(data: &Path, arguments: &[&str]) -> Self {
        let serve = |command: &mut Command| {
            command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(arguments);
            if !arguments.contains(&"--requests-per-second") {
                command.args(["--requests-per-second", "2000"]);
            }
            command.env(KEY, SIGNED_WITH);
        };
        let service = Running::start("dev_search", serve).unwrap();
        Self { service, client: Client::new(), keys: Keys::new(SIGNED_WITH, "dev_search").unwrap() }
    }

    fn request(&self, method: Method, path: &str, who: Who<'_>) -> RequestBuilder {
        let token = |name, role| self.keys.issue(name, role, Duration::from_mins(1)).unwrap();
        let request = self.client.request(method, self.service.url(path));
        match who {
            Nobody => request,
            Member(name) => request.bearer_auth(token(name, "member")),
            Tutor => request.bearer_auth(token("현우", "tutor")),
            Operator => request.bearer_auth(token("하나", "operator")),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        who: Who<'_>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let request = self.request(method, path, who);
        answered(body.into_iter().fold(request, |request, body| request.json(&body)), path).await
    }

    async fn get(&self, path: &str, who: Who<'_>) -> Value {
        let (status, value) = self.ask(Method::GET, path, who, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    async fn search(&self, parameters: &[(&str, &str)]) -> Value {
        let request = self.request(Method::GET, "/search", Nobody).query(parameters);
        let (status, found) = answered(request, "/search").await;
        assert_eq!(status, StatusCode::OK, "{parameters:?}: {found}");
        found
    }

    async fn cut(&self, engine: &str, line: &str) {
        let path = format!("/engines/{engine}");
        let (status, told) = self.ask(Method::PUT, &path, Operator, Some(json!({"line": line}))).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{told}");
    }

    /// Searches until the answer is as wanted, some seconds at most; every search has to be answered.
    async fn search_until(&self, words: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let found = self.search(&[("q", words)]).await;
            if is_wanted(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "{words}: {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn order(&self, entry: &str, person: &str) -> Value {
        let path = format!("/entries/{entry}/order");
        let (status, order) = self.ask(Method::POST, &path, Member(person), Some(json!({}))).await;
        assert_eq!(status, StatusCode::OK, "{order}");
        order
    }

    /// Waits until an order has ended.
    async fn ended(&self, entry: &str, person: &str) -> Value {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let order = self.get(&format!("/entries/{entry}/order"), Member(person)).await;
            if ["completed", "compensated"].contains(&order["status"].as_str().unwrap()) {
                return order;
            }
            assert!(Instant::now() < deadline, "{order}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn partner(&self, mood: &str) {
        let (status, told) = self.ask(Method::PUT, "/partner", Operator, Some(json!({"mood": mood}))).await;
        assert_eq!(status, StatusCode::OK, "{told}");
    }

    async fn free(&self, entry: &str) -> u64 {
        self.get(&format!("/entries/{entry}"), Nobody).await["free"].as_u64().unwrap()
    }

    /// Writes a todo over a version, or a new one.
    async fn write(&self, who: Who<'_>, id: &str, text: &str, version: Option<u64>) -> (StatusCode, Value) {
        let path = format!("/todos/{id}");
        let request = self.request(Method::PUT, &path, who).json(&json!({"text": text}));
        let request = match version {
            Some(version) => request.header("if-match", format!("\"{version}\"")),
            None => request.header("if-none-match", "*"),
        };
        answered(request, &path).await
    }
}

async fn answered(request: RequestBuilder, path: &str) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    if !status.is_success() {
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
    (status, answer.json().await.unwrap_or_default())
}

fn ids(found: &Value) -> Vec<String> {
    let hits = found["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["id"].as_str().unwrap().to_owned()).collect()
}

/// What is marked of a text.
fn marked(pieces: &Value) -> String {
    let pieces = pieces.as_array().unwrap().iter().filter(|piece| piece["marked"] == true);
    pieces.map(|piece| piece["text"].as_str().unwrap()).collect::<Vec<_>>().join("|")
}

fn post(title: &str) -> Value {
    json!({"kind": "post", "category": "backend", "lang": "ko", "title": title, "body": "본문입니다"})
}

#[tokio::test]
async fn searches_are_answered_whatever_becomes_of_the_engines() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    let is = |served: &'static str, engine: Value| {
        move |found: &Value| found["served"] == served && found["engine"] == engine && !ids(found).is_empty()
    };
    site.search_until("검색 엔진", is("fresh", json!("engine"))).await;
    for line in ["refused", "silent"] {
        site.cut("primary", line).await;
        site.search_until("검색 엔진", is("degraded", json!("database"))).await;
        site.cut("primary", "whole").await;
        site.search_until("검색 엔진", is("fresh", json!("engine"))).await;
    }
    site.search_until("검색 엔진", is("cached", Value::Null)).await;
    site.cut("primary", "refused").await;
    site.cut("fallback", "refused").await;
    let stale = site.search_until("검색 엔진", is("stale", Value::Null)).await;
    assert!(stale["age_ms"].as_u64().unwrap() >= 1_000, "{stale}");
    let (status, problem) = site.ask(Method::GET, "/search?q=tantivy", Nobody, None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    let (status, problem) = site.ask(Method::GET, "/readyz", Nobody, None).await;
    assert_eq!((status, &problem["down"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(["search"])));
    site.cut("fallback", "whole").await;
    site.cut("primary", "whole").await;
    site.search_until("검색 엔진", is("fresh", json!("engine"))).await;
    let metrics = site.client.get(site.service.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for told in [
        "pumasi_breaker_state{name=\"posts/engine\"} 0",
        "pumasi_search_documents{engine=\"engine\"} 45",
        "pumasi_fallback_seconds_bucket{name=\"posts\",le=\"0.5\"}",
    ] {
        assert!(metrics.contains(told), "{told} is not in {metrics}");
    }
}

#[tokio::test]
async fn one_box_finds_every_kind_with_typos_initials_and_counts_and_walks_on_over_a_failover() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    let found = site.search(&[("limit", "1")]).await;
    let kinds: Vec<_> = found["kinds"].as_array().unwrap().iter().map(|kind| kind["count"].clone()).collect();
    assert_eq!((found["total"].as_u64(), kinds), (Some(45), vec![json!(30), json!(6), json!(5), json!(4)]));
    let found = site.search(&[("q", "kubernets")]).await;
    assert_eq!(
        (ids(&found), marked(&found["hits"][0]["title"])),
        (vec!["l03".to_owned()], "Kubernetes".into())
    );
    let found = site.search(&[("q", "ㄹㅅㅌ"), ("typing", "true"), ("kind", "lecture")]).await;
    assert_eq!(ids(&found), ["l01"]);
    let found = site.search(&[("q", "검색"), ("category", "search"), ("lang", "ko")]).await;
    assert!(ids(&found).contains(&"l04".to_owned()) && ids(&found).contains(&"r04".to_owned()), "{found}");
    assert_eq!(found["categories"].as_array().unwrap().len(), 1, "{found}");

    let (mut walked, mut after) = (Vec::new(), None::<String>);
    for page in 0.. {
        site.cut("primary", if page % 2 == 0 { "whole" } else { "refused" }).await;
        let after_this = after.clone().unwrap_or_default();
        let mut asked = vec![("order", "likes"), ("limit", "7")];
        if after.is_some() {
            asked.push(("after", &after_this));
        }
        let found = site.search(&asked).await;
        walked.extend(ids(&found));
        after = found["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    assert_eq!((walked.len(), walked.iter().collect::<BTreeSet<_>>().len()), (45, 45), "{walked:?}");
    site.cut("primary", "whole").await;

    let next = site.search(&[("order", "likes"), ("limit", "7")]).await["next"].as_str().unwrap().to_owned();
    let mut forged = next.clone().into_bytes();
    forged[10] = if forged[10] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for (path, status) in [
        (format!("/search?order=likes&after={forged}"), StatusCode::BAD_REQUEST),
        (format!("/search?after={next}"), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(site.ask(Method::GET, &path, Nobody, None).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn what_is_written_while_an_engine_is_away_is_found_in_it_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    for line in ["refused", "silent"] {
        site.cut("primary", line).await;
        let title = format!("고래가 {line} 바다를 헤엄친다");
        let (status, entry) = site.ask(Method::POST, "/entries", Member("민수"), Some(post(&title))).await;
        assert_eq!(status, StatusCode::CREATED, "{entry}");
        let id = entry["id"].as_str().unwrap().to_owned();
        site.search_until(&title, |found| ids(found).first() == Some(&id)).await;
        site.cut("primary", "whole").await;
        site.search_until(&title, |found| found["served"] == "fresh" && ids(found).first() == Some(&id))
            .await;
        let path = format!("/entries/{id}");
        assert_eq!(site.ask(Method::DELETE, &path, Member("Jane"), None).await.0, StatusCode::FORBIDDEN);
        assert_eq!(site.ask(Method::DELETE, &path, Member("민수"), None).await.0, StatusCode::NO_CONTENT);
        assert_eq!(site.ask(Method::DELETE, &path, Member("민수"), None).await.0, StatusCode::NOT_FOUND);
        site.search_until(&title, |found| !ids(found).contains(&id)).await;
    }
}

#[tokio::test]
async fn no_place_is_sold_twice_and_one_whose_payment_fails_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &["--partner", "declines"]);
    let order = site.order(LECTURE, "민수").await;
    assert_eq!(
        (&order["status"], &order["reason"]),
        (&json!("compensated"), &json!("the card was declined"))
    );
    assert_eq!((order["charged_krw"].clone(), site.free(LECTURE).await), (Value::Null, 2));

    site.partner("forgets").await;
    let order = site.order(LECTURE, "Jane").await;
    assert_eq!((&order["status"], &order["charged_krw"]), (&json!("completed"), &json!(49_000)), "{order}");
    assert_eq!(site.order(LECTURE, "Jane").await, order, "ordered again");

    site.partner("away").await;
    let (going_back, ()) = tokio::join!(site.order(LECTURE, "지우"), async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while site.free(LECTURE).await > 0 {
            assert!(Instant::now() < deadline, "the place is not held meanwhile");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_ne!(going_back["status"], "completed");
    site.partner("well").await;
    let order = site.ended(LECTURE, "지우").await;
    assert!(order["status"] == "compensated" || order["charged_krw"] == 49_000, "{order}");
    let taken = 1 + u64::from(order["status"] == "completed");
    assert_eq!(site.free(LECTURE).await, 2 - taken);

    let buyers: Vec<String> = (0..8).map(|number| format!("buyer {number}")).collect();
    join_all(buyers.iter().map(|buyer| site.order(LECTURE, buyer))).await;
    let orders = join_all(buyers.iter().map(|buyer| site.ended(LECTURE, buyer))).await;
    let completed = orders.iter().filter(|order| order["status"] == "completed").count() as u64;
    assert_eq!((completed, site.free(LECTURE).await), (2 - taken, 0));
    assert!(
        orders.iter().all(|order| order["status"] == "completed" || order["reason"] == "no place is left")
    );

    let all = site.get("/orders", Operator).await;
    assert_eq!(all.as_array().unwrap().len(), 11);
    let mine = site.get("/orders", Member("민수")).await;
    assert_eq!((mine.as_array().unwrap().len(), &mine[0]["person"]), (1, &json!("민수")));
    let again =
        site.request(Method::POST, "/entries/l01/order", Member("민수")).json(&json!({"again": true}));
    assert_eq!(answered(again, "again").await.0, StatusCode::NOT_FOUND);
    let path = format!("/entries/{LECTURE}/order");
    let (status, order) = site.ask(Method::POST, &path, Member("민수"), Some(json!({"again": true}))).await;
    assert_eq!((status, &order["reason"]), (StatusCode::OK, &json!("no place is left")), "{order}");
    assert_eq!(site.ask(Method::DELETE, &path, Member("Jane"), None).await.0, StatusCode::CONFLICT);
    let path = format!("/entries/{LECTURE}");
    assert_eq!(site.ask(Method::DELETE, &path, Operator, None).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn what_others_wrote_meanwhile_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    let minsu = Member("민수");
    let (status, todo) = site.write(minsu, "review", "과제 리뷰", None).await;
    assert_eq!((status, &todo["version"]), (StatusCode::CREATED, &json!(1)));
    assert_eq!(
        site.write(minsu, "review", "과제 리뷰", None).await.1,
        todo,
        "the same again is answered alike"
    );
    assert_eq!(site.write(minsu, "review", "다른 것", None).await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(site.write(minsu, "review", "금요일", Some(1)).await.1["version"], 2);
    assert_eq!(site.write(minsu, "review", "금요일", Some(1)).await.1["version"], 2, "an answer was lost");
    let (status, problem) = site.write(minsu, "review", "토요일", Some(1)).await;
    assert_eq!((status, &problem["title"]), (StatusCode::PRECONDITION_FAILED, &json!("stale")));
    assert!(problem["hint"].as_str().unwrap().contains("ETag"), "{problem}");
    assert_eq!(site.get("/todos/review", minsu).await["text"], "금요일");
    assert_eq!(site.get("/todos", Member("Jane")).await, json!([]), "somebody else's");
    assert_eq!(site.write(Member("Jane"), "review", "x", Some(2)).await.0, StatusCode::PRECONDITION_FAILED);

    // Ten windows write at the same time: each write is based on what it read, and none is lost.
    let mark = |window: usize| {
        let site = &site;
        async move {
            loop {
                let todo = site.get("/todos/review", minsu).await;
                let text = format!("{} {window}", todo["text"].as_str().unwrap());
                match site.write(minsu, "review", &text, todo["version"].as_u64()).await.0 {
                    StatusCode::OK => return,
                    status => assert_eq!(status, StatusCode::PRECONDITION_FAILED),
                }
            }
        }
    };
    join_all((0..10).map(mark)).await;
    let todo = site.get("/todos/review", minsu).await;
    let marks: BTreeSet<&str> = todo["text"].as_str().unwrap().split(' ').collect();
    assert_eq!((todo["version"].as_u64(), marks.len()), (Some(12), 11), "{todo}");

    let path = "/todos/review";
    let body = json!({"text": "x"});
    let put = |name: &'static str, value: &'static str| {
        answered(site.request(Method::PUT, path, minsu).json(&body).header(name, value), path)
    };
    assert_eq!(
        site.ask(Method::PUT, path, minsu, Some(body.clone())).await.0,
        StatusCode::PRECONDITION_REQUIRED
    );
    assert_eq!(site.ask(Method::DELETE, path, minsu, None).await.0, StatusCode::PRECONDITION_REQUIRED);
    assert_eq!(put("if-match", "12").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(put("if-match", "W/\"12\"").await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(put("if-match", "*").await.1["version"], 13);
    let delete = |version: &'static str| {
        answered(site.request(Method::DELETE, path, minsu).header("if-match", version), path)
    };
    assert_eq!(delete("\"12\"").await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(delete("\"13\"").await.0, StatusCode::NO_CONTENT);
    assert_eq!(delete("\"13\"").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::start(folder.path(), &["--partner-delay-ms", "1500"]);
    site.write(Member("민수"), "one", "남는다", None).await;
    let (_, entry) = site.ask(Method::POST, "/entries", Member("민수"), Some(post("죽어도 남는 글"))).await;
    let names: Vec<String> = (0..5).map(|number| format!("buyer {number}")).collect();
    for name in &names {
        let request = site.request(Method::POST, "/entries/l01/order", Member(name)).json(&json!({}));
        tokio::spawn(request.send());
    }
    let is_paid_for = |order: &Value| order["steps"][1]["look"] == "active";
    let deadline = Instant::now() + Duration::from_mins(1);
    while site
        .get("/orders", Operator)
        .await
        .as_array()
        .unwrap()
        .iter()
        .filter(|order| is_paid_for(order))
        .count()
        < 5
    {
        assert!(Instant::now() < deadline, "no order got as far as its payment");
    }
    site.service.signal("-KILL").unwrap();
    site = Site::start(folder.path(), &["--partner", "moody"]);
    assert_eq!(site.get("/todos/one", Member("민수")).await["version"], 1);
    let id = entry["id"].as_str().unwrap().to_owned();
    site.search_until("죽어도 남는 글", |found| {
        found["served"] == "fresh" && ids(found).first() == Some(&id)
    })
    .await;
    let mut completed = 0;
    for name in &names {
        let order = site.ended("l01", name).await;
        let is_completed = order["status"] == "completed";
        completed += u64::from(is_completed);
        assert!(is_completed || order["charged_krw"].is_null() || order["refunded"] == true, "{order}");
    }
    // Of five places each is somebody's who paid, or free.
    assert_eq!(site.free("l01").await, 5 - completed);
}

#[tokio::test]
async fn nobody_acts_for_somebody_else_and_bad_requests_are_told_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &["--requests-per-second", "60"]);
    let line = |line: &str| Some(json!({"line": line}));
    let lecture = |places: i64| {
        let mut entry = post("강의");
        entry["kind"] = json!("lecture");
        entry["places"] = json!(places);
        Some(entry)
    };
    let bad_request = StatusCode::BAD_REQUEST;
    for (method, path, who, body, status) in [
        (Method::PUT, "/engines/primary", Nobody, line("refused"), StatusCode::UNAUTHORIZED),
        (Method::PUT, "/engines/primary", Member("민수"), line("refused"), StatusCode::FORBIDDEN),
        (Method::PUT, "/engines/primary", Operator, line("severed"), StatusCode::UNPROCESSABLE_ENTITY),
        (Method::PUT, "/engines/third", Operator, line("refused"), StatusCode::NOT_FOUND),
        (Method::PUT, "/partner", Tutor, Some(json!({"mood": "well"})), StatusCode::FORBIDDEN),
        (Method::POST, "/entries", Nobody, Some(post("글")), StatusCode::UNAUTHORIZED),
        (Method::POST, "/entries", Member("민수"), lecture(3), StatusCode::FORBIDDEN),
        (Method::POST, "/entries", Tutor, lecture(0), StatusCode::UNPROCESSABLE_ENTITY),
        (Method::POST, "/entries", Tutor, lecture(3), StatusCode::CREATED),
        (Method::POST, "/entries", Tutor, Some(post("\u{7}")), StatusCode::UNPROCESSABLE_ENTITY),
        (Method::POST, "/entries", Tutor, Some(json!([1])), StatusCode::UNPROCESSABLE_ENTITY),
        (Method::POST, "/entries/p01/order", Member("민수"), Some(json!({})), StatusCode::CONFLICT),
        (Method::POST, "/entries/none/order", Member("민수"), Some(json!({})), StatusCode::NOT_FOUND),
        (Method::POST, "/entries/l01/order", Nobody, Some(json!({})), StatusCode::UNAUTHORIZED),
        (Method::GET, "/entries/l01/order", Member("민수"), None, StatusCode::NOT_FOUND),
        (Method::GET, "/orders", Nobody, None, StatusCode::UNAUTHORIZED),
        (Method::GET, "/todos", Nobody, None, StatusCode::UNAUTHORIZED),
        (
            Method::POST,
            "/tokens",
            Nobody,
            Some(json!({"name": "a", "role": "operator"})),
            StatusCode::FORBIDDEN,
        ),
        (Method::GET, "/search?q=a&limit=0", Nobody, None, bad_request),
        (Method::GET, "/search?q=a&limit=many", Nobody, None, bad_request),
        (Method::GET, "/search?q=a&kind=song", Nobody, None, bad_request),
        (Method::GET, "/search?words=a", Nobody, None, bad_request),
        (Method::GET, "/search?after=abc", Nobody, None, bad_request),
        (Method::GET, "/engines?q=a", Nobody, None, bad_request),
        (Method::GET, "/nowhere", Nobody, None, StatusCode::NOT_FOUND),
        (Method::PATCH, "/search", Nobody, None, StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (told, value) = site.ask(method.clone(), path, who, body).await;
        assert_eq!(told, status, "{method} {path}: {value}");
    }
    let long = "가".repeat(501);
    let request = site.request(Method::GET, "/search", Nobody).query(&[("q", &long)]);
    assert_eq!(answered(request, "/search").await.0, bad_request);
    let large = json!({"text": "가".repeat(40_000)});
    let request = site.request(Method::PUT, "/todos/a", Tutor).header("if-none-match", "*").json(&large);
    assert_eq!(answered(request, "/todos/a").await.0, StatusCode::PAYLOAD_TOO_LARGE);

    let send = |key: &'static str, title: &'static str| {
        let request = site.request(Method::POST, "/entries", Tutor).header("idempotency-key", key);
        answered(request.json(&post(title)), "/entries")
    };
    let (first, again) = (send("a", "한 번").await, send("a", "한 번").await);
    assert_eq!((first.0, &first.1), (StatusCode::CREATED, &again.1));
    assert_eq!(send("a", "두 번").await.0, StatusCode::UNPROCESSABLE_ENTITY);

    let document = site.get("/openapi.json", Nobody).await;
    for path in ["/search", "/engines", "/engines/{engine}", "/entries/{id}/order", "/todos/{id}", "/metrics"]
    {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    let page = site.client.get(site.service.url("/")).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    let asked = (0..200).map(|_| site.ask(Method::GET, "/engines", Member("빠른 사람"), None));
    let statuses = join_all(asked).await;
    assert!(statuses.iter().any(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS), "a limit");
    assert!(!site.service.logs().contains("두 번"), "what people write is in no log");
}
