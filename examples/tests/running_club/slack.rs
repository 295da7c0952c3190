//! What Slack hears, and what becomes of that when it does not listen.

use super::*;

#[tokio::test]
async fn slack_hears_of_achievements_and_recaps_though_it_was_away() {
    let (folder, slack) = (tempfile::tempdir().unwrap(), FakeSlack::start().await.unwrap());
    slack.fail_next([Fault::Refused, Fault::RateLimited(1)]);
    let with_slack = |command: &mut Command| {
        command
            .env("SLACK_BOT_TOKEN", TOKEN)
            .env("SLACK_CHANNEL", "C-CLUB")
            .env("SLACK_API_URL", slack.url());
        command.args(["--statistics", "distance_m,runs,rank"]);
    };
    let club = Club::start_with(folder.path(), with_slack);
    club.run("<!channel> 민지", 12_300, 3_600).await;
    let posts = tokio::time::timeout(Duration::from_secs(20), slack.wait_for(1)).await.unwrap();
    let text = &posts[0].text;
    assert_eq!(posts[0].channel, "C-CLUB");
    assert!(
        text.contains("&lt;!channel&gt; 민지") && text.contains("12.3 km") && text.contains("10 km at once"),
        "{text}"
    );

    club.until("/boards/runners.distance", Nobody, |board| board["total"] == 1).await;
    let wanted = || Some(json!({"span": "week"}));
    let (status, problem) = club.ask(Method::POST, "/recaps", Runner("민지"), wanted()).await;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::FORBIDDEN, &json!("this takes the role organiser"))
    );
    for _ in 0..2 {
        let asked = club.send(Method::POST, "/recaps", Organiser, Some("\"now\""), wanted()).await.unwrap();
        assert_eq!(asked.status(), StatusCode::ACCEPTED);
    }
    let posts = tokio::time::timeout(Duration::from_secs(20), slack.wait_for(2)).await.unwrap();
    assert!(posts[1].text.contains("주간 결산") && posts[1].text.contains("12.3 km"), "{}", posts[1].text);
    assert!(posts[1].text.contains("so far"), "{}", posts[1].text);
    let recaps = club.get("/recaps", Runner("<!channel> 민지")).await;
    assert_eq!(recaps[0]["figures"], json!({"distance_m": 12_300, "runs": 1, "rank": 1}), "what was chosen");
    assert_eq!(recaps[0]["closed"], false);
    assert_eq!(club.get("/recaps", Runner("Alex")).await, json!([]), "somebody else's");

    // A process that takes over posts nothing again.
    club.service.signal("-KILL").unwrap();
    let club = Club::start_with(folder.path(), with_slack);
    club.run("Alex", 1_000, 300).await;
    let posts = tokio::time::timeout(Duration::from_secs(20), slack.wait_for(3)).await.unwrap();
    assert!(posts[2].text.contains("Alex"), "{}", posts[2].text);
    assert_eq!(posts.len(), 3);
    assert!(!club.service.logs().contains(TOKEN));
}

/// Runs `put-aside` beside the service.
fn put_aside(data: &Path, more: &[&str]) -> String {
    let mut command = Command::new(support::child::example("running_club").unwrap());
    for variable in ["PUMASI_POSTGRES_URL", "PUMASI_REDIS_URL", "PUMASI_KAFKA_URL"] {
        command.env_remove(variable);
    }
    let done = command.args(["put-aside", "--data"]).arg(data).args(more).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn what_slack_refuses_is_put_aside_until_it_is_delivered_again() {
    let (folder, slack) = (tempfile::tempdir().unwrap(), FakeSlack::start().await.unwrap());
    slack.fail_next([Fault::Denied("not_in_channel")]);
    let club = Club::start_with(folder.path(), |command| {
        command
            .env("SLACK_BOT_TOKEN", TOKEN)
            .env("SLACK_CHANNEL", "C-CLUB")
            .env("SLACK_API_URL", slack.url());
    });
    club.run("민지", 12_300, 3_600).await;
    let aside = async {
        loop {
            let listed = put_aside(folder.path(), &[]);
            if listed.contains("1 are put aside") {
                break listed;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let listed = tokio::time::timeout(Duration::from_secs(20), aside).await.unwrap();
    assert!(listed.contains("club-notices") && listed.contains("not_in_channel"), "{listed}");
    assert!(!listed.contains("민지"), "{listed}");
    let told = put_aside(folder.path(), &["--deliver-again"]);
    assert!(told.contains("1 of 1 are delivered again"), "{told}");
    let posts = tokio::time::timeout(Duration::from_secs(20), slack.wait_for(1)).await.unwrap();
    assert!(posts[0].text.contains("12.3 km"), "{}", posts[0].text);
    assert_eq!(put_aside(folder.path(), &[]).trim(), "nothing is put aside");
}

#[tokio::test]
async fn a_slack_that_cannot_be_reached_is_named_and_the_club_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start_with(folder.path(), |command| {
        command
            .env("SLACK_BOT_TOKEN", TOKEN)
            .env("SLACK_CHANNEL", "C-CLUB")
            .env("SLACK_API_URL", "http://127.0.0.1:9/api");
    });
    let ready = club.get("/readyz", Nobody).await;
    assert_eq!((&ready["status"], &ready["dependencies"]["slack"]), (&json!("ready"), &json!("up")));
    club.run("민지", 5_000, 1_500).await;
    let ready = club.until("/readyz", Nobody, |ready| ready["status"] == "degraded").await;
    assert_eq!(
        (&ready["down"], &ready["dependencies"]["slack"]),
        (&json!(["slack"]), &json!("down")),
        "{ready}"
    );
    club.until("/boards/runners.distance", Nobody, |board| sum(board) == 5_000).await;
}
