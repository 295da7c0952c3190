//! What is sent to a saga, in which order, and how it comes to its waits.

use std::collections::BTreeSet;

use super::Scenario;
use super::fault::{Arrival, Fault, Injector, Point};
use super::run::World;
use crate::definition::UnitKind;
use crate::engine::Signal;
use crate::machine::{Phase, UnitStatus};
use crate::store::SagaId;

/// A signal that is sent, perhaps not for the first time.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) signal: Signal,
    is_again: bool,
}

/// What is sent.
pub(super) struct Script {
    /// In this order; `None` starts the saga and brings it nothing.
    pub(super) first: Vec<Option<Sent>>,
    /// When nothing else happens any more.
    pub(super) last: Vec<Sent>,
}

impl Script {
    /// Puts the answers in order, as the schedule has it: in a random run perhaps twice, and perhaps not in order.
    pub(super) fn of(answers: Vec<Signal>, begins_with_wait: bool, injector: &Injector) -> Self {
        let mut script = Self { first: Vec::new(), last: Vec::new() };
        let (mut early, mut held_back) = (0, BTreeSet::new());
        for signal in answers {
            let sent = Sent { signal, is_again: false };
            let fault = injector.strike_sender(Point::Send(sent.signal.name().to_owned()));
            match fault {
                Some(Fault::Early) => {
                    script.first.insert(early, Some(sent));
                    early += 1;
                }
                Some(Fault::Late) => {
                    held_back.insert(sent.signal.name().to_owned());
                    script.last.push(sent);
                }
                Some(Fault::Twice) => {
                    let again = Sent { is_again: true, ..sent.clone() };
                    script.first.extend([Some(sent), Some(again)]);
                }
                // Another one for the same wait would take its place.
                _ if held_back.contains(sent.signal.name()) => script.last.push(sent),
                _ => script.first.push(Some(sent)),
            }
        }
        // What begins with a step comes to its first wait before that is answered.
        if script.first.is_empty() || !begins_with_wait {
            script.first.insert(early, None);
        }
        if injector.is_random() {
            script.shuffle(injector);
        }
        script
    }

    fn shuffle(&mut self, injector: &Injector) {
        let script = &mut self.first;
        for _ in 0..injector.draw(3) {
            let twice = script.get(injector.draw(script.len())).cloned().flatten();
            script.insert(injector.draw(script.len() + 1), twice);
        }
        for _ in 0..injector.draw(3) {
            let (one, other) = (injector.draw(script.len()), injector.draw(script.len()));
            script.swap(one, other);
        }
        let mut sent: Vec<String> = Vec::new();
        for again in script.iter_mut().flatten() {
            let name = format!("{:?}", again.signal);
            again.is_again = sent.contains(&name);
            sent.push(name);
        }
    }
}

impl<S: Scenario> World<'_, S> {
    /// Notes how a signal comes to its wait, by where the saga stands when it is sent.
    pub(super) fn note_arrival(&self, id: SagaId, sent: &Sent) {
        let name = sent.signal.name();
        let Some(plan) = self.plans.first() else { return };
        let wait = plan.units.iter().position(|unit| unit.kind == UnitKind::Wait && *unit.name == *name);
        let Some(wait) = wait else { return };
        let is_first = plan.units.get(wait).is_some_and(|unit| unit.stage == 0);
        let arrival = match self.state(id) {
            _ if sent.is_again => Arrival::Twice,
            None if self.injector.forgotten(id).is_some() => return,
            None if is_first => Arrival::InTime,
            None => Arrival::Early,
            Some(state) => match (state.phase, state.status(wait)) {
                (Phase::Forward, UnitStatus::Waiting) => Arrival::InTime,
                (Phase::Forward, UnitStatus::Idle) => Arrival::Early,
                _ => Arrival::Late,
            },
        };
        self.injector.arrived(name, arrival);
    }
}
