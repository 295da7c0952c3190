//! Who may do what, who the members are, and what is seen of a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::routing::post;
use futures_util::future::join_all;

use super::*;

async fn status(client: &Client, method: Method, url: String, body: Option<Value>) -> StatusCode {
    let request = client.request(method, url);
    let answer = body.into_iter().fold(request, |request, body| request.json(&body)).send().await.unwrap();
    if !answer.status().is_success() {
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    answer.status()
}

async fn write(client: &Client, service: &Running, text: &str) -> String {
    let post = json!({"kind": "question", "body": text});
    let answer = client.post(service.url("/posts")).json(&post).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_membership_service_tells_of_members_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    let (minsu, membership) = (client("민수", "member"), client("민수", "membership"));
    let id = write(&minsu, &service, "책 3권을 읽고 싶습니다.").await;
    let (posts, url) = (service.url("/posts"), service.url(&format!("/posts/{id}")));
    let post = || Some(json!({"kind": "question", "body": "책 4권을 읽고 싶습니다."}));
    for (method, url, body) in [
        (Method::POST, posts, post()),
        (Method::PUT, url.clone(), post()),
        (Method::POST, format!("{url}/retry"), None),
        (Method::DELETE, url, None),
    ] {
        let request = membership.request(method.clone(), &url);
        let request = body.into_iter().fold(request, |request, body| request.json(&body));
        let (status, problem) = desk::answered(request).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {url}: {problem}");
    }
    let member = json!({"version": 1, "nickname": "달리는 민수"});
    let told = status(&membership, Method::PUT, service.url("/members/민수"), Some(member)).await;
    assert_eq!(told, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn nobody_edits_or_deletes_what_somebody_else_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    let (minsu, jane) = (client("민수", "member"), client("Jane", "member"));
    let (moderator, nobody) = (client("지영", "moderator"), Client::new());
    let id = write(&minsu, &service, "책 3권을 읽고 싶습니다.").await;
    let url = || service.url(&format!("/posts/{id}"));
    let edit = || Some(json!({"kind": "question", "body": "책 4권을 읽고 싶습니다."}));
    let view = until(&minsu, &url(), |view| view["state"] == "extracted").await;
    assert_eq!(view["post"]["author"], json!({"id": "민수", "nickname": null}));

    for (who, allowed) in [(&nobody, StatusCode::UNAUTHORIZED), (&jane, StatusCode::FORBIDDEN)] {
        assert_eq!(status(who, Method::PUT, url(), edit()).await, allowed);
        assert_eq!(status(who, Method::DELETE, url(), None).await, allowed);
        assert_eq!(
            status(who, Method::POST, service.url(&format!("/posts/{id}/retry")), None).await,
            allowed
        );
    }
    let claimed = json!({"kind": "question", "body": "책 3권", "author": "Jane"});
    let posts = service.url("/posts");
    assert_eq!(status(&minsu, Method::POST, posts, Some(claimed)).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(status(&moderator, Method::PUT, url(), edit()).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&minsu, Method::PUT, url(), edit()).await, StatusCode::ACCEPTED);
    assert_eq!(status(&moderator, Method::DELETE, url(), None).await, StatusCode::ACCEPTED);
    assert_eq!(status(&minsu, Method::GET, url(), None).await, StatusCode::NOT_FOUND);

    // The key of one is not the key of another.
    let body = json!({"kind": "question", "body": "책 3권을 읽고 싶습니다."});
    let under_key = async |client: &Client| {
        let request = client.post(service.url("/posts")).header("idempotency-key", "1").json(&body);
        request.send().await.unwrap().json::<Value>().await.unwrap()["id"].clone()
    };
    assert_ne!(under_key(&minsu).await, under_key(&jane).await);
    // The service knows the key, and so hands out no tokens.
    let wanted = Some(json!({"name": "민수"}));
    assert_eq!(status(&nobody, Method::POST, service.url("/tokens"), wanted).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_stranger_takes_the_places_of_one_network_and_members_still_listen() {
    let (folder, nobody) = (tempfile::tempdir().unwrap(), Client::new());
    let service = start(folder.path());
    let listen = async |client: &Client| client.get(service.url("/events")).send().await.unwrap();
    let mut listening = Vec::new();
    for _ in 0..50 {
        let news = listen(&nobody).await;
        assert_eq!(news.status(), StatusCode::OK);
        listening.push(news);
    }
    let refused = listen(&nobody).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "10");
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(listen(&client("민수", "member")).await.status(), StatusCode::OK);
    drop(listening);
    let deadline = Instant::now() + Duration::from_secs(20);
    while listen(&nobody).await.status() != StatusCode::OK {
        assert!(Instant::now() < deadline, "who has gone leaves no room");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn members_are_kept_from_their_events_and_the_newest_version_wins() {
    let folder = tempfile::tempdir().unwrap();
    let (minsu, membership) = (client("민수", "member"), client("members", "membership"));
    let mut service = start(folder.path());
    let id = write(&minsu, &service, "책 3권을 읽고 싶습니다.").await;
    for version in [0, 9_007_199_254_740_992_u64, u64::MAX] {
        let change = Some(json!({"version": version, "nickname": "밥"}));
        let answer = status(&membership, Method::PUT, service.url("/members/bob"), change).await;
        assert_eq!(answer, StatusCode::UNPROCESSABLE_ENTITY, "{version}");
    }
    let change =
        |version: u64, nickname: Option<&str>| Some(json!({"version": version, "nickname": nickname}));
    let member = |service: &Running| service.url("/members/민수");
    assert_eq!(
        status(&minsu, Method::PUT, member(&service), change(9, Some("Jane"))).await,
        StatusCode::FORBIDDEN
    );
    for (version, nickname) in [(2, Some("달리는곰")), (1, Some("곰")), (2, Some("달리는곰"))] {
        let told = status(&membership, Method::PUT, member(&service), change(version, nickname)).await;
        assert_eq!(told, StatusCode::ACCEPTED);
    }
    let named = |nickname: &'static str| move |view: &Value| view["post"]["author"]["nickname"] == nickname;
    until(&minsu, &service.url(&format!("/posts/{id}")), named("달리는곰")).await;
    // It is there after a kill, and what is older changes nothing.
    service.signal("-KILL").unwrap();
    desk::ended(&mut service).await;
    service = start(folder.path());
    until(&minsu, &service.url(&format!("/posts/{id}")), named("달리는곰")).await;
    let posts = until(&minsu, &service.url("/posts"), |_| true).await;
    assert_eq!(posts[0]["author"], json!({"id": "민수", "nickname": "달리는곰"}));
    for nickname in ["", " ", "a\nb", &"가".repeat(51)] {
        let refused = status(&membership, Method::PUT, member(&service), change(7, Some(nickname))).await;
        assert_eq!(refused, StatusCode::UNPROCESSABLE_ENTITY);
    }
    // Who left is not named any more.
    status(&membership, Method::PUT, member(&service), change(3, None)).await;
    until(&minsu, &service.url(&format!("/posts/{id}")), |view| view["post"]["author"]["nickname"].is_null())
        .await;
    assert_eq!(status(&minsu, Method::GET, member(&service), None).await, StatusCode::NOT_FOUND);
}

/// A model that answers noise until it is told to answer what was asked for.
async fn model(is_well: Arc<AtomicBool>) -> String {
    let answer = move |_: Json<Value>| {
        let tasks = json!({"tasks": [{"title": "책 읽기", "quote": "책 3권을 읽고 싶습니다"}]}).to_string();
        let content =
            if is_well.load(Ordering::SeqCst) { tasks } else { "잘 모르겠습니다.".to_owned() };
        async move {
            Json(json!({"id": "1", "object": "chat.completion", "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}))
        }
    };
    let router = axum::Router::new().route("/v1/chat/completions", post(answer));
    format!("{}/v1", desk::stand_in(router).await)
}

#[tokio::test]
async fn a_failure_is_seen_with_its_reason_and_retried() {
    let (folder, is_well) = (tempfile::tempdir().unwrap(), Arc::new(AtomicBool::new(false)));
    let url = model(is_well.clone()).await;
    let service = start_with(folder.path(), &[], |command| {
        command.env("PUMASI_LLM_URL", url).env("NO_PROXY", "*");
    });
    let (minsu, jane) = (client("민수", "member"), client("Jane", "member"));
    let id = write(&minsu, &service, "책 3권을 읽고 싶습니다.").await;
    let view = until(&minsu, &service.url(&format!("/posts/{id}")), |view| view["state"] == "failed").await;
    assert_eq!(view["failure"]["reason"], "off_schema", "{view}");
    assert!(!view["failure"].to_string().contains("책"), "{view}");
    let failed = service.url("/posts?state=failed");
    let listed = until(&minsu, &failed, |_| true).await;
    assert_eq!((&listed[0]["id"], &listed[0]["failure"]), (&json!(id), &view["failure"]), "{listed}");

    is_well.store(true, Ordering::SeqCst);
    let retry = service.url(&format!("/posts/{id}/retry"));
    assert_eq!(status(&jane, Method::POST, retry.clone(), None).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&minsu, Method::POST, retry, None).await, StatusCode::ACCEPTED);
    let view =
        until(&minsu, &service.url(&format!("/posts/{id}")), |view| view["state"] == "extracted").await;
    assert_eq!(view["tasks"][0]["title"], "책 읽기");
    assert_eq!(until(&minsu, &failed, |_| true).await, json!([]));
    let metrics = minsu.get(service.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("pumasi_"), "{metrics}");
    assert!(!service.logs().contains("책"), "{}", service.logs());
}

#[tokio::test]
async fn pages_of_others_are_let_in_only_if_they_are_named_and_strangers_are_slowed_down() {
    let folder = tempfile::tempdir().unwrap();
    let service = start_with(folder.path(), &["--requests-per-second", "5"], |command| {
        command.env("PUMASI_CORS_ORIGINS", "https://club.example");
    });
    let preflight = async |origin: &str| {
        let request = Client::new().request(Method::OPTIONS, service.url("/posts")).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        let answer = request.header("access-control-request-headers", "authorization").send().await.unwrap();
        answer.headers().get("access-control-allow-origin").cloned()
    };
    assert_eq!(preflight("https://club.example").await.unwrap(), "https://club.example");
    assert!(preflight("https://evil.example").await.is_none());
    // What a form of another page can send by itself: no token, and no JSON.
    let forged = Client::new().post(service.url("/posts")).header("origin", "https://evil.example");
    let forged = forged.header("content-type", "text/plain").body(r#"{"kind": "story", "body": "x"}"#);
    let answer = forged.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().get("set-cookie").is_none(), "nobody is known by a cookie");

    let stranger = Client::new();
    let asking = (0..200).map(|_| stranger.get(service.url("/about")).send());
    let mut answers = join_all(asking).await.into_iter().map(Result::unwrap);
    let refused = answers.find(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS);
    let refused = refused.expect("a stranger was never slowed down");
    assert!(refused.headers().contains_key("retry-after"));
    assert!(refused.json::<Value>().await.unwrap()["hint"].as_str().unwrap().contains("Retry-After"));
    assert_eq!(
        client("민수", "member").get(service.url("/about")).send().await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(Client::new().get(service.url("/healthz")).send().await.unwrap().status(), StatusCode::OK);
}
