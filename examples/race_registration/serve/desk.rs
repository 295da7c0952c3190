//! The partners of the service's registrations: their effects and the notes of their keys are stored together.

use std::time::Duration;

use pumasi_core::database::failed;
use pumasi_saga::barrier::{Entry, Operation};
use pumasi_saga::capacity::{Hold, HoldState, Ticket};
use pumasi_saga::{Cx, Error, ErrorKind, Outcome, Probe};
use support::database::Sql;
use support::on;
use support::sagas::Value;

use super::books::Books;
use crate::partners::{Lots, Partners};
use crate::saga::{PaymentCompleted, RegistrationKey, ShippingAddress};
use crate::steps::{Bib, Held, PaymentRef};

/// How much longer a place is held than a payment may take: by then the registration has given it back, and this is for those
/// that nobody drives.
const GRACE: Duration = Duration::from_hours(24);

/// Addresses that cannot exist (RFC 2606).
const NOWHERE: &str = ".invalid";

/// What the steps are handed.
pub(crate) struct Desk {
    pub(super) books: Books,
    /// For how long a payment may take.
    pub(super) payment: Duration,
    /// How long every partner takes to answer, so that one can see a registration move.
    pub(super) delay: Duration,
}

impl Desk {
    async fn answer_slowly(&self) {
        tokio::time::sleep(self.delay).await;
    }
}

fn undone() -> Error {
    Error::new(ErrorKind::Conflict, "it was undone before it was done")
}

impl Partners for Desk {
    async fn hold(&self, cx: &Cx<Self>, key: &RegistrationKey) -> Outcome<Held, Error> {
        self.answer_slowly().await;
        // One registration holds one place, however often it is asked for.
        let held =
            self.books.desk(&key.competition).hold(cx.saga_id().to_string(), self.payment + GRACE).await;
        match held {
            Ok(Some(hold)) => Outcome::Done(Held { ticket: hold.ticket.number() }),
            Ok(None) => Outcome::Failed(Error::new(ErrorKind::Conflict, "the race is full")),
            Err(error) => Outcome::from_error(error),
        }
    }

    async fn release(&self, cx: &Cx<Self>, key: &RegistrationKey, held: Option<Held>) -> Outcome<(), Error> {
        self.answer_slowly().await;
        let (desk, holder) = (self.books.desk(&key.competition), cx.saga_id().to_string());
        let released = match held {
            Some(Held { ticket }) => {
                desk.release_hold(&Hold::new(holder, Ticket::new(ticket), HoldState::Confirmed)).await
            }
            None => desk.release(holder).await,
        };
        released.map(|_| ()).into()
    }

    async fn start_payment(&self, cx: &Cx<Self>, key: &RegistrationKey) -> Outcome<PaymentRef, Error> {
        self.answer_slowly().await;
        let id = cx.step_key();
        let started = async {
            let race = self.books.race(&key.competition).await?;
            let insert = "INSERT INTO payments (id, race, runner, amount_krw) VALUES ($1, $2, $3, $4)";
            let values = [
                Value::Text(&id),
                Value::Text(&race.id),
                Value::Text(&key.participant),
                Value::Number(race.price_krw),
            ];
            match self.books.database.once(&id, Operation::Do, Sql::both(insert), &values).await? {
                Entry::TooLate => Err(undone()),
                _ => Ok(()),
            }
        };
        Outcome::from(started.await).map(|()| PaymentRef(id.clone()))
    }

    async fn payment(&self, cx: &Cx<Self>) -> Probe<PaymentRef> {
        match self.books.payment(&cx.step_key()).await {
            Ok(Some(payment)) => Probe::Happened(PaymentRef(payment.id)),
            Ok(None) => Probe::DidNotHappen,
            Err(_) => Probe::CannotTell,
        }
    }

    async fn cancel_payment(&self, cx: &Cx<Self>, _: &RegistrationKey) -> Outcome<(), Error> {
        self.answer_slowly().await;
        let id = cx.step_key();
        let cancel = Sql::both(include_str!("sql/cancel_payment.sql"));
        self.books.database.once(&id, Operation::Undo, cancel, &[Value::Text(&id)]).await.map(|_| ()).into()
    }

    async fn refund(&self, _: &Cx<Self>, paid: &PaymentCompleted) -> Outcome<(), Error> {
        let refund = "UPDATE payments SET refunded = TRUE WHERE id = $1";
        let refunded = on!(&self.books.database, pool => {
            sqlx::query(refund).bind(&paid.payment).execute(pool).await.map(drop)
        });
        refunded.map_err(|error| failed("refunding a payment", error)).into()
    }

    async fn check(
        &self,
        key: &RegistrationKey,
        PaymentRef(payment): &PaymentRef,
        paid: &PaymentCompleted,
    ) -> Outcome<(), Error> {
        self.answer_slowly().await;
        let checked = async {
            let refuse = |why: &'static str| Err(Error::new(ErrorKind::Refused, why));
            let asked = self.books.payment(payment).await?;
            let amount = asked.and_then(|asked| u64::try_from(asked.amount_krw).ok());
            if *payment != paid.payment || amount != Some(paid.amount_krw) {
                return refuse("something else was paid than was asked for");
            }
            if self.books.is_barred(&key.competition, &key.participant).await? {
                return refuse("not eligible");
            }
            Ok(())
        };
        checked.await.into()
    }

    async fn confirm(&self, cx: &Cx<Self>, key: &RegistrationKey, _: &Held) -> Outcome<Bib, Error> {
        self.answer_slowly().await;
        let confirmed = self.books.desk(&key.competition).confirm(cx.saga_id().to_string()).await;
        Outcome::from(confirmed).map(|hold| Bib(hold.ticket.number()))
    }

    async fn is_confirmed(&self, cx: &Cx<Self>, key: &RegistrationKey, held: &Held) -> Probe<Bib> {
        let before = Ticket::new(held.ticket.saturating_sub(1));
        match self.books.desk(&key.competition).holds(before, 1).await {
            Ok(holds) => match holds.first().filter(|hold| *hold.holder == cx.saga_id().to_string()) {
                Some(hold) if hold.is_confirmed() => Probe::Happened(Bib(hold.ticket.number())),
                _ => Probe::DidNotHappen,
            },
            Err(_) => Probe::CannotTell,
        }
    }

    async fn tell(
        &self,
        cx: &Cx<Self>,
        key: &RegistrationKey,
        address: &ShippingAddress,
        bib: &Bib,
    ) -> Outcome<(), Error> {
        self.answer_slowly().await;
        let email = address.email.as_deref();
        if email.is_some_and(|email| email.trim_end().ends_with(NOWHERE)) {
            return Outcome::Failed(Error::new(ErrorKind::Refused, "the mailbox does not exist"));
        }
        let id = cx.step_key();
        let insert = "INSERT INTO messages (id, race, runner, email, bib) VALUES ($1, $2, $3, $4, $5)";
        let values = [
            Value::Text(&id),
            Value::Text(&key.competition),
            Value::Text(&key.participant),
            Value::Maybe(email),
            Value::Number(i64::try_from(bib.0).unwrap_or(i64::MAX)),
        ];
        self.books.database.once(&id, Operation::Do, Sql::both(insert), &values).await.map(|_| ()).into()
    }
}

impl Lots for Desk {
    async fn enter(&self, cx: &Cx<Self>, key: &RegistrationKey) -> Outcome<(), Error> {
        let id = cx.step_key();
        let registration = cx.saga_id().to_string();
        let enter =
            Sql { sqlite: include_str!("sql/enter.sql"), postgres: include_str!("sql/enter.postgres.sql") };
        let values = [Value::Text(&key.competition), Value::Text(&registration)];
        let entered = async {
            if self.books.database.once(&id, Operation::Do, enter, &values).await? == Entry::TooLate {
                return Err(undone());
            }
            // Whoever came too late for the draw is told so however often it is asked.
            if self.books.has_entered(&key.competition, &registration).await? {
                return self.books.take_turn(&key.competition, &registration).await;
            }
            Err(Error::new(ErrorKind::Conflict, "the lots are drawn already"))
        };
        entered.await.into()
    }

    async fn leave(&self, cx: &Cx<Self>, key: &RegistrationKey) -> Outcome<(), Error> {
        let id = cx.step_key();
        let registration = cx.saga_id().to_string();
        let leave =
            Sql { sqlite: include_str!("sql/leave.sql"), postgres: include_str!("sql/leave.postgres.sql") };
        let values = [Value::Text(&key.competition), Value::Text(&registration)];
        let left = async {
            self.books.database.once(&id, Operation::Undo, leave, &values).await?;
            self.books.leave_turn(&id, &key.competition, &registration).await
        };
        left.await.into()
    }
}
