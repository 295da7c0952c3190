use proptest::prelude::*;

use super::*;
use crate::ErrorKind;
use crate::machine::state::MAX_SURPLUS;
use crate::machine::{Audit, Cause, Early, Late};

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000 + micros)
}

/// A saga of eight steps through a failure, with everything that a record can hold.
fn a_life() -> (Vec<u8>, State) {
    let mut state = State::new(3, 0xfeed, 8);
    let mut log = write(&mut state, Note::Begun, at(0));
    for unit in 0..5 {
        state.change(unit, |it| {
            it.status = UnitStatus::Done;
            it.attempt = 1;
        });
        state.set_output(unit, Some(Arc::from(format!("{{\"표\":{unit}}}").into_bytes())));
        state.stage = unit + 1;
        log.extend(write(&mut state, Note::Step, at(i64::try_from(unit).unwrap())));
    }
    state.change(5, |it| {
        it.status = UnitStatus::Backoff;
        it.attempt = 300;
        it.round = 2;
        it.unsure = true;
        it.at = Some(at(77));
    });
    state.early.push(Early { unit: 6, id: "evt-1".into(), payload: Arc::from(*b"\"x\""), at: at(5) });
    state.delta.early = true;
    log.extend(write(&mut state, Note::Signal, at(9)));
    state.phase = Phase::Backward(2);
    state.cause = Some(Cause { unit: Some(5), reason: "정원 초과".into() });
    state.stuck = Some((StuckAt::Undo(4), "no".into()));
    state.seen.push("evt-0".into());
    state.set_output(4, None);
    log.extend(write(&mut state, Note::Compensation, at(10)));
    state.audits.push(Audit {
        action: "skip".into(),
        who: "운영자".into(),
        why: "확인함".into(),
        step: "pay".into(),
        at: at(11),
    });
    state.change(3, |it| it.status = UnitStatus::UndoSkipped);
    state.late.push(Late {
        unit: 6,
        id: "evt-2".into(),
        payload: Arc::from(*b"{}"),
        status: UnitStatus::Backoff,
        attempt: 2,
        at: Some(at(99)),
    });
    state.delta.late = true;
    state.stuck = Some((StuckAt::Late(0), "late".into()));
    state.tried.push((StuckAt::Forward(5), "busy".into()));
    state.tried.push((StuckAt::Late(0), "no answer".into()));
    state.early.clear();
    state.delta.early = true;
    state.see_surplus("evt-2".into());
    log.extend(write(&mut state, Note::Operator, at(12)));
    (log, state)
}

#[test]
fn a_log_becomes_the_state_that_it_was_written_from() {
    let (log, state) = a_life();
    let found = read(&log, state.version).unwrap();
    assert_eq!(found.state, state);
    assert_eq!(found.records, 9);
    assert_eq!(found.history.last().map(|entry| entry.note), Some(Note::Operator));
    assert_eq!(found.history[1].changed, [(0, UnitStatus::Done)]);
}

#[test]
fn a_log_written_anew_says_the_same() {
    let (_, mut state) = a_life();
    compact(&mut state);
    let log = write(&mut state, Note::Step, at(13));
    let found = read(&log, state.version).unwrap();
    assert_eq!((found.state, found.records), (state, 1));
}

#[test]
fn what_is_cut_off_anywhere_is_never_read_as_something_else() {
    let (log, state) = a_life();
    for end in 0..log.len() {
        let error = read(&log[..end], state.version).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "cut at {end}");
    }
}

#[test]
fn a_record_that_is_missing_is_noticed() {
    let mut state = State::new(1, 1, 2);
    let records: Vec<_> = (0..4).map(|number| write(&mut state, Note::Step, at(number))).collect();
    for missing in 0..4 {
        let kept = records.iter().enumerate().filter(|(at, _)| *at != missing);
        let log: Vec<u8> = kept.flat_map(|(_, record)| record.clone()).collect();
        assert_eq!(read(&log, state.version).unwrap_err().kind(), ErrorKind::Protocol, "without {missing}");
    }
}

#[test]
fn what_newer_code_wrote_is_left_to_it() {
    let (log, state) = a_life();
    let mut body = code::Reader(&log);
    let mut first = code::unframe(&mut body).unwrap().to_vec();
    first[0] = FORMAT + 1;
    let error = read(&code::frame(&first), state.version).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn of_the_signals_that_no_wait_took_the_last_are_remembered_also_by_who_reads_the_log() {
    let mut state = State::new(1, 1, 2);
    state.seen.push("taken".into());
    let mut log = write(&mut state, Note::Begun, at(0));
    for number in 0..MAX_SURPLUS + 100 {
        state.see_surplus(format!("evt-{number}").into());
        if number % 7 == 0 {
            log.extend(write(&mut state, Note::Signal, at(1)));
        }
    }
    log.extend(write(&mut state, Note::Signal, at(2)));
    let found = read(&log, state.version).unwrap().state;
    assert_eq!(found, state);
    assert_eq!(found.surplus.len(), MAX_SURPLUS);
    assert!(found.has_seen("taken") && found.has_seen("evt-100") && !found.has_seen("evt-99"));
}

#[test]
fn only_what_the_first_version_did_not_know_makes_a_record_of_a_later_one() {
    let mut state = State::new(1, 1, 2);
    let formats = |record: &[u8]| code::unframe(&mut code::Reader(record)).unwrap()[0];
    assert_eq!(formats(&write(&mut state, Note::Begun, at(0))), FIRST);
    state.see_surplus("evt-1".into());
    assert_eq!(formats(&write(&mut state, Note::Signal, at(1))), SECOND);
    assert_eq!(formats(&write(&mut state, Note::Signal, at(2))), FIRST);
    state.change(1, |it| it.status = UnitStatus::UndoSkipped);
    assert_eq!(formats(&write(&mut state, Note::Operator, at(3))), FORMAT);
}

#[test]
fn the_record_of_a_step_is_small() {
    let mut state = State::new(1, 1, 8);
    write(&mut state, Note::Begun, at(0));
    state.change(0, |it| it.status = UnitStatus::Done);
    state.set_output(0, Some(Arc::from(*b"12345678")));
    let record = write(&mut state, Note::Step, at(1));
    assert!(record.len() <= 48, "{} bytes", record.len());
}

proptest! {
    #[test]
    fn a_flipped_byte_is_noticed(place in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let (mut log, state) = a_life();
        let place = place.index(log.len());
        log[place] ^= flip;
        prop_assert!(read(&log, state.version).is_err(), "byte {place}");
    }

    #[test]
    fn nonsense_is_refused_without_a_panic(mut body in prop::collection::vec(any::<u8>(), 0..200), framed: bool) {
        if framed {
            if let Some(format) = body.first_mut() {
                *format = FORMAT;
            }
            body = code::frame(&body);
        }
        let _ = read(&body, 1);
    }
}
