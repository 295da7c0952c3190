//! Sagas that are being driven: what reaches them meanwhile, and what their driver makes of a store that fails.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pumasi_core::time::ManualClock;
use pumasi_saga::store::{Commit, MemoryStore, SagaStore, Status};
use pumasi_saga::{
    Compensate, Cx, Decision, Definition, Engine, EngineOptions, ErrorKind, Outcome, Retriable, Saga,
    SagaHandle, Signal, Step, Undo,
};
use tokio::sync::{Notify, Semaphore};

use crate::fateful::{Fate, Fateful};
use crate::sagas::AgreeTerms;

/// What the steps are held up by, and what they did.
#[derive(Default)]
struct Hall {
    inside: Notify,
    gate: Option<(&'static str, Semaphore)>,
    did: Mutex<Vec<&'static str>>,
}

impl Hall {
    fn gated(at: &'static str) -> Arc<Self> {
        Arc::new(Self { gate: Some((at, Semaphore::new(0))), ..Self::default() })
    }

    fn open(&self) {
        self.gate.as_ref().unwrap().1.add_permits(1);
    }

    async fn act(&self, what: &'static str) -> Outcome<(), &'static str> {
        if let Some((at, gate)) = &self.gate
            && *at == what
        {
            self.inside.notify_one();
            gate.acquire().await.unwrap().forget();
        }
        self.did.lock().unwrap().push(what);
        Outcome::Done(())
    }
}

struct Book;
struct Unbook;
struct Pay;
struct Print;

impl Step<Arc<Hall>> for Book {
    type In = ();
    type Out = ();
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Arc<Hall>>, (): ()) -> Outcome<(), &'static str> {
        cx.app().act("book").await
    }
}

impl Compensate<Arc<Hall>, Book> for Unbook {
    type Error = &'static str;

    async fn undo(&self, cx: &Cx<Arc<Hall>>, _: Undo<Arc<Hall>, Book>) -> Outcome<(), &'static str> {
        cx.app().act("unbook").await
    }
}

impl Step<Arc<Hall>> for Pay {
    type In = ();
    type Out = ();
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Arc<Hall>>, (): ()) -> Outcome<(), &'static str> {
        cx.app().act("pay").await
    }
}

impl Step<Arc<Hall>> for Print {
    type In = ();
    type Out = ();
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Arc<Hall>>, (): ()) -> Outcome<(), &'static str> {
        cx.app().act("print").await
    }
}

impl Retriable for Print {}

fn ticket() -> Definition<u64, Arc<Hall>> {
    Saga::<u64, Arc<Hall>>::new("ticket", 1)
        .step(Book)
        .compensate(Unbook)
        .pivot(Pay)
        .step(Print)
        .build()
        .unwrap()
}

fn tickets(
    store: impl SagaStore + 'static,
    hall: &Arc<Hall>,
    options: EngineOptions,
) -> SagaHandle<u64, Arc<Hall>> {
    Engine::with_options(store, Arc::clone(hall), options).register(ticket()).unwrap()
}

/// Starts a ticket, and returns when it stands in the hall's gate.
async fn begun(tickets: &SagaHandle<u64, Arc<Hall>>, hall: &Hall) -> tokio::task::JoinHandle<Status> {
    let starting = tickets.clone();
    let started = tokio::spawn(async move { starting.start(&1).await.unwrap().status });
    hall.inside.notified().await;
    started
}

#[tokio::test]
async fn a_decision_reaches_a_saga_that_is_being_driven_before_its_next_step() {
    for from_elsewhere in [false, true] {
        let (store, hall) = (MemoryStore::new(), Hall::gated("book"));
        let here = tickets(store.clone(), &hall, EngineOptions::new());
        let started = begun(&here, &hall).await;
        let other = tickets(store, &hall, EngineOptions::new());
        let by = if from_elsewhere { other } else { here.clone() };
        let deciding = tokio::spawn(async move { by.decide(&1, Decision::cancel("운영자", "취소")).await });
        // Another process's is looked for every second.
        tokio::time::sleep(Duration::from_millis(if from_elsewhere { 1_200 } else { 100 })).await;
        hall.open();
        assert_eq!(started.await.unwrap(), Status::Compensated);
        assert_eq!(deciding.await.unwrap().unwrap().status, Status::Compensated);
        assert_eq!(*hall.did.lock().unwrap(), ["book", "unbook"], "from elsewhere: {from_elsewhere}");
    }
}

#[tokio::test]
async fn a_decision_that_comes_too_late_for_a_driver_is_recorded_as_refused_and_answered_so() {
    for from_elsewhere in [false, true] {
        let (store, hall) = (MemoryStore::new(), Hall::gated("print"));
        let here = tickets(store.clone(), &hall, EngineOptions::new());
        let started = begun(&here, &hall).await;
        let other = tickets(store, &hall, EngineOptions::new());
        let by = if from_elsewhere { other } else { here.clone() };
        let decided = tokio::spawn(async move { by.decide(&1, Decision::cancel("운영자", "취소")).await });
        tokio::time::sleep(Duration::from_millis(if from_elsewhere { 1_200 } else { 100 })).await;
        hall.open();
        assert_eq!(started.await.unwrap(), Status::Completed);
        assert_eq!(decided.await.unwrap().unwrap_err().kind(), ErrorKind::Conflict, "{from_elsewhere}");
        let audits = here.snapshot(&1).await.unwrap().audits;
        let said: Vec<_> = audits.iter().map(|audit| (&*audit.action, &*audit.who, &*audit.step)).collect();
        assert_eq!(said, [("refused: cancel", "운영자", "print")]);
    }
}

#[tokio::test]
async fn of_two_decisions_in_the_same_words_each_is_told_what_became_of_it() {
    let (store, hall) = (MemoryStore::new(), Hall::gated("book"));
    let tickets = tickets(store, &hall, EngineOptions::new());
    let started = begun(&tickets, &hall).await;
    let decide = || {
        let tickets = tickets.clone();
        tokio::spawn(async move { tickets.decide(&1, Decision::cancel("운영자", "취소")).await })
    };
    let decided = [decide(), decide()];
    tokio::time::sleep(Duration::from_millis(100)).await;
    hall.open();
    assert_eq!(started.await.unwrap(), Status::Compensated);
    let mut refused = 0;
    for decided in decided {
        match decided.await.unwrap() {
            Ok(view) => assert_eq!(view.status, Status::Compensated),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 1);
    let audits = tickets.snapshot(&1).await.unwrap().audits;
    let said: Vec<_> = audits.iter().map(|audit| &*audit.action).collect();
    assert_eq!(said, ["cancel", "refused: cancel"]);
}

#[tokio::test]
async fn what_became_of_a_decision_is_told_of_a_saga_that_is_forgotten_with_its_end() {
    for (gate, outcome) in [("book", Ok(Status::Compensated)), ("print", Err(ErrorKind::Conflict))] {
        let hall = Hall::gated(gate);
        let tickets = tickets(MemoryStore::new(), &hall, forgetting());
        let started = begun(&tickets, &hall).await;
        let deciding = tickets.clone();
        let decided =
            tokio::spawn(async move { deciding.decide(&1, Decision::cancel("운영자", "취소")).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        hall.open();
        started.await.unwrap();
        let decided = decided.await.unwrap();
        assert_eq!(decided.map(|view| view.status).map_err(|error| error.kind()), outcome, "{gate}");
        assert_eq!(tickets.view(&1).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn of_a_decision_that_no_driver_comes_to_it_is_not_said_that_it_was_carried_out() {
    let (store, hall) = (MemoryStore::new(), Hall::gated("book"));
    let driver = tickets(store.clone(), &hall, EngineOptions::new());
    let started = begun(&driver, &hall).await;
    let patience = EngineOptions::new().with_patience(Duration::from_millis(100));
    let other = tickets(store, &hall, patience);
    let decided = other.decide(&1, Decision::cancel("운영자", "취소")).await;
    assert_eq!(decided.unwrap_err().kind(), ErrorKind::Timeout);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    hall.open();
    assert_eq!(started.await.unwrap(), Status::Compensated);
}

#[tokio::test]
async fn a_call_waits_for_another_driver_as_long_as_its_patience_says_and_answers_with_what_is_known() {
    let (store, hall) = (MemoryStore::new(), Hall::gated("book"));
    let driver = tickets(store.clone(), &hall, EngineOptions::new());
    let started = begun(&driver, &hall).await;
    let patience = Duration::from_millis(3_500);
    let other = tickets(store, &hall, EngineOptions::new().with_patience(patience));
    let asked = Instant::now();
    let view = other.start(&1).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::Running, Some("book")));
    assert!(asked.elapsed() >= patience, "{:?}", asked.elapsed());
    hall.open();
    assert_eq!(started.await.unwrap(), Status::Completed);
}

#[tokio::test]
async fn a_lost_answer_to_the_last_commit_of_a_saga_that_is_forgotten_does_not_run_it_again() {
    let fate = |commit: &Commit| commit.forgets.then_some(Fate::AnswerLost);
    let store = Fateful { fate, left: AtomicUsize::new(1), ..Fateful::new(MemoryStore::new()) };
    let hall = Arc::new(Hall::default());
    let tickets = tickets(store, &hall, EngineOptions::new().with_retention(Duration::ZERO));
    assert_eq!(tickets.start(&1).await.unwrap().status, Status::Completed);
    assert_eq!(*hall.did.lock().unwrap(), ["book", "pay", "print"]);
    assert_eq!(tickets.view(&1).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_a_store_will_never_take_is_told_and_parks_nothing() {
    let fate = |commit: &Commit| (!commit.creates()).then_some(Fate::Refused(ErrorKind::Unauthorized));
    let store = Fateful { fate, left: AtomicUsize::new(1), ..Fateful::new(MemoryStore::new()) };
    let hall = Arc::new(Hall::default());
    let tickets = tickets(store, &hall, EngineOptions::new());
    let told = tokio::time::timeout(Duration::from_secs(20), tickets.start(&1)).await.expect("it is told");
    assert_eq!(told.unwrap_err().kind(), ErrorKind::Unauthorized);
    assert_eq!(tickets.view(&1).await.unwrap().status, Status::Running);
}

#[tokio::test]
async fn code_that_panics_before_its_step_begins_parks_its_saga() {
    let child = Saga::<u64, Arc<Hall>>::new("seat", 1).step(Book).compensate(Unbook).build().unwrap();
    let parent = Saga::<u64, Arc<Hall>>::new("row", 1)
        .child(&child, |(key,): (u64,)| match key {
            1 => std::panic::resume_unwind(Box::new("no such row")),
            key => key,
        })
        .build()
        .unwrap();
    let engine = Engine::new(MemoryStore::new(), Arc::new(Hall::default()));
    let rows = engine.register(parent).unwrap();
    assert_eq!(rows.start(&1).await.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(rows.view(&1).await.unwrap().status, Status::Parked);
    assert_eq!(rows.start(&2).await.unwrap().status, Status::Completed, "others go on");
}

#[tokio::test]
async fn answers_that_a_record_could_not_hold_are_refused_at_the_door() {
    let terms = Saga::<u64, ()>::new("terms", 1).wait::<AgreeTerms>().build().unwrap();
    let terms = Engine::new(MemoryStore::new(), ()).register(terms).unwrap();
    terms.start(&1).await.unwrap();
    let large = terms.signal(&1, AgreeTerms("가".repeat(400_000))).await.unwrap_err();
    assert_eq!(large.kind(), ErrorKind::InvalidInput);
    let mut kept = 0;
    let full = loop {
        let signal = Signal::from(AgreeTerms("가".repeat(300_000))).with_id(format!("{kept}"));
        match terms.signal(&1, signal).await {
            Ok(_) => kept += 1,
            Err(full) => break full,
        }
    };
    assert_eq!((kept, full.kind()), (4, ErrorKind::InvalidInput), "4 MiB wait at most");
    assert_eq!(terms.start(&1).await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn a_call_does_not_wait_for_a_renewal_that_does_not_go_on() {
    let clock = ManualClock::new();
    let inner = MemoryStore::with_clock(Arc::new(clock.clone()));
    let store = Fateful { renewals: AtomicUsize::new(1), ..Fateful::new(inner) };
    let options = EngineOptions::new().with_clock(Arc::new(clock.clone())).inline();
    let tickets = tickets(store, &Arc::default(), options);
    assert_eq!(tickets.start(&1).await.unwrap().status, Status::Completed);
    clock.advance(Duration::from_secs(15));
    // As a child that is not asked any more while the driver that it is within asks for the lease itself.
    let mut renewing = Box::pin(tickets.start(&2));
    assert!(renewing.as_mut().now_or_never().is_none());
    let started = tokio::time::timeout(Duration::from_secs(10), tickets.start(&3)).await;
    assert_eq!(started.expect("an answer").unwrap().status, Status::Completed);
}

#[tokio::test]
async fn who_starts_what_ends_and_is_forgotten_meanwhile_is_told_how_and_begins_nothing() {
    let hall = Hall::gated("print");
    let tickets = tickets(MemoryStore::new(), &hall, forgetting());
    let started = begun(&tickets, &hall).await;
    let again = tokio::spawn({
        let tickets = tickets.clone();
        async move { tickets.start(&1).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    hall.open();
    assert_eq!(started.await.unwrap(), Status::Completed);
    assert_eq!(again.await.unwrap().unwrap().status, Status::Completed);
    assert_eq!(*hall.did.lock().unwrap(), ["book", "pay", "print"]);
}

#[tokio::test]
async fn what_another_process_ends_and_forgets_meanwhile_is_told_as_gone_and_not_begun_anew() {
    let (store, hall) = (MemoryStore::new(), Hall::gated("print"));
    let here = tickets(store.clone(), &hall, forgetting());
    let started = begun(&here, &hall).await;
    let other = tickets(store, &hall, forgetting());
    let again = tokio::spawn(async move { other.start(&1).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    hall.open();
    assert_eq!(started.await.unwrap(), Status::Completed);
    assert_eq!(again.await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(*hall.did.lock().unwrap(), ["book", "pay", "print"]);
}

#[tokio::test]
async fn what_is_being_created_is_busy_for_a_call_that_does_not_wait() {
    let options = EngineOptions::new().with_patience(Duration::ZERO);
    let tickets = tickets(MemoryStore::new(), &Arc::default(), options);
    let mut creating = Box::pin(tickets.start(&1));
    assert!(creating.as_mut().now_or_never().is_none(), "it stands before its first record");
    let busy = tickets.start(&1).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Overloaded);
    assert!(busy.retry().is_retryable());
    assert_eq!(creating.await.unwrap().status, Status::Completed);
}

fn forgetting() -> EngineOptions {
    EngineOptions::new().with_retention(Duration::ZERO)
}
