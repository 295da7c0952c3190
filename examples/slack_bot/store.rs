//! What the bot remembers: questions with their counts and answers, and how far each event has come.

use std::path::Path;
use std::time::Duration;

use pumasi_core::event::EventId;
use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result, Retry};
use support::database::{Database, Sql};
use support::on;
use support::servers::Pool;

/// For how long it is known what became of an event; no event comes again after so long.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);
/// How many events are forgotten when a new one comes: more than one, so that they get fewer.
const FORGOTTEN: i64 = 20;

const SCHEMA: Sql =
    Sql { sqlite: include_str!("sql/schema.sql"), postgres: include_str!("sql/schema.postgres.sql") };

/// An SQLite file or a PostgreSQL database; what its functions returned is on the disk.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
}

/// How often a question was asked.
pub(crate) struct Asked {
    pub(crate) words: String,
    pub(crate) count: i64,
}

/// Whether the answer to an event was posted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Posting {
    /// No, and it was never tried.
    New,
    /// It was tried, and how that ended is not known.
    Unknown,
    /// Yes.
    Done,
}

impl Store {
    pub(crate) async fn open(file: &Path, database: Option<Pool>) -> Result<Self> {
        Ok(Self { database: Database::open(file, database, SCHEMA).await? })
    }

    /// Counts a question, once for each event, and forgets what became of old ones.
    pub(crate) async fn count(&self, event: EventId, key: &str, words: &str, at: Timestamp) -> Result<()> {
        // PostgreSQL has no letter for it.
        let words = words.replace('\0', "\u{fffd}");
        let counted = async {
            on!(&self.database, pool, begin => {
                let mut transaction = begin().await?;
                let new = sqlx::query(
                    "INSERT INTO asks (event_id, key, asked_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                );
                let new = new.bind(event.to_string()).bind(key).bind(at.as_micros());
                if new.execute(&mut *transaction).await?.rows_affected() > 0 {
                    let remembered = i64::try_from(REMEMBERED.as_micros()).unwrap_or(i64::MAX);
                    sqlx::query(include_str!("sql/forget.sql"))
                        .bind(at.as_micros().saturating_sub(remembered))
                        .bind(FORGOTTEN)
                        .execute(&mut *transaction)
                        .await?;
                    let count = sqlx::query(include_str!("sql/count.sql")).bind(key).bind(&words);
                    count.execute(&mut *transaction).await?;
                }
                transaction.commit().await
            })
        };
        counted.await.map_err(failed)
    }

    /// The answer to a question that was found after `since`.
    pub(crate) async fn answer(&self, key: &str, since: Timestamp) -> Result<Option<String>> {
        let query =
            "SELECT answer FROM questions WHERE key = $1 AND answered_at >= $2 AND answer IS NOT NULL";
        let since = since.as_micros();
        on!(&self.database, pool => sqlx::query_scalar(query).bind(key).bind(since).fetch_optional(pool).await)
            .map_err(failed)
    }

    pub(crate) async fn keep_answer(&self, key: &str, answer: &str, at: Timestamp) -> Result<()> {
        let update = "UPDATE questions SET answer = $2, answered_at = $3 WHERE key = $1";
        let at = at.as_micros();
        on!(&self.database, pool => {
            sqlx::query(update).bind(key).bind(answer).bind(at).execute(pool).await.map(drop)
        })
        .map_err(failed)
    }

    /// Writes down that the answer to an event is about to be posted; tells what was written before.
    pub(crate) async fn begin_posting(&self, event: EventId) -> Result<Posting> {
        let (id, query) = (event.to_string(), "SELECT post_begun, posted_ts FROM asks WHERE event_id = $1");
        let before: Option<(i64, Option<String>)> =
            on!(&self.database, pool => sqlx::query_as(query).bind(&id).fetch_optional(pool).await)
                .map_err(failed)?;
        match before {
            Some((_, Some(_))) => return Ok(Posting::Done),
            Some((1, None)) => return Ok(Posting::Unknown),
            _ => {}
        }
        let update = "UPDATE asks SET post_begun = 1 WHERE event_id = $1";
        on!(&self.database, pool => sqlx::query(update).bind(&id).execute(pool).await.map(drop))
            .map_err(failed)?;
        Ok(Posting::New)
    }

    /// Writes down that it was posted, as the message `ts`.
    pub(crate) async fn end_posting(&self, event: EventId, ts: &str) -> Result<()> {
        let (id, update) = (event.to_string(), "UPDATE asks SET posted_ts = $2 WHERE event_id = $1");
        on!(&self.database, pool => sqlx::query(update).bind(id).bind(ts).execute(pool).await.map(drop))
            .map_err(failed)
    }

    /// How many questions were asked whose answer is not known to be posted.
    pub(crate) async fn waiting(&self) -> Result<i64> {
        let count = "SELECT count(*) FROM asks WHERE posted_ts IS NULL";
        on!(&self.database, pool => sqlx::query_scalar(count).fetch_one(pool).await).map_err(failed)
    }

    /// The questions asked most, most asked first; of those that were only asked in private there are no words.
    pub(crate) async fn most_asked(&self, limit: u32) -> Result<Vec<Asked>> {
        let query = "SELECT words, asked FROM questions WHERE words <> '' ORDER BY asked DESC, key LIMIT $1";
        let limit = i64::from(limit);
        let rows: Vec<(String, i64)> =
            on!(&self.database, pool => sqlx::query_as(query).bind(limit).fetch_all(pool).await)
                .map_err(failed)?;
        Ok(rows.into_iter().map(|(words, count)| Asked { words, count }).collect())
    }
}

/// A store that fails now may work again in a second; the consumer's attempts bound it.
fn failed(source: sqlx::Error) -> Error {
    Error::new(ErrorKind::Storage, "the bot's store failed")
        .with_retry(Retry::After(Duration::from_secs(1)))
        .with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_became_of_old_events_is_forgotten_and_their_questions_stay_counted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("bot.sqlite"), None).await.unwrap();
        let at = |days: i64| Timestamp::from_micros(days * 24 * 60 * 60 * 1_000_000);
        let event = |number: i64| EventId::named("test", &number.to_string());
        for number in 0..50 {
            store.count(event(number), "환불", "환불되나요?", at(number / 25)).await.unwrap();
        }
        assert_eq!(store.begin_posting(event(0)).await.unwrap(), Posting::New);
        // The same event again, within the time and after it.
        store.count(event(0), "환불", "환불되나요?", at(2)).await.unwrap();
        assert_eq!(store.most_asked(1).await.unwrap()[0].count, 50);
        assert_eq!(store.begin_posting(event(0)).await.unwrap(), Posting::Unknown);
        for number in 50..60 {
            store.count(event(number), "환불", "환불되나요?", at(40)).await.unwrap();
        }
        let count = "SELECT count(*) FROM asks";
        let left: i64 =
            on!(&store.database, pool => sqlx::query_scalar(count).fetch_one(pool).await.unwrap());
        assert_eq!(left, 10, "the new ones");
        assert_eq!(store.most_asked(1).await.unwrap()[0].count, 60);
    }
}
