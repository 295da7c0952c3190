//! What people say of shared résumés, and what their owners are told.

use futures_util::FutureExt as _;
use pumasi_core::event::{Envelope, EventId, State};
use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result};
use support::database::Connection;
use support::once::Keyed;
use support::{on, within};

use super::{Comment, Notice, SOCIAL, Social, Store, keeping};

impl Store {
    /// How many like a résumé, and whether this person does.
    pub(crate) async fn likes(&self, resume: &str, person: Option<&str>) -> Result<(u64, bool)> {
        let all = "SELECT count(*) FROM likes WHERE resume = $1";
        let own = "SELECT count(*) FROM likes WHERE resume = $1 AND person = $2";
        let (all, own): (i64, i64) = on!(&self.database, pool => {
            let all = sqlx::query_scalar(all).bind(resume).fetch_one(pool).await.map_err(keeping)?;
            let own = sqlx::query_scalar(own).bind(resume).bind(person).fetch_one(pool).await.map_err(keeping)?;
            (all, own)
        });
        Ok((u64::try_from(all).unwrap_or(0), own > 0))
    }

    /// Likes a résumé, once a person, or takes that back. The first time the owner is told.
    pub(crate) async fn like(&self, social: &Social, likes: bool) -> Result<()> {
        let (resume, person) = (&social.resume, &social.person);
        // Named after the two, so that whoever takes it back and likes it again is told of once.
        let event = Envelope::new(SOCIAL, &social.owner, State::Created, 0)
            .with_id(EventId::named("resume-like", &format!("{resume}\n{person}")))
            .with_payload(social)?;
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(keeping)?;
            if likes {
                let insert = "INSERT INTO likes (resume, person, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
                let added = sqlx::query(insert).bind(resume).bind(person).bind(social.at)
                    .execute(&mut *transaction).await.map_err(keeping)?;
                if added.rows_affected() > 0 {
                    self.outbox.write(&mut *transaction, &[event]).await?;
                }
            } else {
                sqlx::query("DELETE FROM likes WHERE resume = $1 AND person = $2").bind(resume).bind(person)
                    .execute(&mut *transaction).await.map_err(keeping)?;
            }
            transaction.commit().await.map_err(keeping)
        })
    }

    /// Adds a comment, once for each request, and returns it; the owner is told of somebody else's.
    pub(crate) async fn comment(&self, keyed: &Keyed, social: Social, text: String) -> Result<Comment> {
        let store = self.clone();
        let said = self.once.run(keyed, move |connection| {
            async move { store.insert_comment(connection, social, text).await }.boxed()
        });
        Ok(said.await?.value)
    }

    async fn insert_comment(
        &self,
        mut connection: Connection<'_>,
        social: Social,
        text: String,
    ) -> Result<Comment> {
        let id = EventId::random();
        let event = Envelope::new(SOCIAL, &social.owner, State::Created, 0)
            .with_id(EventId::derived(id, "told"))
            .with_payload(&social)?;
        // The row is everybody's who comments on it at once: numbers have no gap and no double.
        let said = "UPDATE resumes SET said = said + 1 WHERE id = $1 RETURNING said";
        let number: Option<i64> = within!(&mut connection, open => {
            sqlx::query_scalar(said).bind(&social.resume).fetch_optional(&mut **open).await
        })
        .map_err(keeping)?;
        let number = number.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such résumé"))?;
        let insert =
            "INSERT INTO comments (id, resume, number, author, text, at) VALUES ($1, $2, $3, $4, $5, $6)";
        within!(&mut connection, open => sqlx::query(insert)
            .bind(id.to_string())
            .bind(&social.resume)
            .bind(number)
            .bind(&social.person)
            .bind(&text)
            .bind(social.at)
            .execute(&mut **open)
            .await
            .map(drop))
        .map_err(keeping)?;
        if social.owner != social.person {
            self.outbox.write(connection, &[event]).await?;
        }
        Ok(Comment { number, author: social.person, text, at: social.at })
    }

    /// Lists comments, the newest first and only those before a number.
    pub(crate) async fn comments(
        &self,
        resume: &str,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Comment>> {
        let query = "SELECT number, author, text, at FROM comments WHERE resume = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
        let (before, limit) = (before.unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        on!(&self.database, pool => {
            sqlx::query_as(query).bind(resume).bind(before).bind(limit).fetch_all(pool).await
        })
        .map_err(keeping)
    }

    /// Deletes a comment of this author, or of anybody's where there is no author; tells whether there was one.
    pub(crate) async fn uncomment(&self, resume: &str, number: i64, author: Option<&str>) -> Result<bool> {
        let query =
            "DELETE FROM comments WHERE resume = $1 AND number = $2 AND author = coalesce($3, author)";
        let gone = on!(&self.database, pool => {
            sqlx::query(query).bind(resume).bind(number).bind(author).execute(pool).await.map(|done| done.rows_affected())
        });
        Ok(gone.map_err(keeping)? > 0)
    }

    /// Keeps a notice; tells whether its owner was told elsewhere, too.
    pub(crate) async fn notice(&self, id: EventId, social: &Social) -> Result<bool> {
        let insert = "INSERT INTO notices (id, owner, resume, kind, person, at) \
            SELECT $1, $2, $3, $4, $5, $6 WHERE EXISTS (SELECT 1 FROM resumes WHERE id = $3) ON CONFLICT (id) DO NOTHING";
        let look = "SELECT told FROM notices WHERE id = $1";
        let id = id.to_string();
        let told: Option<Option<i64>> = on!(&self.database, pool => {
            sqlx::query(insert).bind(&id).bind(&social.owner).bind(&social.resume).bind(&social.kind)
                .bind(&social.person).bind(social.at).execute(pool).await.map_err(keeping)?;
            sqlx::query_scalar(look).bind(&id).fetch_optional(pool).await.map_err(keeping)?
        });
        // Of a résumé that is deleted by now nobody is told.
        Ok(told.is_none_or(|told| told.is_some()))
    }

    /// Notes that a notice was told elsewhere.
    pub(crate) async fn told(&self, id: EventId, at: Timestamp) -> Result<()> {
        let query = "UPDATE notices SET told = $2 WHERE id = $1";
        on!(&self.database, pool => {
            sqlx::query(query).bind(id.to_string()).bind(at.as_micros()).execute(pool).await.map(drop)
        })
        .map_err(keeping)
    }

    /// Lists what an owner is told, the newest first and only what comes after a notice of the page before: its moment and its name.
    pub(crate) async fn notices(
        &self,
        owner: &str,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<Notice>> {
        let query = "SELECT id, resume, kind, person, at FROM notices \
            WHERE owner = $1 AND (at < $2 OR at = $2 AND id < $3) ORDER BY at DESC, id DESC LIMIT $4";
        let (at, id) = after.unwrap_or((i64::MAX, ""));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        on!(&self.database, pool => {
            sqlx::query_as(query).bind(owner).bind(at).bind(id).bind(limit).fetch_all(pool).await
        })
        .map_err(keeping)
    }
}
