//! The laws of [`SagaStore`], in the order of its numbered guarantees.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use pumasi_core::event::{Envelope, OutboxStore, Outcome, State};
use pumasi_core::time::Timestamp;

use super::{Broken, Kept, Verdict, holds, same};
use crate::store::{
    Commit, Committed, Delivered, Head, Known, Lease, NewSignal, Query, SagaId, SagaStore, Status, Stored,
    WorkerId,
};
use crate::{Error, ErrorKind};

/// A lease that ends within a law; long enough that a busy machine makes its calls within a part of it.
const SHORT: Duration = Duration::from_millis(1500);
/// A lease that outlasts every law.
const LONG: Duration = Duration::from_hours(1);
/// What the laws call their sagas.
const SAGA: &str = "등록-law";

/// A store of sagas under examination.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// Opens the store: every call gives another handle to the same sagas, as another process would have it.
    async fn open(&self) -> Arc<dyn SagaStore>;

    /// Lets time pass for leases and deadlines: turns the clock that the store was given, or really waits.
    async fn pass(&self, time: Duration);

    /// Cuts the store off from its backend for the rest of the law, and says whether it could (the default cannot).
    async fn cut(&self) -> bool {
        false
    }
}

/// Makes one `#[test]` per law of [`SagaStore`], in a module of the given name, each on a harness of its own made by the
/// expression.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use pumasi_core::time::ManualClock;
/// use pumasi_saga::conformance::store::StoreHarness;
/// use pumasi_saga::store::{MemoryStore, SagaStore};
///
/// struct Memory(ManualClock, MemoryStore);
///
/// impl Memory {
///     fn new() -> Self {
///         let clock = ManualClock::new();
///         Self(clock.clone(), MemoryStore::with_clock(Arc::new(clock)))
///     }
/// }
///
/// #[async_trait]
/// impl StoreHarness for Memory {
///     async fn open(&self) -> Arc<dyn SagaStore> {
///         Arc::new(self.1.clone())
///     }
///
///     async fn pass(&self, time: Duration) {
///         self.0.advance(time);
///     }
/// }
///
/// pumasi_saga::store_laws!(memory, Memory::new());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_laws {
    ($backend:ident, $harness:expr) => {
        $crate::store_laws!(@each $backend, $harness,
            law_01_durable,
            law_02_all_or_none,
            law_03_in_order,
            law_04_one_of_two,
            law_05_fenced,
            law_06_repeating_is_safe,
            law_07_taking,
            law_08_claiming,
            law_08_to_one_worker,
            law_09_leases_end,
            law_09_leaving,
            law_10_signals_are_kept,
            law_11_doubles_are_dropped,
            law_12_signals_wake,
            law_12_forgetting_waits_for_signals,
            law_13_events_with_their_commit,
            law_14_queries_are_paged,
            law_14_counted,
            law_14_purged,
            law_15_errors_are_told,
            law_16_cancellation,
        );
    };
    (@each $backend:ident, $harness:expr, $($law:ident),+ $(,)?) => {
        mod $backend {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $law() {
                    $crate::conformance::check(stringify!($backend), stringify!($law), async {
                        let harness = $harness;
                        $crate::conformance::store::$law(&harness).await
                    });
                }
            )+
        }
    };
}

fn key(n: usize) -> String {
    format!(r#"{{"participant":{n},"competition":"서울"}}"#)
}

fn id(n: usize) -> SagaId {
    SagaId::of(SAGA, &key(n))
}

/// The first commit of saga `n`, which `worker` goes on holding.
fn first(n: usize, worker: WorkerId) -> Commit {
    Commit {
        head: Head {
            id: id(n),
            saga: SAGA.into(),
            definition: 1,
            key: key(n).into(),
            status: Status::Running,
            step: "hold_place".into(),
            due: None,
            reason: None,
        },
        worker,
        lease: Lease::Take(1),
        expected: 0,
        version: 1,
        token: fastrand::u64(..),
        record: format!("[{n}.1]").into_bytes(),
        replaces: false,
        holds: true,
        forgets: false,
        consumed: Vec::new(),
        events: Vec::new(),
    }
}

/// What the same holder commits next.
fn next(after: &Commit) -> Commit {
    let version = after.version + 1;
    Commit {
        lease: Lease::Held(after.lease.epoch()),
        expected: after.version,
        version,
        token: fastrand::u64(..),
        record: format!("[{version}]").into_bytes(),
        replaces: false,
        consumed: Vec::new(),
        events: Vec::new(),
        ..after.clone()
    }
}

/// The same, and nobody holds the saga afterwards, which is due at `due`.
fn let_go(after: &Commit, due: Option<Timestamp>) -> Commit {
    let mut commit = next(after);
    commit.holds = false;
    commit.head.due = due;
    commit
}

fn signal(n: usize, id: &str) -> NewSignal {
    NewSignal {
        saga: self::id(n),
        name: "payment_completed".into(),
        id: id.into(),
        payload: format!(r#"{{"금액":"{id}"}}"#).into_bytes(),
    }
}

fn event(n: usize, what: &str) -> Envelope {
    let mut event = Envelope::new("registrations", format!("{n}"), State::Updated, 1);
    event.payload = what.into();
    event
}

async fn one(store: &dyn SagaStore, commit: Commit) -> Result<Committed, Error> {
    match store.commit(vec![commit]).await.pop() {
        Some(answer) => answer,
        None => Err(Error::new(ErrorKind::Protocol, "a commit was not answered")),
    }
}

async fn refused(store: &dyn SagaStore, commit: Commit, why: &str) -> Result<(), Broken> {
    let kind = one(store, commit).await.err().map(|error| error.kind());
    same!(kind, Some(ErrorKind::Conflict), "the answer to a commit that {why}");
    Ok(())
}

async fn there(store: &dyn SagaStore, n: usize) -> Result<Stored, Broken> {
    store.load(id(n)).await?.ok_or_else(|| Broken::new(format!("saga {n} is not there")))
}

async fn begun(store: &dyn SagaStore, n: usize, worker: WorkerId) -> Result<Commit, Broken> {
    let commit = first(n, worker);
    one(store, commit.clone()).await?;
    Ok(commit)
}

fn known() -> Vec<Known> {
    vec![Known { saga: SAGA.into(), versions: vec![1, 2] }]
}

async fn claimed(store: &dyn SagaStore, worker: WorkerId, limit: usize) -> Result<Vec<Stored>, Broken> {
    let limit = NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN);
    Ok(store.claim(worker, &known(), limit).await?)
}

fn ids(sagas: &[Stored]) -> Vec<SagaId> {
    sagas.iter().map(|saga| saga.head.id).collect()
}

/// Takes everything out of the outbox: the texts of the events, in order.
async fn relayed(outbox: &dyn OutboxStore) -> Result<Vec<String>, Broken> {
    let mut texts = Vec::new();
    loop {
        let claim = outbox.claim(NonZeroUsize::MIN.saturating_add(99), LONG).await?;
        if claim.events.is_empty() {
            return Ok(texts);
        }
        for claimed in &claim.events {
            let event = claimed.event.as_ref().map_err(|_| Broken::new("an event cannot be read"))?;
            let text = event.payload.as_str().unwrap_or_default();
            texts.push(text.to_owned());
        }
        let outcome = Outcome { relayed: (0..claim.events.len()).collect(), ..Outcome::default() };
        outbox.complete(&claim, &outcome).await?;
    }
}

/// Law 1: what was answered is there for whoever opens the store later.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_01_durable(harness: &dyn StoreHarness) -> Verdict {
    let store = harness.open().await;
    if !store.capabilities().durable {
        return Ok(Kept::Skipped("the store does not outlive its process"));
    }
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let mut commit = begun(&*store, 1, worker).await?;
    commit = next(&commit);
    commit.head.reason = Some("쉬는 중".into());
    commit.head.status = Status::NeedsOperator;
    commit.head.step = "start_payment".into();
    commit.events = vec![event(1, "a")];
    one(&*store, commit.clone()).await?;
    same!(store.deliver(signal(1, "s")).await?, Delivered::Stored, "the answer to a signal");
    let before = there(&*store, 1).await?;
    drop(store);

    let store = harness.open().await;
    let after = there(&*store, 1).await?;
    same!(after.head, commit.head, "head after opening again");
    same!(after.log, b"[1.1][2]".to_vec(), "log after opening again");
    same!(
        (after.version, after.epoch, after.holder),
        (2, 1, Some(worker)),
        "version, epoch and holder after opening again"
    );
    same!(after.signals, before.signals, "signals after opening again");
    same!(after.created_at, before.created_at, "when it was created, after opening again");
    same!(relayed(&*store.outbox()).await?, vec!["a".to_owned()], "events after opening again");
    Ok(Kept::Whole)
}

/// Law 2: what belongs to a commit is stored with it or not at all, and no commit of a batch touches another.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_02_all_or_none(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let mut begun = Vec::new();
    for n in 0..4 {
        begun.push(self::begun(store, n, worker).await?);
        store.deliver(signal(n, "s")).await?;
    }
    let [good, stale, broken, ended] = begun.as_slice() else { return Err(Broken::new("no sagas")) };
    let seq = async |n| {
        Ok::<_, Broken>(there(store, n).await?.signals.iter().map(|signal| signal.seq).collect::<Vec<_>>())
    };

    let mut good = next(good);
    good.consumed = seq(0).await?;
    good.events = vec![event(0, "good")];
    let mut stale = next(stale);
    stale.lease = Lease::Held(7);
    stale.consumed = seq(1).await?;
    stale.events = vec![event(1, "stale")];
    let mut broken = next(broken);
    broken.version += 1;
    broken.consumed = seq(2).await?;
    broken.events = vec![event(2, "broken")];
    let mut ended = let_go(ended, None);
    ended.head.status = Status::Completed;
    ended.consumed = seq(3).await?;
    ended.events = vec![event(3, "ended")];

    let answers = store.commit(vec![good, stale, broken, ended]).await;
    let said: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(Error::kind)).collect();
    same!(
        said,
        vec![None, Some(ErrorKind::Conflict), Some(ErrorKind::InvalidInput), None],
        "answers to a batch of a good, a stale, an invalid and a last commit"
    );
    for (n, version, signals) in [(0, 2, 0), (1, 1, 1), (2, 1, 1), (3, 2, 0)] {
        let saga = there(store, n).await?;
        same!((saga.version, saga.signals.len()), (version, signals), "version and signals of saga {n}");
    }
    let mut events = relayed(&*store.outbox()).await?;
    events.sort();
    same!(events, vec!["ended".to_owned(), "good".to_owned()], "events of the batch");
    Ok(Kept::Whole)
}

/// Law 3: the log is what was committed.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_03_in_order(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let mut commit = begun(store, 1, worker).await?;
    let mut expected = commit.record.clone();
    let bytes: Vec<u8> = (0..=255).chain([0, 0xff, 0xc3, 0x28, 0]).collect();
    for record in [bytes.clone(), vec![0], "기록".as_bytes().to_vec(), vec![0x80; 70_000]] {
        commit = next(&commit);
        commit.record = record;
        expected.extend_from_slice(&commit.record);
        one(store, commit.clone()).await?;
        holds!(there(store, 1).await?.log == expected, "the log is not what was committed");
    }
    let mut head_only = next(&commit);
    head_only.version = commit.version;
    head_only.record = Vec::new();
    head_only.head.step = "elsewhere".into();
    one(store, head_only.clone()).await?;
    let saga = there(store, 1).await?;
    holds!(saga.log == expected, "a commit without a record changed the log");
    same!((saga.version, saga.head.step.as_ref()), (5, "elsewhere"), "version and step after it");

    let mut whole = next(&head_only);
    whole.replaces = true;
    whole.record = bytes.clone();
    one(store, whole.clone()).await?;
    holds!(there(store, 1).await?.log == bytes, "a record did not take the place of those before it");
    one(store, next(&whole)).await?;
    let log = there(store, 1).await?.log;
    holds!(log == [bytes.as_slice(), b"[7]"].concat(), "the log does not go on after a record that replaces");
    Ok(Kept::Whole)
}

/// Law 4: of two commits on one version, one is stored.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_04_one_of_two(harness: &dyn StoreHarness) -> Verdict {
    let (store, other) = (&*harness.open().await, &*harness.open().await);
    let (worker, rival) = (WorkerId::random(), WorkerId::random());
    store.renew(worker, LONG).await?;
    other.renew(rival, LONG).await?;
    for n in 0..8 {
        let (mine, yours) = join(one(store, first(n, worker)), one(other, first(n, rival))).await;
        holds!(mine.is_ok() != yours.is_ok(), "of two that create a saga, not one did");
        let lost = mine.and(yours).err().map(|error| error.kind());
        same!(lost, Some(ErrorKind::Conflict), "the answer to the other");
    }
    let created = begun(store, 9, worker).await?;
    refused(store, first(9, worker), "creates a saga that is there").await?;
    let commit = next(&created);
    one(store, commit.clone()).await?;
    refused(store, next(&created), "expects a version that has passed").await?;
    refused(store, next(&next(&commit)), "expects a version that is to come").await?;
    let mut missing = next(&first(10, worker));
    missing.events = vec![event(10, "missing")];
    refused(store, missing, "is for a saga that is not there").await?;
    holds!(store.load(id(10)).await?.is_none(), "a commit that was refused made a saga");
    let saga = there(store, 9).await?;
    same!((saga.version, saga.log), (2, b"[9.1][2]".to_vec()), "what is stored");
    Ok(Kept::Whole)
}

/// Law 5: who lost a saga cannot commit, and epochs rise.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_05_fenced(harness: &dyn StoreHarness) -> Verdict {
    let (store, other) = (&*harness.open().await, &*harness.open().await);
    let (zombie, heir) = (WorkerId::random(), WorkerId::random());
    store.renew(zombie, SHORT).await?;
    let created = begun(store, 1, zombie).await?;
    harness.pass(SHORT * 2).await;
    other.renew(heir, LONG).await?;
    let taken = claimed(other, heir, 10).await?;
    same!(taken.iter().map(|saga| saga.epoch).collect::<Vec<_>>(), vec![2], "epochs of what the heir took");

    store.renew(zombie, LONG).await?;
    let mut late = next(&created);
    late.events = vec![event(1, "late")];
    refused(store, late, "is made by a zombie").await?;
    refused(store, let_go(&created, None), "is made by a zombie who lets go").await?;
    let mut forgets = let_go(&created, None);
    forgets.forgets = true;
    refused(store, forgets, "is made by a zombie who forgets").await?;
    let saga = there(store, 1).await?;
    same!((saga.version, saga.epoch, saga.holder), (1, 2, Some(heir)), "version, epoch and holder");
    holds!(relayed(&*store.outbox()).await?.is_empty(), "a zombie's event was kept");

    let mut commit = next(&created);
    commit.worker = heir;
    commit.lease = Lease::Held(2);
    one(other, commit).await?;
    Ok(Kept::Whole)
}

/// Law 6: a commit that is repeated is stored once.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_06_repeating_is_safe(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let mut commit = first(1, worker);
    commit.events = vec![event(1, "a")];
    one(store, commit.clone()).await?;
    one(store, commit.clone()).await?;
    let repeated = store.commit(vec![commit.clone(), first(2, worker)]).await;
    holds!(repeated.iter().all(Result::is_ok), "a repeated commit was refused, or another with it");
    let mut commit = next(&commit);
    commit.events = vec![event(1, "b")];
    one(store, commit.clone()).await?;
    one(store, commit.clone()).await?;
    let mut last = let_go(&commit, None);
    last.events = vec![event(1, "c")];
    one(store, last.clone()).await?;
    one(store, last).await?;
    let saga = there(store, 1).await?;
    same!((saga.version, saga.log), (3, b"[1.1][2][3]".to_vec()), "version and log");
    same!(relayed(&*store.outbox()).await?, ["a", "b", "c"].map(str::to_owned).to_vec(), "events");
    Ok(Kept::Whole)
}

/// Law 7: who takes a saga has it alone.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_07_taking(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let (worker, other) = (WorkerId::random(), WorkerId::random());
    store.renew(worker, SHORT).await?;
    store.renew(other, LONG).await?;
    let created = begun(store, 1, worker).await?;
    let take = |after: &Commit, worker, epoch| {
        let mut commit = next(after);
        commit.worker = worker;
        commit.lease = Lease::Take(epoch);
        commit.holds = true;
        commit
    };
    refused(store, take(&created, other, 2), "takes what another holds").await?;
    let again = take(&created, worker, 2);
    one(store, again.clone()).await?;
    same!(there(store, 1).await?.epoch, 2, "epoch after its holder took it again");
    refused(store, next(&created), "is made under the epoch before").await?;
    harness.pass(SHORT * 2).await;
    refused(store, take(&again, other, 4), "leaves out an epoch").await?;
    refused(store, take(&again, other, 2), "takes an epoch that has passed").await?;
    let taken = take(&again, other, 3);
    one(store, taken.clone()).await?;
    same!(there(store, 1).await?.holder, Some(other), "holder after the lease of the one before");
    let free = let_go(&taken, None);
    one(store, free.clone()).await?;
    same!(there(store, 1).await?.holder, None, "holder after it was let go");
    store.renew(worker, LONG).await?;
    one(store, take(&free, worker, 4)).await?;
    same!(there(store, 1).await?.holder, Some(worker), "holder of what nobody held");

    let mut chosen = first(2, worker);
    chosen.lease = Lease::Take(1_000_000_007);
    one(store, chosen.clone()).await?;
    one(store, next(&chosen)).await?;
    same!(there(store, 2).await?.epoch, 1_000_000_007, "epoch that the first commit chose");
    Ok(Kept::Whole)
}

/// Law 8: what is due is handed out, the most overdue first.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_08_claiming(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    let now = store.renew(worker, LONG).await?;
    let before = |seconds: i64| Some(Timestamp::from_micros(now.as_micros() - seconds * 1_000_000));
    for (n, due) in
        [(0, before(1)), (1, before(3)), (2, before(2)), (3, None), (4, Some(now.saturating_add(LONG)))]
    {
        let created = begun(store, n, worker).await?;
        one(store, let_go(&created, due)).await?;
    }
    begun(store, 5, worker).await?;
    for (n, saga, definition) in [(6, "other", 1), (7, SAGA, 3)] {
        let mut created = first(n, worker);
        created.head.saga = saga.into();
        created.head.definition = definition;
        one(store, created.clone()).await?;
        one(store, let_go(&created, before(9))).await?;
    }
    holds!(store.next_due().await?.is_some_and(|due| due <= now), "what is due is not told");
    let first = claimed(store, worker, 2).await?;
    same!(ids(&first), vec![id(1), id(2)], "the two most overdue");
    for saga in &first {
        same!(
            (saga.epoch, saga.version, saga.holder),
            (2, 2, Some(worker)),
            "epoch, version and holder of a claim"
        );
    }
    same!(first.first().map(|saga| saga.log.clone()), Some(b"[1.1][2]".to_vec()), "the log of a claim");
    same!(ids(&claimed(store, worker, 10).await?), vec![id(0)], "the rest of what is due");
    holds!(claimed(store, worker, 10).await?.is_empty(), "something was claimed twice");
    let all =
        [Known { saga: "other".into(), versions: vec![1] }, Known { saga: SAGA.into(), versions: vec![3] }];
    same!(store.claim(worker, &all, NonZeroUsize::MIN.saturating_add(9)).await?.len(), 2, "what others know");
    Ok(Kept::Whole)
}

/// Law 8: nothing is handed to two workers.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_08_to_one_worker(harness: &dyn StoreHarness) -> Verdict {
    const SAGAS: usize = 60;
    let store = harness.open().await;
    let worker = WorkerId::random();
    let now = store.renew(worker, LONG).await?;
    let created: Vec<Commit> = (0..SAGAS).map(|n| first(n, worker)).collect();
    let free: Vec<Commit> = created.iter().map(|commit| let_go(commit, Some(now))).collect();
    for answer in store.commit(created).await.into_iter().chain(store.commit(free).await) {
        answer?;
    }
    let mut workers = Vec::new();
    for _ in 0..3 {
        let store = harness.open().await;
        let worker = WorkerId::random();
        store.renew(worker, LONG).await?;
        workers.push((store, worker));
    }
    let claims = workers.iter().map(|(store, worker)| async move {
        let mut mine = Vec::new();
        loop {
            let some = claimed(&**store, *worker, 7).await?;
            if some.is_empty() {
                return Ok::<_, Broken>(mine);
            }
            mine.extend(ids(&some));
        }
    });
    let mut all = Vec::new();
    for mine in join_all(claims).await {
        all.extend(mine?);
    }
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    same!((all.len(), count), (SAGAS, SAGAS), "sagas claimed by three workers, and claims");
    Ok(Kept::Whole)
}

/// Law 9: what a worker holds is claimable when its lease is over, and not before.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_09_leases_end(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let (worker, other) = (WorkerId::random(), WorkerId::random());
    store.renew(worker, SHORT).await?;
    store.renew(other, LONG).await?;
    let one_saga = begun(store, 1, worker).await?;
    begun(store, 2, worker).await?;
    holds!(claimed(store, other, 10).await?.is_empty(), "what is held was claimed");
    harness.pass(SHORT / 2).await;
    let now = store.renew(worker, SHORT).await?;
    let due = store.next_due().await?;
    holds!(due.is_some_and(|due| due > now), "the end of a lease is not told");
    harness.pass(SHORT * 5 / 8).await;
    holds!(claimed(store, other, 10).await?.is_empty(), "a renewed lease ended early");
    harness.pass(SHORT).await;
    same!(there(store, 1).await?.holder, None, "holder after its lease");
    same!(claimed(store, other, 1).await?.len(), 1, "claims of what a lapsed lease held");
    store.renew(worker, LONG).await?;
    let (mut kept, mut lost) = (0, 0);
    for n in [1, 2] {
        match there(store, n).await?.holder {
            Some(holder) if holder == worker => kept += 1,
            Some(holder) if holder == other => lost += 1,
            _ => {}
        }
    }
    same!((kept, lost), (1, 1), "what a worker holds again that renewed late, and what it lost");
    holds!(claimed(store, other, 10).await?.is_empty(), "what is held again was claimed");
    if there(store, 1).await?.holder == Some(worker) {
        one(store, next(&one_saga)).await?;
    } else {
        refused(store, next(&one_saga), "is made by who lost the saga").await?;
    }
    Ok(Kept::Whole)
}

/// Law 9: who leaves gives everything back.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_09_leaving(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let (worker, other) = (WorkerId::random(), WorkerId::random());
    store.renew(worker, LONG).await?;
    store.renew(other, LONG).await?;
    let created = begun(store, 1, worker).await?;
    begun(store, 2, other).await?;
    store.leave(worker).await?;
    same!(ids(&claimed(store, other, 10).await?), vec![id(1)], "what a worker left behind");
    refused(store, next(&created), "is made by who has left").await?;
    store.leave(worker).await?;
    same!(there(store, 1).await?.holder, Some(other), "holder after the one before left again");
    Ok(Kept::Whole)
}

/// Law 10: a signal is there until it is consumed.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_10_signals_are_kept(harness: &dyn StoreHarness) -> Verdict {
    let (store, other) = (&*harness.open().await, &*harness.open().await);
    let worker = WorkerId::random();
    let now = store.renew(worker, LONG).await?;
    let created = begun(store, 1, worker).await?;
    begun(store, 2, worker).await?;
    for what in ["b", "a", "다"] {
        same!(other.deliver(signal(1, what)).await?, Delivered::Stored, "the answer to a signal");
    }
    store.deliver(signal(2, "a")).await?;
    let signals = there(store, 1).await?.signals;
    let order: Vec<&str> = signals.iter().map(|signal| &*signal.id).collect();
    same!(order, vec!["b", "a", "다"], "signals in the order of their delivery");
    let Some(early) = signals.first() else { return Err(Broken::new("no signal")) };
    same!(early.payload, signal(1, "b").payload, "payload of a signal");
    same!(early.name.as_ref(), "payment_completed", "name of a signal");
    holds!(signals.iter().all(|signal| signal.at >= now), "a signal was delivered before it was");
    let seqs: Vec<u64> = signals.iter().map(|signal| signal.seq).collect();
    holds!(seqs.is_sorted_by(|one, other| one < other), "the numbers of signals do not grow");

    let mut commit = next(&created);
    commit.consumed = vec![early.seq];
    one(store, commit.clone()).await?;
    same!(
        there(other, 1).await?.signals,
        signals.iter().skip(1).cloned().collect::<Vec<_>>(),
        "signals after one was consumed"
    );
    let free = let_go(&commit, None);
    one(store, free).await?;
    let taken = claimed(other, worker, 10).await?;
    same!(
        taken.first().map(|saga| saga.signals.clone()),
        Some(signals.iter().skip(1).cloned().collect::<Vec<_>>()),
        "signals of a claim"
    );
    same!(there(store, 2).await?.signals.len(), 1, "signals of another saga");
    Ok(Kept::Whole)
}

/// Law 11: a signal is kept once, and not for nobody.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_11_doubles_are_dropped(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    begun(store, 1, worker).await?;
    begun(store, 2, worker).await?;
    same!(store.deliver(signal(1, "a")).await?, Delivered::Stored, "the answer to a signal");
    let mut double = signal(1, "a");
    double.payload = b"2".to_vec();
    same!(store.deliver(double).await?, Delivered::Duplicate, "the answer to its double");
    same!(
        store.deliver(signal(2, "a")).await?,
        Delivered::Stored,
        "the answer to a like one of another saga"
    );
    let signals = there(store, 1).await?.signals;
    same!(signals.len(), 1, "signals");
    same!(signals.first().map(|signal| &signal.payload), Some(&signal(1, "a").payload), "which of them");
    let nobody = store.deliver(signal(3, "a")).await.err().map(|error| error.kind());
    same!(nobody, Some(ErrorKind::NotFound), "a signal for nobody");
    Ok(Kept::Whole)
}

/// Law 12: a saga with a signal is due at once, however late the signal comes.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_12_signals_wake(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    let now = store.renew(worker, LONG).await?;
    let far = Some(now.saturating_add(LONG));
    // Before it is let go.
    let early = begun(store, 1, worker).await?;
    store.deliver(signal(1, "a")).await?;
    holds!(claimed(store, worker, 10).await?.is_empty(), "a signal took a saga from its holder");
    one(store, let_go(&early, far)).await?;
    same!(
        ids(&claimed(store, worker, 10).await?),
        vec![id(1)],
        "what a signal made due before it was let go"
    );
    // After.
    for (n, due) in [(2, far), (3, None)] {
        let late = begun(store, n, worker).await?;
        one(store, let_go(&late, due)).await?;
        holds!(claimed(store, worker, 10).await?.is_empty(), "what is not due was claimed");
        store.deliver(signal(n, "a")).await?;
        same!(ids(&claimed(store, worker, 10).await?), vec![id(n)], "what a signal made due");
    }
    // Consumed with the commit that lets go: not due.
    let consumes = begun(store, 4, worker).await?;
    store.deliver(signal(4, "a")).await?;
    let mut commit = let_go(&consumes, far);
    commit.consumed = there(store, 4).await?.signals.iter().map(|signal| signal.seq).collect();
    one(store, commit.clone()).await?;
    holds!(claimed(store, worker, 10).await?.is_empty(), "a consumed signal made a saga due");
    same!(there(store, 4).await?.head.due, far, "due time as it was committed");
    // One that ended.
    let ends = begun(store, 5, worker).await?;
    let mut end = let_go(&ends, None);
    end.head.status = Status::Compensated;
    one(store, end).await?;
    store.deliver(signal(5, "late")).await?;
    same!(ids(&claimed(store, worker, 10).await?), vec![id(5)], "an ended saga with a late signal");
    // One that no code can drive sleeps on, and the signal with it.
    let parked = begun(store, 6, worker).await?;
    let mut park = let_go(&parked, None);
    park.head.status = Status::Parked;
    one(store, park).await?;
    store.deliver(signal(6, "a")).await?;
    holds!(claimed(store, worker, 10).await?.is_empty(), "a signal woke a parked saga");
    same!(there(store, 6).await?.signals.len(), 1, "signals of a parked saga");
    Ok(Kept::Whole)
}

/// Law 12: a saga that shall be forgotten stays while a signal waits for it.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_12_forgetting_waits_for_signals(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let forget = |after: &Commit| {
        let mut commit = let_go(after, None);
        commit.head.status = Status::Completed;
        commit.forgets = true;
        commit
    };
    let created = begun(store, 1, worker).await?;
    let mut commit = forget(&created);
    commit.events = vec![event(1, "done")];
    one(store, commit).await?;
    holds!(store.load(id(1)).await?.is_none(), "a saga was not forgotten");
    same!(relayed(&*store.outbox()).await?, vec!["done".to_owned()], "events of a saga that was forgotten");

    let created = begun(store, 2, worker).await?;
    store.deliver(signal(2, "late")).await?;
    one(store, forget(&created)).await?;
    same!(there(store, 2).await?.signals.len(), 1, "signals of a saga that waits to be forgotten");
    let taken = claimed(store, worker, 10).await?;
    same!(ids(&taken), vec![id(2)], "what a signal keeps due");
    let mut commit = forget(&next(&created));
    commit.lease = Lease::Held(2);
    commit.consumed = taken.iter().flat_map(|saga| &saga.signals).map(|signal| signal.seq).collect();
    one(store, commit).await?;
    holds!(store.load(id(2)).await?.is_none(), "a saga whose signals are consumed was not forgotten");

    // Begun and forgotten, and begun anew under a later epoch.
    let mut created = first(1, worker);
    created.lease = Lease::Take(9);
    one(store, created).await?;
    same!(there(store, 1).await?.epoch, 9, "epoch of a saga that was begun anew");
    Ok(Kept::Whole)
}

/// Law 13: the outbox has what was committed, in order.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_13_events_with_their_commit(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let mut last: Vec<Commit> = (0..5).map(|n| first(n, worker)).collect();
    for round in 0..4 {
        for (n, commit) in last.iter_mut().enumerate() {
            commit.events = vec![event(n, &format!("{n}:{round}a")), event(n, &format!("{n}:{round}b"))];
        }
        for answer in store.commit(last.clone()).await {
            answer?;
        }
        last = last.iter().map(next).collect();
    }
    let texts = relayed(&*store.outbox()).await?;
    for n in 0..5 {
        let own: Vec<&String> = texts.iter().filter(|text| text.starts_with(&format!("{n}:"))).collect();
        let expected: Vec<String> = (0..4).flat_map(|r| [format!("{n}:{r}a"), format!("{n}:{r}b")]).collect();
        same!(own, expected.iter().collect::<Vec<_>>(), "events of saga {n}, in order");
    }
    same!(texts.len(), 40, "events");
    Ok(Kept::Whole)
}

/// Law 14: every matching saga is listed once, by whatever pages.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_14_queries_are_paged(harness: &dyn StoreHarness) -> Verdict {
    const SAGAS: usize = 23;
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let mut commits: Vec<Commit> = (0..SAGAS).map(|n| first(n, worker)).collect();
    for (n, commit) in commits.iter_mut().enumerate() {
        commit.head.status = if n % 2 == 0 { Status::Waiting } else { Status::NeedsOperator };
        commit.head.step = if n % 3 == 0 { "결제" } else { "hold_place" }.into();
        if n == 5 {
            commit.head.saga = "another".into();
        }
    }
    for answer in store.commit(commits.clone()).await {
        answer?;
    }
    let list = async |query: Query, page: usize| {
        let mut query = query.with_limit(NonZeroUsize::new(page).unwrap_or(NonZeroUsize::MIN));
        let mut found = Vec::new();
        loop {
            let summaries = store.query(&query).await?;
            holds!(summaries.len() <= page, "a page is longer than was asked for");
            let Some(last) = summaries.last() else { return Ok::<_, Broken>(found) };
            query = query.with_after(last.head.id);
            found.extend(summaries);
        }
    };
    let mut all: Vec<SagaId> = (0..SAGAS).map(id).collect();
    all.sort_unstable();
    for page in [1, 2, 7, SAGAS, 100] {
        let found: Vec<SagaId> = list(Query::new(), page).await?.iter().map(|saga| saga.head.id).collect();
        same!(found, all, "all sagas by pages of {page}");
    }
    for query in [
        Query::new().with_saga(SAGA),
        Query::new().with_statuses([Status::NeedsOperator]),
        Query::new()
            .with_statuses([Status::NeedsOperator, Status::Parked, Status::Waiting])
            .with_step("결제"),
        Query::new().with_key(key(4)),
        Query::new().with_saga(SAGA).with_key(key(5)),
        Query::new().with_step("no such step"),
        Query::new().with_saga(SAGA).with_holder(worker),
        Query::new().with_holder(WorkerId::random()).with_step("no such step"),
    ] {
        let found = list(query.clone(), 4).await?;
        for saga in &found {
            holds!(query.matches(saga, saga.updated_at), "a saga is listed that is not meant");
        }
        let meant = |commit: &&Commit| {
            let head = &commit.head;
            query.saga.as_ref().is_none_or(|saga| *saga == head.saga)
                && query.key.as_ref().is_none_or(|key| *key == head.key)
                && (query.statuses.is_empty() || query.statuses.contains(&head.status))
                && query.step.as_ref().is_none_or(|step| *step == head.step)
                && query.holder.is_none_or(|holder| holder == commit.worker)
        };
        same!(found.len(), commits.iter().filter(meant).count(), "sagas found by {query:?}");
    }
    let first = list(Query::new().with_key(key(0)), 10).await?;
    let heads: Vec<_> =
        first.iter().map(|saga| (saga.head.clone(), saga.version, saga.epoch, saga.holder)).collect();
    let expected = commits.first().map(|commit| (commit.head.clone(), 1, 1, Some(worker)));
    same!(heads, Vec::from_iter(expected), "summary");
    harness.pass(SHORT).await;
    same!(
        list(Query::new().with_idle(SHORT / 2), 10).await?.len(),
        SAGAS,
        "sagas that were idle for so long"
    );
    same!(list(Query::new().with_idle(LONG), 10).await?.len(), 0, "sagas that were idle for longer");
    Ok(Kept::Whole)
}

/// Law 14: what is counted is what is listed.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_14_counted(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    same!(store.next_due().await?, None, "what is due in an empty store");
    let (worker, gone) = (WorkerId::random(), WorkerId::random());
    let now = store.renew(worker, LONG).await?;
    store.renew(gone, SHORT).await?;
    begun(store, 0, worker).await?;
    begun(store, 1, gone).await?;
    let ago = Timestamp::from_micros(now.as_micros() - 5_000_000);
    let due = begun(store, 2, worker).await?;
    one(store, let_go(&due, Some(ago))).await?;
    let ended = begun(store, 3, worker).await?;
    let mut end = let_go(&ended, None);
    end.head.status = Status::Completed;
    one(store, end).await?;
    harness.pass(SHORT * 2).await;
    let census = store.census().await?;
    same!(
        census.sagas,
        vec![(SAGA.into(), Status::Running, 3), (SAGA.into(), Status::Completed, 1)],
        "sagas by status"
    );
    same!((census.claimable, census.held, census.workers), (2, 1, 1), "claimable, held, and workers");
    holds!(census.overdue >= Duration::from_secs(5), "what is overdue is not told");
    holds!(census.overdue < Duration::from_mins(10), "what is overdue is told for too long");
    same!(store.next_due().await?, Some(ago), "what is due first");
    Ok(Kept::Whole)
}

/// Law 14: what ended long ago can be forgotten.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_14_purged(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    for n in 0..5 {
        let created = begun(store, n, worker).await?;
        let mut end = let_go(&created, None);
        if n < 4 {
            end.head.status = if n % 2 == 0 { Status::Completed } else { Status::Compensated };
        }
        one(store, end).await?;
    }
    store.deliver(signal(3, "late")).await?;
    let ten = NonZeroUsize::MIN.saturating_add(9);
    same!(store.purge(LONG, ten).await?, 0, "what ended an hour ago");
    harness.pass(SHORT).await;
    same!(store.purge(SHORT / 2, NonZeroUsize::MIN).await?, 1, "a purge of at most one");
    same!(store.purge(SHORT / 2, ten).await?, 2, "a purge of the rest");
    let left = store.query(&Query::new()).await?;
    let mut left: Vec<SagaId> = left.iter().map(|saga| saga.head.id).collect();
    left.sort_unstable();
    let mut expected = vec![id(3), id(4)];
    expected.sort_unstable();
    same!(left, expected, "what is left: one with a signal, and one that did not end");
    Ok(Kept::Whole)
}

/// Law 15: a store that cannot be asked says so.
///
/// # Errors
/// [`Broken`] if it does not hold.
pub async fn law_15_errors_are_told(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let created = begun(store, 1, worker).await?;
    if !harness.cut().await {
        return Ok(Kept::Skipped("this harness cannot cut the store off from its backend"));
    }
    holds!(one(store, next(&created)).await.is_err(), "a lost store committed");
    holds!(one(store, first(2, worker)).await.is_err(), "a lost store created a saga");
    holds!(store.deliver(signal(1, "a")).await.is_err(), "a lost store kept a signal");
    holds!(store.renew(worker, LONG).await.is_err(), "a lost store renewed a lease");
    holds!(store.load(id(1)).await.is_err(), "a lost store had an answer");
    holds!(store.query(&Query::new()).await.is_err(), "a lost store had a list");
    holds!(
        !matches!(store.claim(worker, &known(), NonZeroUsize::MIN).await, Ok(sagas) if !sagas.is_empty()),
        "a lost store handed out a saga"
    );
    Ok(Kept::Whole)
}

/// Law 16: a call that is given up has happened or not, and repeating it tells.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_16_cancellation(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let mut commit = begun(store, 1, worker).await?;
    let mut expected = commit.record.clone();
    for polls in 0..12 {
        commit = next(&commit);
        commit.events = vec![event(1, &polls.to_string())];
        {
            let mut call = Box::pin(store.commit(vec![commit.clone()]));
            for _ in 0..polls {
                if (&mut call).now_or_never().is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
        one(store, commit.clone()).await?;
        expected.extend_from_slice(&commit.record);
    }
    let saga = there(store, 1).await?;
    holds!(saga.log == expected, "a commit that was given up and repeated is not there once");
    let events: Vec<String> = (0..12).map(|polls| polls.to_string()).collect();
    same!(relayed(&*store.outbox()).await?, events, "events of commits that were given up and repeated");
    Ok(Kept::Whole)
}
