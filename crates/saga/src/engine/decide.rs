//! What becomes of a decision that was left with the driver of its saga.

use std::fmt;
use std::sync::Arc;

use super::Core;
use super::call::{Message, forgotten};
use super::operator::Decision;
use super::view::View;
use crate::machine::{Audit, State, record};
use crate::{Error, ErrorKind, Result};

/// How a decision was left with the driver of a saga.
#[derive(Debug)]
pub(super) struct LeftAs {
    /// The id of the signal as which it travels.
    pub(super) signal: Arc<str>,
    /// How many decisions the record told of before.
    pub(super) audits: usize,
}

/// What a saga that is forgotten with its end had recorded of decisions.
#[derive(PartialEq, Eq)]
pub(super) struct Decided {
    audits: Vec<Audit>,
    surplus: Vec<Arc<str>>,
}

impl Decided {
    pub(super) fn of(state: &State) -> Self {
        Self { audits: state.audits.clone(), surplus: state.surplus.clone() }
    }
}

impl fmt::Debug for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decided").finish_non_exhaustive()
    }
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
        let Some(left) = decision.left.get() else { return Ok(view) };
        let decided = if let Some(stored) = self.store.load(view.id).await? {
            if stored.signals.iter().any(|waiting| waiting.id == left.signal) {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    "the decision is left with the saga's driver, which has not come to it",
                ));
            }
            Arc::new(Decided::of(&record::read(&stored.log, stored.version)?.state))
        } else {
            view.decided.clone().ok_or_else(|| forgotten(view.id))?
        };
        if !is_carried_out(&decision, left, &decided) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the decision came too late, and is recorded as refused",
            ));
        }
        Ok(view)
    }
}

/// Tells by what was recorded since whether a decision was carried out. Of one that was refused its own id is recorded beside the audit,
/// which another decision of the same words may share.
fn is_carried_out(decision: &Decision, left: &LeftAs, decided: &Decided) -> bool {
    let name = decision.order.name();
    let since = decided.audits.get(left.audits..).unwrap_or_default();
    let is_refused = decided.surplus.contains(&left.signal);
    !is_refused
        && since.iter().any(|it| *it.action == *name && it.who == decision.who && it.why == decision.why)
}
