//! What becomes of a decision that was left with the driver of its saga.

use std::sync::Arc;

use super::Core;
use super::call::{Message, forgotten};
use super::operator::Decision;
use super::view::View;
use crate::machine::{Audit, record};
use crate::{Error, ErrorKind, Result};

/// How a decision was left with the driver of a saga.
#[derive(Debug)]
pub(super) struct LeftAs {
    /// The id of the signal as which it travels.
    pub(super) signal: Arc<str>,
    /// How many decisions the record told of before.
    pub(super) audits: usize,
}

impl<App: Send + Sync + 'static> Core<App> {
    /// Carries out a decision, and if it was left with the saga's driver answers with what became of it there.
    pub(super) async fn decide(
        self: &Arc<Self>,
        saga: &str,
        key: &Arc<str>,
        mut decision: Decision,
    ) -> Result<View> {
        // Made once more, it is another one.
        decision.left = Arc::default();
        let view = self.call(saga, key, Some(Message::Decision(decision.clone())), false).await?;
        let Some(LeftAs { signal, audits }) = decision.left.get() else { return Ok(view) };
        let stored = self.store.load(view.id).await?.ok_or_else(|| forgotten(view.id))?;
        if stored.signals.iter().any(|waiting| waiting.id == *signal) {
            return Err(Error::new(
                ErrorKind::Timeout,
                "the decision is left with the saga's driver, which has not come to it",
            ));
        }
        let state = record::read(&stored.log, stored.version)?.state;
        if !is_carried_out(&decision, state.audits.get(*audits..).unwrap_or_default()) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the decision came too late, and is recorded as refused",
            ));
        }
        Ok(view)
    }
}

/// Tells by what was recorded since whether a decision was carried out. Of two that say the same, what became of one became of both.
fn is_carried_out(decision: &Decision, since: &[Audit]) -> bool {
    let name = decision.order.name();
    since.iter().any(|it| *it.action == *name && it.who == decision.who && it.why == decision.why)
}
