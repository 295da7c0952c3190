//! An order of eleven steps, two of them a child's and one in the store's own transaction, over a partner that behaves badly. Some
//! orders go back to before their child and make it again, some are called off before they come to it and begun anew.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

use pumasi_core::resilience::Backoff;
use pumasi_saga::barrier::Entry;
use pumasi_saga::store::Status;
use pumasi_saga::{
    Answer, Compensate, CompensateTransaction, Cx, Decision, Definition, Late, Outcome, Policy, Probe,
    Result, Retriable, Saga, Step, TransactionStep, Undo,
};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};

use crate::bank::Bank;

/// The steps in their order; what comes from the pivot on is never undone.
pub(crate) const STEPS: [&str; 11] = [
    "reserve",
    "reserve_gift",
    "hold_seat",
    "prepare",
    "book",
    "pack",
    "label",
    "check",
    "confirm",
    "grant",
    "tell",
];
pub(crate) const PIVOT: usize = 8;
/// The steps of the child.
pub(crate) const PACKING: [&str; 2] = ["pack", "label"];

/// Tells whether an order is refused by the check, and so undone.
pub(crate) fn is_refused(order: u64) -> bool {
    order.is_multiple_of(5)
}

/// Tells whether a customer calls an order off instead of paying it.
pub(crate) fn is_called_off(order: u64) -> bool {
    !is_refused(order) && order % 11 == 3
}

/// Tells whether an order's child is undone and made again, if it has one.
pub(crate) fn is_packed_again(order: u64) -> bool {
    order % 3 == 1
}

/// Tells whether an order is called off before it is paid, and begun anew, if orders have children.
pub(crate) fn is_begun_anew(order: u64) -> bool {
    order % 13 == 5 && !is_called_off(order)
}

/// Tells whether an order makes its child at another time than the first.
pub(crate) fn is_repeated(order: u64) -> bool {
    is_packed_again(order) || is_begun_anew(order)
}

/// Tells whether an order's last step needs a person.
pub(crate) fn needs_person(order: u64) -> bool {
    expected(order) == Status::Completed && order % 7 == 4
}

/// Returns how an order has to end.
pub(crate) fn expected(order: u64) -> Status {
    if is_refused(order) || is_called_off(order) { Status::Compensated } else { Status::Completed }
}

/// What a person says instead of the last step.
pub(crate) fn told_by_hand() -> Result<Decision> {
    Decision::force_done(&Told("by hand".to_owned()), "operator", "told by telephone")
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Paid {
    pub(crate) amount: u64,
}

impl Answer for Paid {
    const NAME: &'static str = "paid";
}

/// The parcel's weight: asked for when it is packed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Weighed {
    pub(crate) grams: u64,
}

impl Answer for Weighed {
    const NAME: &'static str = "weighed";
}

/// The place before the packing.
pub(crate) const BOOKED: &str = "booked";

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
step!(Book -> Booked, Unbook);
step!(Pack -> Packed, Unpack);
step!(Label -> Labelled, Unlabel);
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
    if cx.step() == "tell" && needs_person(order) {
        return Outcome::Failed("needs a person");
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

/// Books in the store's own database, together with the record of the step.
struct BookRow;

impl TransactionStep<Bank, Transaction<'static, Postgres>> for BookRow {
    type In = (u64,);
    type Out = Booked;
    type Error = &'static str;

    fn name(&self) -> Cow<'static, str> {
        "book".into()
    }

    async fn run(
        &self,
        cx: &Cx<Bank>,
        transaction: &mut Transaction<'static, Postgres>,
        (order,): (u64,),
    ) -> Outcome<Booked, &'static str> {
        book(cx, transaction, order, false).await.map(|()| Booked(cx.step_key()))
    }
}

struct UnbookRow;

impl CompensateTransaction<Bank, Transaction<'static, Postgres>, BookRow> for UnbookRow {
    type Error = &'static str;

    async fn undo(
        &self,
        cx: &Cx<Bank>,
        transaction: &mut Transaction<'static, Postgres>,
        (order,): (u64,),
        _: Booked,
    ) -> Outcome<(), &'static str> {
        book(cx, transaction, order, true).await
    }
}

/// Writes a row, and is not sure of it now and then: then it is rolled back.
async fn book(
    cx: &Cx<Bank>,
    transaction: &mut Transaction<'static, Postgres>,
    order: u64,
    undo: bool,
) -> Outcome<(), &'static str> {
    let Some(()) = cx.app().book(cx, transaction, order, undo).await else {
        return Outcome::Unknown("the database did not answer");
    };
    if cx.attempt() <= 2 && fastrand::u32(..100) < 8 {
        return Outcome::Unknown("not sure");
    }
    Outcome::Done(())
}

struct Refund;

impl Late<Bank, Paid> for Refund {
    type Error = &'static str;

    async fn handle(&self, _: &Cx<Bank>, _: Paid) -> Outcome<(), &'static str> {
        Outcome::Done(())
    }
}

fn policy() -> Policy {
    Policy::new()
        .with_attempts(NonZeroU32::MIN.saturating_add(99))
        .with_timeout(Duration::from_millis(400))
        .with_backoff(Backoff::new(Duration::from_millis(5), Duration::from_millis(100)))
}

/// Makes the definition of the child.
pub(crate) fn packing() -> Result<Definition<u64, Bank>> {
    let policy = policy();
    Saga::<u64, Bank>::new("packing", 1)
        .step(Pack)
        .policy(policy)
        .compensate(Unpack)
        .policy(policy)
        .step(Label)
        .policy(policy)
        .compensate(Unlabel)
        .policy(policy)
        .build()
}

/// Makes the definition: with a booking in PostgreSQL's own transaction, or at the partner; with a child, if that is kept for as long
/// as its parent goes on.
pub(crate) fn order(
    in_transaction: bool,
    child: Option<&Definition<u64, Bank>>,
) -> Result<Definition<u64, Bank>> {
    let policy = policy();
    macro_rules! end {
        ($begun:expr) => {
            $begun
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
        };
    }
    macro_rules! pack {
        ($begun:expr) => {{
            let begun = $begun.policy(policy);
            if let Some(packing) = child {
                let packed = begun.savepoint(BOOKED).child(packing, |(order,): (u64,)| order);
                end!(packed.wait::<Weighed>())
            } else {
                end!(begun)
            }
        }};
    }
    let begun = Saga::<u64, Bank>::new("order", 1)
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
        .late(Refund);
    if in_transaction {
        let booked = begun.step_tx::<_, Transaction<'static, Postgres>, _>(BookRow).policy(policy);
        pack!(booked.compensate_tx(UnbookRow))
    } else {
        pack!(begun.step(Book).policy(policy).compensate(Unbook))
    }
}
