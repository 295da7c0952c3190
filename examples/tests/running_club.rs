//! The service, from outside: runs that count once whatever happens, ranks, crews, achievements, recaps and what Slack hears.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod desk;

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use pumasi_core::time::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::auth::Keys;
use support::slack::{FakeSlack, Fault, TOKEN};

use desk::{Asks, Desk};

/// Who asks.
#[derive(Clone, Copy)]
enum Who<'a> {
    Nobody,
    Organiser,
    Runner(&'a str),
}
use Who::{Nobody, Organiser, Runner};

impl Asks for Who<'_> {
    fn who(&self) -> Option<(&str, &str)> {
        match self {
            Nobody => None,
            Organiser => Some(("운영진", "organiser")),
            Runner(name) => Some((name, "runner")),
        }
    }
}

struct Club(Desk);

impl Deref for Club {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.0
    }
}

impl DerefMut for Club {
    fn deref_mut(&mut self) -> &mut Desk {
        &mut self.0
    }
}

impl Club {
    fn start(data: &Path) -> Self {
        Self::start_with(data, |_| {})
    }

    fn start_with(data: &Path, more: impl FnOnce(&mut Command)) -> Self {
        let configure = |command: &mut Command| {
            for variable in ["SLACK_BOT_TOKEN", "SLACK_CHANNEL", "SLACK_API_URL", "SLACK_ALERT_WEBHOOK_URL"] {
                command.env_remove(variable);
            }
            more(command);
        };
        Self(Desk::start("running_club", data, &[], configure))
    }

    async fn run(&self, runner: &str, metres: i64, seconds: i64) -> Value {
        let (status, run) = self.ask(Method::POST, "/runs", Runner(runner), Some(run(metres, seconds))).await;
        assert_eq!(status, StatusCode::CREATED, "{run}");
        run
    }
}

fn run(metres: i64, seconds: i64) -> Value {
    let now: Timestamp = SystemTime::now().into();
    json!({"began_at": now.to_string(), "distance_m": metres, "time_s": seconds})
}

/// The places of a board: rank, name, the first value.
fn places(board: &Value, value: &str) -> Vec<(u64, String, i64)> {
    let place = |place: &Value| {
        let name = place["name"].as_str().unwrap().to_owned();
        (place["rank"].as_u64().unwrap(), name, place["values"][value].as_i64().unwrap())
    };
    board["places"].as_array().unwrap().iter().map(place).collect()
}

fn sum(board: &Value) -> i64 {
    places(board, "distance_m").iter().map(|(_, _, metres)| metres).sum()
}

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

    let pace = club.get("/boards/runners.pace", Nobody).await;
    let pace: Vec<(String, i64)> =
        places(&pace, "pace_ms_per_km").into_iter().map(|(_, name, pace)| (name, pace)).collect();
    // Over all runs, and of who ran 5 km at least.
    let expected = [("Sora", 300_000), ("Alex", 309_997), ("민지", 333_333)];
    assert_eq!(pace, expected.map(|(name, pace)| (name.to_owned(), pace)));

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
    let ours = club.get("/boards/crews.members/mine", Runner("지훈")).await;
    assert_eq!((&ours["rank"], &ours["places"][0]["mine"]), (&json!(1), &json!(true)));
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
    let alone = club.run("지훈", 5_000, 1_500).await;
    assert!(alone.get("crew").is_none(), "{alone}");
    assert_eq!(club.get("/boards/crews.distance", Nobody).await["total"], 2);
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
    assert_eq!(other.status(), StatusCode::CONFLICT);
    // The same key of somebody else is another run.
    let other: Value = send("Alex", &body).await.unwrap().json().await.unwrap();
    assert_ne!(other["id"], ids[0]);
    assert_eq!(club.get("/runs", Runner("민지")).await.as_array().unwrap().len(), 1);

    // Whoever runs these tests at dawn earns one more.
    let but_dawn =
        |news: &Value| news.as_array().unwrap().iter().filter(|each| each["badge"] != "dawn").count();
    let news = club.until("/news", Nobody, |news| but_dawn(news) == 4).await;
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
    for (runner, key, body) in &runs {
        let answer =
            club.send(Method::POST, "/runs", Runner(runner), Some(key), Some(body.clone())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
    }
    let board = club.until("/boards/runners.distance", Nobody, |board| sum(board) == 120_000).await;
    assert_eq!(board["total"], 6);
    let news = club.until("/news", Nobody, |news| news.as_array().unwrap().len() >= 6).await;
    let first = news.as_array().unwrap().iter().filter(|each| each["badge"] == "first_run").count();
    assert_eq!(first, 6, "{news}");
}

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
async fn scheduled_jobs_run_and_organisers_see_what_became_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start_with(folder.path(), |command| {
        command.args(["--weekly", "* * * * * *"]);
    });
    let jobs = club.until("/jobs", Organiser, |jobs| jobs[0]["status"] == "done").await;
    assert_eq!((&jobs[0]["job"], &jobs[0]["attempts"]), (&json!("weekly-recap"), &json!(1)));
    assert_eq!(club.ask(Method::GET, "/jobs", Runner("민지"), None).await.0, StatusCode::FORBIDDEN);
    assert_eq!(club.ask(Method::GET, "/jobs", Nobody, None).await.0, StatusCode::UNAUTHORIZED);
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

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    let at = |began_at: &str, metres: i64, seconds: i64| {
        Some(json!({"began_at": began_at, "distance_m": metres, "time_s": seconds}))
    };
    let (post, get, put) = (Method::POST, Method::GET, Method::PUT);
    let with = |name: &str, value: Value| {
        let mut body = run(10_000, 3_000);
        body[name] = value;
        Some(body)
    };
    for (method, path, who, body, status) in [
        (&post, "/runs", Nobody, Some(run(10_000, 3_000)), 401),
        (&post, "/runs", Runner("a"), Some(run(10_000, 1_000)), 422),
        (&post, "/runs", Runner("a"), Some(run(50, 60)), 422),
        (&post, "/runs", Runner("a"), at("2031-01-01T00:00:00Z", 5_000, 1_500), 422),
        (&post, "/runs", Runner("a"), at("1999-01-01T00:00:00Z", 5_000, 1_500), 422),
        (&post, "/runs", Runner("a"), at("어제", 5_000, 1_500), 422),
        (&post, "/runs", Runner("a"), with("runner", json!("b")), 422),
        (&post, "/runs", Runner("a"), with("distance_m", json!(1e40)), 422),
        (&post, "/runs", Runner("a"), Some(json!([])), 422),
        (&post, "/crews", Runner("a"), Some(json!({"name": " "})), 422),
        (&post, "/crews", Runner("a"), Some(json!({"name": "a\nb"})), 422),
        (&post, "/crews", Runner("a"), Some(json!({"name": "가".repeat(51)})), 422),
        (&put, "/me/crew", Nobody, Some(json!({"crew": "a"})), 401),
        (&get, "/me", Nobody, None, 401),
        (&get, "/runs", Nobody, None, 401),
        (&get, "/runs?after=x", Runner("a"), None, 400),
        (&get, "/runs?limit=0", Runner("a"), None, 400),
        (&get, "/runs?whose=b", Runner("a"), None, 400),
        (&get, "/boards/runners.luck", Nobody, None, 404),
        (&get, "/boards/runners.distance?span=year", Nobody, None, 400),
        (&get, "/boards/runners.distance?on=yesterday", Nobody, None, 400),
        (&get, "/boards/runners.distance?on=9999-12-31", Nobody, None, 400),
        (&get, "/boards/runners.distance?after=-1", Nobody, None, 400),
        (&get, "/boards/runners.distance/mine?neighbours=51", Runner("a"), None, 400),
        (&get, "/boards/runners.distance/mine", Nobody, None, 401),
        (&post, "/recaps", Organiser, Some(json!({"span": "year"})), 422),
        (&post, "/tokens", Nobody, Some(json!({"name": "a", "role": "organiser"})), 403),
        (&put, "/runs", Runner("a"), Some(json!({})), 405),
        (&get, "/nowhere", Nobody, None, 404),
    ] {
        let (found, problem) = club.ask(method.clone(), path, who, body).await;
        assert_eq!(found.as_u16(), status, "{method} {path}: {problem}");
        assert!(problem["hint"].is_string() && problem["detail"].is_string(), "{method} {path}: {problem}");
    }
    let large = json!({"name": "a".repeat(20_000)});
    assert_eq!(
        club.ask(Method::POST, "/crews", Runner("a"), Some(large)).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let forged = Keys::new("another key, of more than 32 bytes, too", "running_club").unwrap();
    let forged = forged.issue("운영진", "organiser", Duration::from_mins(1)).unwrap();
    let answer = club.client.get(club.service.url("/jobs")).bearer_auth(forged).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let key = club.send(Method::POST, "/runs", Runner("a"), Some("\u{7f}"), Some(run(5_000, 1_500))).await;
    assert!(key.is_err() || key.unwrap().status() == StatusCode::BAD_REQUEST);

    let page = club.client.get(club.service.url("/")).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    let openapi = club.get("/openapi.json", Nobody).await;
    assert!(openapi["paths"]["/boards/{board}/mine"]["get"]["responses"]["404"].is_object());
}
