//! The community: everything in one folder, and each part by what the crates have for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use pumasi_core::database::{Writing, failed};
use pumasi_core::idempotency::{Idempotency, IdempotentRequest, Reply, Response, SqliteIdempotency};
use pumasi_core::room::{Rooms, SqliteRooms};
use pumasi_core::time::Clock;
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_search::reactions::{Reactions as _, SqliteReactions};
use pumasi_search::views::{SqliteViews, ViewCounter, ViewStore as _};
use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use support::auth::random_secret;

use crate::drops::Drops;
use crate::missions::Missions;
use crate::posts::Posts;
use crate::warnings::Warnings;

/// One community; what its functions returned is on the disk. Clones share it.
#[derive(Clone)]
pub(crate) struct Community {
    pub(crate) posts: Posts,
    pub(crate) reactions: SqliteReactions,
    pub(crate) views: ViewCounter,
    seen: SqliteViews,
    pub(crate) warnings: Warnings,
    pub(crate) rooms: Rooms,
    pub(crate) missions: Missions,
    pub(crate) drops: Drops,
    pool: SqlitePool,
    answers: SqliteIdempotency,
    idempotency: Idempotency,
}

impl Community {
    /// Opens the community in a folder, which is made if it does not exist.
    pub(crate) async fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::new(ErrorKind::Storage, "the folder cannot be made").with_source(error)
        })?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join("community.sqlite"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(20));
        let opening = |error| failed("opening the community", error);
        let pool =
            SqlitePoolOptions::new().max_connections(8).connect_with(options).await.map_err(opening)?;
        sqlx::raw_sql(include_str!("sql/schema.sql")).execute(&pool).await.map_err(opening)?;

        let (reactions, seen) = (SqliteReactions::new(pool.clone()), SqliteViews::new(pool.clone()));
        let rooms = SqliteRooms::new(pool.clone()).with_clock(Arc::clone(&clock));
        let answers = SqliteIdempotency::new(pool.clone()).with_clock(Arc::clone(&clock));
        reactions.migrate().await?;
        seen.migrate().await?;
        rooms.migrate().await?;
        answers.migrate().await?;
        // Kept, so that who was counted, and which coupon is whose, is the same after a restart.
        let (who, coupons) = (secret(&pool, "views").await?, secret(&pool, "coupons").await?);
        Ok(Self {
            posts: Posts::new(pool.clone(), Arc::clone(&clock)),
            reactions,
            views: ViewCounter::new(seen.clone(), who.as_bytes()).with_clock(Arc::clone(&clock)),
            warnings: Warnings::new(pool.clone(), Arc::clone(&clock)),
            rooms: Rooms::new(rooms),
            missions: Missions::new(pool.clone(), Arc::clone(&clock)),
            drops: Drops::open(pool.clone(), &coupons, clock).await?,
            seen,
            idempotency: Idempotency::new(answers.clone()),
            pool,
            answers,
        })
    }

    /// Makes something once for each request, however often that is sent, and answers it alike.
    pub(crate) async fn once<T: Serialize>(
        &self,
        request: &IdempotentRequest,
        make: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send,
    ) -> Result<Response> {
        let making = |error| failed("making what was asked for", error);
        let work = |execution: Arc<_>| async move {
            let mut writing = Writing::begin(&self.pool).await.map_err(making)?;
            let made = serde_json::to_vec(&make(&mut writing).await?)
                .map_err(|_| Error::new(ErrorKind::Other, "what was made cannot be written as JSON"))?;
            let response = Response::new(201, made);
            self.answers.complete_in(&mut writing, &execution, &response).await?;
            writing.commit().await.map_err(making)?;
            Ok(Reply::Stored(response))
        };
        Ok(self.idempotency.run(request, work).await?.response)
    }

    /// Tells whether the file answers.
    pub(crate) async fn ping(&self) -> Result<()> {
        let asked = sqlx::query("SELECT 1 FROM posts LIMIT 1").fetch_optional(&self.pool).await;
        asked.map(|_| ()).map_err(|error| failed("reading the community", error))
    }

    /// Forgets what nobody asks for any more: who saw what in hours that are over, and answers of a day ago.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        self.views.clean_up().await?;
        while self.answers.clean_up(1_000).await? > 0 {}
        Ok(())
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
async fn secret(pool: &SqlitePool, name: &str) -> Result<String> {
    let keeping = |error| failed("keeping a secret", error);
    sqlx::query("INSERT INTO secrets (name, secret) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        .bind(name)
        .bind(random_secret())
        .execute(pool)
        .await
        .map_err(keeping)?;
    let kept = sqlx::query("SELECT secret FROM secrets WHERE name = ?1").bind(name).fetch_one(pool).await;
    kept.and_then(|row| row.try_get(0)).map_err(keeping)
}
