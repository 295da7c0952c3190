//! Steps in the store's own transaction, one that can be undone and one that is the pivot.

use pumasi_saga::store::MemoryTransaction;
use pumasi_saga::{CompensateTransaction, TransactionStep};

use super::*;

#[derive(Debug, Serialize, Deserialize)]
pub struct Booked(u64);

#[derive(Debug)]
pub struct Book;

impl TransactionStep<Bank, MemoryTransaction> for Book {
    type In = (u64,);
    type Out = Booked;
    type Error = &'static str;

    async fn run(
        &self,
        cx: &Cx<Bank>,
        transaction: &mut MemoryTransaction,
        (order,): (u64,),
    ) -> Outcome<Booked, &'static str> {
        let row = cx.clone();
        transaction.write(move || row.app().insert(&row));
        Outcome::Done(Booked(order))
    }
}

#[derive(Debug)]
pub struct Unbook;

impl CompensateTransaction<Bank, MemoryTransaction, Book> for Unbook {
    type Error = &'static str;

    async fn undo(
        &self,
        cx: &Cx<Bank>,
        transaction: &mut MemoryTransaction,
        (order,): (u64,),
        Booked(booked): Booked,
    ) -> Outcome<(), &'static str> {
        assert_eq!(order, booked, "a compensation is told what its step made");
        let row = cx.clone();
        transaction.write(move || row.app().delete(&row));
        Outcome::Done(())
    }
}

at_the_bank!(Pay / PayBack: (Booked) -> PaidFor);

#[derive(Debug, Serialize, Deserialize)]
pub struct Issued(String);

#[derive(Debug)]
pub struct Issue;

impl TransactionStep<Bank, MemoryTransaction> for Issue {
    type In = (PaidFor,);
    type Out = Issued;
    type Error = &'static str;

    async fn run(
        &self,
        cx: &Cx<Bank>,
        transaction: &mut MemoryTransaction,
        _: (PaidFor,),
    ) -> Outcome<Issued, &'static str> {
        let row = cx.clone();
        transaction.write(move || row.app().insert(&row));
        tell(cx);
        Outcome::Done(Issued(cx.step_key()))
    }
}

/// A ticket: its row and its event are committed with their records.
#[derive(Debug)]
pub struct Ticket;

impl Scenario for Ticket {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        Saga::<u64, Bank>::new("ticket", 1)
            .step_tx::<_, MemoryTransaction, _>(Book)
            .compensate_tx(Unbook)
            .step(Pay)
            .compensate(PayBack)
            .pivot_tx::<_, MemoryTransaction, _>(Issue)
            .build()
    }

    fn key(&self) -> u64 {
        7
    }

    fn check(&self, bank: &Bank, ending: &Ending) -> std::result::Result<(), String> {
        told_of("issue", bank, ending)
    }
}
