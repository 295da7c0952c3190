//! Recaps, as scheduled and as asked for.

use super::*;

#[tokio::test]
async fn a_key_stands_for_the_recaps_that_were_asked_for_under_it() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start(folder.path());
    let ask = async |key, span: &str| {
        let wanted = Some(json!({"span": span}));
        let answer = club.send(Method::POST, "/recaps", Organiser, key, wanted).await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let (status, week) = ask(Some("\"now\""), "week").await;
    assert_eq!((status, &week["span"]), (StatusCode::ACCEPTED, &json!("week")));
    assert_eq!(ask(Some("\"now\""), "week").await, (StatusCode::ACCEPTED, week.clone()), "answered alike");
    let (status, problem) = ask(Some("\"now\""), "month").await;
    assert_eq!(
        (status, &problem["kind"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("invalid_input")),
        "{problem}"
    );
    for key in [Some("\"another\""), None] {
        let (status, month) = ask(key, "month").await;
        assert_eq!((status, &month["span"]), (StatusCode::ACCEPTED, &json!("month")));
    }
    let openapi = club.get("/openapi.json", Nobody).await;
    assert!(openapi["paths"]["/recaps"]["post"]["responses"]["409"].is_object());
}

#[test]
fn a_schedule_that_would_close_nothing_is_refused_at_the_start() {
    for (option, schedule, is_good) in [
        ("--weekly", "0 3 * * MON", false),
        ("--weekly", "59 7 * * MON", false),
        ("--weekly", "0 8 * * MON", true),
        ("--weekly", "0 3,9 * * MON", true),
        ("--weekly", "0 1 * * MON", true),
        ("--monthly", "0 2 1 * *", false),
        ("--monthly", "0 0 2 * *", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let serve = |command: &mut Command| {
            command.args(["serve", "--listen", "127.0.0.1:0", option, schedule, "--data"]).arg(folder.path());
        };
        match Running::start("running_club", serve) {
            Ok(_) => assert!(is_good, "{schedule} is taken"),
            Err(error) => {
                let error = error.to_string();
                assert!(!is_good && error.contains(schedule) && error.contains("close nothing"), "{error}");
            }
        }
    }
}

#[test]
fn a_club_stays_in_the_zone_in_which_it_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let open = |zone: &str| {
        let serve = |command: &mut Command| {
            command.args(["serve", "--listen", "127.0.0.1:0", "--zone", zone, "--data"]).arg(folder.path());
        };
        Running::start("running_club", serve).map(drop).map_err(|error| error.to_string())
    };
    open("Pacific/Kiritimati").unwrap();
    let error = open("Asia/Seoul").unwrap_err();
    assert!(error.contains("Pacific/Kiritimati") && error.contains("Asia/Seoul"), "{error}");
    open("Pacific/Kiritimati").unwrap();
}

#[tokio::test]
async fn scheduled_jobs_run_and_organisers_see_what_became_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let club = Club::start_with(folder.path(), |command| {
        command.args(["--weekly", "* * * * * *"]);
    });
    let jobs = club.until("/jobs", Organiser, |jobs| jobs[0]["status"] == "done").await;
    assert_eq!((&jobs[0]["job"], &jobs[0]["attempts"]), (&json!("weekly-recap"), &json!(1)));
    club.until("/jobs", Organiser, |jobs| jobs.as_array().unwrap().len() >= 3).await;
    let jobs = paged(&club, "/jobs?limit=1", Organiser).await;
    let due: Vec<&str> = jobs.as_array().unwrap().iter().map(|job| job["due"].as_str().unwrap()).collect();
    assert!(due.len() >= 3 && due.is_sorted_by(|one, other| one > other), "{jobs}");
    assert_eq!(club.ask(Method::GET, "/jobs", Runner("민지"), None).await.0, StatusCode::FORBIDDEN);
    assert_eq!(club.ask(Method::GET, "/jobs", Nobody, None).await.0, StatusCode::UNAUTHORIZED);
}
