//! What the test programme makes of sagas of several shapes: right ones pass, wrong ones do not.

use std::time::Duration;

use pumasi_saga::saga_test::{self, Bank, Report};
use pumasi_saga::{Definition, Result, Saga, Signal};

use crate::sagas::{Close, GiveBack, GiveBackWhatIsKnown, Pack, PaymentCompleted, Shape, Take, Unpack};

type Made = Result<Definition<u64, Bank>>;

fn shape(definition: fn() -> Made) -> Shape {
    Shape { definition, answers: Vec::new, may_stand: &[] }
}

fn reports(shape: &Shape) -> [Report; 2] {
    [saga_test::every_fault(shape), saga_test::seeds(shape, 0..300)]
}

fn complaints(shape: &Shape) -> Vec<String> {
    let complaint = |report: Report| report.verify().err().map(|error| error.message().to_owned());
    reports(shape).into_iter().filter_map(complaint).collect()
}

#[test]
fn a_step_before_the_only_wait_with_a_deadline() {
    let paid = Shape {
        definition: || {
            let taken =
                Saga::<u64, Bank>::new("shape", 1).step(Take).compensate(GiveBack).wait::<PaymentCompleted>();
            taken.deadline(Duration::from_mins(15)).pivot(Close).build()
        },
        answers: || vec![Signal::from(PaymentCompleted("35000".to_owned()))],
        may_stand: &[],
    };
    assert_eq!(complaints(&paid), [""; 0]);
}

#[test]
fn a_compensation_of_the_last_step_is_reached_by_who_cancels() {
    let packed = || {
        Saga::<u64, Bank>::new("shape", 1)
            .step(Take)
            .compensate(GiveBack)
            .step(Pack)
            .compensate(Unpack)
            .build()
    };
    assert_eq!(complaints(&shape(packed)), [""; 0]);
}

#[test]
fn a_forgotten_compensation_is_noticed_unless_its_effect_may_stand() {
    let forgotten =
        || Saga::<u64, Bank>::new("shape", 1).step(Take).step(Pack).compensate(Unpack).pivot(Close).build();
    let complaints_of_it = complaints(&shape(forgotten));
    assert_eq!(complaints_of_it.len(), 2);
    let stands = "the effect of step take, which has no compensation, stands";
    assert!(complaints_of_it.iter().all(|complaint| complaint.contains(stands)), "{complaints_of_it:?}");
    assert_eq!(complaints(&Shape { may_stand: &["take"], ..shape(forgotten) }), [""; 0]);
}

#[test]
fn a_compensation_that_ignores_what_is_not_known_is_noticed() {
    let known =
        || Saga::<u64, Bank>::new("shape", 1).step(Take).compensate(GiveBackWhatIsKnown).pivot(Close).build();
    let report = saga_test::every_fault(&shape(known));
    let complaint = report.verify().unwrap_err().message().to_owned();
    assert!(
        complaint.starts_with("without word of take: compensated, and the effect of step take stands"),
        "{complaint}"
    );
    let replayed = saga_test::replay(&shape(known), &saga_test::Schedule::calm().without_word_of("take"));
    assert_eq!(replayed.violated, 1);
}
