//! Driving one saga: record, then act; until it ends, waits, or is somebody else's.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use pumasi_core::Retry;
use pumasi_core::event::Envelope;
use pumasi_core::resilience::within;
use tokio::sync::Notify;

use super::job::Job;
use super::transaction::{Transacted, is_transaction};
use super::{Core, data};
use crate::definition::Policy;
use crate::definition::erased::Running;
use crate::machine::record::Note;
use crate::machine::{Command, Input, Settled};
use crate::planted::{self, Bug};
use crate::step::Cx;
use crate::step::cx::{Call, Purpose};
use crate::{Error, ErrorKind, Result};

/// How often a driver looks for what other processes left for its saga.
const HEAR: Duration = Duration::from_secs(1);

/// An attempt that ended.
struct Ended {
    command: Command,
    settled: Settled,
    events: Vec<Envelope>,
    probed: bool,
}

type Attempt = BoxFuture<'static, Ended>;

impl<App: Send + Sync + 'static> Core<App> {
    /// Drives a job as far as it goes: to its end, or until only time or a signal takes it further.
    ///
    /// # Errors
    ///
    /// `Conflict` if the saga is somebody else's (nothing more of it is recorded or done here); `Protocol` or `Unsupported` if this
    /// code cannot go on with it: it is to be parked; `InvalidInput` if the store will not take its record.
    pub(super) async fn drive(
        self: &Arc<Self>,
        job: &mut Job<App>,
        first: Vec<Command>,
        told: &Notify,
    ) -> Result<()> {
        let mut commands = first;
        let mut heard = self.options.clock.instant();
        let mut running: FuturesUnordered<Attempt> = FuturesUnordered::new();
        commands.extend(self.take_signals(job)?);
        let resumed = std::mem::take(&mut job.resumed);
        if !resumed.is_empty() {
            // For those who read its history.
            job.touch(Note::TakenOver);
        }
        for command in resumed {
            running.push(self.recover(job, command)?);
        }
        let mut recorded = false;
        loop {
            commands.extend(self.hear(job, told, &mut heard).await?);
            if !std::mem::take(&mut recorded) || job.is_dirty() {
                self.look_after(job).await?;
                commands.extend(self.pass_time(job)?);
                // A command whose unit was turned round by what came after it in the same record is not carried out.
                commands.retain(|command| is_wanted(job, *command));
                // What was left for the run before until this one is recorded is looked for once it is.
                let is_begun_anew = job.is_begun_anew;
                let holds = !commands.is_empty() || !running.is_empty() || is_begun_anew;
                if planted::is(Bug::EffectBeforeIntent) {
                    for command in std::mem::take(&mut commands) {
                        let mut early = self.attempt(job, command)?;
                        if let Some(ended) = early.as_mut().now_or_never() {
                            early = Box::pin(std::future::ready(ended));
                        }
                        running.push(early);
                    }
                }
                if job.is_dirty() || (!holds && job.is_held()) {
                    self.record(job, holds).await?;
                }
                if !holds {
                    return Ok(());
                }
                if is_begun_anew {
                    told.notify_one();
                    continue;
                }
            }
            if !commands.is_empty() {
                self.await_lease().await;
            }
            if let Some((command, reason)) = self.not_completed(job, &commands).await? {
                commands.retain(|other| *other != command);
                let (note, input) = input_of(command, Settled::Failed { reason, retry: Retry::Never });
                commands.extend(job.apply(note, input, self.moment())?.commands);
                continue;
            }
            // A transaction stands alone in its stage, and makes its own record: once the late handlers that run are at rest.
            let (transactions, others): (Vec<_>, Vec<_>) =
                commands.into_iter().partition(|command| is_transaction(job, *command));
            commands = transactions;
            for command in others {
                running.push(self.attempt(job, command)?);
            }
            if let (Some(command), true) = (commands.first().copied(), running.is_empty()) {
                match self.run_in_transaction(job, command).await? {
                    Transacted::Committed { next, holds } if holds => {
                        commands = next;
                        recorded = true;
                    }
                    Transacted::Committed { .. } => return Ok(()),
                    Transacted::Undone { next } => commands = next,
                }
                continue;
            }
            let Some(ended) = self.wait(job, &mut running, told).await else { continue };
            // Before the next step is begun: what an operator decided may be that it shall not.
            commands.extend(self.hear(job, told, &mut heard).await?);
            commands.extend(self.work_in(job, ended, &mut running)?);
            // What else has ended meanwhile goes into the same record.
            while let Some(Some(ended)) = running.next().now_or_never() {
                commands.extend(self.work_in(job, ended, &mut running)?);
            }
        }
    }

    /// Takes in what was left for the saga since: at once what was left here, and what others left at most every second.
    async fn hear(&self, job: &mut Job<App>, told: &Notify, heard: &mut Instant) -> Result<Vec<Command>> {
        let now = self.options.clock.instant();
        let is_time = now.saturating_duration_since(*heard) >= HEAR;
        if !job.is_held() || !(told.notified().now_or_never().is_some() || is_time) {
            return Ok(Vec::new());
        }
        *heard = now;
        match self.store.load(job.id).await {
            Ok(Some(stored)) if stored.epoch == job.lease.epoch() => {
                job.hear(stored.signals);
                self.take_signals(job)
            }
            // The next commit tells whose it is.
            Ok(_) => Ok(Vec::new()),
            Err(error) => {
                tracing::warn!(error = %error, saga = %job.id, "a driver could not look for signals");
                Ok(Vec::new())
            }
        }
    }

    async fn record(&self, job: &mut Job<App>, holds: bool) -> Result<()> {
        job.kept = if holds { None } else { self.keeps(job).await };
        // One that was begun anew, and rests at once, was held for a moment.
        let says = job.is_dirty() || job.begun_anew_at.is_some();
        let commit = job.commit(self.worker, self.now(), holds, self.forgets());
        let skipped = planted::is(Bug::AcknowledgeBeforeCommit) && !commit.creates() && !holds;
        if !skipped {
            let committed = self.commit_until_known(commit).await?;
            if std::mem::take(&mut job.is_begun_anew) {
                job.begun_anew_at = Some(committed.now);
            }
        }
        job.committed = true;
        self.measure_record(job);
        // It came to rest before, where there is nothing to say.
        if !holds && says {
            self.measure_rest(job);
        }
        Ok(())
    }

    pub(super) fn pass_time(&self, job: &mut Job<App>) -> Result<Vec<Command>> {
        let mut commands = Vec::new();
        while job.state.due().is_some_and(|due| due <= self.now()) {
            commands.extend(job.apply(Note::Due, Input::Tick, self.moment())?.commands);
        }
        Ok(commands)
    }

    /// Waits for the next attempt to end; `None` if something else has to be looked at first.
    async fn wait(
        &self,
        job: &Job<App>,
        running: &mut FuturesUnordered<Attempt>,
        told: &Notify,
    ) -> Option<Ended> {
        if let Some(ended) = running.next().now_or_never() {
            return ended;
        }
        let due = job.state.due().map(|due| due.saturating_since(self.now()));
        let renewal = self.renewal_due().max(Duration::from_millis(1));
        let pause = due.map_or(renewal, |due| due.min(renewal));
        tokio::select! {
            biased;
            ended = running.next() => return ended,
            // For whoever looks next.
            () = told.notified() => told.notify_one(),
            () = self.options.clock.sleep(pause) => {}
        }
        if let Err(error) = self.ensure_lease().await {
            tracing::warn!(error = %error, saga = %job.id, "the lease of a worker could not be renewed");
        }
        None
    }

    /// Makes an ended attempt part of the state, or asks first what became of it.
    fn work_in(
        self: &Arc<Self>,
        job: &mut Job<App>,
        ended: Ended,
        running: &mut FuturesUnordered<Attempt>,
    ) -> Result<Vec<Command>> {
        let Ended { command, settled, events, probed } = ended;
        let is_open = matches!(settled, Settled::Unknown { .. } | Settled::Unrecordable { .. });
        if let (Command::Run(unit), true, false) = (command, is_open, probed)
            && !job.is_child(unit)
        {
            self.measure_attempt(job, command, &settled);
            running.push(self.probe(job, unit, settled)?);
            return Ok(Vec::new());
        }
        self.measure_attempt(job, command, &settled);
        if matches!(settled, Settled::Done(_)) {
            job.publish(events);
        }
        if let Command::Run(unit) | Command::Undo(unit) = command
            && job.is_child(unit)
        {
            job.wait_for(settled.reason().map(Arc::clone));
        }
        let (note, input) = input_of(command, settled);
        Ok(job.apply(note, input, self.moment())?.commands)
    }

    pub(super) fn cx(self: &Arc<Self>, job: &Job<App>, command: Command) -> Result<(Cx<App>, Policy)> {
        let plan = &job.definition.plan;
        let state = &job.state;
        let (unit, purpose, attempt, policy) = match command {
            Command::Run(unit) => {
                let plan = plan.units.get(unit).ok_or_else(lacking)?;
                (unit, Purpose::Run, state.unit(unit).attempt, plan.policy)
            }
            Command::Undo(unit) => {
                let undo = plan.units.get(unit).and_then(|unit| unit.undo.as_ref()).ok_or_else(lacking)?;
                (unit, Purpose::Undo, state.unit(unit).attempt, undo.policy)
            }
            Command::Handle(late) => {
                let late = state.late.get(late).ok_or_else(lacking)?;
                let handler = plan.units.get(late.unit).and_then(|unit| unit.late.as_ref());
                let policy = handler.ok_or_else(lacking)?.policy;
                (late.unit, Purpose::Late(Arc::clone(&late.id)), late.attempt, policy)
            }
        };
        let name = plan.units.get(unit).ok_or_else(lacking)?;
        let call = Call {
            id: job.id,
            saga: Arc::clone(&plan.saga),
            key: Arc::clone(&job.key),
            unit: Arc::clone(&name.name),
            purpose,
            run: state.run,
            round: state.unit(unit).round,
            attempt,
            begun: state.output(unit).is_some(),
            epoch: job.lease.epoch(),
            now: self.now(),
        };
        Ok((Cx::new(Arc::clone(self), call), policy))
    }

    /// Begins an attempt.
    fn attempt(self: &Arc<Self>, job: &mut Job<App>, command: Command) -> Result<Attempt> {
        let (cx, policy) = self.cx(job, command)?;
        let data = data(&job.key, &job.state);
        let codes = &job.definition.codes;
        let future = match command {
            Command::Run(unit) => {
                let code = codes.get(unit).ok_or_else(lacking)?;
                caught(|| code.run.run(cx.clone(), data))?
            }
            Command::Undo(unit) => {
                let undo = codes.get(unit).and_then(|code| code.undo.as_ref()).ok_or_else(lacking)?;
                caught(|| undo.undo(cx.clone(), unit, data))?
            }
            Command::Handle(late) => {
                let entry = job.state.late.get(late).ok_or_else(lacking)?;
                let code = codes.get(entry.unit).and_then(|code| code.late.as_ref()).ok_or_else(lacking)?;
                caught(|| code.handle(cx.clone(), &entry.payload))?
            }
        };
        self.measure_begin(job, command);
        Ok(self.guard(command, cx, policy.timeout(), future, false))
    }

    /// Asks what became of an attempt.
    fn probe(self: &Arc<Self>, job: &Job<App>, unit: usize, settled: Settled) -> Result<Attempt> {
        let command = Command::Run(unit);
        let (cx, policy) = self.cx(job, command)?;
        let code = job.definition.codes.get(unit).ok_or_else(lacking)?;
        let future = caught(|| code.run.probe(cx.clone(), data(&job.key, &job.state)))?;
        let probing = self.guard(command, cx, policy.timeout(), future, true);
        Ok(Box::pin(async move {
            let mut ended = probing.await;
            if matches!(ended.settled, Settled::Unknown { .. }) {
                // What is known of the attempt says more than that the probe cannot tell.
                ended.settled = settled;
            }
            ended
        }))
    }

    /// Finds out about what was under way when the saga changed hands.
    fn recover(self: &Arc<Self>, job: &Job<App>, command: Command) -> Result<Attempt> {
        let settled = Settled::Unknown { reason: Arc::from("interrupted") };
        match command {
            Command::Run(_) if planted::is(Bug::TakenOverCountsAsDone) => {
                let settled = Settled::Done(Arc::from(*b"\"\""));
                Ok(Box::pin(std::future::ready(Ended { command, settled, events: Vec::new(), probed: true })))
            }
            Command::Run(unit) => self.probe(job, unit, settled),
            // Compensations and late handlers may be repeated; they are asked for again.
            Command::Undo(_) | Command::Handle(_) => {
                Ok(Box::pin(std::future::ready(Ended { command, settled, events: Vec::new(), probed: true })))
            }
        }
    }

    /// Lets a future of the user's neither hang nor panic.
    fn guard(
        &self,
        command: Command,
        cx: Cx<App>,
        timeout: Duration,
        future: Running,
        probed: bool,
    ) -> Attempt {
        let clock = Arc::clone(&self.options.clock);
        Box::pin(async move {
            let settled = match within(&*clock, timeout, AssertUnwindSafe(future).catch_unwind()).await {
                Some(Ok(settled)) => settled,
                Some(Err(_)) => Settled::Unknown { reason: Arc::from("panicked") },
                None if planted::is(Bug::TimeoutCountsAsFailed) => {
                    Settled::Failed { reason: Arc::from("timed out"), retry: Retry::Never }
                }
                None => Settled::Unknown { reason: Arc::from("timed out") },
            };
            Ended { command, settled, events: cx.take_events(), probed }
        })
    }

    /// Tells whether sagas that ended are forgotten at once.
    pub(super) fn forgets(&self) -> bool {
        self.options.retention.is_some_and(|retention| retention.is_zero())
    }
}

/// Lets code of the user's that prepares an attempt not panic: nobody would come to know which saga it was.
pub(super) fn caught<T>(prepare: impl FnOnce() -> Result<T>) -> Result<T> {
    let prepared = std::panic::catch_unwind(AssertUnwindSafe(prepare));
    prepared.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Protocol, "the code of a step panicked before its attempt began"))
    })
}

pub(super) fn lacking() -> Error {
    Error::new(ErrorKind::Protocol, "a saga has recorded what its definition lacks")
}

/// What the end of an attempt is to the state machine.
pub(super) fn input_of(command: Command, settled: Settled) -> (Note, Input) {
    match command {
        Command::Run(unit) => (Note::Step, Input::Settled { unit, settled }),
        Command::Undo(unit) => (Note::Compensation, Input::Undone { unit, settled }),
        Command::Handle(late) => (Note::Signal, Input::Handled { late, settled }),
    }
}

fn is_wanted<App>(job: &Job<App>, command: Command) -> bool {
    use crate::machine::UnitStatus;
    match command {
        Command::Run(unit) => job.state.status(unit) == UnitStatus::Running,
        Command::Undo(unit) => job.state.status(unit) == UnitStatus::Undoing,
        Command::Handle(late) => {
            job.state.late.get(late).is_some_and(|late| late.status == UnitStatus::Running)
        }
    }
}
