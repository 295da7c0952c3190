//! The service, from outside: an admin stores knowledge, a runner asks and hears where the answer comes from.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::Command;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::child::Running;

const TOKEN: &str = "a token for this test";

fn start(folder: &Path) -> Running {
    let serve = |command: &mut Command| {
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("knowledge.sqlite"));
        command.env("RUNNING_COACH_ADMIN_TOKEN", TOKEN);
    };
    Running::start("running_coach", serve).unwrap()
}

/// The events of an answer: ids, names, data.
fn events(body: &str) -> Vec<(String, String, Value)> {
    let field = |frame: &str, name: &str| {
        frame.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("{}").to_owned()
    };
    let frames = body.split("\n\n").filter(|frame| frame.contains("data: "));
    frames
        .map(|frame| {
            (
                field(frame, "id: "),
                field(frame, "event: "),
                serde_json::from_str(&field(frame, "data: ")).unwrap(),
            )
        })
        .collect()
}

async fn ask(client: &Client, service: &Running, question: &str) -> Vec<(String, String, Value)> {
    let body = json!({"question": question});
    let answer =
        client.post(service.url("/answers")).json(&body).send().await.unwrap().error_for_status().unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    events(&answer.text().await.unwrap())
}

#[tokio::test]
async fn what_an_admin_stores_is_answered_from_at_once_and_not_after_it_is_removed() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let service = start(folder.path());
    let url = service.url("/knowledge/ko/tape");
    let document =
        json!({"title": "테이핑", "text": "스포츠 테이프는 여섯 시간 뒤에 뗍니다.", "topic": "gear"});
    let question = "스포츠 테이프는 언제 떼나요?";
    let outcome =
        |events: &[(String, String, Value)]| events.last().unwrap().2["outcome"].as_str().unwrap().to_owned();
    assert_eq!(outcome(&ask(&client, &service, question).await), "not_found");

    for token in [None, Some("another token")] {
        let request = client.put(&url).json(&document);
        let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    let stored = client.put(&url).bearer_auth(TOKEN).json(&document).send().await.unwrap();
    assert_eq!(stored.status(), StatusCode::CREATED);

    let answer = ask(&client, &service, question).await;
    assert_eq!((answer[0].1.as_str(), outcome(&answer).as_str()), ("retrieved", "extracted"));
    assert_eq!(answer[0].2["sources"][0]["document"], "ko/tape");
    assert!(answer.iter().any(|(_, name, data)| name == "citation" && data["verdict"] == "quoted"));

    // the connection broke after the first event
    let rest =
        client.get(service.url("/answers")).header("last-event-id", &answer[0].0).send().await.unwrap();
    assert_eq!(events(&rest.text().await.unwrap()), answer[1..]);
    let over = client.get(service.url("/answers")).header("last-event-id", &answer.last().unwrap().0);
    assert_eq!(over.send().await.unwrap().status(), StatusCode::NO_CONTENT);

    assert_eq!(client.delete(&url).bearer_auth(TOKEN).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(outcome(&ask(&client, &service, question).await), "not_found");
}

#[tokio::test]
async fn bad_requests_get_a_problem_that_says_what_is_wrong() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let service = start(folder.path());
    for (body, status) in [
        (json!({"question": " "}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"question": "가".repeat(2_001)}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({}), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = client.post(service.url("/answers")).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let empty = json!({"title": "x", "text": " "});
    let answer =
        client.put(service.url("/knowledge/x")).bearer_auth(TOKEN).json(&empty).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(client.get(service.url("/answers")).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let unknown = client.get(service.url("/answers")).header("last-event-id", "x.1").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}
