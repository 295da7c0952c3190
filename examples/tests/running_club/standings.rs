//! Runs count once, and rank people and crews.

use super::*;

#[tokio::test]
async fn runs_rank_people_and_crews_and_show_who_is_before_and_behind() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    let found = |name, who| club.ask(Method::POST, "/crews", Runner(who), Some(json!({"name": name})));
    assert_eq!(found("한강러너스", "민지").await.0, StatusCode::CREATED);
    assert_eq!(found("한강러너스", "민지").await.0, StatusCode::OK);
    assert_eq!(found("한강러너스", "Alex").await.0, StatusCode::CONFLICT);
    assert_eq!(found("Striders", "Alex").await.0, StatusCode::CREATED);
    let join = |crew, who| club.ask(Method::PUT, "/me/crew", Runner(who), Some(json!({"crew": crew})));
    assert_eq!(join("없는 크루", "지훈").await.0, StatusCode::NOT_FOUND);
    assert_eq!(join("한강러너스", "지훈").await.0, StatusCode::NO_CONTENT);
    assert_eq!(club.get("/me", Runner("지훈")).await, json!({"name": "지훈", "crew": "한강러너스"}));

    for (runner, metres, seconds) in [
        ("민지", 10_000, 3_300),
        ("Alex", 21_097, 6_540),
        ("지훈", 4_000, 1_000),
        ("Sora", 10_000, 3_000),
        ("민지", 2_000, 700),
    ] {
        let run = club.run(runner, metres, seconds).await;
        assert_eq!(run["in_time"], true, "{run}");
        assert!(run.get("runner").is_none());
    }
    let board = club.until("/boards/runners.distance", Nobody, |board| sum(board) == 47_097).await;
    let expected = [(1, "Alex", 21_097), (2, "민지", 12_000), (3, "Sora", 10_000), (4, "지훈", 4_000)];
    let expected = expected.map(|(rank, name, metres)| (rank, name.to_owned(), metres));
    assert_eq!(places(&board, "distance_m"), expected);
    assert_eq!(
        (&board["total"], &board["closed"], &board["span"]),
        (&json!(4), &json!(false), &json!("week"))
    );
    assert!(board["places"].as_array().unwrap().iter().all(|place| place.get("climbed").is_none()));

    // Each board counts a run in its own time. Over all runs, and of who ran 5 km at least:
    let expected = [(1, "Sora", 300_000), (2, "Alex", 309_997), (3, "민지", 333_333)];
    let expected = expected.map(|(rank, name, pace)| (rank, name.to_owned(), pace));
    club.until("/boards/runners.pace", Nobody, |board| places(board, "pace_ms_per_km") == expected).await;

    let mine = club.get("/boards/runners.distance/mine?neighbours=1", Runner("민지")).await;
    let names: Vec<&str> =
        mine["places"].as_array().unwrap().iter().map(|place| place["name"].as_str().unwrap()).collect();
    assert_eq!((&mine["rank"], &mine["total"], names), (&json!(2), &json!(4), vec!["Alex", "민지", "Sora"]));
    assert_eq!(mine["places"][1]["mine"], true);
    assert_eq!(mine["percentile"], 62.5);
    let mine = club.get("/boards/runners.distance/mine", Runner("nobody yet")).await;
    assert!(mine.get("rank").is_none() && mine["places"] == json!([]) && mine["total"] == 4, "{mine}");

    let crews = club.until("/boards/crews.attendance?span=month", Nobody, |board| sum(board) == 37_097).await;
    assert_eq!(
        places(&crews, "attendance"),
        [(1, "한강러너스".to_owned(), 2), (2, "Striders".to_owned(), 1)],
        "two of a crew on one day are two who attended, and a second run of that day is none"
    );
    assert_eq!(crews["places"][0]["values"]["members"], 2);
    let ours = |board: &Value| board["rank"] == 1 && board["places"][0]["mine"] == true;
    club.until("/boards/crews.members/mine", Runner("지훈"), ours).await;
    let page = club.send(Method::GET, "/boards/runners.distance?limit=3", Nobody, None, None).await.unwrap();
    let link = page.headers()["link"].to_str().unwrap().to_owned();
    assert_eq!(link, "</boards/runners.distance?limit=3&after=3>; rel=\"next\"");
    let rest = club.get("/boards/runners.distance?limit=3&after=3", Nobody).await;
    assert_eq!(places(&rest, "distance_m"), [(4, "지훈".to_owned(), 4_000)]);
    let past = club.get("/boards/runners.distance?on=2020-01-15", Nobody).await;
    assert_eq!((&past["total"], &past["closed"]), (&json!(0), &json!(true)));

    // Who leaves a crew has run for it nevertheless.
    assert_eq!(club.ask(Method::DELETE, "/me/crew", Runner("지훈"), None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(club.get("/crews", Nobody).await[0]["members"], 1);
    let alone = club.run("지훈", 5_000, 990).await;
    assert!(alone.get("crew").is_none(), "{alone}");
    club.until("/boards/crews.distance", Nobody, |board| board["total"] == 2).await;
    let runs = club.get("/runs?limit=1", Runner("지훈")).await;
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["distance_m"]), (1, &json!(5_000)));
}

#[tokio::test]
async fn a_run_is_recorded_once_under_its_key_and_earns_a_badge_once() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    let body = run(10_500, 3_300);
    let send = |who, body: &Value| {
        club.send(Method::POST, "/runs", Runner(who), Some("\"mine\""), Some(body.clone()))
    };
    let both = join_all([send("민지", &body), send("민지", &body), send("민지", &body)]).await;
    let mut ids = Vec::new();
    for answer in both {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        ids.push(answer.json::<Value>().await.unwrap()["id"].clone());
    }
    assert!(ids.iter().all(|id| *id == ids[0]));
    let other = send("민지", &run(9_000, 3_300)).await.unwrap();
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.json::<Value>().await.unwrap()["kind"], "invalid_input");
    let recorded = club.client.get(club.service.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(recorded.contains("club_runs_total 1\n"), "sent again it is not counted: {recorded}");
    // The same key of somebody else is another run.
    let other: Value = send("Alex", &body).await.unwrap().json().await.unwrap();
    assert_ne!(other["id"], ids[0]);
    assert_eq!(club.get("/runs", Runner("민지")).await.as_array().unwrap().len(), 1);

    // Whoever runs at dawn, when this test runs, has a badge for that as well.
    let lasting =
        |news: &Value| news.as_array().unwrap().iter().filter(|each| each["badge"] != "dawn").count();
    let news = club.until("/news", Nobody, |news| lasting(news) == 4).await;
    for runner in ["민지", "Alex"] {
        let badges = news.as_array().unwrap().iter().filter(|each| each["runner"] == runner);
        let mut badges: Vec<&str> = badges.map(|each| each["badge"].as_str().unwrap()).collect();
        badges.retain(|badge| *badge != "dawn");
        assert_eq!(badges, ["first_run", "ten_k"], "{news}");
    }
    let mine = club.get("/achievements", Runner("민지")).await;
    let has: Vec<bool> =
        mine.as_array().unwrap().iter().map(|badge| badge.get("earned_at").is_some()).collect();
    assert_eq!(has.len(), 9);
    assert_eq!(has[..4], [true, true, false, false]);
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_counts_once_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    let acknowledged = AtomicUsize::new(0);
    let (mut kept, mut runs) = (Vec::new(), Vec::new());
    for number in 0..120 {
        runs.push((format!("runner {}", number % 6), format!("\"run-{number}\""), run(1_000, 300)));
    }
    let sending = stream::iter(&runs).map(|(runner, key, body)| {
        let (club, acknowledged) = (&club, &acknowledged);
        async move {
            let sent = club.send(Method::POST, "/runs", Runner(runner), Some(key), Some(body.clone())).await;
            let is_kept = sent.is_ok_and(|answer| answer.status() == StatusCode::CREATED);
            if is_kept && acknowledged.fetch_add(1, Ordering::SeqCst) == 40 {
                club.service.signal("-KILL").unwrap();
            }
            is_kept
        }
    });
    kept.extend(sending.buffered(8).collect::<Vec<bool>>().await);
    let count = kept.iter().filter(|kept| **kept).count();
    assert!((41..120).contains(&count), "{count} were acknowledged");

    let club = Club::start(folder.path());
    let mut recorded = 0;
    for runner in 0..6 {
        let runs = club.get("/runs?limit=500", Runner(&format!("runner {runner}"))).await;
        recorded += runs.as_array().unwrap().len();
    }
    assert!(recorded >= count, "{count} acknowledged, {recorded} recorded");
    let all = i64::try_from(recorded).unwrap() * 1_000;
    club.until("/boards/runners.distance", Nobody, |board| sum(board) == all).await;
    // The phones send everything again, as they do when they were not answered.
    let deadline = Instant::now() + Duration::from_mins(2);
    for (runner, key, body) in &runs {
        let send = || club.send(Method::POST, "/runs", Runner(runner), Some(key), Some(body.clone()));
        let mut status = send().await.unwrap().status();
        // One that was begun when the process died may be under way yet, until its lease ends.
        while status == StatusCode::CONFLICT && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(200)).await;
            status = send().await.unwrap().status();
        }
        assert_eq!(status, StatusCode::CREATED);
    }
    let board = club.until("/boards/runners.distance", Nobody, |board| sum(board) == 120_000).await;
    assert_eq!(board["total"], 6);
    let news = club.until("/news", Nobody, |news| news.as_array().unwrap().len() >= 6).await;
    let first = news.as_array().unwrap().iter().filter(|each| each["badge"] == "first_run").count();
    assert_eq!(first, 6, "{news}");
}

#[tokio::test]
async fn many_who_record_at_the_same_time_lose_nothing_and_the_service_stops_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut club = Club::start(folder.path());
    let names: Vec<String> = (0..20).map(|number| format!("runner {number}")).collect();
    let running = names
        .iter()
        .flat_map(|name| (1..=5).map(|kilometres| club.run(name, kilometres * 1_000, kilometres * 400)));
    let running: Vec<_> = running.collect();
    join_all(running).await;
    let board = club.until("/boards/runners.distance", Nobody, |board| sum(board) == 300_000).await;
    assert!(places(&board, "distance_m").iter().all(|place| place.0 == 1 && place.2 == 15_000), "{board}");
    let news = club.until("/news?limit=500", Nobody, |news| news.as_array().unwrap().len() >= 20).await;
    assert_eq!(news.as_array().unwrap().iter().filter(|each| each["badge"] == "first_run").count(), 20);
    assert_eq!(paged(&club, "/news?limit=7", Nobody).await, news, "page by page it is the same");
    let metrics = club.client.get(club.service.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in ["club_runs_total 100", "club_achievements_total{badge=\"first_run\"} 20"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let ready = club.get("/readyz", Nobody).await;
    assert_eq!(ready["dependencies"], json!({"events": "up", "store": "up", "boards": "up"}));

    club.service.signal("-TERM").unwrap();
    let status = desk::ended(&mut club.service).await;
    assert!(status.success(), "{status}");
}
