//! Runners: from the terms to the bib, or undone.

use super::*;

#[tokio::test]
async fn a_withdrawal_is_answered_as_done_only_where_everything_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race = desk.race("first_come", 20).await;
    let path = format!("/races/{race}/registration");
    let runners = ["가", "나", "다", "라", "마", "바", "사", "아", "자", "차", "카", "타"];
    let mut answered = Vec::new();
    for (place, runner) in (0..).zip(runners) {
        let view = desk.answer_all(&race, runner, None).await;
        // The first has not paid, the last is confirmed, and the others are at another moment of the confirmation each.
        if place > 0 {
            desk.paid(&format!("evt-{place}"), &view["payment"]["id"], 35_000).await.unwrap();
        }
        if runners.last() == Some(&runner) {
            desk.until(&race, runner, "completed").await;
        }
        tokio::time::sleep(Duration::from_millis(place * 4)).await;
        let (status, answer) = desk.ask(Method::DELETE, &path, Runner(runner), None).await;
        let ended = |view: &Value| ["completed", "compensated"].contains(&view["status"].as_str().unwrap());
        let view = desk.0.until(&path, Runner(runner), ended).await;
        answered.push(status);
        match status {
            StatusCode::OK => {
                assert_eq!(
                    (&view["status"], &view["cancelled"]["by"]),
                    (&json!("compensated"), &json!("runner"))
                );
            }
            other => {
                assert_eq!((other, &view["status"]), (StatusCode::CONFLICT, &json!("completed")), "{answer}");
                assert_eq!(view["payment"]["state"], "paid");
            }
        }
    }
    let ends = (answered.first(), answered.last());
    assert_eq!(ends, (Some(&StatusCode::OK), Some(&StatusCode::CONFLICT)), "{answered:?}");
}

#[tokio::test]
async fn a_runner_is_led_from_the_terms_to_the_bib_by_one_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race = desk.race("first_come", 2).await;
    let path = format!("/races/{race}/registration");
    assert_eq!(desk.ask(Method::GET, &path, Runner("민수"), None).await.0, StatusCode::NOT_FOUND);
    let view = desk.post(&path, Runner("민수"), json!({})).await;
    assert_eq!((&view["status"], &view["next"]), (&json!("waiting"), &json!("agree_terms")));
    assert!(view["deadline"].is_string());
    let id = view["id"].clone();

    // what is refused is not recorded
    let refused = json!({"answer": "agree_terms", "value": {"agreed": false}});
    let (status, problem) = desk.ask(Method::POST, &path, Runner("민수"), Some(refused)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().unwrap().contains("nobody runs without agreeing"), "{problem}");
    assert_eq!(desk.get(&path, Runner("민수")).await["next"], "agree_terms");

    let view = desk.answer_all(&race, "민수", Some("minsu@example.com")).await;
    assert_eq!((&view["next"], &view["payment"]["state"]), (&json!("payment_completed"), &json!("started")));
    assert_eq!(desk.places(&race).await, (1, 0));
    // the same application again is the same registration, and holds one place
    let again = desk.answer_all(&race, "민수", Some("minsu@example.com")).await;
    assert_eq!((&again["id"], &again["payment"]["id"]), (&id, &view["payment"]["id"]));
    assert_eq!(desk.places(&race).await, (1, 0));

    // the gateway's event is answered alike however often it comes
    let payment = view["payment"]["id"].clone();
    let pay = format!("/payments/{}/pay", payment.as_str().unwrap());
    assert_eq!(desk.ask(Method::POST, &pay, Runner("민수"), None).await.0, StatusCode::FORBIDDEN);
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer = desk.paid("evt-1", &payment, 35_000).await.unwrap();
        answers.push((answer.status(), answer.text().await.unwrap()));
    }
    assert!(
        answers.iter().all(|answer| *answer == (StatusCode::OK, "{\"received\":true}".to_owned())),
        "{answers:?}"
    );
    let view = desk.until(&race, "민수", "completed").await;
    assert_eq!((&view["bib"], &view["payment"]["state"]), (&json!(1), &json!("paid")));
    assert!(looks(&view).iter().all(|(_, look)| *look == "done"), "{view}");
    assert_eq!(desk.places(&race).await, (0, 1));
    // money that comes twice is given back, and changes nothing
    assert_eq!(desk.paid("evt-2", &payment, 35_000).await.unwrap().status(), StatusCode::OK);
    assert_eq!(desk.get(&path, Runner("민수")).await["payment"]["state"], "paid");

    let listed = desk.get("/registrations?status=completed", Organiser).await;
    assert_eq!((&listed[0]["id"], &listed[0]["runner"]), (&id, &json!("민수")));
    let detail = desk.get(&format!("/registrations/{}", id.as_str().unwrap()), Organiser).await;
    assert!(
        detail["mermaid"].as_str().unwrap().contains("class u0,u1,u2,u3,u4,u5,u6,u7,u8 done"),
        "{detail}"
    );
    assert!(detail["history"].as_array().unwrap().len() > 5, "{detail}");
    // after the confirmation there is no way back, and no beginning anew
    assert_eq!(desk.ask(Method::DELETE, &path, Runner("민수"), None).await.0, StatusCode::CONFLICT);
    desk.post(&path, Runner("Jane"), json!({})).await;
    for runner in ["민수", "Jane"] {
        let (status, problem) =
            desk.ask(Method::POST, &path, Runner(runner), Some(json!({"again": true}))).await;
        let refused = (StatusCode::CONFLICT, Some("only a registration that was undone begins anew"));
        assert_eq!((status, problem["detail"].as_str()), refused);
    }
    let view = desk.get(&path, Runner("민수")).await;
    assert_eq!((&view["status"], &view["run"], &view["bib"]), (&json!("completed"), &json!(0), &json!(1)));
    assert_eq!((&view["payment"]["state"], desk.places(&race).await), (&json!("paid"), (0, 1)));
}

#[tokio::test]
async fn money_for_a_payment_that_is_being_cancelled_goes_back_and_undoes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &["--partner-delay-ms", "1500"]);
    let race = desk.race("first_come", 1).await;
    let path = format!("/races/{race}/registration");
    desk.answer_all(&race, "민수", None).await;
    let asked = |view: &Value| view["next"] == "payment_completed";
    let first = desk.0.until(&path, Runner("민수"), asked).await;
    let decisions = format!("/registrations/{}/decisions", first["id"].as_str().unwrap());
    let decide = desk.post(&decisions, Organiser, json!({"decision": "place_anew", "why": "다른 자리"}));
    let pay = async {
        // the gateway takes a while yet to cancel it
        desk.0.until(&path, Runner("민수"), |view| view["status"] == "compensating").await;
        desk.paid("evt-1", &first["payment"]["id"], 35_000).await.unwrap()
    };
    let (_, answer) = tokio::join!(decide, pay);
    assert_eq!(answer.status(), StatusCode::OK);
    let is_anew = |view: &Value| asked(view) && view["payment"]["id"] != first["payment"]["id"];
    let anew = desk.0.until(&path, Runner("민수"), is_anew).await;
    assert_eq!(desk.paid("evt-2", &anew["payment"]["id"], 35_000).await.unwrap().status(), StatusCode::OK);
    let done = desk.until(&race, "민수", "completed").await;
    assert_eq!((&done["payment"]["id"], &done["payment"]["state"]), (&anew["payment"]["id"], &json!("paid")));
}

#[tokio::test]
async fn an_answer_that_is_not_kept_is_refused_and_told_what_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race = desk.race("first_come", 1).await;
    let path = format!("/races/{race}/registration");
    let say = async |answer: &str, value: Value| {
        let said = json!({"answer": answer, "value": value});
        desk.ask(Method::POST, &path, Runner("민수"), Some(said)).await
    };
    let is_due = |(status, problem): (StatusCode, Value), due: &str| {
        assert_eq!(status, StatusCode::CONFLICT, "{problem}");
        assert!(problem["detail"].as_str().unwrap().ends_with(due), "{problem}");
    };
    let (terms, address) = (json!({"agreed": true}), json!({"city": "서울"}));
    // before its turn, where nothing is begun and where it is
    is_due(say("shipping_address", address.clone()).await, "agree_terms is due");
    assert_eq!(desk.ask(Method::GET, &path, Runner("민수"), None).await.0, StatusCode::NOT_FOUND);
    desk.post(&path, Runner("민수"), json!({})).await;
    is_due(say("shipping_address", address.clone()).await, "agree_terms is due");
    // with what nobody reads
    for (answer, value) in [
        ("agree_terms", json!({"agreed": true, "also": 1})),
        ("choose_souvenir", json!({"souvenir": "모자", "size": "M"})),
    ] {
        assert_eq!(say(answer, value).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(say("agree_terms", terms.clone()).await.0, StatusCode::OK);
    assert_eq!(say("choose_souvenir", json!({"souvenir": "모자"})).await.0, StatusCode::OK);
    // the same again, and another
    assert_eq!(say("agree_terms", terms).await.0, StatusCode::OK);
    assert_eq!(say("choose_souvenir", json!({"souvenir": "모자"})).await.1["next"], "shipping_address");
    is_due(say("choose_souvenir", json!({"souvenir": "티셔츠 M"})).await, "shipping_address is due");
    let nowhere = json!({"city": "서울", "email": null});
    assert_eq!(say("shipping_address", nowhere).await.0, StatusCode::OK);
    assert_eq!(say("shipping_address", address).await.0, StatusCode::OK);
    is_due(say("shipping_address", json!({"city": "부산"})).await, "payment_completed is due");
    // two at once, of which one is taken
    let other = desk.race("first_come", 1).await;
    let path = format!("/races/{other}/registration");
    desk.post(&path, Runner("Jane"), json!({"answer": "agree_terms", "value": {"agreed": true}})).await;
    let choose = async |souvenir: &str| {
        let said = json!({"answer": "choose_souvenir", "value": {"souvenir": souvenir}});
        desk.ask(Method::POST, &path, Runner("Jane"), Some(said)).await.0
    };
    let mut both = <[_; 2]>::from(tokio::join!(choose("모자"), choose("티셔츠 M")));
    both.sort();
    assert_eq!(both, [StatusCode::OK, StatusCode::CONFLICT]);
}

#[tokio::test]
async fn where_no_gateway_knows_the_secret_nobody_pays_unless_the_page_is_told_to_play_it() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start_with(folder.path(), &[], None);
    assert_eq!(desk.get("/about", Nobody).await["plays_gateway"], false);
    let race = desk.race("first_come", 1).await;
    let view = desk.answer_all(&race, "민수", None).await;
    let pay = format!("/payments/{}/pay", view["payment"]["id"].as_str().unwrap());
    assert_eq!(desk.ask(Method::POST, &pay, Runner("민수"), None).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_page_that_plays_the_gateway_lets_nobody_pay_for_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start_with(folder.path(), &["--play-gateway"], None);
    let race = desk.race("first_come", 2).await;
    let view = desk.answer_all(&race, "민수", None).await;
    let pay = format!("/payments/{}/pay", view["payment"]["id"].as_str().unwrap());
    assert_eq!(desk.ask(Method::POST, &pay, Runner("Jane"), None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(desk.ask(Method::POST, &pay, Nobody, None).await.0, StatusCode::UNAUTHORIZED);
    for _ in 0..2 {
        assert_eq!(desk.post(&pay, Runner("민수"), json!({})).await["state"], "paid");
    }
    assert_eq!(desk.until(&race, "민수", "completed").await["bib"], 1);
}

#[tokio::test]
async fn a_full_race_a_failed_check_and_a_late_payment_are_undone() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race = desk.race("first_come", 1).await;
    let path = format!("/races/{race}/registration");
    let jane = desk.answer_all(&race, "Jane", None).await;
    let alex = desk.answer_all(&race, "Alex", None).await;
    assert_eq!((&alex["status"], &alex["reason"]), (&json!("compensated"), &json!("the race is full")));

    // barred after the place is held: found out after the payment, and undone in reverse order
    let bar = Some(json!({"why": "a false name"}));
    let barred = format!("/races/{race}/barred/Jane");
    assert_eq!(desk.ask(Method::PUT, &barred, Runner("Alex"), bar.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(desk.ask(Method::PUT, &barred, Organiser, bar).await.0, StatusCode::NO_CONTENT);
    desk.paid("evt-1", &jane["payment"]["id"], 35_000).await.unwrap();
    let view = desk.until(&race, "Jane", "compensated").await;
    assert_eq!((&view["reason"], &view["payment"]["state"]), (&json!("not eligible"), &json!("refunded")));
    let looks = looks(&view);
    for (step, look) in [
        ("hold_place", "undone"),
        ("start_payment", "undone"),
        ("check_eligibility", "failed"),
        ("confirm", "ahead"),
    ] {
        assert!(looks.contains(&(step, look)), "{looks:?}");
    }
    let detail = desk.get(&format!("/registrations/{}", view["id"].as_str().unwrap()), Organiser).await;
    let undone: Vec<&str> = detail["history"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|entry| entry["changed"].as_array().unwrap())
        .filter(|changed| changed["look"] == "undone")
        .map(|changed| changed["step"].as_str().unwrap())
        .collect();
    let order: Vec<&str> =
        undone.iter().copied().filter(|step| ["hold_place", "start_payment"].contains(step)).collect();
    assert_eq!(order, ["start_payment", "hold_place"]);
    assert_eq!(desk.places(&race).await, (0, 0));

    // the place is free again: who was turned away tries again, pays too late, and has the money back
    drop(desk);
    let desk = Races::start(folder.path(), &["--payment-seconds", "3"]);
    desk.post(&path, Runner("Alex"), json!({"again": true})).await;
    let view = desk.answer_all(&race, "Alex", None).await;
    assert_eq!((&view["run"], &view["next"]), (&json!(1), &json!("payment_completed")));
    desk.until(&race, "Alex", "compensated").await;
    desk.until_payment(&race, "Alex", "cancelled").await;
    for _ in 0..2 {
        assert_eq!(
            desk.paid("evt-2", &view["payment"]["id"], 35_000).await.unwrap().status(),
            StatusCode::OK
        );
    }
    desk.until_payment(&race, "Alex", "refunded").await;
    assert_eq!(desk.places(&race).await, (0, 0));

    // a payment that was cancelled is not taken for the one that came after it
    drop(desk);
    let desk = Races::start(folder.path(), &[]);
    desk.post(&path, Runner("Alex"), json!({"again": true})).await;
    let cancelled = desk.answer_all(&race, "Alex", None).await;
    assert_eq!(desk.ask(Method::DELETE, &path, Runner("Alex"), None).await.0, StatusCode::OK);
    desk.post(&path, Runner("Alex"), json!({"again": true})).await;
    let anew = desk.answer_all(&race, "Alex", None).await;
    assert_ne!(anew["payment"]["id"], cancelled["payment"]["id"]);
    for (event, payment) in [("evt-3", &cancelled["payment"]["id"]), ("evt-4", &anew["payment"]["id"])] {
        assert_eq!(desk.paid(event, payment, 35_000).await.unwrap().status(), StatusCode::OK);
    }
    let done = desk.until(&race, "Alex", "completed").await;
    assert_eq!((&done["payment"]["id"], &done["payment"]["state"]), (&anew["payment"]["id"], &json!("paid")));

    // something else than the price is no payment
    let race = desk.race("first_come", 1).await;
    let view = desk.answer_all(&race, "하나", None).await;
    desk.paid("evt-5", &view["payment"]["id"], 1).await.unwrap();
    let view = desk.until(&race, "하나", "compensated").await;
    assert_eq!((&view["payment"]["state"], desk.places(&race).await), (&json!("refunded"), (0, 0)));
}
