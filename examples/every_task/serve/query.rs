//! What a list is asked for by, and where its next page begins.

use pumasi_core::time::Timestamp;
use pumasi_llm_parse::task::{TaskPlace, TaskState};
use serde::Deserialize;
use support::paging::Paging;
use support::problem::Problem;

/// How a post stands, as far as it can be seen.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Seen {
    Pending,
    Extracted,
    Failed,
}

impl From<Seen> for TaskState {
    fn from(seen: Seen) -> Self {
        match seen {
            Seen::Pending => Self::Pending,
            Seen::Extracted => Self::Extracted,
            Seen::Failed => Self::Failed,
        }
    }
}

support::paged! {
    /// A page of posts.
    pub(super) struct PostsQuery {
        /// Only posts that stand so: `pending`, `extracted` or `failed`.
        #[param(value_type = Option<String>, pattern = "^(pending|extracted|failed)$")]
        pub(super) state: Option<Seen>,
    }
}

support::paged! {
    /// A page of tasks.
    pub(super) struct TasksQuery {
        /// A filter as JSON, e.g. `{"exists": {"field": "timing.due"}}`.
        pub(super) filter: Option<String>,
    }
}

/// The post that a page ended with.
pub(super) fn place(paging: &Paging) -> Result<Option<TaskPlace>, Problem> {
    Ok(paging.after_moment()?.map(|(at, post_id)| TaskPlace::new(Timestamp::from_micros(at), post_id)))
}

/// The text that [`place`] reads.
pub(super) fn written(place: &TaskPlace) -> String {
    format!("{},{}", place.posted_at.as_micros(), place.post_id)
}

/// A place in the list of all tasks.
pub(super) struct Cursor {
    pub(super) post: TaskPlace,
    pub(super) order: u32,
}

impl Cursor {
    pub(super) fn read(paging: &Paging) -> Result<Option<Self>, Problem> {
        paging.after_as(|after| {
            let (order, place) = after.split_once(',')?;
            let (at, post_id) = place.split_once(',')?;
            let post = TaskPlace::new(Timestamp::from_micros(at.parse().ok()?), post_id);
            Some(Self { post, order: order.parse().ok()? })
        })
    }

    /// The text that [`Self::read`] takes.
    pub(super) fn write(&self) -> String {
        format!("{},{}", self.order, written(&self.post))
    }
}
