//! What Slack is told: achievements, and who led a week or a month.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::Result;
use pumasi_core::database::failed;
use pumasi_core::event::{Delivery, Envelope, EventId, Handler};
use pumasi_core::schedule::batch::BatchCompleted;
use pumasi_core::slack::{MessageMetadata, SlackClient, SlackMessage, escape};
use pumasi_core::time::Clock;
use support::database::Database;
use support::on;
use support::ready::Health;

use super::badges::{ACHIEVEMENTS, BADGES, Earned};
use super::boards::{Asked, Boards};
use super::calendar::{Calendar, Span};
use super::recaps::Wanted;

/// What is older is no news: a club that gets its channel late is not told of years.
const NEWS: Duration = Duration::from_hours(48);
/// How many of a board are named.
const NAMED: u64 = 3;

/// Where notices go.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) slack: SlackClient,
    pub(crate) channel: String,
    /// How the last post went.
    pub(crate) posting: Health,
}

/// Posts notices, each once: but for a process that dies between Slack's answer and noting it, and for a post whose outcome
/// Slack did not tell, which is posted again.
pub(crate) struct Notices {
    pub(crate) database: Database,
    pub(crate) boards: Boards,
    pub(crate) calendar: Calendar,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) to: Channel,
}

impl Notices {
    async fn is_posted(&self, event: EventId) -> Result<bool> {
        let query = "SELECT count(*) FROM notices WHERE event = $1";
        let id = event.to_string();
        let count: i64 =
            on!(&self.database, pool => sqlx::query_scalar(query).bind(id).fetch_one(pool).await)
                .map_err(|error| failed("reading notices", error))?;
        Ok(count > 0)
    }

    async fn note(&self, event: EventId, ts: &str) -> Result<()> {
        let insert = "INSERT INTO notices (event, ts) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let id = event.to_string();
        on!(&self.database, pool => sqlx::query(insert).bind(id).bind(ts).execute(pool).await.map(drop))
            .map_err(|error| failed("noting a notice", error))
    }

    async fn text(&self, event: &Envelope) -> Result<String> {
        if event.topic == ACHIEVEMENTS { achievements(event) } else { self.recap(event).await }
    }

    async fn recap(&self, event: &Envelope) -> Result<String> {
        let completed: BatchCompleted = event.payload()?;
        let wanted = Wanted::read(&completed.parameters)?;
        let window = self.calendar.window(wanted.span, wanted.begins_at)?;
        let so_far = if wanted.until < Calendar::closes(&window) { " (중간 집계 · so far)" } else { "" };
        let what = match wanted.span {
            Span::Week => "주간 결산 · The week",
            Span::Month => "월간 결산 · The month",
        };
        let runners = completed.progress.written;
        let mut text =
            format!(":checkered_flag: *{what}* {}{so_far}\n{runners}명 · {runners} runners", window.name());
        for (name, title) in
            [("runners.distance", "거리 · Distance"), ("crews.attendance", "크루 출석 · Crew attendance")]
        {
            let asked = Asked { name, span: wanted.span, at: wanted.begins_at };
            let page = self.boards.page(asked, 0, NAMED).await?;
            if page.rows.is_empty() {
                continue;
            }
            // Writing to a string does not fail.
            let _ = write!(text, "\n{title}:");
            for row in &page.rows {
                let value = row.place.values.first().copied().unwrap_or(0);
                let value = if name == "runners.distance" { kilometres(value) } else { format!("{value}") };
                let _ = write!(text, " {}. {} ({value})", row.place.rank, escape(&row.place.member));
            }
        }
        Ok(text)
    }
}

/// Metres as kilometres, to a tenth.
pub(crate) fn kilometres(metres: i64) -> String {
    format!("{}.{} km", metres / 1_000, metres % 1_000 / 100)
}

fn achievements(event: &Envelope) -> Result<String> {
    let earned: Earned = event.payload()?;
    let badges = BADGES.iter().filter(|badge| earned.badges.iter().any(|name| name == badge.name));
    let badges: Vec<String> = badges.map(|badge| format!("{} · {}", badge.korean, badge.english)).collect();
    Ok(format!(
        ":medal: *{}* ({}): {}",
        escape(&earned.runner),
        kilometres(earned.distance_m),
        badges.join(", ")
    ))
}

#[async_trait]
impl Handler for Notices {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        let event = &*delivery.event;
        let is_old = self.clock.now().saturating_since(event.occurred_at) > NEWS;
        if is_old || self.is_posted(event.id).await? {
            return Ok(());
        }
        let metadata = MessageMetadata::new("notice").with("event_id", event.id.to_string());
        let message = SlackMessage::new(self.text(event).await?).with_metadata(metadata);
        let posted = self.to.slack.post(&self.to.channel, &message).await;
        self.to.posting.note(&posted);
        let outcome = if posted.is_ok() { "posted" } else { "failed" };
        metrics::counter!("club_notices_total", "outcome" => outcome).increment(1);
        self.note(event.id, &posted?.ts).await
    }
}
