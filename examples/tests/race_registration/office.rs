//! Organisers: their races, decisions, lots and news.

use super::*;

#[tokio::test]
async fn an_organiser_decides_about_the_own_races_alone() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let (race, lottery) = (desk.race("first_come", 2).await, desk.race("lottery", 1).await);
    desk.answer_all(&race, "민수", None).await;
    let rows = desk.get("/registrations", Organiser).await;
    let id = rows[0]["id"].as_str().unwrap();
    assert_eq!(desk.get("/registrations", OtherOrganiser).await, json!([]));
    let why = Some(json!({"why": "a false name"}));
    let cancel = Some(json!({"decision": "cancel", "why": "no"}));
    for (method, path, body) in [
        (Method::GET, format!("/registrations/{id}"), None),
        (Method::POST, format!("/registrations/{id}/decisions"), cancel),
        (Method::PUT, format!("/races/{race}/barred/민수"), why.clone()),
        (Method::DELETE, format!("/races/{race}/barred/민수"), None),
        (Method::GET, format!("/races/{race}/barred"), None),
        (Method::POST, format!("/races/{lottery}/draw"), None),
    ] {
        let (status, problem) = desk.ask(method, &path, OtherOrganiser, body).await;
        assert_eq!(
            (status, problem["detail"].as_str()),
            (StatusCode::FORBIDDEN, Some("this is another organiser's race"))
        );
    }

    let long = format!("/races/{race}/barred/{}", "가".repeat(101));
    assert_eq!(
        desk.ask(Method::PUT, &long, Organiser, why.clone()).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let nul = format!("/races/{race}/barred/a%00");
    assert_eq!(desk.ask(Method::PUT, &nul, Organiser, why.clone()).await.0, StatusCode::NOT_FOUND);
    let barred = format!("/races/{race}/barred/Jane");
    let first = Some(json!({"why": "a wrong reason"}));
    for why in [first, why] {
        assert_eq!(desk.ask(Method::PUT, &barred, Organiser, why).await.0, StatusCode::NO_CONTENT);
    }
    // a name has no blanks around it, whichever way it is written
    let blank = format!("/races/{race}/barred/%20Jane%20");
    assert_eq!(desk.ask(Method::DELETE, &blank, Organiser, None).await.0, StatusCode::NO_CONTENT);
    let again = Some(json!({"why": "a false name"}));
    assert_eq!(desk.ask(Method::PUT, &blank, Organiser, again).await.0, StatusCode::NO_CONTENT);
    let bars = json!([{"runner": "Jane", "who": "지영", "why": "a false name"}]);
    assert_eq!(desk.get(&format!("/races/{race}/barred"), Organiser).await, bars);
    assert_eq!(desk.ask(Method::DELETE, &barred, Organiser, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(desk.ask(Method::DELETE, &barred, Organiser, None).await.0, StatusCode::NOT_FOUND);
    let view = desk.get(&format!("/races/{race}/registration"), Runner("민수")).await;
    assert_eq!(view["status"], "waiting", "nobody else has decided");
}

#[tokio::test]
async fn a_race_that_is_sent_again_under_its_key_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race =
        |places: u32| json!({"name": "서울마라톤", "kind": "lottery", "places": places, "price_krw": 1});
    let make = async |who, key, places| {
        let answer = desk.send(Method::POST, "/races", who, key, Some(race(places))).await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap()["id"].clone())
    };
    let made = make(Organiser, Some("one"), 1).await;
    assert_eq!(made.0, StatusCode::CREATED);
    let (again, at_once) = tokio::join!(make(Organiser, Some("one"), 1), async {
        tokio::join!(make(Organiser, Some("two"), 1), make(Organiser, Some("two"), 1))
    });
    assert_eq!((again, &at_once.0), (made, &at_once.1));
    assert_eq!(make(Organiser, Some("one"), 2).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(make(Organiser, Some(""), 2).await.0, StatusCode::BAD_REQUEST);
    // somebody else's key is another, and without one each is a race of its own
    for (who, key) in [(OtherOrganiser, Some("one")), (Organiser, None), (Organiser, None)] {
        assert_eq!(make(who, key, 1).await.0, StatusCode::CREATED);
    }
    assert_eq!(desk.get("/races", Nobody).await.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn lists_come_page_by_page_each_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(desk.race("first_come", 3).await);
    }
    let other = json!({"name": "부산마라톤", "kind": "first_come", "places": 9, "price_krw": 1});
    made.push(desk.post("/races", OtherOrganiser, other).await["id"].as_str().unwrap().to_owned());
    for runner in ["민수", "Jane", "하나"] {
        for race in [&made[0], &made[5]] {
            desk.answer_all(race, runner, None).await;
            desk.until(race, runner, "waiting").await;
        }
    }
    let (sizes, races) = desk.pages("/races?limit=4", Nobody).await;
    let ids: Vec<_> = races.iter().map(|race| race["id"].as_str().unwrap()).collect();
    made.reverse();
    assert_eq!((sizes, ids), (vec![4, 2], made.iter().map(String::as_str).collect()));
    let places: Vec<_> = races.iter().map(|race| (race["held"].clone(), race["free"].clone())).collect();
    assert_eq!(
        (&places[0], &places[1], &places[5]),
        (&(json!(3), json!(6)), &(json!(0), json!(3)), &(json!(3), json!(0)))
    );

    let (sizes, rows) = desk.pages("/registrations?limit=2", Organiser).await;
    let mut runners: Vec<_> = rows.iter().map(|row| row["runner"].as_str().unwrap()).collect();
    runners.sort_unstable();
    assert_eq!((sizes, runners), (vec![2, 1], vec!["Jane", "민수", "하나"]));
    assert!(rows.iter().all(|row| row["race_name"] == "서울마라톤"), "{rows:?}");

    for runner in ["a", "b/c", "라"] {
        let path = format!("/races/{}/barred/{}", made[5], support::query::url_encoded(runner));
        let why = Some(json!({"why": "a false name"}));
        assert_eq!(desk.ask(Method::PUT, &path, Organiser, why).await.0, StatusCode::NO_CONTENT);
    }
    let (sizes, bars) = desk.pages(&format!("/races/{}/barred?limit=1", made[5]), Organiser).await;
    let barred: Vec<_> = bars.iter().map(|bar| bar["runner"].as_str().unwrap()).collect();
    assert_eq!((sizes, barred), (vec![1, 1, 1], vec!["a", "b/c", "라"]));
}

#[tokio::test]
async fn an_operator_decides_with_who_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race = desk.race("first_come", 5).await;
    // the mailbox cannot exist: after the confirmation nothing is undone, and a person has to decide
    let view = desk.answer_all(&race, "Jane", Some("jane@mail.invalid")).await;
    desk.paid("evt-1", &view["payment"]["id"], 35_000).await.unwrap();
    let view = desk.until(&race, "Jane", "needs_operator").await;
    assert_eq!((&view["step"], &view["reason"]), (&json!("notify"), &json!("the mailbox does not exist")));
    let stuck = desk.get("/registrations?status=needs_operator", Organiser).await;
    assert_eq!(stuck.as_array().unwrap().len(), 1);
    let decisions = format!("/registrations/{}/decisions", view["id"].as_str().unwrap());
    let decide = |decision: &str| Some(json!({"decision": decision, "why": "전화로 알렸음"}));
    assert_eq!(
        desk.ask(Method::POST, &decisions, Runner("Jane"), decide("skip")).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(desk.ask(Method::POST, &decisions, Organiser, decide("cancel")).await.0, StatusCode::CONFLICT);
    let blank = Some(json!({"decision": "skip", "why": " "}));
    assert_eq!(
        desk.ask(Method::POST, &decisions, Organiser, blank).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let retried = desk.post(&decisions, Organiser, decide("retry").unwrap()).await;
    assert_eq!(retried["status"], "needs_operator");
    let detail = desk.post(&decisions, Organiser, decide("skip").unwrap()).await;
    assert_eq!(detail["status"], "completed");
    let told: Vec<_> = detail["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["decision"].as_str().unwrap(),
                one["who"].as_str().unwrap(),
                one["why"].as_str().unwrap(),
                one["step"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("retry", "지영", "전화로 알렸음", "notify"), ("skip", "지영", "전화로 알렸음", "notify")]
    );

    // back to before the place, and on again with a new payment
    let view = desk.answer_all(&race, "민수", None).await;
    let decisions = format!("/registrations/{}/decisions", view["id"].as_str().unwrap());
    desk.post(&decisions, Organiser, decide("place_anew").unwrap()).await;
    let anew = desk.until(&race, "민수", "waiting").await;
    assert_ne!(anew["payment"]["id"], view["payment"]["id"]);
    assert_eq!(desk.places(&race).await, (1, 1));
    // undone by the organiser, and by the runner
    let why = "withdrawn by the runner";
    let cancel = Some(json!({"decision": "cancel", "why": why}));
    let request = desk.request(Method::POST, &decisions, Organiser).header("accept-language", "ko");
    let cancelled: Value = request.json(&cancel).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&cancelled["status"], &cancelled["payment"]["state"]),
        (&json!("compensated"), &json!("cancelled"))
    );
    let last = cancelled["decisions"].as_array().unwrap().last();
    assert_eq!(last.unwrap()["why"], why, "an organiser's words are not translated");
    let view = desk.get(&format!("/races/{race}/registration"), Runner("민수")).await;
    assert_eq!(view["cancelled"], json!({"by": "organiser", "why": why}));
    desk.answer_all(&race, "지우", None).await;
    let (status, view) =
        desk.ask(Method::DELETE, &format!("/races/{race}/registration"), Runner("지우"), None).await;
    assert_eq!((status, &view["status"]), (StatusCode::OK, &json!("compensated")));
    assert_eq!(view["cancelled"], json!({"by": "runner", "why": null}));
    assert_eq!(desk.places(&race).await, (0, 1));
    // the organiser's list says so, too, of races of either kind
    let lottery = desk.race("lottery", 1).await;
    let entered = desk.answer_all(&lottery, "하나", None).await;
    let cancel = Some(json!({"decision": "cancel", "why": "두 번 접수함"}));
    let decisions = format!("/registrations/{}/decisions", entered["id"].as_str().unwrap());
    assert_eq!(desk.ask(Method::POST, &decisions, Organiser, cancel).await.0, StatusCode::OK);
    let rows = desk.get("/registrations", Organiser).await;
    let told: HashMap<&str, &Value> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["runner"].as_str().unwrap(), &row["cancelled"]))
        .collect();
    assert_eq!(told["민수"], &json!({"by": "organiser", "why": why}));
    assert_eq!(told["지우"], &json!({"by": "runner", "why": null}));
    assert_eq!(told["하나"], &json!({"by": "organiser", "why": "두 번 접수함"}));
    assert_eq!(told["Jane"], &Value::Null, "nobody took it back");
    // who begins anew is not told of what was
    let path = format!("/races/{race}/registration");
    desk.post(&path, Runner("지우"), json!({"again": true})).await;
    let rows = desk.get("/registrations", Organiser).await;
    let again = rows.as_array().unwrap().iter().find(|row| row["runner"] == "지우").unwrap();
    assert_eq!(again["cancelled"], Value::Null);
}

#[tokio::test]
async fn lots_are_drawn_once_anybody_can_draw_again_and_the_next_is_called_up() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race = desk.race("lottery", 2).await;
    let before = desk.get(&format!("/races/{race}"), Nobody).await;
    assert!(before["commitment"].is_string());
    let runners = ["민수", "Jane", "지우", "Alex"];
    for runner in runners {
        let view = desk.answer_all(&race, runner, None).await;
        assert_eq!(view["next"], "drawn");
    }
    // nobody is drawn by saying so
    let said = json!({"answer": "drawn", "value": {"rank": 1}});
    let path = format!("/races/{race}/registration");
    assert_eq!(
        desk.ask(Method::POST, &path, Runner("민수"), Some(said)).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let at = format!("/races/{race}/draw");
    assert_eq!(desk.ask(Method::GET, &at, Nobody, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(desk.ask(Method::POST, &at, Runner("민수"), None).await.0, StatusCode::FORBIDDEN);
    let draw = desk.post(&at, Organiser, json!({})).await;
    assert_eq!(draw, desk.post(&at, Organiser, json!({})).await);
    assert_eq!(draw, desk.get(&at, Nobody).await);

    let entrants = Entrants::new(draw["entrants"].as_str().unwrap().lines()).unwrap();
    assert_eq!(entrants.names().len(), 4);
    let published: Draw = serde_json::from_value(json!({
        "algorithm": draw["algorithm"], "seed": draw["seed"], "entrants": draw["digest"],
        "places": draw["places"], "winners": draw["winners"], "waiting": draw["waiting"],
    }))
    .unwrap();
    published.verify(&entrants).unwrap();
    assert_eq!(published.seed.commitment(), before["commitment"]);

    // two are asked to pay, two wait
    let paying = desk.paying(&race, 2).await;
    // who comes after the draw is too late
    let late = desk.answer_all(&race, "늦은이", None).await;
    assert_eq!(
        (&late["status"], &late["reason"]),
        (&json!("compensated"), &json!("the lots are drawn already"))
    );
    // one gives up, and the first who waits is called up without anybody asking
    desk.ask(Method::DELETE, &path, Runner(paying[0]), None).await;
    let next = format!("/registrations/{}", published.waiting[0]);
    desk.0.until(&next, Organiser, |detail| detail["next"] == "payment_completed").await;
    assert_eq!(desk.places(&race).await, (2, 0));
}

#[tokio::test]
async fn news_reach_the_organiser_and_each_runner_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race = desk.race("first_come", 3).await;
    let mut all = desk.send(Method::GET, "/registrations/events", Organiser, None, None).await.unwrap();
    let mut own = desk.send(Method::GET, "/registrations/events", Runner("Jane"), None, None).await.unwrap();
    desk.answer_all(&race, "민수", None).await;
    desk.answer_all(&race, "Jane", None).await;
    let until = async |stream: &mut Response, mark: &str| {
        let mut told = String::new();
        while !told.contains(mark) {
            let piece = tokio::time::timeout(Duration::from_secs(20), stream.chunk()).await;
            let Ok(Ok(Some(piece))) = piece else { panic!("{mark} is not told: {told}") };
            told.push_str(std::str::from_utf8(&piece).unwrap());
        }
        told
    };
    let mut more = Vec::new();
    for _ in 1..20 {
        more.push(desk.send(Method::GET, "/registrations/events", Runner("Jane"), None, None).await.unwrap());
    }
    let refused = desk.send(Method::GET, "/registrations/events", Runner("Jane"), None, None).await.unwrap();
    assert_eq!(more.iter().filter(|news| news.status() == 200).count(), 19);
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"10".parse().unwrap()));
    let told =
        until(&mut all, "\"runner\":\"Jane\",\"status\":\"waiting\",\"step\":\"payment_completed\"").await;
    assert!(told.contains("event: changed") && told.contains("\"runner\":\"민수\""), "{told}");
    let told = until(&mut own, "\"step\":\"payment_completed\"").await;
    assert!(told.contains("Jane") && !told.contains("민수"), "{told}");
}

#[tokio::test]
async fn whoever_has_many_names_listens_no_more_than_a_network_may() {
    let folder = tempfile::tempdir().unwrap();
    // Of so many open files half are for those who listen, and of these a quarter for one network.
    let configure = |command: &mut Command| {
        let mut bounded = Command::new("sh");
        bounded
            .args(["-c", "ulimit -n 160 && exec \"$0\" \"$@\""])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => bounded.env(name, value),
                None => bounded.env_remove(name),
            };
        }
        bounded.stdout(Stdio::null()).stderr(Stdio::piped());
        *command = bounded;
        command.env(support::client::PROXIES, "1");
    };
    let desk = Races(Desk::start("race_registration", folder.path(), &[], configure));
    let listen = async |name: &'static str, address: &str| {
        let request = desk.request(Method::GET, "/registrations/events", Runner(name));
        request.header("x-forwarded-for", address).header("accept-language", "ko").send().await.unwrap()
    };
    let mut listening = Vec::new();
    for name in ["a", "b"] {
        for _ in 0..10 {
            listening.push(listen(name, "192.0.2.1").await);
        }
    }
    assert!(listening.iter().all(|answer| answer.status() == 200));
    let refused = listen("c", "192.0.2.1").await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"10".parse().unwrap()));
    let problem: Value = refused.json().await.unwrap();
    for part in ["detail", "hint"] {
        let text = problem[part].as_str().unwrap();
        assert!(text.chars().any(|letter| ('가'..='힣').contains(&letter)), "{problem}");
    }
    assert_eq!(listen("c", "192.0.2.2").await.status(), 200, "another network has places of its own");
    listening.truncate(19);
    let deadline = Instant::now() + Duration::from_secs(30);
    while listen("c", "192.0.2.1").await.status() != 200 {
        assert!(Instant::now() < deadline, "the place of who has gone is not free");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
