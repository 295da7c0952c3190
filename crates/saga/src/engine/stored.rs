//! What the store has of a saga: read, shown, and put aside where this code cannot go on with it.

use std::sync::Arc;

use super::view::View;
use super::{Core, check_definition};
use crate::definition::Untyped;
use crate::definition::erased::recordable;
use crate::machine::State;
use crate::machine::record;
use crate::store::{Lease, SagaId, Stored};
use crate::{Error, ErrorKind, Result};

impl<App: Send + Sync + 'static> Core<App> {
    /// Finds the definition that a stored saga follows.
    pub(super) fn definition_of(&self, stored: &Stored) -> Result<Arc<Untyped<App>>> {
        self.known_definition(&stored.head.saga, stored.head.definition)
    }

    pub(super) fn known_definition(&self, saga: &str, version: u32) -> Result<Arc<Untyped<App>>> {
        self.definition(saga, version)
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, unknown(saga, version)))
    }

    /// Reads what a stored saga's log says, and the definition that it follows.
    pub(super) fn read(&self, stored: &Stored) -> Result<(Arc<Untyped<App>>, State)> {
        let definition = self.definition_of(stored)?;
        let state = record::read(&stored.log, stored.version)?.state;
        check_definition(&definition, &state)?;
        Ok((definition, state))
    }

    pub(super) async fn stored_view(&self, id: SagaId) -> Result<View> {
        let stored = self.store.load(id).await?.ok_or_else(|| missing(id))?;
        let view = self.view_of(&stored)?;
        Ok(self.with_child(view).await)
    }

    pub(super) fn view_of(&self, stored: &Stored) -> Result<View> {
        let (definition, state) = self.read(stored)?;
        Ok(View::of_stored(stored, &definition, &state))
    }

    /// Puts a saga aside that this code cannot drive, so that it is seen and the others go on.
    pub(super) async fn park(&self, id: SagaId, lease: Option<Lease>, error: &Error) {
        tracing::error!(error = %error, saga = %id, "a saga cannot be driven by this code, and is parked");
        metrics::counter!("saga_parked_total").increment(1);
        let parked = match (self.store.load(id).await, lease) {
            (Ok(Some(stored)), Some(lease)) => {
                let reason = recordable(error.message());
                self.commit_until_known(self.parking(&stored, lease, reason)).await.map(|_| ())
            }
            (Ok(_), _) => Ok(()),
            (Err(error), _) => Err(error),
        };
        if let Err(error) = parked {
            tracing::warn!(error = %error, saga = %id, "a saga could not be parked; whoever claims it next tries again");
        }
    }
}

/// What is said of a saga whose version of its definition is not known here.
pub(super) fn unknown(saga: &str, version: u32) -> String {
    format!("no code here knows version {version} of saga {saga}")
}

pub(super) fn missing(id: SagaId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no saga {id}"))
}

/// Tells whether trying again cannot help: not if the saga is somebody else's, or the store did not do what it should.
pub(super) fn is_for_people(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unsupported | ErrorKind::InvalidInput)
}

pub(super) fn parked(stored: &Stored) -> Error {
    let reason = stored.head.reason.as_deref().unwrap_or("no reason is recorded");
    Error::new(ErrorKind::Unsupported, format!("saga {} is parked: {reason}", stored.head.id))
}
