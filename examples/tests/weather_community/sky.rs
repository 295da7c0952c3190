//! Posts, votes and views.

use super::*;

#[tokio::test]
async fn posts_are_found_within_the_radius_the_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    // 4,995 m and 5,005 m to the north, by the earth's mean radius
    let degrees = |metres: f64| metres / 6_371_008.8 * 180.0 / std::f64::consts::PI;
    let (lat, lon) = CITY_HALL;
    town.add_post("민지", "inside", (lat + degrees(4_995.0), lon)).await;
    town.add_post("민지", "outside", (lat + degrees(5_005.0), lon)).await;
    town.add_post("Jane", "here", CITY_HALL).await;
    town.add_post("Jane", "Busan", (35.1587, 129.1604)).await;
    let near = format!("/posts?lat={lat}&lon={lon}");
    let found = town.get(&near, Nobody).await;
    let texts: Vec<_> = found.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["here", "inside"]);
    assert_eq!((number(&found[0]["distance_m"]), number(&found[1]["distance_m"])), (0, 4_995));
    let wider = town.get(&format!("{near}&radius_m=5010"), Nobody).await;
    assert_eq!(wider.as_array().unwrap().len(), 3);

    // page by page
    let mut walked = Vec::new();
    let mut path = format!("{near}&radius_m=50000&limit=1");
    loop {
        let answer = town.send(Method::GET, &path, Nobody, None, None).await.unwrap();
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        walked.extend(answer.json::<Vec<Value>>().await.unwrap());
        let Some(link) = link else { break };
        path = link.strip_prefix('<').unwrap().split('>').next().unwrap().to_owned();
    }
    assert_eq!(walked.len(), 3);

    // sent again under its key it is posted once, also at the same time
    let post = json!({"sky": "wind", "text": "한 번만", "lat": lat, "lon": lon});
    let sending =
        (0..6).map(|_| town.send(Method::POST, "/posts", Member("지우"), Some("k-1"), Some(post.clone())));
    let answers = join_all(sending).await;
    let mut ids = BTreeSet::new();
    for answer in answers {
        let answer = answer.unwrap();
        match answer.status() {
            StatusCode::CREATED => {
                ids.insert(answer.json::<Value>().await.unwrap()["id"].as_i64().unwrap());
            }
            status => assert_eq!(status, StatusCode::CONFLICT),
        }
    }
    assert_eq!(ids.len(), 1);
    let id = ids.first().unwrap();
    let other = json!({"sky": "wind", "text": "다른 글", "lat": lat, "lon": lon});
    let refused = town.send(Method::POST, "/posts", Member("지우"), Some("k-1"), Some(other)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);

    // one's own can be deleted, others' not, but by a forecaster; and it is found no more
    let path = format!("/posts/{id}");
    assert_eq!(town.ask(Method::DELETE, &path, Member("Jane"), None).await.0, StatusCode::FORBIDDEN);
    assert_eq!(town.ask(Method::DELETE, &path, Member("지우"), None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(town.ask(Method::GET, &path, Nobody, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(town.get(&near, Nobody).await.as_array().unwrap().len(), 2);
    assert_eq!(town.ask(Method::DELETE, "/posts/1", Forecaster, None).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_person_votes_once_and_is_seen_once_however_often_and_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let id = town.add_post("민지", "소나기", CITY_HALL).await;
    let (reaction, views) = (format!("/posts/{id}/reaction"), format!("/posts/{id}/views"));
    let people: Vec<String> = (0..40).map(|number| format!("person {number}")).collect();
    let voting = people.iter().enumerate().flat_map(|(number, person)| {
        let which = if number % 4 == 0 { "dislike" } else { "like" };
        let (town, reaction) = (&town, &reaction);
        (0..5).map(move |_| town.ask(Method::PUT, reaction, Member(person), Some(json!({"reaction": which}))))
    });
    let seeing = people.iter().flat_map(|person| {
        let (town, views) = (&town, &views);
        (0..5).map(move |_| town.ask(Method::POST, views, Member(person), None))
    });
    let hour = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3_600;
    let began = hour();
    let (voted, seen) = tokio::join!(at_once(voting), at_once(seeing));
    assert!(voted.iter().all(|(status, _)| *status == StatusCode::OK), "{voted:?}");
    let counted = seen.iter().filter(|(_, seen)| seen["counted"] == true).count();
    let post = town.get(&format!("/posts/{id}"), Member("person 4")).await;
    assert_eq!(
        (number(&post["likes"]), number(&post["dislikes"]), post["mine"].as_str()),
        (30, 10, Some("dislike"))
    );
    assert_eq!(number(&post["views"]), counted as u64);
    // A person is counted once in each hour of the clock.
    if hour() == began {
        assert_eq!(counted, 40);
    } else {
        println!("the hour turned meanwhile: {counted} views of 40 people");
        assert!((40..=80).contains(&counted), "{counted}");
    }

    town.ask(Method::PUT, &reaction, Member("person 4"), Some(json!({"reaction": "like"}))).await;
    let (_, tally) =
        town.ask(Method::PUT, &reaction, Member("person 1"), Some(json!({"reaction": "none"}))).await;
    assert_eq!(tally, json!({"likes": 30, "dislikes": 9, "mine": "none"}));
    assert_eq!(
        town.ask(Method::PUT, &reaction, Nobody, Some(json!({"reaction": "like"}))).await.0,
        StatusCode::UNAUTHORIZED
    );

    // Who was counted is known after a kill.
    town.service.signal("-KILL").unwrap();
    drop(town);
    let town = Town::start(folder.path());
    let before = number(&town.get(&format!("/posts/{id}"), Nobody).await["views"]);
    assert_eq!(before, counted as u64);
    let seen = town.post(&views, Member("person 1"), json!({})).await;
    let after = number(&seen["views"]);
    assert_eq!(after, before + u64::from(seen["counted"].as_bool().unwrap()));
    let again = town.post(&views, Member("person 1"), json!({})).await;
    assert_eq!(again, json!({"counted": false, "views": after}));
    let post = town.get(&format!("/posts/{id}"), Nobody).await;
    assert_eq!((number(&post["likes"]), number(&post["dislikes"])), (30, 9));
}
