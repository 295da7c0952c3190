//! Tables that come to be, and change, in numbered steps.

use sqlx::Row;

#[cfg(feature = "postgres")]
use super::begin_postgres;
use super::failed;
use crate::{Error, ErrorKind, Result};

/// The steps of one component's tables; the table `TABLE` holds the number of the last one taken.
///
/// Every step is taken in one transaction with its number, under a lock, so that several processes may begin at once and
/// one that dies leaves nothing half done.
///
/// For crates that keep things in a database of their user's.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The component, for messages.
    pub component: &'static str,
    /// Makes the table with the version, if it is missing.
    pub begin: &'static str,
    /// Reads the version.
    pub read: &'static str,
    /// Each step's script, which also writes its number.
    pub steps: &'static [&'static str],
}

impl Migration {
    fn todo(&self, version: i32) -> Result<&'static [&'static str]> {
        let done = usize::try_from(version).unwrap_or(usize::MAX);
        self.steps.get(done..).ok_or_else(|| {
            let component = self.component;
            Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the layout of the {component} is version {version}, which is newer than this program"
                ),
            )
        })
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> Error {
        let what = format!("making the tables of the {}", self.component);
        move |error| failed(&what, error)
    }

    /// Takes the steps that are missing.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer program has taken steps that this one does not know; otherwise as [`failed`] tells.
    #[cfg(feature = "postgres")]
    pub async fn on_postgres(&self, pool: &sqlx::PgPool) -> Result<()> {
        let failed = self.failed();
        let mut transaction = begin_postgres(pool, "BEGIN").await.map_err(&failed)?;
        // Two connections that create one table at once fail even with IF NOT EXISTS.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtext('pumasi'), hashtext('migration'))")
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        sqlx::raw_sql(self.begin).execute(&mut *transaction).await.map_err(&failed)?;
        let row = sqlx::query(self.read).fetch_one(&mut *transaction).await.map_err(&failed)?;
        for step in self.todo(row.try_get(0).map_err(&failed)?)? {
            sqlx::raw_sql(*step).execute(&mut *transaction).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }

    /// Takes the steps that are missing.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer program has taken steps that this one does not know; otherwise as [`failed`] tells.
    #[cfg(feature = "sqlite")]
    pub async fn on_sqlite(&self, pool: &sqlx::SqlitePool) -> Result<()> {
        let failed = self.failed();
        // First without a lock: whoever starts beside a busy writer need not wait for it.
        let version = sqlx::query(self.read).fetch_one(pool).await.and_then(|row| row.try_get(0));
        if let Ok(version) = version
            && self.todo(version)?.is_empty()
        {
            return Ok(());
        }
        let mut transaction = super::Writing::begin(pool).await.map_err(&failed)?;
        sqlx::raw_sql(self.begin).execute(&mut *transaction).await.map_err(&failed)?;
        let row = sqlx::query(self.read).fetch_one(&mut *transaction).await.map_err(&failed)?;
        for step in self.todo(row.try_get(0).map_err(&failed)?)? {
            sqlx::raw_sql(*step).execute(&mut *transaction).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}
