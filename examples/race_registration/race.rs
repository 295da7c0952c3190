//! The story's partners: places, payments and messages, each with the keys it has seen. In memory, or in a file that outlives
//! whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pumasi_saga::barrier::{Entry, MemoryBarrier, Operation};
use pumasi_saga::{Cx, Error, ErrorKind, Outcome, Probe};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::partners::Partners;
use crate::saga::{PaymentCompleted, RegistrationKey, ShippingAddress};
use crate::steps::{Bib, Held, PaymentRef};

#[derive(Clone)]
pub(crate) struct Race {
    books: Arc<Mutex<Books>>,
    file: Option<PathBuf>,
    silence: Arc<Notify>,
}

#[derive(Default, Serialize, Deserialize)]
struct Books {
    places: usize,
    barrier: MemoryBarrier,
    held: BTreeMap<String, u64>,
    payments: BTreeMap<String, String>,
    confirmed: BTreeSet<String>,
    barred: BTreeSet<String>,
    refunds: BTreeSet<String>,
    last_ticket: u64,
    falls_silent: bool,
    ledger: Vec<String>,
}

impl Race {
    pub(crate) fn new(places: usize) -> Self {
        let books = Books { places, ..Books::default() };
        Self { books: Arc::new(Mutex::new(books)), file: None, silence: Arc::default() }
    }

    /// Opens the books in a file; new ones, with one place, where there is none.
    pub(crate) fn open(file: &Path) -> std::io::Result<Self> {
        let books = match std::fs::read(file) {
            Ok(json) => serde_json::from_slice(&json)?,
            Err(_) => Books { places: 1, ..Books::default() },
        };
        let books = Arc::new(Mutex::new(books));
        Ok(Self { books, file: Some(file.to_owned()), silence: Arc::default() })
    }

    /// Does something to the books: an effect and the note of its key are stored together.
    fn with<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = change(&mut books);
        if let Some(file) = &self.file {
            let json = serde_json::to_vec(&*books).unwrap_or_default();
            let beside = file.with_extension("new");
            if let Err(error) = std::fs::write(&beside, json).and_then(|()| std::fs::rename(beside, file)) {
                eprintln!("the partners' books could not be stored: {error}");
            }
        }
        answer
    }

    /// Holds a place; the same key gets the same ticket.
    fn hold(&self, key: &str, participant: &str) -> Option<u64> {
        self.with(|books| {
            if !books.held.contains_key(key) && books.held.len() >= books.places {
                return None;
            }
            if books.barrier.enter(key, Operation::Do) == Entry::First {
                books.last_ticket += 1;
                let ticket = books.last_ticket;
                books.held.insert(key.to_owned(), ticket);
                books.ledger.push(format!("place {ticket} held for {participant}"));
            }
            books.held.get(key).copied()
        })
    }

    fn release(&self, key: &str, participant: &str) {
        self.with(|books| {
            if books.barrier.enter(key, Operation::Undo) == Entry::First
                && let Some(ticket) = books.held.remove(key)
            {
                books.ledger.push(format!("place {ticket} of {participant} released"));
            }
        });
    }

    /// Starts a payment, and perhaps never answers.
    async fn start_payment(&self, key: &str, participant: &str) -> String {
        let (payment, falls_silent) = self.with(|books| {
            if books.barrier.enter(key, Operation::Do) == Entry::First {
                let payment = format!("pay-{}", books.payments.len() + 1);
                books.ledger.push(format!("payment {payment} started for {participant}"));
                books.payments.insert(key.to_owned(), payment);
            }
            let payment = books.payments.get(key).cloned().unwrap_or_default();
            (payment, std::mem::take(&mut books.falls_silent))
        });
        if falls_silent {
            self.silence.notify_one();
            std::future::pending::<()>().await;
        }
        payment
    }

    fn payment(&self, key: &str) -> Option<String> {
        self.with(|books| books.payments.get(key).cloned())
    }

    fn cancel_payment(&self, key: &str, participant: &str) {
        self.with(|books| {
            if books.barrier.enter(key, Operation::Undo) == Entry::First
                && let Some(payment) = books.payments.get(key).cloned()
            {
                books
                    .ledger
                    .push(format!("payment {payment} of {participant} cancelled; what was paid goes back"));
            }
        });
    }

    fn refund(&self, key: &str, amount_krw: u64) {
        self.with(|books| {
            if books.refunds.insert(key.to_owned()) {
                books.ledger.push(format!("{amount_krw} won refunded"));
            }
        });
    }

    fn confirm(&self, key: &str, participant: &str, ticket: u64) {
        self.with(|books| {
            if books.confirmed.insert(key.to_owned()) {
                books.ledger.push(format!("{participant} confirmed with bib {ticket}"));
            }
        });
    }

    fn is_confirmed(&self, key: &str) -> bool {
        self.with(|books| books.confirmed.contains(key))
    }

    fn tell(&self, key: &str, participant: &str, bib: u64) {
        self.with(|books| {
            if books.barrier.enter(key, Operation::Do) == Entry::First {
                books.ledger.push(format!("{participant} told of bib {bib}"));
            }
        });
    }

    pub(crate) fn bar(&self, participant: &str) {
        self.with(|books| books.barred.insert(participant.to_owned()));
    }

    fn is_barred(&self, participant: &str) -> bool {
        self.with(|books| books.barred.contains(participant))
    }

    /// The next payment is started, and its answer never comes.
    pub(crate) fn fall_silent_after_payment(&self) {
        self.with(|books| books.falls_silent = true);
    }

    /// Waits until a payment was started and not answered.
    pub(crate) async fn silence(&self) {
        self.silence.notified().await;
    }

    /// Prints what happened since the last time.
    pub(crate) fn print(&self) {
        for line in self.with(|books| std::mem::take(&mut books.ledger)) {
            support::say!("    {line}");
        }
    }
}

impl Partners for Race {
    async fn hold(&self, cx: &Cx<Self>, key: &RegistrationKey) -> Outcome<Held, Error> {
        match Self::hold(self, &cx.step_key(), &key.participant) {
            Some(ticket) => Outcome::Done(Held { ticket }),
            None => Outcome::Failed(Error::new(ErrorKind::Conflict, "the race is full")),
        }
    }

    async fn release(&self, cx: &Cx<Self>, key: &RegistrationKey, _: Option<Held>) -> Outcome<(), Error> {
        Self::release(self, &cx.step_key(), &key.participant);
        Outcome::Done(())
    }

    async fn start_payment(&self, cx: &Cx<Self>, key: &RegistrationKey) -> Outcome<PaymentRef, Error> {
        Outcome::Done(PaymentRef(Self::start_payment(self, &cx.step_key(), &key.participant).await))
    }

    async fn payment(&self, cx: &Cx<Self>) -> Probe<PaymentRef> {
        match Self::payment(self, &cx.step_key()) {
            Some(payment) => Probe::Happened(PaymentRef(payment)),
            None => Probe::DidNotHappen,
        }
    }

    async fn cancel_payment(&self, cx: &Cx<Self>, key: &RegistrationKey) -> Outcome<(), Error> {
        Self::cancel_payment(self, &cx.step_key(), &key.participant);
        Outcome::Done(())
    }

    async fn refund(&self, cx: &Cx<Self>, paid: &PaymentCompleted) -> Outcome<(), Error> {
        Self::refund(self, &cx.idempotency_key(), paid.amount_krw);
        Outcome::Done(())
    }

    async fn check(&self, key: &RegistrationKey, _: &PaymentRef, _: &PaymentCompleted) -> Outcome<(), Error> {
        if self.is_barred(&key.participant) {
            Outcome::Failed(Error::new(ErrorKind::Refused, "not eligible"))
        } else {
            Outcome::Done(())
        }
    }

    async fn confirm(&self, cx: &Cx<Self>, key: &RegistrationKey, held: &Held) -> Outcome<Bib, Error> {
        Self::confirm(self, &cx.step_key(), &key.participant, held.ticket);
        Outcome::Done(Bib(held.ticket))
    }

    async fn is_confirmed(&self, cx: &Cx<Self>, _: &RegistrationKey, held: &Held) -> Probe<Bib> {
        if Self::is_confirmed(self, &cx.step_key()) {
            Probe::Happened(Bib(held.ticket))
        } else {
            Probe::DidNotHappen
        }
    }

    async fn tell(
        &self,
        cx: &Cx<Self>,
        key: &RegistrationKey,
        _: &ShippingAddress,
        bib: &Bib,
    ) -> Outcome<(), Error> {
        Self::tell(self, &cx.step_key(), &key.participant, bib.0);
        Outcome::Done(())
    }
}
