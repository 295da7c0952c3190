//! What was kept while nothing was known against it.

use super::*;
use crate::fallback::Cause;
use crate::indexer::Indexer;
use pumasi_core::time::{Clock, SystemClock};

fn kept(engine: &Switched, database: &Switched) -> Search {
    builder(engine, database).cache(PageCache::memory(100)).build().unwrap()
}

/// A search whose primary was asked, then wiped and written to once, and does not say in its pages what it knows.
async fn wiped_without_a_word() -> Search {
    let (engine, database) = filled(100).await;
    engine.set(Mode::Untold);
    let search = kept(&engine, &database);
    assert!(search.search(sorted()).await.unwrap().is_current());
    tokio::time::sleep(Duration::from_millis(10)).await;
    engine.engine.wipe().unwrap();
    engine.apply(&[post(5, 1)]).await.unwrap();
    search.invalidate_all().await.unwrap();
    search
}

#[tokio::test(start_paused = true)]
async fn pages_from_before_a_wipe_was_noticed_are_not_called_cached_after_it() {
    let search = wiped_without_a_word().await;
    // a look is good for a second
    assert!(search.search(sorted()).await.unwrap().is_current());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let _looked = search.search(sorted()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let served = search.search(sorted()).await.unwrap();
    assert_eq!(served.backend(), Some("database"), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_silence_a_page_that_does_not_say_what_is_known_has_a_look_behind_it() {
    let search = wiped_without_a_word().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _believed = search.search(sorted()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let served = search.search(sorted()).await.unwrap();
    assert_eq!(served.backend(), Some("database"), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_is_found_to_be_behind_is_neither_fresh_nor_cached() {
    let (engine, database) = filled(10).await;
    database.apply(&[post(3, 3_600_000_000)]).await.unwrap();
    let search = kept(&engine, &database);
    assert!(search.search(sorted()).await.unwrap().is_current());
    // nobody asks meanwhile
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    for _ in 0..3 {
        let served = search.search(sorted()).await.unwrap();
        let Some(Cause::Lagging) = served.cause() else { panic!("not current: {served:?}") };
    }
    engine.apply(&[post(3, 3_600_000_000)]).await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let _looked = search.search(sorted()).await.unwrap();
    }
    assert_eq!(search.search(sorted()).await.unwrap().as_str(), "cached");
}

#[tokio::test(start_paused = true)]
async fn what_an_engine_refused_for_good_it_does_not_lag_behind() {
    let (engine, database) = filled(100).await;
    let search = kept(&engine, &database);
    let indexer = Indexer::start(engine.clone(), |_| Ok(None)).with_search(search.clone());
    indexer.also(database.clone()).unwrap();
    engine.set(Mode::Refusing);
    let hour = 3_600_000_000;
    assert_eq!(indexer.apply(post(500, hour)).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    engine.set(Mode::Well);
    for _ in 0..4 {
        let served = search.search(sorted()).await.unwrap();
        assert!(served.is_current(), "{served:?}");
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    // it has missed one since
    database.apply(&[post(4, 2 * hour)]).await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let _looked = search.search(sorted()).await.unwrap();
    }
    assert_eq!(search.engines()[0].lag, Some(Duration::from_hours(1)));
    assert!(!search.search(sorted()).await.unwrap().is_current());
}

#[tokio::test(start_paused = true)]
async fn a_change_from_the_future_makes_nobody_late() {
    let (engine, database) = filled(10).await;
    let search = builder(&engine, &database).build().unwrap();
    let ahead = SystemClock.now().saturating_add(Duration::from_hours(24 * 365));
    database.apply(&[post(3, 2).with_at(ahead)]).await.unwrap();
    for _ in 0..4 {
        let served = search.search(sorted()).await.unwrap();
        assert!(served.is_current(), "{served:?}");
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_from_the_future_hides_no_lag_of_the_engine_that_has_it() {
    let (engine, database) = filled(10).await;
    let search = builder(&engine, &database).build().unwrap();
    let ahead = SystemClock.now().saturating_add(Duration::from_hours(24 * 365));
    for engine in [&engine, &database] {
        engine.apply(&[post(3, 2).with_at(ahead)]).await.unwrap();
    }
    database.apply(&[post(4, 3_600_000_001)]).await.unwrap();
    for _ in 0..4 {
        let _looked = search.search(sorted()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    assert_eq!(search.engines()[0].lag, Some(Duration::from_hours(1)));
    assert!(!search.search(sorted()).await.unwrap().is_current());
}

/// A search whose primary has what it missed by a repair, whose changes say nothing of when they were made.
async fn repaired() -> (Search, Indexer) {
    let (engine, database) = filled(10).await;
    let search = kept(&engine, &database);
    let indexer = Indexer::start(engine.clone(), |_| Ok(None)).with_search(search.clone());
    indexer.also(database.clone()).unwrap();
    let change = post(4, 3_600_000_001);
    database.apply(std::slice::from_ref(&change)).await.unwrap();
    engine.apply(&[Change::upsert(change.document().unwrap().clone(), change.version())]).await.unwrap();
    for _ in 0..4 {
        let _looked = search.search(sorted()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    assert_eq!(search.engines()[0].lag, Some(Duration::from_hours(1)));
    (search, indexer)
}

/// Looks twice, and tells whether what is served then is current.
async fn is_current(search: &Search) -> bool {
    for _ in 0..2 {
        let _looked = search.search(sorted()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    search.search(sorted()).await.unwrap().is_current()
}

#[tokio::test(start_paused = true)]
async fn an_engine_does_not_lag_behind_a_change_that_it_has_by_a_repair() {
    let (search, indexer) = repaired().await;
    assert!(!is_current(&search).await);
    indexer.apply(post(4, 3_600_000_001)).await.unwrap();
    assert!(is_current(&search).await);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_said_to_have_caught_up_lags_behind_what_came_later_only() {
    let (search, indexer) = repaired().await;
    let now = SystemClock.now();
    let refused = |engine: &str, until| search.caught_up(engine, until).unwrap_err().kind();
    assert_eq!(refused("none", now), ErrorKind::InvalidInput);
    assert_eq!(refused("engine", now.saturating_add(Duration::from_mins(5))), ErrorKind::InvalidInput);
    search.caught_up("engine", Timestamp::from_micros(1_700_003_600_000_001)).unwrap();
    assert!(is_current(&search).await);
    drop(indexer);
}

#[tokio::test(start_paused = true)]
async fn the_doctor_tells_of_a_change_from_the_future() {
    let (engine, database) = filled(10).await;
    let search = builder(&engine, &database).build().unwrap();
    let indexer = Indexer::start(engine.clone(), |_| Ok(None)).with_search(search.clone());
    let ahead = SystemClock.now().saturating_add(Duration::from_hours(24 * 365));
    indexer.apply(post(3, 2).with_at(ahead)).await.unwrap();
    let report = search.doctor(Duration::from_secs(1)).await.to_string();
    assert!(report.contains("warning  engine: it was given a change from 315"), "{report}");
    assert!(!report.contains("warning  database: it was given"), "{report}");
}
