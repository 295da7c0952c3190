//! The entries' table, which is the truth that engines follow: every change is an event, in the transaction of the row.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use pumasi_core::database::failed;
use pumasi_core::event::{Envelope, State};
use pumasi_core::time::{SystemClock, Timestamp};
use pumasi_core::{Error, Result};
use pumasi_search::Change;
use pumasi_search::indexer::{Journal, Recent, Source};
use serde_json::json;
use support::auth::random_secret;
use support::database::{Connection, Database, Sql};
use support::once::{Keyed, Once};
use support::outbox::Outbox;
use support::servers::Pool;
use support::{on, within};

use crate::entries::{Entry, TOPIC, sample, version};
use crate::shop::Shop;

const SCHEMA: Sql =
    Sql { sqlite: include_str!("sql/schema.sql"), postgres: include_str!("sql/schema.postgres.sql") };

/// Keeps an entry from being ordered until the transaction has ended.
const LOCK: Sql = Sql {
    sqlite: "SELECT id FROM entries WHERE id = $1",
    postgres: "SELECT id FROM entries WHERE id = $1 FOR UPDATE",
};
/// How long it is remembered what was taken out: much longer than engines are told of late.
const REMEMBERED: Duration = Duration::from_hours(24);
/// What was changed after a moment, or at it to entries whose ids come after one.
const SINCE: &str = "SELECT id, at, removed FROM (SELECT id, at, 0 AS removed FROM entries \
                     UNION ALL SELECT id, at, 1 FROM removed_entries) AS changed \
                     WHERE at >= $1 AND (at > $1 OR id > $2) ORDER BY at, id LIMIT $3";
/// Who has ordered an entry, and how often each order was begun.
const BUYERS: &str = "SELECT orders.person, coalesce(order_turns.turn, 0) FROM orders LEFT JOIN order_turns \
                      ON order_turns.entry = orders.entry AND order_turns.person = orders.person \
                      WHERE orders.entry = $1 ORDER BY orders.person";

/// Somebody who ordered an entry, and how often that order was begun.
pub(crate) type Buyer = (String, i64);

/// What became of an entry that was to be taken out.
pub(crate) enum Removed {
    Done,
    /// There is no such entry.
    Missing,
    /// Somebody has ordered it: it stays.
    Ordered,
}

/// An SQLite file or a PostgreSQL database; what its functions returned is on the disk. Clones share it.
#[derive(Clone)]
pub(crate) struct Board {
    pub(crate) database: Database,
    /// Where changes wait until they are announced.
    pub(crate) outbox: Outbox,
    once: Once,
}

fn writing(error: sqlx::Error) -> Error {
    failed("writing an entry", error)
}

fn reading(error: sqlx::Error) -> Error {
    failed("reading entries", error)
}

impl Board {
    pub(crate) async fn open(file: &Path, database: Option<Pool>) -> Result<Self> {
        let database = Database::open(file, database, SCHEMA).await?;
        let (outbox, once) =
            (Outbox::open(&database).await?, Once::open(&database, Arc::new(SystemClock)).await?);
        Ok(Self { database, outbox, once })
    }

    /// Adds the committed entries, if there are none yet.
    pub(crate) async fn add_sample(&self, shop: &Shop, now: Timestamp) -> Result<()> {
        if self.count().await? > 0 {
            return Ok(());
        }
        let entries = sample(now)?;
        for entry in &entries {
            shop.places(entry).await?;
        }
        self.add(&entries).await
    }

    /// Writes entries, and announces them; those that are there already stay as they are.
    async fn add(&self, entries: &[Entry]) -> Result<()> {
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(writing)?;
            for entry in entries {
                self.insert((&mut *transaction).into(), entry).await?;
            }
            transaction.commit().await.map_err(writing)
        })
    }

    /// Writes an entry, and announces it, once for each request; returns what that request wrote, as it was then.
    pub(crate) async fn write(&self, keyed: &Keyed, entry: Entry) -> Result<Entry> {
        let board = self.clone();
        let written = self.once.run(keyed, move |connection| {
            async move { board.insert(connection, &entry).await.map(|()| entry) }.boxed()
        });
        Ok(written.await?.value)
    }

    async fn insert(&self, mut connection: Connection<'_>, entry: &Entry) -> Result<()> {
        let insert = "INSERT INTO entries (id, kind, category, lang, title, body, author, likes, price_krw, places, at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
        let inserted = within!(&mut connection, open => sqlx::query(insert)
            .bind(&entry.id)
            .bind(&entry.kind)
            .bind(&entry.category)
            .bind(&entry.lang)
            .bind(&entry.title)
            .bind(&entry.body)
            .bind(&entry.author)
            .bind(entry.likes)
            .bind(entry.price_krw)
            .bind(entry.places)
            .bind(entry.at)
            .execute(&mut **open)
            .await
            .map(|done| done.rows_affected()));
        if inserted.map_err(writing)? == 0 {
            return Ok(());
        }
        self.outbox.write(connection, &[entry.event()?]).await
    }

    /// Who has ordered an entry, and how often each order was begun.
    pub(crate) async fn buyers(&self, id: &str) -> Result<Vec<Buyer>> {
        on!(&self.database, pool => sqlx::query_as(BUYERS).bind(id).fetch_all(pool).await)
            .map_err(|error| failed("reading orders", error))
    }

    /// Takes an entry out that nobody has ordered but `undone`, whose orders were undone, and announces that.
    pub(crate) async fn remove(&self, id: &str, undone: &[Buyer], now: Timestamp) -> Result<Removed> {
        let event = Envelope::new(TOPIC, id, State::Deleted, version(now.as_micros())).with_occurred_at(now);
        let removing = |error| failed("removing an entry", error);
        let remembered = i64::try_from(REMEMBERED.as_micros()).unwrap_or(i64::MAX);
        let forgotten = now.as_micros().saturating_sub(remembered);
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(removing)?;
            // The next statement sees every order that was noted before the entry was locked.
            let locked = sqlx::query(LOCK.to(&self.database)).bind(id).fetch_optional(&mut *transaction);
            if locked.await.map_err(removing)?.is_none() {
                return Ok(Removed::Missing);
            }
            let buyers = sqlx::query_as(BUYERS).bind(id).fetch_all(&mut *transaction);
            let buyers: Vec<Buyer> = buyers.await.map_err(removing)?;
            // An order that was begun anew meanwhile is not undone any more.
            if buyers != undone {
                return Ok(Removed::Ordered);
            }
            let delete = sqlx::query("DELETE FROM entries WHERE id = $1").bind(id).execute(&mut *transaction);
            delete.await.map_err(removing)?;
            let note = sqlx::query("INSERT INTO removed_entries (id, at) VALUES ($1, $2) ON CONFLICT DO NOTHING");
            note.bind(id).bind(now.as_micros()).execute(&mut *transaction).await.map_err(removing)?;
            let forget = sqlx::query("DELETE FROM removed_entries WHERE at < $1").bind(forgotten);
            forget.execute(&mut *transaction).await.map_err(removing)?;
            self.outbox.write(&mut *transaction, &[event]).await?;
            transaction.commit().await.map_err(removing)?;
            Ok(Removed::Done)
        })
    }

    pub(crate) async fn entry(&self, id: &str) -> Result<Option<Entry>> {
        let query = "SELECT * FROM entries WHERE id = $1";
        on!(&self.database, pool => sqlx::query_as(query).bind(id).fetch_optional(pool).await)
            .map_err(reading)
    }

    /// Counts the entries.
    pub(crate) async fn count(&self) -> Result<u64> {
        let query = "SELECT count(*) FROM entries";
        let (count,): (i64,) =
            on!(&self.database, pool => sqlx::query_as(query).fetch_one(pool).await).map_err(reading)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// A secret of the service, made up when it is first asked for, and the same for all of its processes.
    pub(crate) async fn secret(&self, name: &str) -> Result<String> {
        let insert = "INSERT INTO board_secrets (name, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let kept = async {
            on!(&self.database, pool => {
                sqlx::query(insert).bind(name).bind(random_secret()).execute(pool).await?;
                sqlx::query_as("SELECT secret FROM board_secrets WHERE name = $1").bind(name).fetch_one(pool).await
            })
        };
        let (secret,): (String,) = kept.await.map_err(|error| failed("keeping a secret", error))?;
        Ok(secret)
    }
}

#[async_trait]
impl Source for Board {
    async fn documents(&self, after: Option<&str>, limit: usize) -> Result<Vec<Change>> {
        let query = "SELECT * FROM entries WHERE id > $1 ORDER BY id LIMIT $2";
        let (after, limit) = (after.unwrap_or_default(), i64::try_from(limit).unwrap_or(i64::MAX));
        let entries: Vec<Entry> = on!(&self.database, pool => {
            sqlx::query_as(query).bind(after).bind(limit).fetch_all(pool).await
        })
        .map_err(reading)?;
        entries.iter().map(Entry::change).collect()
    }

    async fn pick(&self, ids: &[String]) -> Result<Vec<Change>> {
        let ids = json!(ids).to_string();
        let query = match &self.database {
            Database::Sqlite(_) => "SELECT * FROM entries WHERE id IN (SELECT value FROM json_each($1))",
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => {
                "SELECT * FROM entries WHERE id IN (SELECT jsonb_array_elements_text($1::jsonb))"
            }
        };
        let entries: Vec<Entry> =
            on!(&self.database, pool => sqlx::query_as(query).bind(ids).fetch_all(pool).await)
                .map_err(reading)?;
        entries.iter().map(Entry::change).collect()
    }
}

#[async_trait]
impl Journal for Board {
    async fn since(&self, at: Timestamp, after: &str, limit: usize) -> Result<Vec<Recent>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let changed: Vec<(String, i64, i32)> = on!(&self.database, pool => {
            sqlx::query_as(SINCE).bind(at.as_micros()).bind(after).bind(limit).fetch_all(pool).await
        })
        .map_err(|error| failed("reading what was changed of late", error))?;
        let recent = |(id, at, removed): (String, i64, i32)| Recent {
            id,
            version: version(at),
            at: Timestamp::from_micros(at),
            deleted: removed != 0,
        };
        Ok(changed.into_iter().map(recent).collect())
    }
}
