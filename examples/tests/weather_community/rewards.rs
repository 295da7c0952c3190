//! Missions and coupons.

use super::*;

#[tokio::test]
async fn a_mission_is_proven_once_by_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let mission =
        json!({"title": "청계천 물높이 보기", "lat": CITY_HALL.0, "lon": CITY_HALL.1, "radius_m": 500.0});
    for _ in 0..2 {
        let made =
            town.send(Method::POST, "/missions", Forecaster, Some("m"), Some(mission.clone())).await.unwrap();
        assert_eq!(made.status(), StatusCode::CREATED);
    }
    assert_eq!(town.get("/missions", Nobody).await.as_array().unwrap().len(), 1);
    let proof = |note: &str, (lat, lon): (f64, f64)| Some(json!({"lat": lat, "lon": lon, "note": note}));
    let path = "/missions/1/proof";
    let far = town.ask(Method::PUT, path, Member("민지"), proof("안 보여요", (37.528, 126.933))).await;
    assert_eq!(far.0, StatusCode::UNPROCESSABLE_ENTITY);
    let proving = (0..8).map(|_| town.ask(Method::PUT, path, Member("민지"), proof("찼어요", CITY_HALL)));
    let proven = join_all(proving).await;
    assert_eq!(proven.iter().filter(|(status, _)| *status == StatusCode::CREATED).count(), 1, "{proven:?}");
    assert!(proven.iter().all(|(status, proof)| status.is_success() && *proof == proven[0].1));
    let other = town.ask(Method::PUT, path, Member("민지"), proof("넘쳤어요", CITY_HALL)).await;
    assert_eq!(other.0, StatusCode::CONFLICT);
    town.ask(Method::PUT, path, Member("Jane"), proof("high", CITY_HALL)).await;
    let seen = town.get("/missions", Member("Jane")).await;
    assert_eq!((number(&seen[0]["proven"]), &seen[0]["mine"]), (2, &json!(true)));
    assert_eq!(town.get("/missions", Member("지우")).await[0]["mine"], false);

    // The newest first, page by page.
    let second = town.post("/missions", Forecaster, mission).await;
    let page = town.send(Method::GET, "/missions?limit=1", Nobody, None, None).await.unwrap();
    let next = page.headers()["link"].to_str().unwrap().to_owned();
    assert_eq!(page.json::<Value>().await.unwrap()[0]["id"], second["id"]);
    let next = next.trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(town.get(next, Nobody).await[0]["id"], 1);
}

#[tokio::test]
async fn a_drop_gives_each_of_the_first_one_coupon_through_a_kill() {
    const COUPONS: usize = 60;
    const ASKERS: usize = 150;
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path());
    let drop_of = json!({"title": "우산 쿠폰", "places": COUPONS});
    let id = town.post("/drops", Forecaster, drop_of).await["id"].as_i64().unwrap();
    let path = format!("/drops/{id}/coupon");
    let people: Vec<String> = (0..ASKERS).map(|number| format!("person {number}")).collect();

    // Half of the coupons are out when the process dies, with many askers under way.
    let granted = AtomicUsize::new(0);
    let asking = people.iter().map(|person| {
        let (town, path, granted) = (&town, &path, &granted);
        async move {
            let answer = town.send(Method::POST, path, Member(person), None, None).await.ok()?;
            let coupon = answer.error_for_status().ok()?.json::<Value>().await.ok()?;
            granted.fetch_add(1, Ordering::Relaxed);
            Some((person.clone(), coupon))
        }
    });
    let killing = async {
        while granted.load(Ordering::Relaxed) < COUPONS / 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        town.service.signal("-KILL").unwrap();
    };
    let (asked, ()) = tokio::join!(join_all(asking), killing);
    let before: HashMap<String, Value> = asked.into_iter().flatten().collect();
    drop(town);

    // Everybody asks again, twice and at once.
    let town = Town::start(folder.path());
    let mut coupons: HashMap<String, Value> = before.clone();
    let asking = people.iter().chain(&people).map(|person| {
        let (town, path) = (&town, &path);
        async move { (person, town.ask(Method::POST, path, Member(person), None).await) }
    });
    for (person, (status, coupon)) in at_once(asking).await {
        if status != StatusCode::OK {
            assert_eq!(
                (status, coupon["kind"].as_str()),
                (StatusCode::CONFLICT, Some("none_left")),
                "{coupon}"
            );
            continue;
        }
        let known = coupons.entry(person.clone()).or_insert_with(|| coupon.clone());
        assert_eq!(*known, coupon, "{person} has two coupons");
    }
    println!("{} coupons acknowledged before the kill, {} in the end", before.len(), coupons.len());
    assert_eq!(coupons.len(), COUPONS);
    let of =
        |field: &str| coupons.values().map(|coupon| coupon[field].to_string()).collect::<BTreeSet<_>>().len();
    assert_eq!((of("ticket"), of("code")), (COUPONS, COUPONS));
    let drops = town.get("/drops", Nobody).await;
    assert_eq!((number(&drops[0]["places"]), number(&drops[0]["free"])), (COUPONS as u64, 0));
    // A page counts each drop for itself, also one of which nobody has asked for a coupon.
    for title in ["장화", "비옷"] {
        town.post("/drops", Forecaster, json!({"title": title, "places": 3})).await;
    }
    let boots = town.get("/drops", Nobody).await[1]["id"].as_i64().unwrap();
    town.post(&format!("/drops/{boots}/coupon"), Member("민지"), json!({})).await;
    let (sizes, drops) = town.pages("/drops?limit=2", Nobody).await;
    let free: Vec<u64> = drops.iter().map(|drop| number(&drop["free"])).collect();
    assert_eq!((sizes, free), (vec![2, 1], vec![3, 2, 0]));
    assert_eq!(town.ask(Method::POST, &path, Member("late"), None).await.0, StatusCode::CONFLICT);
    let metrics = town.send(Method::GET, "/metrics", Nobody, None, None).await.unwrap().text().await.unwrap();
    let count = |outcome: &str| {
        let name = format!("weather_coupons_total{{outcome=\"{outcome}\"}} ");
        let found = metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or("0");
        found.parse::<usize>().unwrap()
    };
    // Of this drop what the process before had not granted, and one of the other.
    let (granted, again) = (count("granted"), count("again"));
    assert!(granted <= COUPONS - before.len() + 1, "{granted} of {} left", COUPONS - before.len());
    assert_eq!(granted + again, 2 * COUPONS + 1);
}
