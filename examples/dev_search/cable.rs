//! An engine at the end of a cable that can be pulled.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_search::{
    Applied, Change, Error, ErrorKind, MemoryEngine, Page, Query, Result, Schema, SearchEngine, Stamp, Status,
};
use serde::Deserialize;
use utoipa::ToSchema;

/// What becomes of questions on the way.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// They arrive.
    Whole,
    /// Connections are refused.
    Refused,
    /// They are taken, and never answered.
    Silent,
}

#[derive(Clone, Debug)]
pub(crate) struct Cable {
    engine: MemoryEngine,
    line: Arc<Mutex<Line>>,
}

impl Cable {
    pub(crate) fn to(engine: MemoryEngine) -> Self {
        Self { engine, line: Arc::new(Mutex::new(Line::Whole)) }
    }

    pub(crate) fn set(&self, line: Line) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }

    pub(crate) fn engine(&self) -> &MemoryEngine {
        &self.engine
    }

    async fn reach(&self) -> Result<()> {
        let line = *self.line.lock().unwrap_or_else(PoisonError::into_inner);
        match line {
            Line::Whole => Ok(()),
            Line::Refused => Err(Error::new(ErrorKind::Unavailable, "connection refused")),
            Line::Silent => std::future::pending().await,
        }
    }
}

#[async_trait]
impl SearchEngine for Cable {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn schema(&self) -> &Schema {
        self.engine.schema()
    }

    async fn search(&self, query: &Query, left: Duration) -> Result<Page> {
        self.reach().await?;
        self.engine.search(query, left).await
    }

    async fn apply(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        self.reach().await?;
        self.engine.apply(changes).await
    }

    async fn status(&self) -> Result<Status> {
        self.reach().await?;
        self.engine.status().await
    }

    async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>> {
        self.reach().await?;
        self.engine.stamps(after, limit).await
    }
}
