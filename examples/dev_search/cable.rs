//! An engine at the end of a cable that can be pulled.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_search::{
    Applied, Change, Error, ErrorKind, Page, Query, Result, Schema, SearchEngine, Stamp, Status,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

/// What becomes of questions and changes on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// They arrive.
    Whole,
    /// Connections are refused.
    Refused,
    /// They are taken, and never answered; the connection breaks when the line changes.
    Silent,
}

#[derive(Clone)]
pub(crate) struct Cable {
    engine: Arc<dyn SearchEngine>,
    line: Arc<watch::Sender<Line>>,
}

impl fmt::Debug for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cable")
            .field("engine", &self.engine.name())
            .field("line", &self.line())
            .finish_non_exhaustive()
    }
}

impl Cable {
    pub(crate) fn to(engine: impl SearchEngine + 'static) -> Self {
        Self { engine: Arc::new(engine), line: Arc::new(watch::Sender::new(Line::Whole)) }
    }

    pub(crate) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    pub(crate) fn line(&self) -> Line {
        *self.line.borrow()
    }

    async fn reach(&self) -> Result<()> {
        let mut line = self.line.subscribe();
        let stands = *line.borrow_and_update();
        match stands {
            Line::Whole => Ok(()),
            Line::Refused => Err(Error::new(ErrorKind::Unavailable, "connection refused")),
            Line::Silent => {
                let _ = line.wait_for(|line| *line != Line::Silent).await;
                Err(Error::new(ErrorKind::Unavailable, "the connection broke"))
            }
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

    async fn prepare(&self) -> Result<()> {
        self.reach().await?;
        self.engine.prepare().await
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
