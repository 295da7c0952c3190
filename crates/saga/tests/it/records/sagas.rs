//! An order with a child, over a partner that counts what stands.

use std::collections::{HashMap, HashSet};
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
    stops: Mutex<HashMap<(u64, &'static str), Stop>>,
    refuses: Mutex<HashSet<(u64, &'static str)>>,
    /// After how many times more that it came to its child an order stands before it.
    ahead: Mutex<HashMap<u64, u32>>,
}

/// Where a step stands still.
#[derive(Clone, Copy)]
struct Stop {
    has_effect: bool,
    is_there: bool,
}

impl Shop {
    pub(super) fn with(standing: &[(u64, &'static [&'static str])]) -> Self {
        let all = standing.iter().flat_map(|(order, steps)| steps.iter().map(|step| ((*order, *step), 1)));
        Self { standing: Mutex::new(all.collect()), ..Self::default() }
    }

    /// What stands of an order; what stands twice is named twice.
    pub(super) fn standing(&self, order: u64) -> Vec<&'static str> {
        let standing = self.standing.lock().unwrap();
        let times = |step| usize::try_from(standing.get(&(order, step)).copied().unwrap_or(0)).unwrap();
        STEPS.iter().flat_map(|step| std::iter::repeat_n(*step, times(*step))).collect()
    }

    /// Has a step of an order stand still when it comes to it.
    pub(super) fn stand_at(&self, order: u64, step: &'static str) {
        self.stop(order, step, false);
    }

    /// Has a step of an order stand still after its effect.
    pub(super) fn stand_behind(&self, order: u64, step: &'static str) {
        self.stop(order, step, true);
    }

    fn stop(&self, order: u64, step: &'static str, has_effect: bool) {
        self.stops.lock().unwrap().insert((order, step), Stop { has_effect, is_there: false });
    }

    /// Has the thread of an order stand still that comes to its child, after so many times more.
    pub(super) fn stand_before_child(&self, order: u64, times: u32) {
        self.ahead.lock().unwrap().insert(order, times);
        self.stop(order, "packing", false);
    }

    /// Waits until it does.
    pub(super) async fn stands(&self, order: u64, step: &'static str) {
        while !self.stops.lock().unwrap().get(&(order, step)).is_some_and(|stop| stop.is_there) {
            // The thread that stands still may be the one that would tell the time to the others.
            std::thread::sleep(Duration::from_millis(5));
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn refuse(&self, order: u64, step: &'static str) {
        self.refuses.lock().unwrap().insert((order, step));
    }

    fn refuses(&self, order: u64, step: &'static str) -> bool {
        self.refuses.lock().unwrap().contains(&(order, step))
    }

    fn is_at_stop(&self, order: u64, name: &'static str, has_effect: bool) -> bool {
        let mut stops = self.stops.lock().unwrap();
        let stop = stops.get_mut(&(order, name)).filter(|stop| stop.has_effect == has_effect);
        stop.map(|stop| stop.is_there = true).is_some()
    }

    async fn act(&self, order: u64, name: &'static str, step: &'static str, change: i64) {
        if self.is_at_stop(order, name, false) {
            std::future::pending::<()>().await;
        }
        *self.standing.lock().unwrap().entry((order, step)).or_default() += change;
        if self.is_at_stop(order, name, true) {
            std::future::pending::<()>().await;
        }
    }

    /// The child of an order: two that are a hundred apart have one.
    fn child_of(&self, order: u64) -> u64 {
        let mut ahead = self.ahead.lock().unwrap();
        let is_before = match ahead.get_mut(&order) {
            None => false,
            Some(0) => ahead.remove(&order).is_some(),
            Some(times) => {
                *times -= 1;
                false
            }
        };
        drop(ahead);
        if is_before && self.is_at_stop(order, "packing", false) {
            loop {
                std::thread::park();
            }
        }
        order % 100
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
                let needs_person = $name == "tell" && NEEDS_PERSON.contains(&order);
                if needs_person || cx.app().refuses(order, $name) {
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

pub(super) type Sold = Definition<u64, Arc<Shop>>;

pub(super) fn packing() -> Result<Sold> {
    let saga = Saga::<u64, Arc<Shop>>::new("packing", 1);
    saga.step(Pack).compensate(Unpack).step(Label).compensate(Unlabel).build()
}

/// An order that is taken for good, and packed then.
pub(super) fn promised(packing: &Sold) -> Result<Sold> {
    let saga = Saga::<u64, Arc<Shop>>::new("promised", 1);
    saga.pivot(Take).child(packing, |(order,): (u64,)| order).named("packed").build()
}

pub(super) fn order(packing: &Sold, shop: &Arc<Shop>) -> Result<Sold> {
    let once = Policy::new().with_attempts(NonZeroU32::MIN);
    let shop = Arc::clone(shop);
    Saga::<u64, Arc<Shop>>::new("order", 1)
        .wait::<Paid>()
        .step(Take)
        .compensate(PutBack)
        .savepoint(TAKEN)
        .child(packing, move |(order,): (u64,)| shop.child_of(order))
        .wait::<Weighed>()
        .pivot(HandOver)
        .step(Tell)
        .policy(once)
        .build()
}
