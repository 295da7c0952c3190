//! Another saga as a step.

use std::marker::PhantomData;
use std::sync::Arc;

use pumasi_core::Retry;
use serde::{Deserialize, Serialize};

use super::Inputs;
use super::erased::{Code, Data, Running, Source, UndoCode, recordable};
use crate::machine::Settled;
use crate::planted::{self, Bug};
use crate::step::Cx;
use crate::store::Status;
use crate::{Error, ErrorKind, Result};

/// A child saga that has completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ended<K> {
    /// The child's key.
    pub key: K,
}

/// Starts a child and waits for its end; and undoes it.
pub(super) struct ChildCode<In, K, F> {
    pub(super) saga: Arc<str>,
    pub(super) key: Arc<F>,
    pub(super) sources: Vec<Source>,
    pub(super) types: PhantomData<fn(In) -> K>,
}

impl<In, K, F> Clone for ChildCode<In, K, F> {
    fn clone(&self) -> Self {
        Self {
            saga: Arc::clone(&self.saga),
            key: Arc::clone(&self.key),
            sources: self.sources.clone(),
            types: PhantomData,
        }
    }
}

fn unknown(reason: &str) -> Settled {
    Settled::Unknown { reason: recordable(reason) }
}

impl<In: Inputs, K: Serialize + Send + 'static, F: Fn(In) -> K> ChildCode<In, K, F> {
    /// The child's key as JSON, and as the output that the parent records.
    fn keys(&self, data: Data<'_>) -> Result<(Arc<str>, Arc<[u8]>)> {
        let unwritable =
            |_| Error::new(ErrorKind::Protocol, "the key of a child saga cannot be written as JSON");
        let ended = Ended { key: (self.key)(data.read(&self.sources)?) };
        let key = serde_json::to_string(&ended.key).map_err(unwritable)?;
        let output = serde_json::to_vec(&ended).map_err(unwritable)?;
        Ok((Arc::from(key), Arc::from(output)))
    }
}

impl<App, In, K, F> Code<App> for ChildCode<In, K, F>
where
    App: Send + Sync + 'static,
    In: Inputs,
    K: Serialize + Send + 'static,
    F: Fn(In) -> K + Send + Sync,
{
    fn run(&self, cx: Cx<App>, data: Data<'_>) -> Result<Running> {
        let (key, output) = self.keys(data)?;
        let saga = Arc::clone(&self.saga);
        Ok(Box::pin(async move {
            match cx.core().start_child(&saga, &key, cx.again()).await {
                Ok(view) => match view.status {
                    Status::Completed => Settled::Done(output),
                    _ if planted::is(Bug::ChildCountsAsDone) => Settled::Done(output),
                    Status::Compensated => Settled::Failed {
                        reason: view.reason.unwrap_or_else(|| Arc::from("the child was undone")),
                        retry: Retry::Never,
                    },
                    status => unknown(&format!("the child is {status}")),
                },
                Err(error) => unknown(error.message()),
            }
        }))
    }

    fn probe(&self, _: Cx<App>, _: Data<'_>) -> Result<Running> {
        // Asking again is asking.
        Ok(Box::pin(std::future::ready(unknown("the child is under way"))))
    }

    fn check(&self, output: &[u8]) -> Result<()> {
        serde_json::from_slice::<Ended<serde_json::Value>>(output).map(|_| ()).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the value is not an `Ended` of a child as JSON")
        })
    }
}

impl<App, In, K, F> UndoCode<App> for ChildCode<In, K, F>
where
    App: Send + Sync + 'static,
    In: Inputs,
    K: Serialize + Send + 'static,
    F: Fn(In) -> K + Send + Sync,
{
    fn undo(&self, cx: Cx<App>, unit: usize, data: Data<'_>) -> Result<Running> {
        let (key, output) = self.keys(data)?;
        let saga = Arc::clone(&self.saga);
        let had_ended = data.state.output(unit).is_some();
        Ok(Box::pin(async move {
            if planted::is(Bug::ChildIsNotUndone) {
                return Settled::Done(output);
            }
            match cx.core().undo_child(&saga, &key, cx.again(), had_ended).await {
                Ok(None) => Settled::Done(output),
                Ok(Some(view)) if view.status == Status::Compensated => Settled::Done(output),
                Ok(Some(view)) => unknown(&format!("the child is {}", view.status)),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => {
                    Settled::Failed { reason: recordable(error.message()), retry: Retry::Never }
                }
                Err(error) => unknown(error.message()),
            }
        }))
    }
}
