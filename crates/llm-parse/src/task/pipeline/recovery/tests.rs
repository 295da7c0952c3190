use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pumasi_core::event::{
    BusCapabilities, DeadLetter, EventBus, EventId, MemoryBus, Page, Published, Subscriber, Subscription,
};
use pumasi_core::{Error, ErrorKind};

use super::super::tests::{Bench, WISH, post, rules};
use super::super::{MemoryTaskStore, TaskStore};
use super::*;
use crate::task::RuleTaskExtractor;

/// What a store or a bus does with the calls that change something.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// It does them.
    None,
    /// It fails without having done anything.
    Fails,
    /// It fails, and has done it.
    FailsAfterwards,
    /// It never ends, and does it so much later all the same, whether somebody waits or not.
    Hangs(Duration),
}

#[derive(Debug)]
struct Faulty<T> {
    inner: T,
    fault: Mutex<Fault>,
    calls: AtomicUsize,
}

impl<T> Faulty<T> {
    fn new(inner: T) -> Arc<Self> {
        Arc::new(Self { inner, fault: Mutex::new(Fault::None), calls: AtomicUsize::new(0) })
    }

    fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    async fn call<R>(&self, call: impl Future<Output = Result<R>> + Send + 'static) -> Result<R>
    where
        R: Send + 'static,
    {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let fault = *self.fault.lock().unwrap();
        match fault {
            Fault::None => call.await,
            Fault::Fails => Err(Error::new(ErrorKind::Storage, "no room")),
            Fault::FailsAfterwards => {
                call.await?;
                Err(Error::new(ErrorKind::Storage, "the answer was lost"))
            }
            Fault::Hangs(pause) => {
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    call.await
                });
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl EventBus for Faulty<MemoryBus> {
    fn capabilities(&self) -> BusCapabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, events: &[Envelope]) -> Result<Published> {
        let (bus, events) = (self.inner.clone(), events.to_vec());
        self.call(async move { bus.publish(&events).await }).await
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>> {
        self.inner.subscribe(subscription).await
    }

    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(group, page).await
    }

    async fn replay(&self, group: &str, ids: &[EventId]) -> Result<usize> {
        self.inner.replay(group, ids).await
    }
}

#[async_trait]
impl TaskStore for Faulty<MemoryTaskStore> {
    async fn put(&self, record: TaskRecord) -> Result<TaskRecord> {
        let store = self.inner.clone();
        self.call(async move { store.put(record).await }).await
    }

    async fn get(&self, post_id: &str) -> Result<Option<TaskRecord>> {
        self.inner.get(post_id).await
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<TaskRecord>> {
        self.inner.list(query).await
    }
}

/// A service that runs, but for who calls it.
struct Service {
    bus: Arc<Faulty<MemoryBus>>,
    store: Arc<Faulty<MemoryTaskStore>>,
    pipeline: TaskPipeline,
    shutdown: Shutdown,
    workers: [tokio::task::JoinHandle<()>; 2],
}

impl Service {
    async fn start() -> Self {
        let (bus, store) = (Faulty::new(MemoryBus::new()), Faulty::new(MemoryTaskStore::new()));
        let pipeline = TaskPipeline::new(bus.clone(), store.clone(), Arc::new(RuleTaskExtractor::new()));
        let shutdown = Shutdown::new();
        let consumer = pipeline.consumer().run(shutdown.clone());
        let (recovering, told) = (pipeline.clone(), shutdown.clone());
        let workers = [
            tokio::spawn(async move { consumer.await.map(drop).unwrap() }),
            tokio::spawn(async move { recovering.keep_recovering(told).await }),
        ];
        tokio::time::sleep(Duration::from_secs(1)).await;
        Self { bus, store, pipeline, shutdown, workers }
    }

    async fn state(&self) -> Option<TaskState> {
        self.store.inner.get("p").await.unwrap().map(|record| record.state)
    }

    async fn stop(self) {
        self.shutdown.trigger();
        for worker in self.workers {
            worker.await.unwrap();
        }
    }
}

/// Begins a call and drops it.
async fn drop_in_the_middle<T>(call: impl Future<Output = Result<T>>) {
    assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err());
}

/// Drops calls of every kind in the middle of what `fault` makes of one; all of them come to their end.
async fn every_dropped_call_comes_to_its_end(fault: impl Fn(&Service, bool)) {
    let service = Service::start().await;
    let pause = Duration::from_secs(90);

    fault(&service, true);
    drop_in_the_middle(service.pipeline.submit(post(WISH), 1, None)).await;
    fault(&service, false);
    tokio::time::sleep(pause).await;
    assert_eq!(service.state().await, Some(TaskState::Extracted));

    let mut failed = service.store.inner.get("p").await.unwrap().unwrap();
    (failed.version, failed.state) = (2, TaskState::Failed);
    service.store.inner.put(failed).await.unwrap();
    fault(&service, true);
    drop_in_the_middle(service.pipeline.retry("p", None)).await;
    fault(&service, false);
    tokio::time::sleep(pause).await;
    assert_eq!(service.state().await, Some(TaskState::Extracted));

    fault(&service, true);
    drop_in_the_middle(service.pipeline.withdraw("p", 3, None)).await;
    fault(&service, false);
    tokio::time::sleep(pause).await;
    assert_eq!(service.state().await, Some(TaskState::Withdrawn));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_between_store_and_bus_comes_to_its_end() {
    every_dropped_call_comes_to_its_end(|service, on| {
        service.bus.set(if on { Fault::Hangs(Duration::MAX) } else { Fault::None });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_in_the_middle_of_the_stores_comes_to_its_end() {
    for later in [0, 1, 40] {
        every_dropped_call_comes_to_its_end(|service, on| {
            service.store.set(if on { Fault::Hangs(Duration::from_secs(later)) } else { Fault::None });
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_store_took_although_it_failed_is_published() {
    let service = Service::start().await;
    service.store.set(Fault::FailsAfterwards);
    service.pipeline.submit(post(WISH), 1, None).await.unwrap_err();
    service.store.set(Fault::None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(service.state().await, Some(TaskState::Extracted));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_earlier_change_of_the_post_is_published_where_the_later_one_never_came_to_stand() {
    let service = Service::start().await;
    service.bus.set(Fault::Hangs(Duration::MAX));
    drop_in_the_middle(service.pipeline.submit(post(WISH), 1, None)).await;
    service.bus.set(Fault::Fails);
    service.store.set(Fault::Hangs(Duration::MAX));
    drop_in_the_middle(service.pipeline.submit(post("피아노를 배우고 싶습니다."), 2, None)).await;
    service.bus.set(Fault::None);
    service.store.set(Fault::None);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(service.state().await, Some(TaskState::Extracted));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_hangs_keeps_no_service_from_stopping() {
    let service = Service::start().await;
    service.bus.set(Fault::Hangs(Duration::MAX));
    drop_in_the_middle(service.pipeline.submit(post(WISH), 1, None)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_came_to_their_end_are_looked_for_no_more_and_lost_ones_not_for_ever() {
    let service = Service::start().await;
    service.pipeline.submit(post(WISH), 2, None).await.unwrap();
    service.pipeline.submit(post(WISH), 1, None).await.unwrap_err();
    assert_eq!(service.pipeline.owed.next_look(), None);
    service.store.set(Fault::Fails);
    service.pipeline.submit(post(WISH), 3, None).await.unwrap_err();
    assert!(service.pipeline.owed.next_look().is_some());
    tokio::time::sleep(Duration::from_mins(11)).await;
    assert_eq!(service.pipeline.owed.next_look(), None);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn more_broken_calls_than_are_kept_by_name_are_found_all_the_same() {
    let service = Service::start().await;
    service.bus.set(Fault::Fails);
    let ids: Vec<String> = (0..10_500).map(|number| format!("post-{number}")).collect();
    for id in &ids {
        let post = crate::task::Post::new(id.as_str(), crate::task::PostKind::Question, "x");
        service.pipeline.submit(post, 1, None).await.unwrap_err();
    }
    service.bus.set(Fault::None);
    tokio::time::sleep(Duration::from_mins(30)).await;
    let pending = TaskQuery::in_state(TaskState::Pending);
    assert_eq!(service.store.inner.list(&pending).await.unwrap().len(), 0);
    assert_eq!(service.pipeline.owed.next_look(), None);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_did_not_take_is_published_as_soon_as_it_takes_it() {
    let service = Service::start().await;
    service.bus.set(Fault::Fails);
    assert_eq!(service.pipeline.submit(post(WISH), 1, None).await.unwrap_err().kind(), ErrorKind::Storage);
    assert_eq!(service.state().await, Some(TaskState::Pending));
    tokio::time::sleep(Duration::from_mins(30)).await;
    let calls = service.bus.calls.load(Ordering::Relaxed);
    assert!(calls < 200, "it was asked {calls} times");
    service.bus.set(Fault::None);
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(service.state().await, Some(TaskState::Extracted));
    service.stop().await;
}

#[tokio::test]
async fn what_was_stored_but_not_published_is_published_on_recovery() {
    let bench = rules();
    let event = Bench::event(WISH, 1);
    bench.store.put(TaskRecord::pending(post(WISH), 1, 0, event.id)).await.unwrap();
    assert_eq!(bench.pipeline.recover().await.unwrap(), 1);
    bench.pipeline.submit(post(WISH), 1, None).await.unwrap();
    let subscriber = bench.bus.subscribe(&Subscription::new("g", [TaskPipeline::POSTS])).await.unwrap();
    let found =
        subscriber.fetch(std::num::NonZeroUsize::MIN.saturating_add(9), Duration::ZERO).await.unwrap();
    assert_eq!(found.len(), 1, "the submission and the recovery are one event");
}
