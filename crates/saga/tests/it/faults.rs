//! Every crash, every outcome, every repetition; bounded here, and longer by `PUMASI_SAGA_SEEDS`.

use std::num::NonZeroUsize;

use pumasi_saga::saga_test::{self, Fault, Report, Scenario, Schedule};

use crate::sagas::{
    Early, Errand, Forgotten, Hamper, Keeper, Labels, Lesson, Lodging, Order, PaidTwice, Parcel,
    PromisedParcel, Registration, Repacked, Then, Ticket, Transfer, Trip,
};

/// How many seeds, and from which on: `PUMASI_SAGA_SEEDS=200000`, or `PUMASI_SAGA_SEEDS=1+17` for one from seed 17.
fn seeds(few: u64) -> std::ops::Range<u64> {
    seeds_of("PUMASI_SAGA_SEEDS", few)
}

/// As many seeds as the variable says, written so.
pub(crate) fn seeds_of(variable: &str, few: u64) -> std::ops::Range<u64> {
    let wanted = std::env::var(variable).unwrap_or_else(|_| few.to_string());
    let (count, from) = wanted.split_once('+').unwrap_or((&wanted, "0"));
    let (count, from): (u64, u64) = (count.parse().unwrap(), from.parse().unwrap());
    from..from + count
}

/// Every so many pairs: all of them with `PUMASI_SAGA_PAIRS=1`.
fn nth_pair() -> NonZeroUsize {
    let wanted = std::env::var("PUMASI_SAGA_PAIRS").ok().and_then(|nth| nth.parse().ok());
    wanted.unwrap_or(NonZeroUsize::new(11).unwrap())
}

#[test]
fn an_order_survives_every_fault() {
    let report = saga_test::every_fault(&Order);
    println!("{report}");
    report.verify().unwrap();
}

#[test]
fn a_registration_survives_every_fault() {
    let report = saga_test::every_fault(&Registration);
    println!("{report}");
    report.verify().unwrap();
}

#[test]
fn a_transfer_survives_every_fault_and_every_pair() {
    let report = saga_test::every_pair(&Transfer);
    println!("{report}");
    report.verify().unwrap();
}

#[test]
fn an_order_survives_pairs_of_faults() {
    let report = saga_test::every_nth_pair(&Order, nth_pair());
    println!("{report}");
    report.verify().unwrap();
}

#[test]
fn a_registration_survives_pairs_of_faults() {
    let report = saga_test::every_nth_pair(&Registration, nth_pair());
    println!("{report}");
    report.verify().unwrap();
}

/// Every fault, pairs of them, and what seeds draw.
fn reports(scenario: &impl Scenario) -> [Report; 3] {
    let seeded = saga_test::seeds(scenario, seeds(500));
    let reports = [saga_test::every_fault(scenario), saga_test::every_nth_pair(scenario, nth_pair()), seeded];
    for report in &reports {
        println!("{report}");
    }
    reports
}

fn survives(scenario: &impl Scenario) -> Report {
    let [singles, pairs, seeded] = reports(scenario);
    singles.verify().unwrap();
    pairs.verify().unwrap();
    // A few seeds need not come to everything.
    assert_eq!(seeded.violations, []);
    singles
}

#[test]
fn steps_in_transactions_survive_every_fault() {
    survives(&Ticket);
}

#[test]
fn a_saga_within_a_saga_survives_every_fault() {
    survives(&Parcel);
}

#[test]
fn a_saga_within_a_saga_within_a_saga_survives_every_fault() {
    let report = survives(&Hamper);
    assert!(report.decisions > 0);
}

#[test]
fn a_saga_within_a_saga_behind_the_pivot_survives_every_fault() {
    // The last step of the child is never undone: nothing behind it goes back.
    for report in reports(&PromisedParcel) {
        assert_eq!(report.violations, []);
        assert!(report.decisions > 0 && report.unreached.len() < 6, "{report}");
    }
}

#[test]
fn a_child_that_is_made_more_than_once_survives_every_fault() {
    for then in [Then::PackAgain, Then::CallOff, Then::NeverPack] {
        let scenario = Repacked(then);
        for report in [saga_test::every_fault(&scenario), saga_test::every_nth_pair(&scenario, nth_pair())] {
            println!("{report}");
            report.verify().unwrap();
            assert!(report.decisions > 0);
        }
    }
}

#[test]
fn children_that_are_made_more_than_once_survive_what_seeds_draw() {
    for then in [Then::PackAgain, Then::CallOff, Then::NeverPack] {
        let report = saga_test::seeds(&Repacked(then), seeds(500));
        println!("{report}");
        assert_eq!(report.violations, []);
    }
}

/// In these a parent stands still after its child has ended, and hears so when another has undone it.
#[test]
fn a_parent_that_hears_late_that_its_child_has_ended_does_no_harm() {
    for seed in [5083, 6031, 8123, 10659, 12842] {
        let report = saga_test::seeds(&Parcel, seed..seed + 1);
        assert_eq!(report.violations, []);
    }
}

#[test]
fn a_saga_of_which_nothing_is_kept_survives_every_fault() {
    let report = survives(&Forgotten);
    assert!(report.forgotten > 0);
}

#[test]
fn a_payment_too_many_is_given_back_whatever_happens() {
    let report = survives(&PaidTwice);
    assert!(report.purged > 0);
}

#[test]
fn what_operators_decide_survives_every_fault() {
    for early in [Early::Nothing, Early::RollBack] {
        let report = survives(&Errand(early));
        assert!(report.decisions > 0);
    }
}

#[test]
fn compensations_that_are_passed_over_survive_every_fault() {
    for keeper in [Keeper::Nobody, Keeper::TriesAgain] {
        survives(&Trip(keeper));
    }
}

#[test]
fn branches_behind_the_pivot_survive_every_fault() {
    let report = survives(&Labels);
    assert!(report.decisions > 0);
}

/// Beside a compensation and a late handler that are both exhausted, and an operator's decisions between.
#[test]
fn what_is_left_of_a_saga_without_a_pivot_always_finds_its_operator() {
    for lodging in Lodging::all() {
        for report in [saga_test::every_pair(&lodging), saga_test::seeds(&lodging, seeds(500))] {
            println!("{report}");
            assert_eq!(report.violations, []);
            assert!(report.decisions > 0);
        }
    }
}

#[test]
fn what_was_paid_for_what_is_undone_is_not_taken_for_what_is_begun_anew() {
    for report in reports(&Lesson) {
        assert_eq!(report.violations, []);
        assert!(report.decisions > 0);
    }
}

#[test]
fn an_errand_that_is_called_off_is_undone_whatever_happens() {
    for report in reports(&Errand(Early::Cancel)) {
        assert_eq!(report.violations, []);
        assert!(report.decisions > 0 && report.unreached.len() < 6, "{report}");
    }
}

#[test]
fn orders_survive_what_seeds_draw() {
    let report = saga_test::seeds(&Order, seeds(1_000));
    println!("{report}");
    report.verify().unwrap();
}

#[test]
fn registrations_survive_what_seeds_draw() {
    let report = saga_test::seeds(&Registration, seeds(1_000));
    println!("{report}");
    report.verify().unwrap();
}

#[test]
fn a_schedule_runs_the_same_way_each_time() {
    for seed in 0..50 {
        let schedule = Schedule::seeded(seed, 80);
        let (one, other) =
            (saga_test::replay(&Registration, &schedule), saga_test::replay(&Registration, &schedule));
        assert_eq!((one.digest, one.struck), (other.digest, other.struck), "seed {seed}");
    }
    let calm = saga_test::replay(&Order, &Schedule::calm().with(3, Fault::CrashAfter));
    assert_eq!(calm.runs, 1);
}
