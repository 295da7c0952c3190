//! Boards on a Redis server.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{FromRedisValue, Script, Value};
use async_trait::async_trait;
use pumasi_core::redis_link::RedisLink;
use pumasi_core::time::{Clock, SystemClock, Timestamp};
use tokio::sync::Mutex;

use super::member::{MemberId, member};
use super::place::{Around, Counted, Listing, Place, Stretch};
use super::record::{Record, Submitted, Withdrawn};
use super::standing::{Changed, Ledger, Mark, Standing, key_bytes, keys_of, needs};
use super::store::{Board, BoardStore, OpenWindows, check_name, exists, other_rules};
use super::withdrawal::{Stored, withdraw};
use crate::{Error, ErrorKind, Result};

/// How often a call is decided on again, because others changed what it read.
const ROUNDS: u32 = 64;

/// Keeps boards on a Redis server (6.2 or newer), shared by any number of processes.
///
/// - **The order** is a sorted set whose scores are all 0: what is sorted are the keys themselves, as bytes, so that no number
///   is rounded to a floating-point score, and ties are told apart by what you ask for. A rank, with its ties, is logarithmic; a
///   member with its neighbours is one call.
/// - **A call is decided here** and written by a script if what it was decided on is still there; otherwise it is read again.
/// - **What the server loses, the board loses**: Redis answers before it has synced, unless it is set to `appendfsync always`.
///   A board that is [fed from events](super::BoardFeed) can be rebuilt.
/// - **A snapshot copies** the order within the server, which does nothing else meanwhile: about a second a million members. Closing
///   a window costs nothing.
/// - **No cluster**: the keys of one board are not in one slot.
///
/// Clones share the connection.
///
/// ```
/// use pumasi_search::leaderboard::RedisBoards;
///
/// let boards = RedisBoards::open("redis://127.0.0.1:6379")?.with_prefix("club:");
/// # let _ = boards;
/// # Ok::<(), pumasi_search::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisBoards {
    link: RedisLink,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
    /// Calls of one process do not get in one another's way.
    turn: Arc<Mutex<()>>,
}

struct Scripts {
    read: Script,
    marks: Script,
    write: Script,
    ask: Script,
    change: Script,
}

impl RedisBoards {
    /// Makes a store on the server at `url`; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the URL is not understood; the error does not show it.
    pub fn open(url: &str) -> Result<Self> {
        // A snapshot of a large board is a longer call than what the link's usual limit is meant for.
        Ok(Self::new(RedisLink::open(url)?.with_timeout(Duration::from_secs(5))))
    }

    /// Makes a store on the server of `link`.
    pub fn new(link: RedisLink) -> Self {
        let script = |code: &str| Script::new(&[include_str!("lua/board.lua"), code].concat());
        let scripts = Scripts {
            read: script(include_str!("lua/read.lua")),
            marks: script(include_str!("lua/marks.lua")),
            write: script(include_str!("lua/write.lua")),
            ask: script(include_str!("lua/ask.lua")),
            change: script(include_str!("lua/change.lua")),
        };
        Self { link, prefix: "pumasi:board:".into(), scripts: Arc::new(scripts), turn: Arc::default() }
    }

    /// Sets what every key begins with on the server (default `pumasi:board:`).
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    async fn run(&self, board: &Board, script: &Script, arguments: &[&[u8]]) -> Result<Value> {
        let rules = board.rules().fingerprint();
        let mut all: Vec<&[u8]> = vec![self.prefix.as_bytes(), board.name().as_bytes(), rules.as_bytes()];
        all.extend(arguments);
        match self.link.run("asking a board", script, &[], &all).await? {
            // A status or a text, which no script answers otherwise at this place.
            Value::BulkString(text) if text == b"other rules" => Err(other_rules(board)),
            answer => Ok(answer),
        }
    }

    async fn change(&self, board: &Board, arguments: &[&str]) -> Result<Value> {
        let arguments: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
        self.run(board, &self.scripts.change, &arguments).await
    }

    async fn ask(&self, board: &Board, window: &str, arguments: &[&[u8]]) -> Result<Value> {
        check_name("window", window)?;
        let length = (board.rules().keys() * 8).to_string();
        let mut all: Vec<&[u8]> = vec![window.as_bytes(), length.as_bytes()];
        all.extend(arguments);
        self.run(board, &self.scripts.ask, &all).await
    }

    /// Reads, decides and writes; `None` if what was read has changed meanwhile.
    async fn attempt<M: MemberId>(
        &self,
        board: &Board,
        window: &str,
        records: &[Record<M>],
    ) -> Result<Option<Vec<Submitted>>> {
        let rules = board.rules();
        let (members, wanted) = needs(rules, records.iter());
        let ids: Vec<Vec<u8>> = members.iter().map(M::to_bytes).collect();
        let count = ids.len().to_string();
        let fields: Vec<(&[u8], Vec<u8>)> = wanted.iter().map(field).collect();
        let mut arguments: Vec<&[u8]> = vec![window.as_bytes(), count.as_bytes()];
        arguments.extend(ids.iter().map(Vec::as_slice));
        arguments.extend(fields.iter().flat_map(|(of_board, field)| [*of_board, field]));
        let answer = self.run(board, &self.scripts.read, &arguments).await?;
        let mut answer = values(answer)?.into_iter();
        let closed = number(answer.next())? == 1;
        let mut stored: Vec<Option<Vec<u8>>> = Vec::with_capacity(members.len());
        for value in answer.by_ref().take(members.len()) {
            stored.push(read(value)?);
        }
        let mut standings = Vec::new();
        for (member, bytes) in members.iter().zip(&stored) {
            if let Some(bytes) = bytes {
                standings.push((member.clone(), Standing::from_bytes(rules, bytes)?));
            }
        }
        let mut known = Vec::new();
        for (mark, value) in wanted.iter().zip(answer) {
            if number(Some(value))? == 1 {
                known.push(mark.clone());
            }
        }
        let mut ledger = Ledger::new(board, standings, known);
        let answers = records.iter().map(|record| ledger.answer(record, closed)).collect::<Result<_>>()?;
        let (changed, new_marks) = ledger.finish();
        if changed.is_empty() {
            return Ok(Some(answers));
        }
        let old = |member: &M| members.binary_search(member).ok().and_then(|at| stored.get(at)?.clone());
        let fields: Vec<(&[u8], Vec<u8>)> = new_marks.iter().map(field).collect();
        let is_written = self.write(board, (window, closed), &changed, old, &fields).await?;
        Ok(is_written.then_some(answers))
    }

    /// Writes what has changed of what was read; tells whether it was still that.
    async fn write<M: MemberId>(
        &self,
        board: &Board,
        (window, closed): (&str, bool),
        changed: &[Changed<M>],
        old: impl Fn(&M) -> Option<Vec<u8>>,
        marks: &[(&[u8], Vec<u8>)],
    ) -> Result<bool> {
        let mut rows = Vec::with_capacity(changed.len() * 4);
        for change in changed {
            rows.push(change.member.to_bytes());
            rows.push(old(&change.member).unwrap_or_default());
            rows.push(change.standing.to_bytes(board.rules()));
            rows.push(change.key.as_deref().map(key_bytes).unwrap_or_default());
        }
        let count = changed.len().to_string();
        let mut arguments: Vec<&[u8]> =
            vec![window.as_bytes(), if closed { b"1" } else { b"0" }, count.as_bytes()];
        arguments.extend(rows.iter().map(Vec::as_slice));
        arguments.extend(marks.iter().flat_map(|(kind, field)| [*kind, field]));
        let written = self.run(board, &self.scripts.write, &arguments).await?;
        Ok(number(Some(written))? == 1)
    }

    /// Reads, decides and writes that a record is taken back; `None` if what was read has changed meanwhile.
    async fn take_back<M: MemberId>(
        &self,
        board: &Board,
        window: &str,
        (member, source): (&M, &str),
        open: &OpenWindows,
    ) -> Result<Option<Withdrawn>> {
        let id = member.to_bytes();
        let own = |mark: Mark| field(&(member.clone(), mark)).1;
        let begins = own(Mark { of_board: false, name: String::new() });
        let counts = own(Mark::of_board(source));
        let arguments: [&[u8]; 4] = [window.as_bytes(), &id, &begins, &counts];
        let answer = self.run(board, &self.scripts.marks, &arguments).await?;
        let mut answer = values(answer)?.into_iter();
        let here: String = read(answer.next().unwrap_or(Value::Nil))?;
        let [counted, closed] = [number(answer.next())? == 1, number(answer.next())? == 1];
        let bytes: Option<Vec<u8>> = read(answer.next().unwrap_or(Value::Nil))?;
        let standing =
            bytes.as_deref().map(|bytes| Standing::from_bytes(board.rules(), bytes)).transpose()?;
        let mut marks = Vec::new();
        for value in answer {
            let field: Vec<u8> = read(value)?;
            let name = field.get(begins.len()..).unwrap_or_default().to_vec();
            let name = String::from_utf8(name).map_err(|_| {
                Error::new(ErrorKind::Storage, "what is stored of a board's marks is damaged")
            })?;
            marks.push(Mark { of_board: false, name });
        }
        let over = closed || counted && !open.contains(&here);
        let stored = Stored { counted, over, standing, marks };
        let undone = withdraw(board, member, source, &stored)?;
        if undone.new.is_empty() {
            return Ok(Some(undone.answer));
        }
        let mut fields: Vec<(&[u8], Vec<u8>)> = undone.new.iter().map(field).collect();
        fields.extend(undone.gone.into_iter().map(|mark| (&b"-"[..], own(mark))));
        let changed: Vec<Changed<M>> = undone.changed.into_iter().collect();
        let is_written = self.write(board, (&here, closed), &changed, |_| bytes.clone(), &fields).await?;
        Ok(is_written.then_some(undone.answer))
    }
}

impl fmt::Debug for RedisBoards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBoards")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Whether a mark is the board's, and the field by which the server knows it.
fn field<M: MemberId>((member, mark): &(M, Mark)) -> (&'static [u8], Vec<u8>) {
    let member = member.to_bytes();
    let mut field = u16::try_from(member.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    field.extend_from_slice(&member);
    field.extend_from_slice(mark.name.as_bytes());
    (if mark.of_board { b"1" } else { b"0" }, field)
}

/// Lets others be ready before the next round.
async fn pause(round: u32) {
    let wait = u64::from(round.min(8)) * 250;
    SystemClock.sleep(Duration::from_micros(fastrand::u64(0..=wait))).await;
}

fn crowded() -> Error {
    Error::new(ErrorKind::Overloaded, "too many processes submit to one board at the same time")
}

fn read<T: FromRedisValue>(value: Value) -> Result<T> {
    T::from_redis_value(value)
        .map_err(|_| Error::new(ErrorKind::Protocol, "a script of the boards answered in another form"))
}

fn values(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values),
        other => read(other),
    }
}

fn number(value: Option<Value>) -> Result<u64> {
    read(value.unwrap_or(Value::Nil))
}

/// Reads what `list` in `ask.lua` answers.
fn listing<M: MemberId>(board: &Board, answer: Value) -> Result<Listing<M>> {
    let rules = board.rules();
    let mut answer = values(answer)?.into_iter();
    let [from, total, better, until, distinct] = std::array::from_fn(|_| number(answer.next()));
    let stretch = Stretch {
        from: from?,
        better: better?,
        until: until?,
        distinct_better: Some(distinct?),
        total: total?,
    };
    let entries: Vec<Vec<u8>> = read(answer.next().unwrap_or(Value::Nil))?;
    let mut split = Vec::with_capacity(entries.len());
    for entry in &entries {
        let (key, id) = entry.split_at_checked(rules.keys() * 8).unwrap_or((entry, &[]));
        split.push((keys_of(key)?, member(id)?));
    }
    Ok(stretch.listing(rules, split))
}

#[async_trait]
impl<M: MemberId> BoardStore<M> for RedisBoards {
    async fn submit(&self, board: &Board, window: &str, records: &[Record<M>]) -> Result<Vec<Submitted>> {
        check_name("window", window)?;
        records.iter().try_for_each(Record::check)?;
        let _turn = self.turn.lock().await;
        for round in 0..ROUNDS {
            if let Some(answers) = self.attempt(board, window, records).await? {
                return Ok(answers);
            }
            pause(round).await;
        }
        Err(crowded())
    }

    async fn withdraw(
        &self,
        board: &Board,
        window: &str,
        member: &M,
        source: &str,
        open: &OpenWindows,
    ) -> Result<Withdrawn> {
        check_name("window", window)?;
        Record::new(member.clone(), source, Timestamp::MIN).check()?;
        let _turn = self.turn.lock().await;
        for round in 0..ROUNDS {
            if let Some(answer) = self.take_back(board, window, (member, source), open).await? {
                return Ok(answer);
            }
            pause(round).await;
        }
        Err(crowded())
    }

    async fn close(&self, board: &Board, window: &str) -> Result<()> {
        check_name("window", window)?;
        self.change(board, &["close", window]).await.map(drop)
    }

    async fn snapshot(&self, board: &Board, window: &str, name: &str) -> Result<()> {
        check_name("window", window)?;
        check_name("snapshot", name)?;
        match number(Some(self.change(board, &["snapshot", window, name]).await?))? {
            1 => Ok(()),
            _ => Err(exists(name)),
        }
    }

    async fn places(&self, board: &Board, window: &str, members: &[M]) -> Result<Vec<Option<Place<M>>>> {
        let ids: Vec<Vec<u8>> = members.iter().map(M::to_bytes).collect();
        let mut arguments: Vec<&[u8]> = vec![b"places"];
        arguments.extend(ids.iter().map(Vec::as_slice));
        let answer = self.ask(board, window, &arguments).await?;
        if answer == Value::Nil {
            return Ok(vec![None; members.len()]);
        }
        let mut places = Vec::with_capacity(members.len());
        for (member, value) in members.iter().zip(values(answer)?) {
            if value == Value::Nil {
                places.push(None);
                continue;
            }
            let mut value = values(value)?.into_iter();
            let key: Vec<u8> = read(value.next().unwrap_or(Value::Nil))?;
            let [position, better, until, distinct] = std::array::from_fn(|_| number(value.next()));
            let better = better?;
            let counted = Counted {
                member: member.clone(),
                keys: keys_of(&key)?,
                position: position?,
                better,
                tied: until?.saturating_sub(better),
                distinct_better: Some(distinct?),
            };
            places.push(Some(counted.place(board.rules())));
        }
        Ok(places)
    }

    async fn list(&self, board: &Board, window: &str, places: Range<u64>) -> Result<Listing<M>> {
        let (from, until) = (places.start.to_string(), places.end.to_string());
        match self.ask(board, window, &[b"list", from.as_bytes(), until.as_bytes()]).await? {
            Value::Nil => Ok(Listing { places: Vec::new(), total: 0 }),
            answer => listing(board, answer),
        }
    }

    async fn around(
        &self,
        board: &Board,
        window: &str,
        member: &M,
        neighbours: u64,
    ) -> Result<Option<Around<M>>> {
        let (id, sides) = (member.to_bytes(), neighbours.to_string());
        match self.ask(board, window, &[b"around", &id, sides.as_bytes()]).await? {
            Value::Nil => Ok(None),
            answer => {
                let mut answer = values(answer)?.into_iter();
                let position = number(answer.next())?;
                Ok(listing(board, answer.next().unwrap_or(Value::Nil))?.around(position))
            }
        }
    }

    async fn forget(&self, board: &Board, window: &str) -> Result<()> {
        check_name("window", window)?;
        self.change(board, &["forget", window]).await?;
        let mut cursor = "0".to_owned();
        loop {
            cursor = read(self.change(board, &["sweep", &cursor]).await?)?;
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    async fn replace(&self, board: &Board, with: &Board) -> Result<()> {
        self.change(board, &["replace", with.name()]).await.map(drop)
    }
}
