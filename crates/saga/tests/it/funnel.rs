//! How many begin, pass each step and end, as Prometheus is told it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use pumasi_core::time::ManualClock;
use pumasi_saga::saga_test::Bank;
use pumasi_saga::store::{MemoryStore, Status};
use pumasi_saga::{Engine, EngineOptions, Result, SagaHandle, Signal};

use crate::sagas::{
    AgreeTerms, ChooseSouvenir, PaymentCompleted, RegistrationKey, ShippingAddress, registration,
};

type Registrations = SagaHandle<RegistrationKey, Bank>;

/// Does something with registrations, and returns what is exported before and after.
fn exported<F: Future<Output = Result<()>>>(
    story: impl FnOnce(Registrations, ManualClock) -> F,
) -> [String; 2] {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        let clock = ManualClock::new();
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        let options = EngineOptions::new().with_clock(Arc::new(clock.clone())).inline().keeping_ended();
        let engine = Engine::with_options(store, Bank::new(), options);
        let registrations = engine.register(registration().unwrap()).unwrap();
        let before = handle.render();
        runtime.block_on(story(registrations, clock)).unwrap();
        [before, handle.render()]
    })
}

/// What a counter says; nothing if it is not there.
fn count(text: &str, series: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn passed(text: &str, step: &str) -> Option<u64> {
    count(text, &format!("saga_passed_total{{saga=\"registration\",step=\"{step}\"}}"))
}

async fn pay(registrations: &Registrations, key: &RegistrationKey) -> Result<()> {
    registrations.advance(key, ChooseSouvenir("메달".to_owned())).await?;
    registrations.advance(key, ShippingAddress("서울".to_owned())).await?;
    let paid = Signal::from(PaymentCompleted("35000".to_owned())).with_id("evt-1");
    let view = registrations.advance(key, paid).await?;
    assert_eq!(view.status, Status::Completed);
    Ok(())
}

#[test]
fn each_step_that_is_passed_counts_once_however_often_the_saga_rests_before_it() {
    let [before, after] = exported(|registrations, _| async move {
        for runner in 1..=3 {
            let key = RegistrationKey::of(runner);
            registrations.start(&key).await?;
            // nothing happens, and it rests where it stood
            registrations.start(&key).await?;
            registrations.engine().run_due().await?;
        }
        for runner in 1..=2 {
            let key = RegistrationKey::of(runner);
            for _ in 0..2 {
                registrations.advance(&key, AgreeTerms("예".to_owned())).await?;
            }
        }
        pay(&registrations, &RegistrationKey::of(1)).await
    });
    let begun = "saga_started_total{saga=\"registration\"}";
    assert_eq!((count(&before, begun), count(&after, begun)), (Some(0), Some(3)), "{after}");
    for (step, expected) in
        [("agree_terms", 2), ("choose_souvenir", 1), ("shipping_address", 1), ("payment_completed", 1)]
    {
        assert_eq!(passed(&before, step), Some(0), "{step} is there from the beginning: {before}");
        assert_eq!(passed(&after, step), Some(expected), "{step}: {after}");
    }
    let ended =
        |text, status| count(text, &format!("saga_ended_total{{saga=\"registration\",status=\"{status}\"}}"));
    assert_eq!((ended(&before, "completed"), ended(&after, "completed")), (Some(0), Some(1)));
    assert_eq!((ended(&after, "compensated"), ended(&after, "running")), (Some(0), None));
}

#[test]
fn a_registration_that_is_made_again_counts_again() {
    let [_, after] = exported(|registrations, clock| async move {
        let key = RegistrationKey::of(1);
        registrations.advance(&key, AgreeTerms("예".to_owned())).await?;
        registrations.advance(&key, ChooseSouvenir("메달".to_owned())).await?;
        registrations.advance(&key, ShippingAddress("서울".to_owned())).await?;
        clock.advance(Duration::from_hours(1));
        registrations.engine().run_due().await?;
        assert_eq!(registrations.view(&key).await?.status, Status::Compensated);
        registrations.restart(&key).await?;
        registrations.advance(&key, AgreeTerms("예".to_owned())).await?;
        pay(&registrations, &key).await
    });
    assert_eq!(count(&after, "saga_started_total{saga=\"registration\"}"), Some(2), "{after}");
    for (step, expected) in [("agree_terms", 2), ("hold_place", 2), ("payment_completed", 1), ("confirm", 1)]
    {
        assert_eq!(passed(&after, step), Some(expected), "{step}: {after}");
    }
}
