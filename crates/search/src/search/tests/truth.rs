//! Nothing that is lost, late or unfinished is called fresh.

use super::*;
use crate::Count;
use crate::fallback::Cause;
use crate::indexer::Indexer;

/// Searches until the primary answers again.
async fn back(search: &Search) -> Served<Arc<Page>> {
    for _ in 0..1_000 {
        let served = search.search(sorted()).await.unwrap();
        if served.backend() == Some("engine") {
            return served;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the primary did not come back: {search:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_page_after_a_wipe_is_not_fresh_although_an_empty_one_was_just_believed() {
    let counted = Query::everything().with_limit(0).with_count(Count::Exact);
    for asked in [Query::new("없는말"), sorted(), counted] {
        let (engine, database) = filled(100).await;
        let search = builder(&engine, &database).build().unwrap();
        assert!(search.search(Query::new("없는말")).await.unwrap().is_current());
        engine.engine.wipe().unwrap();
        let served = search.search(asked).await.unwrap();
        assert_eq!(served.backend(), Some("database"), "{served:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_index_wiped_under_its_indexer_is_not_fresh_with_what_was_written_since() {
    let (engine, database) = filled(100).await;
    let both = builder(&engine, &database).build().unwrap();
    let alone = Search::builder("alone").primary(engine.clone()).build().unwrap();
    for search in [&both, &alone] {
        assert!(search.search(sorted()).await.unwrap().is_current());
    }
    engine.engine.wipe().unwrap();
    let indexer = Indexer::start(engine.clone(), |_| Ok(None)).with_search(both.clone());
    indexer.also(database.clone()).unwrap();
    indexer.apply(post(100, 1)).await.unwrap();
    let served = both.search(sorted()).await.unwrap();
    assert_eq!(served.backend(), Some("database"), "{served:?}");
    assert_eq!(alone.search(sorted()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn neither_a_count_nor_a_walk_ends_in_a_wiped_index_whose_pages_do_not_say_what_it_knows() {
    for mode in [Mode::Well, Mode::Untold] {
        let (engine, database) = filled(100).await;
        engine.set(mode);
        let search = builder(&engine, &database).build().unwrap();
        let (_, page) = search.search(sorted()).await.unwrap().split();
        engine.engine.wipe().unwrap();
        let (served, page) = search.search(sorted().after(page.next.clone().unwrap())).await.unwrap().split();
        assert_eq!((served.backend(), page.hits.len()), (Some("database"), 20), "{mode:?}");

        let counted = Query::everything().with_limit(0).with_count(Count::Exact);
        let served = builder(&engine, &database).build().unwrap().search(counted).await.unwrap();
        assert_eq!(served.backend(), Some("database"), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_comes_back_without_the_changes_it_missed_is_not_fresh() {
    let (engine, database) = filled(100).await;
    let search = builder(&engine, &database).build().unwrap();
    assert!(search.search(sorted()).await.unwrap().is_current());
    engine.set(Mode::Down);
    let day = 86_400_000_000;
    for moment in 0..10 {
        database.apply(&[post(3, day + moment)]).await.unwrap();
        assert!(!search.search(sorted()).await.unwrap().is_current());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    engine.set(Mode::Well);
    let served = back(&search).await;
    let Served::Degraded { lag, cause, .. } = served else { panic!("not fresh: {served:?}") };
    assert!(matches!(cause, Cause::Lagging) && lag.unwrap().as_secs() >= 86_399, "{cause:?} {lag:?}");

    engine.apply(&[post(3, day + 9)]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let _looked = search.search(sorted()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(search.search(sorted()).await.unwrap().is_current());
}

#[tokio::test(start_paused = true)]
async fn a_primary_whose_newest_change_overtook_others_is_not_fresh_until_it_has_them() {
    let (engine, database) = filled(100).await;
    let search = builder(&engine, &database).build().unwrap();
    let indexer = Indexer::start(engine.clone(), |_| Ok(None)).with_search(search.clone());
    indexer.also(database.clone()).unwrap();
    let look = async || {
        for _ in 0..3 {
            let _looked = search.search(sorted()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1_100)).await;
        }
        search.search(sorted()).await.unwrap()
    };
    let hour = 3_600_000_000;
    engine.set(Mode::Full);
    assert_eq!(indexer.apply(post(5, hour)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    engine.set(Mode::Well);
    indexer.apply(post(6, 2 * hour)).await.unwrap();
    let served = look().await;
    let Served::Degraded { backend, lag, cause, .. } = served else { panic!("not fresh: {served:?}") };
    assert_eq!((&*backend, cause.as_str(), lag), ("engine", "lagging", Some(Duration::from_hours(1))));
    indexer.apply(post(5, hour)).await.unwrap();
    assert!(look().await.is_current());
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_filled_again_says_what_it_lacks_until_it_is_whole() {
    let (engine, database) = filled(1_000).await;
    let search = builder(&engine, &database).build().unwrap();
    assert!(search.search(sorted()).await.unwrap().is_current());
    engine.engine.wipe().unwrap();
    for _ in 0..10 {
        assert_eq!(search.search(sorted()).await.unwrap().backend(), Some("database"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let posts = |ids: std::ops::Range<u64>| ids.map(|id| post(id, 1)).collect::<Vec<_>>();
    engine.apply(&posts(0..600)).await.unwrap();
    let served = back(&search).await;
    let Served::Degraded { gaps, cause, .. } = served else { panic!("not fresh: {served:?}") };
    assert_eq!((gaps, cause.as_str()), (vec![Gap::Missing(400)], "incomplete"));

    // a few changes may be under way
    engine.apply(&posts(600..995)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let _looked = search.search(sorted()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(search.search(sorted()).await.unwrap().is_current());
}

#[tokio::test(start_paused = true)]
async fn how_engines_stand_is_known_where_nobody_searches() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let (engine, database) = filled(10).await;
    let search = builder(&engine, &database).build().unwrap();
    let (limit, second) = (Duration::from_millis(500), Duration::from_secs(1));
    let lag = || search.engines().into_iter().map(|state| state.lag.unwrap().as_secs()).collect::<Vec<_>>();
    let told = |lag: u64| {
        let told = recorder.handle().render();
        assert!(told.contains(&format!("pumasi_search_lag_seconds{{engine=\"engine\"}} {lag}\n")), "{told}");
    };
    search.refresh(limit).await;
    assert_eq!(lag(), [0, 0]);

    engine.set(Mode::Down);
    database.apply(&[post(3, 5_000_001)]).await.unwrap();
    tokio::time::sleep(second).await;
    search.refresh(limit).await;
    assert_eq!(lag(), [5, 0]);
    told(5);

    engine.set(Mode::Well);
    engine.apply(&[post(3, 5_000_001)]).await.unwrap();
    tokio::time::sleep(second).await;
    search.refresh(limit).await;
    assert_eq!(lag(), [0, 0]);
    told(0);

    let looks = engine.looks.load(Ordering::SeqCst);
    search.refresh(limit).await;
    assert_eq!(engine.looks.load(Ordering::SeqCst), looks);
    engine.set(Mode::Hanging);
    tokio::time::sleep(second).await;
    let began = tokio::time::Instant::now();
    search.refresh(limit).await;
    assert!(began.elapsed() <= limit + Duration::from_millis(10), "{:?}", began.elapsed());
    assert_eq!(engine.searches.load(Ordering::SeqCst), 0);
}
