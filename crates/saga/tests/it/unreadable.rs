//! Values that JSON cannot carry: found when they are written, not when somebody needs them.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use pumasi_saga::store::{MemoryStore, MemoryTransaction, Status};
use pumasi_saga::{
    Answer, Compensate, Cx, Decision, Definition, Engine, ErrorKind, Outcome, Policy, Probe, Retriable, Saga,
    SagaHandle, Step, TransactionStep, Undo,
};
use serde::{Deserialize, Serialize};

const WHO: &str = "운영자 7";
const WHY: &str = "고객 문의 #12";

/// A scale that weighs what no number is, as long as it is not mended.
#[derive(Clone, Default)]
struct Scale {
    did: Arc<Mutex<Vec<&'static str>>>,
    mended: Arc<Mutex<bool>>,
}

impl Scale {
    fn weigh(&self) -> f64 {
        self.did.lock().unwrap().push("weigh");
        if *self.mended.lock().unwrap() { 1.5 } else { f64::NAN }
    }

    fn did(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.did.lock().unwrap())
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Weight(f64);

#[derive(Serialize, Deserialize)]
struct Perhaps(Option<f64>);

#[derive(Serialize, Deserialize)]
struct Long(String);

struct Weigh;
struct WeighPerhaps;
struct WeighInside;
struct Describe;
struct Ask;
struct Unweigh;
struct Pay;
struct Ship;

impl Retriable for Weigh {}
impl Retriable for Ship {}
impl Retriable for WeighInside {}

impl Step<Scale> for Weigh {
    type In = ();
    type Out = Weight;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Scale>, (): ()) -> Outcome<Weight, &'static str> {
        Outcome::Done(Weight(cx.app().weigh()))
    }
}

impl Compensate<Scale, Weigh> for Unweigh {
    type Error = &'static str;

    async fn undo(&self, cx: &Cx<Scale>, undo: Undo<Scale, Weigh>) -> Outcome<(), &'static str> {
        assert_eq!(undo.output, None, "nobody knows what it made");
        cx.app().did.lock().unwrap().push("unweigh");
        Outcome::Done(())
    }
}

impl Step<Scale> for WeighPerhaps {
    type In = ();
    type Out = Perhaps;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Scale>, (): ()) -> Outcome<Perhaps, &'static str> {
        Outcome::Done(Perhaps(Some(cx.app().weigh())))
    }
}

impl TransactionStep<Scale, MemoryTransaction> for WeighInside {
    type In = ();
    type Out = Weight;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Scale>, _: &mut MemoryTransaction, (): ()) -> Outcome<Weight, &'static str> {
        Outcome::Done(Weight(cx.app().weigh()))
    }
}

impl Step<Scale> for Describe {
    type In = ();
    type Out = Long;
    type Error = &'static str;

    async fn run(&self, _: &Cx<Scale>, (): ()) -> Outcome<Long, &'static str> {
        Outcome::Done(Long("가".repeat(400_000)))
    }
}

/// Weighs, and can be asked what came of it.
impl Step<Scale> for Ask {
    type In = ();
    type Out = Weight;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Scale>, (): ()) -> Outcome<Weight, &'static str> {
        Outcome::Done(Weight(cx.app().weigh()))
    }

    async fn probe(&self, _: &Cx<Scale>, (): ()) -> Probe<Weight> {
        Probe::Happened(Weight(2.5))
    }
}

impl Step<Scale> for Pay {
    type In = ();
    type Out = ();
    type Error = &'static str;

    async fn run(&self, _: &Cx<Scale>, (): ()) -> Outcome<(), &'static str> {
        Outcome::Done(())
    }
}

impl Step<Scale> for Ship {
    type In = (Weight,);
    type Out = ();
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Scale>, _: (Weight,)) -> Outcome<(), &'static str> {
        cx.app().did.lock().unwrap().push("ship");
        Outcome::Done(())
    }
}

fn register(definition: pumasi_saga::Result<Definition<u64, Scale>>) -> (Scale, SagaHandle<u64, Scale>) {
    let scale = Scale::default();
    let engine = Engine::new(MemoryStore::new(), scale.clone());
    (scale, engine.register(definition.unwrap()).unwrap())
}

/// Begins the definition of a parcel.
macro_rules! saga {
    () => {
        Saga::<u64, Scale>::new("parcel", 1)
    };
}

const UNREADABLE: &str = "the output cannot be read back from its JSON";

#[tokio::test]
async fn a_step_whose_output_cannot_be_read_back_is_undone_and_its_saga_with_it() {
    let (scale, parcels) = register(saga!().step(Weigh).compensate(Unweigh).pivot(Pay).step(Ship).build());
    let view = parcels.start(&1).await.unwrap();
    assert_eq!((view.status, view.reason.as_deref()), (Status::Compensated, Some(UNREADABLE)));
    assert_eq!(scale.did(), ["weigh", "unweigh"], "it is not asked again");
}

#[tokio::test]
async fn where_nothing_is_undone_an_operator_says_what_it_made() {
    let pivot = register(saga!().pivot(Weigh).step(Ship).build());
    let behind = register(saga!().pivot(Pay).step(Weigh).step(Ship).build());
    for (scale, parcels) in [pivot, behind] {
        for key in [1, 2] {
            let view = parcels.start(&key).await.unwrap();
            assert_eq!((view.status, view.reason.as_deref()), (Status::NeedsOperator, Some(UNREADABLE)));
        }
        assert_eq!(scale.did(), ["weigh", "weigh"]);
        let unreadable = Decision::force_done(&Weight(f64::NAN), WHO, WHY).unwrap();
        assert_eq!(parcels.decide(&1, unreadable).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let done = Decision::force_done(&Weight(1.5), WHO, WHY).unwrap();
        assert_eq!(parcels.decide(&1, done).await.unwrap().status, Status::Completed);
        *scale.mended.lock().unwrap() = true;
        let view = parcels.decide(&2, Decision::retry(WHO, WHY)).await.unwrap();
        assert_eq!(view.status, Status::Completed);
        assert_eq!(scale.did(), ["ship", "weigh", "ship"]);
    }
    let (_, parcels) = register(saga!().pivot(Weigh).step(Ship).build());
    parcels.start(&1).await.unwrap();
    let view = parcels.decide(&1, Decision::force_failed(WHO, WHY)).await.unwrap();
    assert_eq!(view.status, Status::Compensated);
}

#[tokio::test]
async fn in_a_transaction_it_is_rolled_back_and_not_tried_again() {
    let (scale, parcels) = register(saga!().step_tx(WeighInside).pivot(Pay).step(Ship).build());
    let view = parcels.start(&1).await.unwrap();
    assert_eq!((view.status, view.reason.as_deref()), (Status::Compensated, Some(UNREADABLE)));
    let (behind, parcels) = register(saga!().pivot(Pay).step_tx(WeighInside).step(Ship).build());
    let view = parcels.start(&1).await.unwrap();
    assert_eq!((view.status, view.reason.as_deref()), (Status::NeedsOperator, Some(UNREADABLE)));
    assert_eq!((scale.did(), behind.did()), (vec!["weigh"], vec!["weigh"]));
}

#[tokio::test]
async fn a_probe_may_say_what_it_made_after_all() {
    let (scale, parcels) = register(saga!().step(Ask).pivot(Pay).step(Ship).build());
    assert_eq!(parcels.start(&1).await.unwrap().status, Status::Completed);
    assert_eq!(scale.did(), ["weigh", "ship"]);
    let weight = parcels.snapshot(&1).await.unwrap().output::<Weight>("ask").unwrap();
    assert_eq!(weight, Some(Weight(2.5)));
}

#[tokio::test]
async fn what_would_be_read_back_as_something_else_or_is_too_large_is_not_recorded() {
    let once = Policy::new().with_attempts(NonZeroU32::MIN);
    let (_, parcels) = register(saga!().step(WeighPerhaps).policy(once).build());
    let view = parcels.start(&1).await.unwrap();
    assert_eq!((view.status, view.reason.as_deref()), (Status::Compensated, Some(UNREADABLE)));
    let (_, parcels) = register(saga!().pivot(Describe).build());
    let view = parcels.start(&1).await.unwrap();
    let large = "the output is larger than 1 MiB as JSON";
    assert_eq!((view.status, view.reason.as_deref()), (Status::NeedsOperator, Some(large)));
}

#[derive(Serialize, Deserialize)]
struct Told(f64);

impl Answer for Told {
    const NAME: &'static str = "told";
}

#[tokio::test]
async fn an_answer_and_a_key_are_refused_at_the_door() {
    let told = Saga::<u64, ()>::new("told", 1).wait::<Told>().build().unwrap();
    let told = Engine::new(MemoryStore::new(), ()).register(told).unwrap();
    let refused = told.advance(&1, Told(f64::INFINITY)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);

    let weighed = Saga::<(u64, Option<f64>), ()>::new("weighed", 1).wait::<Told>().build().unwrap();
    let weighed = Engine::new(MemoryStore::new(), ()).register(weighed).unwrap();
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let key = (1, Some(number));
        assert_eq!(weighed.start(&key).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(weighed.id(&key).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(weighed.start(&(1, None)).await.unwrap().status, Status::Waiting);
    assert_ne!(weighed.id(&(1, Some(1.5))).unwrap(), weighed.id(&(1, None)).unwrap());
    let listed = Saga::<BTreeMap<u8, u8>, ()>::new("listed", 1).wait::<Told>().build().unwrap();
    let listed = Engine::new(MemoryStore::new(), ()).register(listed).unwrap();
    assert_eq!(listed.start(&(0..20).map(|one| (one, one)).collect()).await.unwrap().status, Status::Waiting);
    let strewn = Saga::<HashMap<u8, u8>, ()>::new("strewn", 1).wait::<Told>().build().unwrap();
    let strewn = Engine::new(MemoryStore::new(), ()).register(strewn).unwrap();
    let refused = strewn.start(&(0..20).map(|one| (one, one)).collect()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "nobody would find it again");
    let long = Saga::<String, ()>::new("long", 1).wait::<Told>().build().unwrap();
    let long = Engine::new(MemoryStore::new(), ()).register(long).unwrap();
    assert_eq!(long.view(&"가".repeat(400)).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_decision_is_no_longer_than_its_record_can_hold() {
    let large = Decision::force_done(&"x".repeat(5 << 20), WHO, WHY).unwrap_err();
    assert_eq!(large.kind(), ErrorKind::InvalidInput);
    let told = Saga::<u64, ()>::new("told", 1).wait::<Told>().build().unwrap();
    let told = Engine::new(MemoryStore::new(), ()).register(told).unwrap();
    told.start(&1).await.unwrap();
    let long = "가".repeat(1_000);
    for decision in [
        Decision::cancel(long.clone(), WHY),
        Decision::cancel(WHO, long.clone()),
        Decision::rollback_to(long, WHO, WHY),
    ] {
        assert_eq!(told.decide(&1, decision).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let view = told.decide(&1, Decision::cancel(WHO, "가".repeat(600))).await.unwrap();
    assert_eq!(view.status, Status::Compensated);
}
