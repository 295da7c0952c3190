//! What becomes of requests: the one place where grants are decided, for every store.

use std::collections::HashMap;
use std::sync::Arc;

use pumasi_core::time::Timestamp;

use super::{Answer, Hold, HoldState, MAX_NAME, Request, Ticket};
use crate::{Error, ErrorKind, Result};

/// A pool while its requests are carried out: its numbers, and the holds of whoever asks.
///
/// A store reads both under a lock that keeps every other writer of the pool out, lets the ledger decide, and writes
/// [`changes`](Self::changes) and the numbers back before it lets the lock go.
#[derive(Debug)]
pub(super) struct Ledger {
    /// All places.
    total: u64,
    /// Those that are held or confirmed, holds that are over not counted.
    pub(super) used: u64,
    /// The last ticket.
    pub(super) last: Ticket,
    now: Timestamp,
    /// The holds of those who ask; none of them over.
    holds: HashMap<Arc<str>, Hold>,
    changed: HashMap<Arc<str>, Option<Hold>>,
}

impl Ledger {
    /// `used` counts holds that are not over at `now`.
    pub(super) fn new(
        total: u64,
        used: u64,
        last: Ticket,
        now: Timestamp,
        holds: impl IntoIterator<Item = Hold>,
    ) -> Self {
        let holds = holds
            .into_iter()
            .filter(|hold| !hold.is_over(now))
            .map(|hold| (Arc::clone(&hold.holder), hold))
            .collect();
        Self { total, used, last, now, holds, changed: HashMap::new() }
    }

    pub(super) fn apply(&mut self, requests: &[Request]) -> Vec<Result<Answer>> {
        requests.iter().map(|request| self.decide(request)).collect()
    }

    /// What holders have now, as far as it is not what they had.
    pub(super) fn changes(self) -> impl Iterator<Item = (Arc<str>, Option<Hold>)> {
        self.changed.into_iter()
    }

    fn decide(&mut self, request: &Request) -> Result<Answer> {
        let holder = request.holder();
        check_name(holder)?;
        let hold = self.holds.get(holder).cloned();
        match (request, hold) {
            (Request::Hold { .. }, Some(hold)) => Ok(Answer::Granted(hold)),
            (Request::Hold { .. }, None) if self.used >= self.total => Ok(Answer::Full),
            (Request::Hold { ttl, .. }, None) => {
                self.used += 1;
                self.last = Ticket::new(self.last.number() + 1);
                let until = HoldState::Held(self.now.saturating_add(*ttl));
                Ok(Answer::Granted(self.keep(Hold::new(Arc::clone(holder), self.last, until))))
            }
            (Request::Confirm { .. }, Some(hold)) if hold.is_confirmed() => Ok(Answer::Granted(hold)),
            (Request::Confirm { .. }, Some(hold)) => {
                Ok(Answer::Granted(self.keep(Hold { state: HoldState::Confirmed, ..hold })))
            }
            (Request::Confirm { .. }, None) => {
                Err(Error::new(ErrorKind::Conflict, "the place is not held, or the hold is over"))
            }
            (Request::ReleaseTicket { ticket, .. }, Some(hold)) if hold.ticket != *ticket => {
                Ok(Answer::NothingHeld)
            }
            (Request::Release { .. } | Request::ReleaseTicket { .. }, Some(_)) => {
                self.used = self.used.saturating_sub(1);
                self.holds.remove(holder);
                self.changed.insert(Arc::clone(holder), None);
                Ok(Answer::Released)
            }
            (Request::Release { .. } | Request::ReleaseTicket { .. }, None) => Ok(Answer::NothingHeld),
        }
    }

    fn keep(&mut self, hold: Hold) -> Hold {
        self.holds.insert(Arc::clone(&hold.holder), hold.clone());
        self.changed.insert(Arc::clone(&hold.holder), Some(hold.clone()));
        hold
    }
}

/// Checks the name of a pool or a holder.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        let message = "the name of a pool or of a holder has 1 to 512 bytes, and no NUL";
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}

/// Returns a number of places as databases hold it.
pub(super) fn as_stored(places: u64) -> Result<i64> {
    i64::try_from(places)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, format!("a pool has at most {} places", i64::MAX)))
}

pub(super) fn no_pool() -> Error {
    Error::new(ErrorKind::NotFound, "there is no such pool of places")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Act {
        Ask(Vec<Request>),
        Pass(Duration),
        Resize(u64),
    }

    fn request() -> impl Strategy<Value = Request> {
        let holder = (0..6_u8).prop_map(|n| Arc::<str>::from(format!("참가자-{n}")));
        prop_oneof![
            5 => (holder.clone(), 1..50_u64)
                .prop_map(|(holder, ttl)| Request::Hold { holder, ttl: Duration::from_millis(ttl) }),
            2 => holder.clone().prop_map(|holder| Request::Confirm { holder }),
            1 => holder.clone().prop_map(|holder| Request::Release { holder }),
            1 => (holder, 1..20_u64).prop_map(|(holder, ticket)| Request::ReleaseTicket {
                holder,
                ticket: Ticket::new(ticket)
            }),
        ]
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            6 => proptest::collection::vec(request(), 1..8).prop_map(Act::Ask),
            3 => (1..40_u64).prop_map(|ms| Act::Pass(Duration::from_millis(ms))),
            1 => (0..6_u64).prop_map(Act::Resize),
        ]
    }

    proptest! {
        /// The ledger against a list of grants that is kept apart from it and never trusts its counters.
        #[test]
        fn grants_never_exceed_the_places(total in 0..5_u64, acts in proptest::collection::vec(act(), 1..60)) {
            let (mut total, mut last, mut now) = (total, Ticket::ZERO, Timestamp::from_micros(0));
            let mut holds: HashMap<Arc<str>, Hold> = HashMap::new();
            for act in acts {
                match act {
                    Act::Pass(time) => now = now.saturating_add(time),
                    Act::Resize(places) => total = places,
                    Act::Ask(requests) => {
                        let before = holds.values().filter(|hold| !hold.is_over(now)).count() as u64;
                        let asking = holds.values().cloned();
                        let mut ledger = Ledger::new(total, before, last, now, asking);
                        let answers = ledger.apply(&requests);
                        prop_assert!(ledger.last >= last);
                        let tickets = ledger.last.number() - last.number();
                        last = ledger.last;
                        let used = ledger.used;
                        for (holder, hold) in ledger.changes() {
                            match hold {
                                Some(hold) => holds.insert(holder, hold),
                                None => holds.remove(&holder),
                            };
                        }
                        let live: Vec<&Hold> = holds.values().filter(|hold| !hold.is_over(now)).collect();
                        prop_assert_eq!(live.len() as u64, used);
                        prop_assert!(used <= total.max(before));
                        let mut numbers: Vec<u64> = live.iter().map(|hold| hold.ticket.number()).collect();
                        numbers.sort_unstable();
                        numbers.dedup();
                        prop_assert_eq!(numbers.len(), live.len(), "a ticket was granted twice");
                        let asked = requests.iter().filter(|request| matches!(request, Request::Hold { .. }));
                        prop_assert!(tickets <= asked.count() as u64);
                        prop_assert_eq!(answers.len(), requests.len());
                    }
                }
            }
        }
    }

    #[test]
    fn a_full_pool_does_not_use_up_a_ticket() {
        let hold = |who: &str| Request::Hold { holder: who.into(), ttl: Duration::from_secs(1) };
        let mut ledger = Ledger::new(1, 0, Ticket::ZERO, Timestamp::from_micros(0), []);
        let answers = ledger.apply(&[hold("a"), hold("b")]);
        assert_eq!(answers[1].as_ref().unwrap(), &Answer::Full);
        assert_eq!(ledger.last, Ticket::new(1));
    }
}
