mod faults;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::*;
use crate::event::{Actor, Context, Envelope, MemoryBus, Page, State};
use crate::{Error, ErrorKind, Retry};

const LEASE: Duration = Duration::from_secs(10);

fn event(key: &str, version: u64) -> Envelope {
    Envelope::new("posts", key, State::Updated, version)
}

fn subscription() -> Subscription {
    Subscription::new("readers", ["posts"]).with_lease(LEASE)
}

/// What handlers saw, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, u64)>>>);

impl Seen {
    fn add(&self, event: &Envelope) -> usize {
        let mut seen = self.0.lock().unwrap();
        seen.push((event.key.clone(), event.version));
        seen.len()
    }

    fn all(&self) -> Vec<(String, u64)> {
        self.0.lock().unwrap().clone()
    }

    fn of(&self, key: &str) -> Vec<u64> {
        self.all().into_iter().filter(|(k, _)| k == key).map(|(_, version)| version).collect()
    }
}

/// Runs a consumer until `done` says so, then shuts it down; fails if that takes longer than anything here may.
async fn run_until(consumer: Consumer, done: impl Fn(&ConsumerStats) -> bool) -> ConsumerStats {
    let shutdown = Shutdown::new();
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    let begun = tokio::time::Instant::now();
    while !done(&control.stats()) {
        assert!(!running.is_finished(), "the consumer ended by itself");
        assert!(begun.elapsed() < Duration::from_mins(30), "no end is in sight: {:?}", control.stats());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shutdown.trigger();
    running.await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn keeps_the_order_of_a_key_and_works_other_keys_meanwhile() {
    let bus = MemoryBus::new();
    let events: Vec<_> = (1..=5).flat_map(|version| ["a", "b", "c"].map(|key| event(key, version))).collect();
    bus.publish(&events).await.unwrap();
    let (seen, at_once, most) =
        (Seen::default(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (seen, at_once, most) = (seen.clone(), Arc::clone(&at_once), Arc::clone(&most));
        handler_fn(move |delivery| {
            let (seen, at_once, most) = (seen.clone(), Arc::clone(&at_once), Arc::clone(&most));
            async move {
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                seen.add(&delivery.event);
                at_once.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        })
    };
    let begun = tokio::time::Instant::now();
    let stats = run_until(Consumer::new(bus, subscription(), handler), |stats| stats.handled == 15).await;
    assert_eq!(stats.handled, 15);
    for key in ["a", "b", "c"] {
        assert_eq!(seen.of(key), [1, 2, 3, 4, 5], "{key}");
    }
    assert_eq!(most.load(Ordering::SeqCst), 3, "three keys side by side");
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn works_on_no_more_keys_at_once_than_it_was_told() {
    let bus = MemoryBus::new();
    let events: Vec<_> = (0..20).map(|key| event(&format!("key-{key}"), 1)).collect();
    bus.publish(&events).await.unwrap();
    let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (at_once, most) = (Arc::clone(&at_once), Arc::clone(&most));
        handler_fn(move |_| {
            let (at_once, most) = (Arc::clone(&at_once), Arc::clone(&most));
            async move {
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                at_once.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        })
    };
    let consumer =
        Consumer::new(bus, subscription(), handler).with_concurrency(NonZeroUsize::new(3).unwrap());
    run_until(consumer, |stats| stats.handled == 20).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_retry_holds_up_its_own_key_and_no_other() {
    let bus = MemoryBus::new();
    bus.publish(&[event("a", 1), event("a", 2), event("b", 1), event("b", 2)]).await.unwrap();
    let (seen, failures) = (Seen::default(), Arc::new(AtomicU32::new(0)));
    let handler = {
        let (seen, failures) = (seen.clone(), Arc::clone(&failures));
        handler_fn(move |delivery| {
            let (seen, failures) = (seen.clone(), Arc::clone(&failures));
            async move {
                if delivery.event.key == "a" && failures.fetch_add(1, Ordering::SeqCst) < 3 {
                    return Err(Error::new(ErrorKind::RateLimited, "the model asks for patience")
                        .with_retry(Retry::After(Duration::from_mins(1))));
                }
                seen.add(&delivery.event);
                Ok(())
            }
        })
    };
    let begun = tokio::time::Instant::now();
    let stats = run_until(Consumer::new(bus, subscription(), handler), |stats| stats.handled == 4).await;
    assert_eq!(stats.retried, 3);
    let order = [("b", 1), ("b", 2), ("a", 1), ("a", 2)].map(|(key, version)| (key.to_owned(), version));
    assert_eq!(seen.all(), order);
    assert!(begun.elapsed() >= Duration::from_mins(3), "each delay was kept: {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_ten_minutes_keeps_its_lease_and_holds_up_nobody() {
    let bus = MemoryBus::new();
    bus.publish(&[event("slow", 1), event("quick", 1)]).await.unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    let handler = |done: Arc<AtomicUsize>| {
        handler_fn(move |delivery: Delivery| {
            let done = Arc::clone(&done);
            async move {
                if delivery.event.key == "slow" {
                    tokio::time::sleep(Duration::from_mins(10)).await;
                }
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        })
    };
    // A rival in the same group would get the event if the lease of ten seconds ever lapsed.
    let rival = Consumer::new(bus.clone(), subscription(), handler(Arc::clone(&done)));
    let (rival_control, rival_stop) = (rival.control(), Shutdown::new());
    let rival = tokio::spawn(rival.run(rival_stop.clone()));
    let consumer = Consumer::new(bus.clone(), subscription(), handler(Arc::clone(&done)));
    let control = consumer.control();
    let stop = Shutdown::new();
    let running = tokio::spawn(consumer.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(done.load(Ordering::SeqCst), 1, "the quick one is done while the slow one works");
    bus.publish(&[event("quick", 2)]).await.unwrap();
    tokio::time::sleep(Duration::from_mins(11)).await;
    assert_eq!(done.load(Ordering::SeqCst), 3);
    assert_eq!(control.stats().lost + rival_control.stats().lost, 0);
    stop.trigger();
    rival_stop.trigger();
    let (one, other) = (running.await.unwrap().unwrap(), rival.await.unwrap().unwrap());
    assert_eq!(one.handled + other.handled, 3, "each event was acknowledged once");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_attempt_and_the_last_one_puts_the_event_aside() {
    let bus = MemoryBus::new();
    let poison = event("a", 1);
    bus.publish(&[poison.clone(), event("a", 2), event("b", 1)]).await.unwrap();
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        handler_fn(move |delivery| {
            let seen = seen.clone();
            async move {
                assert!(!(delivery.event.key == "a" && delivery.event.version == 1), "poison");
                seen.add(&delivery.event);
                Ok(())
            }
        })
    };
    let consumer = Consumer::new(bus.clone(), subscription(), handler).with_max_attempts(3);
    let stats = run_until(consumer, |stats| stats.handled == 2).await;
    assert_eq!((stats.panicked, stats.retried, stats.dead_lettered, stats.handled), (3, 2, 1, 2));
    assert_eq!(seen.of("a"), [2], "the key goes on after its poison");
    let letters = bus.dead_letters("readers", Page::default()).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].event.id, letters[0].attempts), (poison.id, 3));
    assert_eq!(letters[0].reason.kind, "panic");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_says_never_is_put_aside_at_once_and_can_be_replayed() {
    let bus = MemoryBus::new();
    bus.publish(&[event("a", 1)]).await.unwrap();
    let fixed = Arc::new(AtomicBool::new(false));
    let handler = {
        let fixed = Arc::clone(&fixed);
        handler_fn(move |_| {
            let fixed = Arc::clone(&fixed);
            async move {
                if fixed.load(Ordering::SeqCst) {
                    return Ok(());
                }
                Err(Error::new(ErrorKind::InvalidInput, "the post has no body"))
            }
        })
    };
    let consumer = Consumer::new(bus.clone(), subscription(), handler);
    let (control, shutdown) = (consumer.control(), Shutdown::new());
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let letters = bus.dead_letters("readers", Page::default()).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason.to_string(), "invalid_input: the post has no body");
    assert_eq!(letters[0].attempts, 1);
    fixed.store(true, Ordering::SeqCst);
    assert_eq!(bus.replay("readers", &[letters[0].event.id]).await.unwrap(), 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(control.stats().handled, 1);
    shutdown.trigger();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_stopped_at_its_limit_and_tried_again() {
    let bus = MemoryBus::new();
    bus.publish(&[event("a", 1), event("b", 1)]).await.unwrap();
    let handler = handler_fn(|delivery: Delivery| async move {
        if delivery.event.key == "a" && delivery.attempt == 1 {
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    let consumer = Consumer::new(bus, subscription(), handler).with_handler_limit(Duration::from_mins(2));
    let stats = run_until(consumer, |stats| stats.handled == 2).await;
    assert_eq!((stats.retried, stats.lost), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn shutdown_finishes_what_is_begun_and_gives_back_the_rest() {
    let bus = MemoryBus::new();
    let events: Vec<_> = (1..=6).map(|version| event("a", version)).collect();
    bus.publish(&events).await.unwrap();
    let shutdown = Shutdown::new();
    let handler = {
        let shutdown = shutdown.clone();
        handler_fn(move |delivery: Delivery| {
            let shutdown = shutdown.clone();
            async move {
                if delivery.event.version == 2 {
                    shutdown.trigger();
                }
                tokio::time::sleep(Duration::from_secs(3)).await;
                Ok(())
            }
        })
    };
    let begun = tokio::time::Instant::now();
    let stats = Consumer::new(bus.clone(), subscription(), handler).run(shutdown).await.unwrap();
    assert_eq!((stats.handled, stats.released, stats.in_flight), (2, 1, 0));
    assert_eq!(begun.elapsed(), Duration::from_secs(6), "it did not wait for a lease or a fetch");
    let member = bus.subscribe(&subscription()).await.unwrap();
    let rest = member.fetch(NonZeroUsize::new(9).unwrap(), Duration::ZERO).await.unwrap();
    let rest: Vec<_> = rest.iter().map(|delivery| (delivery.event.version, delivery.attempt)).collect();
    assert_eq!(rest, [(3, 1), (4, 1), (5, 1), (6, 1)], "at once, and with no attempt used");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_too_long_stops_handlers_and_gives_their_events_back() {
    let bus = MemoryBus::new();
    bus.publish(&[event("a", 1)]).await.unwrap();
    let shutdown = Shutdown::new();
    let handler = {
        let shutdown = shutdown.clone();
        handler_fn(move |_| {
            shutdown.trigger();
            std::future::pending()
        })
    };
    let consumer =
        Consumer::new(bus.clone(), subscription(), handler).with_drain_limit(Duration::from_secs(5));
    let begun = tokio::time::Instant::now();
    let stats = consumer.run(shutdown).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert_eq!((stats.handled, stats.released, stats.in_flight), (0, 1, 0));
    let member = bus.subscribe(&subscription()).await.unwrap();
    assert_eq!(member.fetch(NonZeroUsize::MIN, Duration::ZERO).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pause_takes_nothing_more_until_it_is_resumed() {
    let bus = MemoryBus::new();
    let handler = handler_fn(|_| async { Ok(()) });
    let consumer = Consumer::new(bus.clone(), subscription(), handler);
    let (control, shutdown) = (consumer.control(), Shutdown::new());
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    control.pause();
    bus.publish(&[event("a", 1)]).await.unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(control.stats().handled, 0);
    control.resume();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(control.stats().handled, 1);
    shutdown.trigger();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_actor_and_the_trace_are_around_the_handler() {
    let bus = MemoryBus::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let event = event("a", 1).with_actor(Actor::new("user-42").with_role("admin")).with_trace(trace);
    bus.publish(std::slice::from_ref(&event)).await.unwrap();
    let context = Arc::new(Mutex::new(None));
    let handler = {
        let context = Arc::clone(&context);
        handler_fn(move |_| {
            let context = Arc::clone(&context);
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                *context.lock().unwrap() = Context::current();
                Ok(())
            }
        })
    };
    run_until(Consumer::new(bus, subscription(), handler), |stats| stats.handled == 1).await;
    assert_eq!(*context.lock().unwrap(), Some(Context::of(&event)));
    assert_eq!(Context::current(), None);
}
