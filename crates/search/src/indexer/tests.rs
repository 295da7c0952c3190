use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pumasi_core::event::Receipt;
use pumasi_core::time::{ManualClock, Timestamp};
use serde_json::json;

use super::*;
use crate::engine::{Applied, Stamp, Status};
use crate::{MemoryEngine, Page, Query, Schema, TextField};

fn engine() -> Arc<MemoryEngine> {
    Arc::new(MemoryEngine::new(Schema::new("posts").with_text(TextField::new("title"))))
}

fn put(id: &str, version: u64) -> Change {
    Change::upsert(Document::new(id, json!({"title": format!("러닝 {id}")})), version)
        .with_at(Timestamp::from_micros(i64::try_from(version).unwrap_or_default()))
}

/// A table in memory.
#[derive(Default)]
struct Table(Mutex<BTreeMap<String, u64>>);

impl Table {
    fn set(&self, id: &str, version: Option<u64>) {
        let mut rows = self.0.lock().expect("a lock");
        match version {
            Some(version) => rows.insert(id.to_owned(), version),
            None => rows.remove(id),
        };
    }
}

#[async_trait]
impl Source for Table {
    async fn documents(&self, after: Option<&str>, limit: usize) -> Result<Vec<Change>> {
        let rows = self.0.lock().expect("a lock");
        let behind = rows.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        Ok(behind.take(limit).map(|(id, version)| put(id, *version)).collect())
    }

    async fn pick(&self, ids: &[String]) -> Result<Vec<Change>> {
        let rows = self.0.lock().expect("a lock");
        Ok(ids.iter().filter_map(|id| rows.get(id).map(|version| put(id, *version))).collect())
    }
}

fn event(key: &str, state: State, version: u64) -> Delivery {
    let event = Envelope::new("posts", key, state, version)
        .with_payload(&json!({"title": "러닝"}))
        .expect("a payload");
    let receipt = Receipt { topic: "posts".into(), key: key.into(), position: 1, fence: 1, attempt: 1 };
    Delivery::new(Arc::new(event), receipt)
}

#[expect(clippy::unnecessary_wraps, reason = "what an indexer asks for")]
fn convert(event: &Envelope) -> Result<Option<Document>> {
    Ok(Some(Document::new(event.key.as_str(), event.payload.clone())))
}

#[tokio::test]
async fn what_is_acknowledged_is_in_no_cached_page_missing() {
    let engine = engine();
    let search =
        crate::Search::builder("posts").primary(Arc::clone(&engine)).cache(crate::PageCache::memory(9));
    let search = search.build().expect("a search");
    let indexer = Indexer::start(engine, convert).with_search(search.clone());
    let found = async || {
        let served = search.search(Query::new("러닝")).await.expect("a page");
        let fresh = matches!(served, crate::fallback::Served::Fresh { .. });
        (fresh, served.split().1.ids().len())
    };
    indexer.apply(put("1", 1)).await.expect("a change");
    assert_eq!([found().await, found().await], [(true, 1), (false, 1)]);
    indexer.apply(put("2", 1)).await.expect("a change");
    assert_eq!([found().await, found().await], [(true, 2), (false, 2)]);
    indexer.handle(&event("1", State::Deleted, 5)).await.expect("an event");
    assert_eq!(found().await, (true, 1));
}

#[tokio::test]
async fn events_may_come_twice_and_in_any_order() {
    let engine = engine();
    let indexer = Indexer::start(Arc::clone(&engine), convert);
    for (state, version) in [
        (State::Updated, 3),
        (State::Created, 1),
        (State::Deleted, 5),
        (State::Updated, 4),
        (State::Deleted, 5),
    ] {
        indexer.handle(&event("7", state, version)).await.expect("an event");
    }
    assert_eq!(engine.status().await.expect("a status").documents, 0);
    indexer.handle(&event("7", State::Created, 6)).await.expect("an event");
    assert_eq!(engine.status().await.expect("a status").documents, 1);
}

#[tokio::test]
async fn changes_are_gathered_and_a_bad_one_fails_alone() {
    let engine = engine();
    let indexer = Indexer::start(Arc::clone(&engine), convert);
    let bad = Change::upsert(Document::new("bad", json!({"title": 5})), 1);
    let (a, b, c) = tokio::join!(indexer.apply(put("a", 1)), indexer.apply(bad), indexer.apply(put("c", 1)));
    assert!(a.is_ok() && c.is_ok());
    assert_eq!(
        b.err().map(|error| (error.kind(), error.retry().is_retryable())),
        Some((ErrorKind::InvalidInput, false))
    );
    assert_eq!(engine.status().await.expect("a status").documents, 2);
}

/// An engine that is away.
#[derive(Debug)]
struct Away(Arc<MemoryEngine>);

fn away<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unavailable, "the engine is away"))
}

#[async_trait]
impl SearchEngine for Away {
    fn name(&self) -> &'static str {
        "away"
    }

    fn schema(&self) -> &Schema {
        self.0.schema()
    }

    async fn search(&self, _: &Query, _: Duration) -> Result<Page> {
        away()
    }

    async fn apply(&self, _: &[Change]) -> Result<Vec<Result<Applied>>> {
        away()
    }

    async fn status(&self) -> Result<Status> {
        away()
    }

    async fn stamps(&self, _: Option<&str>, _: usize) -> Result<Vec<Stamp>> {
        away()
    }
}

#[tokio::test]
async fn an_engine_that_is_away_keeps_nothing_from_the_others() {
    let engine = engine();
    let indexer = Indexer::start(Away(Arc::clone(&engine)), convert);
    indexer.also(Arc::clone(&engine)).expect("a second engine");
    let error = indexer.apply(put("a", 1)).await.expect_err("one is away");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(engine.status().await.expect("a status").documents, 1);
}

#[tokio::test]
async fn the_lag_is_that_of_the_oldest_change_in_hand() {
    let engine = engine();
    let indexer = Indexer::start_with(
        engine,
        convert,
        IndexerOptions::default().with_linger(Duration::from_millis(200)),
    );
    let clock = ManualClock::new();
    let made = clock.now();
    clock.advance(Duration::from_secs(90));
    let change = Change::delete("a", 1).with_at(made);
    let waiting = tokio::spawn({
        let indexer = indexer.clone();
        async move { indexer.apply(change).await }
    });
    while indexer.lag(&clock).waiting == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(indexer.lag(&clock), Lag { waiting: 1, behind: Duration::from_secs(90) });
    waiting.await.expect("a task").expect("a change");
    while indexer.lag(&clock).waiting > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(indexer.lag(&clock).behind, Duration::ZERO);
}

/// An engine that hangs.
#[derive(Debug)]
struct Hangs(Away, std::sync::atomic::AtomicU32);

#[async_trait]
impl SearchEngine for Hangs {
    fn name(&self) -> &'static str {
        "hangs"
    }

    fn schema(&self) -> &Schema {
        self.0.schema()
    }

    async fn search(&self, _: &Query, _: Duration) -> Result<Page> {
        away()
    }

    async fn apply(&self, _: &[Change]) -> Result<Vec<Result<Applied>>> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        std::future::pending().await
    }

    async fn status(&self) -> Result<Status> {
        away()
    }

    async fn stamps(&self, _: Option<&str>, _: usize) -> Result<Vec<Stamp>> {
        away()
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_is_left_alone_for_a_while() {
    let engine = engine();
    let indexer = Indexer::start(Arc::clone(&engine), convert);
    let hangs = Arc::new(Hangs(Away(Arc::clone(&engine)), std::sync::atomic::AtomicU32::default()));
    indexer.also(Arc::clone(&hangs)).expect("a second engine");
    let kind = async |id: &str| indexer.apply(put(id, 1)).await.expect_err("one hangs").kind();
    assert_eq!(kind("a").await, ErrorKind::Timeout);
    let began = tokio::time::Instant::now();
    for id in 0..100 {
        assert_eq!(kind(&format!("b{id}")).await, ErrorKind::Unavailable);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(engine.status().await.expect("a status").documents, 101);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(kind("c").await, ErrorKind::Timeout);
    assert_eq!(hangs.1.load(std::sync::atomic::Ordering::SeqCst), 2);
}

async fn filled(source: &dyn Source, engine: &Arc<MemoryEngine>, batch: usize) -> Filled {
    let mut filled = Filled::default();
    fill(source, &**engine, batch, &mut filled).await.expect("a fill");
    filled
}

/// A table one row of which no schema allows.
struct Spoilt(Table);

#[async_trait]
impl Source for Spoilt {
    async fn documents(&self, after: Option<&str>, limit: usize) -> Result<Vec<Change>> {
        let good = self.0.documents(after, limit).await?;
        let spoilt = |change: Change| match change.id() {
            "03" => Change::upsert(Document::new("03", json!({"title": 5})), change.version()),
            _ => change,
        };
        Ok(good.into_iter().map(spoilt).collect())
    }

    async fn pick(&self, ids: &[String]) -> Result<Vec<Change>> {
        let first = self.documents(None, usize::MAX).await?;
        Ok(first.into_iter().filter(|change| ids.iter().any(|id| id == change.id())).collect())
    }
}

#[tokio::test]
async fn a_document_that_is_refused_is_counted_and_the_others_are_filled_in() {
    let (engine, source) = (engine(), Spoilt(Table::default()));
    for number in 0..10 {
        source.0.set(&format!("{number:02}"), Some(1));
    }
    let all = filled(&source, &engine, 4).await;
    assert_eq!((all.applied, all.refused, all.until.as_deref()), (9, 1, Some("09")));
    assert_eq!(
        all.refusals.first().map(|(id, error)| (id.as_str(), error.kind())),
        Some(("03", ErrorKind::InvalidInput))
    );
    let drift = check(&source, &*engine, None, 100).await.expect("a check");
    let repaired = repair(&source, &*engine, &drift).await.expect("a repair");
    assert_eq!((repaired.applied, repaired.refused), (0, 1));
    let mut rest = Filled::after("07");
    fill(&source, &*engine, 4, &mut rest).await.expect("a fill");
    assert_eq!((rest.applied, rest.until.as_deref()), (0, Some("09")));
}

#[tokio::test]
async fn an_index_is_built_anew_while_changes_come() {
    let (old, new, table) = (engine(), engine(), Table::default());
    for number in 0..25 {
        table.set(&format!("{number:02}"), Some(1));
    }
    let indexer = Indexer::start(Arc::clone(&old), convert);
    indexer.also(Arc::clone(&new)).expect("a second engine");
    // 07 changes and 08 goes before the copy comes by
    indexer.apply(put("07", 2)).await.expect("a change");
    indexer.apply(Change::delete("08", 2)).await.expect("a change");
    assert_eq!(filled(&table, &new, 10).await.applied, 23);
    indexer.only(Arc::clone(&new)).expect("a switch");
    indexer.apply(put("99", 1)).await.expect("a change");
    let stamps = new.stamps(None, 100).await.expect("stamps");
    assert_eq!(stamps.len(), 25);
    assert!(stamps.contains(&Stamp::new("07", 2)) && !stamps.iter().any(|stamp| stamp.id == "08"));
    assert_eq!(old.status().await.expect("a status").documents, 1);
}

#[tokio::test]
async fn drift_is_found_in_ranges_and_repaired() {
    let (engine, table) = (engine(), Table::default());
    for number in 0..40 {
        table.set(&format!("{number:02}"), Some(1));
    }
    filled(&table, &engine, 7).await;
    table.set("03", Some(5));
    table.set("17", None);
    table.set("40", Some(1));
    table.set("175", Some(1));
    let mut from: Option<String> = None;
    let (mut found, mut changed) = (Drift::default(), 0);
    loop {
        let drift = check(&table, &*engine, from.as_deref(), 10).await.expect("a check");
        changed += repair(&table, &*engine, &drift).await.expect("a repair").applied;
        from.clone_from(&drift.until);
        found.missing.extend(drift.missing);
        found.outdated.extend(drift.outdated);
        found.surplus.extend(drift.surplus);
        if from.is_none() {
            break;
        }
    }
    assert_eq!(
        (found.missing, found.outdated),
        (vec!["175".to_owned(), "40".to_owned()], vec!["03".to_owned()])
    );
    assert_eq!((found.surplus, changed), (vec![Stamp::new("17", 1)], 4));
    assert!(check(&table, &*engine, None, 1_000).await.expect("a check").is_none());
}

#[tokio::test]
async fn drift_that_versions_keep_from_being_repaired_is_named() {
    let (engine, table) = (engine(), Table::default());
    for id in ["1", "2", "3", "4"] {
        table.set(id, Some(1));
    }
    filled(&table, &engine, 10).await;
    engine.apply(&[Change::delete("2", 2), put("3", 9), put("4", 5)]).await.expect("changes");
    let drift = check(&table, &*engine, None, 10).await.expect("a check");
    assert_eq!(drift.missing, ["2"]);
    assert_eq!(drift.ahead, [Stamp::new("3", 9), Stamp::new("4", 5)]);
    // the source had a newer version all along
    table.set("4", Some(5));
    let repaired = repair(&table, &*engine, &drift).await.expect("a repair");
    assert_eq!((repaired.applied, repaired.refused, repaired.known), (0, 0, 3));
    assert_eq!(repaired.stuck, ["2", "3"]);
    table.set("2", Some(3));
    table.set("3", None);
    let repaired = repair(&table, &*engine, &drift).await.expect("a repair");
    assert_eq!((repaired.applied, repaired.stuck.len()), (2, 0));
    assert!(check(&table, &*engine, None, 10).await.expect("a check").is_none());
}

#[tokio::test]
async fn an_index_that_was_wiped_is_noticed_and_filled_again() {
    let (engine, table) = (engine(), Table::default());
    table.set("a", Some(1));
    filled(&table, &engine, 10).await;
    let before = engine.status().await.expect("a status");
    assert!(!before.is_wiped_since(&before));
    engine.wipe().expect("a wipe");
    assert!(engine.status().await.expect("a status").is_wiped_since(&before));
    let drift = check(&table, &*engine, None, 10).await.expect("a check");
    assert_eq!(repair(&table, &*engine, &drift).await.expect("a repair").applied, 1);
    let page = engine.search(&Query::new("러닝"), Duration::from_secs(1)).await.expect("a page");
    assert_eq!(page.ids(), ["a"]);
    assert_eq!(
        engine.apply(&[put("a", 1)]).await.expect("a batch").pop().and_then(Result::ok),
        Some(Applied::Stale)
    );
}
