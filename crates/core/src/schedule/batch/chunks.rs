//! The chunks of a run: read, worked on, and written together with the position behind them.

use super::job::{BatchOutcome, BatchRun, ChunkJob, Entry, Progress};
use super::runner::{Batch, taken_over};
use super::store::{BatchDatabase, Change, Status};
use crate::event::Shutdown;
use crate::{Error, ErrorKind, Result};

/// An item that was worked on: where it stands, and what is written of it.
struct Worked<P, O> {
    position: P,
    output: Option<O>,
    /// It was a bad one: the kind of its error.
    bad: Option<&'static str>,
}

pub(super) struct Work<'w, DB: BatchDatabase, J> {
    pub(super) batch: &'w Batch<DB, J>,
    pub(super) run: &'w BatchRun,
    pub(super) progress: Progress,
}

impl<DB: BatchDatabase, J: ChunkJob<DB>> Work<'_, DB, J> {
    /// Works from the position to the end.
    pub(super) async fn chunks(
        &mut self,
        mut position: Option<J::Position>,
        stop: &Shutdown,
    ) -> Result<BatchOutcome> {
        let Self { batch, run, .. } = *self;
        loop {
            if stop.is_triggered() {
                batch.end(run, &self.progress, Status::Stopped, None).await?;
                return Ok(BatchOutcome::Stopped(self.progress.clone()));
            }
            let read = || batch.job.read(run, position.as_ref(), batch.chunk);
            let entries = batch.retry(&mut self.progress, read).await?;
            if entries.is_empty() {
                batch.end(run, &self.progress, Status::Completed, None).await?;
                return Ok(BatchOutcome::Completed(self.progress.clone()));
            }
            let mut worked = Vec::with_capacity(entries.len());
            let mut bad = 0;
            for Entry { position, item } in entries {
                let done = batch.retry(&mut self.progress, || batch.job.process(run, &item)).await;
                worked.push(match done {
                    Ok(output) => Worked { position, output, bad: None },
                    Err(error) => {
                        bad += 1;
                        self.pass_over(&error, bad)?;
                        Worked { position, output: None, bad: Some(error.kind().as_str()) }
                    }
                });
            }
            if let Err(error) = self.write(&worked).await {
                if error.retry().is_retryable()
                    || error.kind() == ErrorKind::Conflict && self.is_lost().await?
                {
                    return Err(error);
                }
                // One of them is bad, and each is tried alone to find which.
                for mut one in worked.drain(..) {
                    bad -= u64::from(one.bad.is_some());
                    if let Err(error) = self.write(std::slice::from_ref(&one)).await {
                        if error.retry().is_retryable() || one.output.is_none() || self.is_lost().await? {
                            return Err(error);
                        }
                        self.pass_over(&error, bad + 1)?;
                        one.output = None;
                        one.bad = Some(error.kind().as_str());
                        self.write(std::slice::from_ref(&one)).await?;
                    }
                    position = Some(one.position);
                }
            }
            position = worked.pop().map(|last| last.position).or(position);
        }
    }

    /// Lets a bad item pass, if there may be so many (`more` of them not counted yet) and its error cannot pass by itself.
    fn pass_over(&self, error: &Error, more: u64) -> Result<()> {
        if error.retry().is_retryable() || self.progress.skipped + more > self.batch.max_skipped {
            return Err(error.clone());
        }
        tracing::warn!(job = %self.run.job, run = %self.run.id, kind = error.kind().as_str(), "a bad item is skipped");
        Ok(())
    }

    /// Whether another node has the run.
    async fn is_lost(&self) -> Result<bool> {
        let failed = |error| self.batch.failed(error);
        let mut connection = self.batch.pool.acquire().await.map_err(failed)?;
        let stored = DB::load(&mut connection, self.run).await.map_err(failed)?;
        Ok(u64::try_from(stored.fence).ok() != Some(self.run.fence) || stored.status != Status::Running)
    }

    /// Writes the items and the position behind them in one transaction, and counts them when it is committed.
    async fn write(&mut self, worked: &[Worked<J::Position, J::Output>]) -> Result<()> {
        let Self { batch, run, .. } = *self;
        let Some(last) = worked.last() else { return Ok(()) };
        let position = serde_json::to_string(&last.position).map_err(|_| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("a position of the batch \"{}\" is not JSON", run.job),
            )
        })?;
        let mut retried = Progress::default();
        let before = self.progress.clone();
        let after = batch
            .retry(&mut retried, || async {
                let mut after = before.clone();
                after.chunks += 1;
                after.read += worked.len() as u64;
                for one in worked {
                    match (&one.output, one.bad) {
                        (_, Some(kind)) => {
                            after.skipped += 1;
                            *after.skipped_by_kind.entry(kind.to_owned()).or_default() += 1;
                        }
                        (Some(_), None) => after.written += 1,
                        (None, None) => after.filtered += 1,
                    }
                }
                self.commit(worked, &position, &before, &after).await?;
                Ok(after)
            })
            .await?;
        self.progress = after;
        self.progress.retried += retried.retried;
        (batch.progress)(run, &self.progress);
        Ok(())
    }

    async fn commit(
        &self,
        worked: &[Worked<J::Position, J::Output>],
        position: &str,
        before: &Progress,
        after: &Progress,
    ) -> Result<()> {
        let (batch, run) = (self.batch, self.run);
        let failed = |error| batch.failed(error);
        let mut transaction = DB::start(&batch.pool).await.map_err(failed)?;
        let now = DB::moment(&mut transaction, batch.store_clock.as_ref()).await.map_err(failed)?;
        let change = Change {
            run,
            status: Status::Running,
            position: Some(position.to_owned()),
            progress: after,
            after_chunks: before.chunks,
            lease_until: now.saturating_add(batch.lease),
            ended: None,
            reason: None,
            announced: false,
        };
        // First, so that whoever has lost the run writes nothing, and two nodes wait for each other here.
        if !DB::save(&mut transaction, &change).await.map_err(failed)? {
            let stored = DB::load(&mut transaction, run).await.map_err(failed)?;
            let held =
                u64::try_from(stored.fence).ok() == Some(run.fence) && stored.status == Status::Running;
            // A commit whose answer was lost did happen.
            if held && u64::try_from(stored.chunks).ok() == Some(after.chunks) {
                return Ok(());
            }
            return Err(taken_over(run));
        }
        let outputs: Vec<&J::Output> = worked.iter().filter_map(|one| one.output.as_ref()).collect();
        if !outputs.is_empty() {
            batch.job.write(run, &mut transaction, &outputs).await?;
        }
        DB::commit(transaction).await.map_err(failed)
    }
}
