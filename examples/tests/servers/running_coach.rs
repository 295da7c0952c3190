//! Knowledge in PostgreSQL with pgvector, answers in Redis.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::child::Running;

use super::desk::model;
use super::trial::{Bus, Cable, Trial, client, pages, until};

async fn ask(service: &Running) -> String {
    let body = json!({"question": "스포츠 테이프는 언제 떼나요?"});
    let answer = Client::new().post(service.url("/answers")).json(&body).send().await.unwrap();
    answer.error_for_status().unwrap().text().await.unwrap()
}

#[tokio::test]
async fn what_one_process_stores_another_answers_from_and_opens() {
    let Some(trial) = Trial::new("running_coach on PostgreSQL and Redis", Bus::Redis).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        trial.start("running_coach", |command| {
            command.arg("--data").arg(folder.path().join("knowledge.sqlite"));
        })
    };
    let (one, other) = (start(), start());
    let admin = client("running_coach", "지영", "admin");
    let knowledge = |service: &Running| service.url("/knowledge/ko%2Ftape?title=테이핑");
    let text = "스포츠 테이프는 여섯 시간 뒤에 뗍니다.";
    let request = admin.put(knowledge(&one)).header("content-type", "text/plain").body(text);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::CREATED);
    assert!(ask(&other).await.contains(r#""document":"ko/tape""#));
    let whole: Value =
        Client::new().get(other.url("/knowledge/ko%2Ftape")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&whole["title"], &whole["sections"][0]["text"]), (&json!("테이핑"), &json!(text)));

    assert_eq!(
        admin.delete(other.url("/knowledge/ko%2Ftape")).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    assert!(!ask(&one).await.contains(r#""document":"ko/tape""#), "an answer of what was removed");
    assert!(!folder.path().join("knowledge.sqlite").exists(), "a file was written");
    drop((one, other));
    trial.end().await;
}

#[tokio::test]
async fn processes_on_postgres_count_together_what_the_model_is_asked_and_list_page_by_page() {
    let Some(trial) = Trial::new("running_coach counts on PostgreSQL", Bus::Redis).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (model, asked) = model().await;
    let start = || {
        trial.start("running_coach", |command| {
            command.args(["--model-questions-per-address", "2", "--model-questions", "3", "--data"]);
            command.arg(folder.path().join("knowledge.sqlite"));
            command.env("PUMASI_LLM_URL", &model).env(support::client::PROXIES, "1").env("NO_PROXY", "*");
        })
    };
    let (one, other) = (start(), start());
    let (knee, half, gels) = (
        "계단 내려갈 때 무릎 앞쪽이 아파요",
        "하프 마라톤은 몇 주 준비하나요?",
        "When should I take gels in a race?",
    );
    for (service, address, question, expected) in [
        (&one, "2001:db8::1", knee, "answered"),
        (&other, "2001:db8::2", half, "answered"),
        (&one, "2001:db8::3", gels, "extracted"),
        (&other, "203.0.113.7", gels, "answered"),
        (&one, "203.0.113.8", "처음 달리기는 어떻게 시작하나요?", "extracted"),
    ] {
        let request = Client::new().post(service.url("/answers")).header("x-forwarded-for", address);
        let answer = request.json(&json!({"question": question})).send().await.unwrap();
        let told = answer.error_for_status().unwrap().text().await.unwrap();
        let outcome = format!(r#""outcome":"{expected}""#);
        assert!(told.contains(&outcome), "{address} {question}: {told}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3, "a question beyond the bound reached the model");

    let (sizes, rows) = pages(&Client::new(), &other, "/knowledge?limit=7").await;
    let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert!(ids.len() > 7 && ids.iter().collect::<HashSet<_>>().len() == ids.len(), "{ids:?}");
    assert!(sizes.split_last().unwrap().1.iter().all(|size| *size == 7), "{sizes:?}");
    let odd = Client::new().get(one.url("/knowledge?after=%00")).send().await.unwrap();
    assert_eq!(odd.status(), StatusCode::BAD_REQUEST);
    drop((one, other));
    trial.end().await;
}

// The cable carries while the test waits for the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_gone_is_named_and_questions_are_answered_without_it() {
    let Some(trial) = Trial::new("running_coach without its cache", Bus::Redis).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut cable = Cable::to(trial.redis.strip_prefix("redis://").unwrap());
    let through = format!("redis://{}", cable.address());
    let service = trial.start("running_coach", |command| {
        command
            .env(support::servers::REDIS, through)
            .arg("--data")
            .arg(folder.path().join("knowledge.sqlite"));
    });
    let (client, ready) = (Client::new(), service.url("/readyz"));
    until(&client, &ready, |ready| ready["status"] == "ready").await;
    cable.pull();
    let degraded = until(&client, &ready, |ready| ready["status"] == "degraded").await;
    assert_eq!(degraded["down"], json!(["cache"]), "{degraded}");
    assert!(ask(&service).await.contains("event: "), "an answer without the cache");
    cable.plug_in();
    until(&client, &ready, |ready| ready["status"] == "ready").await;
    drop(service);
    trial.end().await;
}
