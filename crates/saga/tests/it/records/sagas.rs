//! An order with a child, over a partner that counts what stands.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pumasi_saga::{Answer, Compensate, Cx, Definition, Outcome, Policy, Result, Retriable, Saga, Step, Undo};
use serde::{Deserialize, Serialize};

/// The steps of an order and of its child, in their order.
const STEPS: [&str; 5] = ["take", "pack", "label", "hand_over", "tell"];

/// The place before the packing.
pub(super) const TAKEN: &str = "taken";

/// How often each step of each order stands, and where an order's step stands still.
#[derive(Default)]
pub(super) struct Shop {
    standing: Mutex<HashMap<(u64, &'static str), i64>>,
    stands: Mutex<HashMap<(u64, &'static str), bool>>,
}

impl Shop {
    pub(super) fn with(standing: &[(u64, &'static [&'static str])]) -> Self {
        let all = standing.iter().flat_map(|(order, steps)| steps.iter().map(|step| ((*order, *step), 1)));
        Self { standing: Mutex::new(all.collect()), stands: Mutex::default() }
    }

    /// What stands of an order; what stands twice is named twice.
    pub(super) fn standing(&self, order: u64) -> Vec<&'static str> {
        let standing = self.standing.lock().unwrap();
        let times = |step| usize::try_from(standing.get(&(order, step)).copied().unwrap_or(0)).unwrap();
        STEPS.iter().flat_map(|step| std::iter::repeat_n(*step, times(*step))).collect()
    }

    /// Has a step of an order stand still when it comes to it.
    pub(super) fn stand_at(&self, order: u64, step: &'static str) {
        self.stands.lock().unwrap().insert((order, step), false);
    }

    /// Waits until it does.
    pub(super) async fn stands(&self, order: u64, step: &'static str) {
        while self.stands.lock().unwrap().get(&(order, step)) != Some(&true) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn act(&self, order: u64, name: &'static str, step: &'static str, change: i64) {
        let stands = self.stands.lock().unwrap().get_mut(&(order, name)).map(|stands| *stands = true);
        if stands.is_some() {
            std::future::pending::<()>().await;
        }
        *self.standing.lock().unwrap().entry((order, step)).or_default() += change;
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Paid(pub(super) u64);

impl Answer for Paid {
    const NAME: &'static str = "paid";
}

#[derive(Serialize, Deserialize)]
pub(super) struct Weighed(pub(super) u64);

impl Answer for Weighed {
    const NAME: &'static str = "weighed";
}

macro_rules! step {
    ($step:ident $name:literal -> $out:ident $(, $undo:ident $undone:literal)?) => {
        struct $step;

        #[derive(Serialize, Deserialize)]
        pub(super) struct $out(pub(super) String);

        impl Step<Arc<Shop>> for $step {
            type In = (u64,);
            type Out = $out;
            type Error = &'static str;

            async fn run(&self, cx: &Cx<Arc<Shop>>, (order,): (u64,)) -> Outcome<$out, &'static str> {
                if $name == "tell" && NEEDS_PERSON.contains(&order) {
                    return Outcome::Failed("nobody answers");
                }
                cx.app().act(order, $name, $name, 1).await;
                Outcome::Done($out(format!("{} {order}", $name)))
            }
        }

        $(
            struct $undo;

            impl Compensate<Arc<Shop>, $step> for $undo {
                type Error = &'static str;

                async fn undo(
                    &self,
                    cx: &Cx<Arc<Shop>>,
                    undo: Undo<Arc<Shop>, $step>,
                ) -> Outcome<(), &'static str> {
                    cx.app().act(undo.input.0, $undone, $name, -1).await;
                    Outcome::Done(())
                }
            }
        )?
    };
}

/// The orders whose customers have to be told by hand.
pub(super) const NEEDS_PERSON: [u64; 2] = [10, 14];

step!(Take "take" -> Taken, PutBack "put_back");
step!(Pack "pack" -> Packed, Unpack "unpack");
step!(Label "label" -> Labelled, Unlabel "unlabel");
step!(HandOver "hand_over" -> HandedOver);
step!(Tell "tell" -> Told);
impl Retriable for Tell {}

pub(super) fn order() -> Result<Definition<u64, Arc<Shop>>> {
    let once = Policy::new().with_attempts(NonZeroU32::MIN);
    let packing = Saga::<u64, Arc<Shop>>::new("packing", 1)
        .step(Pack)
        .compensate(Unpack)
        .step(Label)
        .compensate(Unlabel)
        .build()?;
    Saga::<u64, Arc<Shop>>::new("order", 1)
        .wait::<Paid>()
        .step(Take)
        .compensate(PutBack)
        .savepoint(TAKEN)
        .child(&packing, |(order,): (u64,)| order)
        .wait::<Weighed>()
        .pivot(HandOver)
        .step(Tell)
        .policy(once)
        .build()
}
