//! The saga that the engines are measured with: eight sequential steps, each of which can be undone; and its commits, without an
//! engine.

use std::borrow::Cow;

use pumasi_saga::store::{Commit, Head, Lease, SagaId, Status, WorkerId};
use pumasi_saga::{Compensate, Cx, Definition, Outcome, Result, Saga, Step, Undo};
use serde::{Deserialize, Serialize};

/// How many steps, and so commits, it has.
pub const STEPS: u64 = 8;
const SAGA: &str = "load";

/// What the steps are told: which of them fails, from 1; 0: none.
pub struct Orders {
    pub fail: usize,
}

struct Nth<const N: usize>;

struct UndoNth<const N: usize>;

#[derive(Serialize, Deserialize)]
struct Made<const N: usize>(usize);

impl<const N: usize> Step<Orders> for Nth<N> {
    type In = ();
    type Out = Made<N>;
    type Error = &'static str;

    fn name(&self) -> Cow<'static, str> {
        format!("step_{N}").into()
    }

    async fn run(&self, cx: &Cx<Orders>, (): ()) -> Outcome<Made<N>, &'static str> {
        if cx.app().fail == N { Outcome::Failed("as ordered") } else { Outcome::Done(Made(N)) }
    }
}

impl<const N: usize> Compensate<Orders, Nth<N>> for UndoNth<N> {
    type Error = &'static str;

    fn name(&self) -> Cow<'static, str> {
        format!("undo_{N}").into()
    }

    async fn undo(&self, _: &Cx<Orders>, _: Undo<Orders, Nth<N>>) -> Outcome<(), &'static str> {
        Outcome::Done(())
    }
}

/// Makes the definition.
///
/// # Errors
///
/// As the builder's.
pub fn definition() -> Result<Definition<u64, Orders>> {
    Saga::<u64, Orders>::new(SAGA, 1)
        .step(Nth::<1>)
        .compensate(UndoNth::<1>)
        .step(Nth::<2>)
        .compensate(UndoNth::<2>)
        .step(Nth::<3>)
        .compensate(UndoNth::<3>)
        .step(Nth::<4>)
        .compensate(UndoNth::<4>)
        .step(Nth::<5>)
        .compensate(UndoNth::<5>)
        .step(Nth::<6>)
        .compensate(UndoNth::<6>)
        .step(Nth::<7>)
        .compensate(UndoNth::<7>)
        .step(Nth::<8>)
        .compensate(UndoNth::<8>)
        .build()
}

/// Makes the commit of this version, from 1 to [`STEPS`], with a record of the engine's size.
pub fn commit(key: &str, version: u64, worker: WorkerId) -> Commit {
    let last = version == STEPS;
    Commit {
        head: Head {
            id: SagaId::of(SAGA, key),
            saga: SAGA.into(),
            definition: 1,
            key: key.into(),
            status: if last { Status::Completed } else { Status::Running },
            step: "hold_place".into(),
            due: None,
            reason: None,
        },
        worker,
        lease: if version == 1 { Lease::Take(1) } else { Lease::Held(1) },
        expected: version - 1,
        version,
        token: fastrand::u64(..),
        record: vec![7; 96],
        replaces: false,
        holds: !last,
        forgets: false,
        consumed: Vec::new(),
        events: Vec::new(),
    }
}
