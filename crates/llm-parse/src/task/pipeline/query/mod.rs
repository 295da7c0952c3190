//! Which records are listed, and where a page of them begins.

use std::num::NonZeroUsize;

use pumasi_core::time::Timestamp;

use super::{TaskRecord, TaskState};

/// The place of a record where the newest post stands first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct TaskPlace {
    /// When the post was first accepted; the epoch where that is not known.
    pub posted_at: Timestamp,
    /// The post's identifier, which decides between posts of one moment.
    pub post_id: String,
}

impl TaskPlace {
    /// Makes the place of a post.
    pub fn new(posted_at: Timestamp, post_id: impl Into<String>) -> Self {
        Self { posted_at, post_id: post_id.into() }
    }
}

/// In which order records are listed, and behind which place a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskOrder {
    /// By the posts' identifiers.
    Identifier {
        /// Only posts after this one.
        after: Option<String>,
    },
    /// Posts that were accepted last first.
    NewestFirst {
        /// Only posts behind this place.
        after: Option<TaskPlace>,
    },
}

impl Default for TaskOrder {
    fn default() -> Self {
        Self::Identifier { after: None }
    }
}

/// Which records are wanted, by the posts' identifiers or the newest first.
///
/// Neither an edit nor another attempt moves a post: whoever goes from page to page sees each post that stays once.
///
/// ```
/// use pumasi_llm_parse::task::{MemoryTaskStore, TaskQuery, TaskStore};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryTaskStore::new();
/// let mut query = TaskQuery::default().newest_first();
/// loop {
///     let page = store.list(&query).await?;
///     let Some(last) = page.last() else { break };
///     query = query.newest_after(last.place());
/// }
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskQuery {
    /// Only records in this state; all but those of deleted posts if `None`.
    pub state: Option<TaskState>,
    /// In which order, and from where on.
    pub order: TaskOrder,
    /// At most this many; 100 if `None`.
    pub limit: Option<NonZeroUsize>,
}

impl TaskQuery {
    /// Asks for the records in `state`.
    pub fn in_state(state: TaskState) -> Self {
        Self { state: Some(state), ..Self::default() }
    }

    /// Asks for the posts after `post_id`, by their identifiers.
    #[must_use]
    pub fn after(mut self, post_id: impl Into<String>) -> Self {
        self.order = TaskOrder::Identifier { after: Some(post_id.into()) };
        self
    }

    /// Asks for the posts that were accepted last first.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.order = TaskOrder::NewestFirst { after: None };
        self
    }

    /// Asks for the posts that were accepted last first, of those behind `place`.
    #[must_use]
    pub fn newest_after(mut self, place: TaskPlace) -> Self {
        self.order = TaskOrder::NewestFirst { after: Some(place) };
        self
    }

    /// Asks for at most `limit` records.
    #[must_use]
    pub fn with_limit(mut self, limit: NonZeroUsize) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.map_or(100, NonZeroUsize::get)
    }

    /// Tells whether a record is in a state that is asked for.
    pub(super) fn asks_for(&self, state: TaskState) -> bool {
        self.state.map_or(!state.is_deleted(), |wanted| state == wanted)
    }
}

impl TaskRecord {
    /// Where the record stands in a list of the newest first.
    pub fn place(&self) -> TaskPlace {
        let posted_at = self.posted_at.unwrap_or_else(|| Timestamp::from_micros(0));
        TaskPlace::new(posted_at, self.post_id.clone())
    }
}

/// What a table is asked for a page: the same of both engines.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) struct Statement<'q> {
    pub(super) sql: &'static str,
    /// Behind which post.
    pub(super) after: &'q str,
    /// In microseconds when that was posted, where it counts.
    pub(super) posted_at: Option<i64>,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl TaskQuery {
    pub(super) fn statement(&self) -> Statement<'_> {
        match &self.order {
            TaskOrder::Identifier { after } => Statement {
                sql: include_str!("../sql/list.sql"),
                after: after.as_deref().unwrap_or_default(),
                posted_at: None,
            },
            TaskOrder::NewestFirst { after } => Statement {
                sql: include_str!("../sql/newest.sql"),
                after: after.as_ref().map_or("", |place| &place.post_id),
                posted_at: Some(after.as_ref().map_or(i64::MAX, |place| place.posted_at.as_micros())),
            },
        }
    }
}

#[cfg(test)]
mod tests;
