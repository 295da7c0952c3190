//! What comes over the wire.

use std::sync::Arc;

use pumasi_core::time::Timestamp;
use pumasi_saga::Decision;
use pumasi_saga::store::Status;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use support::body::text;
use support::decision;
use support::names;
use support::problem::Problem;
use support::query::bad;
use utoipa::{IntoParams, ToSchema};

use crate::cable::Line;
use crate::entries::Entry;
use crate::shop::Mood;

/// The most places an entry may have.
const MOST_PLACES: u32 = 10_000;
/// The most a place may cost, in won.
const MOST_KRW: u32 = 10_000_000;

names! {
    /// What an entry is.
    pub(super) enum Kind { Post => "post", Party => "party", Project => "project", Lecture => "lecture" }
}
names! {
    /// What an entry is about.
    pub(super) enum Category {
        Backend => "backend", Career => "career", Database => "database", Devops => "devops",
        Frontend => "frontend", Search => "search", Study => "study",
    }
}
names! {
    /// The language that an entry is written in.
    pub(super) enum Lang { Korean => "ko", English => "en" }
}

/// In which order.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// The best match first.
    #[default]
    Best,
    /// The best liked first: pages go on where they were, also when the engine changes between them.
    Likes,
}

/// What is looked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Words in Korean or English; everything, if they are left out. Words with a typo are found too.
    #[serde(default)]
    #[param(max_length = 500)]
    q: String,
    /// Whether the last word may be unfinished, down to initial consonants (`ㄹㅅㅌ` finds 러스트): for a box that searches while
    /// somebody types.
    #[serde(default)]
    pub(super) typing: bool,
    #[param(inline)]
    pub(super) kind: Option<Kind>,
    #[param(inline)]
    pub(super) category: Option<Category>,
    #[param(inline)]
    pub(super) lang: Option<Lang>,
    #[serde(default)]
    #[param(inline, required = false)]
    pub(super) order: Order,
    /// Where the page before ended, as its `next` says.
    pub(super) after: Option<String>,
    /// At most so many, 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<u16>,
}

impl Asked {
    pub(super) fn words(&self) -> Result<&str, Problem> {
        let words = self.q.trim();
        if words.chars().count() > 500 {
            return Err(bad("`q` has at most 500 characters"));
        }
        Ok(words)
    }
}

/// What becomes of questions and changes on their way to an engine.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cut {
    pub(super) line: Line,
}

/// How the payment partner is.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Partner {
    pub(super) mood: Mood,
}

/// An entry as somebody writes it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEntry {
    pub(super) kind: Kind,
    category: Category,
    lang: Lang,
    #[schema(min_length = 1, max_length = 200, example = "러스트로 배우는 비동기 프로그래밍")]
    title: String,
    #[schema(min_length = 1, max_length = 4000)]
    body: String,
    /// How many places a project or a lecture has.
    #[serde(default)]
    #[schema(maximum = 10_000)]
    places: u32,
    /// What a place costs, in won.
    #[serde(default)]
    #[schema(maximum = 10_000_000)]
    price_krw: u32,
}

impl Kind {
    /// Whether it has places that are ordered.
    pub(super) const fn has_places(self) -> bool {
        matches!(self, Self::Project | Self::Lecture)
    }
}

impl NewEntry {
    pub(super) fn by(self, author: &str, id: String, now: Timestamp) -> Result<Entry, Problem> {
        if self.kind.has_places() != (1..=MOST_PLACES).contains(&self.places) || self.price_krw > MOST_KRW {
            return Err(Problem::invalid(
                "a project or a lecture has 1 to 10,000 places for at most 10,000,000 won each; a post or a party has none",
            ));
        }
        if !self.kind.has_places() && self.price_krw > 0 {
            return Err(Problem::invalid("a post or a party costs nothing"));
        }
        Ok(Entry {
            id,
            kind: self.kind.as_str().to_owned(),
            category: self.category.as_str().to_owned(),
            lang: self.lang.as_str().to_owned(),
            title: text("a title", &self.title, 200)?.to_owned(),
            body: text("a body", &self.body, 4_000)?.to_owned(),
            author: author.to_owned(),
            likes: 0,
            price_krw: self.price_krw.into(),
            places: self.places.into(),
            at: now.as_micros(),
        })
    }
}

/// An order of a place.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrder {
    /// Begins anew an order that was undone.
    #[serde(default)]
    pub(super) again: bool,
}

support::paged! {
    /// A page of orders.
    pub(super) struct OrdersQuery {
        /// Only those that stand so, for an operator: `running`, `completed`, `compensating`, `compensated` or `needs_operator`.
        #[param(value_type = Option<String>)]
        pub(super) status: Option<Status>,
    }
}

/// What an operator decides about an order.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Tries again what it stands at.
    Retry,
    /// Passes over what would undo a step: its effect stands.
    Skip,
    /// Takes what it stands at as done, as by hand; a step with `value`.
    ForceDone,
    /// Takes a confirmation of which nobody knows as not done, and undoes everything.
    ForceFailed,
    /// Undoes everything.
    Cancel,
}

impl decision::Verdict for Verdict {
    fn decision(self, value: Option<Value>, who: Arc<str>, why: &str) -> pumasi_saga::Result<Decision> {
        Ok(match self {
            Self::Retry => Decision::retry(who, why),
            Self::Skip => Decision::skip(who, why),
            Self::ForceDone => Decision::force_done(&value, who, why)?,
            Self::ForceFailed => Decision::force_failed(who, why),
            Self::Cancel => Decision::cancel(who, why),
        })
    }
}

/// What an operator decides, and why.
pub(super) type NewDecision = decision::NewDecision<Verdict>;

/// A todo as its owner writes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTodo {
    #[schema(min_length = 1, max_length = 500, example = "과제 리뷰 받기")]
    text: String,
    #[serde(default)]
    pub(super) done: bool,
}

impl NewTodo {
    pub(super) fn text(&self) -> Result<&str, Problem> {
        text("a todo", &self.text, 500)
    }
}

/// A todo's name, which its owner chooses.
pub(super) fn todo_id(id: &str) -> Result<&str, Problem> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=64).contains(&id.len()) && id.bytes().all(is_name) {
        return Ok(id);
    }
    Err(Problem::invalid("a todo's name has 1 to 64 letters, digits, hyphens and underscores"))
}

support::roles! {
    /// What a token lets one do.
    pub(crate) enum Role {
        #[default]
        Member => "member",
        Tutor => "tutor",
        Operator => "operator",
    }
}
