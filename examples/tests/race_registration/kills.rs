//! The service is killed, or asked to stop.

use super::*;

#[tokio::test]
async fn a_payment_that_was_acknowledged_is_confirmed_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let slow = ["--partner-delay-ms", "2000"];
    let desk = Races::start(folder.path(), &slow);
    let race = desk.race("first_come", 3).await;
    let view = desk.answer_all(&race, "하나", None).await;
    assert_eq!(view["next"], "payment_completed");
    assert_eq!(desk.paid("evt-1", &view["payment"]["id"], 35_000).await.unwrap().status(), StatusCode::OK);
    let between = desk.until(&race, "하나", "running").await;
    // A busy machine sees it when the second of the two is asked, which answers as slowly.
    assert!(["check_eligibility", "confirm"].contains(&between["step"].as_str().unwrap()), "{between}");
    desk.service.signal("-KILL").unwrap();
    drop(desk);

    let desk = Races::start(folder.path(), &[]);
    let view = desk.until(&race, "하나", "completed").await;
    assert_eq!((&view["bib"], &view["payment"]["state"]), (&json!(1), &json!("paid")));
    // the gateway sends it again, as it must if it did not hear the answer
    assert_eq!(desk.paid("evt-1", &view["payment"]["id"], 35_000).await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        (desk.places(&race).await, &desk.until(&race, "하나", "completed").await["bib"]),
        ((0, 1), &json!(1))
    );
}

#[tokio::test]
async fn whatever_is_killed_everybody_who_paid_runs_once() {
    const NAMES: [&str; 40] = [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29",
        "r30", "r31", "r32", "r33", "r34", "r35", "r36", "r37", "r38", "r39",
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Races::start(folder.path(), &["--partner-delay-ms", "20"]);
    let race = desk.race("first_come", 40).await;
    let path = format!("/races/{race}/registration");
    let (mut acknowledged, mut kills) = (HashSet::new(), 0);
    let paid = AtomicU64::new(0);
    for round in 0..4_u64 {
        let registering = async {
            for name in NAMES.iter().skip(usize::try_from(round).unwrap() * 10).take(10) {
                let mut view = Value::Null;
                for (answer, value) in [
                    ("agree_terms", json!({"agreed": true})),
                    ("choose_souvenir", json!({"souvenir": "M"})),
                    ("shipping_address", json!({"city": "서울"})),
                ] {
                    let said = json!({"answer": answer, "value": value});
                    let Ok(answer) = desk.send(Method::POST, &path, Runner(name), None, Some(said)).await
                    else {
                        return;
                    };
                    let Ok(value) = answer.json().await else { return };
                    view = value;
                }
                let event = format!("evt-{name}");
                let Ok(answer) = desk.paid(&event, &view["payment"]["id"], 35_000).await else { return };
                if answer.status() == StatusCode::OK {
                    acknowledged.insert(*name);
                    paid.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let killing = async {
            // in the middle of whatever comes after two more were acknowledged
            while paid.load(Ordering::Relaxed) < 2 * (round + 1) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(11 + 23 * round)).await;
            desk.service.signal("-KILL").unwrap();
            kills += 1;
        };
        tokio::join!(registering, killing);
        desk = Races::start(folder.path(), &["--partner-delay-ms", "20"]);
    }
    let mut bibs = HashSet::new();
    for name in &acknowledged {
        let view = desk.until(&race, name, "completed").await;
        assert_eq!(view["payment"]["state"], "paid");
        assert!(bibs.insert(view["bib"].as_u64().unwrap()), "bib {} twice", view["bib"]);
    }
    println!("killed {kills} times: {} payments acknowledged, {} bibs", acknowledged.len(), bibs.len());
    assert!(acknowledged.len() > 4, "the service acknowledged too little for a test");
    let (held, confirmed) = desk.places(&race).await;
    // also those whose acknowledgement was lost with the process
    assert!(confirmed >= acknowledged.len() as u64, "{confirmed} run");
    assert!(held + confirmed <= 40);
}

#[tokio::test]
async fn asked_to_stop_it_finishes_and_ends_in_peace() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Races::start(folder.path(), &[]);
    let _listening = desk.send(Method::GET, "/registrations/events", Organiser, None, None).await.unwrap();
    desk.service.signal("-TERM").unwrap();
    let status = desk::ended(&mut desk.service).await;
    assert!(status.success(), "{status}");
    let deadline = Instant::now() + Duration::from_secs(15);
    while !desk.service.logs().contains("\"stopped\"") {
        assert!(Instant::now() < deadline, "its last words are not heard: {}", desk.service.logs());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}
