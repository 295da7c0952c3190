//! The spans of a saga, over its rests and over processes; in a process of its own: where a span is met by a thread that nobody listens to,
//! while another thread begins to listen, `tracing` takes it for one that nobody ever wants (tracing-core 0.1.36).

#![allow(unreachable_pub, reason = "what the tests share is public among them")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up, or whose world is not as it should be, fails"
)]

#[path = "it/sagas/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the scenarios are shared with the other tests")]
mod sagas;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use pumasi_core::time::ManualClock;
use pumasi_saga::saga_test::Bank;
use pumasi_saga::store::MemoryStore;
use pumasi_saga::{Engine, EngineOptions};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use sagas::{AgreeTerms, ChooseSouvenir, RegistrationKey, registration};

type Spans = Arc<Mutex<BTreeMap<u64, BTreeMap<String, String>>>>;

struct Recorder(Spans);

struct Into<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").replace('"', ""));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "saga" {
            attributes.record(&mut Into(self.0.lock().unwrap().entry(id.into_u64()).or_default()));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(span) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            values.record(&mut Into(span));
        }
    }
}

#[tokio::test]
async fn a_drive_follows_the_rest_before_it_in_one_trace_also_in_another_process() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(Registry::default().with(Recorder(Arc::clone(&spans))));
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let key = RegistrationKey::of(1);
    let process = || {
        let options = EngineOptions::new().with_clock(Arc::new(clock.clone())).inline();
        Engine::with_options(store.clone(), Bank::new(), options).register(registration().unwrap()).unwrap()
    };
    let first = process();
    first.advance(&key, AgreeTerms("예".into())).await.unwrap();
    let second = process();
    first.engine().store().leave(first.engine().worker()).await.unwrap();
    second.advance(&key, ChooseSouvenir("메달".into())).await.unwrap();

    let spans: Vec<_> = spans.lock().unwrap().values().cloned().collect();
    assert_eq!(spans.len(), 2, "{spans:?}");
    let trace = second.id(&key).unwrap().trace_id();
    assert!(spans.iter().all(|span| span["trace_id"] == trace), "{spans:?}");
    assert!(!spans[0].contains_key("follows"), "it is the first: {spans:?}");
    assert_eq!(spans[1]["follows"], spans[0]["rests"]);
    assert_ne!(spans[1]["rests"], spans[0]["rests"]);
    assert_eq!((&*spans[1]["status"], &*spans[1]["step"]), ("waiting", "shipping_address"));
}
