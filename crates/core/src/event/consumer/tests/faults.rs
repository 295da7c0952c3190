//! Buses that fail, leases that are lost, handlers that panic.

use super::*;

/// A bus whose store fails for a while at each kind of call.
#[derive(Debug)]
struct Flaky {
    inner: MemoryBus,
    failures: Arc<AtomicU32>,
    retry: Retry,
}

#[derive(Debug)]
struct FlakyMember {
    inner: Arc<dyn Subscriber>,
    failures: Arc<AtomicU32>,
    retry: Retry,
}

fn fail(failures: &AtomicU32, retry: Retry) -> Result<()> {
    let left = failures.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    match left {
        Ok(_) => Err(Error::new(ErrorKind::Storage, "the disk is full").with_retry(retry)),
        Err(_) => Ok(()),
    }
}

#[async_trait::async_trait]
impl EventBus for Flaky {
    fn capabilities(&self) -> crate::event::BusCapabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, events: &[Envelope]) -> Result<crate::event::Published> {
        self.inner.publish(events).await
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>> {
        fail(&self.failures, self.retry)?;
        let inner = self.inner.subscribe(subscription).await?;
        Ok(Arc::new(FlakyMember { inner, failures: Arc::clone(&self.failures), retry: self.retry }))
    }

    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<crate::event::DeadLetter>> {
        self.inner.dead_letters(group, page).await
    }

    async fn replay(&self, group: &str, ids: &[crate::event::EventId]) -> Result<usize> {
        self.inner.replay(group, ids).await
    }
}

#[async_trait::async_trait]
impl Subscriber for FlakyMember {
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        fail(&self.failures, self.retry)?;
        self.inner.fetch(max, wait).await
    }

    async fn renew(&self, receipts: &[crate::event::Receipt]) -> Result<Vec<crate::event::Receipt>> {
        self.inner.renew(receipts).await
    }

    async fn settle(&self, receipt: &crate::event::Receipt, settlement: Settlement) -> Result<()> {
        fail(&self.failures, self.retry)?;
        self.inner.settle(receipt, settlement).await
    }

    async fn lag(&self) -> Result<crate::event::Lag> {
        self.inner.lag().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_loses_nothing_and_ends_nothing() {
    let inner = MemoryBus::new();
    inner.publish(&[event("a", 1), event("a", 2)]).await.unwrap();
    let failures = Arc::new(AtomicU32::new(5));
    let retry = Retry::After(Duration::from_secs(1));
    let bus = Flaky { inner, failures: Arc::clone(&failures), retry };
    let seen = Seen::default();
    let handler = {
        let (seen, failures) = (seen.clone(), Arc::clone(&failures));
        handler_fn(move |delivery| {
            seen.add(&delivery.event);
            // The next settlements fail, too.
            failures.store(3, Ordering::SeqCst);
            async { Ok(()) }
        })
    };
    let stats = run_until(Consumer::new(bus, subscription(), handler), |stats| stats.handled == 2).await;
    assert_eq!((stats.handled, stats.lost), (2, 0));
    assert_eq!(seen.of("a"), [1, 2], "work that was done was not done again");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_damaged_ends_the_run_with_its_error() {
    let failures = Arc::new(AtomicU32::new(1));
    let bus = Flaky { inner: MemoryBus::new(), failures, retry: Retry::Never };
    let handler = handler_fn(|_| async { Ok(()) });
    let error = Consumer::new(bus, subscription(), handler).run(Shutdown::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_went_to_another_member_stops_the_handler() {
    let bus = MemoryBus::new();
    bus.publish(&[event("a", 1)]).await.unwrap();
    let finished = Arc::new(AtomicBool::new(false));
    let handler = {
        let finished = Arc::clone(&finished);
        handler_fn(move |_| {
            let finished = Arc::clone(&finished);
            async move {
                tokio::time::sleep(Duration::from_mins(1)).await;
                finished.store(true, Ordering::SeqCst);
                Ok(())
            }
        })
    };
    // Its clock stands still, so its heartbeats never come.
    let stuck = Arc::new(crate::time::ManualClock::new());
    let consumer = Consumer::new(bus.clone(), subscription(), handler)
        .with_clock(Arc::clone(&stuck) as _)
        .with_concurrency(NonZeroUsize::MIN);
    let (control, shutdown) = (consumer.control(), Shutdown::new());
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(30)).await;
    let thief = bus.subscribe(&subscription()).await.unwrap();
    let taken = thief.fetch(NonZeroUsize::MIN, Duration::ZERO).await.unwrap();
    assert_eq!((taken.len(), taken[0].attempt), (1, 2));
    stuck.advance(LEASE);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(control.stats().lost, 1);
    assert!(!finished.load(Ordering::SeqCst), "the handler was stopped");
    thief.settle(&taken[0].receipt, Settlement::Ack).await.unwrap();
    shutdown.trigger();
    running.await.unwrap().unwrap();
}

/// A member whose heartbeats get no answer.
#[derive(Debug)]
struct CutOff(Arc<dyn Subscriber>);

#[async_trait::async_trait]
impl Subscriber for CutOff {
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        self.0.fetch(max, wait).await
    }

    async fn renew(&self, _: &[crate::event::Receipt]) -> Result<Vec<crate::event::Receipt>> {
        std::future::pending().await
    }

    async fn settle(&self, receipt: &crate::event::Receipt, settlement: Settlement) -> Result<()> {
        self.0.settle(receipt, settlement).await
    }

    async fn lag(&self) -> Result<crate::event::Lag> {
        self.0.lag().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_unheard_because_the_bus_does_not_answer_is_told_to_the_handler() {
    let bus = MemoryBus::new();
    bus.publish(&[event("a", 1)]).await.unwrap();
    let member = bus.subscribe(&subscription()).await.unwrap();
    let taken = member.fetch(NonZeroUsize::MIN, Duration::ZERO).await.unwrap();
    let (held, lost) = (Arc::new(Held::default()), Shutdown::new());
    held.add(&taken, &lost);
    let begun = tokio::time::Instant::now();
    tokio::spawn(Arc::clone(&held).heartbeat(Arc::new(CutOff(member)), Arc::new(SystemClock), LEASE));
    lost.triggered().await;
    let took = begun.elapsed();
    assert!(took >= LEASE * 9 / 10 && took < LEASE * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delay_without_end_is_a_delay_and_no_panic() {
    let bus = MemoryBus::new();
    bus.publish(&[event("a", 1), event("b", 1)]).await.unwrap();
    let handler = handler_fn(|delivery| {
        let forever =
            Error::new(ErrorKind::Unavailable, "closed for ever").with_retry(Retry::After(Duration::MAX));
        let done = if delivery.event.key == "a" { Err(forever) } else { Ok(()) };
        async move { done }
    });
    let consumer = Consumer::new(bus, subscription().with_lease(Duration::MAX), handler);
    let stats = run_until(consumer, |stats| stats.handled == 1 && stats.retried == 1).await;
    assert_eq!(stats.dead_lettered, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_again_to_the_same_member_stops_its_older_handler() {
    let bus = MemoryBus::new();
    bus.publish(&[event("a", 1)]).await.unwrap();
    let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (at_once, most) = (Arc::clone(&at_once), Arc::clone(&most));
        handler_fn(move |delivery: Delivery| {
            struct Leave(Arc<AtomicUsize>);
            impl Drop for Leave {
                fn drop(&mut self) {
                    self.0.fetch_sub(1, Ordering::SeqCst);
                }
            }
            let (at_once, most) = (Arc::clone(&at_once), Arc::clone(&most));
            async move {
                // The older one leaves when its signal is next looked at, which is before this yields back here.
                tokio::task::yield_now().await;
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let _leave = Leave(at_once);
                if delivery.attempt == 1 {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        })
    };
    let stuck = Arc::new(crate::time::ManualClock::new());
    let consumer = Consumer::new(bus, subscription(), handler).with_clock(stuck);
    let stats = run_until(consumer, |stats| stats.handled == 1).await;
    assert_eq!((stats.handled, stats.lost), (1, 1));
    assert_eq!(most.load(Ordering::SeqCst), 1, "never two handlers on one event");
}

/// Panics when it is dropped, as a guard may whose connection is gone.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a destructor fails");
    }
}

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_at_the_handlers_limit_is_an_attempt_that_panicked() {
    let bus = MemoryBus::new();
    bus.publish(&[event("a", 1), event("a", 2), event("b", 1)]).await.unwrap();
    let handler = handler_fn(|delivery: Delivery| async move {
        if delivery.event.key == "a" && delivery.event.version == 1 {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    let consumer = Consumer::new(bus.clone(), subscription(), handler)
        .with_handler_limit(Duration::from_mins(1))
        .with_max_attempts(3);
    let stats = run_until(consumer, |stats| stats.handled == 2).await;
    assert_eq!((stats.panicked, stats.retried, stats.dead_lettered, stats.lost), (3, 2, 1, 0));
    let letters = bus.dead_letters("readers", Page::default()).await.unwrap();
    assert_eq!((letters.len(), letters[0].reason.kind.as_str()), (1, "panic"));
}

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_when_the_lease_is_lost_leaves_the_event_to_its_new_holder() {
    let bus = MemoryBus::new();
    bus.publish(&[event("a", 1)]).await.unwrap();
    let handler = handler_fn(|delivery: Delivery| async move {
        if delivery.event.key == "a" {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    let stuck = Arc::new(crate::time::ManualClock::new());
    let consumer = Consumer::new(bus.clone(), subscription(), handler)
        .with_clock(Arc::clone(&stuck) as _)
        .with_concurrency(NonZeroUsize::MIN);
    let (control, shutdown) = (consumer.control(), Shutdown::new());
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(30)).await;
    let thief = bus.subscribe(&subscription()).await.unwrap();
    let taken = thief.fetch(NonZeroUsize::MIN, Duration::ZERO).await.unwrap();
    stuck.advance(LEASE);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((control.stats().lost, control.stats().in_flight), (1, 0));
    thief.settle(&taken[0].receipt, Settlement::Ack).await.unwrap();
    bus.publish(&[event("b", 1)]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(control.stats().handled, 1, "it goes on");
    shutdown.trigger();
    running.await.unwrap().unwrap();
}

/// A member that panics at the first settlements.
#[derive(Debug)]
struct Unsettled {
    inner: Arc<dyn Subscriber>,
    panics: AtomicU32,
}

#[async_trait::async_trait]
impl Subscriber for Unsettled {
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        self.inner.fetch(max, wait).await
    }

    async fn renew(&self, receipts: &[crate::event::Receipt]) -> Result<Vec<crate::event::Receipt>> {
        self.inner.renew(receipts).await
    }

    async fn settle(&self, receipt: &crate::event::Receipt, settlement: Settlement) -> Result<()> {
        assert!(fail(&self.panics, Retry::Now).is_ok(), "a member fails");
        self.inner.settle(receipt, settlement).await
    }

    async fn lag(&self) -> Result<crate::event::Lag> {
        self.inner.lag().await
    }
}

/// A bus with one member, which is there already; without one nobody is ever told whether they have subscribed.
#[derive(Debug)]
struct Given {
    inner: MemoryBus,
    member: Option<Arc<dyn Subscriber>>,
}

#[async_trait::async_trait]
impl EventBus for Given {
    fn capabilities(&self) -> crate::event::BusCapabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, events: &[Envelope]) -> Result<crate::event::Published> {
        self.inner.publish(events).await
    }

    async fn subscribe(&self, _: &Subscription) -> Result<Arc<dyn Subscriber>> {
        match &self.member {
            Some(member) => Ok(Arc::clone(member)),
            None => std::future::pending().await,
        }
    }

    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<crate::event::DeadLetter>> {
        self.inner.dead_letters(group, page).await
    }

    async fn replay(&self, group: &str, ids: &[crate::event::EventId]) -> Result<usize> {
        self.inner.replay(group, ids).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_dies_of_a_panic_keeps_no_lease() {
    let inner = MemoryBus::new();
    inner.publish(&[event("a", 1), event("a", 2)]).await.unwrap();
    let member = inner.subscribe(&subscription()).await.unwrap();
    let member = Arc::new(Unsettled { inner: member, panics: AtomicU32::new(2) });
    let bus = Given { inner, member: Some(member) };
    let handler = handler_fn(|_| async { Ok(()) });
    let begun = tokio::time::Instant::now();
    let stats = run_until(Consumer::new(bus, subscription(), handler), |stats| stats.handled == 2).await;
    assert_eq!((stats.handled, stats.in_flight), (2, 0));
    assert!(begun.elapsed() < LEASE * 3, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_is_heard_while_the_bus_does_not_answer_a_subscription() {
    let bus = Given { inner: MemoryBus::new(), member: None };
    let shutdown = Shutdown::new();
    let handler = handler_fn(|_| async { Ok(()) });
    let running = tokio::spawn(Consumer::new(bus, subscription(), handler).run(shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    shutdown.trigger();
    let ended = tokio::time::timeout(Duration::from_secs(1), running).await;
    assert_eq!(ended.expect("it did not end").unwrap().unwrap(), ConsumerStats::default());
}
