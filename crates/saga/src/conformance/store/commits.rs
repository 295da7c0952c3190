//! Laws 1 to 7: what a commit stores, and which are refused.

use futures_util::future::join;

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{
    LONG, SHORT, StoreHarness, begun, claimed, event, first, id, let_go, next, one, refused, relayed, signal,
    there,
};
use crate::store::{Commit, Delivered, Lease, SagaStore, Status, WorkerId};
use crate::{Error, ErrorKind};

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
