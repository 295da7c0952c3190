//! Places: none is sold twice, and a kill loses none.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::*;

#[tokio::test]
async fn no_place_is_sold_twice_and_one_whose_payment_fails_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &["--partner", "declines"]);
    let order = site.order(LECTURE, "민수").await;
    assert_eq!(
        (&order["status"], &order["reason"]),
        (&json!("compensated"), &json!("the card was declined"))
    );
    assert_eq!((order["charged_krw"].clone(), site.free(LECTURE).await), (Value::Null, 2));

    // What was undone keeps nobody from taking an entry out, and what begins anew does.
    let entry = json!({"kind": "lecture", "category": "backend", "lang": "ko", "title": "강의", "body": "본문", "places": 1, "price_krw": 7_000});
    let entries =
        [site.post("/entries", Tutor, entry.clone()).await, site.post("/entries", Tutor, entry).await];
    for entry in &entries {
        let order = site.order(entry["id"].as_str().unwrap(), "민수").await;
        assert_eq!(order["status"], "compensated", "{order}");
    }
    let [undone, anew] = entries.map(|entry| format!("/entries/{}", entry["id"].as_str().unwrap()));
    assert_eq!(site.ask(Method::DELETE, &undone, Tutor, None).await.0, StatusCode::NO_CONTENT);
    let again = format!("{anew}/order");
    site.partner("well").await;
    let order = site.ask(Method::POST, &again, Member("민수"), Some(json!({"again": true}))).await.1;
    assert_eq!(order["status"], "completed", "{order}");
    assert_eq!(site.ask(Method::DELETE, &anew, Tutor, None).await.0, StatusCode::CONFLICT);

    site.partner("forgets").await;
    let order = site.order(LECTURE, "Jane").await;
    assert_eq!((&order["status"], &order["charged_krw"]), (&json!("completed"), &json!(49_000)), "{order}");
    assert_eq!(site.order(LECTURE, "Jane").await, order, "ordered again");

    site.partner("away").await;
    let (going_back, ()) = tokio::join!(site.order(LECTURE, "지우"), async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while site.free(LECTURE).await > 0 {
            assert!(Instant::now() < deadline, "the place is not held meanwhile");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_ne!(going_back["status"], "completed");
    site.partner("well").await;
    let order = site.ended(LECTURE, "지우").await;
    assert!(order["status"] == "compensated" || order["charged_krw"] == 49_000, "{order}");
    let taken = 1 + u64::from(order["status"] == "completed");
    assert_eq!(site.free(LECTURE).await, 2 - taken);

    let buyers: Vec<String> = (0..8).map(|number| format!("buyer {number}")).collect();
    join_all(buyers.iter().map(|buyer| site.order(LECTURE, buyer))).await;
    let orders = join_all(buyers.iter().map(|buyer| site.ended(LECTURE, buyer))).await;
    let completed = orders.iter().filter(|order| order["status"] == "completed").count() as u64;
    assert_eq!((completed, site.free(LECTURE).await), (2 - taken, 0));
    assert!(
        orders.iter().all(|order| order["status"] == "completed" || order["reason"] == "no place is left")
    );

    let all = site.get("/orders", Operator).await;
    assert_eq!(all.as_array().unwrap().len(), 13);
    let mine = site.get("/orders", Member("민수")).await;
    assert_eq!((mine.as_array().unwrap().len(), &mine[0]["person"]), (3, &json!("민수")));
    let again =
        site.request(Method::POST, "/entries/l01/order", Member("민수")).json(&json!({"again": true}));
    assert_eq!(answered(again).await.0, StatusCode::NOT_FOUND);
    let path = format!("/entries/{LECTURE}/order");
    let (status, order) = site.ask(Method::POST, &path, Member("민수"), Some(json!({"again": true}))).await;
    assert_eq!((status, &order["reason"]), (StatusCode::OK, &json!("no place is left")), "{order}");
    assert_eq!(site.ask(Method::DELETE, &path, Member("Jane"), None).await.0, StatusCode::CONFLICT);
    let path = format!("/entries/{LECTURE}");
    assert_eq!(site.ask(Method::DELETE, &path, Operator, None).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    // No payment ends before the kill.
    let mut site = Site::start(folder.path(), &["--partner-delay-ms", "60000"]);
    site.write(Member("민수"), "one", "남는다", None).await;
    let (_, entry) = site.ask(Method::POST, "/entries", Member("민수"), Some(post("죽어도 남는 글"))).await;
    let names: Vec<String> = (0..5).map(|number| format!("buyer {number}")).collect();
    for name in &names {
        let request = site.request(Method::POST, "/entries/l01/order", Member(name)).json(&json!({}));
        tokio::spawn(request.send());
    }
    let is_paid_for = |order: &Value| order["steps"][1]["look"] == "active";
    let deadline = Instant::now() + Duration::from_mins(1);
    while site
        .get("/orders", Operator)
        .await
        .as_array()
        .unwrap()
        .iter()
        .filter(|order| is_paid_for(order))
        .count()
        < 5
    {
        assert!(Instant::now() < deadline, "no order got as far as its payment");
    }
    site.service.signal("-KILL").unwrap();
    site = Site::start(folder.path(), &["--partner", "moody"]);
    assert_eq!(site.get("/todos/one", Member("민수")).await["version"], 1);
    let id = entry["id"].as_str().unwrap().to_owned();
    site.search_until("죽어도 남는 글", |found| {
        found["served"] == "fresh" && ids(found).first() == Some(&id)
    })
    .await;
    let mut completed = 0;
    for name in &names {
        let order = site.ended("l01", name).await;
        let is_completed = order["status"] == "completed";
        completed += u64::from(is_completed);
        assert!(is_completed || order["charged_krw"].is_null() || order["refunded"] == true, "{order}");
    }
    // Of five places each is somebody's who paid, or free.
    assert_eq!(site.free("l01").await, 5 - completed);
}

#[tokio::test]
async fn a_page_of_orders_costs_as_many_questions_as_one_order_and_the_newest_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site(Desk::start("dev_search", folder.path(), &["--partner", "well"], |command| {
        command.env("RUST_LOG", "info,sqlx::query=debug");
    }));
    let names: Vec<String> = (0..12).map(|number| format!("buyer {number:02}")).collect();
    for (number, name) in names.iter().enumerate() {
        // Each in its turn, so that their order is known.
        site.order(if number < 5 { "l01" } else { LECTURE }, name).await;
    }
    for (number, name) in names.iter().enumerate() {
        site.ended(if number < 5 { "l01" } else { LECTURE }, name).await;
    }
    let asked = |of: &str| site.service.logs().lines().filter(|line| line.contains(of)).count();
    // What the service has written is read by another thread: all of it, once the question after it is there.
    let read = async || {
        let (todos, deadline) = (asked("FROM todos"), Instant::now() + Duration::from_mins(1));
        site.get("/todos", Member("민수")).await;
        while asked("FROM todos") == todos {
            assert!(Instant::now() < deadline, "its questions are not in its logs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let count = async |limit: usize| {
        read().await;
        let before = (asked("FROM orders"), asked("FROM charges"));
        let page = site.get(&format!("/orders?limit={limit}"), Operator).await;
        assert_eq!(page.as_array().unwrap().len(), limit);
        read().await;
        (asked("FROM orders") - before.0, asked("FROM charges") - before.1)
    };
    let (one, ten) = (count(1).await, count(10).await);
    assert!(one.0 > 0 && one == ten, "one order: {one:?} questions, ten: {ten:?}");

    let mut path = Some("/orders?limit=5".to_owned());
    let mut found = Vec::new();
    while let Some(page) = path.take() {
        let answer = site.send(Method::GET, &page, Operator, None, None).await.unwrap();
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        path = link.map(|link| link.trim_start_matches('<').split('>').next().unwrap().to_owned());
        let rows: Vec<Value> = answer.json().await.unwrap();
        assert!(rows.iter().all(|row| row["status"] == "completed" || row["reason"] == "no place is left"));
        found.extend(rows.iter().map(|row| row["person"].as_str().unwrap().to_owned()));
    }
    assert!(found.iter().eq(names.iter().rev()), "{found:?}");

    // People are told of orders, whatever drives them.
    let path = format!("/entries/{LECTURE}/order");
    for (method, path, body, status) in [
        (Method::DELETE, "/entries/l01/order", None, StatusCode::CONFLICT),
        (Method::POST, "/entries/l01/order", Some(json!({"again": true})), StatusCode::CONFLICT),
        (Method::DELETE, path.as_str(), None, StatusCode::NOT_FOUND),
        (Method::POST, path.as_str(), Some(json!({"again": true})), StatusCode::NOT_FOUND),
    ] {
        let (told, problem) = site.ask(method, path, Member(&names[0]), body).await;
        assert_eq!(told, status, "{problem}");
        assert!(!problem.to_string().contains("saga"), "{problem}");
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_undone_is_decided_about_by_an_operator() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &["--partner", "declines"]);
    let file = SqliteConnectOptions::new().filename(folder.path().join("board.sqlite"));
    let mut board = SqliteConnection::connect_with(&file).await.unwrap();
    // What is refused by the partner cannot be given back, either.
    let jam =
        "CREATE TRIGGER jam BEFORE DELETE ON pumasi_capacity_hold BEGIN SELECT RAISE(ABORT, 'jammed'); END";
    sqlx::query(jam).execute(&mut board).await.unwrap();
    let path = format!("/entries/{LECTURE}/order");
    let mut ids = Vec::new();
    for person in ["민수", "Jane"] {
        site.order(LECTURE, person).await;
        let order = site.until(&path, Member(person), |order| order["status"] == "needs_operator").await;
        assert_eq!(order["step"], "hold_place", "{order}");
        ids.push(order["id"].as_str().unwrap().to_owned());
    }
    let (sizes, mut found) = site.pages("/orders?status=needs_operator&limit=1", Operator).await;
    found.sort_by_key(|order| order["id"].as_str().map(|id| ids.iter().position(|known| known == id)));
    let people: Vec<&Value> = found.iter().map(|order| &order["person"]).collect();
    assert_eq!((sizes, people), (vec![1, 1], vec![&json!("민수"), &json!("Jane")]));
    assert_eq!(site.get("/orders?status=completed", Operator).await, json!([]));

    let [skipped, retried] = [0, 1].map(|at| format!("/orders/{}/decisions", ids[at]));
    let decide = |decision: &str, at: &str| json!({"decision": decision, "why": "전화로 알렸음", "at": at});
    let (retry, no_reason) = (decide("retry", "hold_place"), json!({"decision": "retry", "why": " "}));
    for (path, who, body, status) in [
        ("/orders/none/decisions", Operator, retry.clone(), StatusCode::NOT_FOUND),
        (skipped.as_str(), Nobody, retry.clone(), StatusCode::UNAUTHORIZED),
        (skipped.as_str(), Member("민수"), retry.clone(), StatusCode::FORBIDDEN),
        (skipped.as_str(), Operator, no_reason, StatusCode::UNPROCESSABLE_ENTITY),
        (skipped.as_str(), Operator, decide("forget", "hold_place"), StatusCode::UNPROCESSABLE_ENTITY),
        // It was seen to stand elsewhere.
        (skipped.as_str(), Operator, decide("retry", "charge"), StatusCode::CONFLICT),
        (skipped.as_str(), Operator, decide("cancel", "hold_place"), StatusCode::CONFLICT),
    ] {
        let (told, problem) = site.ask(Method::POST, path, who, Some(body)).await;
        assert_eq!(told, status, "{path}: {problem}");
        assert!(!problem.to_string().contains("saga"), "{problem}");
    }
    let listed = site.ask(Method::GET, "/orders?status=needs_operator", Member("민수"), None).await;
    assert_eq!(listed.0, StatusCode::FORBIDDEN);

    site.post(&retried, Operator, retry.clone()).await;
    site.until(&path, Member("Jane"), |order| order["status"] == "needs_operator").await;
    let order = site.post(&skipped, Operator, decide("skip", "hold_place")).await;
    assert_eq!((&order["status"], &order["step"]), (&json!("compensated"), &Value::Null), "{order}");
    assert_eq!(site.free(LECTURE).await, 0, "both places are held yet");
    sqlx::query("DROP TRIGGER jam").execute(&mut board).await.unwrap();
    site.post(&retried, Operator, retry.clone()).await;
    assert_eq!(site.ended(LECTURE, "Jane").await["status"], "compensated");
    assert_eq!(site.free(LECTURE).await, 1);
    let (status, problem) = site.ask(Method::POST, &retried, Operator, Some(retry)).await;
    assert_eq!(
        (status, problem["detail"].as_str()),
        (StatusCode::CONFLICT, Some("the decision does not fit where the order stands by now"))
    );
    assert_eq!(site.get("/orders?status=needs_operator", Operator).await, json!([]));
}
