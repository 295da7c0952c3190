//! Posts and their tasks: written, listed, edited, followed, refused.

use super::*;

#[tokio::test]
async fn without_a_model_a_failure_can_be_had_listed_and_retried() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let service = start(folder.path());
    let word = get(&client, &service.url("/about")).await["rehearsal"].as_str().unwrap().to_owned();
    let failing = json!({"kind": "question", "title": word, "body": "책 3권을 읽고 싶습니다."});
    let answer = client.post(service.url("/posts")).json(&failing).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let posts = settled(&client, &service).await;
    let failure = &posts[0]["failure"];
    assert_eq!((&posts[0]["state"], &failure["reason"]), (&json!("failed"), &json!("off_schema")));
    assert_eq!((&failure["attempts"], &failure["retry"]), (&json!(5), &json!("now")));
    let listed = get(&client, &service.url("/posts?state=failed")).await;
    assert_eq!(listed, json!(posts));

    let in_korean = client.get(service.url("/posts?state=failed")).header("accept-language", "ko");
    let in_korean: Value = in_korean.send().await.unwrap().json().await.unwrap();
    assert_eq!(in_korean[0]["failure"]["message"], "글에 적힌 대로 실패를 연습했습니다");
    assert_eq!(failure["message"], "rehearsed, as the post asks");
    assert_eq!(in_korean[0]["failure"]["reason"], "off_schema");

    let id = posts[0]["id"].as_str().unwrap();
    let retried = client.post(service.url(&format!("/posts/{id}/retry"))).send().await.unwrap();
    assert_eq!(retried.status(), StatusCode::ACCEPTED);
    let deadline = Instant::now() + Duration::from_mins(1);
    let view = loop {
        let view = get(&client, &service.url(&format!("/posts/{id}"))).await;
        if view["state"] == "extracted" {
            break view;
        }
        assert!(Instant::now() < deadline, "the retry was lost: {view}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((view["tasks"].as_array().unwrap().len(), &view["failure"]), (1, &Value::Null));
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
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY, "another text under the same key");
    let problem: Value = other.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("used for another request"), "{problem}");
    assert_eq!(send("other", 1).await.status(), StatusCode::ACCEPTED);
    assert_eq!(send("", 1).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!((ids.len(), settled(&client, &service).await.len()), (1, 2));
    // Whatever becomes of it, the same request is answered as it was.
    let mine = service.url(&format!("/posts/{}", ids.iter().next().unwrap().trim_matches('"')));
    let change = [client.put(&mine).json(&post(3)), client.delete(&mine)];
    for change in change {
        assert_eq!(change.send().await.unwrap().status(), StatusCode::ACCEPTED);
        let again = send("mine", 1).await;
        assert_eq!(again.status(), StatusCode::ACCEPTED);
        let again: Value = again.json().await.unwrap();
        assert!(ids.contains(&again["id"].to_string()) && again["version"] == 1, "{again}");
        assert_eq!(send("mine", 2).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
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
        (Method::GET, "/tasks?after=1,2", StatusCode::BAD_REQUEST),
        (Method::GET, "/posts?after=nowhere", StatusCode::BAD_REQUEST),
        (Method::GET, "/posts?after=1,%00", StatusCode::BAD_REQUEST),
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
        let (sizes, rows) = desk::pages(&client, &service, path).await;
        assert!(sizes.iter().all(|size| *size > 0), "an empty page: {path}");
        let mut seen: Vec<String> = rows.iter().map(Value::to_string).collect();
        assert_eq!(seen.len(), all, "{path}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all, "{path} shows a row twice");
    }
}

#[tokio::test]
async fn the_newest_posts_stand_first_and_stay_where_they_are_while_others_come() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let service = start(folder.path());
    let mut posted: Vec<String> = Vec::new();
    let send = async |number: usize| {
        let answer = client.post(service.url("/posts")).json(&post(number)).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    };
    for number in 0..7 {
        posted.insert(0, send(number).await);
    }
    let ids = |rows: &[Value], name: &str| -> Vec<String> {
        rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
    };
    let (sizes, rows) = desk::pages(&client, &service, "/posts?limit=3").await;
    assert_eq!((sizes, ids(&rows, "id")), (vec![3, 3, 1], posted.clone()));

    // The oldest is edited and one more comes between two pages: neither moves what was not seen yet.
    let first = client.get(service.url("/posts?limit=3")).send().await.unwrap();
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let edit =
        client.put(service.url(&format!("/posts/{}", posted[6]))).json(&post(60)).send().await.unwrap();
    assert_eq!(edit.status(), StatusCode::ACCEPTED);
    let newest = send(7).await;
    let (_, rows) = desk::pages(&client, &service, next).await;
    assert_eq!(ids(&rows, "id"), posted[3..]);
    let now = settled(&client, &service).await;
    assert_eq!((&now[0]["id"], now.len()), (&json!(newest), 8));
    let (_, rows) = desk::pages(&client, &service, "/tasks?limit=2").await;
    posted.insert(0, newest);
    assert_eq!(ids(&rows, "post_id"), posted, "tasks are those of the newest post first");
}

#[tokio::test]
async fn processes_that_share_the_posts_each_tell_all_news_and_one_that_stops_takes_none_along() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let one = start(folder.path());
    let mut other = start(folder.path());
    let mut posted = 0;
    let mut all_are_told = async |services: &[&Running]| {
        let mut listening = Vec::new();
        for service in services {
            listening.push(client.get(service.url("/events")).send().await.unwrap());
        }
        let mut wanted = Vec::new();
        for _ in 0..5 {
            posted += 1;
            let sent = client.post(services[0].url("/posts")).json(&post(posted)).send().await.unwrap();
            wanted.push(sent.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
        }
        for news in &mut listening {
            let mut told = String::new();
            let extracted = |told: &str, id: &String| {
                told.split("\n\n")
                    .any(|event| event.contains(id.as_str()) && event.contains("event: extracted"))
            };
            let deadline = Instant::now() + Duration::from_secs(30);
            while !wanted.iter().all(|id| extracted(&told, id)) {
                let left = deadline.saturating_duration_since(Instant::now());
                let chunk = tokio::time::timeout(left, news.chunk()).await;
                let chunk = chunk.unwrap_or_else(|_| panic!("some news are missing: {told}"));
                told.push_str(&String::from_utf8_lossy(&chunk.unwrap().unwrap()));
            }
        }
    };
    all_are_told(&[&one, &other]).await;
    other.signal("-TERM").unwrap();
    assert!(desk::ended(&mut other).await.success());
    all_are_told(&[&one]).await;

    // What was asked is measured by route and status, and by nothing that a client makes up.
    client.get(one.url("/posts/nobody-has-this-id")).send().await.unwrap();
    client.get(one.url("/nowhere-at-all")).send().await.unwrap();
    let measured = client.get(one.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        r#"http_server_request_duration_seconds_count{method="GET",route="/posts/{id}",status="404"} 1"#,
        r#"http_server_request_duration_seconds_count{method="GET",route="unknown",status="404"} 1"#,
    ] {
        assert!(measured.contains(line), "{line} in {measured}");
    }
    assert!(!measured.contains("nobody-has") && !measured.contains("nowhere"), "{measured}");
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
    let service = start_with(folder.path(), &["--budget-tokens", "15000"], |command| {
        command.envs(environment);
    });
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

#[tokio::test]
async fn who_matches_as_often_as_one_may_is_told_to_come_back() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let service = start(folder.path());
    for kind in ["story", "question"] {
        let post = json!({"kind": kind, "body": "단어를 매일 50개씩 외웠어요. 발음도 고쳤습니다."});
        let answer = client.post(service.url("/posts")).json(&post).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
    let posts = settled(&client, &service).await;
    let question = posts.iter().find(|post| post["kind"] == "question").unwrap()["id"].as_str().unwrap();
    let (stranger, url) = (Client::new(), service.url(&format!("/posts/{question}/matches")));
    let deadline = Instant::now() + Duration::from_mins(1);
    let refused = loop {
        let asked = (0..50).map(|_| stranger.get(&url).header("accept-language", "ko").send());
        let answers = futures_util::future::try_join_all(asked).await.unwrap();
        let (good, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status() == StatusCode::OK);
        assert!(!good.is_empty());
        if let Some(refused) = refused.into_iter().next() {
            break refused;
        }
        assert!(Instant::now() < deadline, "nobody was refused");
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "2");
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["hint"].as_str().unwrap().contains("할 일을 견주는"), "{problem}");
    get(&client, &url).await;
}
