//! Warnings, and the rooms that they open.

use super::*;

#[tokio::test]
async fn a_warning_opens_a_room_with_history_and_live_messages() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let warning = json!({"region": "seoul", "kind": "heavy_rain", "text": "시간당 50mm의 비"});
    assert_eq!(
        town.ask(Method::POST, "/warnings", Member("민지"), Some(warning.clone())).await.0,
        StatusCode::FORBIDDEN
    );
    let issued =
        join_all((0..4).map(|_| town.ask(Method::POST, "/warnings", Forecaster, Some(warning.clone()))))
            .await;
    assert_eq!(issued.iter().filter(|(status, _)| *status == StatusCode::CREATED).count(), 1, "{issued:?}");
    let id = issued[0].1["id"].as_i64().unwrap();
    assert!(issued.iter().all(|(_, warning)| warning["id"] == id));
    assert_eq!(town.get("/warnings?region=seoul", Nobody).await.as_array().unwrap().len(), 1);
    assert_eq!(town.get("/warnings?region=jeju", Nobody).await, json!([]));

    let path = format!("/warnings/{id}/messages");
    for number in 1..=120 {
        let said = town.say(id, "민지", &format!("m-{number}"), &format!("말 {number}")).await.unwrap();
        assert_eq!(said.status(), StatusCode::CREATED);
    }
    let history = town.get(&path, Nobody).await;
    assert_eq!(
        (history.as_array().unwrap().len(), &history[0]["number"], &history[99]["number"]),
        (100, &json!(21), &json!(120))
    );
    let mut newcomer = town.listen(id, None).await;
    assert_eq!(
        newcomer.hear(100).await,
        (21..=120).map(|number| (number, format!("말 {number}"))).collect::<Vec<_>>()
    );
    let mut returning = town.listen(id, Some(118)).await;

    // Eight people at once, each message twice.
    let speaking = (0..8).flat_map(|person| {
        let town = &town;
        (0..5).map(move |number| async move {
            let (who, text) = (format!("person {person}"), format!("{person} {number}"));
            let first =
                town.say(id, &who, &format!("{number}"), &text).await.unwrap().json::<Value>().await.unwrap();
            let again =
                town.say(id, &who, &format!("{number}"), &text).await.unwrap().json::<Value>().await.unwrap();
            assert_eq!(first, again);
        })
    });
    let (_, heard, caught_up) = tokio::join!(join_all(speaking), newcomer.hear(40), returning.hear(42));
    assert_eq!(heard.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (121..=160).collect::<Vec<_>>());
    assert_eq!(heard.iter().map(|(_, text)| text).collect::<BTreeSet<_>>().len(), 40);
    assert_eq!(caught_up[2..], heard[..]);
    let other = town.say(id, "person 1", "1", "something else").await.unwrap();
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);

    // Another text is not taken for the one in force.
    let other = json!({"region": "seoul", "kind": "heavy_rain", "text": "시간당 80mm의 비"});
    let (status, problem) = town.ask(Method::POST, "/warnings", Forecaster, Some(other)).await;
    assert_eq!((status, &problem["kind"]), (StatusCode::CONFLICT, &json!("another_in_force")), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("lift"), "{problem}");

    // Lifted, it can be read, and a new one may be issued.
    let lifted = town.ask(Method::DELETE, &format!("/warnings/{id}"), Forecaster, None).await.1;
    assert!(lifted["lifted_at"].is_string(), "{lifted}");
    assert_eq!(town.say(id, "민지", "late", "늦은 말").await.unwrap().status(), StatusCode::CONFLICT);
    // What was said in time, and is sent again because its answer was lost, is answered as it was.
    let again = town.say(id, "민지", "m-120", "말 120").await.unwrap();
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.json::<Value>().await.unwrap()["number"], 120);
    assert_eq!(town.get(&path, Nobody).await.as_array().unwrap().len(), 100);
    let anew = town.warning().await;
    assert_ne!(anew, id);
    let numbers = async |path: &str| {
        let listed = town.get(path, Nobody).await;
        listed.as_array().unwrap().iter().map(|warning| warning["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers("/warnings?region=seoul").await, [anew]);
    assert_eq!(numbers("/warnings?region=seoul&lifted=true").await, [anew, id]);
    assert_eq!(town.get(&format!("/warnings/{anew}/messages"), Nobody).await, json!([]));
}

#[tokio::test]
async fn nothing_is_said_after_the_warning_is_lifted() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    for round in 0..5 {
        let id = town.warning().await;
        let speaking = (0..12).map(|person| {
            let town = &town;
            async move {
                let mut said = Vec::new();
                for number in 0..200 {
                    let text = format!("{round} {number}");
                    let answer = town.say(id, &format!("person {person}"), &text, &text).await.unwrap();
                    if answer.status() == StatusCode::CONFLICT {
                        break;
                    }
                    assert_eq!(answer.status(), StatusCode::CREATED);
                    said.push(answer.json::<Value>().await.unwrap());
                }
                said
            }
        });
        let lifting = async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            town.ask(Method::DELETE, &format!("/warnings/{id}"), Forecaster, None).await.1
        };
        let (said, lifted) = tokio::join!(join_all(speaking), lifting);
        let moment = |at: &Value| at.as_str().unwrap().parse::<Timestamp>().unwrap();
        let lifted = moment(&lifted["lifted_at"]);
        let said: Vec<Value> = said.into_iter().flatten().collect();
        assert!(said.iter().all(|message| moment(&message["at"]) <= lifted), "said after {lifted}");
        let there = town.get(&format!("/warnings/{id}/messages?after=0&limit=500"), Nobody).await;
        assert_eq!(there.as_array().unwrap().len(), said.len().min(500));
    }
}

#[tokio::test]
async fn what_was_said_is_there_after_a_kill_and_listeners_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut town = Town::start(folder.path());
    let id = town.warning().await;
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    let mut heard: Vec<(u64, String)> = Vec::new();
    let mut kills = 0;
    for round in 0..3 {
        let said = AtomicUsize::new(0);
        let mut room = town.listen(id, Some(heard.last().map_or(0, |(number, _)| *number))).await;
        let speaking = async {
            let each = (0..4).map(|person| {
                let (town, said) = (&town, &said);
                async move {
                    let mut mine = Vec::new();
                    for number in 0..200 {
                        let text = format!("{round} {person} {number}");
                        let Ok(answer) = town.say(id, &format!("person {person}"), &text, &text).await else {
                            break;
                        };
                        let Ok(message) = answer.json::<Value>().await else { break };
                        mine.push((text, message["number"].as_u64().unwrap()));
                        said.fetch_add(1, Ordering::Relaxed);
                    }
                    mine
                }
            });
            join_all(each).await.into_iter().flatten().collect::<Vec<_>>()
        };
        let listening = async {
            let mut heard = Vec::new();
            while let Ok(message) = room.next().await {
                heard.push((number(&message["number"]), message["text"].as_str().unwrap().to_owned()));
            }
            heard
        };
        let killing = async {
            while said.load(Ordering::Relaxed) < 15 {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            town.service.signal("-KILL").unwrap();
            kills += 1;
        };
        let (said, news, ()) = tokio::join!(speaking, listening, killing);
        acknowledged.extend(said);
        heard.extend(news);
        town = Town::start(folder.path());
    }
    let all = town.get(&format!("/warnings/{id}/messages?after=0&limit=500"), Nobody).await;
    let all: Vec<(u64, String)> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (number(&message["number"]), message["text"].as_str().unwrap().to_owned()))
        .collect();
    let mut room = town.listen(id, Some(heard.last().map_or(0, |(number, _)| *number))).await;
    heard.extend(room.hear(all.len() - heard.len()).await);
    assert_eq!(heard, all);
    assert!(all.iter().zip(1..).all(|((number, _), expected)| *number == expected));
    let texts: HashMap<&str, u64> = all.iter().map(|(number, text)| (text.as_str(), *number)).collect();
    assert_eq!(texts.len(), all.len(), "a message is there twice");
    for (text, number) in &acknowledged {
        assert_eq!(texts.get(text.as_str()), Some(number), "{text}");
    }
    println!("killed {kills} times: {} messages acknowledged, {} there", acknowledged.len(), all.len());
    // A client that heard no answer sends it again: it is there once.
    let (last, text) = all.last().unwrap();
    let author = format!("person {}", text.split(' ').nth(1).unwrap());
    let again = town.say(id, &author, text, text).await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(number(&again["number"]), *last);
}

#[tokio::test]
async fn asked_to_stop_it_lets_listeners_go_and_ends_in_peace() {
    let folder = tempfile::tempdir().unwrap();
    let mut town = Town::start_with(folder.path(), &["--requests-per-second", "1"]);
    let asking = (0..60).map(|_| town.send(Method::GET, "/drops", Member("민지"), None, None));
    let answers = join_all(asking).await;
    assert!(answers.into_iter().flatten().any(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(town.get("/readyz", Nobody).await["dependencies"], json!({"store": "up"}));
    let id = town.warning().await;
    let mut room = town.listen(id, None).await;
    town.service.signal("-TERM").unwrap();
    assert_eq!(room.next().await, Err(1001));
    let status = desk::ended(&mut town.service).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn one_address_does_not_take_all_places_and_members_have_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let id = town.warning().await;
    let mut strangers = Vec::new();
    let refused = loop {
        match town.come_in(id, None).await {
            Ok(room) => strangers.push(room),
            Err(status) => break status,
        }
        assert!(strangers.len() <= 50, "one address listens without an end");
    };
    assert_eq!((strangers.len(), refused), (50, StatusCode::TOO_MANY_REQUESTS));

    // A page offers its token as a protocol.
    let token = desk::token("weather_community", "민지", "member");
    let mut member = town.come_in(id, Some(&token)).await.unwrap();
    town.say(id, "준", "m-1", "들리나요").await.unwrap();
    assert_eq!(member.hear(1).await, [(1, "들리나요".to_owned())]);
    let mut own = vec![member];
    while let Ok(room) = town.come_in(id, Some(&token)).await {
        own.push(room);
        assert!(own.len() <= 20, "one member listens without an end");
    }
    assert_eq!(own.len(), 20);
    let other = desk::token("weather_community", "준", "member");
    assert!(town.come_in(id, Some(&other)).await.is_ok());
    assert_eq!(town.come_in(id, Some("forged")).await.err(), Some(StatusCode::UNAUTHORIZED));

    // Who goes makes room.
    strangers.clear();
    let deadline = Instant::now() + Duration::from_secs(30);
    while town.come_in(id, None).await.is_err() {
        assert!(Instant::now() < deadline, "nobody comes in any more");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
