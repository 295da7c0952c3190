//! Readers: the key, likes, comments, and the notices of them.

use std::collections::HashSet;

use futures_util::future::join_all;

use super::partner::{Partner, SECRET};
use super::*;

fn with(
    client: &Client,
    method: Method,
    service: &Running,
    path: &str,
    key: &str,
) -> reqwest::RequestBuilder {
    client.request(method, service.url(path)).header("share-key", key)
}

async fn comment(client: &Client, service: &Running, key: &str, text: &str) -> Response {
    with(client, Method::POST, service, "/shared/comments", key)
        .json(&json!({"text": text}))
        .send()
        .await
        .unwrap()
}

async fn like(client: &Client, service: &Running, key: &str, like: bool) -> Response {
    with(client, Method::PUT, service, "/shared/like", key).json(&json!({"like": like})).send().await.unwrap()
}

fn told_by(partner: &Partner) -> impl FnOnce(&mut Command) {
    let url = partner.url.clone();
    move |command| {
        command.env("PUMASI_NOTIFY_URL", url).env("PUMASI_NOTIFY_SECRET", SECRET);
    }
}

#[tokio::test]
async fn a_resume_opens_by_its_key_alone_and_one_person_likes_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let (service, owner) = (
        start_with(folder.path(), |command| {
            command.env("RUST_LOG", "trace,hyper=info,h2=info");
        }),
        client("하늘"),
    );
    let (id, _) = written(&owner, &service).await;
    let first = share(&owner, &service, &id).await;
    let key = share(&owner, &service, &id).await;
    assert!(key.len() >= 64 && first != key);
    let anybody = Client::new();
    for wrong in ["", "x", first.as_str(), &key[1..], &key.to_uppercase()] {
        let answer = with(&anybody, Method::GET, &service, "/shared", wrong).send().await.unwrap();
        is_refused(answer, StatusCode::NOT_FOUND).await;
    }
    let seen = ok(with(&anybody, Method::GET, &service, "/shared", &key).send().await.unwrap()).await;
    assert_eq!((&seen["likes"], &seen["liked"], &seen["own"]), (&json!(0), &json!(false), &json!(false)));
    assert!(
        seen.get("refused").is_none() && !seen.to_string().contains("쿠버네티스"),
        "what was refused is the owner's"
    );

    let lines = seen["lines"].as_array().unwrap();
    assert!(lines.len() >= 6 && lines.iter().all(|line| line["is_said"] == true), "{seen}");
    assert!(!seen.to_string().contains("스크린 리더"), "what its words do not prove is the owner's");

    is_refused(like(&anybody, &service, &key, true).await, StatusCode::UNAUTHORIZED).await;
    is_refused(comment(&anybody, &service, &key, "안녕").await, StatusCode::UNAUTHORIZED).await;
    is_refused(like(&owner, &service, &key, true).await, StatusCode::FORBIDDEN).await;
    let fans: Vec<Client> = (0..15).map(|number| client(&format!("fan {number}"))).collect();
    let all = fans.iter().flat_map(|fan| [fan, fan, fan]).map(|fan| like(fan, &service, &key, true));
    for answer in join_all(all).await {
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let back = ok(like(&fans[0], &service, &key, false).await).await;
    assert_eq!(back, json!({"likes": 14, "liked": false}));
    assert_eq!(ok(like(&fans[0], &service, &key, true).await).await, json!({"likes": 15, "liked": true}));

    let said =
        ok(comment(&fans[1], &service, &key, "<img src=x onerror=alert(1)> 재현율은 어떻게 재셨나요?").await)
            .await;
    let again =
        with(&fans[2], Method::POST, &service, "/shared/comments", &key).header("idempotency-key", "one");
    let body = json!({"text": "Nice"});
    let first = ok(again.try_clone().unwrap().json(&body).send().await.unwrap()).await;
    let second = ok(again.try_clone().unwrap().json(&body).send().await.unwrap()).await;
    assert_eq!(first, second, "said once");
    let other = again.json(&json!({"text": "Other"})).send().await.unwrap();
    is_refused(other, StatusCode::UNPROCESSABLE_ENTITY).await;
    let path = format!("/shared/comments/{}", said["number"]);
    let answer = with(&fans[2], Method::DELETE, &service, &path, &key).send().await.unwrap();
    is_refused(answer, StatusCode::FORBIDDEN).await;
    for (may, status) in
        [(client_as("관리자", "moderator"), StatusCode::NO_CONTENT), (owner.clone(), StatusCode::NOT_FOUND)]
    {
        assert_eq!(with(&may, Method::DELETE, &service, &path, &key).send().await.unwrap().status(), status);
    }
    let listed =
        ok(with(&anybody, Method::GET, &service, "/shared/comments?limit=10", &key).send().await.unwrap())
            .await;
    assert_eq!(listed, json!([first]));

    // 15 likes, whoever took one back and gave it again among them, and two comments; nobody else sees them.
    let deadline = Instant::now() + Duration::from_secs(20);
    let notices = loop {
        let notices = ok(owner.get(service.url("/notices?limit=500")).send().await.unwrap()).await;
        if notices.as_array().unwrap().len() >= 17 {
            break notices;
        }
        assert!(Instant::now() < deadline, "{notices}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(notices.as_array().unwrap().len(), 17);
    assert_eq!(ok(fans[0].get(service.url("/notices")).send().await.unwrap()).await, json!([]));

    let closed = owner.delete(service.url(&format!("/resumes/{id}/share"))).send().await.unwrap();
    assert_eq!(closed.status(), StatusCode::NO_CONTENT);
    is_refused(
        with(&anybody, Method::GET, &service, "/shared", &key).send().await.unwrap(),
        StatusCode::NOT_FOUND,
    )
    .await;
    let logs = service.logs();
    assert!(!logs.contains(&key) && !logs.contains("재현율은"), "a key or a text is in the log");
    let kept = std::fs::read(folder.path().join("resumes.sqlite")).unwrap();
    assert!(!kept.windows(key.len()).any(|bytes| bytes == key.as_bytes()), "the key is kept");
}

#[tokio::test]
async fn a_partner_that_hangs_slows_no_request_and_hears_of_all_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let partner = Partner::start(true).await;
    let service = start_with(folder.path(), told_by(&partner));
    let owner = client("하늘");
    let (id, _) = written(&owner, &service).await;
    let key = share(&owner, &service, &id).await;
    let mut took = Vec::new();
    for number in 0..60 {
        let fan = client(&format!("fan {number}"));
        let begun = Instant::now();
        assert_eq!(comment(&fan, &service, &key, "잘 봤습니다").await.status(), StatusCode::CREATED);
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    eprintln!("60 comments while the partner hangs: median {:?}, slowest {:?}", took[30], took[59]);
    // One call to the partner is given up after five seconds: requests that waited for it would take as long.
    assert!(took[30] < Duration::from_secs(2) && took[59] < Duration::from_secs(5), "{took:?}");
    assert!(partner.got().is_empty());
    assert_eq!(down(&service, &["partner"]).await["status"], "degraded");
    // The owner's page does not wait for the partner.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let notices = ok(owner.get(service.url("/notices?limit=500")).send().await.unwrap()).await;
        if notices.as_array().unwrap().len() == 60 {
            break;
        }
        assert!(Instant::now() < deadline, "{} of 60", notices.as_array().unwrap().len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(partner.got().is_empty());
    partner.wake();
    service.signal("-KILL").unwrap();
    drop(service);
    let service = start_with(folder.path(), told_by(&partner));
    let deadline = Instant::now() + Duration::from_secs(40);
    while partner.got().iter().map(|(id, _)| id.clone()).collect::<HashSet<_>>().len() < 60 {
        assert!(Instant::now() < deadline, "{} of 60", partner.got().len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let got = partner.got();
    let people: HashSet<&str> = got.iter().map(|(_, body)| body["from"].as_str().unwrap()).collect();
    assert_eq!(people.len(), 60, "each of them was told of");
    assert!(
        got.iter()
            .all(|(id, body)| body["to"] == "하늘" && body["id"] == id.as_str() && body["kind"] == "comment")
    );
    let notices = ok(owner.get(service.url("/notices?limit=500")).send().await.unwrap()).await;
    assert_eq!(notices.as_array().unwrap().len(), 60);
}

#[tokio::test]
async fn a_notice_that_the_partner_refuses_for_good_is_put_aside_and_keeps_no_other_back() {
    let folder = tempfile::tempdir().unwrap();
    let partner = Partner::start(false).await;
    let service = start_with(folder.path(), told_by(&partner));
    let owner = client("하늘");
    let (id, _) = written(&owner, &service).await;
    let key = share(&owner, &service, &id).await;
    for name in ["refused with 400", "refused with 410", "refused with 422", "a fan"] {
        ok(like(&client(name), &service, &key, true).await).await;
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while partner.got().is_empty() {
        assert!(Instant::now() < deadline, "{} were refused, and nobody else was told of", partner.refused());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(partner.refused(), 3, "none was tried again");
    down(&service, &[]).await;
    let aside = desk::put_aside("resume_writer", folder.path(), &[]);
    assert!(aside.contains("status 410") && aside.contains("3 are put aside"), "{aside}");

    // A setting that is wrong is waited for.
    ok(like(&client("refused with 401"), &service, &key, true).await).await;
    down(&service, &["partner"]).await;
    let aside = desk::put_aside("resume_writer", folder.path(), &[]);
    assert!(aside.contains("3 are put aside"), "{aside}");
}

#[tokio::test]
async fn no_acknowledged_like_or_comment_is_lost_by_a_kill_and_none_is_told_twice_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let partner = Partner::start(false).await;
    let owner = client("하늘");
    let mut service = start_with(folder.path(), told_by(&partner));
    let (id, _) = written(&owner, &service).await;
    let key = share(&owner, &service, &id).await;
    let mut acknowledged = 0;
    for round in 0..3 {
        let saying = (0..12).map(|number| {
            let (fan, key, service) = (client(&format!("fan {round} {number}")), &key, &service);
            async move {
                let request =
                    with(&fan, Method::POST, service, "/shared/comments", key).json(&json!({"text": "!"}));
                let said = request.send().await.is_ok_and(|answer| answer.status() == StatusCode::CREATED);
                let request =
                    with(&fan, Method::PUT, service, "/shared/like", key).json(&json!({"like": true}));
                let liked = request.send().await.is_ok_and(|answer| answer.status() == StatusCode::OK);
                usize::from(said) + usize::from(liked)
            }
        });
        let killing = async {
            tokio::time::sleep(Duration::from_millis(40 * (round + 1))).await;
            service.signal("-KILL").unwrap();
        };
        let (done, ()) = tokio::join!(join_all(saying), killing);
        acknowledged += done.into_iter().sum::<usize>();
        drop(service);
        service = start_with(folder.path(), told_by(&partner));
    }
    let seen = ok(with(&owner, Method::GET, &service, "/shared", &key).send().await.unwrap()).await;
    let comments =
        ok(with(&owner, Method::GET, &service, "/shared/comments?limit=500", &key).send().await.unwrap())
            .await;
    let stored =
        usize::try_from(seen["likes"].as_u64().unwrap()).unwrap() + comments.as_array().unwrap().len();
    eprintln!("{acknowledged} of 72 likes and comments acknowledged around three kills, {stored} there");
    assert!(stored >= acknowledged, "{stored} of {acknowledged}");
    let numbers: HashSet<u64> =
        comments.as_array().unwrap().iter().map(|comment| comment["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), comments.as_array().unwrap().len());
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let notices = ok(owner.get(service.url("/notices?limit=500")).send().await.unwrap()).await;
        let told: HashSet<String> = partner.got().into_iter().map(|(id, _)| id).collect();
        let listed = notices.as_array().unwrap().len();
        assert!(listed <= stored, "one is told twice");
        if listed == stored && told.len() == stored {
            break;
        }
        assert!(Instant::now() < deadline, "{listed} and {} of {stored}", told.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn comments_and_notices_are_read_page_by_page_the_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let (service, owner, fan) = (start(folder.path()), client("하늘"), client("fan"));
    let (id, _) = written(&owner, &service).await;
    let key = share(&owner, &service, &id).await;
    for number in 0..7 {
        ok(comment(&fan, &service, &key, &number.to_string()).await).await;
    }
    let pages = async |first: &str, name: &str| {
        let (mut path, mut found, mut pages) = (Some(first.to_owned()), Vec::new(), 0);
        while let Some(page) = path.take() {
            let answer = with(&owner, Method::GET, &service, &page, &key).send().await.unwrap();
            let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
            path = link.map(|link| link.trim_start_matches('<').split('>').next().unwrap().to_owned());
            let rows = ok(answer).await;
            found.extend(rows.as_array().unwrap().iter().map(|row| row[name].clone()));
            pages += 1;
        }
        (found, pages)
    };
    let (texts, read) = pages("/shared/comments?limit=3", "text").await;
    assert_eq!((json!(texts), read), (json!(["6", "5", "4", "3", "2", "1", "0"]), 3));
    let deadline = Instant::now() + Duration::from_secs(20);
    let (moments, read) = loop {
        let (moments, read) = pages("/notices?limit=3", "at").await;
        if moments.len() == 7 {
            break (moments, read);
        }
        assert!(Instant::now() < deadline, "{moments:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(moments.is_sorted_by(|one, next| one.as_str() >= next.as_str()), "{moments:?}");
    assert_eq!(read, 3);
    for path in ["/shared/comments?after=x", "/shared/comments?limit=501", "/notices?after=x"] {
        let answer = with(&owner, Method::GET, &service, path, &key).send().await.unwrap();
        is_refused(answer, StatusCode::BAD_REQUEST).await;
    }
    let openapi = ok(owner.get(service.url("/openapi.json")).send().await.unwrap()).await;
    // What is no UTF-8 names nothing, in whichever path.
    is_refused(owner.get(service.url("/resumes/%FF")).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    assert!(openapi["paths"]["/resumes/{id}"]["get"]["responses"]["400"].is_object(), "{openapi}");
    let limit = openapi["paths"]["/shared/comments"]["get"]["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|parameter| parameter["name"] == "limit")
        .unwrap();
    let schema = &limit["schema"];
    assert_eq!((&schema["default"], &schema["maximum"]), (&json!(100), &json!(500)), "{schema}");
}
