//! Bad requests.

use super::*;

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    let at = |began_at: &str, metres: i64, seconds: i64| {
        Some(json!({"began_at": began_at, "distance_m": metres, "time_s": seconds}))
    };
    let now: Timestamp = SystemTime::now().into();
    let (post, get, put) = (Method::POST, Method::GET, Method::PUT);
    let with = |name: &str, value: Value| {
        let mut body = run(10_000, 3_000);
        body[name] = value;
        Some(body)
    };
    for (method, path, who, body, status) in [
        (&post, "/runs", Nobody, Some(run(10_000, 3_000)), 401),
        (&post, "/runs", Runner("a"), Some(run(10_000, 1_000)), 422),
        (&post, "/runs", Runner("a"), Some(run(50, 60)), 422),
        (&post, "/runs", Runner("a"), at("2031-01-01T00:00:00Z", 5_000, 1_500), 422),
        (&post, "/runs", Runner("a"), at(&now.to_string(), 10_000, 3_000), 422),
        (&post, "/runs", Runner("a"), at("1999-01-01T00:00:00Z", 5_000, 1_500), 422),
        (&post, "/runs", Runner("a"), at("어제", 5_000, 1_500), 422),
        (&post, "/runs", Runner("a"), with("runner", json!("b")), 422),
        (&post, "/runs", Runner("a"), with("distance_m", json!(1e40)), 422),
        (&post, "/runs", Runner("a"), Some(json!([])), 422),
        (&post, "/crews", Runner("a"), Some(json!({"name": " "})), 422),
        (&post, "/crews", Runner("a"), Some(json!({"name": "a\nb"})), 422),
        (&post, "/crews", Runner("a"), Some(json!({"name": "가".repeat(51)})), 422),
        (&put, "/me/crew", Nobody, Some(json!({"crew": "a"})), 401),
        (&get, "/me", Nobody, None, 401),
        (&get, "/runs", Nobody, None, 401),
        (&get, "/runs?after=x", Runner("a"), None, 400),
        (&get, "/runs?after=1,%00", Runner("a"), None, 400),
        (&get, "/crews?after=%00", Nobody, None, 400),
        (&get, "/news?after=x", Nobody, None, 400),
        (&get, "/news?after=1,first_run,%00", Nobody, None, 400),
        (&get, "/news?after=1,first_run", Nobody, None, 400),
        (&get, "/recaps?after=x", Runner("a"), None, 400),
        (&get, "/jobs?after=x", Organiser, None, 400),
        (&get, "/runs?limit=0", Runner("a"), None, 400),
        (&get, "/runs?whose=b", Runner("a"), None, 400),
        (&get, "/boards/runners.luck", Nobody, None, 404),
        (&get, "/boards/runners.distance?span=year", Nobody, None, 400),
        (&get, "/boards/runners.distance?on=yesterday", Nobody, None, 400),
        (&get, "/boards/runners.distance?on=9999-12-31", Nobody, None, 400),
        (&get, "/boards/runners.distance?after=-1", Nobody, None, 400),
        (&get, "/boards/runners.distance?after=%00", Nobody, None, 400),
        (&get, "/boards/runners.distance/mine?neighbours=51", Runner("a"), None, 400),
        (&get, "/boards/runners.distance/mine", Nobody, None, 401),
        (&post, "/recaps", Organiser, Some(json!({"span": "year"})), 422),
        (&post, "/tokens", Nobody, Some(json!({"name": "a", "role": "organiser"})), 403),
        (&put, "/runs", Runner("a"), Some(json!({})), 405),
        (&get, "/nowhere", Nobody, None, 404),
    ] {
        let (found, problem) = club.ask(method.clone(), path, who, body).await;
        assert_eq!(found.as_u16(), status, "{method} {path}: {problem}");
        assert!(problem["hint"].is_string() && problem["detail"].is_string(), "{method} {path}: {problem}");
    }
    let large = json!({"name": "a".repeat(20_000)});
    assert_eq!(
        club.ask(Method::POST, "/crews", Runner("a"), Some(large)).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let forged = Keys::new("another key, of more than 32 bytes, too", "running_club").unwrap();
    let forged = forged.issue("운영진", "organiser", Duration::from_mins(1)).unwrap();
    let answer = club.client.get(club.service.url("/jobs")).bearer_auth(forged).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let key = club.send(Method::POST, "/runs", Runner("a"), Some("\u{7f}"), Some(run(5_000, 1_500))).await;
    assert!(key.is_err() || key.unwrap().status() == StatusCode::BAD_REQUEST);

    let page = club.client.get(club.service.url("/")).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    let openapi = club.get("/openapi.json", Nobody).await;
    assert!(openapi["paths"]["/boards/{board}/mine"]["get"]["responses"]["404"].is_object());
}
