//! Crews, and who runs with which.

use pumasi_core::database::failed;
use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result};
use support::database::Database;
use support::on;

/// The crews of the club, each known by its name.
#[derive(Clone, Debug)]
pub(crate) struct Crews(pub(crate) Database);

/// A crew.
pub(crate) struct Crew {
    pub(crate) name: String,
    pub(crate) founder: String,
    pub(crate) members: u64,
}

impl Crews {
    /// Founds a crew, which the founder joins; tells whether it is new. The same again by the founder changes nothing.
    pub(crate) async fn found(&self, name: &str, founder: &str, now: Timestamp) -> Result<bool> {
        let founding = |error| failed("founding a crew", error);
        let (stands, is_new) = on!(&self.0, pool, begin => {
            let mut transaction = begin().await.map_err(founding)?;
            let insert = sqlx::query(
                "INSERT INTO crews (name, founder, founded_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            )
            .bind(name)
            .bind(founder)
            .bind(now.as_micros());
            let is_new = insert.execute(&mut *transaction).await.map_err(founding)?.rows_affected() > 0;
            let stands: String = sqlx::query_scalar("SELECT founder FROM crews WHERE name = $1")
                .bind(name)
                .fetch_one(&mut *transaction)
                .await
                .map_err(founding)?;
            if is_new {
                let join = sqlx::query(include_str!("sql/join_crew.sql")).bind(founder).bind(name);
                join.execute(&mut *transaction).await.map_err(founding)?;
            }
            transaction.commit().await.map_err(founding)?;
            (stands, is_new)
        });
        if stands == founder {
            return Ok(is_new);
        }
        Err(Error::new(ErrorKind::Conflict, "there is a crew of this name: join it, or choose another name"))
    }

    /// Lets a runner run with a crew, and no longer with another.
    pub(crate) async fn join(&self, runner: &str, crew: &str) -> Result<()> {
        let joining = |error| failed("joining a crew", error);
        let exists = "SELECT count(*) FROM crews WHERE name = $1";
        let count: i64 = on!(&self.0, pool => sqlx::query_scalar(exists).bind(crew).fetch_one(pool).await)
            .map_err(joining)?;
        if count == 0 {
            return Err(Error::new(ErrorKind::NotFound, "there is no such crew"));
        }
        let join = include_str!("sql/join_crew.sql");
        on!(&self.0, pool => sqlx::query(join).bind(runner).bind(crew).execute(pool).await.map(drop))
            .map_err(joining)
    }

    /// Lets a runner run alone.
    pub(crate) async fn leave(&self, runner: &str) -> Result<()> {
        let leave = "DELETE FROM crew_members WHERE runner = $1";
        on!(&self.0, pool => sqlx::query(leave).bind(runner).execute(pool).await.map(drop))
            .map_err(|error| failed("leaving a crew", error))
    }

    /// The crew that a runner runs with.
    pub(crate) async fn of(&self, runner: &str) -> Result<Option<String>> {
        let query = "SELECT crew FROM crew_members WHERE runner = $1";
        on!(&self.0, pool => sqlx::query_scalar(query).bind(runner).fetch_optional(pool).await)
            .map_err(|error| failed("reading a crew", error))
    }

    /// Lists crews by name, those after `after`.
    pub(crate) async fn list(&self, after: &str, limit: usize) -> Result<Vec<Crew>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = include_str!("sql/crews.sql");
        let rows: Vec<(String, String, i64)> =
            on!(&self.0, pool => sqlx::query_as(query).bind(after).bind(limit).fetch_all(pool).await)
                .map_err(|error| failed("listing crews", error))?;
        let crew =
            |(name, founder, members)| Crew { name, founder, members: u64::try_from(members).unwrap_or(0) };
        Ok(rows.into_iter().map(crew).collect())
    }
}
