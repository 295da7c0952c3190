//! Steps whose effect is committed with their record.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use pumasi_core::Retry;
use pumasi_core::resilience::within;

use super::drive::{caught, input_of, lacking};
use super::job::Job;
use super::{Core, data};
use crate::definition::UnitKind;
use crate::machine::{Command, Settled};
use crate::planted::{self, Bug};
use crate::{Error, ErrorKind, Result};

impl<App: Send + Sync + 'static> Core<App> {
    /// Runs a step, or its compensation, in a transaction of the store that its record is committed with.
    pub(super) async fn run_in_transaction(
        self: &Arc<Self>,
        job: &mut Job<App>,
        command: Command,
    ) -> Result<Transacted> {
        let (cx, policy) = self.cx(job, command)?;
        self.measure_begin(job, command);
        let failed = |reason: &str| Settled::Failed { reason: Arc::from(reason), retry: Retry::Now };
        let mut transaction = match self.store.begin().await {
            Ok(transaction) => transaction,
            Err(error) => {
                tracing::warn!(error = %error, saga = %job.id, "no transaction could be begun");
                return self.not_committed(job, command, failed("no transaction"));
            }
        };
        let settled = {
            let (codes, data) = (&job.definition.codes, data(&job.key, &job.state));
            let (cx, inside) = (cx.clone(), transaction.as_any());
            let future = match command {
                Command::Run(unit) => {
                    let code = codes.get(unit).ok_or_else(lacking)?;
                    caught(move || code.run.run_in(cx, data, inside))?
                }
                Command::Undo(unit) => {
                    let undo = codes.get(unit).and_then(|code| code.undo.as_ref()).ok_or_else(lacking)?;
                    caught(move || undo.undo_in(cx, unit, data, inside))?
                }
                Command::Handle(_) => return Err(lacking()),
            };
            let future = AssertUnwindSafe(future).catch_unwind();
            match within(&*self.options.clock, policy.timeout(), future).await {
                Some(Ok(settled)) => settled,
                Some(Err(_)) => failed("panicked"),
                None => failed("timed out"),
            }
        };
        self.measure_attempt(job, command, &settled);
        if !matches!(settled, Settled::Done(_)) {
            drop(transaction);
            return self.not_committed(job, command, settled);
        }
        let before = job.checkpoint();
        job.publish(cx.take_events());
        let (note, input) = input_of(command, settled);
        let mut next = job.apply(note, input, self.moment())?.commands;
        next.extend(self.pass_time(job)?);
        let holds = !next.is_empty();
        job.kept = if holds { None } else { self.keeps(job).await };
        let commit = job.commit(self.worker, self.now(), holds, self.forgets());
        let (version, epoch) = (commit.version, commit.lease.epoch());
        match transaction.commit(commit).await {
            Ok(committed) => self.leased.hear(committed.now, &*self.options.clock),
            // A collision with another transaction, too, is a conflict, but not about the saga.
            Err(error)
                if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::InvalidInput)
                    && !error.retry().is_retryable() =>
            {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(error = %error, saga = %job.id, "it is not known whether a transaction committed");
                // Only this worker writes under this epoch, so that the row tells.
                match self.load_until_known(job.id).await {
                    _ if planted::is(Bug::TransactionPresumedCommitted) => {}
                    Some(stored) if stored.epoch == epoch && stored.version == version => {}
                    Some(stored) if stored.epoch == epoch && stored.version + 1 == version => {
                        job.restore(before);
                        return self.not_committed(job, command, failed("not committed"));
                    }
                    None if self.forgets() && !holds && job.state.is_final() => {}
                    _ => return Err(Error::new(ErrorKind::Conflict, "the saga has gone to another worker")),
                }
            }
        }
        self.measure_record(job);
        if !holds {
            self.measure_rest(job);
        }
        Ok(Transacted::Committed { next, holds })
    }

    /// Works in that a transaction did not commit: nothing happened.
    fn not_committed(&self, job: &mut Job<App>, command: Command, settled: Settled) -> Result<Transacted> {
        let (note, input) = input_of(command, settled);
        let next = job.apply(note, input, self.moment())?.commands;
        Ok(Transacted::Undone { next })
    }
}

/// How a step in a transaction ended.
pub(super) enum Transacted {
    /// It is recorded, and these are to be done.
    Committed { next: Vec<Command>, holds: bool },
    /// It was rolled back, which is to be recorded.
    Undone { next: Vec<Command> },
}

/// Tells whether a command is carried out in a transaction of the store.
pub(super) fn is_transaction<App>(job: &Job<App>, command: Command) -> bool {
    let (Command::Run(unit) | Command::Undo(unit)) = command else { return false };
    job.definition.plan.units.get(unit).is_some_and(|unit| unit.kind == UnitKind::Transaction)
}
