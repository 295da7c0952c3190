//! What a group has put aside: a topic of its own, in which the newest record of an event says what became of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, OwnedHeaders};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use super::cluster::{Cluster, Logs, blocking};
use super::error::{failed, too_slow};
use super::record::Outgoing;
use crate::event::outline::outline;
use crate::event::{DeadLetter, Envelope, EventId, Page, Reason};
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// After how long without a look the topic is read from its beginning again: compaction may have removed the record that
/// says that a letter is gone, but not sooner than after a day (`delete.retention.ms`).
const FRESH: Duration = Duration::from_hours(1);

/// Where an event of the group stands: topic (as envelopes name it), partition and offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl Place {
    fn key(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }

    fn parse(key: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(key).ok()?.rsplitn(3, '/');
        let (offset, partition, topic) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { topic: topic.into(), partition: partition.parse().ok()?, offset: offset.parse().ok()? })
    }
}

/// What is written of an event that was put aside. An empty record says that it is done.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) state: LetterState,
    pub(super) event: Envelope,
    /// The record itself, in base64, where this program could not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) raw: Option<String>,
    pub(super) reason: Reason,
    /// The attempts up to when it was put aside; of a replayed one, those since.
    pub(super) attempts: u32,
    pub(super) at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LetterState {
    Dead,
    Replayed,
}

impl Letter {
    pub(super) fn keep(&mut self, raw: &[u8]) {
        self.raw = Some(STANDARD.encode(raw));
    }

    /// Leaves out what may be large.
    pub(super) fn outline(&mut self) {
        self.raw = None;
        self.event.payload = serde_json::Value::Null;
        self.event.headers.clear();
    }

    fn raw(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.raw.as_ref()?).ok()
    }

    /// What the record says to this program, where it could not be read when it was put aside.
    fn read_again(&self) -> Option<Envelope> {
        let event = serde_json::from_slice::<Envelope>(&self.raw()?).ok()?;
        (event.topic == self.event.topic).then_some(event)
    }

    fn into_event(self) -> Envelope {
        let Some(raw) = self.raw() else { return self.event };
        self.read_again().unwrap_or_else(|| {
            let Envelope { id, topic, key, occurred_at, .. } = &self.event;
            outline(&raw, Some(*id), topic, key, *occurred_at)
        })
    }
}

/// A dead letter that was given to the group again and is not done.
#[derive(Clone)]
pub(super) struct Replay {
    pub(super) place: Place,
    pub(super) event: Arc<Envelope>,
    pub(super) letter: Letter,
}

struct Entry {
    place: Place,
    id: EventId,
}

#[derive(Default)]
struct Index {
    /// The first offset that was not read.
    next: i64,
    read: Option<Instant>,
    /// What is put aside, by the offset of the record that says so.
    dead: BTreeMap<i64, Entry>,
    places: HashMap<Place, i64>,
    replays: HashMap<Place, Replay>,
}

impl Index {
    fn apply(&mut self, offset: i64, key: &[u8], value: Option<&[u8]>) {
        self.next = offset + 1;
        let Some(place) = Place::parse(key) else { return };
        if let Some(old) = self.places.remove(&place) {
            self.dead.remove(&old);
        }
        self.replays.remove(&place);
        let letter = value.and_then(|value| serde_json::from_slice::<Letter>(value).ok());
        match letter {
            Some(letter) if letter.state == LetterState::Dead => {
                self.places.insert(place.clone(), offset);
                self.dead.insert(offset, Entry { place, id: letter.event.id });
            }
            Some(letter) => {
                let event = Arc::new(letter.clone().into_event());
                self.replays.insert(place.clone(), Replay { place, event, letter });
            }
            None => {}
        }
    }
}

pub(super) struct DeadLetters {
    cluster: Arc<Cluster>,
    group: String,
    topic: Arc<str>,
    index: Mutex<Index>,
}

impl DeadLetters {
    /// Makes the view of a group's dead letters, nothing read yet; `group` is its name on the brokers.
    pub(super) fn new(cluster: Arc<Cluster>, group: &str) -> Self {
        let topic = format!("{group}.dead-letters").into();
        Self { cluster, group: group.to_owned(), topic, index: Mutex::default() }
    }

    /// Reads what was written since the last look.
    fn caught_up(&self) -> Result<std::sync::MutexGuard<'_, Index>> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.read.is_some_and(|read| read.elapsed() > FRESH) {
            *index = Index::default();
        }
        let begun = Instant::now();
        let from = index.next;
        self.scan(from, |offset, key, value| {
            index.apply(offset, key, value);
            true
        })?;
        index.read = Some(begun);
        Ok(index)
    }

    /// Reads the topic from an offset up to where it ends now, as long as `each` wants more.
    fn scan(&self, from: i64, mut each: impl FnMut(i64, &[u8], Option<&[u8]>) -> bool) -> Result<()> {
        let what = "reading dead letters";
        let ends = match self.cluster.watermarks_here([(Arc::clone(&self.topic), 0)]) {
            // Nothing was ever put aside.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        let Some((low, high)) = ends.into_values().next() else { return Ok(()) };
        if high <= from.max(low) {
            return Ok(());
        }
        let reached = |error: KafkaError| failed(what, &error);
        let mut config = self.cluster.options.reading(&self.group);
        config.set("enable.partition.eof", "true");
        let reader = BaseConsumer::from_config_and_context(&config, Logs).map_err(reached)?;
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(&self.topic, 0, Offset::Offset(from.max(low)))
            .and_then(|()| reader.assign(&assignment))
            .map_err(reached)?;
        let mut deadline = Instant::now() + self.cluster.options.request;
        loop {
            match reader.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    deadline = Instant::now() + self.cluster.options.request;
                    let more = each(message.offset(), message.key().unwrap_or_default(), message.payload());
                    if !more || message.offset() + 1 >= high {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                _ if Instant::now() > deadline => return Err(too_slow(what)),
                _ => {}
            }
        }
    }

    /// Lists what is put aside.
    pub(super) async fn list(self: &Arc<Self>, page: Page) -> Result<Vec<DeadLetter>> {
        let dead = Arc::clone(self);
        blocking("reading dead letters", move || dead.list_here(page)).await
    }

    fn list_here(&self, page: Page) -> Result<Vec<DeadLetter>> {
        // A letter's position is one more than its offset, so that 0 is before the first.
        let after = i64::try_from(page.after).unwrap_or(i64::MAX);
        let wanted: Vec<i64> =
            self.caught_up()?.dead.range(after..).map(|(offset, _)| *offset).take(page.limit.get()).collect();
        let mut letters = Vec::with_capacity(wanted.len());
        for (offset, letter) in self.letters(&wanted)? {
            let position = u64::try_from(offset + 1).unwrap_or(0);
            let (reason, attempts, at) = (letter.reason.clone(), letter.attempts, letter.at);
            letters.push(DeadLetter::new(position, letter.into_event(), reason, attempts, at));
        }
        Ok(letters)
    }

    /// Reads the letters at these offsets, which are in order.
    fn letters(&self, wanted: &[i64]) -> Result<Vec<(i64, Letter)>> {
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(Vec::new()) };
        let mut letters = Vec::with_capacity(wanted.len());
        self.scan(*first, |offset, _, value| {
            if wanted.binary_search(&offset).is_ok()
                && let Some(letter) = value.and_then(|value| serde_json::from_slice(value).ok())
            {
                letters.push((offset, letter));
            }
            offset < *last
        })?;
        Ok(letters)
    }

    /// Gives letters to the group again; returns how many there were.
    pub(super) async fn replay(self: &Arc<Self>, ids: &[EventId]) -> Result<usize> {
        let wanted: HashSet<EventId> = ids.iter().copied().collect();
        let dead = Arc::clone(self);
        let found = blocking("reading dead letters", move || {
            let offsets: Vec<(i64, Place)> = {
                let index = dead.caught_up()?;
                let letters = index.dead.iter().filter(|(_, entry)| wanted.contains(&entry.id));
                letters.map(|(offset, entry)| (*offset, entry.place.clone())).collect()
            };
            let letters = dead.letters(&offsets.iter().map(|(offset, _)| *offset).collect::<Vec<_>>())?;
            let mut places: HashMap<i64, Place> = offsets.into_iter().collect();
            let found =
                letters.into_iter().filter_map(|(offset, letter)| Some((places.remove(&offset)?, letter)));
            Ok(found.collect::<Vec<_>>())
        })
        .await?;
        let count = found.len();
        let mut records = Vec::with_capacity(count);
        for (place, mut letter) in found {
            letter.state = LetterState::Replayed;
            letter.attempts = 0;
            records.push(self.record(&place, Some(&letter))?);
        }
        self.cluster.send(records).await?;
        Ok(count)
    }

    /// Writes what became of an event: put aside, tried again, or (`None`) done.
    pub(super) async fn write(&self, place: &Place, letter: Option<&Letter>) -> Result<()> {
        self.cluster.ensure_compacted(&self.topic).await?;
        self.cluster.send(vec![self.record(place, letter)?]).await
    }

    fn record(&self, place: &Place, letter: Option<&Letter>) -> Result<Outgoing> {
        let value = match letter {
            Some(letter) => serde_json::to_vec(letter).map_err(|_| {
                Error::new(ErrorKind::InvalidInput, "a dead letter cannot be written as JSON")
            })?,
            None => Vec::new(),
        };
        Ok(Outgoing { topic: self.topic.to_string(), key: place.key(), value, headers: OwnedHeaders::new() })
    }

    /// Returns what was given to the group again and is not done; blocks.
    pub(super) fn replays_here(&self) -> Result<Vec<Replay>> {
        Ok(self.caught_up()?.replays.values().cloned().collect())
    }

    /// Counts what is put aside and what was given again, of these topics; blocks.
    pub(super) fn count_here(&self, topics: &[Arc<str>]) -> Result<(u64, u64)> {
        let index = self.caught_up()?;
        let dead = index.dead.values().filter(|entry| topics.contains(&entry.place.topic)).count();
        let replays = index.replays.keys().filter(|place| topics.contains(&place.topic)).count();
        Ok((dead as u64, replays as u64))
    }
}

impl Replay {
    /// What is to be said if this program still cannot read it.
    pub(super) fn fault(&self) -> Option<Reason> {
        let unread = self.letter.raw.is_some() && self.letter.read_again().is_none();
        unread.then(|| self.letter.reason.clone())
    }
}
