//! The laws of [`ScheduleStore`], in the order of its numbered guarantees.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use super::{Broken, Kept, Verdict, holds, same};
use crate::ErrorKind;
use crate::event::Reason;
use crate::schedule::{
    Claim, ClaimTerms, MissedRuns, Plan, PlannedRun, RunEnd, RunRecord, RunStatus, ScheduleStore,
};
use crate::time::Timestamp;

/// One store, empty at first, that a law opens as often as it likes.
#[async_trait]
pub trait ScheduleHarness: Send + Sync {
    /// Opens the store: every call gives one over the same jobs, as another node would see them.
    async fn open(&self) -> Arc<dyn ScheduleStore>;

    /// Lets time pass for leases and delays: turns the clock that the store was given, or really waits.
    async fn pass(&self, time: Duration);
}

/// Makes one `#[test]` per law of [`ScheduleStore`](crate::schedule::ScheduleStore), in a module of the given name, each on
/// a harness of its own made by the expression.
#[macro_export]
macro_rules! schedule_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(
            $backend,
            $harness,
            [$crate::conformance::schedule],
            law_01_what_was_reported_is_durable,
            law_02_a_job_is_registered_once,
            law_03_a_time_is_planned_once,
            law_03_of_nodes_that_plan_together_one_succeeds,
            law_03_only_a_cursor_that_is_days_ahead_goes_back,
            law_04_a_job_has_one_run_at_a_time,
            law_04_of_nodes_that_claim_together_one_succeeds,
            law_05_a_lease_ends_and_its_attempt_counts,
            law_05_a_renewed_lease_holds,
            law_06_an_older_claim_is_refused,
            law_07_what_ended_is_not_claimed_again,
            law_07_a_retry_waits_and_no_other_run_does,
            law_07_a_release_gives_back_at_once,
            law_08_the_newest_waiting_runs_are_kept,
            law_08_what_is_too_late_is_skipped,
            law_09_a_paused_job_is_left_alone,
            law_10_history_is_listed_and_pruned,
        );
    };
}

const LEASE: Duration = Duration::from_secs(10);
const JOB: &str = "주간-ranking";
const TERMS: ClaimTerms = ClaimTerms { lease: LEASE, too_late: Timestamp::MIN };

fn reason() -> Reason {
    Reason::new("unavailable", "the database did not answer")
}

fn later(from: Timestamp, seconds: u64) -> Timestamp {
    from.saturating_add(Duration::from_secs(seconds))
}

struct Table {
    store: Arc<dyn ScheduleStore>,
    begin: Timestamp,
}

impl Table {
    /// A store with the job, which began at `begin`.
    async fn set(harness: &(impl ScheduleHarness + ?Sized)) -> Result<Self, Broken> {
        let store = harness.open().await;
        store.register(JOB).await?;
        let begin = store.state(JOB).await?.cursor;
        Ok(Self { store, begin })
    }

    /// Plans runs that are due these many seconds after the job's begin, all available at once.
    async fn plan(&self, seconds: &[u64]) -> Result<bool, Broken> {
        Ok(self.store.plan(&self.planned(seconds).await?).await?)
    }

    async fn planned(&self, seconds: &[u64]) -> Result<Plan, Broken> {
        let from = self.store.state(JOB).await?.cursor;
        let run = |second: &u64| PlannedRun { due: later(self.begin, *second), available: Timestamp::MIN };
        let runs: Vec<_> = seconds.iter().map(run).collect();
        let to = runs.last().map_or(from, |run| run.due);
        Ok(Plan { job: JOB.to_owned(), from, to, runs, missed: None, most_waiting: u32::MAX })
    }

    async fn claim(&self) -> Result<Option<Claim>, Broken> {
        Ok(self.store.claim(JOB, &TERMS).await?)
    }

    /// Claims the run that is due this many seconds after the begin.
    async fn take(&self, second: u64) -> Result<Claim, Broken> {
        match self.claim().await? {
            Some(claim) if claim.run.due == later(self.begin, second) => Ok(claim),
            other => Err(Broken::new(format!("expected the run due after {second} s, got {other:?}"))),
        }
    }

    async fn history(&self) -> Result<Vec<RunRecord>, Broken> {
        Ok(self.store.history(JOB, 1_000).await?)
    }

    /// Status and attempts of each run, from the oldest due time.
    async fn summary(&self) -> Result<Vec<(RunStatus, u32)>, Broken> {
        Ok(self.history().await?.iter().rev().map(|run| (run.status, run.attempts)).collect())
    }
}

fn conflict<T: std::fmt::Debug>(answer: crate::Result<T>, what: &str) -> Result<(), Broken> {
    same!(answer.map(|_| ()).map_err(|error| error.kind()), Err(ErrorKind::Conflict), "{what}");
    Ok(())
}

/// Law 1: what was planned, claimed, settled and paused is there for whoever opens the store again.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_01_what_was_reported_is_durable(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    if !table.store.is_durable() {
        return Ok(Kept::Skipped("the store does not outlive the process"));
    }
    table.plan(&[1, 2]).await?;
    let claim = table.take(1).await?;
    table.store.settle(&claim, &RunEnd::Failed { reason: reason() }).await?;
    table.store.pause(JOB).await?;
    let before = (table.store.state(JOB).await?, table.history().await?);
    let begin = table.begin;
    drop(table);
    let table = Table { store: harness.open().await, begin };
    let state = table.store.state(JOB).await?;
    same!((state.cursor, state.paused, state.fence), (later(begin, 2), true, 1), "the job's state");
    same!(table.history().await?, before.1, "the history");
    same!(
        before.1.iter().filter_map(|run| run.reason.clone()).collect::<Vec<_>>(),
        vec![reason()],
        "reasons"
    );
    Ok(Kept::Whole)
}

/// Law 2: a job begins when it is first registered, and not again; an unknown one is not found.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_02_a_job_is_registered_once(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    harness.pass(Duration::from_secs(5)).await;
    table.store.register(JOB).await?;
    let state = table.store.state(JOB).await?;
    same!(state.cursor, table.begin, "the begin after registering again");
    holds!(state.now > table.begin, "the store's time stands still");
    let unknown = table.store.state("unknown").await.map_err(|error| error.kind());
    same!(unknown.map(|_| ()), Err(ErrorKind::NotFound), "the state of an unknown job");
    let unknown = table.store.claim("unknown", &TERMS).await.map_err(|error| error.kind());
    same!(unknown, Err(ErrorKind::NotFound), "a claim on an unknown job");
    for name in ["", "a\0b", "가".repeat(70).as_str()] {
        let refused = table.store.register(name).await.map_err(|error| error.kind());
        same!(refused, Err(ErrorKind::InvalidInput), "registering a name of {} bytes", name.len());
    }
    Ok(Kept::Whole)
}

/// Law 3: a plan that does not begin where the cursor stands changes nothing.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_03_a_time_is_planned_once(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    let plan = table.planned(&[1, 2]).await?;
    holds!(table.store.plan(&plan).await?, "the plan was not taken");
    holds!(!table.store.plan(&plan).await?, "the plan was taken twice");
    same!(table.store.state(JOB).await?.cursor, later(table.begin, 2), "the cursor");
    let claim = table.take(1).await?;
    table.store.settle(&claim, &RunEnd::Done).await?;
    holds!(!table.store.plan(&plan).await?, "the plan was taken after a run had ended");
    same!(table.summary().await?, vec![(RunStatus::Done, 1), (RunStatus::Waiting, 0)], "the runs");
    Ok(Kept::Whole)
}

/// Law 3: however many nodes plan the same time at once, each due time becomes one run.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_03_of_nodes_that_plan_together_one_succeeds(
    harness: &(impl ScheduleHarness + ?Sized),
) -> Verdict {
    let table = Table::set(harness).await?;
    let nodes = join_all((0..6).map(|_| harness.open())).await;
    for round in 0..5_u64 {
        let plan = table.planned(&[round * 2 + 1, round * 2 + 2]).await?;
        let taken = join_all(nodes.iter().map(|node| node.plan(&plan))).await;
        let taken: Vec<bool> = taken.into_iter().collect::<crate::Result<_>>()?;
        same!(taken.iter().filter(|taken| **taken).count(), 1, "plans taken in round {round}");
    }
    same!(table.history().await?.len(), 10, "runs");
    Ok(Kept::Whole)
}

/// Law 3: the cursor goes back only if it stands more than a day ahead, as after a clock that jumped; then what is due there
/// is skipped, and the job goes on by the time that it is.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_03_only_a_cursor_that_is_days_ahead_goes_back(
    harness: &(impl ScheduleHarness + ?Sized),
) -> Verdict {
    const DAY: u64 = 24 * 60 * 60;
    let table = Table::set(harness).await?;
    let back = |from: Timestamp| Plan {
        job: JOB.to_owned(),
        from,
        to: table.begin,
        runs: Vec::new(),
        missed: None,
        most_waiting: u32::MAX,
    };
    table.plan(&[DAY - 60]).await?;
    holds!(
        !table.store.plan(&back(later(table.begin, DAY - 60))).await?,
        "the cursor went back within a day"
    );
    table.plan(&[9 * DAY]).await?;
    holds!(table.store.plan(&back(later(table.begin, 9 * DAY))).await?, "the cursor did not go back");
    same!(table.store.state(JOB).await?.cursor, table.begin, "the cursor");
    same!(table.summary().await?, vec![(RunStatus::Waiting, 0), (RunStatus::Skipped, 0)], "the runs");
    table.plan(&[1]).await?;
    table.take(1).await?;
    Ok(Kept::Whole)
}

/// Law 4: while a lease runs nothing else of the job is claimed; the oldest comes first.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_04_a_job_has_one_run_at_a_time(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    same!(table.claim().await?, None, "a claim before anything is planned");
    table.plan(&[1, 2, 3]).await?;
    for second in 1..=3 {
        let claim = table.take(second).await?;
        same!((claim.run.job.as_str(), claim.run.attempt), (JOB, 1), "job and attempt");
        same!(table.claim().await?, None, "a claim while a run is at work");
        let state = table.store.state(JOB).await?;
        same!(state.claimable, Some(state.now.saturating_add(LEASE)), "when the next can be claimed");
        table.store.settle(&claim, &RunEnd::Done).await?;
    }
    same!(table.claim().await?, None, "a claim at the end");
    same!(table.store.state(JOB).await?.claimable, None, "when the next can be claimed at the end");
    Ok(Kept::Whole)
}

/// Law 4: however many nodes claim at once, one gets the run.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_04_of_nodes_that_claim_together_one_succeeds(
    harness: &(impl ScheduleHarness + ?Sized),
) -> Verdict {
    let table = Table::set(harness).await?;
    let nodes = join_all((0..6).map(|_| harness.open())).await;
    table.plan(&[1, 2, 3, 4, 5]).await?;
    for round in 1..=5 {
        let claims = join_all(nodes.iter().map(|node| node.claim(JOB, &TERMS))).await;
        let claims: Vec<Option<Claim>> = claims.into_iter().collect::<crate::Result<_>>()?;
        let claims: Vec<Claim> = claims.into_iter().flatten().collect();
        let [claim] = claims.as_slice() else {
            return Err(Broken::new(format!("{} nodes claimed round {round}", claims.len())));
        };
        same!((claim.run.due, claim.run.fence), (later(table.begin, round), round), "due time and fence");
        table.store.settle(claim, &RunEnd::Done).await?;
    }
    Ok(Kept::Whole)
}

/// Law 5: a run whose lease has ended can be claimed again, before later ones, with its attempt counted.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_05_a_lease_ends_and_its_attempt_counts(
    harness: &(impl ScheduleHarness + ?Sized),
) -> Verdict {
    let mut table = Table::set(harness).await?;
    table.plan(&[1, 2]).await?;
    for attempt in 1..=3 {
        let claim = table.take(1).await?;
        same!((claim.run.attempt, claim.run.fence), (attempt, u64::from(attempt)), "attempt and fence");
        harness.pass(LEASE / 2).await;
        same!(table.claim().await?, None, "a claim before the end of the lease");
        if table.store.is_durable() {
            table = Table { store: harness.open().await, begin: table.begin };
        }
        harness.pass(LEASE).await;
    }
    Ok(Kept::Whole)
}

/// Law 5: a lease that is renewed in time holds, and so does one that lapsed unnoticed.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_05_a_renewed_lease_holds(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    table.plan(&[1]).await?;
    let claim = table.take(1).await?;
    for _ in 0..4 {
        harness.pass(LEASE * 3 / 4).await;
        table.store.renew(&claim, LEASE).await?;
        same!(table.claim().await?, None, "a claim while the lease is renewed");
    }
    harness.pass(LEASE * 2).await;
    table.store.settle(&claim, &RunEnd::Done).await?;
    same!(table.summary().await?, vec![(RunStatus::Done, 1)], "the run");
    Ok(Kept::Whole)
}

/// Law 6: after a takeover the old claim can neither be renewed nor settled, and the new one is not disturbed.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_06_an_older_claim_is_refused(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    table.plan(&[1]).await?;
    let old = table.take(1).await?;
    harness.pass(LEASE * 2).await;
    let new = table.take(1).await?;
    holds!(new.run.fence > old.run.fence, "the fence did not grow");
    for end in [
        RunEnd::Done,
        RunEnd::Released,
        RunEnd::Failed { reason: reason() },
        RunEnd::Retry { after: Duration::ZERO, reason: reason() },
    ] {
        conflict(table.store.settle(&old, &end).await, "settling with the old claim")?;
    }
    conflict(table.store.renew(&old, LEASE).await, "renewing the old claim")?;
    table.store.renew(&new, LEASE).await?;
    table.store.settle(&new, &RunEnd::Done).await?;
    same!(table.summary().await?, vec![(RunStatus::Done, 2)], "the run");
    Ok(Kept::Whole)
}

/// Law 7: what was done or given up stays so, and its claim is worth nothing any more.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_07_what_ended_is_not_claimed_again(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    table.plan(&[1, 2]).await?;
    for (second, end) in [(1, RunEnd::Done), (2, RunEnd::Failed { reason: reason() })] {
        let claim = table.take(second).await?;
        table.store.settle(&claim, &end).await?;
        conflict(table.store.settle(&claim, &end).await, "settling twice")?;
        conflict(table.store.renew(&claim, LEASE).await, "renewing what ended")?;
    }
    harness.pass(LEASE * 2).await;
    same!(table.claim().await?, None, "a claim at the end");
    same!(table.summary().await?, vec![(RunStatus::Done, 1), (RunStatus::Failed, 1)], "the runs");
    Ok(Kept::Whole)
}

/// Law 7: a run that is to be retried waits for its delay, and others do not wait for it.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_07_a_retry_waits_and_no_other_run_does(
    harness: &(impl ScheduleHarness + ?Sized),
) -> Verdict {
    let table = Table::set(harness).await?;
    table.plan(&[1, 2]).await?;
    let claim = table.take(1).await?;
    let delay = Duration::from_mins(1);
    table.store.settle(&claim, &RunEnd::Retry { after: delay, reason: reason() }).await?;
    let other = table.take(2).await?;
    table.store.settle(&other, &RunEnd::Done).await?;
    same!(table.claim().await?, None, "a claim during the delay");
    let state = table.store.state(JOB).await?;
    holds!(state.claimable.is_some_and(|at| at > state.now), "the delay is not told: {state:?}");
    harness.pass(Duration::from_secs(55)).await;
    same!(table.claim().await?, None, "a claim before the end of the delay");
    harness.pass(Duration::from_secs(6)).await;
    let again = table.take(1).await?;
    same!(again.run.attempt, 2, "the attempt");
    table.store.settle(&again, &RunEnd::Done).await?;
    same!(
        table.history().await?.iter().filter(|run| run.reason.is_some()).count(),
        0,
        "reasons of what was done"
    );
    Ok(Kept::Whole)
}

/// Law 7: a released run is there at once, as if never begun, but for its fence.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_07_a_release_gives_back_at_once(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    table.plan(&[1, 2]).await?;
    let claim = table.take(1).await?;
    table.store.settle(&claim, &RunEnd::Released).await?;
    let again = table.take(1).await?;
    same!((again.run.attempt, again.run.fence), (1, 2), "attempt and fence after the release");
    conflict(table.store.settle(&claim, &RunEnd::Done).await, "settling after the release")?;
    Ok(Kept::Whole)
}

/// Law 8: of the runs that wait the newest are kept, what was begun among them is not touched, and the rest is recorded.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_08_the_newest_waiting_runs_are_kept(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    table.plan(&[1, 2, 3]).await?;
    let begun = table.take(1).await?;
    table.store.settle(&begun, &RunEnd::Retry { after: Duration::ZERO, reason: reason() }).await?;
    let mut plan = table.planned(&[14, 15]).await?;
    plan.most_waiting = 2;
    plan.missed = Some(MissedRuns { last: later(table.begin, 13), times: 10 });
    table.store.plan(&plan).await?;
    let runs = table.history().await?;
    let all: Vec<_> = runs.iter().rev().map(|run| (run.status, run.times)).collect();
    same!(
        all,
        vec![
            (RunStatus::Waiting, 1),
            (RunStatus::Skipped, 1),
            (RunStatus::Skipped, 1),
            (RunStatus::Skipped, 10),
            (RunStatus::Waiting, 1),
            (RunStatus::Waiting, 1)
        ],
        "status and times of the runs"
    );
    holds!(
        runs.iter().all(|run| run.status.is_ended() == run.ended.is_some()),
        "what ended has no end: {runs:?}"
    );
    for second in [1, 14, 15] {
        let claim = table.take(second).await?;
        table.store.settle(&claim, &RunEnd::Done).await?;
    }
    same!(table.claim().await?, None, "a claim at the end");
    Ok(Kept::Whole)
}

/// Law 8: what a claim's terms call too late is skipped, unless it was begun.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_08_what_is_too_late_is_skipped(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    table.plan(&[1, 2, 3]).await?;
    let begun = table.take(1).await?;
    table.store.settle(&begun, &RunEnd::Retry { after: Duration::from_mins(1), reason: reason() }).await?;
    let terms = ClaimTerms { lease: LEASE, too_late: later(table.begin, 3) };
    let claim = table.store.claim(JOB, &terms).await?;
    same!(claim.map(|claim| claim.run.due), Some(later(table.begin, 3)), "the run that is claimed");
    same!(
        table.summary().await?,
        vec![(RunStatus::Waiting, 1), (RunStatus::Skipped, 0), (RunStatus::Running, 1)],
        "the runs"
    );
    Ok(Kept::Whole)
}

/// Law 9: a paused job is neither planned nor claimed; what runs can be renewed and settled.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_09_a_paused_job_is_left_alone(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    table.plan(&[1, 2]).await?;
    let claim = table.take(1).await?;
    table.store.pause(JOB).await?;
    holds!(table.store.state(JOB).await?.paused, "the job is not paused");
    holds!(!table.plan(&[3]).await?, "a paused job was planned");
    table.store.renew(&claim, LEASE).await?;
    table.store.settle(&claim, &RunEnd::Done).await?;
    same!(table.claim().await?, None, "a claim of a paused job");
    table.store.resume(JOB).await?;
    holds!(table.plan(&[3]).await?, "a resumed job was not planned");
    table.take(2).await?;
    Ok(Kept::Whole)
}

/// Law 10: runs are listed from the newest due time, as many as asked for; pruning takes old ended ones.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_10_history_is_listed_and_pruned(harness: &(impl ScheduleHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await?;
    table.plan(&[1, 2, 3, 4, 5, 6]).await?;
    for second in 1..=5 {
        let claim = table.take(second).await?;
        let end = match second {
            2 => RunEnd::Retry { after: Duration::from_mins(10), reason: reason() },
            _ => RunEnd::Done,
        };
        table.store.settle(&claim, &end).await?;
    }
    let due = |runs: &[RunRecord]| runs.iter().map(|run| run.due).collect::<Vec<_>>();
    let at = |seconds: &[u64]| seconds.iter().map(|second| later(table.begin, *second)).collect::<Vec<_>>();
    same!(due(&table.store.history(JOB, 2).await?), at(&[6, 5]), "two runs of the history");
    same!(table.store.prune(JOB, 2).await?, 2, "runs that were pruned");
    same!(due(&table.history().await?), at(&[6, 5, 4, 2]), "runs after pruning");
    same!(table.store.prune(JOB, 2).await?, 0, "runs that were pruned again");
    same!(table.store.history("unknown", 10).await?, vec![], "the history of an unknown job");
    Ok(Kept::Whole)
}
