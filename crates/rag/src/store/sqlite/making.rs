//! Lists are made beside searches and writes: where they should stand, and which chunks are in them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pumasi_core::database::{Writing, failed};
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use super::lists::{Centres, Lists, Part, Work, assign, stored, train};
use super::segment::{MAX_CHUNKS, Segment};
use super::shelf::{Held, Shelf, lists};
use super::upkeep::FEW;
use super::{Shared, SqliteStore, wrong};
use crate::document::Tenant;
use crate::{Error, ErrorKind, Result};

/// Lists are made anew when there are so many times as many chunks as they were made for.
const GROWTH: u64 = 4;

/// How far the lists are that a tenant's chunks are found by; see [`SqliteOptions::with_recall`](super::SqliteOptions::with_recall).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteLists {
    /// How many chunks there are.
    pub chunks: u64,
    /// How many of them, and of those that were replaced, are in lists that searches use.
    pub listed: u64,
    /// Whether lists are being made.
    pub making: bool,
    /// How many chunks have been put into the lists that are being made.
    pub made: u64,
}

/// Lists of a new generation, while the earlier ones serve.
#[derive(Debug)]
pub(super) struct Coming {
    generation: i64,
    centres: Arc<Centres>,
    /// Those that have been made, by the numbers of their segments.
    lists: HashMap<i64, Lists>,
}

/// What is to be done next.
enum Step {
    /// To find out where the lists of a new generation should stand.
    Centres { generation: i64, parts: Vec<(Arc<Segment>, Vec<bool>)> },
    /// To put segments' chunks into lists.
    Lists { generation: i64, centres: Arc<Centres>, segments: Vec<(i64, Arc<Segment>)> },
    /// To search by the lists that were made.
    Take,
}

/// What has been done.
enum Made {
    Centres(i64, Centres),
    Lists(i64, Vec<(i64, Vec<u16>)>),
    Taken,
}

impl Step {
    /// Nothing, if it is stopped.
    fn run(self, list: usize, dimensions: usize, work: &Work) -> Option<Made> {
        Some(match self {
            Self::Centres { generation, parts } => {
                let part = |(segment, alive): &'_ (Arc<Segment>, Vec<bool>)| segment.of_documents(alive);
                let there: Vec<Vec<bool>> = parts.iter().map(part).collect();
                let parts = parts.iter().zip(there).map(|((segment, _), there)| {
                    let (codes, scales) = segment.vectors();
                    Part { codes, scales, there }
                });
                Made::Centres(generation, train(&parts.collect::<Vec<_>>(), dimensions, list, work)?)
            }
            Self::Lists { generation, centres, segments } => {
                let of = |(number, segment): &(i64, Arc<Segment>)| {
                    let (codes, scales) = segment.vectors();
                    Some((*number, assign(&centres, codes, scales, dimensions, work)?))
                };
                Made::Lists(generation, segments.iter().map(of).collect::<Option<_>>()?)
            }
            Self::Take => Made::Taken,
        })
    }
}

impl Shelf {
    /// Returns the segments that should have lists, and of which `has` says that they have none.
    fn without(&self, has: impl Fn(i64, &Held) -> bool) -> Vec<(i64, Arc<Segment>)> {
        let listed = self.options.listed.max(1);
        let without =
            |(number, held): &(&i64, &Held)| held.segment.chunks.len() >= listed && !has(**number, held);
        let of = |(number, held): (&i64, &Held)| (*number, Arc::clone(&held.segment));
        self.segments.iter().filter(without).map(of).collect()
    }

    /// Returns the segments that should have lists and have none.
    pub(super) fn unlisted(&self) -> Vec<(i64, Arc<Segment>)> {
        self.without(|_, held| held.lists.is_some())
    }

    /// Tells what is to be done for lists.
    fn step(&self) -> Option<Step> {
        let chunks = self.len() as u64;
        if self.options.is_exact() || chunks < self.options.exact_below.max(1) {
            return None;
        }
        if let Some(Coming { generation, centres, lists }) = &self.coming {
            let left = self.without(|number, _| lists.contains_key(&number));
            let count: usize = left.iter().map(|(_, segment)| segment.chunks.len()).sum();
            // what is put meanwhile does not keep the others from being used
            return Some(if count <= FEW.min(self.len() / 16) {
                Step::Take
            } else {
                Step::Lists { generation: *generation, centres: Arc::clone(centres), segments: some(left) }
            });
        }
        match &self.centres {
            Some((generation, centres)) if chunks < centres.found_among.saturating_mul(GROWTH) => {
                let (generation, segments) = (*generation, some(self.unlisted()));
                let centres = Arc::clone(centres);
                (!segments.is_empty()).then_some(Step::Lists { generation, centres, segments })
            }
            before => {
                let generation = before.as_ref().map_or(1, |(generation, _)| generation + 1);
                let part = |held: &Held| (Arc::clone(&held.segment), held.alive.clone());
                Some(Step::Centres { generation, parts: self.segments.values().map(part).collect() })
            }
        }
    }

    /// Keeps of what was made what is still of use, with which it can be written.
    fn still_of_use(&self, made: Made) -> Option<Made> {
        let generation = self.centres.as_ref().map_or(0, |(generation, _)| *generation);
        let coming = self.coming.as_ref().map(|coming| coming.generation);
        match made {
            Made::Centres(made, centres) => {
                (coming.is_none() && made == generation + 1).then_some(Made::Centres(made, centres))
            }
            Made::Lists(made, mut found) => {
                found.retain(|(number, _)| self.segments.contains_key(number));
                (coming == Some(made) || (coming.is_none() && made == generation))
                    .then_some(Made::Lists(made, found))
            }
            Made::Taken => matches!(self.step(), Some(Step::Take)).then_some(Made::Taken),
        }
    }

    /// Searches by what was made, or keeps it until all is.
    fn take(&mut self, made: Made) -> Result<()> {
        match made {
            Made::Centres(generation, centres) => {
                let (centres, lists) = (Arc::new(centres), HashMap::new());
                self.coming = Some(Coming { generation, centres, lists });
            }
            Made::Lists(_, found) => {
                for (number, of) in found {
                    match (&mut self.coming, self.segments.get(&number)) {
                        (Some(coming), Some(held)) => {
                            coming.lists.insert(number, lists(&held.segment, of, &coming.centres)?);
                        }
                        _ => self.list(number, of)?,
                    }
                }
            }
            Made::Taken => {
                let Some(Coming { generation, centres, mut lists }) = self.coming.take() else {
                    return Ok(());
                };
                tracing::debug!(chunks = self.len(), lists = centres.len(), "lists have been made");
                self.centres = Some((generation, centres));
                for (number, held) in &mut self.segments {
                    held.lists = lists.remove(number);
                }
            }
        }
        Ok(())
    }
}

/// As many of the segments as one has chunks at most: so much is kept at once.
fn some(mut segments: Vec<(i64, Arc<Segment>)>) -> Vec<(i64, Arc<Segment>)> {
    let mut chunks = 0;
    segments.retain(|(_, segment)| {
        let first = chunks == 0;
        chunks += segment.chunks.len();
        first || chunks <= MAX_CHUNKS
    });
    segments
}

/// What is made for the tenants.
#[derive(Debug, Default)]
pub(super) struct Makings {
    /// Whoever has it works.
    turn: Arc<tokio::sync::Mutex<()>>,
    running: Mutex<HashMap<Tenant, Making>>,
}

#[derive(Debug)]
struct Making {
    task: AbortHandle,
    work: Arc<Work>,
    /// Whether it has found nothing more to do: what is missing from now on needs another.
    is_over: bool,
    /// Closed when it has ended, and does not keep the file open.
    ended: watch::Receiver<()>,
}

impl Makings {
    fn running(&self) -> MutexGuard<'_, HashMap<Tenant, Making>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, making| !making.task.is_finished());
        running
    }

    fn end(&self, tenant: &Tenant) {
        if let Some(making) = self.running().get_mut(tenant) {
            making.is_over = true;
        }
    }
}

impl Drop for Makings {
    fn drop(&mut self) {
        for (_, Making { task, work, .. }) in self.running().drain() {
            // the task may not be polled any more
            work.stop();
            task.abort();
        }
    }
}

/// Stops work when nobody waits for it any more.
struct Wanted(Arc<Work>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl SqliteStore {
    /// Tells how far the lists of this tenant are, which [`SqliteOptions::with_recall`](super::SqliteOptions::with_recall) asks for.
    ///
    /// # Errors
    ///
    /// `Storage` if the file cannot be read.
    pub async fn lists(&self) -> Result<SqliteLists> {
        let mut state = self
            .ask(|shelf| {
                let listed = shelf.segments.values().filter(|held| held.lists.is_some());
                let listed = listed.map(|held| held.segment.chunks.len() as u64).sum();
                let coming = shelf.coming.iter().flat_map(|coming| coming.lists.values());
                let made = coming.map(|lists| lists.of.len() as u64).sum();
                SqliteLists { chunks: shelf.len() as u64, listed, making: false, made }
            })
            .await?;
        let running = self.shared.makings.running();
        if let Some(making) = running.get(&self.tenant).filter(|making| !making.is_over) {
            state.making = true;
            state.made += making.work.done();
        }
        Ok(state)
    }

    /// Waits until no lists are being made for this tenant. Puts and searches need not wait for it.
    ///
    /// # Errors
    ///
    /// `Storage` if the file cannot be read. That lists could not be made is logged; [`lists`](Self::lists) tells what there is.
    pub async fn lists_made(&self) -> Result<()> {
        self.load().await?;
        loop {
            let ended = self.shared.makings.running().get(&self.tenant).map(|making| making.ended.clone());
            let Some(mut ended) = ended else { return Ok(()) };
            // nothing is ever sent
            while ended.changed().await.is_ok() {}
            tokio::task::yield_now().await;
        }
    }

    /// Begins to make the lists that are missing, unless it has begun.
    pub(super) fn make_lists(&self) -> Result<()> {
        if self.shared.options.is_exact() {
            return Ok(());
        }
        let makings = &self.shared.makings;
        let mut running = makings.running();
        let runs = running.get(&self.tenant).is_some_and(|making| !making.is_over);
        if runs || self.step()?.is_none() {
            return Ok(());
        }
        let (sender, ended) = watch::channel(());
        let work = Arc::new(Work::default());
        let (shared, tenant) = (Arc::downgrade(&self.shared), self.tenant.clone());
        let (turn, wanted) = (Arc::clone(&makings.turn), Wanted(Arc::clone(&work)));
        let task = tokio::spawn(async move {
            let _turn = turn.lock().await;
            if let Err(error) = make(&shared, &tenant, &wanted.0).await {
                tracing::warn!(kind = %error.kind(), "lists of the knowledge could not be made");
                if let Some(shared) = shared.upgrade() {
                    shared.makings.end(&tenant);
                }
            }
            drop(sender);
        });
        let making = Making { task: task.abort_handle(), work, is_over: false, ended };
        running.insert(self.tenant.clone(), making);
        Ok(())
    }

    /// Tells what is to be done; nothing also while it is not known what the file holds.
    fn step(&self) -> Result<Option<Step>> {
        Ok(self.shelf.read().map_err(wrong)?.as_ref().and_then(Shelf::step))
    }

    /// Tells what is to be done; that nothing is, and so nothing is being made any more, is found out at once for all.
    fn step_or_end(&self) -> Result<Option<Step>> {
        let mut running = self.shared.makings.running();
        let step = self.step()?;
        if step.is_none()
            && let Some(making) = running.get_mut(&self.tenant)
        {
            making.is_over = true;
        }
        Ok(step)
    }

    /// Writes what was made, first in the file and then in memory.
    async fn take(&self, made: Made) -> Result<()> {
        let failed = |error| failed("making lists of the knowledge", error);
        let _writing = self.shared.writing.lock().await;
        let (tenant, made) = {
            let shelf = self.shelf.read().map_err(wrong)?;
            let Some(shelf) = shelf.as_ref() else { return Ok(()) };
            let Some(made) = shelf.still_of_use(made) else { return Ok(()) };
            (shelf.tenant, made)
        };
        if !matches!(made, Made::Taken) {
            let mut writing = Writing::begin(&self.shared.pool).await.map_err(failed)?;
            match &made {
                Made::Centres(generation, centres) => {
                    stored::put_centres(&mut writing, tenant, *generation, centres).await.map_err(failed)?;
                }
                Made::Lists(generation, found) => {
                    for (segment, of) in found {
                        stored::put_lists(&mut writing, tenant, *generation, *segment, of)
                            .await
                            .map_err(failed)?;
                    }
                }
                Made::Taken => {}
            }
            writing.commit().await.map_err(failed)?;
        }
        let mut shelf = self.shelf.write().map_err(wrong)?;
        shelf.as_mut().map_or(Ok(()), |shelf| shelf.take(made))
    }
}

/// Makes a tenant's lists until none are missing. It keeps the file open only while it reads or writes.
async fn make(shared: &Weak<Shared>, tenant: &Tenant, work: &Arc<Work>) -> Result<()> {
    let store = || Some(SqliteStore::handle(shared.upgrade()?, tenant.clone()));
    loop {
        let (step, list, dimensions) = {
            let Some(store) = store() else { return Ok(()) };
            let Some(step) = store.step_or_end()? else { return Ok(()) };
            (step, store.shared.options.list, store.shared.space.dimensions)
        };
        work.begin();
        let (sender, made) = oneshot::channel();
        let work = Arc::clone(work);
        // not one of the runtime's threads, for whose end it waits
        let thread = std::thread::Builder::new().name("pumasi-rag-lists".to_owned());
        let run = move || drop(sender.send(step.run(list, dimensions, &work)));
        let _ = thread.spawn(run).map_err(|error| {
            Error::new(ErrorKind::Other, "no thread could be started to make lists").with_source(error)
        })?;
        let Some(made) = made.await.map_err(wrong)? else { return Ok(()) };
        let Some(store) = store() else { return Ok(()) };
        store.take(made).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use pumasi_core::filter::{Field, Filter};
    use pumasi_core::text::Span;

    use super::super::lists::vectors;
    use super::super::options::SqliteOptions;
    use super::*;
    use crate::chunk::ChunkId;
    use crate::document::{Document, DocumentRecord, Fingerprint};
    use crate::store::{ChunkEntry, Entry, SectionEntry, StoreQuery, everything};

    const DIMENSIONS: usize = 16;
    const PER_DOCUMENT: usize = 10;
    const LEVEL: Field<i64> = Field::new("level");

    /// Makes documents of the vectors, the first with this number.
    fn entries(first: usize, vectors: &[Vec<f32>]) -> Vec<Entry> {
        let entry = |(number, vectors): (usize, &[Vec<f32>])| {
            let id = number.to_string();
            let chunk = |(nth, vector): (u32, &Vec<f32>)| {
                let id = ChunkId::new(&id, "", "", nth);
                ChunkEntry::new(id, 0, Span::new(0, 1), vector.clone(), vec![(1, 1)])
            };
            let document = Document::new(id.as_str(), "").with_metadata("level", number % 100);
            let record = DocumentRecord::new(&document, Fingerprint::of([id.as_bytes()]));
            let section = SectionEntry::new(Vec::new(), Span::new(0, 1), "a");
            Entry::new(record, vec![section], (0..).zip(vectors).map(chunk).collect())
        };
        (first..).zip(vectors.chunks(PER_DOCUMENT)).map(entry).collect()
    }

    fn put(shelf: &mut Shelf, segment: i64, entries: &[Entry]) {
        for entry in entries {
            shelf.remove(&entry.record.id);
        }
        let segment_of = Segment::of(entries, segment * 100_000, segment * 1_000_000).unwrap();
        shelf.add(segment, Arc::new(segment_of), &HashSet::new());
        while let Some(step) = shelf.step() {
            let made = step.run(shelf.options.list, DIMENSIONS, &Work::default()).unwrap();
            let made = shelf.still_of_use(made).unwrap();
            shelf.take(made).unwrap();
        }
    }

    /// Asks both, and returns the share of what is nearest by the exact one that is found by lists, and the share of what the filter
    /// admits that is looked at for it.
    fn asked(lists: &Shelf, exact: &Shelf, questions: &[Vec<f32>], filter: &Filter) -> (f64, f64) {
        let (mut found, mut wanted, mut looked_at, mut admitted) = (0, 0, 0, 0);
        for question in questions {
            let query = StoreQuery::new(10).with_embedding(question.clone()).with_filter(filter.clone());
            let near = |shelf: &Shelf| shelf.near(&query, &shelf.admitted(filter), 10);
            let ids =
                |near: &[super::super::shelf::Near]| near.iter().map(|near| near.id).collect::<HashSet<_>>();
            let (of_lists, of_all) = (near(lists), near(exact));
            assert!(of_lists.near.len() == 10 && of_all.near.len() == 10);
            let expected = ids(&of_all.near);
            found += ids(&of_lists.near).intersection(&expected).count();
            wanted += expected.len();
            looked_at += of_lists.looked_at;
            admitted += of_all.looked_at;
        }
        let share = |part: usize, whole: usize| {
            f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap())
        };
        (share(found, wanted), share(looked_at, admitted))
    }

    #[test]
    fn a_search_by_lists_looks_at_few_and_finds_what_is_near_whatever_was_changed() {
        let options = SqliteOptions::new().with_recall(0.95).with_exact_below(500);
        let (mut lists, mut exact) = (Shelf::new(options), Shelf::new(SqliteOptions::new()));
        let all = vectors(9_230, DIMENSIONS, 5);
        let (all, questions) = all.split_at(9_200);
        let (first, later) = all.split_at(8_000);
        let entries_of_first = entries(0, first);
        let check = |lists: &Shelf, exact: &Shelf, what: &str| {
            for (filter, most) in
                [(everything(), 0.25), (LEVEL.at_least(50), 0.35), (LEVEL.below(10), 1.0), (LEVEL.eq(7), 1.0)]
            {
                let (recall, share) = asked(lists, exact, questions, &filter);
                assert!(recall >= 0.95, "{what} {filter:?}: {recall} of the nearest");
                assert!(share <= most, "{what} {filter:?}: looked at {share}");
            }
        };
        for (nth, entries) in (1..).zip(entries_of_first.chunks(200)) {
            put(&mut lists, nth, entries);
            put(&mut exact, nth, entries);
        }
        let (generation, centres) = lists.centres.clone().unwrap();
        assert_eq!((generation, lists.unlisted().len()), (2, 0), "{}", centres.found_among);
        check(&lists, &exact, "put");
        for shelf in [&mut lists, &mut exact] {
            (0..800).step_by(3).for_each(|number| shelf.remove(&number.to_string()));
        }
        check(&lists, &exact, "a third removed");
        let replaced = entries(200, later);
        for shelf in [&mut lists, &mut exact] {
            put(shelf, 50, &replaced);
        }
        check(&lists, &exact, "replaced");
        assert_eq!(lists.len(), exact.len());
    }

    #[test]
    fn what_was_made_of_segments_that_are_gone_is_not_used() {
        let options = SqliteOptions::new().with_recall(0.95).with_lists_of(16);
        let mut shelf = Shelf::new(options);
        let all = entries(0, &vectors(2_000, DIMENSIONS, 6));
        for (number, entries) in (1..).zip(all.chunks(100)) {
            let segment = Segment::of(entries, number * 100_000, number * 1_000_000).unwrap();
            shelf.add(number, Arc::new(segment), &HashSet::new());
        }
        let run = |shelf: &Shelf| shelf.step().unwrap().run(16, DIMENSIONS, &Work::default()).unwrap();
        let (made, again) = (run(&shelf), run(&shelf));
        let made = shelf.still_of_use(made).unwrap();
        shelf.take(made).unwrap();
        assert!(shelf.coming.is_some() && shelf.centres.is_none());
        assert!(shelf.still_of_use(again).is_none(), "centres are there already");
        let made = run(&shelf);
        let gone = shelf.segments.remove(&1).unwrap();
        let made = shelf.still_of_use(made).unwrap();
        assert!(matches!(&made, Made::Lists(1, of) if of.len() == 1));
        shelf.take(made).unwrap();
        shelf.segments.insert(3, gone);
        assert!(shelf.still_of_use(Made::Taken).is_none(), "one has no lists");
        while let Some(step) = shelf.step() {
            let made = step.run(16, DIMENSIONS, &Work::default()).unwrap();
            shelf.take(made).unwrap();
        }
        assert!(shelf.coming.is_none() && shelf.unlisted().is_empty() && shelf.centres.is_some());
    }
}
