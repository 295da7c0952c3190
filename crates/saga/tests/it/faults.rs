//! Every crash, every outcome, every repetition; bounded here, and longer by `PUMASI_SAGA_SEEDS`.

use std::num::NonZeroUsize;

use pumasi_saga::saga_test::{self, Fault, Schedule};

use crate::sagas::{Order, Registration, Transfer};

/// How many seeds, and from which on: `PUMASI_SAGA_SEEDS=200000`, or `PUMASI_SAGA_SEEDS=1+17` for one from seed 17.
pub(crate) fn seeds(few: u64) -> std::ops::Range<u64> {
    let wanted = std::env::var("PUMASI_SAGA_SEEDS").unwrap_or_else(|_| few.to_string());
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
