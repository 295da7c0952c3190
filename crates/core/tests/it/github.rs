//! GitHub's REST API, against a real socket.

use std::time::{Duration, Instant};

use pumasi_core::github::{GithubClient, Limits};
use pumasi_core::resilience::{Backoff, RetryPolicy};
use pumasi_core::{Error, ErrorKind, Retry};
use serde_json::{Value, json};

use crate::server::{Reply, Server};

const TOKEN: &str = "ghp_secret0123456789abcdef";

fn client(url: &str) -> GithubClient {
    let quick = RetryPolicy::new("test").with_backoff(Backoff::constant(Duration::from_millis(1)));
    GithubClient::at(url, TOKEN).unwrap().with_timeout(Duration::from_secs(20)).with_retry_policy(quick)
}

fn user() -> Value {
    json!({"login": "Nari", "id": 7, "name": "나리", "bio": null, "company": null, "location": "Seoul",
        "html_url": "https://github.com/Nari", "site_admin": false})
}

fn repository(name: &str, private: bool) -> Value {
    json!({"name": name, "full_name": format!("Nari/{name}"), "html_url": format!("https://github.com/Nari/{name}"),
        "description": null, "fork": false, "private": private, "language": "Rust", "topics": ["korean"],
        "stargazers_count": 3, "created_at": "2021-03-01T00:00:00Z", "pushed_at": null})
}

fn commit(number: usize, author: Option<&str>, parents: usize) -> Value {
    let parents: Vec<Value> = (0..parents).map(|parent| json!({"sha": format!("p{parent}")})).collect();
    json!({"sha": format!("{number:040x}"), "html_url": format!("https://github.com/Nari/a/commit/{number}"),
        "commit": {"message": format!("커밋 {number}"),
            "author": {"name": "나리", "email": "nari@mail.example", "date": "2024-05-01T09:00:00Z"}},
        "author": author.map(|login| json!({"login": login})), "parents": parents})
}

/// Answers as GitHub does: 230 commits in pages of 100, of which every tenth is somebody else's.
async fn github() -> Server {
    Server::answering(|request| {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let number = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse::<usize>().ok())
        };
        match path {
            "/v1/users/nari" => Reply::json(200, &user().to_string()),
            "/v1/users/Nari/repos" => {
                Reply::json(200, &json!([repository("a", false), repository("secret", true), repository("empty", false)]).to_string())
            }
            "/v1/repos/Nari/empty/commits" => {
                Reply::json(409, r#"{"message": "Git Repository is empty."}"#)
            }
            "/v1/repos/Nari/a/commits" => {
                let (page, size) = (number("page").unwrap_or(1), number("per_page").unwrap_or(30));
                let rows: Vec<Value> = (0..230).skip((page - 1) * size).take(size).map(|number| {
                    let author = if number % 10 == 9 { Some("somebody") } else { Some("nari") };
                    commit(number, author, if number % 50 == 0 { 2 } else { 1 })
                }).collect();
                let host = &request.headers["host"];
                let next = format!("<http://{host}{path}?author=Nari&per_page={size}&page={}>; rel=\"next\", <http://{host}{path}?page=3>; rel=\"last\"", page + 1);
                let last = "<http://nowhere.example/>; rel=\"prev\"".to_owned();
                let link = if page * size < 230 { next } else { last };
                Reply::of(200, &[("link", &link), ("content-type", "application/json")], Value::from(rows).to_string())
            }
            _ => Reply::json(404, r#"{"message": "Not Found"}"#),
        }
    })
    .await
}

#[tokio::test]
async fn an_account_is_read_page_by_page_and_only_what_is_its_own_is_kept() {
    let server = github().await;
    let limits = Limits { repositories: 10, commits: 250 };
    let account = client(&server.url()).account("nari", limits).await.unwrap();
    assert_eq!(account.user.name.as_deref(), Some("나리"));
    let names: Vec<&str> = account.repositories.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["a", "empty"]);
    // 230, without every tenth and the five merges
    assert_eq!((account.commits("Nari/a").len(), account.commits("Nari/empty").len()), (202, 0));
    assert_eq!(account.commits("Nari/a")[0].message(), "커밋 1");
    assert!(!serde_json::to_string(&account).unwrap().contains("mail.example"));
    let shown = format!("{account:?} {:?} {:?}", account.user, account.commits("Nari/a")[0]);
    assert!(!shown.contains("나리") && !shown.contains("커밋"), "{shown}");

    let received = server.received();
    let targets: Vec<&str> = received.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets.len(), 6, "{targets:?}");
    assert_eq!(targets[1], "/v1/users/Nari/repos?type=owner&sort=pushed&per_page=10");
    assert_eq!(targets[2], "/v1/repos/Nari/a/commits?author=Nari&per_page=100");
    for request in &received {
        assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
        assert_eq!(request.headers["x-github-api-version"], "2022-11-28");
        assert_eq!(request.headers["accept"], "application/vnd.github+json");
        assert!(request.headers["user-agent"].starts_with("pumasi-core/"));
    }
}

#[tokio::test]
async fn no_more_is_read_than_was_asked_for() {
    let server = github().await;
    let found = client(&server.url()).commits("Nari/a", "Nari", 120).await.unwrap();
    assert_eq!((found.len(), server.received().len()), (120, 2));
    assert!(client(&server.url()).commits("Nari/a", "Nari", 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn pages_of_fewer_rows_than_were_asked_for_are_read_to_the_last() {
    let server = Server::answering(|request| {
        let page: usize =
            request.target.split_once("&page=").map_or(1, |(_, number)| number.parse().unwrap());
        let link = format!(
            "<http://{}/v1/users/Nari/repos?type=owner&page={}>; rel=\"next\"",
            request.headers["host"],
            page + 1
        );
        let links = if page < 7 { vec![("link", link.as_str())] } else { Vec::new() };
        Reply::of(200, &links, json!([repository(&format!("r{page}"), false)]).to_string())
    })
    .await;
    let found = client(&server.url()).repositories("Nari", 30).await.unwrap();
    assert_eq!((found.len(), server.received().len()), (7, 7));
}

async fn refused(replies: impl IntoIterator<Item = Reply>) -> (Error, usize) {
    let server = Server::start(replies).await;
    let error = client(&server.url()).user("nari").await.unwrap_err();
    let shown = format!("{error:?} {error}");
    assert!(!shown.contains("ghp_") && !shown.contains("nari") && !shown.contains("Moved"), "{shown}");
    (error, server.received().len())
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_is_repeated_where_that_may_help() {
    for (reply, kind, calls) in [
        (Reply::json(401, r#"{"message": "Bad credentials"}"#), ErrorKind::Unauthorized, 1),
        (
            Reply::json(403, r#"{"message": "Resource not accessible by personal access token"}"#),
            ErrorKind::Unauthorized,
            1,
        ),
        (Reply::json(404, r#"{"message": "Not Found"}"#), ErrorKind::NotFound, 1),
        (Reply::json(422, "{}"), ErrorKind::InvalidInput, 1),
        (Reply::json(502, "<html>"), ErrorKind::Unavailable, 3),
        (Reply::default(), ErrorKind::Unavailable, 3),
        (Reply::json(200, "<html>"), ErrorKind::Protocol, 1),
        (Reply::json(200, "{}"), ErrorKind::Protocol, 1),
        (Reply::of(301, &[("location", "https://elsewhere.example/Moved")], ""), ErrorKind::Protocol, 1),
    ] {
        let (error, made) = refused([reply.clone()]).await;
        assert_eq!((error.kind(), made), (kind, calls), "{reply:?}");
    }
}

#[tokio::test]
async fn a_limit_is_waited_for_where_it_ends_soon_and_is_told_where_not() {
    let soon = Reply::of(429, &[("retry-after", "1")], "{}");
    let server = Server::start([soon, Reply::json(200, &user().to_string())]).await;
    let begun = Instant::now();
    client(&server.url()).user("nari").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let reset = (now + 1_800).to_string();
    let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())];
    let (error, calls) =
        refused([Reply::of(403, &used_up, r#"{"message": "API rate limit exceeded"}"#)]).await;
    let Retry::After(wait) = error.retry() else { unreachable!("{error:?}") };
    assert_eq!((error.kind(), calls), (ErrorKind::RateLimited, 1));
    assert!((1_700..=1_801).contains(&wait.as_secs()), "{wait:?}");

    let by_words = r#"{"message": "You have exceeded a secondary rate limit. Please wait"}"#;
    let server = Server::start([Reply::json(403, by_words)]).await;
    let impatient = client(&server.url()).with_retry_policy(RetryPolicy::never("test"));
    let error = impatient.user("nari").await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, Retry::After(Duration::from_mins(1))));
}

#[tokio::test]
async fn a_page_elsewhere_gets_no_token() {
    let elsewhere = Server::start([Reply::json(200, "[]")]).await;
    let link = format!("<{}/repos/Nari/a/commits?page=2>; rel=\"next\"", elsewhere.url());
    let server = Server::start([Reply::of(200, &[("link", &link)], "[]")]).await;
    let error = client(&server.url()).commits("Nari/a", "nari", 200).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(elsewhere.received().is_empty());
    assert!(!format!("{error} {error:?}").contains("page=2"), "{error:?}");
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_and_answers_that_hang_come_to_an_end() {
    let server = Server::answering(|request| {
        let link = format!("<http://{}{}>; rel=\"next\"", request.headers["host"], request.target);
        Reply::of(200, &[("link", &link)], "[]")
    })
    .await;
    assert!(client(&server.url()).commits("Nari/a", "nari", 300).await.unwrap().is_empty());
    assert_eq!(server.received().len(), 1);

    let server = Server::answering(|request| {
        let link = format!("<http://{}{}0>; rel=\"next\"", request.headers["host"], request.target);
        Reply::of(200, &[("link", &link)], "[]")
    })
    .await;
    assert!(client(&server.url()).commits("Nari/a", "nari", 20).await.unwrap().is_empty());
    assert_eq!(server.received().len(), 20);

    let server = Server::start([Reply::default().then_hang()]).await;
    let hurried = client(&server.url())
        .with_timeout(Duration::from_millis(100))
        .with_retry_policy(RetryPolicy::never("test"));
    assert_eq!(hurried.user("nari").await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn what_is_no_address_no_token_and_no_name_is_refused_before_any_request() {
    for (url, token) in [("ftp://a", TOKEN), ("nothing", TOKEN), ("http://a", " "), ("http://a", "a\nb")] {
        let error = GithubClient::at(url, token).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error:?}").contains("ghp_"));
    }
    let server = github().await;
    let client = client(&server.url());
    assert!(!format!("{client:?} {:?}", pumasi_core::github::GithubToken::new(TOKEN)).contains("ghp_"));
    assert_eq!(client.user("../orgs").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(client.commits("Nari/../x", "nari", 1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(server.received().is_empty());
}
