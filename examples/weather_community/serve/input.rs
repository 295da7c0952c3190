//! What comes over the wire.

use pumasi_core::filter::{Circle, GeoPoint};
use pumasi_search::reactions::Reaction;
use serde::{Deserialize, Serialize};
use support::body::text;
use support::problem::Problem;
use support::query::bad;
use utoipa::{IntoParams, ToSchema};

use crate::region::{Danger, Region, Sky};

/// How far posts are from whoever asks, at most and unless they say.
const FARTHEST_M: f64 = 50_000.0;
const USUAL_M: f64 = 5_000.0;

fn place(lat: f64, lon: f64) -> Result<GeoPoint, Problem> {
    let point = GeoPoint::new(lat, lon);
    if point.is_valid() {
        return Ok(point);
    }
    Err(Problem::invalid("a place has `lat` from -90 to 90 and `lon` from -180 to 180"))
}

/// An entry of a list by number, as paths have it.
pub(super) fn number(id: &str, what: &str) -> Result<i64, Problem> {
    let number = id.parse().ok().filter(|number| *number > 0 && !id.starts_with('+'));
    number.ok_or_else(|| Problem::not_found(what))
}

/// A number to go on from, as queries have it.
pub(super) fn position(after: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(after) = after else { return Ok(None) };
    let position = after.parse().ok().filter(|number| *number >= 0 && !after.starts_with('+'));
    position.map(Some).ok_or_else(|| bad("`after` is a number that a page ended with"))
}

/// What somebody sees.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPost {
    pub(super) sky: Sky,
    #[schema(min_length = 1, max_length = 500, example = "여의도에 소나기가 옵니다")]
    pub(super) text: String,
    #[schema(minimum = -90, maximum = 90, example = 37.528)]
    pub(super) lat: f64,
    #[schema(minimum = -180, maximum = 180, example = 126.933)]
    pub(super) lon: f64,
}

impl NewPost {
    pub(super) fn by(self, author: &str) -> Result<crate::posts::NewPost, Problem> {
        Ok(crate::posts::NewPost {
            author: author.to_owned(),
            sky: self.sky.as_str().to_owned(),
            text: text("a post", &self.text, 500)?.to_owned(),
            at: place(self.lat, self.lon)?,
        })
    }
}

support::paged! {
    /// Where to look for posts.
    pub(super) struct NearQuery {
        #[param(minimum = -90, maximum = 90)]
        lat: f64,
        #[param(minimum = -180, maximum = 180)]
        lon: f64,
        /// How far away at most, in metres; by default 5,000.
        #[param(minimum = 1, maximum = 50_000)]
        radius_m: Option<f64>,
    }
}

impl NearQuery {
    pub(super) fn circle(&self) -> Result<Circle, Problem> {
        let center = place(self.lat, self.lon).map_err(|problem| bad(problem.detail))?;
        let radius_m = self.radius_m.unwrap_or(USUAL_M);
        if !(1.0..=FARTHEST_M).contains(&radius_m) {
            return Err(bad(format!("the radius is 1 to {FARTHEST_M} metres")));
        }
        Ok(Circle::new(center, radius_m))
    }
}

support::paged! {
    /// A page of warnings.
    pub(super) struct WarningsQuery {
        /// Only those of this region.
        #[param(inline)]
        pub(super) region: Option<Region>,
        /// Those, too, that were lifted within the last 24 hours: their rooms can be read.
        #[serde(default)]
        pub(super) lifted: bool,
    }
}

/// Where to begin listening.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveQuery {
    /// The number of the last message that is known; without it the last 100 come first.
    #[param(value_type = Option<i64>, minimum = 0)]
    pub(super) after: Option<String>,
}

/// What the caller thinks of a post.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewReaction {
    #[schema(value_type = String, pattern = "^(like|dislike|none)$")]
    pub(super) reaction: Reaction,
}

/// A warning as a forecaster issues it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWarning {
    pub(super) region: Region,
    pub(super) kind: Danger,
    #[schema(min_length = 1, max_length = 500, example = "시간당 50mm의 비")]
    text: String,
}

impl NewWarning {
    pub(super) fn text(&self) -> Result<&str, Problem> {
        text("a warning", &self.text, 500)
    }
}

/// What somebody says in a room.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMessage {
    /// The sender's own name for it: sent again it is said once.
    #[schema(min_length = 1, max_length = 100, example = "b7f0c1")]
    id: String,
    #[schema(min_length = 1, max_length = 1000)]
    text: String,
}

impl NewMessage {
    pub(super) fn by(self, author: &std::sync::Arc<str>) -> Result<pumasi_core::room::NewMessage, Problem> {
        let id = self.id.trim();
        if id.is_empty() || id.chars().count() > 100 || id.chars().any(char::is_control) {
            return Err(Problem::invalid("the id of a message is a line of 1 to 100 characters"));
        }
        let text = text("a message", &self.text, 1_000)?;
        Ok(pumasi_core::room::NewMessage::new(id, std::sync::Arc::clone(author), text))
    }
}

/// A mission as a forecaster makes it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMission {
    #[schema(min_length = 1, max_length = 200, example = "청계천 물높이 보기")]
    title: String,
    #[schema(minimum = -90, maximum = 90)]
    lat: f64,
    #[schema(minimum = -180, maximum = 180)]
    lon: f64,
    /// From how far away it can be proven, in metres.
    #[schema(minimum = 10, maximum = 50_000)]
    radius_m: f64,
}

impl NewMission {
    pub(super) fn read(self) -> Result<(String, Circle), Problem> {
        if !(10.0..=FARTHEST_M).contains(&self.radius_m) {
            return Err(Problem::invalid(format!("a mission's radius is 10 to {FARTHEST_M} metres")));
        }
        let circle = Circle::new(place(self.lat, self.lon)?, self.radius_m);
        Ok((text("the title of a mission", &self.title, 200)?.to_owned(), circle))
    }
}

/// The proof that somebody was there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProof {
    #[schema(minimum = -90, maximum = 90)]
    lat: f64,
    #[schema(minimum = -180, maximum = 180)]
    lon: f64,
    /// What there was to see.
    #[schema(min_length = 1, max_length = 500)]
    note: String,
}

impl NewProof {
    pub(super) fn read(&self) -> Result<(GeoPoint, &str), Problem> {
        Ok((place(self.lat, self.lon)?, text("the note of a proof", &self.note, 500)?))
    }
}

/// A drop as a forecaster makes it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDrop {
    #[schema(min_length = 1, max_length = 200, example = "우산 쿠폰")]
    title: String,
    /// How many coupons there are.
    #[schema(minimum = 1, maximum = 1_000_000)]
    places: u32,
}

impl NewDrop {
    pub(super) fn read(&self) -> Result<(String, u32), Problem> {
        if !(1..=1_000_000).contains(&self.places) {
            return Err(Problem::invalid("a drop has 1 to 1,000,000 coupons"));
        }
        Ok((text("the title of a drop", &self.title, 200)?.to_owned(), self.places))
    }
}

support::roles! {
    /// What a token lets one do.
    pub(crate) enum Role {
        #[default]
        Member => "member",
        Forecaster => "forecaster",
    }
}
