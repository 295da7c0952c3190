//! What is refused.

use super::*;

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let id = town.add_post("민지", "여기", CITY_HALL).await;
    let warning = town.warning().await;
    let (lat, lon) = CITY_HALL;
    let post = |text: &str, lat: f64| Some(json!({"sky": "rain", "text": text, "lat": lat, "lon": lon}));
    let minji = Member("민지");
    let (get, put, add, delete) = (Method::GET, Method::PUT, Method::POST, Method::DELETE);
    let long = "가".repeat(501);
    for (method, path, who, body, status) in [
        (&get, "/posts".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=91&lon=0".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=NaN&lon=0".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=0&lon=0&radius_m=60000".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=0&lon=0&after=x".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=0&lon=0&limit=0".to_owned(), Nobody, None, 400),
        (&get, "/posts?lat=0&lon=0&what=1".to_owned(), Nobody, None, 400),
        (&get, "/posts/x".to_owned(), Nobody, None, 404),
        (&get, "/posts/99999999999999999999".to_owned(), Nobody, None, 404),
        (&get, "/posts/-1".to_owned(), Nobody, None, 404),
        (&add, "/posts".to_owned(), Nobody, post("비", lat), 401),
        (&add, "/posts".to_owned(), minji, post("", lat), 422),
        (&add, "/posts".to_owned(), minji, post(&long, lat), 422),
        (&add, "/posts".to_owned(), minji, post("\u{0}", lat), 422),
        (&add, "/posts".to_owned(), minji, post("비", 90.5), 422),
        (&add, "/posts".to_owned(), minji, Some(json!(["rain", "비", 1, 2])), 422),
        (&add, "/posts".to_owned(), minji, Some(json!({"sky": "x".repeat(20_000)})), 413),
        (&put, format!("/posts/{id}/reaction"), minji, Some(json!({"reaction": "love"})), 422),
        (&put, "/posts/77/reaction".to_owned(), minji, Some(json!({"reaction": "like"})), 404),
        (&add, "/posts/77/views".to_owned(), minji, None, 404),
        (&get, "/warnings?region=atlantis".to_owned(), Nobody, None, 400),
        (&get, "/warnings?after=x".to_owned(), Nobody, None, 400),
        (
            &add,
            "/warnings".to_owned(),
            Forecaster,
            Some(json!({"region": "seoul", "kind": "frogs", "text": "!"})),
            422,
        ),
        (&delete, format!("/warnings/{warning}"), minji, None, 403),
        (&get, format!("/warnings/{warning}/live"), Nobody, None, 426),
        (&get, "/warnings/77/live".to_owned(), Nobody, None, 404),
        (&get, format!("/warnings/{warning}/live?after=-1"), Nobody, None, 400),
        (&add, format!("/warnings/{warning}/messages"), Nobody, Some(json!({"id": "1", "text": "!"})), 401),
        (&add, format!("/warnings/{warning}/messages"), minji, Some(json!({"id": "", "text": "!"})), 422),
        (
            &add,
            "/missions".to_owned(),
            minji,
            Some(json!({"title": "t", "lat": 0, "lon": 0, "radius_m": 50})),
            403,
        ),
        (&add, "/drops".to_owned(), Forecaster, Some(json!({"title": "t", "places": 0})), 422),
        (&add, "/drops/77/coupon".to_owned(), minji, None, 404),
        (&add, "/about".to_owned(), minji, None, 405),
        (&get, "/nowhere".to_owned(), Nobody, None, 404),
        (&get, "/about?x=1".to_owned(), Nobody, None, 400),
    ] {
        let (answered, problem) = town.ask(method.clone(), &path, who, body).await;
        assert_eq!(answered.as_u16(), status, "{method} {path}: {problem}");
        assert_eq!(problem["status"], status, "{method} {path}");
    }
    let forged =
        town.client.get(town.service.url("/missions")).bearer_auth("e30.e30.x").send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::UNAUTHORIZED);
    // Nobody's words are in the log.
    town.post(&format!("/warnings/{warning}/messages"), minji, json!({"id": "s", "text": "비밀 이야기"}))
        .await;
    assert!(!town.service.logs().contains("비밀"), "{}", town.service.logs());
    let openapi = town.get("/openapi.json", Nobody).await;
    assert!(openapi["paths"]["/warnings/{id}/live"]["get"].is_object());
    let page = town.send(Method::GET, "/", Nobody, None, None).await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
}
