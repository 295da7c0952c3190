//! What goes over the wire.

use pumasi_llm_parse::extract::Support;
use pumasi_llm_parse::task::{
    Difficulty, Match, Post, PostKind, Task, TaskFailure, TaskPart, TaskRecord, TaskState,
};
use serde::{Deserialize, Serialize};
use support::language::Said;
use utoipa::ToSchema;

use super::members::Nicknames;

/// A post as a client writes it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPost {
    /// `story` or `question`.
    #[schema(value_type = String, example = "question", pattern = "^(story|question)$")]
    pub(super) kind: PostKind,
    /// The headline.
    #[schema(max_length = 200)]
    pub(super) title: Option<String>,
    /// The text.
    #[schema(
        min_length = 1,
        max_length = 20000,
        example = "토익 900점을 넘기는 게 목표예요. 단어를 매일 외우려고 합니다."
    )]
    pub(super) body: String,
}

impl NewPost {
    /// Checks the sizes and makes the post.
    pub(super) fn into_post(self, id: String, author: Option<String>) -> Result<Post, String> {
        let fits = |text: &str, most: usize| text.chars().count() <= most;
        if self.body.trim().is_empty() || !fits(&self.body, 20_000) {
            return Err("the body must have 1 to 20,000 characters".to_owned());
        }
        if !self.title.as_deref().is_none_or(|title| fits(title, 200)) {
            return Err("the title must have at most 200 characters".to_owned());
        }
        let mut post = Post::new(id, self.kind, self.body);
        post.title = self.title.filter(|title| !title.trim().is_empty());
        post.author = author;
        Ok(post)
    }
}

/// What became of a write.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    pub(super) id: String,
    pub(super) version: u64,
}

/// A task in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskRow {
    post_id: String,
    #[schema(value_type = String)]
    kind: PostKind,
    task: TaskView,
}

impl TaskRow {
    pub(super) fn of(post: &Post, task: Task) -> Self {
        Self { post_id: post.id.clone(), kind: post.kind, task: TaskView::of(task) }
    }
}

/// A post in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct PostRow {
    id: String,
    version: u64,
    #[schema(value_type = String)]
    kind: PostKind,
    title: Option<String>,
    #[schema(value_type = String)]
    state: TaskState,
    tasks: usize,
    /// Why its tasks could not be found, if they could not.
    failure: Option<FailureView>,
    /// When it was accepted first, as RFC 3339, whatever was edited since.
    posted_at: Option<String>,
    author: Option<Author>,
}

/// Who wrote a post.
#[derive(Serialize, ToSchema)]
struct Author {
    id: String,
    /// As the membership service tells; none of who has left.
    nickname: Option<String>,
}

impl Author {
    fn of(id: Option<String>, nicknames: &Nicknames) -> Option<Self> {
        id.map(|id| Self { nickname: nicknames.of(&id), id })
    }
}

impl PostRow {
    pub(super) fn of(record: TaskRecord, nicknames: &Nicknames) -> Option<Self> {
        let post = record.post?;
        Some(Self {
            author: Author::of(post.author, nicknames),
            id: record.post_id,
            version: record.version,
            kind: post.kind,
            title: post.title,
            state: record.state,
            tasks: record.tasks.len(),
            failure: record.failure.map(FailureView::of),
            posted_at: record.posted_at.map(|at| at.to_string()),
        })
    }
}

/// A post with its tasks.
#[derive(Serialize, ToSchema)]
pub(super) struct PostView {
    id: String,
    version: u64,
    /// `pending`, `extracted` or `failed`.
    #[schema(value_type = String)]
    state: TaskState,
    post: PostText,
    tasks: Vec<TaskView>,
    /// The prompt or rule set that found them.
    extractor: Option<String>,
    failure: Option<FailureView>,
    tokens: u64,
    /// When it was accepted first, as RFC 3339, whatever was edited since.
    posted_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct PostText {
    #[schema(value_type = String)]
    kind: PostKind,
    title: Option<String>,
    body: String,
    author: Option<Author>,
}

#[derive(Serialize, ToSchema)]
struct FailureView {
    /// The kind of the error.
    reason: String,
    /// What was tried: the operation, the model's host and its status. Nothing of the post. In the language of whoever asks.
    #[schema(value_type = Option<String>)]
    message: Option<Said>,
    /// How often the post was tried.
    attempts: u32,
    /// How many calls of the model the last try made.
    calls: u32,
    /// Whether trying again may help: `never`, `now`, `after 20s`.
    retry: Option<String>,
}

impl FailureView {
    fn of(failure: TaskFailure) -> Self {
        Self {
            reason: failure.reason,
            message: failure.message.map(Said),
            attempts: failure.attempts,
            calls: failure.calls,
            retry: failure.retry,
        }
    }
}

impl PostView {
    pub(super) fn of(record: TaskRecord, nicknames: &Nicknames) -> Option<Self> {
        let post = record.post?;
        let author = Author::of(post.author, nicknames);
        Some(Self {
            id: record.post_id,
            version: record.version,
            state: record.state,
            post: PostText { kind: post.kind, title: post.title, body: post.body, author },
            tasks: record.tasks.into_iter().map(TaskView::of).collect(),
            extractor: record.extractor,
            failure: record.failure.map(FailureView::of),
            tokens: record.usage.total_tokens(),
            posted_at: record.posted_at.map(|at| at.to_string()),
        })
    }
}

/// A task.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskView {
    title: String,
    detail: Option<String>,
    timing: TimingView,
    order: u32,
    prerequisites: Vec<u32>,
    #[schema(value_type = Option<String>)]
    difficulty: Option<Difficulty>,
    /// The words of the post that tell of it.
    quote: String,
    /// Where they stand, in bytes of title, blank line and body together.
    span: Option<SpanView>,
    /// Whether they bear the task out: `supported`, `unsupported`, or `unchecked` where words cannot tell.
    #[schema(value_type = String)]
    support: Support,
    /// The parts that they contradict: `title`, `detail`, `due`, `duration_minutes`, `frequency`.
    #[schema(value_type = Vec<String>)]
    doubts: Vec<TaskPart>,
    confidence: f32,
}

#[derive(Serialize, ToSchema)]
struct TimingView {
    due: Option<String>,
    duration_minutes: Option<u32>,
    frequency: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct SpanView {
    start: usize,
    end: usize,
}

impl TaskView {
    fn of(task: Task) -> Self {
        let timing = task.timing;
        Self {
            title: task.title,
            detail: task.detail,
            timing: TimingView {
                due: timing.due,
                duration_minutes: timing.duration_minutes,
                frequency: timing.frequency,
            },
            order: task.order,
            prerequisites: task.prerequisites,
            difficulty: task.difficulty,
            quote: task.quote,
            span: task.span.map(|span| SpanView { start: span.start, end: span.end }),
            support: task.support,
            doubts: task.doubts,
            confidence: task.confidence,
        }
    }
}

/// A task that the question needs and the story that did it.
#[derive(Serialize, ToSchema)]
pub(super) struct MatchView {
    need: TaskView,
    deed: TaskView,
    story_id: String,
    story_title: Option<String>,
    score: f32,
}

impl MatchView {
    pub(super) fn of(
        found: &Match,
        needs: &[Task],
        deeds: &[Task],
        stories: &[(String, Option<String>)],
    ) -> Option<Self> {
        let (story_id, story_title) = stories.get(found.deed)?.clone();
        Some(Self {
            need: TaskView::of(needs.get(found.need)?.clone()),
            deed: TaskView::of(deeds.get(found.deed)?.clone()),
            story_id,
            story_title,
            score: found.score,
        })
    }
}

/// Who finds the tasks.
#[derive(Serialize, ToSchema)]
pub(super) struct About {
    pub(super) extractor: String,
    /// Whether rules stand in for a language model.
    pub(super) offline: bool,
    /// The word by which a post has the rules fail first, so that there is a failure to look at and to retry.
    pub(super) rehearsal: Option<&'static str>,
    /// Whether the service hands out tokens to whoever asks.
    pub(super) development: bool,
}

/// A member, as far as this service knows.
#[derive(Serialize, ToSchema)]
pub(super) struct MemberView {
    pub(super) id: String,
    pub(super) nickname: String,
}

/// The highest version of a member: what every client can write as a number of JSON.
pub(super) const MAX_VERSION: u64 = 9_007_199_254_740_991;

/// A member as the membership service tells.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberChange {
    /// The service's own count of this member's changes: what is older than what is known changes nothing.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    pub(super) version: u64,
    /// The nickname; none of who has left.
    #[schema(min_length = 1, max_length = 50)]
    pub(super) nickname: Option<String>,
}

/// Who wants a token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantsToken {
    /// The member's identifier.
    #[schema(min_length = 1, max_length = 100)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) role: Role,
    /// How others shall see the member.
    #[schema(min_length = 1, max_length = 50)]
    pub(super) nickname: Option<String>,
}

support::roles! {
    /// What a token lets one do.
    pub(crate) enum Role {
        /// Write, and edit and delete one's own.
        #[default]
        Member => "member",
        /// Delete and retry what others wrote, too.
        Moderator => "moderator",
        /// Tell of members: the membership service.
        Membership => "membership",
    }
}
