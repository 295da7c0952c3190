//! The service, from outside: what it accepted is there after it was killed, and is there once.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pumasi_core::conformance::Server;
use pumasi_core::time::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use support::auth::Keys;
use support::child::Running;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const KEY: &str = "a key of the tests, of more than 32 bytes";

fn start(data: &Path) -> Running {
    let serve = |command: &mut Command| {
        command.args(["serve", "--listen", "127.0.0.1:0", "--requests-per-second", "2000", "--data"]);
        command.arg(data).env("PUMASI_TOKEN_KEY", KEY);
    };
    Running::start("every_task", serve).unwrap()
}

fn bearer() -> String {
    let token =
        Keys::new(KEY, "every_task").unwrap().issue("민수", "member", Duration::from_mins(10)).unwrap();
    format!("Bearer {token}")
}

/// A client that asks as a member.
fn member() -> Client {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer().parse().unwrap())]);
    Client::builder().default_headers(headers).build().unwrap()
}

fn post(number: usize) -> Value {
    json!({"kind": "question", "title": format!("글 {number}"), "body": format!("책 {number}권을 읽고 싶습니다.")})
}

async fn get(client: &Client, url: &str) -> Value {
    client.get(url).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

/// Waits until every post has a result.
async fn settled(client: &Client, service: &Running) -> Vec<Value> {
    settled_within(Duration::from_mins(1), client, service).await
}

async fn settled_within(limit: Duration, client: &Client, service: &Running) -> Vec<Value> {
    let deadline = Instant::now() + limit;
    loop {
        let posts = get(client, &service.url("/posts?limit=500")).await;
        let posts = posts.as_array().unwrap().clone();
        if posts.iter().all(|post| post["state"] != "pending") {
            return posts;
        }
        assert!(Instant::now() < deadline, "posts stay pending");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_was_accepted_before_a_kill_is_there_after_it_once() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let (mut accepted, mut sent, mut kills) = (HashSet::new(), 0, 0);
    let counted = AtomicUsize::new(0);
    for round in 0..4_usize {
        let service = start(folder.path());
        let posting = async {
            loop {
                sent += 1;
                let answer = client.post(service.url("/posts")).json(&post(sent)).send().await;
                let Ok(answer) = answer else { break };
                if answer.status() != StatusCode::ACCEPTED {
                    break;
                }
                let Ok(body) = answer.json::<Value>().await else { break };
                accepted.insert(body["id"].as_str().unwrap().to_owned());
                counted.fetch_add(1, Ordering::Relaxed);
            }
        };
        let killing = async {
            // in the middle of whatever comes after two more were accepted
            while counted.load(Ordering::Relaxed) < 2 * (round + 1) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(60 + 110 * round as u64)).await;
            service.signal("-KILL").unwrap();
            kills += 1;
        };
        tokio::join!(posting, killing);
    }
    let service = start(folder.path());
    let posts = settled(&client, &service).await;
    let ids: Vec<&str> = posts.iter().map(|post| post["id"].as_str().unwrap()).collect();
    let known: HashSet<&str> = ids.iter().copied().collect();
    println!("killed {kills} times: {sent} posts sent, {} accepted, {} found", accepted.len(), ids.len());
    assert!(accepted.len() > 4, "the service accepted too little for a test");
    assert_eq!(known.len(), ids.len(), "a post stands twice");
    let lost: Vec<&String> = accepted.iter().filter(|id| !known.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "{} accepted posts are lost", lost.len());
    assert!(posts.iter().all(|post| post["state"] == "extracted" && post["tasks"] == 1));
}

#[tokio::test]
async fn a_post_is_written_read_edited_matched_and_deleted() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let service = start(folder.path());
    let url = |path: &str| service.url(path);
    let send = async |post: Value| {
        let answer = client.post(url("/posts")).json(&post).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    };
    send(json!({"kind": "story", "title": "토익 이야기", "body": "단어를 매일 50개씩 외웠어요."})).await;
    let id =
        send(json!({"kind": "question", "body": "단어를 매일 외우려고 합니다. 발음도 고치고 싶습니다."}))
            .await;
    settled(&client, &service).await;

    let view = get(&client, &url(&format!("/posts/{id}"))).await;
    let span = &view["tasks"][0]["span"];
    let at = |end: &str| usize::try_from(span[end].as_u64().unwrap()).unwrap();
    let quoted = &view["post"]["body"].as_str().unwrap()[at("start")..at("end")];
    assert_eq!(quoted, view["tasks"][0]["quote"].as_str().unwrap());
    let matches = get(&client, &url(&format!("/posts/{id}/matches"))).await;
    assert_eq!(matches[0]["story_title"], "토익 이야기");

    let often = r#"{"and": [{"exists": {"field": "timing.frequency"}}, {"eq": {"field": "post.kind", "value": "question"}}]}"#;
    let posts = get(&client, &url("/posts")).await;
    let posted = |post: &Value| post["posted_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let mine = posts.as_array().unwrap().iter().find(|post| post["id"] == id.as_str()).unwrap();
    assert!(posts.as_array().unwrap().iter().all(|post| posted(post) <= posted(mine)), "it came last");

    let listed = client
        .get(url("/tasks"))
        .query(&[("filter", often)])
        .send()
        .await
        .unwrap()
        .json::<Value>()
        .await
        .unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["post_id"], id.as_str());

    let edit = json!({"kind": "question", "body": "발음을 고치고 싶습니다."});
    let answer = client.put(url(&format!("/posts/{id}"))).json(&edit).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["version"], 2);
    settled(&client, &service).await;
    assert_eq!(get(&client, &url(&format!("/posts/{id}"))).await["tasks"].as_array().unwrap().len(), 1);

    assert_eq!(
        client.delete(url(&format!("/posts/{id}"))).send().await.unwrap().status(),
        StatusCode::ACCEPTED
    );
    let gone = url(&format!("/posts/{id}"));
    assert_eq!(client.get(&gone).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let deadline = Instant::now() + Duration::from_secs(30);
    while client.delete(&gone).send().await.unwrap().status() != StatusCode::NOT_FOUND {
        assert!(Instant::now() < deadline, "the deletion is never done");
    }
    let late = client.put(&gone).json(&edit).send().await.unwrap();
    assert_eq!(late.status(), StatusCode::NOT_FOUND, "an edit that would be lost must not be accepted");
}

#[tokio::test]
async fn a_post_that_is_sent_again_under_its_key_is_one_post() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let service = start(folder.path());
    let send = async |key: &str, number: usize| {
        let request = client.post(service.url("/posts")).header("idempotency-key", key).json(&post(number));
        request.send().await.unwrap()
    };
    let mut ids = HashSet::new();
    for _ in 0..3 {
        let answer = send("mine", 1).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        ids.insert(answer.json::<Value>().await.unwrap()["id"].to_string());
    }
    let other = send("mine", 2).await;
    assert_eq!(other.status(), StatusCode::CONFLICT, "another text under the same key");
    let problem: Value = other.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
    assert_eq!(send("other", 1).await.status(), StatusCode::ACCEPTED);
    assert_eq!(send("", 1).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!((ids.len(), settled(&client, &service).await.len()), (1, 2));
    let two =
        client.post(service.url("/posts")).header("idempotency-key", "one").header("idempotency-key", "two");
    assert_eq!(two.json(&post(3)).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn bad_requests_get_a_problem_that_says_what_is_wrong() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let service = start(folder.path());
    let url = |path: &str| service.url(path);
    let long = "가".repeat(20_001);
    for (body, status) in [
        ("{", StatusCode::BAD_REQUEST),
        ("{\"kind\": \"poem\", \"body\": \"x\"}", StatusCode::UNPROCESSABLE_ENTITY),
        ("{\"kind\": \"story\", \"body\": \" \"}", StatusCode::UNPROCESSABLE_ENTITY),
        ("{\"kind\": \"story\"}", StatusCode::UNPROCESSABLE_ENTITY),
        ("[\"story\", null, \"I read a book.\", null]", StatusCode::UNPROCESSABLE_ENTITY),
        ("\"story\"", StatusCode::UNPROCESSABLE_ENTITY),
        (r#"{"kind": "story", "body": "I ran.", "body": "I swam."}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (&format!("{{\"kind\": \"story\", \"body\": \"{long}\"}}"), StatusCode::UNPROCESSABLE_ENTITY),
        (&"x".repeat(256 * 1024 + 1), StatusCode::PAYLOAD_TOO_LARGE),
        (&"x".repeat(2_000_000), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let request =
            client.post(url("/posts")).header("content-type", "application/json").body(body.to_owned());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{}", &body[..body.len().min(40)]);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    for (path, status) in [
        ("/posts?limit=1", StatusCode::OK),
        ("/tasks?limit=1", StatusCode::OK),
        ("/posts?limit=0", StatusCode::BAD_REQUEST),
        ("/about?limit=1", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(client.head(url(path)).send().await.unwrap().status(), status, "HEAD {path}");
    }
    for path in ["/posts/none", "/posts/none/matches", "/nowhere"] {
        assert_eq!(client.get(url(path)).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    for (method, path, status) in [
        (Method::GET, "/posts/%ff", StatusCode::BAD_REQUEST),
        (Method::DELETE, "/posts/%ff", StatusCode::BAD_REQUEST),
        (Method::PATCH, "/posts", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/tasks", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/nowhere", StatusCode::NOT_FOUND),
        (Method::GET, "/tasks?filter={}", StatusCode::BAD_REQUEST),
        (Method::GET, r#"/tasks?filter={"exists":{"field":"titel"}}"#, StatusCode::BAD_REQUEST),
        (Method::GET, r#"/tasks?filter={"eq":{"field":"order","value":"1"}}"#, StatusCode::BAD_REQUEST),
        (Method::GET, "/tasks?limit=0", StatusCode::BAD_REQUEST),
        (Method::GET, "/posts?limit=501", StatusCode::BAD_REQUEST),
        (Method::GET, "/tasks?after=nowhere", StatusCode::BAD_REQUEST),
        (Method::GET, "/tasks?offset=3", StatusCode::BAD_REQUEST),
        (Method::GET, "/posts?state=withdrawn", StatusCode::BAD_REQUEST),
        (Method::GET, "/about?verbose=1", StatusCode::BAD_REQUEST),
        (Method::POST, "/posts?wait=1", StatusCode::BAD_REQUEST),
        (Method::GET, "/events?since=1", StatusCode::BAD_REQUEST),
    ] {
        let answer = client.request(method.clone(), url(path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
        assert!(answer.json::<Value>().await.unwrap()["detail"].is_string());
    }
    for (path, hint) in [
        ("/tasks?offset=3", "`filter`, `after`, `limit`"),
        ("/posts?status=failed", "`state`, `after`, `limit`"),
        ("/about?verbose=1", "no query parameters"),
    ] {
        let answer = client.get(url(path)).send().await.unwrap().json::<Value>().await.unwrap();
        assert!(answer["detail"].as_str().unwrap().contains(hint), "{answer}");
    }
    assert_eq!(client.get(url("/posts?limit=x")).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let document = get(&client, &url("/openapi.json")).await;
    assert!(document["paths"]["/posts/{id}"]["put"].is_object());
    assert!(
        document["paths"]["/events"]["get"]["responses"]["200"]["content"]["text/event-stream"].is_object()
    );
    assert!(document["components"]["schemas"]["TaskView"]["properties"]["support"].is_object());
    for path in ["/", "/app.js", "/style.css", "/healthz", "/readyz", "/metrics"] {
        assert_eq!(client.get(url(path)).send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn clients_that_go_away_before_the_answer_leave_nothing_half_done() {
    const CLIENTS: usize = 100;
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let service = start(folder.path());
    let mut listening = client.get(service.url("/events")).send().await.unwrap();
    let address = service.url("").trim_start_matches("http://").to_owned();
    let bearer = bearer();
    let send_and_leave = async |method: &str, path: &str, body: &str, after: Duration| {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\nContent-Type: application/json"
        );
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        socket.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(after).await;
    };
    let begun = Instant::now();
    for number in CLIENTS..CLIENTS + 5 {
        client.post(service.url("/posts")).json(&post(number)).send().await.unwrap();
    }
    let answer = begun.elapsed() / 5;
    // Most leave soon, and the last ones after twice the time that an answer takes on this machine.
    let patience = |place: usize, of: usize| {
        let part = f64::from(u32::try_from(place).unwrap()) / f64::from(u32::try_from(of).unwrap());
        answer.mul_f64(2.0 * part.powi(4))
    };
    for number in 0..CLIENTS {
        send_and_leave("POST", "/posts", &post(number).to_string(), patience(number, CLIENTS)).await;
    }
    let posts = settled(&client, &service).await;
    assert!(posts.len() > 9, "the clients left too early for a test");
    for (number, listed) in posts.iter().enumerate() {
        let path = format!("/posts/{}", listed["id"].as_str().unwrap());
        send_and_leave("DELETE", &path, "", patience(number, posts.len())).await;
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut told = String::new();
    loop {
        let left = get(&client, &service.url("/posts?limit=500")).await.as_array().unwrap().len();
        let withdrawn = told.matches("event: withdrawn").count();
        println!("{} posts, {left} left, {withdrawn} told as withdrawn", posts.len());
        if withdrawn > 0 && withdrawn + left == posts.len() {
            break;
        }
        assert!(Instant::now() < deadline, "deletions stay untold");
        while let Ok(piece) = tokio::time::timeout(Duration::from_millis(500), listening.chunk()).await {
            told.push_str(std::str::from_utf8(&piece.unwrap().unwrap()).unwrap());
        }
    }
}

#[test]
fn the_command_leaves_foreign_files_alone_and_says_what_is_no_post() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let run = |arguments: &[&std::ffi::OsStr]| {
        let output = Command::new(support::child::example("every_task").unwrap())
            .env_remove("OPENAI_API_KEY")
            .env_remove("PUMASI_LLM_URL")
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let posts = path(
        "posts.jsonl",
        "{\"id\": \"\", \"kind\": \"story\", \"body\": \"I read a book.\"}\n\
         {\"id\": \"b\", \"kind\": \"story\", \"body\": \" \"}\n\
         {\"id\": \"c\", \"kind\": \"story\", \"body\": \"I read a book.\"}\n",
    );
    let (status, told, printed) = run(&[posts.as_os_str()]);
    assert_eq!(status, Some(1));
    assert!(told.contains("line 1: the id is empty") && told.contains("line 2: the body of post"), "{told}");
    assert!(printed.contains("STORY    c"), "{printed}");

    // a file of the person's own, which even lacks its last line's end
    let notes = path("notes.txt", "do not lose this");
    let (status, told, _) = run(&["--journal".as_ref(), notes.as_os_str(), posts.as_os_str()]);
    assert!(status == Some(1) && told.contains("is no journal"), "{told}");
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "do not lose this");

    let diary =
        path("diary.txt", "I want to log every night.\n{\"kind\":\"story\",\"title\":\"x\"}\n- Run 5 km\n");
    let (status, told, printed) = run(&[diary.as_os_str()]);
    assert_eq!((status, told.as_str()), (Some(0), ""), "a text may quote a line of JSON");
    assert!(printed.contains("1 post, 0 failed"), "{printed}");

    let one =
        path("one.json", "{\n  \"id\": \"d\",\n  \"kind\": \"story\",\n  \"body\": \"I read a book.\"\n}\n");
    let (status, told, printed) = run(&[one.as_os_str()]);
    assert_eq!((status, told.as_str()), (Some(0), ""), "one object on several lines is a post");
    assert!(printed.contains("STORY    d"), "{printed}");
    let none = path("none.json", "{\n  \"id\": \"d\",\n  \"kind\": \"story\"\n}\n");
    let (status, told, _) = run(&[none.as_os_str()]);
    assert!(status == Some(1) && told.contains("missing field `body`"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");

    let escapes = path(
        "escapes.jsonl",
        "{\"id\": \"e\\u001b[2J\", \"kind\": \"story\", \"title\": \"\\u001b]0;x\\u0007\\r\", \"body\": \"- Run \\u001b[31m5 km\"}\n\
         {\"id\": \"f\", \"kind\": \"\\u001b[31m\", \"body\": \"x\"}\n",
    );
    let (_, told, printed) = run(&[escapes.as_os_str()]);
    for text in [told, printed] {
        let raw = text.chars().find(|letter| *letter != '\n' && letter.is_control());
        assert!(raw.is_none() && text.contains(r"\u{1b}"), "{raw:?} in {text}");
    }

    for (filter, words) in [
        (r#"{"exists": {"field": "titel"}}"#, "no field titel"),
        (r#"{"eq": {"field": "difficulty", "value": "hrad"}}"#, "one of easy, medium, hard"),
    ] {
        let (status, told, _) = run(&["--only".as_ref(), filter.as_ref(), posts.as_os_str()]);
        assert!(status == Some(2) && told.contains(words), "{told}");
    }
}

#[test]
fn a_journal_that_cannot_be_written_ends_the_run_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let posts = folder.path().join("posts.jsonl");
    let line = |id: usize| format!("{{\"id\": \"{id}\", \"kind\": \"story\", \"body\": \"- Run 5 km\"}}\n");
    std::fs::write(&posts, (0..9).map(line).collect::<String>()).unwrap();
    // Every write to a file fails from here on, as on a full disk.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" --journal \"$1\" \"$2\""])
        .arg(support::child::example("every_task").unwrap())
        .args([folder.path().join("journal"), posts])
        .env_remove("OPENAI_API_KEY")
        .env_remove("PUMASI_LLM_URL")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("stopped after 0 of 9 posts") && told.contains("append"), "{told}");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        !String::from_utf8(output.stdout).unwrap().contains("STORY"),
        "what could not be kept is not handed out"
    );
}

#[tokio::test]
async fn lists_come_in_pages_that_lose_and_double_nothing() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let service = start(folder.path());
    for number in 1..=5 {
        let body = format!("- 단어 {number}개 외우기\n- 모의고사 {number}회 풀기\n- 쉬기 {number}번");
        let post = json!({"kind": "question", "body": body});
        assert_eq!(
            client.post(service.url("/posts")).json(&post).send().await.unwrap().status(),
            StatusCode::ACCEPTED
        );
    }
    settled(&client, &service).await;
    for (path, all) in [
        ("/tasks?limit=4", 15),
        ("/tasks?limit=3", 15),
        ("/tasks?limit=500", 15),
        ("/tasks?limit=2&filter=%7B%22eq%22%3A%7B%22field%22%3A%22order%22%2C%22value%22%3A2%7D%7D", 5),
        ("/posts?limit=2", 5),
    ] {
        let mut seen = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(page) = next {
            let answer = client.get(service.url(&page)).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{page}");
            next = answer.headers().get("link").map(|link| {
                let link = link.to_str().unwrap();
                let (target, rest) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
                assert_eq!(rest, "; rel=\"next\"");
                target.to_owned()
            });
            let rows = answer.json::<Vec<Value>>().await.unwrap();
            assert!(!rows.is_empty(), "an empty page: {page}");
            seen.extend(rows.iter().map(Value::to_string));
        }
        assert_eq!(seen.len(), all, "{path}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all, "{path} shows a row twice");
    }
}

#[tokio::test]
async fn events_tell_how_far_a_post_is() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let service = start(folder.path());
    let mut listening = client.get(service.url("/events")).send().await.unwrap();
    let post = json!({"kind": "question", "body": "단어를 매일 외우려고 합니다."});
    let id =
        client.post(service.url("/posts")).json(&post).send().await.unwrap().json::<Value>().await.unwrap();
    let id = id["id"].as_str().unwrap().to_owned();
    let mut told = String::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut until = async |mark: &str| {
        while !told.contains(mark) {
            let left = deadline.saturating_duration_since(Instant::now());
            let piece = tokio::time::timeout(left, listening.chunk()).await.expect(mark).unwrap().unwrap();
            told.push_str(std::str::from_utf8(&piece).unwrap());
        }
        told.clone()
    };
    until("event: accepted").await;
    until("event: started").await;
    until("event: extracted").await;
    assert_eq!(
        client.delete(service.url(&format!("/posts/{id}"))).send().await.unwrap().status(),
        StatusCode::ACCEPTED
    );
    until("event: withdrawn").await;
    let told = until("\n\n").await;
    let data = |name: &str| -> Value {
        let event = told.split("\n\n").find(|event| event.contains(&format!("event: {name}"))).unwrap();
        serde_json::from_str(event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap()
    };
    assert_eq!(data("accepted"), json!({"post_id": id, "version": 1}));
    assert_eq!(data("started"), json!({"post_id": id}));
    assert_eq!(data("extracted"), json!({"post_id": id, "version": 1, "tasks": 1}));
}

#[tokio::test]
async fn it_stops_when_asked_even_while_a_page_listens() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let mut service = start(folder.path());
    let mut listening = client.get(service.url("/events")).send().await.unwrap();
    service.signal("-TERM").unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), listening.chunk()).await;
    assert!(end.is_ok(), "the stream of events goes on");
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = service.ended().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "the service goes on");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success());
}

/// The model of `scripts/services` answers noise; whichever stands behind the URL, no task comes through that is not in the post.
#[tokio::test]
async fn whatever_a_real_model_answers_tasks_stand_in_the_post_or_the_post_failed_with_a_reason() {
    let Some(url) = Server::OpenAi.url("every_task serves with a real model") else { return };
    let set = |name| std::env::var(name).unwrap_or_default();
    let (key, model) = (set("PUMASI_OPENAI_KEY"), set("PUMASI_OPENAI_MODEL"));
    let environment = [
        ("PUMASI_LLM_URL", &*url),
        ("PUMASI_LLM_KEY", &*key),
        ("PUMASI_LLM_MODEL", &*model),
        ("NO_PROXY", "*"),
    ];
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let serve = |command: &mut Command| {
        command.args(["serve", "--listen", "127.0.0.1:0", "--budget-tokens", "15000", "--data"]);
        command.arg(folder.path()).envs(environment).env("PUMASI_TOKEN_KEY", KEY);
    };
    let service = Running::start("every_task", serve).unwrap();
    for post in [
        json!({"kind": "story", "title": "토익 이야기", "body": "단어를 매일 50개씩 외웠어요. 발음도 고쳤어요."}),
        json!({"kind": "question", "body": "How do I begin to run? I want to run three times a week."}),
    ] {
        let answer = client.post(service.url("/posts")).json(&post).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
    for post in settled_within(Duration::from_mins(4), &client, &service).await {
        let view = get(&client, &service.url(&format!("/posts/{}", post["id"].as_str().unwrap()))).await;
        let text = |part: &str| view["post"][part].as_str().unwrap_or_default();
        for task in view["tasks"].as_array().unwrap() {
            let quote = task["quote"].as_str().unwrap();
            assert!(text("title").contains(quote) || text("body").contains(quote), "{task}");
        }
        assert!(view["tokens"].as_u64().unwrap() > 0, "{view}");
        match view["state"].as_str().unwrap() {
            "failed" => {
                let reason = view["failure"]["reason"].as_str().unwrap();
                println!("{}: {reason}", view["id"]);
                // What is wrong with the answer, not with the call.
                let told = [
                    "off_schema",
                    "truncated",
                    "looping",
                    "ungrounded",
                    "wrong_language",
                    "budget_exhausted",
                ];
                assert!(told.iter().any(|kind| reason.contains(kind)), "{reason}");
            }
            state => assert_eq!(state, "extracted"),
        }
    }
}
