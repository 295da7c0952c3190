//! What is counted and traced.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::Span;
use tracing::field::{Empty, display};

use super::Core;
use super::job::Job;
use crate::definition::{Plan, UnitKind};
use crate::machine::{self, Command, Settled, UnitStatus};
use crate::store::Status;

/// How often the store's sagas are counted.
pub(super) const CENSUS_PERIOD: Duration = Duration::from_secs(15);

fn unit_of<App>(job: &Job<App>, command: Command) -> Option<usize> {
    match command {
        Command::Run(unit) | Command::Undo(unit) => Some(unit),
        Command::Handle(late) => job.state.late.get(late).map(|late| late.unit),
    }
}

impl<App> Core<App> {
    /// Opens the span of a drive, from a rest to the next. What it `follows` is where the drive before it `rests`.
    pub(super) fn span(job: &Job<App>) -> Span {
        let span = tracing::info_span!(
            "saga",
            saga = &*job.definition.plan.saga,
            id = %job.id,
            trace_id = Empty,
            follows = Empty,
            rests = Empty,
            status = Empty,
            step = Empty,
        );
        if !span.is_disabled() {
            span.record("trace_id", display(job.id.trace_id()));
            if job.state.version > 0 {
                span.record("follows", display(job.rest()));
            }
        }
        span
    }

    pub(super) fn end_span(span: &Span, job: &Job<App>) {
        if !span.is_disabled() {
            span.record("rests", display(job.rest()));
            span.record("status", machine::status(&job.state).as_str());
            span.record("step", &*job.step_name());
        }
    }

    pub(super) fn measure_begin(&self, job: &mut Job<App>, command: Command) {
        let Some(unit) = unit_of(job, command) else { return };
        let now = self.options.clock.instant();
        job.began.retain(|(other, _)| *other != unit);
        job.began.push((unit, now));
    }

    pub(super) fn measure_attempt(&self, job: &Job<App>, command: Command, settled: &Settled) {
        let Some(plan) = unit_of(job, command).and_then(|unit| job.definition.plan.units.get(unit)) else {
            return;
        };
        let outcome = match (command, settled) {
            (Command::Run(_), Settled::Done(_)) => "done",
            (Command::Run(_), Settled::Failed { .. }) => "failed",
            (_, Settled::Begun { .. }) => "under_way",
            (Command::Run(_) | Command::Undo(_), Settled::Unknown { .. }) if plan.kind == UnitKind::Child => {
                "under_way"
            }
            (Command::Run(_), _) => "unknown",
            (Command::Undo(_), Settled::Done(_)) => "undone",
            (Command::Undo(_), _) => "undo_failed",
            (Command::Handle(_), Settled::Done(_)) => "handled",
            (Command::Handle(_), _) => "handle_failed",
        };
        let (saga, step) = (Arc::clone(&job.definition.plan.saga), Arc::clone(&plan.name));
        if let Settled::Failed { reason, .. }
        | Settled::Unknown { reason }
        | Settled::Unrecordable { reason }
        | Settled::Begun { reason, .. } = settled
        {
            tracing::debug!(saga = &*saga, id = %job.id, step = &*step, outcome, reason = &**reason, "an attempt of a step ended");
        }
        metrics::counter!("saga_step_total", "saga" => Arc::clone(&saga), "step" => Arc::clone(&step), "outcome" => outcome)
            .increment(1);
        let began = unit_of(job, command)
            .and_then(|unit| job.began.iter().find(|(other, _)| *other == unit))
            .map(|(_, began)| *began);
        if let Some(began) = began {
            let took = self.options.clock.instant().saturating_duration_since(began);
            metrics::histogram!("saga_step_seconds", "saga" => saga, "step" => step)
                .record(took.as_secs_f64());
        }
    }

    /// Counts what the last record says for the first time: that the saga has begun, and which of its steps it has passed.
    pub(super) fn measure_record(&self, job: &mut Job<App>) {
        let saga = &job.definition.plan.saga;
        if job.counted.run != Some(job.state.run) {
            job.counted.run = Some(job.state.run);
            metrics::counter!("saga_started_total", "saga" => Arc::clone(saga)).increment(1);
        }
        let plans = &job.definition.plan.units;
        job.counted.done.resize(plans.len(), false);
        for ((unit, plan), counted) in plans.iter().enumerate().zip(&mut job.counted.done) {
            let done = job.state.status(unit) == UnitStatus::Done;
            if done && !*counted {
                let (saga, step) = (Arc::clone(saga), Arc::clone(&plan.name));
                metrics::counter!("saga_passed_total", "saga" => saga, "step" => step).increment(1);
            }
            *counted = done;
        }
    }

    /// Shows the counters of a definition's funnel before anything is counted: a counter that appears as 1 has, to whoever
    /// asks how it grew, never been raised.
    pub(super) fn measure_definition(plan: &Plan) {
        let saga = &plan.saga;
        metrics::counter!("saga_started_total", "saga" => Arc::clone(saga)).increment(0);
        for unit in &plan.units {
            metrics::counter!("saga_passed_total", "saga" => Arc::clone(saga), "step" => Arc::clone(&unit.name))
                .increment(0);
        }
        for status in Status::ALL.into_iter().filter(|status| status.is_final()) {
            metrics::counter!("saga_ended_total", "saga" => Arc::clone(saga), "status" => status.as_str())
                .increment(0);
        }
    }

    /// Counts where a saga has come to rest: at a wait, with an operator, or at its end.
    pub(super) fn measure_rest(&self, job: &Job<App>) {
        let status = machine::status(&job.state);
        let saga = Arc::clone(&job.definition.plan.saga);
        let step = job.step_name();
        tracing::debug!(saga = &*saga, id = %job.id, status = status.as_str(), step = &*step, "a saga rests");
        if status.is_final() {
            metrics::counter!("saga_ended_total", "saga" => Arc::clone(&saga), "status" => status.as_str())
                .increment(1);
            let took = self.now().saturating_since(job.created_at);
            metrics::histogram!("saga_seconds", "saga" => saga, "status" => status.as_str())
                .record(took.as_secs_f64());
        } else {
            metrics::counter!("saga_rest_total", "saga" => Arc::clone(&saga), "step" => step, "status" => status.as_str())
                .increment(1);
            if status == Status::NeedsOperator {
                tracing::error!(saga = &*saga, id = %job.id, step = &*job.step_name(), "a saga needs an operator");
            }
        }
    }

    pub(super) async fn take_census(&self) {
        match self.store.census().await {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 sagas are out of reach")]
            Ok(census) => {
                let known = self.known();
                let names: BTreeSet<&Arc<str>> = known
                    .iter()
                    .map(|known| &known.saga)
                    .chain(census.sagas.iter().map(|(saga, ..)| saga))
                    .collect();
                // Also where there is none (any more): a gauge keeps what it was set to last.
                for (saga, status) in
                    names.into_iter().flat_map(|saga| Status::ALL.map(|status| (saga, status)))
                {
                    let counted = census.sagas.iter().find(|(name, is, _)| (name, *is) == (saga, status));
                    metrics::gauge!("saga_sagas", "saga" => Arc::clone(saga), "status" => status.as_str())
                        .set(counted.map_or(0, |(.., count)| *count) as f64);
                }
                metrics::gauge!("saga_claimable").set(census.claimable as f64);
                metrics::gauge!("saga_overdue_seconds").set(census.overdue.as_secs_f64());
                metrics::gauge!("saga_held").set(census.held as f64);
                metrics::gauge!("saga_workers").set(census.workers as f64);
            }
            Err(error) => tracing::debug!(error = %error, "sagas could not be counted"),
        }
    }
}
