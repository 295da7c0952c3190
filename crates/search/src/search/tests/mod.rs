mod kept;
mod source;
mod truth;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use metrics_exporter_prometheus::PrometheusBuilder;
use pumasi_core::filter::Field;
use pumasi_core::text::{Analyzer, Morpheme, Morphology, Role};
use pumasi_core::time::Timestamp;
use serde_json::json;

use super::*;
use crate::engine::{Applied, Change, MemoryEngine, Stamp, Status};
use crate::fallback::Gap;
use crate::schema::{Document, TextField};
use crate::{Error, ErrorKind, Rank, Sort};

const LIKES: Field<i64> = Field::new("likes");

fn schema() -> Schema {
    Schema::new("posts").with_text(TextField::new("title")).with_field(&LIKES)
}

/// How an engine under test behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Well,
    Down,
    Hanging,
    TimedOut,
    /// Answers, and takes no changes.
    Full,
    /// Answers, and refuses changes for good.
    Refusing,
    /// Answers late with what it had when it was asked.
    Slow,
    /// Answers, and fails for good at one document.
    Choking,
    /// Answers, and asks for that one again.
    Retrying,
    /// Well, but its pages do not say how much it knows.
    Untold,
}

/// The reference engine with a switch.
#[derive(Clone, Debug)]
struct Switched {
    engine: MemoryEngine,
    mode: Arc<Mutex<Mode>>,
    searches: Arc<AtomicU64>,
    looks: Arc<AtomicU64>,
    rebuilt: Arc<AtomicU64>,
}

impl Switched {
    fn new(name: &str) -> Self {
        Self {
            engine: MemoryEngine::new(schema()).with_name(name),
            mode: Arc::new(Mutex::new(Mode::Well)),
            searches: Arc::default(),
            looks: Arc::default(),
            rebuilt: Arc::default(),
        }
    }

    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    async fn reach(&self) -> Result<Mode> {
        let mode = *self.mode.lock().unwrap();
        match mode {
            Mode::Down => Err(Error::new(ErrorKind::Unavailable, "connection refused")),
            Mode::Hanging => std::future::pending().await,
            _ => Ok(mode),
        }
    }
}

#[async_trait]
impl SearchEngine for Switched {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn schema(&self) -> &Schema {
        self.engine.schema()
    }

    async fn search(&self, query: &Query, left: Duration) -> Result<Page> {
        self.searches.fetch_add(1, Ordering::SeqCst);
        let mode = self.reach().await?;
        let mut page = self.engine.search(query, left).await?;
        page.generation += self.rebuilt.load(Ordering::SeqCst);
        page.known = page.known.filter(|_| mode != Mode::Untold);
        if mode == Mode::Slow {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if mode == Mode::TimedOut {
            page.hits.truncate(page.hits.len() / 2);
            page.gaps.push(Gap::TimedOut);
        }
        Ok(page)
    }

    async fn apply(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        if *self.mode.lock().unwrap() == Mode::Full {
            return Err(Error::new(ErrorKind::Unavailable, "no room is left"));
        }
        if *self.mode.lock().unwrap() == Mode::Refusing {
            let refused = || Error::new(ErrorKind::InvalidInput, "the document is too large");
            return Ok(changes.iter().map(|_| Err(refused())).collect());
        }
        let mut results = self.engine.apply(changes).await?;
        let failure = match *self.mode.lock().unwrap() {
            Mode::Choking => Error::new(ErrorKind::Storage, "the page is damaged"),
            Mode::Retrying => Error::new(ErrorKind::Timeout, "one document takes too long"),
            _ => return Ok(results),
        };
        for (change, result) in changes.iter().zip(&mut results) {
            if change.id() == POISON {
                *result = Err(failure.clone());
            }
        }
        Ok(results)
    }

    async fn status(&self) -> Result<Status> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.reach().await?;
        self.engine.status().await
    }

    async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>> {
        self.reach().await?;
        self.engine.stamps(after, limit).await
    }
}

fn post(id: u64, version: u64) -> Change {
    let likes = id.wrapping_mul(2_654_435_761) % 97 + if id >= UNTOUCHED { version * 31 } else { 0 };
    let title = if id.is_multiple_of(2) { "한강 러닝크루 모집" } else { "Rust study tonight" };
    let at = Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(version).unwrap());
    Change::upsert(Document::new(format!("{id:05}"), json!({"title": title, "likes": likes})), version)
        .with_at(at)
}

/// The document that some modes fail at.
const POISON: &str = "00100";

/// Documents from here on are changed while a walk is under way.
const UNTOUCHED: u64 = 1_500;

async fn filled(documents: u64) -> (Switched, Switched) {
    let (engine, database) = (Switched::new("engine"), Switched::new("database"));
    let posts: Vec<Change> = (0..documents).map(|id| post(id, 1)).collect();
    for engine in [&engine, &database] {
        for applied in engine.apply(&posts).await.unwrap() {
            applied.unwrap();
        }
    }
    (engine, database)
}

fn builder(engine: &Switched, database: &Switched) -> SearchBuilder {
    Search::builder("posts").primary(engine.clone()).fallback(database.clone())
}

fn sorted() -> Query {
    Query::everything().with_rank(Rank::sorted([Sort::descending(&LIKES)])).with_limit(20)
}

#[tokio::test(start_paused = true)]
async fn a_walk_misses_and_repeats_nothing_untouched_over_failovers_and_writes_in_its_middle() {
    let (engine, database) = filled(2_000).await;
    let search = builder(&engine, &database).build().unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let (mut seen, mut by, mut cursor, mut version) =
        (BTreeMap::<String, u32>::new(), BTreeMap::new(), None, 1);
    loop {
        let query = cursor.take().map_or_else(sorted, |cursor| sorted().after(cursor));
        let (served, page) = search.search(query).await.unwrap().split();
        *by.entry(page.engine.clone()).or_insert(0) += 1;
        assert_eq!(served.is_current(), page.engine == "engine");
        for hit in &page.hits {
            *seen.entry(hit.id.clone()).or_default() += 1;
        }
        let Some(next) = page.next.clone() else { break };
        cursor = Some(next);
        let trouble = [Mode::Down, Mode::Hanging, Mode::TimedOut][random.usize(..3)];
        engine.set(if random.u8(..8) == 0 { trouble } else { Mode::Well });
        version += 1;
        let id = random.u64(UNTOUCHED..2_500);
        let change =
            if random.bool() { post(id, version) } else { Change::delete(format!("{id:05}"), version) };
        for engine in [&engine, &database] {
            engine.apply(std::slice::from_ref(&change)).await.unwrap().remove(0).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(random.u64(..4_000))).await;
    }
    for id in 0..UNTOUCHED {
        assert_eq!(seen.get(&format!("{id:05}")), Some(&1), "{id}");
    }
    assert!(by.len() == 2 && by.values().all(|pages| *pages > 5), "{by:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wiped_index_answers_nothing_until_it_has_its_documents_again() {
    let (engine, database) = filled(100).await;
    let search = builder(&engine, &database).build().unwrap();
    assert!(search.search(sorted()).await.unwrap().is_current());
    engine.engine.wipe().unwrap();
    for _ in 0..20 {
        let (served, page) = search.search(sorted()).await.unwrap().split();
        assert_eq!((served.backend(), page.hits.len()), (Some("database"), 20));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(search.engines()[0].wiped);

    // built anew in part it is still not believed, and when it is whole it is
    engine.apply(&(0..40).map(|id| post(id, 1)).collect::<Vec<_>>()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(search.search(sorted()).await.unwrap().backend(), Some("database"));
    engine.apply(&(40..100).map(|id| post(id, 1)).collect::<Vec<_>>()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(search.search(sorted()).await.unwrap().backend(), Some("engine"));
    assert!(!search.engines()[0].wiped);
}

#[tokio::test(start_paused = true)]
async fn an_index_that_was_wiped_before_the_process_began_is_noticed_by_what_the_others_hold() {
    let (engine, database) = filled(100).await;
    engine.engine.wipe().unwrap();
    let search = builder(&engine, &database).build().unwrap();
    // nothing is known yet of the other engine: the first empty page has both looked at
    assert_eq!(search.search(sorted()).await.unwrap().backend(), Some("database"));
}

#[tokio::test(start_paused = true)]
async fn deletes_that_every_engine_made_are_no_wipe() {
    let (engine, database) = filled(100).await;
    let search = builder(&engine, &database).build().unwrap();
    let _fresh = search.search(sorted()).await.unwrap();
    let deletes: Vec<Change> = (0..90_u64).map(|id| Change::delete(format!("{id:05}"), 2)).collect();
    for engine in [&engine, &database] {
        engine.apply(&deletes).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..5 {
        let _looked = search.search(sorted()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(search.search(sorted()).await.unwrap().split().1.hits.len(), 10);
    assert!(!search.engines()[0].wiped);
    // and a query that finds nothing is answered by the primary
    assert!(search.search(Query::new("없는말")).await.unwrap().is_current());
}

fn deletes(ids: std::ops::Range<u64>) -> Vec<Change> {
    ids.map(|id| Change::delete(format!("{id:05}"), 2)).collect()
}

#[tokio::test(start_paused = true)]
async fn most_documents_may_be_deleted_from_the_one_engine() {
    let (engine, _) = filled(100).await;
    let search = Search::builder("posts").primary(engine.clone()).build().unwrap();
    for round in 0..10 {
        assert!(search.search(sorted()).await.unwrap().is_current(), "{round}");
        engine.apply(&deletes(round * 10..round * 10 + 10)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert!(search.search(sorted()).await.unwrap().is_current());
    engine.engine.wipe().unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(search.search(sorted()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    search.trust("engine", Duration::from_secs(1)).await.unwrap();
    assert!(search.search(sorted()).await.unwrap().is_current());
    assert_eq!(search.trust("none", Duration::ZERO).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_missed_the_deletes_does_not_outvote_the_primary_and_says_so() {
    let (engine, database) = filled(100).await;
    let search = builder(&engine, &database).build().unwrap();
    let _looks = search.search(sorted()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for round in 0..5 {
        assert!(search.search(sorted()).await.unwrap().is_current(), "{round}");
        engine.apply(&deletes(0..60)).await.unwrap();
        database.set(Mode::Down);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    database.set(Mode::Well);
    engine.set(Mode::Down);
    let served = search.search(sorted()).await.unwrap();
    let Served::Degraded { gaps, value, .. } = served else { panic!("degraded: {served:?}") };
    assert_eq!((gaps, value.hits.len()), (vec![Gap::Deletes(60)], 20));
}

#[tokio::test(start_paused = true)]
async fn what_holds_more_than_the_others_can_be_told_to_be_right() {
    let (engine, database) = filled(100).await;
    // built anew without what was deleted meanwhile, which the other has not heard of
    engine.engine.wipe().unwrap();
    engine.apply(&(0..30).map(|id| post(id, 1)).collect::<Vec<_>>()).await.unwrap();
    let search = builder(&engine, &database).build().unwrap();
    let _looks = search.search(sorted()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _looks = search.search(sorted()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(search.search(sorted()).await.unwrap().backend(), Some("database"));
    search.trust("engine", Duration::from_secs(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(search.search(sorted()).await.unwrap().backend(), Some("engine"));
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_lags_far_behind_is_not_fresh() {
    let (engine, database) = filled(10).await;
    let cache = || PageCache::memory(10);
    let search = builder(&engine, &database).cache(cache()).build().unwrap();
    let patient = builder(&engine, &database).cache(cache()).fresh_within(Duration::MAX).build().unwrap();
    database.apply(&[post(3, 86_400_000_000)]).await.unwrap();
    for search in [&search, &patient] {
        for _ in 0..3 {
            let _looks = search.search(Query::everything()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1_200)).await;
            search.invalidate_all().await.unwrap();
        }
    }
    for _ in 0..2 {
        let served = search.search(sorted()).await.unwrap();
        let Served::Degraded { backend, lag, cause, .. } = served else { panic!("{served:?}") };
        assert_eq!((&*backend, cause.as_str()), ("engine", "lagging"));
        assert_eq!(lag.map(|lag| lag.as_secs()), Some(86_399));
    }
    assert!(patient.search(sorted()).await.unwrap().is_current());
}

#[tokio::test(start_paused = true)]
async fn one_look_is_good_for_the_empty_pages_of_a_second() {
    let (engine, database) = filled(10).await;
    let search = builder(&engine, &database).build().unwrap();
    for number in 0..100 {
        assert!(search.search(Query::new(format!("없는말{number}"))).await.unwrap().is_current());
    }
    assert!(engine.looks.load(Ordering::SeqCst) <= 2, "{:?}", engine.looks);
}

#[tokio::test(start_paused = true)]
async fn a_space_ends_the_word_that_is_typed_and_the_cache_knows() {
    let schema = Schema::new("posts").with_text(TextField::new("title").with_prefixes());
    let engine = MemoryEngine::new(schema);
    let post = Change::upsert(Document::new("1", json!({"title": "Marathon"})), 1);
    engine.apply(&[post]).await.unwrap();
    let search = Search::builder("posts").primary(engine).cache(PageCache::memory(10)).build().unwrap();
    let hits =
        async |text: &str| search.search(Query::new(text).as_you_type()).await.unwrap().split().1.hits.len();
    assert_eq!((hits("mara").await, hits("mara ").await, hits(" mara").await), (1, 0, 1));
}

/// An engine that says of its pages that it ranks in its own way.
#[derive(Debug)]
struct Own(MemoryEngine);

#[async_trait]
impl SearchEngine for Own {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema(&self) -> &Schema {
        self.0.schema()
    }

    async fn search(&self, query: &Query, left: Duration) -> Result<Page> {
        let mut page = self.0.search(query, left).await?;
        page.gaps.push(Gap::Ranking);
        Ok(page)
    }

    async fn apply(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        self.0.apply(changes).await
    }

    async fn status(&self) -> Result<Status> {
        self.0.status().await
    }

    async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>> {
        self.0.stamps(after, limit).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_primarys_own_order_is_no_gap() {
    let (engine, database) = filled(10).await;
    let search = Search::builder("posts").primary(Own(engine.engine)).fallback(database).build().unwrap();
    let served = search.search(Query::new("러닝")).await.unwrap();
    assert!(served.is_current(), "{served:?}");
    assert_eq!(served.split().1.gaps, []);
    let report = search.doctor(Duration::from_secs(1)).await;
    assert_eq!(report.health(), Health::Good, "{report}");
}

#[tokio::test(start_paused = true)]
async fn another_engines_order_of_texts_is_said_to_be_another_and_its_order_of_fields_is_not() {
    let (engine, database) = filled(100).await;
    engine.set(Mode::Down);
    let search = builder(&engine, &database).build().unwrap();
    let Served::Degraded { gaps, .. } = search.search(Query::new("러닝")).await.unwrap() else {
        panic!("degraded")
    };
    assert_eq!(gaps, [Gap::Ranking]);
    let Served::Degraded { gaps, .. } = search.search(sorted()).await.unwrap() else { panic!("degraded") };
    assert_eq!(gaps, []);
}

#[tokio::test(start_paused = true)]
async fn how_far_the_other_engine_lags_is_told() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let (engine, database) = filled(10).await;
    let search = builder(&engine, &database).build().unwrap();
    engine.apply(&[post(3, 5_000_001)]).await.unwrap();
    let _looked = search.search(sorted()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    engine.set(Mode::Down);
    let Served::Degraded { lag, .. } = search.search(sorted()).await.unwrap() else { panic!("degraded") };
    assert_eq!(lag, Some(Duration::from_secs(5)));
    let (told, name) = (recorder.handle().render(), database.name());
    for gauge in
        [format!("documents{{engine=\"{name}\"}} 10\n"), format!("lag_seconds{{engine=\"{name}\"}} 5\n")]
    {
        assert!(told.contains(&format!("pumasi_search_{gauge}")), "{gauge} is not in {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_are_cached_until_a_write_says_so_or_the_index_is_a_new_one() {
    let (engine, database) = filled(10).await;
    let cache = PageCache::memory(100).with_tags(|query| vec![format!("limit{}", query.limit)]);
    let search = builder(&engine, &database).cache(cache).build().unwrap();
    let ask = || async { search.search(sorted()).await.unwrap().as_str() };
    assert_eq!((ask().await, ask().await), ("fresh", "cached"));
    search.invalidate(["limit10"]).await.unwrap();
    assert_eq!(ask().await, "cached");
    search.invalidate(["limit20"]).await.unwrap();
    assert_eq!((ask().await, ask().await), ("fresh", "cached"));
    search.invalidate_all().await.unwrap();
    assert_eq!((ask().await, ask().await), ("fresh", "cached"));

    // another query sees that the index was built anew
    engine.rebuilt.store(1, Ordering::SeqCst);
    assert_eq!(search.search(Query::everything()).await.unwrap().as_str(), "fresh");
    assert_eq!((ask().await, ask().await), ("fresh", "cached"));
}

#[tokio::test(start_paused = true)]
async fn a_query_that_the_schema_does_not_allow_reaches_no_engine() {
    let (engine, database) = filled(1).await;
    let search = builder(&engine, &database).build().unwrap();
    let error = search.search(Query::everything().with_limit(1_000_000)).await.unwrap_err();
    assert_eq!((error.kind(), engine.searches.load(Ordering::SeqCst)), (ErrorKind::InvalidInput, 0));
}

#[test]
fn engines_that_do_not_belong_together_are_not_put_together() {
    let kind = |builder: SearchBuilder| builder.build().unwrap_err().kind();
    assert_eq!(kind(Search::builder("posts")), ErrorKind::InvalidInput);
    let twice = Search::builder("posts").primary(Switched::new("a")).fallback(Switched::new("a"));
    assert_eq!(kind(twice), ErrorKind::InvalidInput);
    let other = MemoryEngine::new(Schema::new("posts").with_text(TextField::new("body"))).with_name("b");
    assert_eq!(
        kind(Search::builder("posts").primary(Switched::new("a")).fallback(other)),
        ErrorKind::InvalidInput
    );
    let analyzer = Analyzer::default().with_morphology(Halves);
    let other = MemoryEngine::new(schema().with_analyzer(analyzer)).with_name("b");
    assert_eq!(
        kind(Search::builder("posts").primary(Switched::new("a")).fallback(other)),
        ErrorKind::InvalidInput
    );
}

/// Takes words apart in the middle.
#[derive(Debug)]
struct Halves;

impl Morphology for Halves {
    fn split<'a>(&self, word: &'a str, pieces: &mut Vec<Morpheme<'a>>) {
        let middle = word.char_indices().nth(word.chars().count() / 2).map_or(0, |(at, _)| at);
        for range in [0..middle, middle..word.len()] {
            let form = word[range.clone()].into();
            pieces.push(Morpheme { range, form, role: Role::Content });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_doctor_says_in_words_what_is_wrong() {
    let (engine, database) = filled(100).await;
    let search = builder(&engine, &database).build().unwrap();
    let limit = Duration::from_secs(1);
    let report = search.doctor(limit).await;
    assert_eq!(report.health(), Health::Good, "{report}");
    assert!(report.to_string().contains("database: the same 100 documents as engine"), "{report}");

    database.apply(&[post(7, 2), Change::delete("00008", 2)]).await.unwrap();
    let report = search.doctor(limit).await;
    assert_eq!(report.health(), Health::Warning, "{report}");
    for told in [
        "warning  engine: of 99 documents of database, 0 are missing and 1 of an older version",
        "warning  database: of 100 documents of engine, 1 are missing and 0 of an older version",
    ] {
        assert!(report.to_string().contains(told), "{report}");
    }
    engine.apply(&[post(7, 2)]).await.unwrap();
    database.apply(&[post(200, 1)]).await.unwrap();
    let report = search.doctor(limit).await;
    assert!(
        report.to_string().contains("database: 1 documents are there that engine does not have"),
        "{report}"
    );

    engine.engine.wipe().unwrap();
    let report = search.doctor(limit).await.to_string();
    assert!(report.contains("bad      engine: the index of engine has lost documents"), "{report}");

    engine.set(Mode::Hanging);
    let began = tokio::time::Instant::now();
    let report = search.doctor(limit).await.to_string();
    assert!(report.contains("bad      engine: engine did not say how it stands"), "{report}");
    assert!(
        report.contains("bad      engine: it did not say within 1s which documents it holds"),
        "{report}"
    );
    assert!(began.elapsed() <= limit + Duration::from_millis(10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_doctor_says_which_engine_it_is_that_lacks_documents() {
    let (engine, database) = filled(1_000).await;
    let search = builder(&engine, &database).build().unwrap();
    engine.engine.wipe().unwrap();
    engine.apply(&(0..600).map(|id| post(id, 1)).collect::<Vec<_>>()).await.unwrap();
    let report = search.doctor(Duration::from_secs(1)).await;
    for told in [
        "warning  engine: it lacks at least 400 documents of another engine",
        "warning  engine: of 1000 documents of database, 400 are missing and 0 of an older version",
    ] {
        assert!(report.to_string().contains(told), "{report}");
    }
    assert!(!report.to_string().contains("warning  database"), "{report}");
}
