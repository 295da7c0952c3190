//! What a builder's type knows: whether there is a way back, and what was added last.

use std::fmt;
use std::marker::PhantomData;

use crate::step::Retriable;

/// The way back is open.
#[derive(Debug)]
pub struct BeforePivot;

/// There is no way back.
#[derive(Debug)]
pub struct AfterPivot;

/// `Self` may stand where the way back is as `Class` says.
#[diagnostic::on_unimplemented(
    message = "`{Self}` stands after the pivot, where nothing can be undone, and does not say that it succeeds in the end",
    label = "not `Retriable`",
    note = "implement `Retriable` for it, or let it stand before the pivot"
)]
pub trait Allowed<Class> {}

impl<S> Allowed<BeforePivot> for S {}
impl<S: Retriable> Allowed<AfterPivot> for S {}

/// Nothing to say more of.
#[derive(Debug)]
pub struct Nothing;

/// A step was added last.
pub struct LastStep<S>(PhantomData<fn(S)>);

/// A step in a transaction was added last.
pub struct LastTransaction<S, Tx>(PhantomData<fn(S, Tx)>);

/// A wait was added last.
pub struct LastWait<A>(PhantomData<fn(A)>);

/// A compensation was added last.
#[derive(Debug)]
pub struct LastUndo;

/// A late handler was added last.
#[derive(Debug)]
pub struct LastLate;

/// What was added last is undone in a way that may be exhausted.
pub trait Undoes {}

impl Undoes for LastUndo {}

/// What was added last is tried by a policy.
pub trait Tried {}

impl<S> Tried for LastStep<S> {}
impl<S, Tx> Tried for LastTransaction<S, Tx> {}
impl Tried for LastUndo {}
impl Tried for LastLate {}

impl<S> fmt::Debug for LastStep<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastStep")
    }
}

impl<S, Tx> fmt::Debug for LastTransaction<S, Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastTransaction")
    }
}

impl<A> fmt::Debug for LastWait<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastWait")
    }
}
