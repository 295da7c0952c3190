//! Entries: written once for each request, and never sold after they are gone.

use super::*;

fn lecture(title: &str, places: u32) -> Value {
    json!({"kind": "lecture", "category": "backend", "lang": "ko", "title": title, "body": "본문", "places": places, "price_krw": 7_000})
}

#[tokio::test]
async fn only_the_request_that_writes_an_entry_says_how_many_places_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &["--partner", "well"]);
    let send = |body: Value| {
        let request = site.request(Method::POST, "/entries", Tutor).header("idempotency-key", "a");
        answered(request.json(&body))
    };
    let (status, entry) = send(lecture("강의", 2)).await;
    assert_eq!((status, &entry["places"]), (StatusCode::CREATED, &json!(2)), "{entry}");
    let path = format!("/entries/{}", entry["id"].as_str().unwrap());
    let (status, problem) = send(lecture("강의", 9)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert_eq!(site.get(&path, Nobody).await["places"], 2, "a request that was refused");
    assert_eq!(send(lecture("강의", 2)).await, (StatusCode::CREATED, entry));

    assert_eq!(site.ask(Method::DELETE, &path, Tutor, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(send(lecture("강의", 2)).await.0, StatusCode::NOT_FOUND, "it was taken back");

    // A day later the key is forgotten, and names another entry.
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("board.sqlite"));
    let pool = sqlx::SqlitePool::connect_with(file).await.unwrap();
    let forgotten = sqlx::query("DELETE FROM pumasi_idempotency").execute(&pool).await.unwrap();
    assert_eq!(forgotten.rows_affected(), 1);
    let (status, another) = send(lecture("다른 강의", 5)).await;
    assert_eq!((status, &another["free"]), (StatusCode::CREATED, &json!(5)), "{another}");
    let path = format!("/entries/{}", another["id"].as_str().unwrap());
    assert_eq!(site.get(&path, Nobody).await["title"], "다른 강의");

    // A process that died after it wrote an entry has made no places for it.
    sqlx::query("DELETE FROM pumasi_capacity_pool").execute(&pool).await.unwrap();
    assert_eq!(site.order(another["id"].as_str().unwrap(), "민수").await["status"], "completed");
    let seen = site.get(&path, Member("민수")).await;
    assert_eq!((&seen["free"], &seen["order"]), (&json!(4), &json!("completed")), "{seen}");
    assert_eq!(site.get(&path, Member("Jane")).await["order"], Value::Null);
    assert_eq!(site.get(&path, Nobody).await["order"], Value::Null);
}

#[tokio::test]
async fn an_entry_is_ordered_or_taken_back_and_never_both() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &["--partner", "well"]);
    for number in 0..60 {
        let entry = site.post("/entries", Tutor, lecture(&format!("강의 {number}"), 3)).await;
        let path = format!("/entries/{}", entry["id"].as_str().unwrap());
        let order = format!("{path}/order");
        let buyers = ["민수", "Jane", "지우"];
        let ordering =
            join_all(buyers.map(|buyer| site.ask(Method::POST, &order, Member(buyer), Some(json!({})))));
        let removing = async {
            tokio::time::sleep(Duration::from_micros(number * 50)).await;
            site.ask(Method::DELETE, &path, Tutor, None).await
        };
        let (orders, (removed, problem)) = tokio::join!(ordering, removing);
        let taken = orders.iter().filter(|(status, _)| *status == StatusCode::OK).count();
        assert!(orders.iter().all(|(status, _)| [StatusCode::OK, StatusCode::NOT_FOUND].contains(status)));
        let expected = if taken > 0 { StatusCode::CONFLICT } else { StatusCode::NO_CONTENT };
        assert_eq!(removed, expected, "{problem} {orders:?}");
    }
}
