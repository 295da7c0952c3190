//! A task, as posts tell of it.

use std::fmt;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Post, TaskPart};
use crate::extract::Support;

/// How hard a task is, as far as the post says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Difficulty {
    /// The post calls it easy, basic or a first step.
    #[schemars(extend("x-aliases" = ["쉬움", "초급", "beginner", "basic"]))]
    Easy,
    /// The post calls it neither easy nor hard.
    #[schemars(extend("x-aliases" = ["보통", "중급", "normal", "intermediate"]))]
    Medium,
    /// The post calls it hard, advanced or demanding.
    #[schemars(extend("x-aliases" = ["어려움", "고급", "difficult", "advanced"]))]
    Hard,
}

/// What a task asks of time. All parts may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Timing {
    /// The day by which it is due, as `YYYY-MM-DD`; only if the post names a full date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// How long it takes or took in all, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_minutes: Option<u32>,
    /// How often it is done, in the post's words ("매일 30분", "three times a week").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency: Option<String>,
}

impl Timing {
    /// Tells whether nothing is said of time.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Something that was done (in a story) or has to be done (in a question).
/// `Debug` shows numbers only, never the person's words.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Task {
    /// What is done, short, in the post's language.
    pub title: String,
    /// How it is done, if the post says more than the title does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What it asks of time.
    #[serde(default, skip_serializing_if = "Timing::is_empty")]
    pub timing: Timing,
    /// Its place in the order of doing, from 1.
    pub order: u32,
    /// The `order` of the tasks that must be done before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prerequisites: Vec<u32>,
    /// How hard it is, if the post says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<Difficulty>,
    /// The words of the post that tell of the task.
    pub quote: String,
    /// Where the quote stands, in bytes of [`Post::text`](super::Post::text); `None` if it does not stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Range<usize>>,
    /// Whether the quote bears the task out. That it stands in the post says nothing about this.
    #[serde(default)]
    pub support: Support,
    /// The parts that the quote, or where it is silent the post, contradicts; with any, `support` is `Unsupported`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<TaskPart>,
    /// How sure the extractor is, from 0 to 1.
    pub confidence: f32,
}

impl Task {
    /// Makes the first task, with nothing said but its title and quote.
    pub fn new(title: impl Into<String>, quote: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            detail: None,
            timing: Timing::default(),
            order: 1,
            prerequisites: Vec::new(),
            difficulty: None,
            quote: quote.into(),
            span: None,
            support: Support::Unchecked,
            doubts: Vec::new(),
            confidence: 1.0,
        }
    }

    /// Returns the fields by which a [`Filter`](pumasi_core::filter::Filter) lists tasks: the task as JSON (`title`,
    /// `timing.due`, `timing.frequency`, `order`, `difficulty`, `support`, `confidence`, …) and, of its post, `post.id`,
    /// `post.title`, `post.kind`, `post.language` and `post.author`. [`check_filter`](super::check_filter) tells whether a
    /// filter asks for them as what they are.
    ///
    /// ```
    /// use pumasi_core::filter::{Field, Filter};
    /// use pumasi_llm_parse::task::{Post, PostKind, RuleTaskExtractor};
    ///
    /// let post = Post::new("p", PostKind::Question, "단어를 매일 외우려고 합니다. 기타를 배우고 싶습니다.");
    /// let often: Filter = serde_json::from_str(r#"{"exists": {"field": "timing.frequency"}}"#)?;
    /// let tasks = RuleTaskExtractor::new().tasks(&post);
    /// assert_eq!(tasks.iter().filter(|task| often.matches(&task.fields(&post))).count(), 1);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn fields(&self, post: &Post) -> Value {
        let mut fields = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = fields.as_object_mut() {
            let of_post = json!({
                "id": post.id,
                "title": post.title,
                "kind": post.kind,
                "language": post.language(),
                "author": post.author,
            });
            fields.insert("post".to_owned(), of_post);
        }
        fields
    }

    /// Sets its place in the order of doing.
    #[must_use]
    pub fn with_order(mut self, order: u32) -> Self {
        self.order = order;
        self
    }

    /// Sets where the quote stands in the post's text.
    #[must_use]
    pub fn with_span(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("order", &self.order)
            .field("prerequisites", &self.prerequisites)
            .field("difficulty", &self.difficulty)
            .field("span", &self.span)
            .field("support", &self.support)
            .field("doubts", &self.doubts)
            .field("confidence", &self.confidence)
            .finish_non_exhaustive()
    }
}
