//! Whom it listens to, and for how long.

use super::*;

#[tokio::test]
async fn only_slack_is_listened_to_and_it_stops_when_asked() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let mut bot = start(folder.path(), &slack);
    let asked = question(1, QUESTION);
    for (secret, seconds_ago, status) in [
        ("guessed", 0, 401),
        (SECRET, 400, 401),
        (SECRET, -400, 401),
        ("the new one", 0, 200),
        (SECRET, 200, 200),
    ] {
        let answer = signed(&client, &bot, &asked, secret, seconds_ago).send().await.unwrap();
        assert_eq!(answer.status(), status, "{secret} {seconds_ago}");
    }
    let unsigned = client.post(bot.url("/slack/events")).body(asked.to_string()).send().await.unwrap();
    assert_eq!(unsigned.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(unsigned.headers()["content-type"], "application/problem+json");
    let problem: Value = unsigned.json().await.unwrap();
    assert!(problem["hint"].as_str().unwrap().starts_with("sign the request"), "{problem}");
    let again = signed(&client, &bot, &asked, SECRET, 0).header(RETRY_NUM_HEADER, "2").send().await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
    answered(&slack, 1).await;

    let challenge = json!({"type": "url_verification", "challenge": "3eZbrw1a"});
    assert_eq!(send(&client, &bot, &challenge).await.unwrap().text().await.unwrap(), "3eZbrw1a");
    assert_eq!(send(&client, &bot, &json!({"no": "type"})).await.unwrap().status(), 422);
    // bots, edits, and what was not said to the bot
    for event in [
        json!({"type": "message", "channel": "C1", "channel_type": "channel", "user": "U2", "ts": "1.1", "text": "x"}),
        json!({"type": "message", "channel": "D1", "channel_type": "im", "bot_id": "B1", "ts": "1.2", "text": "x"}),
        json!({"type": "message", "channel": "D1", "channel_type": "im", "user": "U2", "subtype": "message_changed", "ts": "1.3"}),
        json!({"type": "app_mention", "channel": "C1", "user": "U2", "ts": "1.4", "text": "<@U1> "}),
        json!({"type": "team_join"}),
    ] {
        let body = json!({"type": "event_callback", "event_id": format!("E{event}"), "event": event});
        assert_eq!(send(&client, &bot, &body).await.unwrap().status(), StatusCode::OK);
    }
    let direct = json!({"type": "message", "channel": "D1", "channel_type": "im", "user": "U2", "ts": "2.1", "text": QUESTION});
    let body = json!({"type": "event_callback", "event_id": "EvD", "event": direct});
    send(&client, &bot, &body).await.unwrap();
    assert_eq!(answered(&slack, 2).await[1].channel, "D1");
    let secret = json!({"type": "message", "channel": "D1", "channel_type": "im", "user": "U2", "ts": "2.2", "text": "제 연봉은 비밀입니다?"});
    let body = json!({"type": "event_callback", "event_id": "EvS", "event": secret});
    send(&client, &bot, &body).await.unwrap();
    answered(&slack, 3).await;
    assert_eq!(most_asked(&client, &bot).await, [(QUESTION.to_owned(), 2)], "what was asked in private only");
    assert_eq!(client.get(bot.url("/played/questions")).send().await.unwrap().status(), 404);
    let list = client.get(bot.url("/questions"));
    assert_eq!(list.try_clone().unwrap().send().await.unwrap().status(), 401);
    assert_eq!(list.bearer_auth(token("member")).send().await.unwrap().status(), 403);

    let document: Value = client.get(bot.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    assert!(document["paths"]["/slack/events"]["post"].is_object());
    let tells_429 =
        |path: &str, method: &str| document["paths"][path][method]["responses"]["429"].is_object();
    assert!(tells_429("/questions", "get") && tells_429("/slack/events", "post"), "{document}");
    assert!(!tells_429("/healthz", "get"), "nobody counts how often that is asked");
    for (path, status) in
        [("/healthz", 200), ("/readyz", 200), ("/questions?limit=x", 400), ("/nowhere", 404)]
    {
        let request = client.get(bot.url(path)).bearer_auth(token("reader"));
        assert_eq!(request.send().await.unwrap().status(), status, "{path}");
    }
    bot.signal("-TERM").unwrap();
    let status = desk::ended(&mut bot).await;
    assert!(status.success());
}

#[tokio::test]
async fn a_body_that_does_not_come_to_its_end_is_told_before_slack_goes() {
    use std::io::{Read as _, Write as _};
    let (folder, slack) = (tempfile::tempdir().unwrap(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    let host = bot.url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let asking = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(&host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("POST /slack/events HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        stream.write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = asking.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    for part in ["application/problem+json", "the body did not come to its end", "\"hint\""] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
}
