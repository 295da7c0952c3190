//! Signals that no wait takes: told, counted, and handled where something is declared for them.

use pumasi_saga::saga_test::Bank;
use pumasi_saga::store::{MemoryStore, SagaStore, Status};
use pumasi_saga::{Engine, Receipt, SagaHandle, Signal};

use crate::sagas::{
    AgreeTerms, ChooseSouvenir, PaymentCompleted, RegistrationKey, ShippingAddress, registration,
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
