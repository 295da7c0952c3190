//! An order of eight steps, over a partner that behaves badly.

use std::num::NonZeroU32;
use std::time::Duration;

use pumasi_core::resilience::Backoff;
use pumasi_saga::barrier::Entry;
use pumasi_saga::{
    Answer, Compensate, Cx, Definition, Late, Outcome, Policy, Probe, Result, Retriable, Saga, Step, Undo,
};
use serde::{Deserialize, Serialize};

use crate::bank::Bank;

/// The steps in their order; what comes from the pivot on is never undone.
pub(crate) const STEPS: [&str; 8] =
    ["reserve", "reserve_gift", "hold_seat", "prepare", "check", "confirm", "grant", "tell"];
pub(crate) const PIVOT: usize = 5;

/// Tells whether an order is refused by the check, and so undone.
pub(crate) fn is_refused(order: u64) -> bool {
    order.is_multiple_of(5)
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Paid {
    pub(crate) amount: u64,
}

impl Answer for Paid {
    const NAME: &'static str = "paid";
}

macro_rules! step {
    ($step:ident -> $out:ident $(, $undo:ident)?) => {
        struct $step;

        #[derive(Serialize, Deserialize)]
        struct $out(String);

        impl Step<Bank> for $step {
            type In = (u64,);
            type Out = $out;
            type Error = &'static str;

            async fn run(&self, cx: &Cx<Bank>, (order,): (u64,)) -> Outcome<$out, &'static str> {
                effect(cx, order).await.map($out)
            }

            async fn probe(&self, cx: &Cx<Bank>, _: (u64,)) -> Probe<$out> {
                match cx.app().happened(&cx.step_key()).await {
                    Some(true) => Probe::Happened($out(cx.step_key())),
                    Some(false) => Probe::DidNotHappen,
                    None => Probe::CannotTell,
                }
            }
        }

        $(
            struct $undo;

            impl Compensate<Bank, $step> for $undo {
                type Error = &'static str;

                async fn undo(&self, cx: &Cx<Bank>, undo: Undo<Bank, $step>) -> Outcome<(), &'static str> {
                    match cx.app().revert(cx, undo.input.0).await {
                        Some(()) => Outcome::Done(()),
                        None => Outcome::Unknown("the partner did not answer"),
                    }
                }
            }
        )?
    };
}

step!(Reserve -> Reserved, Free);
step!(ReserveGift -> Gift, FreeGift);
step!(HoldSeat -> Seat, FreeSeat);
step!(Prepare -> Prepared, Void);
step!(Check -> Checked, Uncheck);
step!(Confirm -> Confirmed);
step!(Grant -> Granted);
step!(Tell -> Told);
impl Retriable for Grant {}
impl Retriable for Tell {}

/// Asks the partner, who misbehaves the first two times at most, so that in the end each order ends as it has to.
async fn effect(cx: &Cx<Bank>, order: u64) -> Outcome<String, &'static str> {
    if cx.step() == "check" && is_refused(order) {
        return Outcome::Failed("refused");
    }
    let mood = if cx.attempt() > 2 { 99 } else { fastrand::u32(..100) };
    if mood < 4 {
        return Outcome::Unknown("the partner did not answer");
    }
    let entered = cx.app().apply(cx, order).await;
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..3_000))).await;
    match (entered, mood) {
        (_, 4..8) => Outcome::Unknown("the answer was lost"),
        (_, 8) => std::future::pending().await,
        (Some(Entry::First | Entry::Duplicate), _) => Outcome::Done(cx.step_key()),
        (Some(_), _) => Outcome::Failed("undone before it came"),
        (None, _) => Outcome::Unknown("the partner did not answer"),
    }
}

struct Refund;

impl Late<Bank, Paid> for Refund {
    type Error = &'static str;

    async fn handle(&self, _: &Cx<Bank>, _: Paid) -> Outcome<(), &'static str> {
        Outcome::Done(())
    }
}

pub(crate) fn order() -> Result<Definition<u64, Bank>> {
    let attempts = NonZeroU32::MIN.saturating_add(99);
    let policy = Policy::new()
        .with_attempts(attempts)
        .with_timeout(Duration::from_millis(400))
        .with_backoff(Backoff::new(Duration::from_millis(5), Duration::from_millis(100)));
    Saga::<u64, Bank>::new("order", 1)
        .step(Reserve)
        .policy(policy)
        .compensate(Free)
        .policy(policy)
        .step(ReserveGift)
        .policy(policy)
        .compensate(FreeGift)
        .policy(policy)
        .step(HoldSeat)
        .policy(policy)
        .compensate(FreeSeat)
        .policy(policy)
        .step(Prepare)
        .policy(policy)
        .compensate(Void)
        .policy(policy)
        .wait::<Paid>()
        .deadline(Duration::from_secs(3_600))
        .late(Refund)
        .step(Check)
        .policy(policy)
        .compensate(Uncheck)
        .policy(policy)
        .pivot(Confirm)
        .policy(policy)
        .step(Grant)
        .policy(policy)
        .step(Tell)
        .policy(policy)
        .build()
}
