//! Calling up: whose turn it is by a draw is told so, and a place that comes free goes to the next.
//!
//! How far that is, the books remember: a draw that is finished is left alone, and one that was interrupted goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use pumasi_core::database::failed;
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_saga::Signal;
use pumasi_saga::barrier::Operation;
use pumasi_saga::store::{SagaStore as _, Status};
use support::database::{Database, Sql};
use support::on;
use support::sagas::Value;

use super::Service;
use super::books::Books;
use crate::saga::{Drawn, RegistrationKey};

/// How often it is looked for what another process left, or an error kept from being told.
const CALLING: Duration = Duration::from_mins(1);
/// How long after an error it is tried again.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);
/// How many are told at once.
const AT_ONCE: usize = 8;
/// How many turns are read at once.
const PAGE: i64 = 500;

/// A race whose entrants have to be called up: its identifier, its places, and for which call; `None` if its turns are not laid out.
type Called = (String, i64, Option<i64>);

/// An entrant whose turn it is.
struct Turn {
    place: i64,
    registration: String,
    run: i64,
}

/// What became of a turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Called,
    /// The registration was undone: the place goes to the next.
    Gone,
}

impl Service {
    /// Goes on with every draw that is not finished: at the start, whenever one is drawn or a place comes free, and every minute.
    pub(super) async fn call_up_the_next(self: Arc<Self>) {
        while !self.shutdown.is_triggered() {
            let pause = match self.call_up_all().await {
                Ok(true) => CALLING,
                Ok(false) => AFTER_TROUBLE,
                Err(error) => {
                    tracing::error!(error = %error, "entrants could not be called up");
                    AFTER_TROUBLE
                }
            };
            tokio::select! {
                () = self.books.calls.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = self.shutdown.triggered() => {}
            }
        }
    }

    /// Returns whether everybody was told.
    async fn call_up_all(&self) -> Result<bool> {
        let mut is_complete = true;
        for (race, places, due) in self.books.called_for().await? {
            is_complete &= self.call_up(&race, places, due).await.unwrap_or_else(|error| {
                tracing::error!(error = %error, race, "entrants could not be called up");
                false
            });
        }
        Ok(is_complete)
    }

    /// Calls up the first in the order of the draw, as many as there are places, those left out whose registration was undone.
    ///
    /// Returns whether everybody was told.
    async fn call_up(&self, race: &str, places: i64, due: Option<i64>) -> Result<bool> {
        let due = match due {
            Some(due) => due,
            None => self.books.lay_out(race).await?,
        };
        let mut is_complete = true;
        // Again for as long as somebody is gone, whose place the next has.
        loop {
            let (mut after, mut somebody_is_gone) = (0, false);
            loop {
                let turns = self.books.turns(race, places, after).await?;
                let Some(last) = turns.last() else { break };
                after = last.place;
                let wanted = turns.len();
                let told: Vec<_> = stream::iter(turns)
                    .take_until(self.shutdown.triggered())
                    .map(|turn| async move {
                        self.tell(race, &turn).await.map(|fate| (fate, turn.run, turn.place))
                    })
                    .buffer_unordered(AT_ONCE)
                    .collect()
                    .await;
                let is_stopped = told.len() < wanted;
                let mut fates: BTreeMap<(Fate, i64), Vec<i64>> = BTreeMap::new();
                for fate in told {
                    match fate {
                        Ok((fate, run, place)) => fates.entry((fate, run)).or_default().push(place),
                        Err(_) => is_complete = false,
                    }
                }
                for ((fate, run), places) in fates {
                    somebody_is_gone |= fate == Fate::Gone;
                    self.books.note(race, fate, run, &places).await?;
                }
                if is_stopped {
                    return Ok(false);
                }
            }
            if !somebody_is_gone {
                break;
            }
        }
        if is_complete {
            self.books.call_is_done(race, due).await?;
        }
        Ok(is_complete)
    }

    /// Tells an entrant that it is their turn; who was told before is told nothing new.
    async fn tell(&self, race: &str, turn: &Turn) -> Result<Fate> {
        let told = async {
            let Some(stored) = self.store.load(turn.registration.parse()?).await? else {
                return Ok(Fate::Gone);
            };
            if matches!(stored.head.status, Status::Compensating | Status::Compensated) {
                return Ok(Fate::Gone);
            }
            let key: RegistrationKey = serde_json::from_str(&stored.head.key)
                .map_err(|_| Error::new(ErrorKind::Storage, "the key of a registration cannot be read"))?;
            let rank = usize::try_from(turn.place).unwrap_or_default();
            self.lotteries.signal(&key, Signal::from(Drawn { rank })).await?;
            Ok(Fate::Called)
        };
        told.await.inspect_err(|error: &Error| {
            tracing::error!(error = %error, race, registration = turn.registration, "an entrant could not be called up");
        })
    }
}

impl Books {
    /// Lists the races whose entrants have to be called up.
    async fn called_for(&self) -> Result<Vec<Called>> {
        let query = include_str!("sql/called_for.sql");
        on!(&self.database, pool => sqlx::query_as(query).fetch_all(pool).await)
            .map_err(|error| failed("looking for draws", error))
    }

    /// Lays out the turns of a draw, once, and returns for which call.
    async fn lay_out(&self, race: &str) -> Result<i64> {
        let failed = |error| failed("laying out a draw", error);
        let Some(draw) = self.race(race).await?.draw()? else { return Ok(0) };
        let order: Vec<&str> = draw.winners.iter().chain(&draw.waiting).map(|name| &**name).collect();
        let order = serde_json::to_string(&order)
            .map_err(|_| Error::new(ErrorKind::Other, "a draw cannot be written as JSON"))?;
        let call = "INSERT INTO calls (race) VALUES ($1) ON CONFLICT DO NOTHING";
        let lay_out = Sql {
            sqlite: include_str!("sql/lay_out.sql"),
            postgres: include_str!("sql/lay_out.postgres.sql"),
        };
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(failed)?;
            let called = sqlx::query(call).bind(race).execute(&mut *transaction).await.map_err(failed)?;
            if called.rows_affected() > 0 {
                let turns = sqlx::query(lay_out.to(&self.database)).bind(race).bind(order);
                turns.execute(&mut *transaction).await.map_err(failed)?;
            }
            transaction.commit().await.map_err(failed)?;
        });
        Ok(1)
    }

    /// Lists whose turn it is and who was not told, after a place.
    async fn turns(&self, race: &str, places: i64, after: i64) -> Result<Vec<Turn>> {
        let query = include_str!("sql/turns.sql");
        let rows: Vec<(i64, String, i64)> = on!(&self.database, pool => {
            sqlx::query_as(query).bind(race).bind(places).bind(after).bind(PAGE).fetch_all(pool).await
        })
        .map_err(|error| failed("reading the turns of a draw", error))?;
        let turn = |(place, registration, run)| Turn { place, registration, run };
        Ok(rows.into_iter().map(turn).collect())
    }

    /// Notes what became of turns, but not of those of a registration that was begun anew meanwhile.
    async fn note(&self, race: &str, fate: Fate, run: i64, places: &[i64]) -> Result<()> {
        let update = match (fate, &self.database) {
            (Fate::Called, Database::Sqlite(_)) => {
                "UPDATE turns SET called = TRUE WHERE race = $1 AND run = $2 AND place IN (SELECT value FROM json_each($3))"
            }
            (Fate::Gone, Database::Sqlite(_)) => {
                "UPDATE turns SET gone = TRUE WHERE race = $1 AND run = $2 AND place IN (SELECT value FROM json_each($3))"
            }
            #[cfg(feature = "postgres")]
            (Fate::Called, Database::Postgres(_)) => {
                "UPDATE turns SET called = TRUE WHERE race = $1 AND run = $2 \
                 AND place IN (SELECT jsonb_array_elements_text($3::jsonb)::bigint)"
            }
            #[cfg(feature = "postgres")]
            (Fate::Gone, Database::Postgres(_)) => {
                "UPDATE turns SET gone = TRUE WHERE race = $1 AND run = $2 \
                 AND place IN (SELECT jsonb_array_elements_text($3::jsonb)::bigint)"
            }
        };
        let places = serde_json::json!(places).to_string();
        on!(&self.database, pool => {
            sqlx::query(update).bind(race).bind(run).bind(places).execute(pool).await.map(drop)
        })
        .map_err(|error| failed("noting who was called up", error))
    }

    async fn call_is_done(&self, race: &str, due: i64) -> Result<()> {
        let update = "UPDATE calls SET done = $2 WHERE race = $1 AND done < $2";
        on!(&self.database, pool => sqlx::query(update).bind(race).bind(due).execute(pool).await.map(drop))
            .map_err(|error| failed("noting that a draw is finished", error))
    }

    /// Gives the turn of a registration that is undone to the next, once under a key.
    pub(super) async fn leave_turn(&self, key: &str, race: &str, registration: &str) -> Result<()> {
        let update = Sql::both("UPDATE turns SET gone = TRUE WHERE race = $1 AND registration = $2");
        let values = [Value::Text(race), Value::Text(registration)];
        self.database.once(&format!("{key} turn"), Operation::Do, update, &values).await?;
        self.call_again(race).await
    }

    /// Gives a registration that was begun anew the turn back that it drew.
    pub(super) async fn take_turn(&self, race: &str, registration: &str) -> Result<()> {
        let update = "UPDATE turns SET gone = FALSE, called = FALSE, run = run + 1 WHERE race = $1 AND registration = $2";
        on!(&self.database, pool => sqlx::query(update).bind(race).bind(registration).execute(pool).await.map(drop))
            .map_err(|error| failed("taking a turn", error))?;
        self.call_again(race).await
    }

    async fn call_again(&self, race: &str) -> Result<()> {
        let update = "UPDATE calls SET due = due + 1 WHERE race = $1";
        let done = on!(&self.database, pool => {
            sqlx::query(update).bind(race).execute(pool).await.map(|done| done.rows_affected())
        })
        .map_err(|error| failed("asking for the next of a draw", error))?;
        if done > 0 {
            self.calls.notify_one();
        }
        Ok(())
    }
}
