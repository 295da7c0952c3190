//! What is refused, and to whom.

use super::*;

#[tokio::test]
async fn nobody_acts_for_somebody_else_and_bad_requests_are_told_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    let line = |line: &str| Some(json!({"line": line}));
    let lecture = |places: i64| {
        let mut entry = post("강의");
        entry["kind"] = json!("lecture");
        entry["places"] = json!(places);
        Some(entry)
    };
    let bad_request = StatusCode::BAD_REQUEST;
    for (method, path, who, body, status) in [
        (Method::PUT, "/engines/primary", Nobody, line("refused"), StatusCode::UNAUTHORIZED),
        (Method::PUT, "/engines/primary", Member("민수"), line("refused"), StatusCode::FORBIDDEN),
        (Method::PUT, "/engines/primary", Operator, line("severed"), StatusCode::UNPROCESSABLE_ENTITY),
        (Method::PUT, "/engines/third", Operator, line("refused"), StatusCode::NOT_FOUND),
        (Method::PUT, "/partner", Tutor, Some(json!({"mood": "well"})), StatusCode::FORBIDDEN),
        (Method::POST, "/entries", Nobody, Some(post("글")), StatusCode::UNAUTHORIZED),
        (Method::POST, "/entries", Member("민수"), lecture(3), StatusCode::FORBIDDEN),
        (Method::POST, "/entries", Tutor, lecture(0), StatusCode::UNPROCESSABLE_ENTITY),
        (Method::POST, "/entries", Tutor, lecture(3), StatusCode::CREATED),
        (Method::POST, "/entries", Tutor, Some(post("\u{7}")), StatusCode::UNPROCESSABLE_ENTITY),
        (Method::POST, "/entries", Tutor, Some(json!([1])), StatusCode::UNPROCESSABLE_ENTITY),
        (Method::POST, "/entries/p01/order", Member("민수"), Some(json!({})), StatusCode::CONFLICT),
        (Method::POST, "/entries/none/order", Member("민수"), Some(json!({})), StatusCode::NOT_FOUND),
        (Method::POST, "/entries/l01/order", Nobody, Some(json!({})), StatusCode::UNAUTHORIZED),
        (Method::GET, "/entries/l01/order", Member("민수"), None, StatusCode::NOT_FOUND),
        (Method::GET, "/orders", Nobody, None, StatusCode::UNAUTHORIZED),
        (Method::GET, "/todos", Nobody, None, StatusCode::UNAUTHORIZED),
        (
            Method::POST,
            "/tokens",
            Nobody,
            Some(json!({"name": "a", "role": "operator"})),
            StatusCode::FORBIDDEN,
        ),
        (Method::GET, "/search?q=a&limit=0", Nobody, None, bad_request),
        (Method::GET, "/search?q=a&limit=many", Nobody, None, bad_request),
        (Method::GET, "/search?q=a&kind=song", Nobody, None, bad_request),
        (Method::GET, "/search?words=a", Nobody, None, bad_request),
        (Method::GET, "/search?after=abc", Nobody, None, bad_request),
        (Method::GET, "/engines?q=a", Nobody, None, bad_request),
        (Method::GET, "/nowhere", Nobody, None, StatusCode::NOT_FOUND),
        (Method::PATCH, "/search", Nobody, None, StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (told, value) = site.ask(method.clone(), path, who, body).await;
        assert_eq!(told, status, "{method} {path}: {value}");
    }
    let long = "가".repeat(501);
    let request = site.request(Method::GET, "/search", Nobody).query(&[("q", &long)]);
    assert_eq!(answered(request).await.0, bad_request);
    let large = json!({"text": "가".repeat(40_000)});
    let request = site.request(Method::PUT, "/todos/a", Tutor).header("if-none-match", "*").json(&large);
    assert_eq!(answered(request).await.0, StatusCode::PAYLOAD_TOO_LARGE);

    let send = |key: &'static str, title: &'static str| {
        let request = site.request(Method::POST, "/entries", Tutor).header("idempotency-key", key);
        answered(request.json(&post(title)))
    };
    let (first, again) = (send("a", "한 번").await, send("a", "한 번").await);
    assert_eq!((first.0, &first.1), (StatusCode::CREATED, &again.1));
    assert_eq!(send("a", "두 번").await.0, StatusCode::UNPROCESSABLE_ENTITY);

    let document = site.get("/openapi.json", Nobody).await;
    for path in [
        "/search",
        "/engines",
        "/engines/{engine}",
        "/entries/{id}/order",
        "/orders/{id}/decisions",
        "/todos/{id}",
        "/metrics",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    let page = site.client.get(site.service.url("/")).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    assert!(!site.service.logs().contains("두 번"), "what people write is in no log");

    drop(site);
    let site = Site::start(folder.path(), &["--requests-per-second", "1"]);
    let asked = (0..200).map(|_| site.ask(Method::GET, "/engines", Member("빠른 사람"), None));
    let statuses = join_all(asked).await;
    assert!(statuses.iter().any(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS), "a limit");
}
