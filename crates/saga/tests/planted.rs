//! Bugs planted on purpose, each of which the fault tests have to find.

#![allow(unreachable_pub, reason = "what the tests share is public among them")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot be set up fails; counts are printed"
)]

#[path = "it/sagas/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the scenarios are shared with the other tests")]
mod sagas;

#[path = "planted/asking.rs"]
mod asking;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use pumasi_core::time::{Clock, ManualClock};
use pumasi_saga::planted::{Bug, plant};
use pumasi_saga::saga_test::{self, Bank, Report, Scenario};
use pumasi_saga::store::{MemoryStore, Status};
use pumasi_saga::{Decision, Engine, EngineOptions, Error, ErrorKind, Saga};
use sagas::{
    Early, Errand, Forgotten, Free, Keeper, Lesson, Lodging, Order, PaidTwice, Parcel, PromisedParcel,
    Registration, RegistrationKey, Repacked, Reserve, Then, Ticket, Transfer, Trip, registration,
};

type Programme = (&'static str, fn() -> Option<String>);

fn first_of(report: &Report) -> Option<String> {
    report.violations.first().map(|first| format!("{} [{}]", first.what, first.schedule))
}

fn nth_pair<S: Scenario>(scenario: &S, nth: usize) -> Option<String> {
    first_of(&saga_test::every_nth_pair(scenario, NonZeroUsize::new(nth).unwrap()))
}

/// Whose clock is a day ahead counts deadlines by the store's nevertheless.
fn clocks_apart() -> Option<String> {
    let (store_clock, worker_clock) = (ManualClock::new(), ManualClock::new());
    worker_clock.advance(Duration::from_hours(24));
    let store = MemoryStore::with_clock(Arc::new(store_clock.clone()));
    let options = EngineOptions::new().with_clock(Arc::new(worker_clock)).inline();
    let handle = Engine::with_options(store, Bank::new(), options).register(registration().unwrap()).unwrap();
    let view = handle.start(&RegistrationKey::of(1)).now_or_never().unwrap().unwrap();
    let right = store_clock.now().saturating_add(Duration::from_hours(24));
    (view.deadline != Some(right)).then(|| format!("the deadline is {:?}, not {right}", view.deadline))
}

/// Of two baskets that come to one shelf the first has it, as it was when baskets were defined, and undoes it alone.
async fn share_a_shelf(bank: &Bank) -> Result<(), Error> {
    let engine = Engine::with_options(MemoryStore::new(), bank.clone(), EngineOptions::new().inline());
    let shelf = Saga::<u64, Bank>::new("shelf", 1).step(Reserve).compensate(Free).build()?;
    let basket = Saga::<u64, Bank>::new("basket", 1).child(&shelf, |(basket,): (u64,)| basket % 10);
    let baskets = engine.register(basket.build()?)?;
    engine.register(Saga::<u64, Bank>::new("shelf", 2).pivot(Reserve).build()?)?;
    let (first, second) = (baskets.start(&1).await?, baskets.start(&11).await?);
    let taken = bank.standing("reserve");
    let undone = baskets.decide(&1, Decision::cancel("운영자", "두 장바구니")).await?;
    let stands = (first.status, second.status, taken, undone.status, bank.standing("reserve"));
    if stands == (Status::Completed, Status::Compensated, 1, Status::Compensated, 0) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Other, format!("{stands:?}")))
}

fn one_shelf() -> Option<String> {
    match share_a_shelf(&Bank::new()).now_or_never() {
        Some(ended) => ended.err().map(|error| error.to_string()),
        None => Some("a basket hangs".to_owned()),
    }
}

/// The programmes, in the order of their cost.
const PROGRAMMES: [Programme; 27] = [
    ("clocks apart", clocks_apart),
    ("two baskets, one shelf", one_shelf),
    ("shelves that ask", asking::first),
    ("every fault, transfer", || first_of(&saga_test::every_fault(&Transfer))),
    ("every fault, ticket", || first_of(&saga_test::every_fault(&Ticket))),
    ("every fault, parcel", || first_of(&saga_test::every_fault(&Parcel))),
    ("every fault, repacked", || first_of(&saga_test::every_fault(&Repacked(Then::PackAgain)))),
    ("every fault, never packed", || first_of(&saga_test::every_fault(&Repacked(Then::NeverPack)))),
    ("every fault, promised parcel", || first_of(&saga_test::every_fault(&PromisedParcel))),
    ("every fault, forgotten", || first_of(&saga_test::every_fault(&Forgotten))),
    ("every fault, errand", || first_of(&saga_test::every_fault(&Errand(Early::Nothing)))),
    ("every fault, errand rolled back", || first_of(&saga_test::every_fault(&Errand(Early::RollBack)))),
    ("every fault, errand called off", || first_of(&saga_test::every_fault(&Errand(Early::Cancel)))),
    ("every fault, lesson", || first_of(&saga_test::every_fault(&Lesson))),
    ("every fault, order", || first_of(&saga_test::every_fault(&Order))),
    ("every fault, registration", || first_of(&saga_test::every_fault(&Registration))),
    ("every fault, paid twice", || first_of(&saga_test::every_fault(&PaidTwice))),
    ("seeds, order", || first_of(&saga_test::seeds(&Order, 0..300))),
    ("seeds, registration", || first_of(&saga_test::seeds(&Registration, 0..300))),
    ("seeds, errand", || first_of(&saga_test::seeds(&Errand(Early::Nothing), 0..300))),
    ("pairs, errand", || nth_pair(&Errand(Early::Nothing), 7)),
    ("pairs, lodging", || Lodging::all().iter().find_map(|lodging| nth_pair(lodging, 1))),
    ("pairs, trip", || nth_pair(&Trip(Keeper::Nobody), 5)),
    ("pairs, trip tried again", || nth_pair(&Trip(Keeper::TriesAgain), 5)),
    ("pairs, transfer", || nth_pair(&Transfer, 3)),
    ("pairs, order", || nth_pair(&Order, 17)),
    ("pairs, registration", || nth_pair(&Registration, 41)),
];

/// Runs the programmes up to the first that finds something.
fn first_violation() -> Option<(&'static str, String)> {
    PROGRAMMES.into_iter().find_map(|(name, run)| Some((name, run()?)))
}

#[test]
fn every_planted_bug_is_found() {
    // A bug is planted in what runs on its thread.
    let hunts: Vec<_> = Bug::ALL
        .chunks(Bug::ALL.len().div_ceil(4))
        .map(|bugs| {
            std::thread::spawn(move || {
                let mut missed = Vec::new();
                for bug in bugs {
                    plant(Some(*bug));
                    let Some((programme, what)) = first_violation() else {
                        println!("{bug:?}: not found");
                        missed.push(*bug);
                        continue;
                    };
                    println!("{bug:?}: found by {programme}: {what}");
                }
                missed
            })
        })
        .collect();
    let missed: Vec<Bug> = hunts.into_iter().flat_map(|hunt| hunt.join().unwrap()).collect();
    assert!(missed.is_empty(), "not found: {missed:?} of {}", Bug::ALL.len());
    assert_eq!(first_violation(), None, "without a bug nothing is found");
}
