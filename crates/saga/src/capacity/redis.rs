//! Places in a Redis server.

use std::fmt;
use std::sync::Arc;

use ::redis::Script;
use async_trait::async_trait;
use pumasi_core::redis_link::RedisLink;
use pumasi_core::time::Timestamp;

use super::ledger::{Ledger, as_stored, check_name, no_pool};
use super::{Answer, CapacityStore, Hold, Places, Request, Ticket};
use crate::{Error, ErrorKind, Result};

/// How often a pool that others change meanwhile is read again.
const ROUNDS: usize = 64;
/// How many holds are listed by one script, which nobody else can run beside.
const PAGE: usize = 1_000;

/// The time, total, used, last, the revision, how many hold, and what each of those who ask has.
type Found = (String, String, String, String, String, String, Vec<Option<String>>);

/// Keeps places in a Redis server (6.2 or newer), shared by any number of processes.
///
/// - **Each call is one write**, by a script that first compares the revision with which the pool was read; what another process
///   granted meanwhile is read and decided on again.
/// - **What the server loses, the places lose**: with `appendfsync everysec` a crash of the machine can take the grants of the last
///   second, and they are granted again to others. Where an over-granted place costs money: `always`, or another store.
/// - **Clock.** Holds end by the server's clock.
/// - **No cluster**: the keys of one pool are not in one slot.
///
/// Clones share the connection.
///
/// ```
/// use pumasi_saga::capacity::RedisCapacity;
///
/// let places = RedisCapacity::open("redis://127.0.0.1:6379")?.with_prefix("races:");
/// # let _ = places;
/// # Ok::<(), pumasi_saga::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisCapacity {
    link: RedisLink,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    open: Script,
    read: Script,
    write: Script,
    list: Script,
}

/// A pool as it was read.
struct Pool {
    now: Timestamp,
    total: u64,
    used: u64,
    last: u64,
    rev: String,
    /// Held and not confirmed.
    held: u64,
    holds: Vec<Hold>,
}

impl RedisCapacity {
    /// Makes a store on the server at `url`; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the URL is not understood; the error does not show it.
    pub fn open(url: &str) -> Result<Self> {
        Ok(Self::new(RedisLink::open(url)?))
    }

    /// Makes a store on the server of `link`.
    pub fn new(link: RedisLink) -> Self {
        let scripts = Scripts {
            open: Script::new(include_str!("lua/open.lua")),
            read: Script::new(include_str!("lua/read.lua")),
            write: Script::new(include_str!("lua/write.lua")),
            list: Script::new(include_str!("lua/list.lua")),
        };
        Self { link, prefix: "pumasi:capacity:".into(), scripts: Arc::new(scripts) }
    }

    /// Sets what every key begins with on the server (default `pumasi:capacity:`).
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    async fn read(&self, what: &'static str, pool: &str, holders: &[&str]) -> Result<Pool> {
        let mut arguments = vec![self.prefix.as_bytes(), pool.as_bytes()];
        arguments.extend(holders.iter().map(|holder| holder.as_bytes()));
        let found: Option<Found> = self.link.run(what, &self.scripts.read, &[], &arguments).await?;
        let (now, total, used, last, rev, held, found) = found.ok_or_else(no_pool)?;
        let now = Timestamp::from_micros(now.parse().map_err(|_| damaged())?);
        let number = |text: &str| text.parse::<u64>().map_err(|_| damaged());
        let holds = holders
            .iter()
            .zip(found)
            .filter_map(|(holder, hold)| Some(hold_of((*holder).to_owned(), &hold?)))
            .collect::<Result<_>>()?;
        Ok(Pool {
            now,
            total: number(&total)?,
            used: number(&used)?,
            last: number(&last)?,
            rev,
            held: number(&held)?,
            holds,
        })
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::Storage, "what is stored of a pool of places is damaged")
}

/// Reads `ticket:until`.
fn hold_of(holder: String, text: &str) -> Result<Hold> {
    let (ticket, until) = text.split_once(':').ok_or_else(damaged)?;
    let until = (!until.is_empty()).then(|| until.parse()).transpose().map_err(|_| damaged())?;
    Ok(Hold::from_row(holder, ticket.parse().map_err(|_| damaged())?, until))
}

impl fmt::Debug for RedisCapacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCapacity")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CapacityStore for RedisCapacity {
    async fn open(&self, pool: &str, places: u64) -> Result<()> {
        check_name(pool)?;
        let places = as_stored(places)?.to_string();
        let arguments = [self.prefix.as_bytes(), pool.as_bytes(), places.as_bytes()];
        let _: i64 = self.link.run("opening a pool of places", &self.scripts.open, &[], &arguments).await?;
        Ok(())
    }

    async fn apply(&self, pool: &str, requests: &[Request]) -> Result<Vec<Result<Answer>>> {
        let what = "granting places";
        let mut asking: Vec<&str> = requests.iter().map(|request| &**request.holder()).collect();
        asking.sort_unstable();
        asking.dedup();
        for _ in 0..ROUNDS {
            let Pool { now, total, used, last, rev, holds, .. } = self.read(what, pool, &asking).await?;
            let mut ledger = Ledger::new(total, used, Ticket::new(last), now, holds);
            let answers = ledger.apply(requests);
            let numbers = [ledger.used.to_string(), ledger.last.to_string()];
            let mut changes = Vec::new();
            for (holder, hold) in ledger.changes() {
                let ticket = hold.as_ref().map(|hold| hold.ticket.to_string()).unwrap_or_default();
                let until = hold.and_then(|hold| hold.until()).map(|until| until.as_micros().to_string());
                changes.extend([holder.to_string(), ticket, until.unwrap_or_default()]);
            }
            if changes.is_empty() {
                return Ok(answers);
            }
            let mut arguments = vec![self.prefix.as_bytes(), pool.as_bytes(), rev.as_bytes()];
            arguments.extend(numbers.iter().chain(&changes).map(String::as_bytes));
            let written: i64 = self.link.run(what, &self.scripts.write, &[], &arguments).await?;
            if written == 1 {
                return Ok(answers);
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "a pool of places was changed by others again and again"))
    }

    async fn places(&self, pool: &str) -> Result<Places> {
        let found = self.read("counting places", pool, &[]).await?;
        let confirmed = found.used.saturating_sub(found.held);
        Ok(Places::new(found.total, found.held, confirmed, Ticket::new(found.last)))
    }

    async fn holds(&self, pool: &str, after: Ticket, limit: usize) -> Result<Vec<Hold>> {
        let what = "listing places";
        // What is over goes before it is listed.
        self.read(what, pool, &[]).await?;
        let (mut holds, mut after) = (Vec::new(), after);
        while holds.len() < limit {
            let (from, page) = (after.to_string(), (limit - holds.len()).min(PAGE));
            let count = page.to_string();
            let arguments = [self.prefix.as_bytes(), pool.as_bytes(), from.as_bytes(), count.as_bytes()];
            let listed: Vec<(String, String)> =
                self.link.run(what, &self.scripts.list, &[], &arguments).await?;
            let full = listed.len() == page;
            for (holder, hold) in listed {
                holds.push(hold_of(holder, &hold)?);
            }
            match holds.last() {
                Some(last) if full => after = last.ticket,
                _ => break,
            }
        }
        Ok(holds)
    }
}
