//! What is to be written, and what came of it.

use std::time::Duration;

use futures_util::FutureExt as _;
use pumasi_core::event::{Envelope, EventId, State};
use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result, Retry};
use support::database::Connection;
use support::once::Keyed;
use support::{on, within};

use super::{Kept, KeptEdit, NO_SUCH, Proposal, Store, WORK, Work, conflict, keeping, written};
use crate::evidence::Source;
use crate::resume::Resume;

/// The most résumés of one person, those that failed among them.
const MOST: i64 = 20;
/// The most instructions for one résumé that are under way at once.
const MOST_UNDER_WAY: i64 = 5;
const DAY: Duration = Duration::from_hours(24);

impl Store {
    /// Adds a résumé that is to be written, once for each request, and returns its name.
    pub(crate) async fn add(&self, keyed: &Keyed, new: Kept) -> Result<String> {
        let store = self.clone();
        let added = self
            .once
            .run(keyed, move |connection| async move { store.insert_resume(connection, new).await }.boxed());
        Ok(added.await?.value)
    }

    async fn insert_resume(&self, mut connection: Connection<'_>, new: Kept) -> Result<String> {
        self.count(&mut connection, &new.owner, new.at).await?;
        let insert = "INSERT INTO resumes (id, owner, account, language, state, version, at) \
            SELECT $1, $2, $3, $4, 'pending', 0, $5 WHERE (SELECT count(*) FROM resumes WHERE owner = $2) < $6";
        let added = within!(&mut connection, open => sqlx::query(insert)
            .bind(&new.id)
            .bind(&new.owner)
            .bind(&new.account)
            .bind(&new.language)
            .bind(new.at)
            .bind(MOST)
            .execute(&mut **open)
            .await
            .map(|done| done.rows_affected()));
        if added.map_err(keeping)? == 0 {
            let message = format!(
                "you have {MOST} résumés, as many as one person keeps, those that failed among them: delete one first"
            );
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let event = Envelope::new(WORK, &new.id, State::Created, 0)
            .with_id(EventId::named("resume", &new.id))
            .with_payload(&Work { edit: None })?;
        self.outbox.write(connection, &[event]).await?;
        Ok(new.id)
    }

    /// Counts what somebody has the model write, within the transaction of what it is for: in no 24 hours is more let through than a
    /// person may have written in a day.
    async fn count(&self, connection: &mut Connection<'_>, person: &str, now: i64) -> Result<()> {
        let day = i64::try_from(DAY.as_micros()).unwrap_or(i64::MAX);
        // Held by one at a time, so that no two count the same.
        let hold = "INSERT INTO writers (person, at) VALUES ($1, $2) ON CONFLICT (person) DO UPDATE SET at = excluded.at";
        let forget = "DELETE FROM writings WHERE person = $1 AND at <= $2";
        // The last that fills the day, if it is full: when that is a day old, another is let through.
        let look = "SELECT at FROM writings WHERE person = $1 ORDER BY at DESC LIMIT 1 OFFSET $2";
        let insert = "INSERT INTO writings (person, at) VALUES ($1, $2)";
        let before = i64::from(self.writings_a_day.get()) - 1;
        let filled: Option<i64> = within!(connection, open => {
            sqlx::query(hold).bind(person).bind(now).execute(&mut **open).await.map_err(keeping)?;
            sqlx::query(forget).bind(person).bind(now.saturating_sub(day)).execute(&mut **open).await.map_err(keeping)?;
            let filled = sqlx::query_scalar(look).bind(person).bind(before).fetch_optional(&mut **open).await;
            let filled = filled.map_err(keeping)?;
            if filled.is_none() {
                sqlx::query(insert).bind(person).bind(now).execute(&mut **open).await.map_err(keeping)?;
            }
            filled
        });
        let Some(filled) = filled else { return Ok(()) };
        let wait = filled.saturating_add(day).saturating_sub(now);
        let message = format!(
            "you have had as much written as one person may within 24 hours: {} at most, of résumés, retries and instructions",
            self.writings_a_day,
        );
        // Whole seconds, so that whoever comes back then is not told to wait again.
        let wait = Duration::from_secs(Duration::from_micros(u64::try_from(wait).unwrap_or(0)).as_secs() + 1);
        Err(Error::new(ErrorKind::RateLimited, message).with_retry(Retry::After(wait)))
    }

    /// Keeps what was written, unless that was done before.
    pub(crate) async fn write(&self, id: &str, resume: &Resume, sources: &[Source]) -> Result<()> {
        let query = "UPDATE resumes SET state = 'ready', version = 1, body = $2, sources = $3 WHERE id = $1 AND state = 'pending'";
        let (body, sources) = (written(resume)?, written(&sources)?);
        on!(&self.database, pool => {
            sqlx::query(query).bind(id).bind(body).bind(sources).execute(pool).await.map(drop)
        })
        .map_err(keeping)
    }

    /// Notes why a résumé, or an edit, came to nothing.
    pub(crate) async fn fail(&self, resume: &str, edit: Option<&str>, why: &str) -> Result<()> {
        let (query, id) = match edit {
            None => (
                "UPDATE resumes SET state = 'failed', failure = $2 WHERE id = $1 AND state = 'pending'",
                resume,
            ),
            Some(edit) => {
                ("UPDATE edits SET state = 'failed', failure = $2 WHERE id = $1 AND state = 'pending'", edit)
            }
        };
        on!(&self.database, pool => sqlx::query(query).bind(id).bind(why).execute(pool).await.map(drop))
            .map_err(keeping)
    }

    /// Has a résumé whose writing has failed written anew; one that is being written is left at that.
    pub(crate) async fn retry(&self, kept: &Kept, now: Timestamp) -> Result<()> {
        let event = Envelope::new(WORK, &kept.id, State::Updated, 0).with_payload(&Work { edit: None })?;
        let begin_anew =
            "UPDATE resumes SET state = 'pending', failure = NULL WHERE id = $1 AND state = 'failed'";
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(keeping)?;
            let begun = sqlx::query(begin_anew).bind(&kept.id).execute(&mut *transaction).await.map_err(keeping)?;
            if begun.rows_affected() > 0 {
                self.count(&mut (&mut *transaction).into(), &kept.owner, now.as_micros()).await?;
                self.outbox.write(&mut *transaction, &[event]).await?;
                return transaction.commit().await.map_err(keeping);
            }
        });
        match self.get(&kept.id).await? {
            Some(kept) if kept.state == "ready" => Err(conflict("the résumé is written")),
            _ => Ok(()),
        }
    }

    /// Takes an instruction for a version of a résumé, once for each request, and returns its name.
    pub(crate) async fn instruct(&self, keyed: &Keyed, owner: &str, edit: KeptEdit) -> Result<String> {
        let (store, owner, resume) = (self.clone(), owner.to_owned(), edit.resume.clone());
        let given = self.once.run(keyed, move |connection| {
            async move { store.insert_edit(connection, &owner, edit).await }.boxed()
        });
        let given = given.await?;
        if given.is_new {
            return Ok(given.value);
        }
        let id = given.value;
        match self.edit(&resume, &id).await? {
            Some(_) => Ok(id),
            None => {
                Err(conflict("the instruction was withdrawn: give it anew under another `Idempotency-Key`"))
            }
        }
    }

    async fn insert_edit(
        &self,
        mut connection: Connection<'_>,
        owner: &str,
        edit: KeptEdit,
    ) -> Result<String> {
        // Held by one at a time, so that no two count the same.
        let hold = "UPDATE resumes SET version = version WHERE id = $1 AND state = 'ready' AND version = $2";
        let held = within!(&mut connection, open => {
            let held = sqlx::query(hold).bind(&edit.resume).bind(edit.base).execute(&mut **open).await;
            held.map(|done| done.rows_affected())
        });
        if held.map_err(keeping)? == 0 {
            return Err(conflict("the résumé is not written yet, or has another version by now"));
        }
        self.count(&mut connection, owner, edit.at).await?;
        let insert = "INSERT INTO edits (id, resume, base, instruction, state, at) SELECT $1, $2, $3, $4, 'pending', $5 \
            WHERE (SELECT count(*) FROM edits WHERE resume = $2 AND state = 'pending') < $6";
        let added = within!(&mut connection, open => sqlx::query(insert)
            .bind(&edit.id)
            .bind(&edit.resume)
            .bind(edit.base)
            .bind(&edit.instruction)
            .bind(edit.at)
            .bind(MOST_UNDER_WAY)
            .execute(&mut **open)
            .await
            .map(|done| done.rows_affected()));
        if added.map_err(keeping)? == 0 {
            return Err(conflict(
                "as many instructions for this résumé are under way as there may be: wait until one is proposed, or withdraw one",
            ));
        }
        let event = Envelope::new(WORK, &edit.resume, State::Updated, 0)
            .with_id(EventId::named("resume-edit", &edit.id))
            .with_payload(&Work { edit: Some(edit.id.clone()) })?;
        self.outbox.write(connection, &[event]).await?;
        Ok(edit.id)
    }

    pub(crate) async fn edit(&self, resume: &str, id: &str) -> Result<Option<KeptEdit>> {
        let query = "SELECT * FROM edits WHERE resume = $1 AND id = $2";
        on!(&self.database, pool => sqlx::query_as(query).bind(resume).bind(id).fetch_optional(pool).await)
            .map_err(keeping)
    }

    /// Lists the instructions for a résumé without what they come to, the newest first and only what comes after one of the page before: its
    /// moment and its name.
    pub(crate) async fn edits(
        &self,
        resume: &str,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<KeptEdit>> {
        let query = "SELECT id, resume, base, instruction, state, failure, CAST(NULL AS TEXT) AS body, at FROM edits \
            WHERE resume = $1 AND (at < $2 OR at = $2 AND id < $3) ORDER BY at DESC, id DESC LIMIT $4";
        let (at, id) = after.unwrap_or((i64::MAX, ""));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        on!(&self.database, pool => {
            sqlx::query_as(query).bind(resume).bind(at).bind(id).bind(limit).fetch_all(pool).await
        })
        .map_err(keeping)
    }

    /// Takes an instruction back that is not accepted, with what it comes to; tells whether it was there.
    pub(crate) async fn withdraw(&self, resume: &str, id: &str) -> Result<bool> {
        let query = "DELETE FROM edits WHERE resume = $1 AND id = $2 AND state <> 'accepted'";
        let gone = on!(&self.database, pool => {
            sqlx::query(query).bind(resume).bind(id).execute(pool).await.map(|done| done.rows_affected())
        });
        if gone.map_err(keeping)? > 0 {
            return Ok(true);
        }
        match self.edit(resume, id).await? {
            Some(_) => {
                Err(conflict("what was accepted is not taken back: give an instruction that undoes it"))
            }
            None => Ok(false),
        }
    }

    /// Keeps what an instruction comes to.
    pub(crate) async fn propose(&self, id: &str, proposal: &Proposal) -> Result<()> {
        let query = "UPDATE edits SET state = 'proposed', body = $2 WHERE id = $1 AND state = 'pending'";
        let body = written(proposal)?;
        on!(&self.database, pool => sqlx::query(query).bind(id).bind(body).execute(pool).await.map(drop))
            .map_err(keeping)
    }

    /// Makes a proposal the next version, if the résumé is still the one that it was made for; tells whether it was not before.
    pub(crate) async fn accept(&self, edit: &KeptEdit, after: &Resume) -> Result<bool> {
        let body = written(after)?;
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(keeping)?;
            let done = sqlx::query("UPDATE edits SET state = 'accepted' WHERE id = $1 AND state = 'proposed'")
                .bind(&edit.id).execute(&mut *transaction).await.map_err(keeping)?;
            let update = "UPDATE resumes SET body = $2, version = version + 1 WHERE id = $1 AND version = $3";
            let changed = sqlx::query(update).bind(&edit.resume).bind(body).bind(edit.base)
                .execute(&mut *transaction).await.map_err(keeping)?;
            if done.rows_affected() == 0 || changed.rows_affected() == 0 {
                transaction.rollback().await.map_err(keeping)?;
                let now = self.edit(&edit.resume, &edit.id).await?;
                return match now {
                    Some(now) if now.state == "accepted" => Ok(false),
                    Some(_) => Err(conflict("the résumé has another version by now: give the instruction again")),
                    None => Err(Error::new(ErrorKind::NotFound, NO_SUCH)),
                };
            }
            transaction.commit().await.map_err(keeping)?;
            Ok(true)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[tokio::test]
    async fn what_was_withdrawn_before_it_is_accepted_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("resumes.sqlite"), None).await.unwrap();
        let edit = KeptEdit::new(EventId::random(), "resume", 1, "짧게", Timestamp::from_micros(1));
        let after = serde_json::json!({"name": "하늘", "lines": [], "refused": [], "given": 0});
        let error = store.accept(&edit, &serde_json::from_value(after).unwrap()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, NO_SUCH));
    }

    #[tokio::test]
    async fn in_no_24_hours_is_more_let_through_than_in_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("resumes.sqlite"), None).await.unwrap();
        let store = store.with_writings_a_day(NonZeroU32::new(10).unwrap());
        let hour = 3_600_000_000;
        let ask = async |at: i64, person: &str| {
            on!(&store.database, pool => {
                let mut connection = pool.acquire().await.unwrap();
                store.count(&mut (&mut *connection).into(), person, at).await
            })
        };
        let wait = |error: &Error| match error.retry() {
            Retry::After(wait) => wait,
            _ => Duration::MAX,
        };
        let mut let_through = Vec::new();
        // Every half an hour of three days somebody tries, and at the end of each day as much as there is.
        for half in 0..144 {
            let at = half * hour / 2;
            let tries = if half % 48 == 47 { 20 } else { 1 };
            for _ in 0..tries {
                match ask(at, "하늘").await {
                    Ok(()) => let_through.push(at),
                    Err(error) => assert!(wait(&error) <= DAY + Duration::from_secs(1), "{error}"),
                }
            }
        }
        for from in &let_through {
            let within = let_through.iter().filter(|at| (*from..from + 24 * hour).contains(*at)).count();
            assert!(within <= 10, "{within} from {from} on");
        }
        assert_eq!(let_through.len(), 30);
        ask(143 * hour / 2, "아무개").await.unwrap();
        let error = ask(143 * hour / 2, "하늘").await.unwrap_err();
        let wait = i64::try_from(wait(&error).as_micros()).unwrap();
        ask(143 * hour / 2 + wait, "하늘").await.unwrap();
    }
}
