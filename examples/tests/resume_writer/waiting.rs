//! What was accepted waits for whoever is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode as Status;
use futures_util::future::join_all;
use pumasi_core::event::{Envelope, EventBus as _, SqliteBus, State};

use super::*;

const INSTRUCTION: &str = "도서관 예약 API 이야기를 앞세우고, 스크린 리더 항목은 빼 줘";

fn with_model(folder: &Path, url: &str) -> Running {
    start_with(folder, |command| {
        command.env("PUMASI_LLM_URL", url).env("PUMASI_LLM_KEY", "sk-notAKey");
    })
}

/// What stands in for a model's server that turns every call away.
async fn refusing(status: Status) -> String {
    let router = Router::new().fallback(move || async move { status });
    format!("{}/v1", desk::stand_in(router).await)
}

#[tokio::test]
async fn while_the_model_is_away_or_refuses_the_key_work_waits_and_there_is_an_end_to_how_much() {
    let folder = tempfile::tempdir().unwrap();
    let owner = client("하늘");
    let service = start(folder.path());
    down(&service, &[]).await;
    let (id, _) = written(&owner, &service).await;
    drop(service);

    let service = with_model(folder.path(), &refusing(Status::UNAUTHORIZED).await);
    let other = ask(&owner, &service, "en").await;
    let given = join_all((0..40).map(|_| instruct(&owner, &service, &id, 1, INSTRUCTION))).await;
    let mut edits = Vec::new();
    for answer in given {
        if answer.status() == StatusCode::ACCEPTED {
            edits.push(ok(answer).await["id"].as_str().unwrap().to_owned());
        } else {
            let problem = is_refused(answer, StatusCode::CONFLICT).await;
            assert!(problem["detail"].as_str().unwrap().contains("under way"), "{problem}");
        }
    }
    assert_eq!(edits.len(), 5, "each costs calls of the model");
    assert_eq!(down(&service, &["model"]).await["status"], "degraded");
    assert!(!service.logs().contains("sk-notAKey"));
    drop(service);

    // A port where nobody listens.
    let service = with_model(folder.path(), "http://127.0.0.1:9/v1");
    down(&service, &["model"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let waiting = ok(owner.get(service.url(&format!("/resumes/{other}"))).send().await.unwrap()).await;
    assert_eq!(waiting["state"], "pending", "{waiting}");
    assert!(!service.logs().contains("came to nothing"));
    drop(service);

    let service = start(folder.path());
    assert_eq!(done(&owner, service.url(&format!("/resumes/{other}"))).await["state"], "ready");
    for edit in &edits {
        let edit = done(&owner, service.url(&format!("/resumes/{id}/edits/{edit}"))).await;
        assert_eq!(edit["state"], "proposed", "{edit}");
    }
    ok(instruct(&owner, &service, &id, 1, INSTRUCTION).await).await;
}

#[tokio::test]
async fn what_was_given_is_found_again_and_withdrawn_until_it_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let owner = client("하늘");
    let service = start(folder.path());
    let (id, _) = written(&owner, &service).await;
    drop(service);

    let service = with_model(folder.path(), "http://127.0.0.1:9/v1");
    for _ in 0..5 {
        ok(instruct(&owner, &service, &id, 1, INSTRUCTION).await).await;
    }
    is_refused(instruct(&owner, &service, &id, 1, INSTRUCTION).await, StatusCode::CONFLICT).await;
    let edits = format!("/resumes/{id}/edits");
    let page = async |path: &str| {
        let answer = owner.get(service.url(path)).send().await.unwrap();
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        (ok(answer).await.as_array().unwrap().clone(), link)
    };
    let (first, link) = page(&format!("{edits}?limit=3")).await;
    let link = link.unwrap();
    let (rest, end) = page(link.trim_start_matches('<').split('>').next().unwrap()).await;
    assert_eq!((first.len(), rest.len(), end), (3, 2, None));
    let given = |row: &Value| (row["state"].clone(), row["instruction"].clone(), row["version"].clone());
    let all: Vec<Value> = first.into_iter().chain(rest).collect();
    for row in &all {
        assert_eq!(given(row), (json!("pending"), json!(INSTRUCTION), json!(1)));
    }
    let one = service.url(&format!("{edits}/{}", all[1]["id"].as_str().unwrap()));
    let stranger = client("아무개");
    is_refused(stranger.get(service.url(&edits)).send().await.unwrap(), StatusCode::NOT_FOUND).await;
    is_refused(stranger.delete(&one).send().await.unwrap(), StatusCode::NOT_FOUND).await;
    assert_eq!(owner.delete(&one).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    is_refused(owner.delete(&one).send().await.unwrap(), StatusCode::NOT_FOUND).await;
    is_refused(owner.get(&one).send().await.unwrap(), StatusCode::NOT_FOUND).await;
    ok(instruct(&owner, &service, &id, 1, INSTRUCTION).await).await;
    drop(service);

    let service = start(folder.path());
    let one = service.url(&format!("{edits}/{}", all[4]["id"].as_str().unwrap()));
    assert_eq!(done(&owner, one.clone()).await["state"], "proposed");
    ok(owner.post(format!("{one}/accept")).send().await.unwrap()).await;
    is_refused(owner.delete(&one).send().await.unwrap(), StatusCode::CONFLICT).await;
    let listed = ok(owner.get(service.url(&edits)).send().await.unwrap()).await;
    let states: Vec<_> = listed.as_array().unwrap().iter().map(|row| &row["state"]).collect();
    assert_eq!((states.len(), states[4]), (5, &json!("accepted")));
}

/// Counts when it is dropped.
struct GivenUp(Arc<AtomicUsize>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_model_is_not_asked_on_for_what_was_withdrawn_and_a_key_does_not_bring_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let owner = client("하늘");
    let service = start(folder.path());
    let (id, _) = written(&owner, &service).await;
    drop(service);

    let (asked, given_up) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let (counted, ended) = (Arc::clone(&asked), Arc::clone(&given_up));
    let hangs = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let asked = GivenUp(Arc::clone(&ended));
        async move {
            let _asked = asked;
            std::future::pending::<Status>().await
        }
    };
    let router = Router::new().route("/v1/chat/completions", axum::routing::post(hangs));
    let service = with_model(folder.path(), &format!("{}/v1", desk::stand_in(router).await));
    let edits = service.url(&format!("/resumes/{id}/edits"));
    let give = || {
        let wanted = json!({"instruction": INSTRUCTION, "version": 1});
        owner.post(&edits).header("idempotency-key", "k").json(&wanted).send()
    };
    let given = ok(give().await.unwrap()).await;
    assert_eq!(ok(give().await.unwrap()).await, given);
    let counts = async |of: &AtomicUsize| {
        for _ in 0..100 {
            if of.load(Ordering::SeqCst) > 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    };
    assert!(counts(asked.as_ref()).await && given_up.load(Ordering::SeqCst) == 0);
    let one = format!("{edits}/{}", given["id"].as_str().unwrap());
    assert_eq!(owner.delete(&one).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert!(counts(given_up.as_ref()).await, "the call goes on");
    let problem = is_refused(give().await.unwrap(), StatusCode::CONFLICT).await;
    assert!(problem["detail"].as_str().unwrap().contains("withdrawn"), "{problem}");
    is_refused(owner.post(format!("{one}/accept")).send().await.unwrap(), StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn one_person_has_so_much_written_within_24_hours_over_all_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        start_with(folder.path(), |command| {
            command.args(["--writings-a-day", "4"]);
        })
    };
    let (service, owner) = (start(), client("하늘"));
    let wanted = json!({"account": ACCOUNT, "language": "ko"});
    let keyed = || owner.post(service.url("/resumes")).header("idempotency-key", "k").json(&wanted).send();
    let first = ok(keyed().await.unwrap()).await;
    assert_eq!(ok(keyed().await.unwrap()).await, first, "sent again it is not counted again");
    let id = first["id"].as_str().unwrap().to_owned();
    done(&owner, service.url(&format!("/resumes/{id}"))).await;
    ask(&owner, &service, "ko").await;
    ok(instruct(&owner, &service, &id, 1, INSTRUCTION).await).await;
    // What is refused costs nothing.
    is_refused(instruct(&owner, &service, &id, 2, INSTRUCTION).await, StatusCode::CONFLICT).await;
    ok(instruct(&owner, &service, &id, 1, INSTRUCTION).await).await;
    owner.delete(service.url(&format!("/resumes/{id}"))).send().await.unwrap();
    drop(service);
    // Neither deleting a résumé nor another process makes it begin anew.
    let service = start();
    let answer = send(&owner, Method::POST, service.url("/resumes"), wanted.clone()).await;
    let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((86_000..=86_401).contains(&seconds), "{seconds}");
    let problem = is_refused(answer, StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(problem["kind"], "rate_limited", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("4 at most"), "{problem}");
    ask(&client("아무개"), &service, "ko").await;
}

#[tokio::test]
async fn an_export_that_is_not_there_or_cannot_be_read_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("odd.json");
    std::fs::write(&odd, "하늘의 편지").unwrap();
    for export in [folder.path().join("nowhere.json"), odd] {
        let started = support::child::Running::start("resume_writer", |command| {
            command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("data"));
            command.env_remove("PUMASI_GITHUB_TOKEN").env("PUMASI_GITHUB_EXPORT", &export);
        });
        let told = started.unwrap_err().to_string();
        assert!(told.contains("PUMASI_GITHUB_EXPORT"), "{told}");
        assert!(!told.contains("편지"), "{told}");
    }
}

#[tokio::test]
async fn standard_error_is_of_the_logs_alone() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    down(&service, &[]).await;
    let logs = service.logs();
    assert!(logs.contains("listening"), "{logs}");
    for line in logs.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
}

#[tokio::test]
async fn an_owner_has_a_failed_resume_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export.json");
    std::fs::write(&export, include_str!("../../resume_writer/github.json").replace(ACCOUNT, "another"))
        .unwrap();
    let data = folder.path().join("data");
    let service = start_with(&data, |command| {
        command.env("PUMASI_GITHUB_EXPORT", &export);
    });
    let owner = client("하늘");
    let id = ask(&owner, &service, "ko").await;
    let resume = service.url(&format!("/resumes/{id}"));
    let retry = |who: &Client| who.post(format!("{resume}/retry")).send();
    assert_eq!(done(&owner, resume.clone()).await["state"], "failed");
    is_refused(retry(&client("아무개")).await.unwrap(), StatusCode::NOT_FOUND).await;

    std::fs::write(&export, include_str!("../../resume_writer/github.json")).unwrap();
    for answer in join_all((0..4).map(|_| retry(&owner))).await {
        assert!(matches!(answer.unwrap().status(), StatusCode::ACCEPTED | StatusCode::CONFLICT));
    }
    let written = done(&owner, resume.clone()).await;
    assert_eq!((&written["state"], &written["failure"]), (&json!("ready"), &Value::Null));
    is_refused(retry(&owner).await.unwrap(), StatusCode::CONFLICT).await;
}

#[tokio::test]
async fn an_event_that_nobody_can_work_on_is_put_aside_and_an_operator_sees_why() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    let bus = SqliteBus::open(folder.path().join("events.sqlite")).await.unwrap();
    let odd = Envelope::new("resumes.work", "x", State::Created, 0).with_payload(&json!("하늘")).unwrap();
    bus.publish(&[odd]).await.unwrap();
    let put_aside = |more: &[&str]| desk::put_aside("resume_writer", folder.path(), more);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !service.logs().contains("was put aside") {
        assert!(Instant::now() < deadline, "{}", service.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let listed = put_aside(&[]);
    assert!(listed.contains("resume-writer") && listed.contains("1 are put aside"), "{listed}");
    assert!(!listed.contains("하늘"), "{listed}");
    assert!(put_aside(&["--deliver-again"]).contains("1 of 1 are delivered again"));
}
