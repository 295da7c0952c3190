//! Who writes: a replica of the members that another service owns, kept from its events.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pumasi_core::Result;
use pumasi_core::database::{failed, open_sqlite};
use pumasi_core::event::{
    Consumer, Entity, Envelope, EventBus, Projection, ProjectionStore, SqliteProjectionStore, State,
};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use support::servers::Pool;

/// The topic of the membership service: key is the member's identifier, the payload a [`Member`].
const MEMBERS: &str = "members";

/// What this service knows of a member.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) nickname: String,
}

/// The group that keeps the replica, which has its name.
pub(super) const GROUP: &str = "every-task-members";

/// The nicknames of some members.
pub(super) struct Nicknames(BTreeMap<String, Entity<Member>>);

impl Nicknames {
    pub(super) fn of(&self, id: &str) -> Option<String> {
        self.0.get(id).map(|member| member.value.nickname.clone())
    }
}

/// The replica, and the bus from which it is kept.
#[derive(Clone)]
pub(super) struct Members {
    replica: Projection<Member>,
    bus: Arc<dyn EventBus>,
}

impl Members {
    /// Opens the replica in the database, or else in a file.
    pub(super) async fn open(bus: Arc<dyn EventBus>, database: Option<Pool>, file: &Path) -> Result<Self> {
        let store: Arc<dyn ProjectionStore> = match database {
            #[cfg(feature = "postgres")]
            Some(pool) => {
                let store = pumasi_core::event::PostgresProjectionStore::new(pool);
                store.migrate().await?;
                Arc::new(store)
            }
            _ => {
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal);
                let pool = open_sqlite(SqlitePoolOptions::new(), options).await;
                let store =
                    SqliteProjectionStore::new(pool.map_err(|error| failed("opening the members", error))?);
                store.migrate().await?;
                Arc::new(store)
            }
        };
        let replica = Projection::open(GROUP, MEMBERS, store).await?;
        Ok(Self { replica, bus })
    }

    /// Keeps the replica.
    pub(super) fn consumer(&self) -> Consumer {
        Consumer::new(Arc::clone(&self.bus), self.replica.subscription(), self.replica.clone())
    }

    /// Tells what is known of these members.
    pub(super) async fn nicknames<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<Nicknames> {
        self.replica.get_many(ids).await.map(Nicknames)
    }

    /// Publishes a change as the membership service does; a member without a nickname has left.
    pub(super) async fn publish(&self, id: &str, version: u64, nickname: Option<String>) -> Result<()> {
        let event = match nickname {
            Some(nickname) => {
                Envelope::new(MEMBERS, id, State::Updated, version).with_payload(&Member { nickname })?
            }
            None => Envelope::new(MEMBERS, id, State::Deleted, version),
        };
        self.bus.publish(&[event]).await.map(drop)
    }
}
