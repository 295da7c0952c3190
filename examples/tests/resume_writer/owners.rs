//! Owners: résumés and instructions.

use futures_util::future::join_all;

use super::*;

const INSTRUCTION: &str = "도서관 예약 API 이야기를 앞세우고, 스크린 리더 항목은 빼 줘";

fn reasons(refused: &Value) -> Vec<&str> {
    refused.as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_line_has_its_proof_and_what_has_none_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (service, owner) = (start(folder.path()), client("하늘"));
    let (id, view) = written(&owner, &service).await;
    let resume = &view["resume"];
    let lines = resume["lines"].as_array().unwrap();
    assert!(lines.len() >= 8, "{resume}");
    for line in lines {
        let url = line["url"].as_str().unwrap();
        assert!(url.starts_with("https://github.com/haneul-example"), "{line}");
        assert!(!line["quote"].as_str().unwrap().is_empty());
        assert!(url.contains(line["record"].as_str().unwrap()), "{line}");
    }
    let unproven = lines.iter().filter(|line| line["is_said"] == false).count();
    assert_eq!(unproven, 2, "a Korean line over an English commit is not proven by its words");
    assert_eq!(reasons(&resume["refused"]), ["words", "number", "no_record", "elsewhere"]);
    assert!(!view.to_string().contains("mail.example"), "an address of a commit is nobody's business");

    // The other language, of the same records.
    let other = ask(&owner, &service, "en").await;
    let english = done(&owner, service.url(&format!("/resumes/{other}"))).await;
    assert_eq!(reasons(&english["resume"]["refused"]), ["number"]);
    let list = ok(owner.get(service.url("/resumes")).send().await.unwrap()).await;
    let listed: Vec<&Value> = list.as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(listed, [&json!(other), &json!(id)], "the newest first");
    let first = owner.get(service.url("/resumes?limit=1")).send().await.unwrap();
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    assert_eq!(ok(first).await, json!([list[0]]));
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let last = owner.get(service.url(next)).send().await.unwrap();
    assert!(!last.headers().contains_key("link"));
    assert_eq!(ok(last).await, json!([list[1]]));
    let odd = owner.get(service.url("/resumes?after=x")).send().await.unwrap();
    is_refused(odd, StatusCode::BAD_REQUEST).await;

    // Nobody else knows of them.
    let stranger = client("아무개");
    for (method, path) in [
        (Method::GET, format!("/resumes/{id}")),
        (Method::DELETE, format!("/resumes/{id}")),
        (Method::POST, format!("/resumes/{id}/share")),
        (Method::DELETE, format!("/resumes/{id}/share")),
    ] {
        let answer = stranger.request(method, service.url(&path)).send().await.unwrap();
        is_refused(answer, StatusCode::NOT_FOUND).await;
    }
    is_refused(instruct(&stranger, &service, &id, 1, INSTRUCTION).await, StatusCode::NOT_FOUND).await;
    assert_eq!(ok(stranger.get(service.url("/resumes")).send().await.unwrap()).await, json!([]));
    let gone = owner.delete(service.url(&format!("/resumes/{other}"))).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);

    // What stands in for a model says what it cannot, and that is told.
    let wanted = json!({"account": "nobody-example", "language": "ko"});
    let failing = ok(send(&owner, Method::POST, service.url("/resumes"), wanted).await).await;
    let failed = done(&owner, service.url(&format!("/resumes/{}", failing["id"].as_str().unwrap()))).await;
    assert_eq!(failed["state"], "failed");
    assert!(failed["failure"].as_str().unwrap().contains("no export of this account"), "{failed}");
}

#[tokio::test]
async fn a_proposal_is_shown_as_a_difference_and_accepted_by_one_of_many() {
    let folder = tempfile::tempdir().unwrap();
    let (service, owner) = (start(folder.path()), client("하늘"));
    let (id, before) = written(&owner, &service).await;
    let base = service.url(&format!("/resumes/{id}"));
    let key = "the-same-instruction";
    let mut edits = Vec::new();
    for _ in 0..2 {
        let request = owner.post(format!("{base}/edits")).header("idempotency-key", key);
        let body = json!({"instruction": INSTRUCTION, "version": 1});
        edits.push(ok(request.json(&body).send().await.unwrap()).await["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(edits[0], edits[1], "sent again it is given once");
    let edit = format!("{base}/edits/{}", edits[0]);
    let proposal = done(&owner, edit.clone()).await;
    assert_eq!(proposal["state"], "proposed", "{proposal}");
    let fates = |fate: &str| {
        let changes = proposal["changes"].as_array().unwrap().iter();
        changes.filter(|change| change["fate"] == fate).cloned().collect::<Vec<_>>()
    };
    assert_eq!((fates("added").len(), fates("removed").len(), fates("changed").len()), (1, 1, 1));
    let changed = &fates("changed")[0];
    let text = |without: &str| {
        let words = changed["words"].as_array().unwrap().iter().filter(|words| words["fate"] != without);
        words.map(|words| words["text"].as_str().unwrap()).collect::<String>()
    };
    let old = before["resume"]["lines"].as_array().unwrap().iter().find(|line| line["id"] == changed["line"]);
    assert_eq!(text("added"), old.unwrap()["text"].as_str().unwrap(), "the words of before, together");
    assert!(text("removed").contains("자리를 돌려줌"));
    // Nothing has changed yet.
    assert_eq!(done(&owner, base.clone()).await, before);

    let accepting = (0..8).map(|_| owner.post(format!("{edit}/accept")).send());
    let mut answers = Vec::new();
    for answer in join_all(accepting).await {
        answers.push(ok(answer.unwrap()).await);
    }
    let after = done(&owner, base.clone()).await;
    assert_eq!(after["version"], 2);
    assert_eq!(answers, vec![after.clone(); 8], "however often it is accepted, it is one version");
    // The key is the first instruction's, whatever version or words another one is for.
    for body in [json!({"instruction": INSTRUCTION, "version": 2}), json!({"instruction": "x", "version": 1})]
    {
        let request = owner.post(format!("{base}/edits")).header("idempotency-key", key).json(&body);
        is_refused(request.send().await.unwrap(), StatusCode::UNPROCESSABLE_ENTITY).await;
    }

    // Two proposals for one version: the second that is accepted is a conflict, and so is one for a version that is no more.
    is_refused(instruct(&owner, &service, &id, 1, INSTRUCTION).await, StatusCode::CONFLICT).await;
    let mut rivals = Vec::new();
    for words in ["Make it more impressive", "Shorten the summary"] {
        let given = ok(instruct(&owner, &service, &id, 2, words).await).await;
        rivals.push(format!("{base}/edits/{}", given["id"].as_str().unwrap()));
    }
    let inflated = done(&owner, rivals[0].clone()).await;
    assert_eq!(reasons(&inflated["not_done"]), ["number", "no_record"], "no instruction proves anything");
    done(&owner, rivals[1].clone()).await;
    ok(owner.post(format!("{}/accept", rivals[1])).send().await.unwrap()).await;
    let answer = owner.post(format!("{}/accept", rivals[0])).send().await.unwrap();
    is_refused(answer, StatusCode::CONFLICT).await;
    let last = done(&owner, base.clone()).await;
    assert_eq!(last["version"], 3);
    let again = ok(owner.post(format!("{edit}/accept")).send().await.unwrap()).await;
    assert_eq!(again, after, "sent again it is answered as it was");
    assert!(!last.to_string().contains("99%"));

    let unknown = ok(instruct(&owner, &service, &id, 3, "하나도 모르는 지시").await).await;
    let failed = done(&owner, format!("{base}/edits/{}", unknown["id"].as_str().unwrap())).await;
    assert_eq!(failed["state"], "failed");
    assert!(failed["failure"].as_str().unwrap().contains("no language model is configured"), "{failed}");
}

#[tokio::test]
async fn what_was_accepted_is_done_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let owner = client("하늘");
    let service = start(folder.path());
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(ask(&owner, &service, "ko").await);
    }
    service.signal("-KILL").unwrap();
    drop(service);

    let service = start(folder.path());
    for id in &asked {
        let resume = done(&owner, service.url(&format!("/resumes/{id}"))).await;
        assert_eq!((&resume["state"], &resume["version"]), (&json!("ready"), &json!(1)));
    }
    let given = ok(instruct(&owner, &service, &asked[0], 1, INSTRUCTION).await).await;
    service.signal("-KILL").unwrap();
    drop(service);

    let mut service = start(folder.path());
    let base = service.url(&format!("/resumes/{}", asked[0]));
    let edit = format!("{base}/edits/{}", given["id"].as_str().unwrap());
    assert_eq!(done(&owner, edit.clone()).await["state"], "proposed");
    ok(owner.post(format!("{edit}/accept")).send().await.unwrap()).await;
    service.signal("-KILL").unwrap();
    drop(service);

    service = start(folder.path());
    let resume = done(&owner, service.url(&format!("/resumes/{}", asked[0]))).await;
    assert_eq!(resume["version"], 2);
    // It also ends when it is asked to.
    service.signal("-TERM").unwrap();
    let status = desk::ended(&mut service).await;
    assert!(status.success(), "{status} {}", service.logs());
}

#[tokio::test]
async fn bad_requests_get_a_problem_that_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (service, owner) = (start(folder.path()), client("하늘"));
    let nobody = Client::new();
    for path in ["/resumes", "/resumes/x", "/notices", "/resumes/x/edits/y"] {
        is_refused(nobody.get(service.url(path)).send().await.unwrap(), StatusCode::UNAUTHORIZED).await;
    }
    let large = "가".repeat(20_000);
    for (body, status) in [
        (json!({"account": "a/b", "language": "ko"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"account": "", "language": "ko"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"account": ACCOUNT, "language": "fr"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"account": ACCOUNT, "language": "ko", "more": 1}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!([ACCOUNT, "ko"]), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"account": large, "language": "ko"}), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        is_refused(send(&owner, Method::POST, service.url("/resumes"), body).await, status).await;
    }
    let (id, _) = written(&owner, &service).await;
    for (body, status) in [
        (json!({"instruction": " ", "version": 1}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"instruction": "가".repeat(1_001), "version": 1}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"instruction": "a\u{0}b", "version": 1}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"instruction": "x"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"instruction": "x", "version": 9}), StatusCode::CONFLICT),
    ] {
        let url = service.url(&format!("/resumes/{id}/edits"));
        is_refused(send(&owner, Method::POST, url, body).await, status).await;
    }
    for (method, path, status) in [
        (Method::GET, "/nowhere", StatusCode::NOT_FOUND),
        (Method::PATCH, "/resumes", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/resumes?x=1", StatusCode::BAD_REQUEST),
        (Method::GET, "/notices?limit=0", StatusCode::BAD_REQUEST),
        (Method::GET, "/resumes/nothing", StatusCode::NOT_FOUND),
        (Method::GET, "/resumes/%ff/edits/x", StatusCode::BAD_REQUEST),
        (Method::GET, "/resumes/x/edits/%ff", StatusCode::BAD_REQUEST),
        (Method::POST, "/resumes/%ff/edits/%fe/accept", StatusCode::BAD_REQUEST),
        (Method::GET, "/shared", StatusCode::NOT_FOUND),
        (Method::POST, "/tokens", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let answer = owner.request(method, service.url(path)).send().await.unwrap();
        is_refused(answer, status).await;
    }
    let answer = send(&owner, Method::POST, service.url("/tokens"), json!({"name": "남"})).await;
    is_refused(answer, StatusCode::FORBIDDEN).await;
    // One key, two accounts.
    let keyed = |account: &str| {
        let body = json!({"account": account, "language": "ko"});
        owner.post(service.url("/resumes")).header("idempotency-key", "k").json(&body).send()
    };
    ok(keyed(ACCOUNT).await.unwrap()).await;
    is_refused(keyed("another").await.unwrap(), StatusCode::UNPROCESSABLE_ENTITY).await;
    // There is an end to how many one person may have.
    for _ in 0..18 {
        ask(&owner, &service, "ko").await;
    }
    let wanted = json!({"account": ACCOUNT, "language": "ko"});
    is_refused(send(&owner, Method::POST, service.url("/resumes"), wanted).await, StatusCode::CONFLICT).await;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/", "/app.js", "/style.css"] {
        assert_eq!(nobody.get(service.url(path)).send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
    let metrics = nobody.get(service.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for name in ["resume_claims_total", "pumasi_extractions_total"] {
        assert!(metrics.contains(name), "{name}");
    }
}
