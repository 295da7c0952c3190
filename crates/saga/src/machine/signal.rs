//! Signals: taken by the wait that is open, kept for one that is not open yet or that they do not match, dropped if known, handed over if the saga has ended.

use std::sync::Arc;

use crate::planted::{self, Bug};

use super::{DEADLINE, Early, Phase, Reception, Turn, UnitStatus};

impl Turn<'_> {
    pub(super) fn signal(&mut self, signal: Early) -> Reception {
        let unit = signal.unit;
        if self.state.has_seen(&signal.id) {
            return Reception::Duplicate;
        }
        let it = self.state.unit(unit);
        if self.state.phase == Phase::Forward
            && it.status == UnitStatus::Waiting
            && it.at.is_some_and(|deadline| deadline < signal.at)
        {
            // The deadline passed first, although nobody had looked.
            self.not_done(unit, Arc::from(DEADLINE));
            self.drain();
            self.unwind();
        }
        match (self.state.phase, self.state.status(unit)) {
            (Phase::Forward, UnitStatus::Waiting) if self.fits(&signal) => {
                self.take(signal);
                Reception::Taken
            }
            (Phase::Completed | Phase::Compensated, _) => self.belated(unit, signal.id, signal.payload),
            _ if planted::is(Bug::DropEarlySignal) => Reception::Dropped,
            _ => {
                self.state.early.push(signal);
                self.state.delta.early = true;
                Reception::Kept
            }
        }
    }

    /// Takes what was left for a run that had ended by then.
    pub(super) fn belated(&mut self, unit: usize, id: Arc<str>, payload: Arc<[u8]>) -> Reception {
        if self.state.has_seen(&id) {
            Reception::Duplicate
        } else if self.late(unit, id, payload) {
            Reception::Late
        } else {
            Reception::Dropped
        }
    }

    /// Gives a wait that has just opened what came early for it.
    pub(super) fn look_up_early(&mut self, unit: usize) {
        if let Some(at) = self.state.early.iter().position(|early| early.unit == unit && self.fits(early)) {
            let early = self.state.early.remove(at);
            self.state.delta.early = true;
            self.take(early);
        }
    }

    /// Tells whether its wait takes a signal; it takes any where what it has to match is not recorded.
    fn fits(&self, signal: &Early) -> bool {
        let fits = self.plan.units.get(signal.unit).and_then(|unit| unit.fits.as_ref());
        let made = fits.and_then(|fits| Some((fits, self.state.output(fits.made_by?)?)));
        made.is_none_or(|(fits, made)| (fits.test)(made, &signal.payload))
    }

    fn take(&mut self, signal: Early) {
        self.state.seen.push(signal.id);
        self.done(signal.unit, Some(signal.payload));
    }
}
