//! What an operator does about events that a service has put aside: on the command line, beside the running service, or by its API.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use pumasi_core::Result;
use pumasi_core::event::{DeadLetter, EventBus, EventId, Page};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::body::Object;
use crate::language::Said;
use crate::paging::{PageQuery, Paging};
use crate::problem::Problem;
use crate::servers;

/// What to do about events that were put aside.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The folder of the service, where its events are not on a server; that of its name, as `serve` has it, if left out.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Has them delivered again, their attempts counted anew.
    #[arg(long)]
    deliver_again: bool,
}

impl Options {
    /// The folder of a service, which has this file in it.
    ///
    /// # Errors
    ///
    /// If there is no such file: no service keeps anything there.
    pub fn folder(&self, service: &str, file: &str) -> std::result::Result<PathBuf, String> {
        let folder = self.data.clone().unwrap_or_else(|| format!("{service}.data").into());
        if folder.join(file).is_file() {
            return Ok(folder);
        }
        Err(format!("{} is no folder of {service}: --data names the one that `serve` has", folder.display()))
    }

    /// As [`run`], for a service whose events are in this file of its folder, or on a server.
    ///
    /// # Errors
    ///
    /// As [`servers::bus`], and the bus's; and if the folder is none of the service.
    pub async fn run(
        &self,
        service: &str,
        file: &str,
        groups: &[&str],
    ) -> std::result::Result<(), Box<dyn Error>> {
        let file = if servers::has_bus() { PathBuf::new() } else { self.folder(service, file)?.join(file) };
        let bus = servers::bus(&file).await?;
        Ok(run(&*bus, groups, self.deliver_again).await?)
    }
}

/// How many are read at once.
const PAGE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(499);

/// Lists what these groups have put aside, nothing of what the events say; `deliver_again` hands it to them again.
///
/// The service may run meanwhile, here or elsewhere: it notices within seconds.
///
/// # Errors
///
/// The bus's.
pub async fn run(bus: &dyn EventBus, groups: &[&str], deliver_again: bool) -> Result<()> {
    let (mut listed, mut replayed) = (0, 0);
    for group in groups {
        // Read to the end first: what is delivered again may be put aside again meanwhile.
        let letters = all(bus, group).await?;
        for DeadLetter { event, reason, attempts, at, .. } in &letters {
            let (id, topic) = (event.id, &event.topic);
            let tried = if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
            crate::say!("{at}  {group}  {topic}  {id}  tried {tried}: {}: {}", reason.kind, reason.message);
        }
        listed += letters.len();
        if deliver_again && !letters.is_empty() {
            let ids: Vec<_> = letters.iter().map(|letter| letter.event.id).collect();
            replayed += bus.replay(group, &ids).await?;
        }
    }
    match (listed, deliver_again) {
        (0, _) => crate::say!("nothing is put aside"),
        (_, true) => crate::say!("{replayed} of {listed} are delivered again"),
        (_, false) => crate::say!("{listed} are put aside; --deliver-again has them delivered again"),
    }
    Ok(())
}

async fn all(bus: &dyn EventBus, group: &str) -> Result<Vec<DeadLetter>> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let after = letters.last().map_or(0, |letter| letter.position);
        let page = bus.dead_letters(group, Page { after, limit: PAGE }).await?;
        let is_last = page.len() < PAGE.get();
        letters.extend(page);
        if is_last {
            return Ok(letters);
        }
    }
}

/// The groups whose letters the API shows, and to whom.
#[derive(Clone, Debug)]
pub struct Aside {
    bus: Arc<dyn EventBus>,
    groups: Arc<[String]>,
    role: &'static str,
}

impl Aside {
    /// Shows what these groups have put aside to callers of a role.
    pub fn new(
        bus: Arc<dyn EventBus>,
        groups: impl IntoIterator<Item = impl Into<String>>,
        role: &'static str,
    ) -> Self {
        Self { bus, groups: groups.into_iter().map(Into::into).collect(), role }
    }

    /// The API: `GET /put-aside` and `POST /put-aside/deliver-again`.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> OpenApiRouter<S> {
        OpenApiRouter::new().routes(routes!(put_aside)).routes(routes!(deliver_again)).with_state(self)
    }

    /// What was put aside after a letter: group after group, the oldest first.
    async fn letters(&self, after: Option<(&str, u64)>, rows: usize) -> Result<Vec<(&str, DeadLetter)>> {
        let begins =
            after.and_then(|(name, _)| self.groups.iter().position(|group| group == name)).unwrap_or(0);
        let mut found = Vec::new();
        for group in self.groups.iter().skip(begins) {
            let Some(limit) = NonZeroUsize::new(rows.saturating_sub(found.len())) else { break };
            let after = after.filter(|(name, _)| name == group).map_or(0, |(_, position)| position);
            let letters = self.bus.dead_letters(group, Page { after, limit }).await?;
            found.extend(letters.into_iter().map(|letter| (group.as_str(), letter)));
        }
        Ok(found)
    }
}

/// An event that was put aside; of what it says there is nothing here.
#[derive(Serialize, ToSchema)]
struct AsideRow {
    id: String,
    /// Who was to work on it.
    group: String,
    topic: String,
    /// When (RFC 3339).
    at: String,
    attempts: u32,
    /// The kind of the failure.
    kind: String,
    /// What was tried, and how it failed.
    #[schema(value_type = String)]
    reason: Said,
}

impl AsideRow {
    fn of((group, letter): (&str, DeadLetter)) -> Self {
        Self {
            id: letter.event.id.to_string(),
            group: group.to_owned(),
            topic: letter.event.topic.clone(),
            at: letter.at.to_string(),
            attempts: letter.attempts,
            kind: letter.reason.kind,
            reason: Said(letter.reason.message),
        }
    }
}

/// Lists what was put aside, the oldest first. Takes an operator's token.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/put-aside", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<AsideRow>, headers(("Link" = String, description = "The next page, if there is one"))),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn put_aside(
    State(aside): State<Aside>,
    caller: Caller,
    paging: Paging,
) -> std::result::Result<(HeaderMap, Json<Vec<AsideRow>>), Problem> {
    caller.require(aside.role)?;
    let position = |after: &str| {
        let (group, position) = after.rsplit_once(',')?;
        let known = aside.groups.iter().find(|known| *known == group)?;
        Some((known.as_str(), position.parse().ok()?))
    };
    let after = paging.after_as(position)?;
    let letters = aside.letters(after, paging.rows()).await?;
    Ok(paging.page_of(letters, |(group, letter)| format!("{group},{}", letter.position), AsideRow::of))
}

/// What to deliver again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Again {
    /// Of the list of what was put aside.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 500)]
    ids: Vec<String>,
}

/// What is delivered again.
#[derive(Serialize, ToSchema)]
struct Delivered {
    /// How many of them were put aside until now.
    delivered: usize,
}

/// Delivers events again that were put aside, their attempts counted anew. Takes an operator's token.
#[utoipa::path(post, path = "/put-aside/deliver-again", request_body = Again, security(("bearer" = [])), responses(
    (status = 200, body = Delivered), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn deliver_again(
    State(aside): State<Aside>,
    caller: Caller,
    Object(wanted): Object<Again>,
) -> std::result::Result<Json<Delivered>, Problem> {
    caller.require(aside.role)?;
    if !(1..=500).contains(&wanted.ids.len()) {
        return Err(Problem::invalid("`ids` has 1 to 500 entries"));
    }
    let unknown = || Problem::invalid("an entry of `ids` is no id of a list of what was put aside");
    let ids: Vec<EventId> = wanted
        .ids
        .iter()
        .map(|id| id.parse().map_err(|_| unknown()))
        .collect::<std::result::Result<_, _>>()?;
    let mut delivered = 0;
    for group in aside.groups.iter() {
        delivered += aside.bus.replay(group, &ids).await?;
    }
    Ok(Json(Delivered { delivered }))
}
