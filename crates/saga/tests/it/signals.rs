//! Signals that no wait takes: told, counted, and handled where something is declared for them.

use std::sync::Arc;

use pumasi_saga::saga_test::Bank;
use pumasi_saga::store::{MemoryStore, NewSignal, SagaStore, Status};
use pumasi_saga::{Decision, Definition, Engine, ErrorKind, Receipt, Result, Saga, SagaHandle, Signal};

use crate::fateful::Fateful;
use crate::sagas::{
    AgreeTerms, CancelPayment, CheckEligibility, ChooseSouvenir, HoldPlace, Payment, PaymentCompleted,
    Refund, RegistrationKey, ReleasePlace, ShippingAddress, StartPayment, registration,
};

fn registrations() -> (SagaHandle<RegistrationKey, Bank>, Bank) {
    let bank = Bank::new();
    let engine = Engine::new(MemoryStore::new(), bank.clone());
    (engine.register(registration().unwrap()).unwrap(), bank)
}

fn paid(id: &str) -> Signal {
    Signal::from(PaymentCompleted("35000".to_owned())).with_id(id)
}

async fn complete(registrations: &SagaHandle<RegistrationKey, Bank>, key: &RegistrationKey) {
    registrations.advance(key, AgreeTerms("예".to_owned())).await.unwrap();
    registrations.advance(key, ChooseSouvenir("티셔츠".to_owned())).await.unwrap();
    registrations.advance(key, ShippingAddress("서울".to_owned())).await.unwrap();
    let view = registrations.advance(key, paid("evt-1")).await.unwrap();
    assert_eq!(view.status, Status::Completed);
}

#[tokio::test]
async fn a_second_payment_that_came_before_the_end_is_given_back_at_the_end() {
    let (registrations, bank) = registrations();
    let key = RegistrationKey::of(1);
    // Both are there before anybody waits for them: the first is taken.
    registrations.start(&key).await.unwrap();
    assert_eq!(registrations.signal(&key, paid("evt-1")).await.unwrap(), Receipt::Kept);
    assert_eq!(registrations.signal(&key, paid("evt-2")).await.unwrap(), Receipt::Kept);
    complete(&registrations, &key).await;
    assert_eq!(bank.standing("payment_completed"), 1);
    assert_eq!(registrations.signal(&key, paid("evt-2")).await.unwrap(), Receipt::Duplicate);
}

#[tokio::test]
async fn a_payment_for_what_is_completed_is_given_back_once() {
    let (registrations, bank) = registrations();
    let key = RegistrationKey::of(1);
    complete(&registrations, &key).await;
    for _ in 0..2 {
        let view = registrations.advance(&key, paid("evt-2")).await.unwrap();
        assert_eq!((view.status, bank.standing("payment_completed")), (Status::Completed, 1));
    }
    assert_eq!(registrations.signal(&key, paid("evt-3")).await.unwrap(), Receipt::Kept);
    assert_eq!(registrations.engine().run_due().await.unwrap(), 1);
    assert_eq!(bank.standing("payment_completed"), 2);
    assert_eq!(registrations.view(&key).await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn what_a_wait_took_is_remembered_for_good_and_of_the_rest_the_last_thousand() {
    let (registrations, bank) = registrations();
    let key = RegistrationKey::of(1);
    complete(&registrations, &key).await;
    let (id, store) = (registrations.id(&key).unwrap(), registrations.engine().store());
    let mut sizes = Vec::new();
    for round in 0..2 {
        for payment in 0..1_100 {
            let payment = paid(&format!("evt-{round}-{payment}"));
            registrations.advance(&key, payment).await.unwrap();
        }
        sizes.push(store.load(id).await.unwrap().unwrap().log.len());
    }
    assert_eq!(bank.standing("payment_completed"), 2_200, "each is given back");
    assert!(sizes[1] < sizes[0] + 20_000, "what is kept of a saga grows: {sizes:?} bytes");
    for known in ["evt-1", "evt-1-1099", "evt-1-100"] {
        assert_eq!(registrations.signal(&key, paid(known)).await.unwrap(), Receipt::Duplicate, "{known}");
    }
    // It is handled once more, under the key of the first time.
    registrations.advance(&key, paid("evt-0-0")).await.unwrap();
    assert_eq!(bank.standing("payment_completed"), 2_200);
}

#[tokio::test]
async fn a_signal_that_nobody_wants_any_more_is_told_so() {
    let (registrations, _) = registrations();
    let key = RegistrationKey::of(1);
    complete(&registrations, &key).await;
    let late = Signal::from(ChooseSouvenir("모자".to_owned())).with_id("s-2");
    assert_eq!(registrations.signal(&key, late.clone()).await.unwrap(), Receipt::Unwanted);
    assert_eq!(registrations.advance(&key, late).await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn what_was_left_for_what_is_undone_is_given_back_before_it_is_begun_anew() {
    let (registrations, bank) = registrations();
    let key = RegistrationKey::of(1);
    registrations.start(&key).await.unwrap();
    registrations.decide(&key, Decision::cancel("운영자", "test")).await.unwrap();
    assert_eq!(registrations.signal(&key, paid("evt-1")).await.unwrap(), Receipt::Kept);
    let view = registrations.restart_undone(&key).await.unwrap();
    assert_eq!((view.run, view.next.as_deref()), (1, Some("agree_terms")));
    assert_eq!(bank.standing("payment_completed"), 1, "it was paid for what is undone");
    registrations.advance(&key, AgreeTerms("예".to_owned())).await.unwrap();
    registrations.advance(&key, ChooseSouvenir("티셔츠".to_owned())).await.unwrap();
    let view = registrations.advance(&key, ShippingAddress("서울".to_owned())).await.unwrap();
    assert_eq!((view.status, view.next.as_deref()), (Status::Waiting, Some("payment_completed")));
}

#[tokio::test]
async fn what_is_left_while_a_registration_is_begun_anew_is_given_back_and_not_taken_by_the_new_one() {
    for id in ["payment_completed#0.0", "payment_completed:evt-1"] {
        let (bank, store) = (Bank::new(), Fateful::new(MemoryStore::new()));
        let slipping_in = Arc::clone(&store.slipping_in);
        let engine = Engine::new(store, bank.clone());
        let registrations = engine.register(registration().unwrap()).unwrap();
        let key = RegistrationKey::of(1);
        registrations.start(&key).await.unwrap();
        registrations.decide(&key, Decision::cancel("운영자", "test")).await.unwrap();
        let (saga, name) = (registrations.id(&key).unwrap(), Arc::from("payment_completed"));
        let signal = NewSignal { saga, name, id: Arc::from(id), payload: b"\"35000\"".to_vec() };
        *slipping_in.lock().unwrap() = Some(signal);
        let view = registrations.restart_undone(&key).await.unwrap();
        assert_eq!((view.run, view.next.as_deref()), (1, Some("agree_terms")));
        engine.run_due().await.unwrap();
        assert_eq!(bank.standing("payment_completed"), 1, "{id}");
        registrations.advance(&key, AgreeTerms("예".to_owned())).await.unwrap();
        registrations.advance(&key, ChooseSouvenir("티셔츠".to_owned())).await.unwrap();
        let view = registrations.advance(&key, ShippingAddress("서울".to_owned())).await.unwrap();
        assert_eq!((view.status, view.next.as_deref()), (Status::Waiting, Some("payment_completed")), "{id}");
        let answer = PaymentCompleted("35000".to_owned());
        assert_eq!(registrations.advance(&key, answer).await.unwrap().status, Status::Completed, "{id}");
        assert_eq!(bank.standing("payment_completed"), 1, "{id}");
    }
}

/// A registration that takes only what was paid for the payment that stands.
fn matching() -> Result<Definition<RegistrationKey, Bank>> {
    Saga::<RegistrationKey, Bank>::new("matching", 1)
        .wait::<ShippingAddress>()
        .savepoint("before the place")
        .step(HoldPlace)
        .compensate(ReleasePlace)
        .step(StartPayment)
        .compensate(CancelPayment)
        .wait::<PaymentCompleted>()
        .matching(|started: &Payment, paid| started.0 == paid.0)
        .late(Refund)
        .step(CheckEligibility)
        .build()
}

#[tokio::test]
async fn a_wait_takes_only_what_matches_what_was_made_for_it() {
    let bank = Bank::new();
    let engine = Engine::new(MemoryStore::new(), bank.clone());
    let registrations = engine.register(matching().unwrap()).unwrap();
    let key = RegistrationKey::of(1);
    let payment = async || {
        let snapshot = registrations.snapshot(&key).await.unwrap();
        snapshot.output::<Payment>("start_payment").unwrap().unwrap().0
    };
    let paid = |payment: &str| Signal::from(PaymentCompleted(payment.to_owned())).with_id(payment);
    registrations.advance(&key, ShippingAddress("서울".to_owned())).await.unwrap();
    let first = payment().await;
    let anew = Decision::rollback_to("before the place", "운영자", "다른 장소");
    registrations.decide(&key, anew).await.unwrap();
    let second = payment().await;
    assert_ne!(first, second);
    // What was paid before the operator decided comes afterwards.
    let view = registrations.advance(&key, paid(&first)).await.unwrap();
    assert_eq!((view.status, view.next.as_deref()), (Status::Waiting, Some("payment_completed")));

    // And so does what is left for a registration that is undone and begun anew.
    registrations.decide(&key, Decision::cancel("운영자", "test")).await.unwrap();
    assert_eq!(bank.standing("payment_completed"), 1, "the first went back at the end");
    registrations.restart_undone(&key).await.unwrap();
    registrations.signal(&key, paid(&second)).await.unwrap();
    let view = registrations.advance(&key, ShippingAddress("서울".to_owned())).await.unwrap();
    assert_eq!((view.status, view.next.as_deref()), (Status::Waiting, Some("payment_completed")));
    let third = payment().await;
    let view = registrations.advance(&key, paid(&third)).await.unwrap();
    assert_eq!(view.status, Status::Completed);
    let taken = registrations.snapshot(&key).await.unwrap().output::<PaymentCompleted>("payment_completed");
    assert_eq!(taken.unwrap().unwrap().0, third);
    assert_eq!(bank.standing("payment_completed"), 2, "the second went back, too");
}

#[test]
fn a_wait_that_matches_no_step_before_it_is_refused() {
    let of_the_key = Saga::<u64, Bank>::new("of the key", 1)
        .wait::<AgreeTerms>()
        .matching(|key: &u64, agreed| agreed.0 == key.to_string());
    let of_itself = Saga::<u64, Bank>::new("of itself", 1)
        .wait::<AgreeTerms>()
        .matching(|agreed: &AgreeTerms, again| agreed == again);
    for refused in [of_the_key.build(), of_itself.build()] {
        assert_eq!(refused.err().unwrap().kind(), ErrorKind::InvalidInput);
    }
}
