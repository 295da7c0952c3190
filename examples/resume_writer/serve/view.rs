//! What goes over the wire.

use pumasi_core::Result;
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use support::language::Said;
use utoipa::ToSchema;

use crate::diff::{Change, changes};
use crate::resume::{Language, Line, Refused, Resume};
use crate::store::{Comment, Kept, KeptEdit, Notice};

fn at(micros: i64) -> String {
    Timestamp::from_micros(micros).to_string()
}

/// Whose work is to be written up.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The GitHub account.
    #[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9_-]+$", example = "haneul-example")]
    pub(super) account: String,
    pub(super) language: Language,
}

/// What an owner wants changed.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Instruction {
    #[schema(min_length = 1, max_length = 1000, example = "Shorten the summary")]
    pub(super) instruction: String,
    /// The version that the owner looks at.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    pub(super) version: i64,
}

/// What was accepted, and will be done.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    pub(super) id: String,
}

/// A résumé in its owner's list.
#[derive(Serialize, ToSchema)]
pub(super) struct ResumeRow {
    id: String,
    account: String,
    language: String,
    state: String,
    version: i64,
    shared: bool,
    at: String,
}

impl From<Kept> for ResumeRow {
    fn from(kept: Kept) -> Self {
        let shared = kept.is_shared();
        let Kept { id, account, language, state, version, at: when, .. } = kept;
        Self { id, account, language, state, version, shared, at: at(when) }
    }
}

/// A résumé as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct ResumeView {
    id: String,
    account: String,
    language: String,
    /// `pending`, `ready` or `failed`.
    state: String,
    /// Why it failed: what was tried, and nothing that anybody wrote.
    #[schema(value_type = Option<String>)]
    failure: Option<Said>,
    version: i64,
    shared: bool,
    resume: Option<Resume>,
    /// How many records were read.
    records: usize,
}

impl ResumeView {
    pub(super) fn of(kept: Kept) -> Result<Self> {
        let (resume, records, shared) = (kept.resume()?, kept.sources()?.len(), kept.is_shared());
        let Kept { id, account, language, state, failure, version, .. } = kept;
        let failure = failure.map(Said);
        Ok(Self { id, account, language, state, failure, version, shared, resume, records })
    }
}

/// An instruction in the list of those for a résumé.
#[derive(Serialize, ToSchema)]
pub(super) struct EditRow {
    id: String,
    /// `pending`, `proposed`, `accepted` or `failed`.
    state: String,
    #[schema(value_type = Option<String>)]
    failure: Option<Said>,
    instruction: String,
    /// The version that it was given for.
    version: i64,
    at: String,
}

impl From<KeptEdit> for EditRow {
    fn from(kept: KeptEdit) -> Self {
        let KeptEdit { id, state, failure, instruction, base: version, at: when, .. } = kept;
        Self { id, state, failure: failure.map(Said), instruction, version, at: at(when) }
    }
}

/// What an instruction comes to.
#[derive(Serialize, ToSchema)]
pub(super) struct EditView {
    id: String,
    /// `pending`, `proposed`, `accepted` or `failed`.
    state: String,
    #[schema(value_type = Option<String>)]
    failure: Option<Said>,
    instruction: String,
    /// The version that it was given for.
    version: i64,
    /// What becomes of each line.
    changes: Vec<Change>,
    /// What is not done, because nothing proves it or it cannot be.
    not_done: Vec<Refused>,
}

impl EditView {
    pub(super) fn of(kept: KeptEdit) -> Result<Self> {
        let proposal = kept.proposal()?;
        let changes = proposal.as_ref().map(|proposal| changes(&proposal.before, &proposal.after));
        let KeptEdit { id, state, failure, instruction, base: version, .. } = kept;
        Ok(Self {
            id,
            state,
            failure: failure.map(Said),
            instruction,
            version,
            changes: changes.unwrap_or_default(),
            not_done: proposal.map(|proposal| proposal.not_done).unwrap_or_default(),
        })
    }
}

/// The key of a shared résumé: told once, and kept nowhere.
#[derive(Serialize, ToSchema)]
pub(super) struct ShareKey {
    pub(super) key: String,
}

/// A résumé as it is shared: what was refused, or is not proven word by word, stays with its owner.
#[derive(Serialize, ToSchema)]
pub(super) struct SharedView {
    name: String,
    account: String,
    language: String,
    version: i64,
    lines: Vec<Line>,
    likes: u64,
    /// Whether the caller likes it.
    liked: bool,
    /// Whether it is the caller's.
    own: bool,
}

impl SharedView {
    pub(super) fn of(kept: Kept, resume: Resume, (likes, liked): (u64, bool), own: bool) -> Self {
        let Kept { account, language, version, .. } = kept;
        let lines = resume.lines.into_iter().filter(|line| line.is_said).collect();
        Self { name: resume.name, account, language, version, lines, likes, liked, own }
    }
}

/// Whether somebody likes a résumé.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLike {
    pub(super) like: bool,
}

/// How many like a résumé.
#[derive(Serialize, ToSchema)]
pub(super) struct LikesView {
    pub(super) likes: u64,
    pub(super) liked: bool,
}

/// What somebody says.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewComment {
    #[schema(min_length = 1, max_length = 1000, example = "재현율을 어떻게 재셨나요?")]
    pub(super) text: String,
}

/// A comment.
#[derive(Serialize, ToSchema)]
pub(super) struct CommentView {
    number: i64,
    author: String,
    text: String,
    at: String,
}

impl From<Comment> for CommentView {
    fn from(comment: Comment) -> Self {
        Self { number: comment.number, author: comment.author, text: comment.text, at: at(comment.at) }
    }
}

/// What an owner is told.
#[derive(Serialize, ToSchema)]
pub(super) struct NoticeView {
    id: String,
    resume: String,
    /// `like` or `comment`.
    kind: String,
    /// Whose.
    person: String,
    at: String,
}

impl From<Notice> for NoticeView {
    fn from(notice: Notice) -> Self {
        let Notice { id, resume, kind, person, at: when } = notice;
        Self { id, resume, kind, person, at: at(when) }
    }
}

support::roles! {
    /// What a token lets one do.
    pub(crate) enum Role {
        /// Have résumés written, like and comment.
        #[default]
        Member => "member",
        /// Delete comments of others, too.
        Moderator => "moderator",
    }
}

/// How the service is set up.
#[derive(Serialize, ToSchema)]
pub(super) struct About {
    /// The model that writes.
    pub(super) model: String,
    /// Whether committed answers stand in for it.
    pub(super) offline: bool,
    /// The account to try, where only the committed export is there.
    pub(super) account: Option<String>,
    /// The instructions to which there are committed answers.
    pub(super) instructions: Vec<String>,
    /// Whether the service hands out tokens to whoever asks.
    pub(super) development: bool,
}
