//! A Slack that is played on the page.

use super::*;

#[tokio::test]
async fn slack_is_played_where_there_is_none_and_never_by_half() {
    let client = Client::new();
    let start = |data: &Path, given: &[(&str, &str)], more: &[&str]| {
        Running::start("slack_bot", |command: &mut Command| {
            command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(more);
            for variable in ["SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN", "SLACK_API_URL", "PUMASI_TOKEN_KEY"] {
                command.env_remove(variable);
            }
            command.envs(given.iter().copied());
        })
    };
    let folder = tempfile::tempdir().unwrap();
    for given in [
        &[("SLACK_SIGNING_SECRET", SECRET)][..],
        &[("SLACK_BOT_TOKEN", TOKEN)],
        &[("PUMASI_TOKEN_KEY", desk::KEY)],
    ] {
        let refused = start(folder.path(), given, &[]).unwrap_err().to_string();
        assert!(refused.contains("--play-slack"), "{given:?}: {refused}");
    }
    let bot = start(folder.path(), &[("PUMASI_TOKEN_KEY", desk::KEY)], &["--play-slack"]).unwrap();
    let about: Value = client.get(bot.url("/about")).send().await.unwrap().json().await.unwrap();
    assert_eq!(about, json!({"development": false, "plays_slack": true, "model": null}));
    let wanted = client.post(bot.url("/tokens")).json(&json!({"name": "민지", "role": "operator"}));
    assert_eq!(wanted.send().await.unwrap().status(), 403);
    drop(bot);
    // A real Slack, and a key that nobody knows: what people ask there is not for whoever comes.
    let real = [("SLACK_SIGNING_SECRET", SECRET), ("SLACK_BOT_TOKEN", TOKEN)];
    let bot = start(folder.path(), &real, &[]).unwrap();
    let about: Value = client.get(bot.url("/about")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&about["development"], &about["plays_slack"]), (&json!(false), &json!(false)));
    let wanted = client.post(bot.url("/tokens")).json(&json!({"name": "민지", "role": "operator"}));
    assert_eq!(wanted.send().await.unwrap().status(), 403);
    drop(bot);

    let bot = start(folder.path(), &[], &[]).unwrap();
    let ask = |text: &str| client.post(bot.url("/played/questions")).json(&json!({"text": text})).send();
    let asked = ask("  <@U9> How do I start running? & so on ").await.unwrap();
    assert_eq!(asked.status(), StatusCode::CREATED);
    let asked: Value = asked.json().await.unwrap();
    assert!(asked["acknowledged_ms"].as_f64().unwrap() < 3_000.0, "{asked}");
    for text in ["", "  ", &"가".repeat(2_001)] {
        assert_eq!(ask(text).await.unwrap().status(), 422);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let threads: Vec<Value> = loop {
        let threads = client.get(bot.url("/played/questions")).send().await.unwrap();
        let threads: Vec<Value> = threads.json().await.unwrap();
        if threads[0]["answers"].as_array().unwrap().len() == 1 {
            break threads;
        }
        assert!(Instant::now() < deadline, "{threads:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((threads.len(), &threads[0]["thread"]), (1, &asked["thread"]));
    let wanted = client.post(bot.url("/tokens")).json(&json!({"name": "민지", "role": "reader"}));
    let given = wanted.send().await.unwrap();
    assert_eq!(
        (given.status(), &given.headers()["cache-control"]),
        (StatusCode::CREATED, &"no-store".parse().unwrap())
    );
    let given: Value = given.json().await.unwrap();
    let list = client.get(bot.url("/questions")).bearer_auth(given["token"].as_str().unwrap());
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list, json!([{"question": "<@U9> How do I start running? & so on", "asked": 1}]));
    let page = client.get(bot.url("/")).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("id=\"threads\""));
}
