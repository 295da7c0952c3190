//! What goes over the wire to whoever asks.

use pumasi_core::filter::GeoPoint;
use pumasi_core::room::Message;
use pumasi_core::time::Timestamp;
use pumasi_saga::capacity::Places;
use pumasi_search::reactions::{Counts, Reaction, Tally};
use pumasi_search::views::Seen;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::drops::{Coupon, Drop};
use crate::missions::{Mission, Proof};
use crate::posts::Post;
use crate::warnings::Warning;

/// A post.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct PostView {
    id: i64,
    author: String,
    sky: String,
    text: String,
    lat: f64,
    lon: f64,
    at: String,
    /// How far it is from whoever asks, in metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_m: Option<u64>,
    likes: u64,
    dislikes: u64,
    views: u64,
    /// The caller's own reaction: `like`, `dislike` or `none`.
    #[schema(value_type = String)]
    mine: Reaction,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "half the globe is far below 2^53 metres"
)]
fn metres(length: f64) -> u64 {
    length.round() as u64
}

impl PostView {
    pub(super) fn of(post: Post, from: Option<GeoPoint>, counts: Counts, views: u64, mine: Reaction) -> Self {
        Self {
            distance_m: from.map(|from| metres(from.distance_m(post.place))),
            id: post.id,
            author: post.author,
            sky: post.sky,
            text: post.text,
            lat: post.place.lat,
            lon: post.place.lon,
            at: post.at.to_string(),
            likes: counts.likes,
            dislikes: counts.dislikes,
            views,
            mine,
        }
    }
}

/// What people think of a post, after a vote.
#[derive(Serialize, ToSchema)]
pub(super) struct TallyView {
    likes: u64,
    dislikes: u64,
    /// The caller's reaction that stands.
    #[schema(value_type = String)]
    mine: Reaction,
}

impl From<Tally> for TallyView {
    fn from(tally: Tally) -> Self {
        Self { likes: tally.counts.likes, dislikes: tally.counts.dislikes, mine: tally.reaction }
    }
}

/// What became of a view.
#[derive(Serialize, ToSchema)]
pub(super) struct SeenView {
    /// Whether it counted: once a person and hour.
    pub(super) counted: bool,
    views: u64,
}

impl From<Seen> for SeenView {
    fn from(seen: Seen) -> Self {
        Self { counted: seen.counted, views: seen.total }
    }
}

/// A warning.
#[derive(Serialize, ToSchema)]
pub(super) struct WarningView {
    id: i64,
    region: String,
    kind: String,
    text: String,
    forecaster: String,
    at: String,
    /// When it was lifted; from then on its room can only be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifted_at: Option<String>,
}

impl From<Warning> for WarningView {
    fn from(warning: Warning) -> Self {
        Self {
            id: warning.id,
            region: warning.region,
            kind: warning.kind,
            text: warning.text,
            forecaster: warning.forecaster,
            at: warning.at.to_string(),
            lifted_at: warning.lifted_at.as_ref().map(Timestamp::to_string),
        }
    }
}

/// What somebody said in a room.
#[derive(Serialize, ToSchema)]
pub(super) struct MessageView {
    /// Which message of the room it is, from 1.
    number: u64,
    author: String,
    text: String,
    at: String,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        Self {
            number: message.number,
            author: message.author.as_ref().to_owned(),
            text: message.text.as_ref().to_owned(),
            at: message.at.to_string(),
        }
    }
}

/// A mission.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct MissionView {
    id: i64,
    title: String,
    lat: f64,
    lon: f64,
    radius_m: f64,
    /// How many people have proven it.
    proven: u64,
    /// Whether the caller is one of them.
    mine: bool,
}

impl From<Mission> for MissionView {
    fn from(mission: Mission) -> Self {
        let (center, radius_m) = (mission.circle.center, mission.circle.radius_m);
        let Mission { id, title, proven, mine, .. } = mission;
        Self { id, title, lat: center.lat, lon: center.lon, radius_m, proven, mine }
    }
}

/// The proof that stands.
#[derive(Serialize, ToSchema)]
pub(super) struct ProofView {
    note: String,
    at: String,
}

impl From<Proof> for ProofView {
    fn from(proof: Proof) -> Self {
        Self { note: proof.note, at: proof.at.to_string() }
    }
}

/// A drop.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct DropView {
    id: i64,
    title: String,
    /// How many coupons there are.
    places: u64,
    /// How many are left.
    free: u64,
}

impl DropView {
    pub(super) fn of(drop: Drop, places: Option<Places>) -> Self {
        let all = u64::try_from(drop.places).unwrap_or(0);
        Self { id: drop.id, title: drop.title, places: all, free: places.map_or(all, |places| places.free()) }
    }
}

/// A coupon: the caller's, and the same however often it is asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct CouponView {
    /// How manieth it was.
    ticket: u64,
    code: String,
}

impl From<Coupon> for CouponView {
    fn from(coupon: Coupon) -> Self {
        Self { ticket: coupon.ticket, code: coupon.code }
    }
}
