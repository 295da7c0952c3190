//! What is tried again and again: it says why, and an operator decides about it by its step.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

use pumasi_core::time::Clock;
use pumasi_saga::store::Status;
use pumasi_saga::{
    Branch, Compensate, Cx, Decision, ErrorKind, Failure, Late, Outcome, Policy, Retry, Saga, SagaHandle,
    Signal, Step, Undo,
};

use crate::sagas::AgreeTerms;
use crate::script::{Desk, Free, Mood, Pay, Reserve, Script, Wrap, Wrapped};

const WHO: &str = "운영자 7";
const WHY: &str = "고객 문의 #12";

fn decisions() -> [Decision; 3] {
    let done = Decision::force_done(&Wrapped(7), WHO, WHY).unwrap();
    [Decision::retry(WHO, WHY), Decision::skip(WHO, WHY), done]
}

type Sagas = SagaHandle<u64, Script>;

async fn tried(sagas: &Sagas, step: usize) -> Option<String> {
    let snapshot = sagas.snapshot(&1).await.unwrap();
    let tried = snapshot.steps[step].tried.as_ref().map(ToString::to_string);
    assert_eq!(snapshot.view.tried.as_ref().map(ToString::to_string), tried);
    tried
}

async fn refused(sagas: &Sagas, decision: Decision) -> ErrorKind {
    sagas.decide(&1, decision).await.unwrap_err().kind()
}

#[tokio::test]
async fn a_step_behind_the_pivot_is_decided_about_between_its_attempts() {
    for decision in decisions() {
        let desk = Desk::new();
        desk.script.set("wrap", Mood::Silent);
        let saga = Saga::<u64, Script>::new("gift", 1).pivot(Pay).step(Wrap).build().unwrap();
        let gifts = desk.engine().register(saga).unwrap();
        assert_eq!(gifts.start(&1).await.unwrap().status, Status::Running);
        assert_eq!(tried(&gifts, 1).await.as_deref(), Some("no answer"));
        assert_eq!(refused(&gifts, decision.clone()).await, ErrorKind::Conflict, "it goes on by itself");
        assert_eq!(refused(&gifts, decision.clone().at("pay")).await, ErrorKind::Conflict);
        let wrong = Decision::force_done(&"not a number", WHO, WHY).unwrap().at("wrap");
        assert_eq!(refused(&gifts, wrong).await, ErrorKind::InvalidInput);
        assert_eq!(refused(&gifts, Decision::force_failed(WHO, WHY).at("wrap")).await, ErrorKind::Conflict);

        desk.script.did();
        desk.script.set("wrap", Mood::Works);
        let is_retry = format!("{decision:?}").contains("Retry");
        assert_eq!(gifts.decide(&1, decision.at("wrap")).await.unwrap().status, Status::Completed);
        assert_eq!(desk.script.did(), if is_retry { vec!["wrap"] } else { vec![] });
        assert_eq!(tried(&gifts, 1).await, None);
        let audits = gifts.snapshot(&1).await.unwrap().audits;
        assert_eq!(audits.iter().map(|audit| &*audit.step).collect::<Vec<_>>(), ["wrap"]);
        assert_eq!(desk.store_due().await, None);
    }
}

#[tokio::test]
async fn so_is_a_compensation() {
    for decision in decisions() {
        let desk = Desk::new();
        desk.script.set("free", Mood::Silent);
        let saga = Saga::<u64, Script>::new("gift", 1)
            .step(Reserve)
            .compensate(Free)
            .policy(Policy::forever())
            .wait::<AgreeTerms>()
            .build();
        let gifts = desk.engine().register(saga.unwrap()).unwrap();
        gifts.start(&1).await.unwrap();
        let view = gifts.decide(&1, Decision::cancel(WHO, WHY)).await.unwrap();
        assert_eq!((view.status, view.reason.as_deref()), (Status::Compensating, Some("cancelled")));
        assert_eq!(tried(&gifts, 0).await.as_deref(), Some("no answer"));
        assert_eq!(refused(&gifts, decision.clone()).await, ErrorKind::Conflict);
        desk.script.set("free", Mood::Works);
        let is_skip = format!("{decision:?}").contains("Skip");
        let view = gifts.decide(&1, decision.at_compensation("reserve")).await.unwrap();
        assert_eq!(view.status, Status::Compensated);
        assert_eq!(gifts.snapshot(&1).await.unwrap().not_undone().is_empty(), !is_skip);
        assert_eq!((tried(&gifts, 0).await, desk.store_due().await), (None, None));
    }
}

struct Stamp;
struct Unstamp;

impl Step<Script> for Stamp {
    type In = ();
    type Out = ();
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Script>, (): ()) -> Outcome<(), &'static str> {
        cx.app().act("stamp")
    }
}

impl Compensate<Script, Stamp> for Unstamp {
    type Error = &'static str;

    async fn undo(&self, cx: &Cx<Script>, _: Undo<Script, Stamp>) -> Outcome<(), &'static str> {
        cx.app().act("unstamp")
    }
}

#[tokio::test]
async fn what_was_decided_about_a_step_does_not_come_to_its_compensation() {
    let done = |makes_nothing: bool| {
        let made = Decision::force_done(&7, WHO, WHY);
        if makes_nothing { Decision::force_done(&(), WHO, WHY) } else { made }.unwrap()
    };
    for step in ["reserve", "stamp"] {
        let desk = Desk::new();
        for what in ["reserve", "stamp", "free", "unstamp"] {
            desk.script.set(what, Mood::Silent);
        }
        let saga = Saga::<u64, Script>::new("gift", 1);
        let built = if step == "reserve" {
            saga.step(Reserve).compensate(Free).policy(Policy::forever()).build()
        } else {
            saga.step(Stamp).compensate(Unstamp).policy(Policy::forever()).build()
        };
        let gifts = desk.engine().register(built.unwrap()).unwrap();
        assert_eq!(gifts.start(&1).await.unwrap().status, Status::Running);
        let undone = [done(true), Decision::skip(WHO, WHY), Decision::retry(WHO, WHY)];
        for decision in undone.map(|decision| decision.at_compensation(step)) {
            assert_eq!(refused(&gifts, decision).await, ErrorKind::Conflict, "it goes forward");
        }
        gifts.decide(&1, Decision::cancel(WHO, WHY)).await.unwrap();
        assert_eq!(refused(&gifts, done(step == "stamp").at(step)).await, ErrorKind::Conflict);
        let view = gifts.view(&1).await.unwrap();
        assert_eq!((view.status, view.tried.is_some()), (Status::Compensating, true));
        let view = gifts.decide(&1, done(true).at_compensation(step)).await.unwrap();
        assert_eq!(view.status, Status::Compensated);
    }
}

/// Does what a script says with what is late.
struct Apologize;

impl Late<Script, AgreeTerms> for Apologize {
    type Error = &'static str;

    async fn handle(&self, cx: &Cx<Script>, _: AgreeTerms) -> Outcome<(), &'static str> {
        cx.app().act("apologize")
    }
}

#[tokio::test]
async fn so_is_a_late_signal() {
    for decision in decisions() {
        let desk = Desk::new();
        desk.script.set("apologize", Mood::Silent);
        let saga = Saga::<u64, Script>::new("gift", 1)
            .wait::<AgreeTerms>()
            .late(Apologize)
            .policy(Policy::forever())
            .build();
        let gifts = desk.engine().register(saga.unwrap()).unwrap();
        let agree = |id: &str| Signal::from(AgreeTerms("예".to_owned())).with_id(id);
        assert_eq!(gifts.advance(&1, agree("evt-1")).await.unwrap().status, Status::Completed);
        assert_eq!(gifts.advance(&1, agree("evt-2")).await.unwrap().status, Status::Running);
        assert_eq!(tried(&gifts, 0).await.as_deref(), Some("no answer"));
        desk.script.set("apologize", Mood::Works);
        let view = gifts.decide(&1, decision.at("agree_terms")).await.unwrap();
        assert_eq!(view.status, Status::Completed);
        assert_eq!((tried(&gifts, 0).await, desk.store_due().await), (None, None));
    }
}

#[tokio::test]
async fn a_step_that_may_be_done_is_not_skipped_where_it_would_have_to_be_undone() {
    let desk = Desk::new();
    desk.script.set("reserve", Mood::Silent);
    let saga = Saga::<u64, Script>::new("gift", 1).step(Reserve).compensate(Free).pivot(Pay).build().unwrap();
    let gifts = desk.engine().register(saga).unwrap();
    assert_eq!(gifts.start(&1).await.unwrap().status, Status::Running);
    assert_eq!(refused(&gifts, Decision::skip(WHO, WHY).at("reserve")).await, ErrorKind::Conflict);
    let view = gifts.decide(&1, Decision::force_failed(WHO, WHY).at("reserve")).await.unwrap();
    assert_eq!((view.status, view.reason.as_deref()), (Status::Compensated, Some("no answer")));
    assert_eq!(desk.script.did(), [""; 0], "the operator knows that there is nothing to undo");
}

#[tokio::test]
async fn what_is_tried_again_beside_what_the_saga_stands_at_is_decided_about_by_itself() {
    let desk = Desk::new();
    desk.script.set("reserve", Mood::Silent);
    desk.script.set("wrap", Mood::Refuses);
    let once = Policy::new().with_attempts(NonZeroU32::MIN);
    let saga = Saga::<u64, Script>::new("gift", 1)
        .pivot(Pay)
        .parallel((Branch::new(Wrap).policy(once), Branch::new(Reserve)))
        .build();
    let gifts = desk.engine().register(saga.unwrap()).unwrap();
    let view = gifts.start(&1).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("wrap")));
    let view = gifts.decide(&1, Decision::skip(WHO, WHY).at("reserve")).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("wrap")));
    let view = gifts.decide(&1, Decision::skip(WHO, WHY)).await.unwrap();
    assert_eq!((view.status, desk.store_due().await), (Status::Completed, None));
}

struct NextYear;

impl Failure for NextYear {
    fn reason(&self) -> Cow<'static, str> {
        "come back in a year".into()
    }

    fn retry(&self) -> Retry {
        Retry::After(Duration::from_hours(24 * 365))
    }
}

struct Renew;

impl Step<Script> for Renew {
    type In = ();
    type Out = ();
    type Error = NextYear;

    async fn run(&self, _: &Cx<Script>, (): ()) -> Outcome<(), NextYear> {
        Outcome::Failed(NextYear)
    }
}

#[tokio::test]
async fn whoever_asks_for_a_long_pause_is_given_a_day() {
    let desk = Desk::new();
    let saga = Saga::<u64, Script>::new("gift", 1).step(Renew).build().unwrap();
    let gifts = desk.engine().register(saga).unwrap();
    gifts.start(&1).await.unwrap();
    let pause = desk.store_due().await.unwrap().saturating_since(desk.clock.now());
    let day = Duration::from_hours(24);
    assert!(pause >= day && pause < day + Duration::from_secs(1), "{pause:?}");
    assert_eq!(tried(&gifts, 0).await.as_deref(), Some("come back in a year"));
}
