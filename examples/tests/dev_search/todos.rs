//! Todos that two people edit at once.

use super::*;

#[tokio::test]
async fn what_others_wrote_meanwhile_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    let minsu = Member("민수");
    let (status, todo) = site.write(minsu, "review", "과제 리뷰", None).await;
    assert_eq!((status, &todo["version"]), (StatusCode::CREATED, &json!(1)));
    assert_eq!(
        site.write(minsu, "review", "과제 리뷰", None).await.1,
        todo,
        "the same again is answered alike"
    );
    assert_eq!(site.write(minsu, "review", "다른 것", None).await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(site.write(minsu, "review", "금요일", Some(1)).await.1["version"], 2);
    assert_eq!(site.write(minsu, "review", "금요일", Some(1)).await.1["version"], 2, "an answer was lost");
    let (status, problem) = site.write(minsu, "review", "토요일", Some(1)).await;
    assert_eq!((status, &problem["kind"]), (StatusCode::PRECONDITION_FAILED, &json!("stale")));
    assert!(problem["hint"].as_str().unwrap().contains("ETag"), "{problem}");
    assert_eq!(site.get("/todos/review", minsu).await["text"], "금요일");
    assert_eq!(site.get("/todos", Member("Jane")).await, json!([]), "somebody else's");
    assert_eq!(site.write(Member("Jane"), "review", "x", Some(2)).await.0, StatusCode::PRECONDITION_FAILED);

    // Ten windows write at the same time: each write is based on what it read, and none is lost.
    let mark = |window: usize| {
        let site = &site;
        async move {
            loop {
                let todo = site.get("/todos/review", minsu).await;
                let text = format!("{} {window}", todo["text"].as_str().unwrap());
                match site.write(minsu, "review", &text, todo["version"].as_u64()).await.0 {
                    StatusCode::OK => return,
                    status => assert_eq!(status, StatusCode::PRECONDITION_FAILED),
                }
            }
        }
    };
    join_all((0..10).map(mark)).await;
    let todo = site.get("/todos/review", minsu).await;
    let marks: BTreeSet<&str> = todo["text"].as_str().unwrap().split(' ').collect();
    assert_eq!((todo["version"].as_u64(), marks.len()), (Some(12), 11), "{todo}");

    let path = "/todos/review";
    let body = json!({"text": "x"});
    let put = |name: &'static str, value: &'static str| {
        answered(site.request(Method::PUT, path, minsu).json(&body).header(name, value))
    };
    assert_eq!(
        site.ask(Method::PUT, path, minsu, Some(body.clone())).await.0,
        StatusCode::PRECONDITION_REQUIRED
    );
    assert_eq!(site.ask(Method::DELETE, path, minsu, None).await.0, StatusCode::PRECONDITION_REQUIRED);
    assert_eq!(put("if-match", "12").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(put("if-match", "W/\"12\"").await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(put("if-match", "*").await.1["version"], 13);
    let delete = |version: &'static str| {
        answered(site.request(Method::DELETE, path, minsu).header("if-match", version))
    };
    assert_eq!(delete("\"12\"").await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(delete("\"13\"").await.0, StatusCode::NO_CONTENT);
    assert_eq!(delete("\"13\"").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_has_more_than_so_many_todos_however_they_come_and_they_are_read_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    let minsu = Member("민수");
    let names: Vec<String> = (0..520).map(|number| format!("todo-{number:03}")).collect();
    let (first, rest) = names.split_at(490);
    for some in first.chunks(50) {
        let written = join_all(some.iter().map(|name| site.write(minsu, name, "할 일", None))).await;
        assert!(written.iter().all(|(status, _)| *status == StatusCode::CREATED), "{written:?}");
    }
    let written = join_all(rest.iter().map(|name| site.write(minsu, name, "할 일", None))).await;
    let count = |wanted: StatusCode| written.iter().filter(|(status, _)| *status == wanted).count();
    assert_eq!((count(StatusCode::CREATED), count(StatusCode::CONFLICT)), (10, 20));
    assert_eq!(site.write(minsu, "todo-000", "할 일", None).await.0, StatusCode::CREATED, "the same again");
    assert_eq!(site.write(Member("Jane"), "a", "할 일", None).await.0, StatusCode::CREATED);

    let (mut path, mut sizes, mut found) = (Some("/todos".to_owned()), Vec::new(), Vec::new());
    while let Some(page) = path.take() {
        let answer = site.send(Method::GET, &page, minsu, None, None).await.unwrap();
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        path = link.map(|link| link.trim_start_matches('<').split('>').next().unwrap().to_owned());
        let rows: Vec<Value> = answer.json().await.unwrap();
        sizes.push(rows.len());
        found.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(sizes, [100; 5]);
    assert!(found.is_sorted() && found.iter().collect::<BTreeSet<_>>().len() == 500);
    assert_eq!(site.get("/todos?limit=500", minsu).await.as_array().unwrap().len(), 500);
    assert_eq!(site.ask(Method::GET, "/todos?limit=501", minsu, None).await.0, StatusCode::BAD_REQUEST);
}
