//! What goes over the wire to whoever asks.

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::Result;
use pumasi_core::resilience::BreakerState;
use pumasi_saga::Snapshot;
use pumasi_saga::capacity::Places;
use pumasi_saga::definition::Look;
use pumasi_saga::store::Status;
use pumasi_search::fallback::Served;
use pumasi_search::{CursorKey, EngineState, Facet, FacetCount, Highlight, Hit, Total};
use serde::Serialize;
use support::language::Said;
use utoipa::ToSchema;

use crate::cable::Line;
use crate::entries::{CATEGORY, Entry, KIND, TITLE};
use crate::orders::{CONFIRM, Kept};
use crate::shop::{Charge, Order};
use crate::todos::Todo;

/// How much of a body is shown where nothing in it matches, in characters.
const SHOWN: usize = 160;

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What was found, who said so, and what is missing.
#[derive(Serialize, ToSchema)]
pub(super) struct Found {
    /// `fresh`, `cached`, `stale` or `degraded`.
    served: &'static str,
    /// The engine that answered; none, if the cache did.
    engine: Option<String>,
    /// Why it is not what the primary engine says: `failed`, `slow`, `circuit_open`, `incomplete`, `lagging` or
    /// `revalidating`.
    cause: Option<&'static str>,
    /// How old an answer of the cache is.
    age_ms: Option<u64>,
    /// How far the engine is behind the newest change, where it stands in for another one or is known to be late.
    lag_ms: Option<u64>,
    /// What the answer lacks.
    gaps: Vec<String>,
    /// How many there are.
    total: Option<u64>,
    /// Whether there are no more than that.
    total_is_exact: bool,
    hits: Vec<HitView>,
    /// How many there are of each kind.
    kinds: Vec<ValueCount>,
    /// How many there are of each category.
    categories: Vec<ValueCount>,
    /// Where the next page begins; none, if this is the last one.
    next: Option<String>,
}

impl Found {
    pub(super) fn of(served: Served<Arc<pumasi_search::Page>>, cursors: &CursorKey) -> Result<Self> {
        let (how, page) = served.split();
        let (age, lag, gaps) = match &how {
            Served::Cached { age, .. } | Served::Stale { age, .. } => (Some(*age), None, &page.gaps),
            Served::Degraded { lag, gaps, .. } => (None, *lag, gaps),
            Served::Fresh { .. } => (None, None, &page.gaps),
        };
        let (total, total_is_exact) = match page.total {
            Total::Exact(total) => (Some(total), true),
            Total::AtLeast(total) => (Some(total), false),
            _ => (None, false),
        };
        let counts = |field: &str| {
            let facet = page.facets.iter().filter(|facet: &&Facet| facet.field == field);
            facet.flat_map(|facet| &facet.counts).map(ValueCount::of).collect()
        };
        Ok(Self {
            served: how.as_str(),
            engine: how.backend().map(str::to_owned),
            cause: how.cause().map(pumasi_search::fallback::Cause::as_str),
            age_ms: age.map(millis),
            lag_ms: lag.map(millis),
            gaps: gaps.iter().map(ToString::to_string).collect(),
            total,
            total_is_exact,
            hits: page.hits.iter().map(HitView::of).collect::<Result<_>>()?,
            kinds: counts(KIND.path().as_str()),
            categories: counts(CATEGORY.path().as_str()),
            next: page.next.as_ref().map(|cursor| cursors.seal(cursor)),
        })
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct ValueCount {
    value: String,
    count: u64,
}

impl ValueCount {
    fn of(count: &FacetCount) -> Self {
        Self { value: count.value.clone(), count: count.count }
    }
}

/// What was found. How many places are free is asked of the entry itself.
#[derive(Serialize, ToSchema)]
pub(super) struct HitView {
    id: String,
    kind: String,
    category: String,
    lang: String,
    author: String,
    likes: i64,
    price_krw: i64,
    /// How many places there are; none, where there is nothing to order.
    places: i64,
    title: Vec<Piece>,
    /// The part of the body that matches, or its beginning.
    body: Vec<Piece>,
}

impl HitView {
    fn of(hit: &Hit) -> Result<Self> {
        let entry: Entry = hit.read()?;
        let (titles, bodies): (Vec<&Highlight>, Vec<&Highlight>) =
            hit.highlights.iter().partition(|highlight| highlight.field == TITLE.path().as_str());
        let title = titles.first().map_or_else(|| vec![Piece::plain(&entry.title)], |shown| Piece::of(shown));
        let body = match bodies.split_first() {
            None => vec![Piece::plain(&beginning(&entry.body))],
            Some((first, more)) => {
                let mut pieces = Piece::of(first);
                for shown in more {
                    pieces.push(Piece::plain(" … "));
                    pieces.extend(Piece::of(shown));
                }
                pieces
            }
        };
        let Entry { id, kind, category, lang, author, likes, price_krw, places, .. } = entry;
        Ok(Self { id, kind, category, lang, author, likes, price_krw, places, title, body })
    }
}

fn beginning(body: &str) -> String {
    match body.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", body.get(..end).unwrap_or_default().trim_end()),
        None => body.to_owned(),
    }
}

/// A piece of a text.
#[derive(Serialize, ToSchema)]
pub(super) struct Piece {
    text: String,
    /// Whether it is what was looked for.
    marked: bool,
}

impl Piece {
    fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), marked: false }
    }

    fn of(highlight: &Highlight) -> Vec<Self> {
        let pieces = highlight.pieces();
        pieces.map(|piece| Self { text: piece.text.to_owned(), marked: piece.is_marked }).collect()
    }
}

/// How an engine stands.
#[derive(Serialize, ToSchema)]
pub(super) struct EngineRow {
    engine: String,
    /// `closed`, `half_open` or `open`; none for the last one, which is asked whatever its health.
    circuit: Option<&'static str>,
    documents: Option<u64>,
    /// How far it is behind the newest change of the table, or how long ago it was last known to have all, where that is more than five
    /// seconds: 0 where it took that change, none where there is none, or nobody has looked at it yet.
    lag_ms: Option<u64>,
    /// Whether it holds so few documents that it must have lost them.
    wiped: bool,
    /// What becomes of questions on their way to it.
    line: Line,
}

impl EngineRow {
    pub(super) fn of(state: EngineState, line: Line) -> Self {
        Self {
            circuit: state.circuit.map(BreakerState::as_str),
            engine: state.engine,
            documents: state.documents,
            lag_ms: state.lag.map(millis),
            wiped: state.wiped,
            line,
        }
    }
}

/// An entry in full.
#[derive(Serialize, ToSchema)]
pub(super) struct EntryView {
    id: String,
    kind: String,
    category: String,
    lang: String,
    title: String,
    body: String,
    author: String,
    likes: i64,
    price_krw: i64,
    /// How many places there are; none, where there is nothing to order.
    places: u64,
    /// How many of them are left.
    free: u64,
    /// How the caller's own order of it stands, if there is one: as `status` of an order.
    #[schema(value_type = Option<String>, example = "completed")]
    order: Option<Status>,
}

impl EntryView {
    pub(super) fn of(entry: Entry, places: Places, order: Option<Status>) -> Self {
        let Entry { id, kind, category, lang, title, body, author, likes, price_krw, .. } = entry;
        let (places, free) = (places.total, places.free());
        Self { id, kind, category, lang, title, body, author, likes, price_krw, places, free, order }
    }
}

/// Where an order stands.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderView {
    pub(super) id: String,
    entry: String,
    /// What was ordered, as long as it is there.
    title: Option<String>,
    person: String,
    /// `running`, `completed`, `compensating`, `compensated` or `needs_operator`.
    #[schema(value_type = String, example = "completed")]
    status: Status,
    /// The step that it stands at.
    #[schema(value_type = Option<String>, example = "charge")]
    step: Option<Arc<str>>,
    /// Why it went back, or stands.
    #[schema(value_type = Option<String>)]
    reason: Option<Said>,
    /// How often it was begun anew.
    run: u32,
    /// The ticket of the place.
    ticket: Option<u64>,
    /// What was charged.
    charged_krw: Option<i64>,
    /// Whether that went back.
    refunded: bool,
    steps: Vec<StepRow>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct StepRow {
    #[schema(value_type = String)]
    name: Arc<str>,
    /// `ahead`, `active`, `done`, `failed`, `undone` or `stuck`.
    #[schema(value_type = String, example = "done")]
    look: Look,
    /// How often it, or what undoes it, was tried.
    attempt: u32,
}

impl OrderView {
    pub(super) fn of(order: Order, snapshot: &Snapshot, charge: Option<&Charge>) -> Result<Self> {
        let view = &snapshot.view;
        let steps = snapshot.steps.iter().map(|step| StepRow {
            name: Arc::clone(&step.name),
            look: step.look,
            attempt: step.attempt,
        });
        Ok(Self {
            id: order.id,
            entry: order.entry,
            title: order.title,
            person: order.person,
            status: view.status,
            step: view.step.clone(),
            reason: view.reason.as_deref().map(|reason| Said(reason.to_owned())),
            run: view.run,
            ticket: snapshot.output::<Kept>(CONFIRM)?.map(|Kept(ticket)| ticket),
            charged_krw: charge.map(|charge| charge.amount_krw),
            refunded: charge.is_some_and(|charge| charge.refunded),
            steps: steps.collect(),
        })
    }
}

/// A todo, as it stands. Its version is also its ETag.
#[derive(Serialize, ToSchema)]
pub(super) struct TodoView {
    id: String,
    text: String,
    done: bool,
    pub(super) version: u64,
    at: String,
}

impl From<Todo> for TodoView {
    fn from(todo: Todo) -> Self {
        let Todo { id, text, done, version, at } = todo;
        Self { id, text, done, version, at: at.to_string() }
    }
}
