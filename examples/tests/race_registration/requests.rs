//! What is refused, and to whom.

use support::auth::Keys;

use super::*;

#[tokio::test]
async fn who_has_no_right_and_what_makes_no_sense_get_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race = desk.race("first_come", 1).await;
    let path = format!("/races/{race}/registration");
    let runner = Runner("민수");
    let body = |text: &str| Some(serde_json::from_str::<Value>(text).unwrap());
    let new_race = r#"{"name": "서울마라톤", "kind": "first_come", "places": 1, "price_krw": 1}"#;
    for (method, path, who, body, status) in [
        (Method::POST, path.as_str(), Nobody, body("{}"), StatusCode::UNAUTHORIZED),
        (Method::GET, &path, Nobody, None, StatusCode::UNAUTHORIZED),
        (Method::GET, "/registrations", Nobody, None, StatusCode::UNAUTHORIZED),
        (Method::GET, "/registrations/events", Nobody, None, StatusCode::UNAUTHORIZED),
        (Method::GET, "/registrations", runner, None, StatusCode::FORBIDDEN),
        (Method::GET, "/registrations/none", runner, None, StatusCode::FORBIDDEN),
        (Method::POST, "/races", runner, body(new_race), StatusCode::FORBIDDEN),
        (Method::POST, "/races", Nobody, body(new_race), StatusCode::UNAUTHORIZED),
        (
            Method::POST,
            "/tokens",
            Nobody,
            body(r#"{"name": "x", "role": "organiser"}"#),
            StatusCode::FORBIDDEN,
        ),
        (Method::GET, "/registrations/none", Organiser, None, StatusCode::NOT_FOUND),
        (Method::GET, "/races/none", Nobody, None, StatusCode::NOT_FOUND),
        (Method::POST, "/races/none/registration", runner, body("{}"), StatusCode::NOT_FOUND),
        (Method::GET, "/nowhere", Nobody, None, StatusCode::NOT_FOUND),
        (Method::PATCH, "/races", Nobody, None, StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, &path, runner, body("[]"), StatusCode::UNPROCESSABLE_ENTITY),
        (
            Method::POST,
            &path,
            runner,
            body(r#"{"answer": "payment_completed", "value": {}}"#),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (Method::POST, &path, runner, body(r#"{"answer": "agree_terms"}"#), StatusCode::UNPROCESSABLE_ENTITY),
        (
            Method::POST,
            &path,
            runner,
            body(r#"{"answer": "agree_terms", "value": {"agreed": "yes"}}"#),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (Method::POST, &path, runner, body(r#"{"anser": "agree_terms"}"#), StatusCode::UNPROCESSABLE_ENTITY),
        (Method::POST, &path, runner, body(r#"{"again": true}"#), StatusCode::NOT_FOUND),
        (
            Method::POST,
            "/races",
            Organiser,
            body(r#"{"name": " ", "kind": "lottery", "places": 1, "price_krw": 1}"#),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            Method::POST,
            "/races",
            Organiser,
            body(r#"{"name": "x", "kind": "lottery", "places": 0, "price_krw": 1}"#),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            Method::POST,
            "/races",
            Organiser,
            body(r#"{"name": "x", "kind": "auction", "places": 1, "price_krw": 1}"#),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (Method::POST, &format!("/races/{race}/draw"), Organiser, None, StatusCode::CONFLICT),
        (Method::GET, "/registrations?status=odd", Organiser, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/registrations?limit=0", Organiser, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/registrations?after=x", Organiser, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/registrations?after=%00", Organiser, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/races?after=%00", Nobody, None, StatusCode::BAD_REQUEST),
        (Method::GET, &format!("/races/{race}/barred?after=%00"), Organiser, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/registrations?color=red", Organiser, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/about?x=1", Nobody, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/races/%ff", Nobody, None, StatusCode::BAD_REQUEST),
    ] {
        let (got, problem) = desk.ask(method.clone(), path, who, body.clone()).await;
        assert_eq!(got, status, "{method} {path} {body:?}: {problem}");
        assert!(problem["detail"].is_string(), "{method} {path}: {problem}");
    }

    let client = &desk.client;
    let raw = |body: String| {
        client.post(desk.service.url(&path)).header("content-type", "application/json").body(body)
    };
    let token = desk::token("race_registration", "민수", "runner");
    for (body, status) in [
        ("{".to_owned(), StatusCode::BAD_REQUEST),
        ("x".repeat(64 * 1024 + 1), StatusCode::PAYLOAD_TOO_LARGE),
        ("x".repeat(800_000), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(raw(body).bearer_auth(&token).send().await.unwrap().status(), status);
    }
    let forged = Keys::new("another key, of more than 32 bytes too", "race_registration").unwrap();
    let forged = forged.issue("민수", "organiser", Duration::from_mins(1)).unwrap();
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", token.split('.').nth(1).unwrap());
    for bad in [forged.as_str(), &unsigned, "x", ""] {
        let answer = raw("{}".to_owned()).bearer_auth(bad).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{bad}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }

    // webhooks
    let body = json!({"type": "payment.completed", "payment": "none", "amount_krw": 1}).to_string();
    let (secret, other) = (Secret::new(SECRET).unwrap(), Secret::new("another secret of 24 bytes").unwrap());
    let other_type = r#"{"type": "refund.created", "payment": {"id": 7}}"#;
    let no_payment = r#"{"type": "payment.completed"}"#;
    for (headers, body, status) in [
        (HeaderMap::new(), body.clone(), StatusCode::UNAUTHORIZED),
        (other.sign("e", now(), body.as_bytes()), body.clone(), StatusCode::UNAUTHORIZED),
        (secret.sign("e", now() - 600, body.as_bytes()), body.clone(), StatusCode::UNAUTHORIZED),
        (secret.sign("e", now(), body.as_bytes()), body.clone() + " ", StatusCode::UNAUTHORIZED),
        (secret.sign("e", now(), body.as_bytes()), body, StatusCode::NOT_FOUND),
        (secret.sign("e", now(), b"{}"), "{}".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        (secret.sign("e", now(), other_type.as_bytes()), other_type.to_owned(), StatusCode::OK),
        (
            secret.sign("e", now(), no_payment.as_bytes()),
            no_payment.to_owned(),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        assert_eq!(desk.webhook(headers, body).await.unwrap().status(), status);
    }

    let document = desk.get("/openapi.json", Nobody).await;
    assert!(document["paths"]["/races/{id}/registration"]["post"]["security"][0]["bearer"].is_array());
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    for path in ["/", "/app.js", "/style.css", "/base.css", "/healthz", "/readyz", "/metrics"] {
        assert_eq!(
            client.get(desk.service.url(path)).send().await.unwrap().status(),
            StatusCode::OK,
            "{path}"
        );
    }
    // no secret and nobody's name in the logs
    let logs = desk.service.logs();
    assert!(
        !logs.contains(KEY) && !logs.contains(SECRET) && !logs.contains(&token) && !logs.contains("민수"),
        "{logs}"
    );
}

/// What is answered, and in which language.
async fn in_korean(
    desk: &Races,
    method: Method,
    path: &str,
    who: Who,
    body: Option<Value>,
) -> (Value, String) {
    let request = desk.request(method, path, who).header("accept-language", "ko-KR,ko;q=0.9,en;q=0.8");
    let answer = body.into_iter().fold(request, |request, body| request.json(&body)).send().await.unwrap();
    let headers = answer.headers().clone();
    assert_eq!(headers["content-language"], "ko");
    assert_eq!(headers["vary"], "accept-language");
    let text = answer.text().await.unwrap();
    (serde_json::from_str(&text).unwrap(), text)
}

#[tokio::test]
async fn who_reads_korean_is_told_in_korean_and_codes_stay() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race = desk.race("first_come", 1).await;
    let path = format!("/races/{race}/registration");

    let (problem, _) = in_korean(&desk, Method::GET, "/races/none", Nobody, None).await;
    assert_eq!(
        (&problem["kind"], &problem["detail"]),
        (&json!("not_found"), &json!("찾으시는 대회가 없습니다"))
    );
    let early = Some(json!({"answer": "choose_souvenir", "value": {"souvenir": "모자"}}));
    let (problem, _) = in_korean(&desk, Method::POST, &path, Runner("민수"), early).await;
    assert_eq!(problem["detail"], "기념품 고르기는 지금 차례가 아닙니다. 지금은 약관 동의 차례입니다");
    let wrong = Some(json!({"answer": "agree_terms", "value": {"agreed": "yes"}}));
    desk.post(&path, Runner("민수"), json!({})).await;
    let (problem, said) = in_korean(&desk, Method::POST, &path, Runner("민수"), wrong).await;
    assert_eq!(problem["status"], 422, "{said}");

    desk.answer_all(&race, "민수", None).await;
    desk.until(&race, "민수", "waiting").await;
    let (view, _) = in_korean(&desk, Method::GET, &path, Runner("민수"), None).await;
    assert_eq!((&view["next"], &view["next_title"]), (&json!("payment_completed"), &json!("결제 완료")));
    let place = view["steps"].as_array().unwrap().iter().find(|step| step["name"] == "hold_place").unwrap();
    assert_eq!(place["title"], "자리 잡기");

    let id = view["id"].as_str().unwrap();
    let (detail, _) = in_korean(&desk, Method::GET, &format!("/registrations/{id}"), Organiser, None).await;
    let drawn = |detail: &Value, name: &str| {
        let of = |kind: &str| detail[kind].as_str().unwrap().contains(name);
        (of("svg"), of("mermaid"))
    };
    assert_eq!(drawn(&detail, "자리 잡기"), (true, true), "{detail}");
    assert_eq!(drawn(&detail, "hold_place"), (false, false), "{detail}");
    let english = desk.get(&format!("/registrations/{id}"), Organiser).await;
    assert_eq!(drawn(&english, "Place held"), (true, true), "{english}");

    // who is too late is told why
    desk.answer_all(&race, "Jane", None).await;
    desk.until(&race, "Jane", "compensated").await;
    let (late, _) = in_korean(&desk, Method::GET, &path, Runner("Jane"), None).await;
    assert_eq!((&late["status"], &late["reason"]), (&json!("compensated"), &json!("자리가 없습니다")));
    assert_eq!(desk.get(&path, Runner("Jane")).await["reason"], "the race is full");
    let (rows, _) = in_korean(&desk, Method::GET, "/registrations?status=compensated", Organiser, None).await;
    assert_eq!(rows[0]["reason"], "자리가 없습니다");
    assert_eq!((&rows[0]["race_name"], &rows[0]["runner"]), (&json!("서울마라톤"), &json!("Jane")));
}

#[tokio::test]
async fn what_is_longer_than_it_need_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let long = format!("/races?after={}", "x".repeat(20_000));
    let (status, problem) = desk.ask(Method::GET, &long, Nobody, None).await;
    assert_eq!((status, &problem["kind"]), (StatusCode::URI_TOO_LONG, &json!("too_large")));
    let large = desk.request(Method::GET, "/races", Nobody).header("x-large", "x".repeat(70_000));
    assert_eq!(desk::answered(large).await.0, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let many = (0..150).fold(desk.request(Method::GET, "/races", Nobody), |request, number| {
        request.header(format!("x-{number}"), "x")
    });
    assert_eq!(desk::answered(many).await.0, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[test]
fn origins_that_are_none_are_told_before_anything_begins() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for service in ["race_registration", "every_task", "slack_bot", "running_coach"] {
        let mut command = Command::new(support::child::example(service).unwrap());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        command.env(support::serve::ORIGINS, "https://example.org, example.org/page");
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1) && told.contains("`example.org/page` is no origin"),
            "{told}"
        );
        assert!(!data.exists() && !told.contains("listening"), "{service} had begun: {told}");
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back_and_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &["--requests-per-second", "1"]);
    let asked = (0..60).map(|_| desk.send(Method::GET, "/races", Runner("민수"), None, None));
    let answers = futures_util::future::join_all(asked).await;
    let limited = answers
        .into_iter()
        .map(Result::unwrap)
        .filter(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS)
        .inspect(|answer| assert_eq!(answer.headers()["retry-after"], "1"))
        .count();
    assert!(limited > 0, "60 requests at once pass a limit of 1 a second");
    assert_eq!(desk.ask(Method::GET, "/races", Runner("Jane"), None).await.0, StatusCode::OK);
}

#[test]
fn a_token_is_printed_where_the_key_is_known() {
    let run = |key: Option<&str>| {
        let mut command = Command::new(support::child::example("race_registration").unwrap());
        command.args(["token", "--role", "organiser", "지영"]).env_remove("PUMASI_TOKEN_KEY");
        let output = key
            .into_iter()
            .fold(&mut command, |command, key| command.env("PUMASI_TOKEN_KEY", key))
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (status, token, _) = run(Some(KEY));
    assert_eq!((status, token.trim().split('.').count()), (Some(0), 3));
    let (status, _, told) = run(None);
    assert!(status == Some(1) && told.contains("is not set"), "{told}");
    let (status, _, told) = run(Some("short"));
    assert!(status == Some(1) && told.contains("at least 32 bytes"), "{told}");
}
