//! Records: what a commit adds to a saga's log, and how a log becomes a state again.
//!
//! A record says where the saga stands, not how it got there: reading a log needs neither the definition nor its policies, so
//! that code which has changed since reads the same state. Control (phase, units) is written whole each time, some ten bytes;
//! outputs and ids only when they are new.
//!
//! ```text
//! record := length (varint) | CRC-32 of body (4 bytes, little endian) | body
//! body   := format | flags | version | time | note | phase | units | cause? | stuck? | outputs | seen | audits | early? | late? | surplus? | tried?
//! ```

pub(crate) mod code;
mod read;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use pumasi_core::time::Timestamp;

use super::state::{Delta, State, StuckAt, UnitStatus};
use super::{Phase, Unit};
use crate::planted::{self, Bug};
use code::Writer;
pub(crate) use read::read;

/// The formats of records: each is written as the first that knows what it says. The last is the newest that this code reads and writes.
const FIRST: u8 = 1;
const SECOND: u8 = 2;
const FORMAT: u8 = 3;

const BASE: u8 = 1;
const CAUSE: u8 = 2;
const STUCK: u8 = 4;
const EARLY: u8 = 8;
const LATE: u8 = 16;
/// Since format 2.
const SURPLUS: u8 = 32;
/// Since format 3.
const TRIED: u8 = 64;

/// What a record was written for, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// The saga was started.
    Begun,
    /// The saga was started anew.
    Restarted,
    /// A step ended, or an attempt of it.
    Step,
    /// A compensation ended, or an attempt of it.
    Compensation,
    /// A signal came.
    Signal,
    /// Something was due.
    Due,
    /// An operator decided.
    Operator,
    /// Somebody took it over.
    TakenOver,
}

impl Note {
    const ALL: [Self; 8] = [
        Self::Begun,
        Self::Restarted,
        Self::Step,
        Self::Compensation,
        Self::Signal,
        Self::Due,
        Self::Operator,
        Self::TakenOver,
    ];

    /// Names it in `snake_case`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Restarted => "restarted",
            Self::Step => "step",
            Self::Compensation => "compensation",
            Self::Signal => "signal",
            Self::Due => "due",
            Self::Operator => "operator",
            Self::TakenOver => "taken_over",
        }
    }

    fn number(self) -> u8 {
        Self::ALL.iter().position(|note| *note == self).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
    }
}

/// Writes the record of what changed since the last one, and counts the state as recorded.
pub(crate) fn write(state: &mut State, note: Note, now: Timestamp) -> Vec<u8> {
    let Delta { outputs, seen, surplus, audits, early, late, base } = std::mem::take(&mut state.delta);
    state.version += 1;
    let (seen, surplus, audits) = if base { (0, 0, 0) } else { (seen, surplus, audits) };
    let surplus = state.surplus.get(surplus..).unwrap_or_default();
    let early = early || (base && !state.early.is_empty());
    let late = late || (base && !state.late.is_empty());
    let mut flags = 0;
    for (flag, set) in [
        (BASE, base),
        (CAUSE, state.cause.is_some()),
        (STUCK, state.stuck.is_some()),
        (EARLY, early),
        (LATE, late),
        (SURPLUS, !surplus.is_empty()),
        (TRIED, !state.tried.is_empty()),
    ] {
        flags |= if set { flag } else { 0 };
    }
    let mut body = Writer::with_capacity(64);
    body.byte(format_of(state, flags));
    body.byte(flags);
    body.number(state.version);
    body.time(now);
    body.byte(note.number());
    if base {
        body.number(state.definition.into());
        body.number(state.fingerprint.into());
        body.number(state.run.into());
        body.length(state.units.len());
    }
    let (phase, target) = match state.phase {
        Phase::Forward => (0, 0),
        Phase::Draining(target) => (1, target),
        Phase::Backward(target) => (2, target),
        Phase::Completed => (3, 0),
        Phase::Compensated => (4, 0),
    };
    body.byte(phase);
    body.length(target);
    body.length(state.stage);
    write_units(&mut body, &state.units);
    if let Some(cause) = &state.cause {
        body.length(cause.unit.map_or(0, |unit| unit + 1));
        body.text(&cause.reason);
    }
    if let Some((at, reason)) = &state.stuck {
        write_reason(&mut body, *at, reason);
    }
    write_outputs(&mut body, state, if base { None } else { Some(outputs) });
    let new = state.seen.get(seen..).unwrap_or_default();
    body.length(new.len());
    for id in new {
        body.text(id);
    }
    let new = state.audits.get(audits..).unwrap_or_default();
    body.length(new.len());
    for audit in new {
        for text in [&audit.action, &audit.who, &audit.why, &audit.step] {
            body.text(text);
        }
        body.time(audit.at);
    }
    if early {
        body.length(state.early.len());
        for early in &state.early {
            body.length(early.unit);
            body.text(&early.id);
            body.bytes(&early.payload);
            body.time(early.at);
        }
    }
    if late {
        body.length(state.late.len());
        for late in &state.late {
            body.length(late.unit);
            body.text(&late.id);
            body.bytes(&late.payload);
            body.byte(late.status as u8);
            body.number(late.attempt.into());
            body.moment(late.at);
        }
    }
    if !surplus.is_empty() {
        body.length(surplus.len());
        for id in surplus {
            body.text(id);
        }
    }
    if !state.tried.is_empty() {
        body.length(state.tried.len());
        for (at, reason) in &state.tried {
            write_reason(&mut body, *at, reason);
        }
    }
    state.delta.seen = state.seen.len();
    state.delta.surplus = state.surplus.len();
    state.delta.audits = state.audits.len();
    code::frame(&body.finish())
}

/// What is not done, and why.
fn write_reason(body: &mut Writer, at: StuckAt, reason: &str) {
    let (kind, number) = match at {
        StuckAt::Forward(unit) => (0, unit),
        StuckAt::Undo(unit) => (1, unit),
        StuckAt::Late(late) => (2, late),
    };
    body.byte(kind);
    body.length(number);
    body.text(reason);
}

fn format_of(state: &State, flags: u8) -> u8 {
    if flags & TRIED != 0 || state.units.iter().any(|unit| unit.status == UnitStatus::UndoSkipped) {
        FORMAT
    } else if flags & SURPLUS != 0 {
        SECOND
    } else {
        FIRST
    }
}

/// A unit in a byte: its status, and whether attempt, round and time follow.
fn write_units(body: &mut Writer, units: &[Unit]) {
    for unit in units {
        let rare = unit.attempt > 1 || unit.round > 0 || unit.unsure;
        let begun = unit.attempt > 0;
        let flags = unit.status as u8
            | if begun { 0x10 } else { 0 }
            | if rare { 0x20 } else { 0 }
            | if unit.unsure && !planted::is(Bug::UnsureIsNotRecorded) { 0x40 } else { 0 }
            | if unit.at.is_some() { 0x80 } else { 0 };
        body.byte(flags);
        if rare {
            body.number(unit.attempt.into());
            body.number(unit.round.into());
        }
        if let Some(at) = unit.at {
            body.time(at);
        }
    }
}

fn write_outputs(body: &mut Writer, state: &State, changed: Option<Vec<usize>>) {
    let changed = changed.unwrap_or_else(|| {
        let made = state.outputs.iter().enumerate().filter(|(_, output)| output.is_some());
        made.map(|(unit, _)| unit).collect()
    });
    let changed = if planted::is(Bug::OutputIsNotRecorded) { Vec::new() } else { changed };
    body.length(changed.len());
    for unit in changed {
        body.length(unit);
        match state.output(unit) {
            Some(output) => {
                body.byte(1);
                body.bytes(output);
            }
            None => body.byte(0),
        }
    }
}

/// Marks the state so that its next record holds everything, and those before it may go.
pub(crate) fn compact(state: &mut State) {
    state.delta.base = true;
}

/// How large a record is, about, that holds everything.
pub(crate) fn size(state: &State) -> usize {
    let outputs = state.outputs.iter().flatten().map(|output| output.len());
    let early = state.early.iter().map(|early| early.payload.len() + early.id.len());
    let late = state.late.iter().map(|late| late.payload.len() + late.id.len());
    let seen = state.seen.iter().chain(&state.surplus).map(|id| id.len());
    let audits = state.audits.iter().map(|audit| audit.who.len() + audit.why.len() + 64);
    outputs.chain(early).chain(late).chain(seen).chain(audits).sum()
}

pub(super) fn unit_status(number: u8) -> Option<UnitStatus> {
    UnitStatus::ALL.get(usize::from(number)).copied()
}

/// One line of a saga's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) version: u64,
    pub(crate) at: Timestamp,
    pub(crate) note: Note,
    /// The units whose status this record changed, with what they became.
    pub(crate) changed: Vec<(usize, UnitStatus)>,
}

pub(super) type Bytes = Arc<[u8]>;
