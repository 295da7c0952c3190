//! Bugs planted on purpose, one at a time, to see that the tests find them. Without the feature `planted-bugs`, which is for the
//! tests of this crate and of `benches`, nothing of them is compiled.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each is named after what it does wrong; public with the feature, and not all of them planted without others"
)]
pub enum Bug {
    EffectBeforeIntent = 1,
    AcknowledgeBeforeCommit,
    NoFencing,
    ForwardOrderUndo,
    DropEarlySignal,
    DropLateSignal,
    SkipUnknownStep,
    KeyPerAttempt,
    TakenOverCountsAsDone,
    TakenOverIsForgotten,
    LostWakeUp,
    UndoIsNeverRepeated,
    UnsureIsNotRecorded,
    TurnBackWhileOthersRun,
    UndoPastThePivot,
    LogLosesLastRecord,
    BackoffIsNeverDue,
    ReleaseKeepsTheHolder,
    TimeoutCountsAsFailed,
    LeaseIsForEver,
    OutputIsNotRecorded,
    OutboxApart,
    LocalClock,
    DropSurplusSignal,
    RowsApartFromTheCommit,
    TransactionPresumedCommitted,
    ChildCountsAsDone,
    ChildIsNotUndone,
    LeftDecisionIsDropped,
    DecisionIsNotRecorded,
    RetryForgetsTheUnknown,
    PurgeTakesWhatGoesOn,
    PurgeTakesSignals,
    ForgottenCountsAsLost,
    ForgetsWhatGoesOn,
    UndoneChildIsBegunLate,
    NewerChildIsUndone,
    HaltGoesOn,
    ContinueHalts,
    PassedOverCountsAsUndone,
    ParentIsNotRecorded,
    ChildFollowsTheNewest,
    NeverBegunIsNotKept,
    UndoneChildIsBegunAgain,
    FirstUndoIsForAll,
    RetriedChildIsNotBegunAnew,
    GoneChildIsMadeAgain,
    ChildIsPurged,
    ChildIsTakenApart,
    PivotTrustsItsChildren,
    ParentIsNotWoken,
    PassedOverIsMadeTwice,
    LateIsForgottenBesideOthers,
    NewRunTakesWhatCameBefore,
}

#[cfg(feature = "planted-bugs")]
impl Bug {
    /// All of them.
    pub const ALL: [Self; 54] = [
        Self::EffectBeforeIntent,
        Self::AcknowledgeBeforeCommit,
        Self::NoFencing,
        Self::ForwardOrderUndo,
        Self::DropEarlySignal,
        Self::DropLateSignal,
        Self::SkipUnknownStep,
        Self::KeyPerAttempt,
        Self::TakenOverCountsAsDone,
        Self::TakenOverIsForgotten,
        Self::LostWakeUp,
        Self::UndoIsNeverRepeated,
        Self::UnsureIsNotRecorded,
        Self::TurnBackWhileOthersRun,
        Self::UndoPastThePivot,
        Self::LogLosesLastRecord,
        Self::BackoffIsNeverDue,
        Self::ReleaseKeepsTheHolder,
        Self::TimeoutCountsAsFailed,
        Self::LeaseIsForEver,
        Self::OutputIsNotRecorded,
        Self::OutboxApart,
        Self::LocalClock,
        Self::DropSurplusSignal,
        Self::RowsApartFromTheCommit,
        Self::TransactionPresumedCommitted,
        Self::ChildCountsAsDone,
        Self::ChildIsNotUndone,
        Self::LeftDecisionIsDropped,
        Self::DecisionIsNotRecorded,
        Self::RetryForgetsTheUnknown,
        Self::PurgeTakesWhatGoesOn,
        Self::PurgeTakesSignals,
        Self::ForgottenCountsAsLost,
        Self::ForgetsWhatGoesOn,
        Self::UndoneChildIsBegunLate,
        Self::NewerChildIsUndone,
        Self::HaltGoesOn,
        Self::ContinueHalts,
        Self::PassedOverCountsAsUndone,
        Self::ParentIsNotRecorded,
        Self::ChildFollowsTheNewest,
        Self::NeverBegunIsNotKept,
        Self::UndoneChildIsBegunAgain,
        Self::FirstUndoIsForAll,
        Self::RetriedChildIsNotBegunAnew,
        Self::GoneChildIsMadeAgain,
        Self::ChildIsPurged,
        Self::ChildIsTakenApart,
        Self::PivotTrustsItsChildren,
        Self::ParentIsNotWoken,
        Self::PassedOverIsMadeTwice,
        Self::LateIsForgottenBesideOthers,
        Self::NewRunTakesWhatCameBefore,
    ];
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug in whatever runs on this thread, in place of the one before.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub(crate) use switch::is;
#[cfg(feature = "planted-bugs")]
pub use switch::plant;

#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
