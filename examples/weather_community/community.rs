//! The community: everything in one folder or in one database, and each part by what the crates have for it.

use std::path::Path;
use std::sync::Arc;

use pumasi_core::database::failed;
#[cfg(feature = "postgres")]
use pumasi_core::room::PostgresRooms;
use pumasi_core::room::{RoomStore, Rooms, SqliteRooms};
use pumasi_core::time::Clock;
use pumasi_core::{Error, ErrorKind, Result};
#[cfg(feature = "postgres")]
use pumasi_search::reactions::PostgresReactions;
use pumasi_search::reactions::{Reactions, SqliteReactions};
#[cfg(feature = "postgres")]
use pumasi_search::views::PostgresViews;
use pumasi_search::views::{SqliteViews, ViewCounter, ViewStore};
use support::auth::random_secret;
use support::database::{Database, Sql};
use support::on;
use support::once::Once;
use support::servers::Pool;

use crate::drops::Drops;
use crate::missions::Missions;
use crate::posts::Posts;
use crate::warnings::Warnings;

const SCHEMA: Sql =
    Sql { sqlite: include_str!("sql/schema.sql"), postgres: include_str!("sql/schema.postgres.sql") };

/// One community; what its functions returned is on the disk. Clones share it.
#[derive(Clone)]
pub(crate) struct Community {
    pub(crate) posts: Posts,
    pub(crate) reactions: Arc<dyn Reactions>,
    pub(crate) views: ViewCounter,
    seen: Arc<dyn ViewStore>,
    pub(crate) warnings: Warnings,
    pub(crate) rooms: Rooms,
    pub(crate) missions: Missions,
    pub(crate) drops: Drops,
    pub(crate) once: Once,
    database: Database,
}

/// What the crates keep for the community.
struct Stores {
    reactions: Arc<dyn Reactions>,
    seen: Arc<dyn ViewStore>,
    rooms: Arc<dyn RoomStore>,
}

impl Stores {
    async fn open(database: &Database, clock: &Arc<dyn Clock>) -> Result<Self> {
        match database {
            Database::Sqlite(pool) => {
                let (reactions, seen) = (SqliteReactions::new(pool.clone()), SqliteViews::new(pool.clone()));
                let rooms = SqliteRooms::new(pool.clone()).with_clock(Arc::clone(clock));
                reactions.migrate().await?;
                seen.migrate().await?;
                rooms.migrate().await?;
                Ok(Self { reactions: Arc::new(reactions), seen: Arc::new(seen), rooms: Arc::new(rooms) })
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => {
                let reactions = PostgresReactions::new(pool.clone());
                let (seen, rooms) = (PostgresViews::new(pool.clone()), PostgresRooms::new(pool.clone()));
                reactions.migrate().await?;
                seen.migrate().await?;
                rooms.migrate().await?;
                Ok(Self { reactions: Arc::new(reactions), seen: Arc::new(seen), rooms: Arc::new(rooms) })
            }
        }
    }
}

impl Community {
    /// Opens the community in a database, or else in a folder, which is made if it does not exist.
    pub(crate) async fn open(folder: &Path, database: Option<Pool>, clock: Arc<dyn Clock>) -> Result<Self> {
        if database.is_none() {
            std::fs::create_dir_all(folder).map_err(|error| {
                Error::new(ErrorKind::Storage, "the folder cannot be made").with_source(error)
            })?;
        }
        let database = Database::open(&folder.join("community.sqlite"), database, SCHEMA).await?;
        let Stores { reactions, seen, rooms } = Stores::open(&database, &clock).await?;
        // Kept, so that who was counted, and which coupon is whose, is the same after a restart and in every process.
        let (who, coupons) = (secret(&database, "views").await?, secret(&database, "coupons").await?);
        Ok(Self {
            posts: Posts::new(database.clone(), Arc::clone(&clock)),
            reactions,
            views: ViewCounter::new(Arc::clone(&seen), who.as_bytes())?.with_clock(Arc::clone(&clock)),
            seen,
            warnings: Warnings::new(database.clone(), Arc::clone(&clock)),
            rooms: Rooms::new(rooms),
            missions: Missions::new(database.clone(), Arc::clone(&clock)),
            once: Once::open(&database, Arc::clone(&clock)).await?,
            drops: Drops::open(database.clone(), &coupons, clock).await?,
            database,
        })
    }

    /// Tells whether the database answers.
    pub(crate) async fn ping(&self) -> Result<()> {
        let asked = on!(&self.database, pool => sqlx::query("SELECT 1 FROM posts LIMIT 1").fetch_optional(pool).await.map(drop));
        asked.map_err(|error| failed("reading the community", error))
    }

    /// Forgets what nobody asks for any more: who saw what in hours that are over.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        self.views.clean_up().await.map(drop)
    }

    /// Takes a post back, with what was said of it; tells whether it was there.
    pub(crate) async fn withdraw(&self, post: i64) -> Result<bool> {
        let was_there = self.posts.remove(post).await?;
        self.reactions.forget(&post.to_string()).await?;
        self.seen.forget(&post.to_string()).await?;
        Ok(was_there)
    }
}

/// A secret of the community, made up when it is first asked for.
async fn secret(database: &Database, name: &str) -> Result<String> {
    let keeping = |error| failed("keeping a secret", error);
    let insert = "INSERT INTO secrets (name, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let new = random_secret();
    on!(database, pool => sqlx::query(insert).bind(name).bind(new).execute(pool).await.map(drop))
        .map_err(keeping)?;
    let kept = "SELECT secret FROM secrets WHERE name = $1";
    on!(database, pool => sqlx::query_scalar(kept).bind(name).fetch_one(pool).await).map_err(keeping)
}
