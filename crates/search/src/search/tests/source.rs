//! Engines are held against what their source has changed.

use pumasi_core::event::Shutdown;
use pumasi_core::time::{Clock as _, SystemClock};

use super::*;
use crate::indexer::{Indexer, Journal, Recent, Source, Sweep};

const SECOND: Duration = Duration::from_secs(1);
/// How old a change is at most that a fresh page lacks.
const BOUND: Duration = Duration::from_secs(3);

/// A table with a journal, in memory: documents with their last change.
#[derive(Clone, Default)]
struct Table {
    rows: Arc<Mutex<BTreeMap<String, Recent>>>,
    /// What documents are read from, where that is a copy.
    copy: Arc<Mutex<Option<BTreeMap<String, Recent>>>>,
    away: Arc<Mutex<bool>>,
}

impl Table {
    fn set(&self, id: u64, version: u64, at: Timestamp, deleted: bool) {
        let id = format!("{id:05}");
        let recent = Recent { id: id.clone(), version, at, deleted };
        self.rows.lock().unwrap().insert(id, recent);
    }

    fn reach(&self) -> Result<()> {
        let away = *self.away.lock().unwrap();
        if away { Err(Error::new(ErrorKind::Unavailable, "the table is away")) } else { Ok(()) }
    }
}

#[async_trait]
impl Source for Table {
    async fn documents(&self, _: Option<&str>, _: usize) -> Result<Vec<Change>> {
        unreachable!("only what was changed of late is read")
    }

    async fn pick(&self, ids: &[String]) -> Result<Vec<Change>> {
        self.reach()?;
        let rows = self.copy.lock().unwrap().clone().unwrap_or_else(|| self.rows.lock().unwrap().clone());
        let found = ids.iter().filter_map(|id| rows.get(id)).filter(|recent| !recent.deleted);
        Ok(found.map(|recent| post(recent.id.parse().unwrap(), recent.version).with_at(recent.at)).collect())
    }
}

#[async_trait]
impl Journal for Table {
    async fn since(&self, at: Timestamp, after: &str, limit: usize) -> Result<Vec<Recent>> {
        self.reach()?;
        let rows = self.rows.lock().unwrap();
        let mut recent: Vec<Recent> = rows.values().cloned().collect();
        recent.retain(|change| (change.at, &*change.id) > (at, after));
        recent.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        recent.truncate(limit);
        Ok(recent)
    }
}

struct Swept {
    engine: Switched,
    table: Table,
    search: Search,
    shutdown: Shutdown,
}

impl Swept {
    /// An engine with ten documents, which no event reaches, and a table that is compared with it from now on.
    async fn start() -> Self {
        let (swept, sweep) = Self::made().await;
        let until = swept.shutdown.clone();
        tokio::spawn(async move { sweep.run(&until).await });
        swept.until_fresh(10).await;
        swept
    }

    /// The same before it is compared.
    async fn made() -> (Self, Sweep) {
        let (engine, _) = filled(10).await;
        let (table, shutdown) = (Table::default(), Shutdown::new());
        let search = Search::builder("posts").primary(engine.clone()).fresh_within(BOUND).build().unwrap();
        let indexer = Indexer::start(engine.clone(), |_| Ok(None)).with_search(search.clone());
        let sweep = Sweep::new("engine", table.clone(), indexer, search.clone()).unwrap();
        let served = search.search(sorted()).await.unwrap();
        assert!(!served.is_current(), "nothing was compared yet: {served:?}");
        (Self { engine, table, search, shutdown }, sweep)
    }

    async fn look(&self) -> Served<Arc<Page>> {
        self.search.search(sorted().with_limit(1_000)).await.unwrap()
    }

    /// Waits for a fresh page with so many documents.
    async fn until_fresh(&self, documents: usize) {
        for _ in 0..40 {
            let (served, page) = self.look().await.split();
            if served.is_current() && page.hits.len() == documents {
                return;
            }
            tokio::time::sleep(SECOND / 10).await;
        }
        panic!("no fresh page of {documents} documents: {:?}", self.look().await);
    }
}

impl Drop for Swept {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

#[tokio::test(start_paused = true)]
async fn engines_that_hear_of_no_change_lag_behind_the_source() {
    let (engine, database) = filled(10).await;
    let search = builder(&engine, &database).build().unwrap();
    search.note_newest(Timestamp::from_micros(1_700_086_400_000_000));
    search.note_newest(Timestamp::from_micros(0));
    let look = async || {
        let served = search.search(sorted()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        served
    };
    for _ in 0..3 {
        let _served = look().await;
    }
    let Served::Degraded { lag, cause, .. } = look().await else { panic!("it is behind the source") };
    assert_eq!((lag.map(|lag| lag.as_secs()), cause.as_str()), (Some(86_399), "lagging"));
    assert!(search.engines().iter().all(|state| state.lag.is_some_and(|lag| lag.as_secs() == 86_399)));
    for engine in [&engine, &database] {
        engine.apply(&[post(3, 86_400_000_000)]).await.unwrap();
    }
    for _ in 0..2 {
        let _served = look().await;
    }
    assert!(look().await.is_current());
}

#[tokio::test(start_paused = true)]
async fn a_change_a_moment_after_the_newest_that_is_there_does_not_lack_for_long() {
    let (engine, database) = filled(10).await;
    let search = builder(&engine, &database).fresh_within(BOUND).build().unwrap();
    search.note_newest(Timestamp::from_micros(1_700_000_000_000_002));
    let mut served = Vec::new();
    for _ in 0..6 {
        served.push(search.search(sorted()).await.unwrap().is_current());
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!((served[0], served[5]), (true, false), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn changes_that_no_event_tells_of_are_brought_from_the_source_within_seconds() {
    let swept = Swept::start().await;
    let now = SystemClock.now();
    swept.table.set(10, 1, now, false);
    swept.table.set(3, 2, now, true);
    swept.table.set(11, 1, now, false);
    tokio::time::sleep(BOUND).await;
    let (served, page) = swept.look().await.split();
    assert!(served.is_current(), "{served:?}");
    let ids = page.ids();
    assert!(ids.contains(&"00010") && ids.contains(&"00011") && !ids.contains(&"00003"), "{ids:?}");
    assert_eq!(swept.search.engines()[0].lag, Some(Duration::ZERO));

    // what is older than the newest that is there is brought, too
    swept.table.set(12, 1, Timestamp::from_micros(now.as_micros() - 30_000_000), false);
    swept.until_fresh(12).await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_takes_no_change_is_fresh_no_longer_than_is_allowed() {
    let swept = Swept::start().await;
    swept.engine.set(Mode::Full);
    swept.table.set(10, 1, SystemClock.now(), false);
    tokio::time::sleep(SECOND * 5).await;
    let Served::Degraded { lag, cause, value, .. } = swept.look().await else { panic!("it lacks a change") };
    assert_eq!((cause.as_str(), value.hits.len()), ("lagging", 10));
    assert!(lag.is_some_and(|lag| lag > BOUND && lag < SECOND * 8), "{lag:?}");
    swept.engine.set(Mode::Well);
    swept.until_fresh(11).await;
}

#[tokio::test(start_paused = true)]
async fn while_the_source_cannot_be_read_nothing_stays_fresh() {
    let swept = Swept::start().await;
    *swept.table.away.lock().unwrap() = true;
    assert!(swept.look().await.is_current());
    tokio::time::sleep(SECOND * 5).await;
    assert!(!swept.look().await.is_current());
    *swept.table.away.lock().unwrap() = false;
    swept.until_fresh(10).await;
}

#[tokio::test(start_paused = true)]
async fn what_an_engine_refuses_for_good_holds_nothing_up() {
    let swept = Swept::start().await;
    swept.engine.set(Mode::Refusing);
    swept.table.set(10, 1, SystemClock.now(), false);
    tokio::time::sleep(SECOND * 5).await;
    swept.until_fresh(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_page_is_as_fresh_as_the_engine_was_when_it_was_asked() {
    let (swept, mut sweep) = Swept::made().await;
    swept.table.set(10, 1, SystemClock.now(), false);
    swept.engine.set(Mode::Slow);
    let brought = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        sweep.once().await.unwrap();
    };
    let (served, ()) = tokio::join!(swept.look(), brought);
    assert!(!served.is_current(), "it was asked before it was compared: {served:?}");
    assert_eq!(served.split().1.hits.len(), 10);
    swept.until_fresh(11).await;
}

#[tokio::test(start_paused = true)]
async fn one_change_that_fails_keeps_no_other_from_being_brought() {
    let (swept, mut sweep) = Swept::made().await;
    swept.engine.set(Mode::Choking);
    let poisoned = SystemClock.now();
    swept.table.set(100, 1, poisoned, false);
    // as long as it takes nothing else, it may be the engine that fails
    assert_eq!(sweep.once().await.unwrap_err().kind(), ErrorKind::Storage);
    swept.engine.set(Mode::Retrying);
    (1_000..2_200).for_each(|id| swept.table.set(id, 1, SystemClock.now(), false));
    for _ in 0..2 {
        assert_eq!(sweep.once().await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(!swept.look().await.is_current());
    }
    let stamps = swept.engine.stamps(Some("01000"), 2_000).await.unwrap();
    assert_eq!(stamps.len(), 1_199);
    swept.engine.set(Mode::Choking);
    swept.table.set(3, 2, SystemClock.now(), true);
    sweep.once().await.unwrap();
    assert!(swept.look().await.is_current());
    sweep.once().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_document_that_a_copy_does_not_have_yet_is_not_taken_for_deleted() {
    let (swept, mut sweep) = Swept::made().await;
    swept.table.set(10, 4, SystemClock.now(), false);
    *swept.table.copy.lock().unwrap() = Some(swept.table.rows.lock().unwrap().clone());
    swept.table.set(10, 5, SystemClock.now(), false);
    swept.table.set(11, 5, SystemClock.now(), false);
    swept.table.set(3, 2, SystemClock.now(), true);
    assert_eq!(sweep.once().await.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(!swept.look().await.is_current());
    *swept.table.copy.lock().unwrap() = None;
    sweep.once().await.unwrap();
    let (served, page) = swept.look().await.split();
    let ids = page.ids();
    assert!(served.is_current() && ids.contains(&"00010") && ids.contains(&"00011"), "{served:?}: {ids:?}");
    assert!(!ids.contains(&"00003"), "what was deleted is deleted, whatever the copy holds: {ids:?}");
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_be_seen_within_the_overlap_is_brought() {
    let (swept, sweep) = Swept::made().await;
    let mut sweep = sweep.with_overlap(SECOND * 600);
    sweep.once().await.unwrap();
    tokio::time::sleep(SECOND).await;
    let began = Timestamp::from_micros(SystemClock.now().as_micros() - 500_000_000);
    swept.table.set(10, 1, began, false);
    sweep.once().await.unwrap();
    swept.until_fresh(11).await;
}

#[tokio::test(start_paused = true)]
async fn more_changes_of_one_moment_than_are_read_at_a_time_are_all_brought() {
    let swept = Swept::start().await;
    let now = SystemClock.now();
    (0..1_000).for_each(|id| swept.table.set(id, 2, now, false));
    swept.until_fresh(1_000).await;
}

#[tokio::test]
async fn an_engine_that_the_search_does_not_have_is_not_compared() {
    let (engine, database) = filled(1).await;
    let search = builder(&engine, &database).build().unwrap();
    let indexer = Indexer::start(engine, |_| Ok(None));
    let error = Sweep::new("cluster", Table::default(), indexer, search).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
