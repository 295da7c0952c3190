//! What a list is asked for by, and where its next page begins.

use pumasi_llm_parse::task::TaskState;
use serde::Deserialize;
use support::problem::Problem;
use support::query::bad;
use utoipa::IntoParams;

/// How a post stands, as far as it can be seen.
#[derive(Clone, Copy, Deserialize)]
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

/// A page of posts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Only posts that stand so: `pending`, `extracted` or `failed`.
    #[param(value_type = Option<String>, pattern = "^(pending|extracted|failed)$")]
    pub(super) state: Option<Seen>,
    /// Only posts after this identifier.
    pub(super) after: Option<String>,
    /// At most this many; 100 if left out.
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub(super) limit: Option<u16>,
}

/// A page of tasks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterQuery {
    /// A filter as JSON, e.g. `{"exists": {"field": "timing.due"}}`.
    pub(super) filter: Option<String>,
    /// Only tasks after this cursor: a post's identifier and a task's order, `0199….3`.
    pub(super) after: Option<String>,
    /// At most this many; 100 if left out.
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub(super) limit: Option<u16>,
}

/// A place in the list of all tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) post_id: String,
    pub(super) order: u32,
}

impl Cursor {
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let place = text.rsplit_once('.').and_then(|(post_id, order)| {
            (!post_id.is_empty()).then_some(Self { post_id: post_id.to_owned(), order: order.parse().ok()? })
        });
        place.ok_or_else(|| bad("`after` is a post's identifier, a dot and a task's order"))
    }

    /// The text that [`Self::read`] takes.
    pub(super) fn write(&self) -> String {
        format!("{}.{}", self.post_id, self.order)
    }
}
