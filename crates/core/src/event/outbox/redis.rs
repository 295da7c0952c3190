//! The outbox in a Redis server.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Script, cmd};
use async_trait::async_trait;

use super::{Backlog, Claim, Claimed, OutboxStore, Outcome, Refused, Rows, SHARDS_PER_CLAIM, lost};
use crate::event::{Envelope, Page, Reason};
use crate::redis_link::RedisLink;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::{Error, ErrorKind, Result};

// With the first line, Redis refuses a script on a full server before it has done anything. Those that the relay calls may
// run there, so that the outbox can be emptied.
macro_rules! script {
    ($head:literal, $file:literal) => {
        Script::new(concat!($head, "\n", include_str!("lua/append.lua"), include_str!($file)))
    };
}

/// Holds events in a Redis server (7.0 or newer) for a [`Relay`](super::Relay).
///
/// Its "transaction" is one call of [`write`](Self::write); a store that keeps its own data on the same server writes events
/// in its own script, with the function `outbox_append` of [`LUA`](Self::LUA).
///
/// - **Leases** are measured by the server's clock.
/// - **What the server loses, the outbox loses.** With `appendfsync everysec` a crash of the machine takes what was written in
///   the last second, or two; with `always` nothing. A failover to a replica takes what it had not heard of.
/// - **No cluster**: the keys of one outbox are not in one slot.
///
/// Clones share the connection.
#[derive(Clone)]
pub struct RedisOutbox {
    link: RedisLink,
    prefix: Arc<str>,
    poll: Duration,
    clock: Arc<dyn Clock>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    publish: Script,
    claim: Script,
    complete: Script,
    backlog: Script,
    write_again: Script,
}

impl RedisOutbox {
    /// The functions `outbox_append(prefix, now, first, count)`, which appends what `ARGV` has from `first` on, `count` pairs of
    /// [shard and body](Self::pairs), and `server_time()`, in microseconds: to be put before a script of your own.
    pub const LUA: &'static str = include_str!("lua/append.lua");

    /// Makes an outbox on the server of `link`.
    pub fn new(link: RedisLink) -> Self {
        let scripts = Scripts {
            publish: script!("#!lua", "lua/publish.lua"),
            claim: script!("#!lua flags=allow-oom", "lua/claim.lua"),
            complete: script!("#!lua flags=allow-oom", "lua/complete.lua"),
            backlog: script!("#!lua flags=no-writes", "lua/backlog.lua"),
            write_again: script!("#!lua flags=allow-oom", "lua/write_again.lua"),
        };
        Self {
            link,
            prefix: "pumasi:outbox:".into(),
            poll: Duration::from_millis(50),
            clock: Arc::new(SystemClock),
            scripts: Arc::new(scripts),
        }
    }

    /// Sets what every key begins with on the server (default `pumasi:outbox:`).
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how often relays look for events (default every 50 milliseconds).
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(1));
        self
    }

    /// Returns what every key begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Writes events as the arguments of `outbox_append`: a shard and a body each.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if an event breaks [`Envelope::check`].
    pub fn pairs(events: &[Envelope]) -> Result<Vec<(i16, String)>> {
        let rows = Rows::of(events)?;
        Ok(rows.shards().into_iter().zip(rows.bodies).collect())
    }

    /// Keeps events, in order: all of them or, if one is not valid, none.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if an event breaks [`Envelope::check`]; otherwise as the server's calls.
    pub async fn write(&self, events: &[Envelope]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let mut arguments = vec![self.prefix.to_string()];
        for (shard, body) in Self::pairs(events)? {
            arguments.extend([shard.to_string(), body]);
        }
        let _: i64 = self.run("publishing in the outbox", &self.scripts.publish, &arguments).await?;
        Ok(())
    }

    async fn run<T: ::redis::FromRedisValue>(
        &self,
        doing: &'static str,
        script: &Script,
        arguments: &[String],
    ) -> Result<T> {
        let arguments: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
        self.link.run(doing, script, &[], &arguments).await
    }

    fn refused_key(&self) -> String {
        format!("{}refused", self.prefix)
    }
}

impl fmt::Debug for RedisOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOutbox")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Protocol, "what the outbox on Redis holds has another form than it writes")
}

/// Takes the next number, ended by a colon, off the front.
fn number(text: &mut &str) -> Result<i64> {
    let (number, rest) = text.split_once(':').ok_or_else(unreadable)?;
    *text = rest;
    number.parse().map_err(|_| unreadable())
}

fn length(text: &mut &str) -> Result<usize> {
    usize::try_from(number(text)?).map_err(|_| unreadable())
}

fn refused(member: &str) -> Result<Refused> {
    let mut rest = member;
    let (position, at, _) = (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
    let (kind, message) = (length(&mut rest)?, length(&mut rest)?);
    let (kind, rest) = rest.split_at_checked(kind).ok_or_else(unreadable)?;
    let (message, body) = rest.split_at_checked(message).ok_or_else(unreadable)?;
    let position = u64::try_from(position).map_err(|_| unreadable())?;
    Ok(Refused::new(position, body.to_owned(), Reason::new(kind, message), Timestamp::from_micros(at)))
}

#[async_trait]
impl OutboxStore for RedisOutbox {
    async fn claim(&self, limit: NonZeroUsize, lease: Duration) -> Result<Claim> {
        let mut claim = Claim { holder: fastrand::i64(1..), ..Claim::default() };
        let lease = u64::try_from(lease.as_micros()).unwrap_or(u64::MAX).min(1 << 50);
        let arguments = [
            self.prefix.to_string(),
            claim.holder.to_string(),
            lease.to_string(),
            SHARDS_PER_CLAIM.to_string(),
            limit.to_string(),
            fastrand::u8(..64).to_string(),
        ];
        let found: Vec<(i16, Vec<String>)> =
            self.run("claiming shards of the outbox", &self.scripts.claim, &arguments).await?;
        for (shard, members) in found {
            claim.shards.push(shard);
            for member in members {
                let mut body = member.as_str();
                let (seq, _) = (number(&mut body)?, number(&mut body)?);
                claim.events.push(Claimed::new(shard, seq, body));
            }
        }
        Ok(claim)
    }

    async fn complete(&self, claim: &Claim, outcome: &Outcome) -> Result<()> {
        let mut arguments =
            vec![self.prefix.to_string(), claim.holder.to_string(), claim.shards.len().to_string()];
        arguments.extend(claim.shards.iter().map(i16::to_string));
        let relayed: Vec<&Claimed> =
            outcome.relayed.iter().filter_map(|place| claim.events.get(*place)).collect();
        arguments.push(relayed.len().to_string());
        arguments.extend(relayed.iter().flat_map(|event| [event.shard.to_string(), event.seq.to_string()]));
        for (place, reason) in &outcome.refused {
            if let Some(event) = claim.events.get(*place) {
                arguments.extend([
                    event.shard.to_string(),
                    event.seq.to_string(),
                    reason.kind.clone(),
                    reason.message.clone(),
                ]);
            }
        }
        let done: i64 =
            self.run("completing a claim on the outbox", &self.scripts.complete, &arguments).await?;
        if done == 1 { Ok(()) } else { Err(lost()) }
    }

    async fn changed(&self) {
        self.clock.sleep(self.poll).await;
    }

    async fn backlog(&self) -> Result<Backlog> {
        let (pending, oldest, refused): (u64, Option<u64>, u64) =
            self.run("counting the outbox", &self.scripts.backlog, &[self.prefix.to_string()]).await?;
        Ok(Backlog::new(pending, oldest.map(Duration::from_micros), refused))
    }

    async fn refused(&self, page: Page) -> Result<Vec<Refused>> {
        let mut command = cmd("ZRANGEBYSCORE");
        command
            .arg(self.refused_key())
            .arg(format!("({}", page.after))
            .arg("+inf")
            .arg("LIMIT")
            .arg(0)
            .arg(page.limit.get());
        let members: Vec<String> = self.link.query("listing what the outbox put aside", &command).await?;
        members.iter().map(|member| refused(member)).collect()
    }

    async fn write_again(&self, positions: &[u64]) -> Result<usize> {
        let mut arguments = vec![self.prefix.to_string()];
        arguments.extend(positions.iter().map(u64::to_string));
        let doing = "writing what the outbox put aside again";
        self.run(doing, &self.scripts.write_again, &arguments).await
    }

    async fn discard(&self, positions: &[u64]) -> Result<usize> {
        let mut count = 0;
        for position in positions {
            let mut command = cmd("ZREMRANGEBYSCORE");
            command.arg(self.refused_key()).arg(position).arg(position);
            count += self.link.query::<usize>("discarding what the outbox put aside", &command).await?;
        }
        Ok(count)
    }
}
