//! Questions are acknowledged at once, and answered once.

use super::*;

#[tokio::test]
async fn a_question_is_acknowledged_at_once_answered_later_and_counted_once_an_event() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    // Nothing is answered before all are acknowledged, however often the bot tries.
    slack.fail_next([Fault::Held; 20]);
    let mut latencies = Vec::new();
    for _ in 0..4 {
        let begun = Instant::now();
        let answer = send(&client, &bot, &question(1, QUESTION)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        latencies.push(begun.elapsed());
    }
    println!("acknowledged after {latencies:?}");
    assert!(slack.posts().is_empty(), "{latencies:?}");
    slack.let_go();
    let posts = answered(&slack, 1).await;
    assert_eq!(posts[0].thread.as_deref(), Some(thread(1).as_str()));

    for (number, text) in [(2, "달나라 여행은 어떻게 준비하나요"), (3, "Another question?")] {
        send(&client, &bot, &question(number, text)).await.unwrap();
    }
    answered(&slack, 3).await;
    let wanted = vec![(QUESTION.to_owned(), 2), ("Another question?".to_owned(), 1)];
    assert_eq!(most_asked(&client, &bot).await, wanted);

    let logs = bot.logs();
    assert!(logs.contains("answered") && logs.contains("Again"), "{logs}");
    for secret in ["달나라", "Another question", "xoxb", SECRET] {
        assert!(!logs.contains(secret), "{secret} in {logs}");
    }
    let metrics = client.get(bot.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("pumasi_cache_requests_total"), "{metrics}");
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_answered_once_after_it() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let (mut acknowledged, mut sent) = (Vec::new(), 0);
    let counted = AtomicUsize::new(0);
    for round in 0..5_u8 {
        let bot = start(folder.path(), &slack);
        let calls = slack.calls();
        // When it is killed, some answers are with Slack and the bot has not heard so, and some are not there yet.
        let faults =
            [Fault::TakenAndSlow(Duration::from_millis(60)), Fault::Slow(Duration::from_millis(400))];
        slack.fail_next(faults.into_iter().cycle().take(40));
        let asking = async {
            loop {
                sent += 1;
                let Ok(answer) = send(&client, &bot, &question(sent, &format!("질문 {}", sent % 7))).await
                else {
                    break;
                };
                assert_eq!(answer.status(), StatusCode::OK);
                acknowledged.push(sent);
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let killing = async {
            // in the middle of whatever comes after three more were acknowledged, and Slack was asked to post one
            while counted.load(Ordering::Relaxed) < 3 * (usize::from(round) + 1) || slack.calls() == calls {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(60 + 110 * u64::from(round))).await;
            bot.signal("-KILL").unwrap();
        };
        tokio::join!(asking, killing);
    }
    let before = slack.posts().len();
    let bot = start(folder.path(), &slack);
    let deadline = Instant::now() + Duration::from_mins(1);
    let per_thread = loop {
        let mut per_thread: HashMap<String, usize> = HashMap::new();
        for post in slack.posts() {
            *per_thread.entry(post.thread.unwrap()).or_default() += 1;
        }
        if acknowledged.iter().all(|number| per_thread.contains_key(&thread(*number))) {
            break per_thread;
        }
        assert!(Instant::now() < deadline, "{} of {} answered", per_thread.len(), acknowledged.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!(
        "killed 5 times: {} acknowledged, {} answered, {before} of them before the last start, {} looked for",
        acknowledged.len(),
        per_thread.len(),
        slack.lookups()
    );
    assert!(acknowledged.len() > 10 && before < per_thread.len(), "nothing was left to be done after a kill");
    assert!(slack.lookups() > 0, "no kill came between a post and its record");
    assert!(per_thread.values().all(|count| *count == 1), "an answer stands twice");
    let counted: u64 = most_asked(&client, &bot).await.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, per_thread.len() as u64);
}

#[tokio::test]
async fn an_answer_that_slack_took_without_saying_so_is_not_posted_again() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    slack.fail_next([Fault::TakenAndFailed, Fault::RateLimited(1)]);
    send(&client, &bot, &question(1, QUESTION)).await.unwrap();
    answered(&slack, 1).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while slack.lookups() == 0 {
        assert!(Instant::now() < deadline, "the bot did not look for its answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // the next one meets the rate limit, and gets through
    send(&client, &bot, &question(2, QUESTION)).await.unwrap();
    answered(&slack, 2).await;
    assert_eq!(slack.lookups(), 1);
}

#[tokio::test]
async fn an_outage_and_a_kill_lose_no_question() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start(folder.path(), &slack);
    slack.fail_next([Fault::Slow(Duration::from_mins(1))]);
    send(&client, &bot, &question(1, QUESTION)).await.unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while slack.calls() == 0 {
        assert!(Instant::now() < deadline, "the bot does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bot.signal("-KILL").unwrap();
    // With the one that ended by the kill, as many attempts as a consumer makes by default.
    slack.fail_next([Fault::Refused; 7]);
    let bot = start(folder.path(), &slack);
    let posts = tokio::time::timeout(Duration::from_mins(2), slack.wait_for(1)).await.unwrap();
    assert_eq!(posts.len(), 1);
    drop(bot);
}

#[tokio::test]
async fn questions_wait_while_slack_refuses_the_token_and_are_answered_with_a_good_one() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = try_start(folder.path(), &slack, "60000", "xoxb-revoked").unwrap();
    send(&client, &bot, &question(1, QUESTION)).await.unwrap();
    let ready = bot.url("/readyz");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let ready: Value = client.get(&ready).send().await.unwrap().json().await.unwrap();
        if ready["down"] == json!(["slack"]) && bot.logs().matches("an attempt failed").count() > 1 {
            break;
        }
        assert!(Instant::now() < deadline, "{ready} {}", bot.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bot.signal("-KILL").unwrap();
    assert_eq!(put_aside("slack_bot", folder.path(), &[]).trim(), "nothing is put aside");
    let faults = ["token_revoked", "account_inactive", "missing_scope"];
    slack.fail_next(faults.map(Fault::Denied));
    let bot = start(folder.path(), &slack);
    for number in 2..=3 {
        send(&client, &bot, &question(number, QUESTION)).await.unwrap();
    }
    answered(&slack, 3).await;
    drop(bot);
    for token in ["", " "] {
        let refused = try_start(folder.path(), &slack, "60000", token).unwrap_err().to_string();
        assert!(refused.contains("SLACK_BOT_TOKEN"), "{refused}");
    }
}

#[tokio::test]
async fn a_channel_gets_no_more_answers_than_slack_takes() {
    let (folder, client, slack) =
        (tempfile::tempdir().unwrap(), Client::new(), FakeSlack::start().await.unwrap());
    let bot = start_with(folder.path(), &slack, "60");
    let begun = Instant::now();
    for number in 1..=8 {
        send(&client, &bot, &question(number, QUESTION)).await.unwrap();
    }
    answered(&slack, 8).await;
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(3), "four at once and the others a second apart: {took:?}");
}
