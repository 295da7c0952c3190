//! From a log to a state.

use std::sync::Arc;

use super::code::{Damage, Reader, unframe};
use super::{
    BASE, Bytes, CAUSE, EARLY, Entry, FIRST, FORMAT, LATE, Note, SECOND, STUCK, SURPLUS, TRIED, unit_status,
};
use crate::machine::state::{Delta, StuckAt};
use crate::machine::{Audit, Cause, Early, Late, Phase, State, Unit, UnitStatus};
use crate::{Error, ErrorKind, Result};

/// What a log says.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) state: State,
    pub(crate) history: Vec<Entry>,
    /// How many records it has.
    pub(crate) records: usize,
}

/// Reads a log that ends with the record of this version.
///
/// # Errors
///
/// `Protocol` if it is damaged or does not end where it should; `Unsupported` if newer code wrote it.
pub(crate) fn read(log: &[u8], version: u64) -> Result<Log> {
    let damaged = |damage: Damage| {
        let kind = if damage == Damage::Newer { ErrorKind::Unsupported } else { ErrorKind::Protocol };
        Error::new(kind, format!("a record of a saga cannot be read: {}", damage.as_str()))
    };
    let log = read_all(log).map_err(damaged)?;
    if log.state.version == version { Ok(log) } else { Err(damaged(Damage::Gap)) }
}

fn read_all(log: &[u8]) -> std::result::Result<Log, Damage> {
    let mut rest = Reader(log);
    let mut found: Option<Log> = None;
    while !rest.0.is_empty() {
        let mut body = Reader(unframe(&mut rest)?);
        let header = Header::read(&mut body)?;
        let records = found.as_ref().map_or(0, |log| log.records);
        let before: Vec<_> = found.iter().flat_map(|log| &log.state.units).map(|unit| unit.status).collect();
        let mut history = found.as_mut().map(|log| std::mem::take(&mut log.history)).unwrap_or_default();
        let mut state = match found.take() {
            _ if header.flags & BASE != 0 => read_base(&mut body)?,
            Some(log) if log.state.version + 1 == header.version => log.state,
            _ => return Err(Damage::Gap),
        };
        state.version = header.version;
        read_body(&mut body, header.flags, &mut state)?;
        if !body.0.is_empty() {
            return Err(Damage::Nonsense);
        }
        state.delta = Delta {
            seen: state.seen.len(),
            surplus: state.surplus.len(),
            audits: state.audits.len(),
            ..Delta::default()
        };
        let changed = state.units.iter().enumerate().filter_map(|(unit, it)| {
            let was = before.get(unit).copied().unwrap_or(UnitStatus::Idle);
            (was != it.status).then_some((unit, it.status))
        });
        history.push(Entry {
            version: header.version,
            at: header.at,
            note: header.note,
            changed: changed.collect(),
        });
        found = Some(Log { state, history, records: records + 1 });
    }
    found.ok_or(Damage::Short)
}

struct Header {
    flags: u8,
    version: u64,
    at: pumasi_core::time::Timestamp,
    note: Note,
}

impl Header {
    fn read(body: &mut Reader<'_>) -> std::result::Result<Self, Damage> {
        let known = match body.byte()? {
            FIRST => BASE | CAUSE | STUCK | EARLY | LATE,
            SECOND => BASE | CAUSE | STUCK | EARLY | LATE | SURPLUS,
            FORMAT => BASE | CAUSE | STUCK | EARLY | LATE | SURPLUS | TRIED,
            format if format > FORMAT => return Err(Damage::Newer),
            _ => return Err(Damage::Nonsense),
        };
        let flags = body.byte()?;
        if flags & !known != 0 {
            return Err(Damage::Nonsense);
        }
        let version = body.number()?;
        let at = body.time()?;
        let note = Note::ALL.get(usize::from(body.byte()?)).copied().ok_or(Damage::Nonsense)?;
        Ok(Self { flags, version, at, note })
    }
}

fn read_base(body: &mut Reader<'_>) -> std::result::Result<State, Damage> {
    let definition = body.small()?;
    let fingerprint = body.small()?;
    let run = body.small()?;
    let units = body.count()?;
    let mut state = State::new(definition, fingerprint, units);
    state.run = run;
    Ok(state)
}

fn read_body(body: &mut Reader<'_>, flags: u8, state: &mut State) -> std::result::Result<(), Damage> {
    let units = state.units.len();
    let (phase, target) = (body.byte()?, body.index(units + 1)?);
    state.phase = match phase {
        0 => Phase::Forward,
        1 => Phase::Draining(target),
        2 => Phase::Backward(target),
        3 => Phase::Completed,
        4 => Phase::Compensated,
        _ => return Err(Damage::Nonsense),
    };
    state.stage = body.index(units + 1)?;
    for unit in &mut state.units {
        *unit = read_unit(body)?;
    }
    state.cause = None;
    if flags & CAUSE != 0 {
        let unit = body.index(units + 1)?;
        state.cause = Some(Cause { unit: unit.checked_sub(1), reason: body.text()? });
    }
    state.stuck = None;
    if flags & STUCK != 0 {
        state.stuck = Some(read_reason(body, units)?);
    }
    for _ in 0..body.count()? {
        let unit = body.index(units)?;
        let output = match body.byte()? {
            0 => None,
            1 => Some(Bytes::from(body.bytes()?)),
            _ => return Err(Damage::Nonsense),
        };
        if let Some(place) = state.outputs.get_mut(unit) {
            *place = output;
        }
    }
    for _ in 0..body.count()? {
        state.seen.push(body.text()?);
    }
    for _ in 0..body.count()? {
        let [action, who, why, step] = [body.text()?, body.text()?, body.text()?, body.text()?];
        state.audits.push(Audit { action, who, why, step, at: body.time()? });
    }
    if flags & EARLY != 0 {
        state.early.clear();
        for _ in 0..body.count()? {
            let unit = body.index(units)?;
            let id = body.text()?;
            let payload = Arc::from(body.bytes()?);
            state.early.push(Early { unit, id, payload, at: body.time()? });
        }
    }
    if flags & LATE != 0 {
        state.late.clear();
        for _ in 0..body.count()? {
            let unit = body.index(units)?;
            let id = body.text()?;
            let payload = Arc::from(body.bytes()?);
            let status = unit_status(body.byte()?).ok_or(Damage::Nonsense)?;
            let attempt = body.small()?;
            state.late.push(Late { unit, id, payload, status, attempt, at: body.moment()? });
        }
    }
    if flags & SURPLUS != 0 {
        for _ in 0..body.count()? {
            state.see_surplus(body.text()?);
        }
    }
    state.tried.clear();
    if flags & TRIED != 0 {
        for _ in 0..body.count()? {
            state.tried.push(read_reason(body, units)?);
        }
    }
    let is_there = |(at, _): &(StuckAt, _)| state.unit_at(*at).is_some();
    if state.stuck.iter().chain(&state.tried).all(is_there) { Ok(()) } else { Err(Damage::Nonsense) }
}

fn read_reason(body: &mut Reader<'_>, units: usize) -> std::result::Result<(StuckAt, Arc<str>), Damage> {
    let (kind, number) = (body.byte()?, body.index(usize::MAX)?);
    let at = match kind {
        0 if number < units => StuckAt::Forward(number),
        1 if number < units => StuckAt::Undo(number),
        2 => StuckAt::Late(number),
        _ => return Err(Damage::Nonsense),
    };
    Ok((at, body.text()?))
}

fn read_unit(body: &mut Reader<'_>) -> std::result::Result<Unit, Damage> {
    let flags = body.byte()?;
    let status = unit_status(flags & 0x0f).ok_or(Damage::Nonsense)?;
    let (mut attempt, mut round) = (u32::from(flags & 0x10 != 0), 0);
    if flags & 0x20 != 0 {
        attempt = body.small()?;
        round = body.small()?;
    }
    let at = if flags & 0x80 != 0 { Some(body.time()?) } else { None };
    Ok(Unit { status, attempt, round, unsure: flags & 0x40 != 0, at })
}
