//! The engine over the store in memory.

use std::sync::Arc;

use pumasi_core::time::ManualClock;
use pumasi_saga::saga_test::Bank;
use pumasi_saga::store::{MemoryStore, Query, Status};
use pumasi_saga::{Decision, Engine, EngineOptions, ErrorKind, Signal};

use crate::sagas::{
    AgreeTerms, ChooseSouvenir, PaymentCompleted, RegistrationKey, ShippingAddress, registration,
};

fn engine(clock: &ManualClock, bank: &Bank) -> Engine<Bank> {
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    Engine::with_options(store, bank.clone(), EngineOptions::new().with_clock(Arc::new(clock.clone())))
}

#[tokio::test]
async fn one_endpoint_leads_a_registration_to_its_end() {
    let (clock, bank) = (ManualClock::new(), Bank::new());
    let engine = engine(&clock, &bank);
    let handle = engine.register(registration().unwrap()).unwrap();
    let key = RegistrationKey::of(1);

    let view = handle.start(&key).await.unwrap();
    assert_eq!((view.status, view.next.as_deref()), (Status::Waiting, Some("agree_terms")));
    assert_eq!(view.deadline.unwrap().to_string(), "2026-01-02T00:00:00Z");

    // An early answer is kept, and the same answer twice is one.
    let view = handle.advance(&key, ChooseSouvenir("티셔츠".into())).await.unwrap();
    assert_eq!(view.next.as_deref(), Some("agree_terms"));
    handle.advance(&key, ChooseSouvenir("메달".into())).await.unwrap();
    let view = handle.advance(&key, AgreeTerms("예".into())).await.unwrap();
    assert_eq!(view.next.as_deref(), Some("shipping_address"));
    let snapshot = handle.snapshot(&key).await.unwrap();
    assert_eq!(snapshot.output::<ChooseSouvenir>("choose_souvenir").unwrap().unwrap().0, "티셔츠");

    let view = handle.advance(&key, ShippingAddress("서울".into())).await.unwrap();
    assert_eq!(view.next.as_deref(), Some("payment_completed"));
    let paid = Signal::from(PaymentCompleted("35000".into())).with_id("evt-1");
    let view = handle.advance(&key, paid.clone()).await.unwrap();
    assert_eq!((view.status, view.step, view.next), (Status::Completed, None, None));
    assert_eq!(bank.standing("confirm"), 1);

    let again = handle.advance(&key, paid).await.unwrap();
    assert_eq!(again.status, Status::Completed);
    let listed = handle.query(Query::new().with_statuses([Status::Completed])).await.unwrap();
    assert_eq!(listed.len(), 1);
    let snapshot = handle.snapshot(&key).await.unwrap();
    assert!(snapshot.mermaid().contains("classDef done"), "{}", snapshot.mermaid());
    let steps = snapshot.svg().matches("fill=\"#c9f2d0\"").count();
    assert_eq!(steps, snapshot.steps.len(), "all are done: {}", snapshot.svg());
    assert_eq!(snapshot.svg().matches("<rect").count(), snapshot.svg().matches("</text>").count());
    assert!(snapshot.dot().starts_with("digraph \"registration\""));
    let korean = |name: &str| match name {
        "registration" => Some("접수".to_owned()),
        "choose_souvenir" => Some("기념품 <고르기>".to_owned()),
        "start" => Some("처음".to_owned()),
        _ => None,
    };
    let (mermaid, dot, svg) =
        (snapshot.mermaid_titled(&korean), snapshot.dot_titled(&korean), snapshot.svg_titled(&korean));
    assert!(mermaid.contains("start((처음))") && mermaid.contains("[\"기념품 _고르기_\"]"), "{mermaid}");
    assert!(dot.starts_with("digraph \"접수\"") && dot.contains("label=\"기념품 _고르기_\""), "{dot}");
    assert!(svg.contains("<title>접수 ") && svg.contains(">기념품 &lt;고르기&gt;<"), "{svg}");
    assert!(!mermaid.contains("choose_souvenir") && mermaid.contains("agree_terms"), "{mermaid}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_recorded() {
    let (clock, bank) = (ManualClock::new(), Bank::new());
    let engine = engine(&clock, &bank);
    let handle = engine.register(registration().unwrap()).unwrap();
    let key = RegistrationKey::of(2);
    let kinds = [
        handle.advance(&key, Signal::json("no_such_answer", &serde_json::json!(1))).await.unwrap_err().kind(),
        handle.advance(&key, Signal::json("agree_terms", &serde_json::json!(1))).await.unwrap_err().kind(),
        handle.advance(&key, AgreeTerms(String::new())).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::InvalidInput; 3]);
    assert_eq!(handle.view(&key).await.unwrap_err().kind(), ErrorKind::NotFound);
    let nobody = handle.signal(&key, PaymentCompleted("1".into())).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
    let nobody = handle.decide(&key, Decision::cancel("운영자", "test")).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_deadline_undoes_and_a_late_payment_is_refunded() {
    let (clock, bank) = (ManualClock::new(), Bank::new());
    let engine = engine(&clock, &bank);
    let handle = engine.register(registration().unwrap()).unwrap();
    let key = RegistrationKey::of(3);
    handle.advance(&key, AgreeTerms("예".into())).await.unwrap();
    handle.advance(&key, ChooseSouvenir("메달".into())).await.unwrap();
    handle.advance(&key, ShippingAddress("부산".into())).await.unwrap();
    assert_eq!((bank.standing("hold_place"), bank.standing("start_payment")), (1, 1));

    clock.advance(std::time::Duration::from_secs(901));
    assert_eq!(engine.run_due().await.unwrap(), 1);
    let view = handle.view(&key).await.unwrap();
    assert_eq!((view.status, view.reason.as_deref()), (Status::Compensated, Some("deadline")));
    assert_eq!((bank.standing("hold_place"), bank.standing("start_payment")), (0, 0));

    let paid = Signal::from(PaymentCompleted("35000".into())).with_id("evt-9");
    handle.signal(&key, paid.clone()).await.unwrap();
    handle.signal(&key, paid).await.unwrap();
    engine.run_due().await.unwrap();
    assert_eq!(bank.standing("payment_completed"), 1, "one refund");
    assert_eq!(handle.view(&key).await.unwrap().status, Status::Compensated);

    // And it may be tried again, under new keys.
    let view = handle.restart(&key).await.unwrap();
    assert_eq!((view.status, view.run, view.next.as_deref()), (Status::Waiting, 1, Some("agree_terms")));
}

#[tokio::test]
async fn only_what_was_undone_is_begun_anew_where_that_is_asked() {
    let (clock, bank) = (ManualClock::new(), Bank::new());
    let engine = engine(&clock, &bank);
    let handle = engine.register(registration().unwrap()).unwrap();
    let key = RegistrationKey::of(5);
    assert_eq!(handle.restart_undone(&key).await.unwrap_err().kind(), ErrorKind::NotFound);
    handle.start(&key).await.unwrap();
    let refused = handle.restart_undone(&key).await.unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::Conflict, "the saga has not ended"));

    handle.decide(&key, Decision::cancel("운영자 7", "신청자의 요청")).await.unwrap();
    let (one, other) = tokio::join!(handle.restart_undone(&key), handle.restart_undone(&key));
    let begun = [one, other].into_iter().flatten().count();
    assert_eq!((begun, handle.view(&key).await.unwrap().run), (1, 1), "one of two at once");

    handle.advance(&key, AgreeTerms("예".into())).await.unwrap();
    handle.advance(&key, ChooseSouvenir("메달".into())).await.unwrap();
    handle.advance(&key, ShippingAddress("부산".into())).await.unwrap();
    let paid = Signal::from(PaymentCompleted("35000".into())).with_id("evt-1");
    assert_eq!(handle.advance(&key, paid).await.unwrap().status, Status::Completed);
    let refused = handle.restart_undone(&key).await.unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::Conflict, "the saga was not undone"));
    let view = handle.view(&key).await.unwrap();
    assert_eq!((view.status, view.run, bank.standing("confirm")), (Status::Completed, 1, 1));
}

#[tokio::test]
async fn a_cancelled_registration_is_undone_and_says_who_did_it() {
    let (clock, bank) = (ManualClock::new(), Bank::new());
    let engine = engine(&clock, &bank);
    let handle = engine.register(registration().unwrap()).unwrap();
    let key = RegistrationKey::of(4);
    handle.advance(&key, AgreeTerms("예".into())).await.unwrap();
    handle.advance(&key, ChooseSouvenir("메달".into())).await.unwrap();
    handle.advance(&key, ShippingAddress("부산".into())).await.unwrap();
    let order = Decision::rollback_to("before the place", "운영자 7", "다른 장소");
    let view = handle.decide(&key, order).await.unwrap();
    assert_eq!(view.next.as_deref(), Some("payment_completed"), "undone to the savepoint, and on again");
    assert_eq!((bank.standing("hold_place"), bank.standing("start_payment")), (1, 1));

    let view = handle.decide(&key, Decision::cancel("운영자 7", "신청자의 요청")).await.unwrap();
    assert_eq!(view.status, Status::Compensated);
    assert_eq!((bank.standing("hold_place"), bank.standing("start_payment")), (0, 0));
    let audits = handle.snapshot(&key).await.unwrap().audits;
    let said: Vec<_> = audits.iter().map(|audit| (&*audit.action, &*audit.who)).collect();
    assert_eq!(said, [("rollback_to", "운영자 7"), ("cancel", "운영자 7")]);
    let refused = handle.decide(&key, Decision::cancel("운영자 7", "again")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

mod children {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::sagas::{Free, Held, HoldPlace, ReleasePlace, Reserve};
    use pumasi_saga::{Cx, Definition, Ended, Outcome, Saga, Step};

    static REFUSES: AtomicBool = AtomicBool::new(false);

    /// Fails when it is told to.
    struct Judge;

    impl Step<Bank> for Judge {
        type In = (Held, Ended<u64>);
        type Out = ();
        type Error = &'static str;

        async fn run(&self, _: &Cx<Bank>, _: Self::In) -> Outcome<(), &'static str> {
            if REFUSES.load(Ordering::SeqCst) { Outcome::Failed("refused") } else { Outcome::Done(()) }
        }
    }

    fn child() -> Definition<u64, Bank> {
        Saga::<u64, Bank>::new("stock", 1).step(Reserve).compensate(Free).build().unwrap()
    }

    fn parent(child: &Definition<u64, Bank>) -> Definition<RegistrationKey, Bank> {
        Saga::<RegistrationKey, Bank>::new("with a child", 1)
            .step(HoldPlace)
            .compensate(ReleasePlace)
            .child(child, |(key,): (RegistrationKey,)| key.participant)
            .step(Judge)
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn a_child_is_done_with_its_parent_and_undone_with_it() {
        let (clock, bank) = (ManualClock::new(), Bank::new());
        let engine = engine(&clock, &bank);
        let handle = engine.register(parent(&child())).unwrap();
        let view = handle.start(&RegistrationKey::of(1)).await.unwrap();
        assert_eq!(view.status, Status::Completed);
        assert_eq!((bank.standing("hold_place"), bank.standing("reserve")), (1, 1));

        REFUSES.store(true, Ordering::SeqCst);
        let view = handle.start(&RegistrationKey::of(2)).await.unwrap();
        assert_eq!((view.status, view.reason.as_deref()), (Status::Compensated, Some("refused")));
        assert_eq!((bank.standing("hold_place"), bank.standing("reserve")), (1, 1), "the first stands");
    }

    static IS_OPEN: AtomicBool = AtomicBool::new(false);

    /// Fails the first time that it is asked.
    struct Open;

    impl Step<Bank> for Open {
        type In = ();
        type Out = ();
        type Error = &'static str;

        async fn run(&self, _: &Cx<Bank>, (): ()) -> Outcome<(), &'static str> {
            if IS_OPEN.swap(true, Ordering::SeqCst) { Outcome::Done(()) } else { Outcome::Failed("not yet") }
        }
    }

    #[tokio::test]
    async fn a_child_that_is_new_when_its_parent_is_begun_anew_is_begun_once() {
        let (clock, bank) = (ManualClock::new(), Bank::new());
        let engine = engine(&clock, &bank);
        let child = Saga::<u64, Bank>::new("consent", 1).wait::<AgreeTerms>().step(Reserve).compensate(Free);
        let child = child.build().unwrap();
        let parent = Saga::<u64, Bank>::new("asks first", 1)
            .step(Open)
            .child(&child, |(key,): (u64,)| key)
            .build()
            .unwrap();
        let (consents, handle) = (engine.register(child).unwrap(), engine.register(parent).unwrap());
        assert_eq!(handle.start(&1).await.unwrap().status, Status::Compensated);
        assert_eq!(handle.restart(&1).await.unwrap().status, Status::Running);
        let asked = consents.advance(&1, AgreeTerms("예".to_owned())).await.unwrap();
        assert_eq!((asked.status, asked.run), (Status::Completed, 0));
        clock.advance(std::time::Duration::from_secs(2));
        engine.run_due().await.unwrap();
        assert_eq!(handle.view(&1).await.unwrap().status, Status::Completed);
        assert_eq!((consents.view(&1).await.unwrap().run, bank.standing("reserve")), (0, 1));
    }

    #[test]
    fn a_child_is_refused_by_an_engine_that_would_forget_it_before_its_parent_has_ended() {
        let options = EngineOptions::new().with_retention(std::time::Duration::ZERO);
        let engine = Engine::with_options(MemoryStore::new(), Bank::new(), options);
        let refused = engine.register(parent(&child())).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.message().contains("saga with a child"), "{refused}");
    }

    #[test]
    fn a_child_that_cannot_be_undone_is_refused_before_the_pivot() {
        let stubborn = Saga::<u64, Bank>::new("stubborn", 1).pivot(Reserve).build().unwrap();
        let built = Saga::<u64, Bank>::new("parent", 1).child(&stubborn, |(key,): (u64,)| key).build();
        let error = built.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("stubborn"), "{error}");
    }
}
