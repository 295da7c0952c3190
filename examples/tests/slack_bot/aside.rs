//! What could not be answered is put aside, and delivered again.

use super::*;

#[tokio::test]
async fn what_a_channel_refuses_is_put_aside_until_it_is_delivered_again() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    slack.fail_next(["not_in_channel", "channel_not_found"].map(Fault::Denied));
    for number in 1..=2 {
        send(&client, &bot, &question(number, QUESTION)).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while bot.logs().matches("was put aside").count() < 2 {
        assert!(Instant::now() < deadline, "{}", bot.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let listed = put_aside("slack_bot", folder.path(), &[]);
    for told in ["not_in_channel", "channel_not_found", "tried once", "2 are put aside"] {
        assert!(listed.contains(told), "{told} in {listed}");
    }
    assert!(!listed.contains("달나라"), "{listed}");
    // Beside the service, which goes on.
    let told = put_aside("slack_bot", folder.path(), &["--deliver-again"]);
    assert!(told.contains("2 of 2 are delivered again"), "{told}");
    answered(&slack, 2).await;
    assert_eq!(put_aside("slack_bot", folder.path(), &[]).trim(), "nothing is put aside");
}

#[tokio::test]
async fn an_operator_sees_what_was_put_aside_and_has_it_delivered_again() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    slack.refuse(Some("not_in_channel"));
    for number in 1..=3 {
        send(&client, &bot, &question(number, QUESTION)).await.unwrap();
    }
    let get = |path: &str, role: &str| client.get(bot.url(path)).bearer_auth(token(role)).send();
    let deadline = Instant::now() + Duration::from_secs(20);
    let rows: Vec<Value> = loop {
        let rows: Vec<Value> = get("/put-aside", "operator").await.unwrap().json().await.unwrap();
        if rows.len() == 3 {
            break rows;
        }
        assert!(Instant::now() < deadline, "{rows:?} {}", bot.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(rows.iter().all(|row| row["reason"].as_str().unwrap().contains("not_in_channel")), "{rows:?}");
    assert!(!rows.iter().any(|row| row.to_string().contains("달나라")), "{rows:?}");
    let in_korean =
        client.get(bot.url("/put-aside")).bearer_auth(token("operator")).header("accept-language", "ko");
    let in_korean = in_korean.send().await.unwrap();
    assert_eq!(
        (&in_korean.headers()["content-language"], &in_korean.headers()["vary"]),
        (&"ko".parse().unwrap(), &"accept-language".parse().unwrap())
    );
    let in_korean: Vec<Value> = in_korean.json().await.unwrap();
    let reason = in_korean[0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("슬랙에 답 올리기") && reason.ends_with("봇이 채널에 없음 (not_in_channel)"),
        "{reason}"
    );
    assert_eq!(in_korean[0]["kind"], rows[0]["kind"]);
    let waiting: Value = get("/questions/waiting", "reader").await.unwrap().json().await.unwrap();
    assert_eq!(waiting["waiting"], 3);
    // page by page
    let page = get("/put-aside?limit=2", "operator").await.unwrap();
    let next = page.headers()["link"].to_str().unwrap().to_owned();
    let next = next.trim_start_matches('<').split('>').next().unwrap();
    let rest: Vec<Value> = get(next, "operator").await.unwrap().json().await.unwrap();
    assert_eq!(rest, rows[2..]);

    let again = |ids: Value, role: &str| {
        client
            .post(bot.url("/put-aside/deliver-again"))
            .bearer_auth(token(role))
            .json(&json!({"ids": ids}))
            .send()
    };
    let ids = json!(rows.iter().map(|row| &row["id"]).collect::<Vec<_>>());
    for (path, role, status) in [
        ("/put-aside", "reader", 403),
        ("/put-aside?after=x", "operator", 400),
        ("/put-aside?limit=501", "operator", 400),
        ("/about?x=1", "reader", 400),
    ] {
        assert_eq!(get(path, role).await.unwrap().status(), status, "{path} {role}");
    }
    assert_eq!(again(ids.clone(), "reader").await.unwrap().status(), 403);
    for wrong in [json!([]), json!(["no id"]), json!("all")] {
        assert_eq!(again(wrong.clone(), "operator").await.unwrap().status(), 422, "{wrong}");
    }
    slack.refuse(None);
    let delivered: Value = again(ids.clone(), "operator").await.unwrap().json().await.unwrap();
    assert_eq!(delivered["delivered"], 3);
    answered(&slack, 3).await;
    let twice: Value = again(ids, "operator").await.unwrap().json().await.unwrap();
    assert_eq!(twice["delivered"], 0);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let waiting: Value = get("/questions/waiting", "operator").await.unwrap().json().await.unwrap();
        if waiting["waiting"] == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{waiting}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
