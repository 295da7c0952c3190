//! Accounts that are read from an API like GitHub's.

use std::sync::atomic::Ordering;

use super::standins::{Github, TOKEN};
use super::*;

#[tokio::test]
async fn github_is_read_page_by_page_through_refusals_by_a_token_that_no_log_shows() {
    let folder = tempfile::tempdir().unwrap();
    // Taken from the end: first a limit that ends in a second, then a server that is away.
    let refusals = vec![(502, Vec::new()), (429, vec![("retry-after", "1".to_owned())])];
    let github = Github::start(refusals).await;
    let service = start_with(folder.path(), |command| {
        command
            .env("PUMASI_GITHUB_TOKEN", TOKEN)
            .env("PUMASI_GITHUB_URL", &github.url)
            .env("RUST_LOG", "debug");
    });
    let owner = client("하늘");
    let (_, view) = written(&owner, &service).await;
    // 1 user, 3 pages of 5 repositories; of their commits 4, 3, 1, 1 pages and an empty repository
    assert_eq!(github.answered.load(Ordering::SeqCst), 14);
    let export = tempfile::tempdir().unwrap();
    let offline = start(export.path());
    let (_, same) = written(&owner, &offline).await;
    assert_eq!(view["resume"], same["resume"], "the API and its export say the same");
    assert_eq!(view["records"], same["records"]);

    let wanted = json!({"account": "nobody-example", "language": "ko"});
    let asked = ok(send(&owner, Method::POST, service.url("/resumes"), wanted).await).await;
    let failed = done(&owner, service.url(&format!("/resumes/{}", asked["id"].as_str().unwrap()))).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(failed["failure"].as_str().unwrap().contains("404"), "{failed}");
    let logs = service.logs();
    assert!(logs.contains("writing came to nothing"));
    assert!(!logs.contains(TOKEN) && !failed.to_string().contains(TOKEN));
    assert!(!logs.contains("토크나이저"), "what people wrote stays out of the log");
}

#[tokio::test]
async fn a_better_token_and_the_end_of_a_limit_are_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let github = Github::start(Vec::new()).await;
    let bad = start_with(folder.path(), |command| {
        command.env("PUMASI_GITHUB_TOKEN", "ghp_wrongToken").env("PUMASI_GITHUB_URL", &github.url);
    });
    let owner = client("하늘");
    let id = ask(&owner, &bad, "ko").await;
    assert_eq!(down(&bad, &["github"]).await["status"], "degraded");
    let waiting = ok(owner.get(bad.url(&format!("/resumes/{id}"))).send().await.unwrap()).await;
    assert_eq!(waiting["state"], "pending", "{waiting}");
    let logs = bad.logs();
    assert!(logs.contains("401") && !logs.contains("ghp_wrongToken"), "{logs}");
    drop(bad);
    let good = start_with(folder.path(), |command| {
        command.env("PUMASI_GITHUB_TOKEN", TOKEN).env("PUMASI_GITHUB_URL", &github.url);
    });
    assert_eq!(done(&owner, good.url(&format!("/resumes/{id}"))).await["state"], "ready");
    down(&good, &[]).await;
    drop(good);

    let hour = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 3_600;
    let used_up = vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", hour.to_string())];
    let limited = Github::start(vec![(403, used_up)]).await;
    let service = start_with(folder.path(), |command| {
        command.env("PUMASI_GITHUB_TOKEN", TOKEN).env("PUMASI_GITHUB_URL", &limited.url);
    });
    let id = ask(&owner, &service, "ko").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let view = ok(owner.get(service.url(&format!("/resumes/{id}"))).send().await.unwrap()).await;
    assert_eq!(view["state"], "pending", "it is written when the limit ends: {view}");
    assert_eq!(limited.answered.load(Ordering::SeqCst), 0, "nobody asks before");
}
