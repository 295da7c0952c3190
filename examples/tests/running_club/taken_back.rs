//! Runs that were recorded by mistake, and how far boards and achievements are behind.

use pumasi_core::event::{Envelope, EventBus as _, EventId, SqliteBus, State};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::*;

async fn take_back(club: &Club, who: Who<'_>, run: &Value) -> (StatusCode, Value) {
    club.ask(Method::DELETE, &format!("/runs/{}", run["id"].as_str().unwrap()), who, None).await
}

async fn table(folder: &Path) -> SqliteConnection {
    let file = SqliteConnectOptions::new().filename(folder.join("club.sqlite"));
    SqliteConnection::connect_with(&file).await.unwrap()
}

fn earned(badges: &Value) -> Vec<&str> {
    let earned = badges.as_array().unwrap().iter().filter(|badge| badge.get("earned_at").is_some());
    earned.map(|badge| badge["badge"].as_str().unwrap()).filter(|badge| *badge != "dawn").collect()
}

#[tokio::test]
async fn a_run_that_is_taken_back_counts_nowhere_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    let found = club.ask(Method::POST, "/crews", Runner("민지"), Some(json!({"name": "한강러너스"}))).await;
    assert_eq!(found.0, StatusCode::CREATED, "{}", found.1);
    let stays = club.run("민지", 6_000, 1_800).await;
    let goes = club.run("민지", 20_000, 2_700).await;
    club.run("Alex", 9_000, 2_000).await;
    assert_eq!((&stays["can_be_taken_back"], &goes["can_be_taken_back"]), (&json!(true), &json!(true)));
    club.until("/boards/runners.distance", Nobody, |board| sum(board) == 35_000).await;
    club.until("/achievements", Runner("민지"), |badges| earned(badges) == ["first_run", "ten_k"]).await;
    club.ask(Method::POST, "/recaps", Organiser, Some(json!({"span": "week"}))).await;
    let metres = |recaps: &Value| recaps[0]["figures"]["distance_m"].clone();
    club.until("/recaps", Runner("민지"), |recaps| metres(recaps) == 26_000).await;

    let (status, problem) = take_back(&club, Runner("Alex"), &goes).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
    assert_eq!(take_back(&club, Organiser, &goes).await.0, StatusCode::NOT_FOUND);
    assert_eq!(take_back(&club, Nobody, &goes).await.0, StatusCode::UNAUTHORIZED);
    let (status, problem) = take_back(&club, Runner("민지"), &goes).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{problem}");
    assert_eq!(take_back(&club, Runner("민지"), &goes).await.0, StatusCode::NOT_FOUND, "it is gone");

    for span in ["week", "month"] {
        let board = format!("/boards/runners.distance?span={span}");
        let board = club.until(&board, Nobody, |board| sum(board) == 15_000).await;
        let expected = [(1, "Alex".to_owned(), 9_000), (2, "민지".to_owned(), 6_000)];
        assert_eq!(places(&board, "distance_m"), expected, "{span}");
        let path = format!("/boards/crews.attendance?span={span}");
        let crew = club.until(&path, Nobody, |board| sum(board) == 6_000).await;
        assert_eq!(crew["places"][0]["values"], json!({"attendance": 1, "members": 1, "distance_m": 6_000}));
        let pace = format!("/boards/runners.pace?span={span}");
        club.until(&pace, Nobody, |board| {
            places(board, "pace_ms_per_km").contains(&(2, "민지".to_owned(), 300_000))
        })
        .await;
    }
    club.until("/achievements", Runner("민지"), |badges| earned(badges) == ["first_run"]).await;
    assert_eq!(club.get("/recaps", Runner("민지")).await, json!([]), "what there was so far told of it");
    club.ask(Method::POST, "/recaps", Organiser, Some(json!({"span": "week"}))).await;
    club.until("/recaps", Runner("민지"), |recaps| metres(recaps) == 6_000).await;
    let runs = club.get("/runs", Runner("민지")).await;
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["id"]), (1, &stays["id"]));

    // The last one, too.
    assert_eq!(take_back(&club, Runner("민지"), &stays).await.0, StatusCode::NO_CONTENT);
    let board = club.until("/boards/runners.distance", Nobody, |board| sum(board) == 9_000).await;
    assert_eq!(board["total"], 1);
    club.until("/boards/crews.members", Nobody, |board| board["total"] == 0).await;
    club.until("/achievements", Runner("민지"), |badges| earned(badges).is_empty()).await;
    let metrics = club.client.get(club.service.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("club_runs_taken_back_total 2\n"), "{metrics}");
}

#[tokio::test]
async fn what_was_taken_back_before_a_kill_is_gone_after_it_and_stays_gone() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    let stays = club.run("민지", 5_000, 1_500).await;
    let body = run(30_000, 7_000);
    let send = async |club: &Club| {
        let sent =
            club.send(Method::POST, "/runs", Runner("민지"), Some("\"wrong\""), Some(body.clone())).await;
        sent.unwrap().json::<Value>().await.unwrap()
    };
    let goes = send(&club).await;
    assert_eq!(take_back(&club, Runner("민지"), &goes).await.0, StatusCode::NO_CONTENT);
    club.service.signal("-KILL").unwrap();

    let club = Club::start(folder.path());
    club.until("/followers", Nobody, |all| all.as_array().unwrap().iter().all(|each| each["waiting"] == 0))
        .await;
    club.until("/boards/runners.distance", Nobody, |board| sum(board) == 5_000).await;
    // The phone sends it again, as it does when it was not answered: that stands for the run that was taken back.
    assert_eq!(send(&club).await["id"], goes["id"]);
    let runs = club.get("/runs", Runner("민지")).await;
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["id"]), (1, &stays["id"]));
    assert_eq!(sum(&club.get("/boards/runners.distance", Nobody).await), 5_000);
}

#[tokio::test]
async fn a_run_of_a_closed_week_or_month_stays() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    let old = club.run("민지", 5_000, 1_500).await;
    let late = club.run("민지", 6_000, 1_800).await;
    let mut table = table(folder.path()).await;
    let ago = 70 * 24 * 3600 * 1_000_000_i64;
    for (set, run) in [
        ("began_at = began_at - $1, recorded_at = recorded_at - $1", &old),
        ("began_at = began_at - $1", &late),
    ] {
        let update = format!("UPDATE runs SET {set} WHERE id = $2");
        let update = sqlx::query(sqlx::AssertSqlSafe(update)).bind(ago).bind(run["id"].as_str().unwrap());
        update.execute(&mut table).await.unwrap();
    }
    let runs = club.get("/runs", Runner("민지")).await;
    let can: Vec<(&Value, &Value)> =
        runs.as_array().unwrap().iter().map(|run| (&run["id"], &run["can_be_taken_back"])).collect();
    assert!(
        can.contains(&(&old["id"], &json!(false))) && can.contains(&(&late["id"], &json!(true))),
        "{runs}"
    );
    let (status, problem) = take_back(&club, Runner("민지"), &old).await;
    assert_eq!((status, &problem["kind"]), (StatusCode::CONFLICT, &json!("closed")), "{problem}");
    // What came too late for any board was on none.
    assert_eq!(take_back(&club, Runner("민지"), &late).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn boards_and_achievements_say_how_far_they_are_behind_the_runs() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    club.run("민지", 5_000, 1_500).await;
    let is_all_there = |all: &Value| {
        *all == json!(
            ["boards", "achievements"].map(|name| json!({"follower": name, "waiting": 0, "lag_ms": 0}))
        )
    };
    club.until("/followers", Nobody, is_all_there).await;

    // A run is in the table, and its event has not come.
    let (mut table, id) = (table(folder.path()).await, EventId::random());
    let now: Timestamp = SystemTime::now().into();
    let began = Timestamp::from_micros(now.as_micros() - 3_600_000_000);
    for follower in ["boards", "achievements"] {
        let waits = "INSERT INTO waiting_events (follower, event, at) VALUES ($1, $2, $3)";
        let waits = sqlx::query(waits).bind(follower).bind(id.to_string()).bind(now.as_micros());
        waits.execute(&mut table).await.unwrap();
    }
    let is_behind = |all: &Value| {
        let mut all = all.as_array().unwrap().iter();
        all.all(|each| each["waiting"] == 1 && each["lag_ms"].as_u64().unwrap() > 2_500)
    };
    club.until("/followers", Nobody, is_behind).await;
    for path in ["/boards/runners.distance", "/boards/crews.distance/mine"] {
        let board = club.get(path, Runner("민지")).await;
        assert!(board["waiting"] == 1 && board["lag_ms"].as_u64().unwrap() > 2_500, "{board}");
    }
    for follower in ["boards", "achievements"] {
        let waiting = format!("club_waiting_events{{follower=\"{follower}\"}} 1\n");
        club.metrics(&[&waiting, &format!("club_lag_seconds{{follower=\"{follower}\"}} ")]).await;
    }

    let run = json!({"id": id.to_string(), "runner": "민지", "crew": null, "began_at": began, "distance_m": 3_000, "time_s": 900,
        "recorded_at": now});
    let event = Envelope::new("club.runs", "민지", State::Created, 1).with_id(id).with_occurred_at(now);
    let bus = SqliteBus::open(folder.path().join("events.sqlite")).await.unwrap();
    bus.publish(&[event.with_payload(&run).unwrap()]).await.unwrap();
    club.until("/followers", Nobody, is_all_there).await;
    assert_eq!(sum(&club.get("/boards/runners.distance", Nobody).await), 8_000);
    // A board is shown also while that cannot be told.
    sqlx::query("ALTER TABLE waiting_events RENAME TO elsewhere").execute(&mut table).await.unwrap();
    let (status, problem) = club.ask(Method::GET, "/followers", Nobody, None).await;
    assert!(status.is_server_error(), "{problem}");
    assert_eq!(sum(&club.get("/boards/runners.distance", Nobody).await), 8_000);
}

#[tokio::test]
async fn runs_beside_those_of_boards_that_did_not_keep_them_stay() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    let run = club.run("민지", 5_000, 1_500).await;
    assert_eq!(run["can_be_taken_back"], true);
    club.service.signal("-KILL").unwrap();
    // As of a club whose tables are older.
    let mut table = table(folder.path()).await;
    let forget = "DELETE FROM settings WHERE name = 'kept_after'";
    assert_eq!(sqlx::query(forget).execute(&mut table).await.unwrap().rows_affected(), 1);
    table.close().await.unwrap();

    let club = Club::start(folder.path());
    let new = club.run("민지", 3_000, 900).await;
    assert_eq!(new["can_be_taken_back"], false);
    for run in [&run, &new] {
        let (status, problem) = take_back(&club, Runner("민지"), run).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    }
    club.until("/boards/runners.distance", Nobody, |board| sum(board) == 8_000).await;
}
