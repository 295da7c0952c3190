//! What goes over the wire to whoever asks.

use std::sync::Arc;

use pumasi_core::Result;
use pumasi_core::time::Timestamp;
use pumasi_saga::capacity::{Draw, Places};
use pumasi_saga::definition::Look;
use pumasi_saga::store::{Head, Status, Summary};
use pumasi_saga::{Audit, HistoryEntry, Snapshot};
use serde::Serialize;
use support::language::{Language, Said};
use utoipa::ToSchema;

use super::books::{Payment, Race};
use super::input::Kind;
use super::titles::{Title, title};
use crate::saga::RegistrationKey;
use crate::steps::Bib;

/// The reason of what somebody took back.
const CANCELLED: &str = "cancelled";
/// Why a runner's own withdrawal undoes a registration.
pub(super) const WITHDRAWN: &str = "withdrawn by the runner";

/// A race.
#[derive(Serialize, ToSchema)]
pub(super) struct RaceView {
    id: String,
    name: String,
    kind: Kind,
    organiser: String,
    price_krw: i64,
    /// How many may run.
    places: u64,
    /// Places that somebody has who has not paid yet.
    held: u64,
    /// Places of those who run.
    confirmed: u64,
    free: u64,
    /// Whether the lots are drawn.
    drawn: bool,
    /// The SHA-256 of a lottery's seed, which is published with the draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    commitment: Option<String>,
}

impl RaceView {
    pub(super) fn of(race: Race, places: Places) -> Result<Self> {
        Ok(Self {
            drawn: race.draw()?.is_some(),
            commitment: race.commitment()?,
            kind: if race.is_lottery { Kind::Lottery } else { Kind::FirstCome },
            id: race.id,
            name: race.name,
            organiser: race.organiser,
            price_krw: race.price_krw,
            places: places.total,
            held: places.held,
            confirmed: places.confirmed,
            free: places.free(),
        })
    }
}

/// A draw, with all that is needed to draw again.
#[derive(Serialize, ToSchema)]
pub(super) struct DrawView {
    /// How it was drawn.
    algorithm: String,
    /// The seed, whose commitment was public before.
    seed: String,
    /// The SHA-256 of the list of entrants.
    digest: String,
    /// The registrations that took part, in the order of the list, as `sha256sum` reads them: one a line.
    entrants: String,
    /// How many places there were.
    places: usize,
    /// Registrations, in the order of the draw.
    winners: Vec<String>,
    /// Those to whom places that come free go, in their order.
    waiting: Vec<String>,
}

impl DrawView {
    pub(super) fn of(draw: Draw, entrants: String) -> Self {
        let Draw { algorithm, seed, entrants: digest, places, winners, waiting, .. } = draw;
        Self { algorithm, seed: seed.into(), digest, entrants, places, winners, waiting }
    }
}

/// Where a registration stands, and what it needs next.
#[derive(Serialize, ToSchema)]
pub(super) struct RegistrationView {
    id: String,
    race: String,
    /// What the race is called.
    race_name: String,
    runner: String,
    #[schema(value_type = String, example = "waiting")]
    pub(super) status: Status,
    #[schema(value_type = Option<String>)]
    step: Option<Arc<str>>,
    /// The answer that it needs next.
    #[schema(value_type = Option<String>, example = "agree_terms")]
    pub(super) next: Option<Arc<str>>,
    /// What that is called, in the language of whoever asks.
    #[schema(value_type = Option<String>, example = "Terms")]
    next_title: Option<Title>,
    /// Until when.
    #[schema(value_type = Option<String>, format = DateTime)]
    deadline: Option<Timestamp>,
    /// Why it went back, or stands; in the language of whoever asks.
    #[schema(value_type = Option<String>)]
    reason: Option<Said>,
    /// Who took it back, and why, if that is the reason.
    cancelled: Option<Cancelled>,
    /// How often it was begun anew.
    run: u32,
    payment: Option<PaymentView>,
    bib: Option<u64>,
    steps: Vec<StepRow>,
}

/// Who took a registration back.
#[derive(Serialize, ToSchema)]
struct Cancelled {
    /// `runner` or `organiser`.
    #[schema(value_type = String, example = "organiser")]
    by: &'static str,
    /// Why, in the organiser's words.
    why: Option<String>,
}

impl Cancelled {
    /// The last time, if that is why it goes back.
    fn of(snapshot: &Snapshot, runner: &str) -> Option<Self> {
        snapshot.view.reason.as_deref().filter(|reason| *reason == CANCELLED)?;
        let audit = snapshot.audits.iter().rev().find(|audit| *audit.action == *"cancel")?;
        Some(if is_withdrawal(audit, runner) {
            Self { by: "runner", why: None }
        } else {
            Self { by: "organiser", why: Some(audit.why.to_string()) }
        })
    }
}

/// Whether a runner took the own registration back.
fn is_withdrawal(audit: &Audit, runner: &str) -> bool {
    *audit.who == *runner && *audit.why == *WITHDRAWN
}

#[derive(Serialize, ToSchema)]
pub(super) struct StepRow {
    #[schema(value_type = String)]
    name: Arc<str>,
    /// What it is called, in the language of whoever asks.
    #[schema(value_type = String, example = "Place held")]
    title: Title,
    /// `ahead`, `active`, `done`, `failed`, `undone` or `stuck`.
    #[schema(value_type = String, example = "done")]
    look: Look,
    /// How often it, or what undoes it, was tried.
    attempt: u32,
}

/// A payment.
#[derive(Serialize, ToSchema)]
pub(super) struct PaymentView {
    id: String,
    amount_krw: i64,
    /// `started`, `paid`, `cancelled` or `refunded`.
    #[schema(value_type = String, example = "started")]
    state: &'static str,
}

impl From<Payment> for PaymentView {
    fn from(payment: Payment) -> Self {
        Self { state: payment.state(), amount_krw: payment.amount_krw, id: payment.id }
    }
}

impl RegistrationView {
    pub(super) fn of(
        key: &RegistrationKey,
        race: &Race,
        snapshot: &Snapshot,
        payment: Option<Payment>,
    ) -> Result<Self> {
        let view = &snapshot.view;
        let steps = snapshot.steps.iter().map(|step| StepRow {
            name: Arc::clone(&step.name),
            title: Title(Arc::clone(&step.name)),
            look: step.look,
            attempt: step.attempt,
        });
        Ok(Self {
            id: view.id.to_string(),
            race: race.id.clone(),
            race_name: race.name.clone(),
            runner: key.participant.clone(),
            status: view.status,
            step: view.step.clone(),
            next: view.next.clone(),
            next_title: view.next.clone().map(Title),
            deadline: view.deadline,
            reason: said(view.reason.as_deref()),
            cancelled: Cancelled::of(snapshot, &key.participant),
            run: view.run,
            payment: payment.map(Into::into),
            bib: snapshot.output::<Bib>("confirm")?.map(|Bib(bib)| bib),
            steps: steps.collect(),
        })
    }
}

fn said(reason: Option<&str>) -> Option<Said> {
    reason.map(|reason| Said(reason.to_owned()))
}

/// A registration in full.
#[derive(Serialize, ToSchema)]
pub(super) struct RegistrationDetail {
    #[serde(flatten)]
    pub(super) registration: RegistrationView,
    /// What people decided.
    decisions: Vec<DecisionRow>,
    /// How it came to this, oldest first.
    history: Vec<HistoryRow>,
    /// The steps as a Mermaid flow chart, under their titles in the language of whoever asks.
    mermaid: String,
    /// The same as a picture (SVG).
    svg: String,
}

#[derive(Serialize, ToSchema)]
struct DecisionRow {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What was decided; after `refused: ` what came too late, and was not carried out.
    #[schema(value_type = String, example = "refused: cancel")]
    decision: Arc<str>,
    #[schema(value_type = String)]
    step: Arc<str>,
    /// What the step is called, in the language of whoever asks.
    #[schema(value_type = String)]
    title: Title,
    #[schema(value_type = String)]
    who: Arc<str>,
    why: String,
}

impl DecisionRow {
    fn of(audit: &Audit, runner: &str) -> Self {
        Self {
            at: audit.at,
            decision: Arc::clone(&audit.action),
            step: Arc::clone(&audit.step),
            title: Title(Arc::clone(&audit.step)),
            who: Arc::clone(&audit.who),
            // What people wrote stays as they wrote it.
            why: if is_withdrawal(audit, runner) {
                Language::spoken().say(WITHDRAWN).into_owned()
            } else {
                audit.why.to_string()
            },
        }
    }
}

#[derive(Serialize, ToSchema)]
struct HistoryRow {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    what: &'static str,
    /// What that is called, in the language of whoever asks.
    #[schema(value_type = String)]
    title: Title,
    changed: Vec<ChangedRow>,
}

#[derive(Serialize, ToSchema)]
struct ChangedRow {
    #[schema(value_type = String)]
    step: Arc<str>,
    /// What the step is called, in the language of whoever asks.
    #[schema(value_type = String)]
    title: Title,
    #[schema(value_type = String)]
    look: Look,
}

impl From<&HistoryEntry> for HistoryRow {
    fn from(entry: &HistoryEntry) -> Self {
        let changed = entry.changed.iter().map(|(step, look)| ChangedRow {
            step: Arc::clone(step),
            title: Title(Arc::clone(step)),
            look: *look,
        });
        Self { at: entry.at, what: entry.what, title: Title(entry.what.into()), changed: changed.collect() }
    }
}

impl RegistrationDetail {
    pub(super) fn of(registration: RegistrationView, snapshot: &Snapshot) -> Self {
        let decision = |audit| DecisionRow::of(audit, &registration.runner);
        Self {
            decisions: snapshot.audits.iter().map(decision).collect(),
            registration,
            history: snapshot.history.iter().map(Into::into).collect(),
            mermaid: snapshot.mermaid_titled(&title),
            svg: snapshot.svg_titled(&title),
        }
    }
}

/// A registration in a list, and what changed of it.
#[derive(Serialize, ToSchema)]
pub(super) struct RegistrationRow {
    pub(super) id: String,
    pub(super) race: String,
    /// What the race is called; not in news.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) race_name: Option<String>,
    pub(super) runner: String,
    #[schema(value_type = String)]
    status: Status,
    /// Where it stands.
    #[schema(value_type = String)]
    step: Arc<str>,
    /// What that is called, in the language of whoever asks.
    #[schema(value_type = String)]
    title: Title,
    /// Why it went back, or stands; in the language of whoever asks.
    #[schema(value_type = Option<String>)]
    reason: Option<Said>,
    /// Who took it back, and why, if that is the reason; not in news.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled: Option<Cancelled>,
    /// When it was changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
}

impl RegistrationRow {
    pub(super) fn of(summary: Summary) -> Option<Self> {
        Some(Self { updated_at: Some(summary.updated_at), ..Self::of_head(summary.head)? })
    }

    /// What a commit says; nothing if its key is no registration's.
    pub(super) fn of_head(head: Head) -> Option<Self> {
        let key: RegistrationKey = serde_json::from_str(&head.key).ok()?;
        Some(Self {
            id: head.id.to_string(),
            race: key.competition,
            race_name: None,
            runner: key.participant,
            status: head.status,
            title: Title(Arc::clone(&head.step)),
            step: head.step,
            reason: said(head.reason.as_deref()),
            cancelled: None,
            updated_at: None,
        })
    }

    /// Whether somebody took it back, as [`tell_who`](Self::tell_who) says.
    pub(super) fn is_cancelled(&self) -> bool {
        self.reason.as_ref().is_some_and(|Said(reason)| reason == CANCELLED)
    }

    /// Says who took it back, and why.
    pub(super) fn tell_who(&mut self, snapshot: &Snapshot) {
        self.cancelled = Cancelled::of(snapshot, &self.runner);
    }
}

/// The gateway's event is safe.
#[derive(Serialize, ToSchema)]
pub(super) struct Received {
    pub(super) received: bool,
}

/// How the service is set up.
#[derive(Serialize, ToSchema)]
pub(super) struct About {
    /// Whether it hands out tokens to whoever asks.
    pub(super) development: bool,
    /// Whether it plays the payment gateway, and a runner can pay here.
    pub(super) plays_gateway: bool,
    /// For how long a place is held for a payment.
    pub(super) payment_seconds: u64,
}
