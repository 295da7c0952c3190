//! The Kafka bus on a real broker: long handlers, members that come, go and are killed, a broker that cannot be reached.
//!
//! `PUMASI_FAULT_FULL=1` runs the long forms, `PUMASI_FAULT_KILLS` sets how many processes are killed (default 6).

mod child;
mod members;
mod proxy;
mod records;
mod restart;
mod silent;
mod unreachable;
mod work;

use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::conformance::Server;
use pumasi_core::conformance::process::is_full;
use pumasi_core::event::{
    Envelope, EventBus, EventId, KafkaBus, KafkaBusOptions, Settlement, State, Subscriber, Subscription,
};

/// The shortest session of members that fall silent.
const SESSION: Duration = Duration::from_secs(2);
const MANY: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// Long enough for anything that should come.
const SOON: Duration = Duration::from_mins(1);

/// Options with topics of their own; `None`, after saying so, where there is no broker.
fn options(test: &str) -> Option<KafkaBusOptions> {
    Some(on(&Server::Kafka.url(test)?, &format!("test-{}.", EventId::random())))
}

fn on(brokers: &str, prefix: &str) -> KafkaBusOptions {
    KafkaBusOptions::new(brokers)
        .with_prefix(prefix)
        .with_create_topics(NonZeroU32::new(4).unwrap(), NonZeroU16::MIN)
        // Longer than a busy machine lets a process wait: who is expelled holds nothing any more.
        .with_session_timeout(Duration::from_secs(30))
}

fn event(key: &str, version: u64) -> Envelope {
    let id = EventId::named("kafka-tests", &format!("{key}/{version}"));
    Envelope::new("posts", key, State::Updated, version).with_id(id)
}

fn subscription() -> Subscription {
    Subscription::new("readers", ["posts"]).with_lease(Duration::from_secs(5))
}

async fn join(bus: &KafkaBus) -> Arc<dyn Subscriber> {
    bus.subscribe(&subscription()).await.unwrap()
}

/// Fetches and acknowledges until nothing is left.
async fn drain(member: &Arc<dyn Subscriber>) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    loop {
        let taken = member.fetch(MANY, Duration::ZERO).await.unwrap();
        if taken.is_empty() {
            return all;
        }
        for delivery in taken {
            all.push((delivery.event.key.clone(), delivery.event.version));
            member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
        }
    }
}
