//! What becomes of a rollback whose compensations are exhausted, and of what nobody knows.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use pumasi_saga::definition::Look;
use pumasi_saga::store::{SagaStore, Status};
use pumasi_saga::{
    Branch, Decision, Definition, Engine, EngineOptions, ErrorKind, Policy, Saga, SagaHandle, Unknown,
    WhenExhausted,
};

use crate::sagas::AgreeTerms;
use crate::script::{Desk, Free, Mood, Pay, Prepare, Reserve, Script, Unwrap, Void, Wrap};

const WHO: &str = "운영자 7";
const WHY: &str = "고객 문의 #12";

fn once() -> Policy {
    Policy::new().with_attempts(NonZeroU32::MIN)
}

/// Reserve, wrap and prepare, whose compensations are tried once; what is exhausted is passed over.
fn passing_over(free: WhenExhausted) -> Definition<u64, Script> {
    Saga::<u64, Script>::new("gift", 1)
        .step(Reserve)
        .compensate(Free)
        .policy(once())
        .when_exhausted(free)
        .savepoint("reserved")
        .step(Wrap)
        .compensate(Unwrap)
        .policy(once())
        .when_exhausted(WhenExhausted::Continue)
        .step(Prepare)
        .policy(once())
        .compensate(Void)
        .wait::<AgreeTerms>()
        .build()
        .unwrap()
}

type Gifts = SagaHandle<u64, Script>;

async fn stands(gifts: &Gifts) -> (Status, Option<String>, Option<String>) {
    let view = gifts.view(&1).await.unwrap();
    (view.status, view.step.map(|step| step.to_string()), view.reason.map(|reason| reason.to_string()))
}

fn at(step: &str, reason: &str) -> (Status, Option<String>, Option<String>) {
    (Status::NeedsOperator, Some(step.to_owned()), Some(reason.to_owned()))
}

async fn left(gifts: &Gifts) -> Vec<String> {
    gifts.snapshot(&1).await.unwrap().not_undone().iter().map(ToString::to_string).collect()
}

async fn looks(gifts: &Gifts) -> Vec<(String, Look)> {
    let snapshot = gifts.snapshot(&1).await.unwrap();
    snapshot.steps.iter().map(|step| (step.name.to_string(), step.look)).collect()
}

#[tokio::test]
async fn what_is_before_a_compensation_that_is_passed_over_is_undone_and_what_is_left_is_told() {
    let desk = Desk::new();
    desk.script.set("prepare", Mood::Refuses);
    desk.script.set("unwrap", Mood::Refuses);
    let gifts = desk.engine().register(passing_over(WhenExhausted::Halt)).unwrap();
    gifts.start(&1).await.unwrap();
    assert_eq!(stands(&gifts).await, at("wrap", "not undone: wrap"));
    assert_eq!(desk.script.did(), ["reserve", "wrap", "free"]);
    let looks = looks(&gifts).await;
    let expected = [("reserve", Look::Undone), ("wrap", Look::Stuck), ("prepare", Look::Failed)];
    assert_eq!(looks[..3], expected.map(|(step, look)| (step.to_owned(), look)));
    assert_eq!(left(&gifts).await, ["wrap"]);

    gifts.decide(&1, Decision::retry(WHO, WHY)).await.unwrap();
    assert_eq!(stands(&gifts).await, at("wrap", "as told"), "nothing else is left: it says why");
    desk.script.set("unwrap", Mood::Works);
    let view = gifts.decide(&1, Decision::retry(WHO, WHY)).await.unwrap();
    assert_eq!((view.status, desk.script.did()), (Status::Compensated, vec!["unwrap".to_owned()]));
    assert_eq!(left(&gifts).await, [""; 0]);
}

#[tokio::test]
async fn several_that_are_passed_over_are_settled_one_after_the_other_the_last_first() {
    let desk = Desk::new();
    desk.script.set("prepare", Mood::Refuses);
    desk.script.set("unwrap", Mood::Refuses);
    desk.script.set("free", Mood::Refuses);
    let gifts = desk.engine().register(passing_over(WhenExhausted::Continue)).unwrap();
    gifts.start(&1).await.unwrap();
    assert_eq!(stands(&gifts).await, at("wrap", "not undone: wrap, reserve"));
    let seen = Decision::skip(WHO, WHY).at("wrap");
    gifts.decide(&1, seen.clone()).await.unwrap();
    assert_eq!(stands(&gifts).await, at("reserve", "not undone: reserve"));
    // sent twice, it passes over what it was about alone
    let error = gifts.decide(&1, seen).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(stands(&gifts).await, at("reserve", "not undone: reserve"));
    desk.script.set("free", Mood::Works);
    let view = gifts.decide(&1, Decision::retry(WHO, WHY)).await.unwrap();
    assert_eq!(view.status, Status::Compensated);
    assert_eq!(desk.script.did(), ["reserve", "wrap", "free"]);
}

#[tokio::test]
async fn one_that_halts_stands_before_what_was_passed_over_is_told() {
    let desk = Desk::new();
    desk.script.set("prepare", Mood::Refuses);
    desk.script.set("unwrap", Mood::Refuses);
    desk.script.set("free", Mood::Refuses);
    let gifts = desk.engine().register(passing_over(WhenExhausted::Halt)).unwrap();
    gifts.start(&1).await.unwrap();
    assert_eq!(stands(&gifts).await, at("reserve", "as told"));
    assert_eq!(left(&gifts).await, ["reserve", "wrap"]);
    gifts.decide(&1, Decision::skip(WHO, WHY)).await.unwrap();
    assert_eq!(stands(&gifts).await, at("wrap", "not undone: wrap"));
}

#[tokio::test]
async fn a_rollback_that_is_to_go_further_goes_past_what_it_has_passed_over() {
    let desk = Desk::new();
    desk.script.set("unwrap", Mood::Refuses);
    let gifts = desk.engine().register(passing_over(WhenExhausted::Halt)).unwrap();
    assert_eq!(gifts.start(&1).await.unwrap().status, Status::Waiting);
    gifts.decide(&1, Decision::rollback_to("reserved", WHO, WHY)).await.unwrap();
    assert_eq!(stands(&gifts).await, at("wrap", "as told"));
    desk.script.did();
    gifts.decide(&1, Decision::cancel(WHO, WHY)).await.unwrap();
    assert_eq!(desk.script.did(), ["free"]);
    assert_eq!(stands(&gifts).await, at("wrap", "not undone: wrap"));
}

#[tokio::test]
async fn a_branch_says_whether_the_others_wait_for_its_compensation() {
    for exhausted in [WhenExhausted::Halt, WhenExhausted::Continue] {
        let desk = Desk::new();
        desk.script.set("prepare", Mood::Refuses);
        desk.script.set("unwrap", Mood::Refuses);
        let wrap = Branch::new(Wrap).when_exhausted(exhausted).compensate(Unwrap).undo_policy(once());
        let definition = Saga::<u64, Script>::new("gift", 1)
            .parallel((Branch::new(Reserve).compensate(Free), wrap))
            .step(Prepare)
            .build();
        let gifts = desk.engine().register(definition.unwrap()).unwrap();
        gifts.start(&1).await.unwrap();
        let is_freed = desk.script.did().contains(&"free".to_owned());
        if exhausted == WhenExhausted::Continue {
            assert!(is_freed);
            assert_eq!(stands(&gifts).await, at("wrap", "not undone: wrap"));
        } else {
            assert!(!is_freed);
            assert_eq!(stands(&gifts).await, at("wrap", "as told"));
        }
    }
}

#[tokio::test]
async fn a_child_of_which_nothing_is_kept_is_passed_over_or_stood_at() {
    for exhausted in [WhenExhausted::Halt, WhenExhausted::Continue] {
        let desk = Desk::new();
        desk.script.set("pay", Mood::Silent);
        let wrapping = Saga::<u64, Script>::new("wrapping", 1).step(Wrap).compensate(Unwrap).build().unwrap();
        let definition = Saga::<u64, Script>::new("gift", 1)
            .step(Reserve)
            .compensate(Free)
            .child(&wrapping, |(key,): (u64,)| key + 1_000)
            .when_exhausted(exhausted)
            .pivot(Pay)
            .policy(once())
            .build();
        // It keeps what has ended, children too, but does not keep others from forgetting them.
        let options = EngineOptions::new().keeping_ended().with_clock(Arc::new(desk.clock.clone()));
        let engine = Engine::with_options(desk.store.clone(), desk.script.clone(), options);
        let gifts = engine.register(definition.unwrap()).unwrap();
        gifts.start(&1).await.unwrap();
        for _ in 0..10 {
            desk.clock.advance(Duration::from_secs(2));
            gifts.engine().run_due().await.unwrap();
        }
        assert_eq!(stands(&gifts).await, at("pay", "no answer"));
        assert_eq!(desk.store.purge(Duration::ZERO, NonZeroUsize::MIN).await.unwrap(), 1, "the child");
        desk.script.did();
        gifts.decide(&1, Decision::force_failed(WHO, WHY)).await.unwrap();
        let (status, step, _) = stands(&gifts).await;
        assert_eq!((status, step.as_deref()), (Status::NeedsOperator, Some("wrapping")));
        let is_passed_over = exhausted == WhenExhausted::Continue;
        assert_eq!(desk.script.did().contains(&"free".to_owned()), is_passed_over);
        assert_eq!(left(&gifts).await, ["wrapping"]);
    }
}

/// Reserve, which can be undone, and pay, which cannot and is not asked what became of it.
fn without_compensation(pay: Policy) -> Definition<u64, Script> {
    Saga::<u64, Script>::new("gift", 1)
        .step(Reserve)
        .compensate(Free)
        .policy(once())
        .savepoint("reserved")
        .step(Pay)
        .policy(pay)
        .build()
        .unwrap()
}

/// The key of the payment, what is unknown of it, and what is unknown of the place.
async fn unknown(gifts: &Gifts) -> (String, Option<Unknown>, Option<Unknown>) {
    let snapshot = gifts.snapshot(&1).await.unwrap();
    (snapshot.steps[1].key.clone(), snapshot.steps[1].unknown, snapshot.steps[0].unknown)
}

#[tokio::test]
async fn a_step_that_nothing_undoes_is_asked_for_again_under_the_key_of_its_unknown_attempt() {
    let desk = Desk::new();
    desk.script.set("pay", Mood::Silent);
    desk.script.set("free", Mood::Refuses);
    let gifts = desk.engine().register(without_compensation(once())).unwrap();
    assert_eq!(gifts.start(&1).await.unwrap().status, Status::NeedsOperator);
    let (key, payment, place) = unknown(&gifts).await;
    assert_eq!((payment, place), (Some(Unknown::Step), None));
    desk.script.set("pay", Mood::Works);
    let view = gifts.decide(&1, Decision::resume_forward(WHO, WHY)).await.unwrap();
    assert_eq!((view.status, unknown(&gifts).await.0), (Status::Completed, key));
}

#[tokio::test]
async fn so_it_is_after_a_rollback_to_a_savepoint_before_it() {
    let desk = Desk::new();
    desk.script.set("pay", Mood::Silent);
    let gifts = desk.engine().register(without_compensation(Policy::forever())).unwrap();
    assert_eq!(gifts.start(&1).await.unwrap().status, Status::Running);
    let (key, payment, _) = unknown(&gifts).await;
    assert_eq!(payment, Some(Unknown::Step));
    desk.script.set("pay", Mood::Works);
    let view = gifts.decide(&1, Decision::rollback_to("reserved", WHO, WHY)).await.unwrap();
    assert_eq!((view.status, unknown(&gifts).await), (Status::Completed, (key, None, None)));
}

#[tokio::test]
async fn that_nobody_knows_whether_a_compensation_happened_is_shown() {
    let desk = Desk::new();
    desk.script.set("pay", Mood::Refuses);
    desk.script.set("free", Mood::Silent);
    let gifts = desk.engine().register(without_compensation(once())).unwrap();
    assert_eq!(gifts.start(&1).await.unwrap().status, Status::NeedsOperator);
    let (_, payment, place) = unknown(&gifts).await;
    assert_eq!((payment, place), (None, Some(Unknown::Compensation)));
    desk.script.set("free", Mood::Works);
    gifts.decide(&1, Decision::retry(WHO, WHY)).await.unwrap();
    assert_eq!(unknown(&gifts).await.2, None, "it is undone");
}

#[tokio::test]
async fn what_an_operator_passed_over_stands_and_is_asked_for_again_under_its_old_key() {
    for by_hand in [false, true] {
        let desk = Desk::new();
        desk.script.set("unwrap", Mood::Refuses);
        let gifts = desk.engine().register(passing_over(WhenExhausted::Halt)).unwrap();
        gifts.start(&1).await.unwrap();
        let key = async || gifts.snapshot(&1).await.unwrap().steps[1].key.clone();
        let first = key().await;
        gifts.decide(&1, Decision::rollback_to("reserved", WHO, WHY)).await.unwrap();
        assert_eq!(stands(&gifts).await, at("wrap", "as told"));
        let settled =
            if by_hand { Decision::force_done(&(), WHO, WHY).unwrap() } else { Decision::skip(WHO, WHY) };
        assert_eq!(gifts.decide(&1, settled).await.unwrap().status, Status::Waiting);
        assert_eq!(key().await == first, !by_hand, "a new one only where the effect is gone");

        desk.script.set("free", Mood::Refuses);
        gifts.decide(&1, Decision::cancel(WHO, WHY)).await.unwrap();
        assert_eq!(stands(&gifts).await, at("reserve", "as told"));
        gifts.decide(&1, Decision::skip(WHO, WHY)).await.unwrap();
        gifts.decide(&1, Decision::skip(WHO, WHY)).await.unwrap();
        assert_eq!(gifts.view(&1).await.unwrap().status, Status::Compensated);
        assert_eq!(left(&gifts).await, ["reserve", "wrap"], "their effects stand");
    }
}

#[tokio::test]
async fn a_compensation_that_may_have_happened_is_not_passed_over_under_the_old_key() {
    let desk = Desk::new();
    desk.script.set("unwrap", Mood::Silent);
    let gifts = desk.engine().register(passing_over(WhenExhausted::Halt)).unwrap();
    gifts.start(&1).await.unwrap();
    let first = gifts.snapshot(&1).await.unwrap().steps[1].key.clone();
    gifts.decide(&1, Decision::rollback_to("reserved", WHO, WHY)).await.unwrap();
    assert_eq!(left(&gifts).await, ["wrap"]);
    gifts.decide(&1, Decision::skip(WHO, WHY)).await.unwrap();
    assert_ne!(gifts.snapshot(&1).await.unwrap().steps[1].key, first, "it may yet come");
}

/// Reserve and wrap, whose compensations are tried once, and a wait.
fn called_off(desk: &Desk, wrap: WhenExhausted) -> Gifts {
    desk.script.set("unwrap", Mood::Refuses);
    let saga =
        Saga::<u64, Script>::new("gift", 1).step(Reserve).policy(once()).compensate(Free).policy(once());
    let saga = saga.when_exhausted(WhenExhausted::Halt).step(Wrap).policy(once()).compensate(Unwrap);
    let saga = saga.policy(once()).when_exhausted(wrap).wait::<AgreeTerms>();
    desk.engine().register(saga.build().unwrap()).unwrap()
}

#[tokio::test]
async fn what_was_not_undone_is_undone_also_where_the_saga_turns_again_before_it_comes_to_it() {
    for exhausted in [WhenExhausted::Halt, WhenExhausted::Continue] {
        let desk = Desk::new();
        desk.script.set("free", Mood::Refuses);
        let gifts = called_off(&desk, exhausted);
        gifts.start(&1).await.unwrap();
        gifts.decide(&1, Decision::cancel(WHO, WHY)).await.unwrap();
        if exhausted == WhenExhausted::Halt {
            assert_eq!(stands(&gifts).await, at("wrap", "as told"));
            gifts.decide(&1, Decision::skip(WHO, WHY)).await.unwrap();
        }
        assert_eq!(stands(&gifts).await, at("reserve", "as told"));
        desk.script.did();
        desk.script.set("reserve", Mood::Refuses);
        desk.script.set("unwrap", Mood::Works);
        desk.script.set("free", Mood::Works);
        let view = gifts.decide(&1, Decision::resume_forward(WHO, WHY)).await.unwrap();
        assert_eq!(
            (view.status, desk.script.did()),
            (Status::Compensated, ["unwrap", "free"].map(Into::into).into())
        );
        assert_eq!(left(&gifts).await, [""; 0]);
    }
}

#[tokio::test]
async fn what_was_passed_over_is_asked_for_under_its_old_key_also_by_a_saga_that_is_begun_anew() {
    for only_undone in [false, true] {
        let desk = Desk::new();
        let gifts = called_off(&desk, WhenExhausted::Halt);
        gifts.start(&1).await.unwrap();
        let keys = async || -> Vec<String> {
            gifts.snapshot(&1).await.unwrap().steps.iter().map(|step| step.key.clone()).collect()
        };
        let first = keys().await;
        gifts.decide(&1, Decision::cancel(WHO, WHY)).await.unwrap();
        let view = gifts.decide(&1, Decision::skip(WHO, WHY)).await.unwrap();
        assert_eq!((view.status, left(&gifts).await), (Status::Compensated, vec!["wrap".to_owned()]));

        let begun = if only_undone { gifts.restart_undone(&1).await } else { gifts.restart(&1).await };
        assert_eq!(begun.unwrap().status, Status::Waiting);
        let again = keys().await;
        assert_eq!((again[0] == first[0], again[1] == first[1]), (false, true));

        desk.script.set("unwrap", Mood::Works);
        desk.script.did();
        let view = gifts.decide(&1, Decision::cancel(WHO, WHY)).await.unwrap();
        assert_eq!(
            (view.status, desk.script.did()),
            (Status::Compensated, ["unwrap", "free"].map(Into::into).into())
        );
        let run = view.run;
        let view = gifts.restart(&1).await.unwrap();
        assert_eq!((view.status, view.run), (Status::Waiting, run + 1), "nothing of it stands");
        assert_ne!(keys().await[1], first[1]);
    }
}

#[tokio::test]
async fn what_cannot_be_undone_because_its_input_was_made_anew_finds_its_operator() {
    let desk = Desk::new();
    desk.script.set("void", Mood::Refuses);
    let saga = Saga::<u64, Script>::new("gift", 1).step(Reserve).policy(once()).compensate(Free);
    let saga = saga.policy(once()).step(Prepare).policy(once()).compensate(Void).policy(once());
    let saga = saga.when_exhausted(WhenExhausted::Continue).wait::<AgreeTerms>();
    let gifts = desk.engine().register(saga.build().unwrap()).unwrap();
    gifts.start(&1).await.unwrap();
    let first = gifts.snapshot(&1).await.unwrap().steps[1].key.clone();
    gifts.decide(&1, Decision::cancel(WHO, WHY)).await.unwrap();
    assert_eq!(left(&gifts).await, ["prepare"]);

    // It turns again before it comes to what was passed over: what that was made from is gone.
    desk.script.set("reserve", Mood::Refuses);
    desk.script.set("void", Mood::Works);
    desk.script.did();
    gifts.decide(&1, Decision::resume_forward(WHO, WHY)).await.unwrap();
    assert_eq!(stands(&gifts).await.0, Status::NeedsOperator);
    assert_eq!((left(&gifts).await, desk.script.did()), (vec!["prepare".to_owned()], vec![]));

    desk.script.set("reserve", Mood::Works);
    let view = gifts.decide(&1, Decision::resume_forward(WHO, WHY)).await.unwrap();
    assert_eq!(view.status, Status::Waiting);
    assert_eq!(gifts.snapshot(&1).await.unwrap().steps[1].key, first, "the effect is there, under its key");
    assert_eq!(desk.script.did(), ["reserve", "prepare"]);
}
