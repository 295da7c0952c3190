//! What the test programme tells of waits: in which ways their signals came.

use std::num::NonZeroUsize;
use std::time::Duration;

use pumasi_saga::saga_test::{self, Arrival, Bank, Report, Scenario};
use pumasi_saga::store::Status;
use pumasi_saga::{Cx, Definition, Late, Outcome, Result, Saga, Signal};

use crate::sagas::{AgreeTerms, ChooseSouvenir, Registration, ShippingAddress};

/// Keeps a parcel back whose address comes too late.
struct KeepBack;

impl Late<Bank, ShippingAddress> for KeepBack {
    type Error = &'static str;

    async fn handle(&self, cx: &Cx<Bank>, _: ShippingAddress) -> Outcome<(), &'static str> {
        cx.app().apply(cx);
        Outcome::Done(())
    }
}

/// Three answers and nothing else, of which so many are given.
struct Questions {
    given: usize,
    deadline: bool,
    late: bool,
}

impl Scenario for Questions {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        let saga = Saga::<u64, Bank>::new("questions", 1).wait::<AgreeTerms>().wait::<ChooseSouvenir>();
        let last = saga.wait::<ShippingAddress>();
        let last = if self.deadline { last.deadline(Duration::from_hours(1)) } else { last };
        if self.late { last.late(KeepBack).build() } else { last.build() }
    }

    fn key(&self) -> u64 {
        7
    }

    fn answers(&self) -> Vec<Signal> {
        let all: [Signal; 3] = [
            AgreeTerms("예".to_owned()).into(),
            ChooseSouvenir("티셔츠".to_owned()).into(),
            ShippingAddress("서울".to_owned()).into(),
        ];
        all.into_iter().take(self.given).collect()
    }
}

fn complaint(report: &Report) -> String {
    report.verify().map_or_else(|error| error.message().to_owned(), |()| "none".to_owned())
}

const ALL: Questions = Questions { given: 3, deadline: true, late: true };

#[test]
fn a_saga_of_waits_alone_has_its_signals_in_every_way() {
    for report in [saga_test::every_fault(&ALL), saga_test::every_nth_pair(&ALL, NonZeroUsize::MIN)] {
        println!("{report}");
        report.verify().unwrap();
        let ways = [Arrival::InTime, Arrival::Early, Arrival::Twice, Arrival::Missed, Arrival::Late];
        for way in ways {
            assert!(report.arrivals[&("shipping_address".to_owned(), way)] > 0, "{way}");
        }
        assert!(report.endings[&Status::Completed] > 0 && report.endings[&Status::Compensated] > 0);
    }
}

#[test]
fn a_wait_that_nobody_answers_is_no_test() {
    let report = saga_test::every_fault(&Questions { given: 2, ..ALL });
    let complaint = complaint(&report);
    assert!(complaint.contains("no run came to: late shipping_address"), "{complaint}");
    let report = saga_test::every_fault(&Questions { given: 2, deadline: false, late: false });
    assert_eq!(
        self::complaint(&report),
        "in no run there was a signal for: shipping_address in time, shipping_address early, shipping_address twice"
    );
    let report = saga_test::every_fault(&Questions { given: 0, deadline: false, late: false });
    assert_eq!(report.not_arrived.len(), 8, "{report}");
}

#[test]
fn a_late_handler_that_nothing_reaches_is_no_test() {
    let report = saga_test::every_fault(&Questions { deadline: false, ..ALL });
    assert_eq!(complaint(&report), "no run came to: late shipping_address");
}

#[test]
fn what_seeds_draw_holds_signals_back_past_their_deadlines() {
    let report = saga_test::seeds(&Registration, 0..300);
    println!("{report}");
    report.verify().unwrap();
    assert!(report.arrivals[&("payment_completed".to_owned(), Arrival::Missed)] > 0);
}
