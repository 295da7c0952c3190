//! An event that kills its process each time, beside others that only were at work when it died.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pumasi_core::event::{
    Consumer, Delivery, Envelope, EventBus, MemoryBus, Page, Shutdown, SqliteBusOptions, State, Subscription,
    handler_fn,
};
use pumasi_core::time::ManualClock;
use tokio::sync::Notify;

const INNOCENT: usize = 15;
const LEASE: Duration = Duration::from_secs(10);

/// Runs consumers that die whenever the poison is at work, until one lives and has done all that there is; returns how many
/// died. Leases end by the clock of the bus, so that none does while its consumer lives.
async fn crash_until_it_is_put_aside(
    bus: Arc<dyn EventBus>,
    clock: &ManualClock,
) -> (usize, BTreeSet<String>) {
    let mut events = vec![Envelope::new("posts", "poison", State::Created, 1)];
    events.push(Envelope::new("posts", "poison", State::Updated, 2));
    events.extend((0..INNOCENT).map(|n| Envelope::new("posts", format!("innocent-{n}"), State::Created, 1)));
    bus.publish(&events).await.unwrap();
    let done = Arc::new(Mutex::new(BTreeSet::new()));
    for died in 0..30 {
        let killed = Arc::new(Notify::new());
        let (kill, handled) = (Arc::clone(&killed), Arc::clone(&done));
        let handler = handler_fn(move |delivery: Delivery| {
            let (kill, handled) = (Arc::clone(&kill), Arc::clone(&handled));
            async move {
                if delivery.event.key == "poison" && delivery.event.version == 1 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    kill.notify_one();
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_millis(60)).await;
                handled.lock().unwrap().insert(format!("{}/{}", delivery.event.key, delivery.event.version));
                Ok(())
            }
        });
        let subscription = Subscription::new("readers", ["posts"]).with_lease(LEASE);
        let member = bus.subscribe(&subscription).await.unwrap();
        let consumer = Consumer::new(Arc::clone(&bus), subscription, handler)
            .with_concurrency(NonZeroUsize::new(32).unwrap());
        let running = tokio::spawn(consumer.run(Shutdown::new()));
        let nothing_is_left = async {
            while member.lag().await.unwrap().unsettled > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let died_of_it = tokio::select! {
            () = killed.notified() => true,
            () = nothing_is_left => false,
        };
        running.abort();
        let _ = running.await;
        if !died_of_it {
            return (died, done.lock().unwrap().clone());
        }
        clock.advance(LEASE * 2);
    }
    panic!("the poison was never put aside");
}

async fn only_what_kills_is_put_aside(bus: Arc<dyn EventBus>, clock: &ManualClock) {
    let (died, done) = crash_until_it_is_put_aside(Arc::clone(&bus), clock).await;
    let letters = bus.dead_letters("readers", Page::default()).await.unwrap();
    println!("{bus:?}: died {died} times, {} put aside, {} handled", letters.len(), done.len());
    assert_eq!(died, 11, "eight attempts, and three alone");
    let aside: Vec<_> = letters.iter().map(|letter| (&*letter.event.key, letter.event.version)).collect();
    assert_eq!(aside, [("poison", 1)]);
    assert_eq!(letters[0].reason.kind, "attempts");
    assert_eq!(done.len(), INNOCENT + 1, "the next of its key as well: {done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_dies_with_a_poison_event_is_handled_in_memory() {
    let clock = ManualClock::new();
    let bus = MemoryBus::with_clock(Arc::new(clock.clone()));
    only_what_kills_is_put_aside(Arc::new(bus), &clock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_dies_with_a_poison_event_is_handled_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let options = SqliteBusOptions::new(folder.path().join("events.db")).with_clock(Arc::new(clock.clone()));
    only_what_kills_is_put_aside(Arc::new(options.open().await.unwrap()), &clock).await;
}
