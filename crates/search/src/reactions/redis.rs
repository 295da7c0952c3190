//! Reactions on a Redis server.

use std::fmt;
use std::sync::Arc;

use ::redis::{Script, cmd};
use async_trait::async_trait;
use pumasi_core::redis_link::RedisLink;

use super::{Counts, Reaction, Reactions, Tally, Vote, check, check_id};
use crate::Result;

/// What a script answers of a vote: likes, dislikes, and the person's reaction with its moment.
type Row = (Option<u64>, Option<u64>, Option<String>);

/// Keeps reactions on a Redis server (5 or newer).
///
/// An item is one hash with its counts and its people's reactions, changed by a script: exact under any concurrency. What the
/// server loses, the reactions lose; with `appendfsync always` that is nothing. No cluster: the items of a call are not in one
/// slot. Clones share the connection.
///
/// ```
/// use pumasi_search::reactions::RedisReactions;
///
/// let reactions = RedisReactions::open("redis://127.0.0.1:6379")?.with_prefix("posts:reaction:");
/// # let _ = reactions;
/// # Ok::<(), pumasi_search::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisReactions {
    link: RedisLink,
    prefix: Arc<str>,
    cast: Arc<Script>,
    tally: Arc<Script>,
    recount: Arc<Script>,
}

impl RedisReactions {
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
        Self {
            link,
            prefix: "pumasi:reaction:".into(),
            cast: Arc::new(Script::new(include_str!("lua/cast.lua"))),
            tally: Arc::new(Script::new(include_str!("lua/tally.lua"))),
            recount: Arc::new(Script::new(include_str!("lua/recount.lua"))),
        }
    }

    /// Sets what every key begins with on the server (default `pumasi:reaction:`).
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    async fn run(&self, script: &Script, arguments: &[&str]) -> Result<Vec<Tally>> {
        let mut all: Vec<&[u8]> = vec![self.prefix.as_bytes()];
        all.extend(arguments.iter().map(|argument| argument.as_bytes()));
        let rows: Vec<Row> = self.link.run("keeping reactions", script, &[], &all).await?;
        let tally = |(likes, dislikes, own): Row| {
            let code = own.and_then(|own| own.get(..1)?.parse().ok()).unwrap_or(0);
            let counts = Counts { likes: likes.unwrap_or(0), dislikes: dislikes.unwrap_or(0) };
            Tally { reaction: Reaction::from_code(code), counts }
        };
        Ok(rows.into_iter().map(tally).collect())
    }

    async fn ask(&self, person: &str, items: &[&str]) -> Result<Vec<Tally>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let pairs: Vec<&str> = items.iter().flat_map(|item| [*item, person]).collect();
        self.run(&self.tally, &pairs).await
    }
}

impl fmt::Debug for RedisReactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReactions")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Reactions for RedisReactions {
    async fn cast(&self, votes: &[Vote]) -> Result<Vec<Tally>> {
        check(votes)?;
        let told: Vec<[String; 2]> = votes
            .iter()
            .map(|vote| {
                // Not negative, and of one length, so that moments compare as their digits do.
                let moment = vote.at.as_micros().cast_unsigned() ^ (1 << 63);
                [vote.reaction.code().to_string(), format!("{moment:020}")]
            })
            .collect();
        let arguments: Vec<&str> = votes
            .iter()
            .zip(&told)
            .flat_map(|(vote, [reaction, moment])| [vote.item(), vote.person(), reaction, moment])
            .collect();
        self.run(&self.cast, &arguments).await
    }

    async fn counts(&self, items: &[&str]) -> Result<Vec<Counts>> {
        Ok(self.ask("", items).await?.into_iter().map(|tally| tally.counts).collect())
    }

    async fn reactions(&self, person: &str, items: &[&str]) -> Result<Vec<Reaction>> {
        check_id("a person", person)?;
        Ok(self.ask(person, items).await?.into_iter().map(|tally| tally.reaction).collect())
    }

    async fn forget(&self, item: &str) -> Result<()> {
        check_id("an item", item)?;
        let mut unlink = cmd("UNLINK");
        unlink.arg(format!("{}{item}", self.prefix));
        self.link.query::<u64>("forgetting reactions", &unlink).await.map(drop)
    }

    async fn recount(&self, items: &[&str]) -> Result<Vec<Counts>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let tallies = self.run(&self.recount, items).await?;
        Ok(tallies.into_iter().map(|tally| tally.counts).collect())
    }
}
