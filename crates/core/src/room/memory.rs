//! Rooms in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Message, NewMessage, RoomStore, check_name};
use crate::Result;
use crate::time::{Clock, SystemClock};

/// Keeps rooms in memory, until the process ends. Clones share them.
#[derive(Clone)]
pub struct MemoryRooms {
    rooms: Arc<Mutex<HashMap<String, Room>>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Room {
    messages: Vec<Message>,
    /// The number of each author's message of an id.
    numbers: HashMap<(Arc<str>, Arc<str>), usize>,
}

impl MemoryRooms {
    /// Makes a store in which nothing was said.
    pub fn new() -> Self {
        Self { rooms: Arc::default(), clock: Arc::new(SystemClock) }
    }

    /// Sets the clock that tells when something was said (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryRooms {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRooms").finish_non_exhaustive()
    }
}

#[async_trait]
impl RoomStore for MemoryRooms {
    async fn say(&self, room: &str, message: &NewMessage) -> Result<Message> {
        message.check(room)?;
        let mut rooms = self.lock();
        let room = rooms.entry(room.to_owned()).or_default();
        let name = (Arc::clone(message.author()), Arc::clone(message.id()));
        if let Some(said) = room.numbers.get(&name).and_then(|index| room.messages.get(*index)) {
            return message.as_said(said.clone());
        }
        let index = room.messages.len();
        let (author, text) = (Arc::clone(message.author()), Arc::clone(message.text()));
        let said = Message::new(index as u64 + 1, author, text, self.clock.now());
        room.messages.push(said.clone());
        room.numbers.insert(name, index);
        Ok(said)
    }

    async fn said(&self, room: &str, message: &NewMessage) -> Result<Option<Message>> {
        message.check(room)?;
        let rooms = self.lock();
        let name = (Arc::clone(message.author()), Arc::clone(message.id()));
        let said = rooms.get(room).and_then(|room| room.messages.get(*room.numbers.get(&name)?));
        said.map(|said| message.as_said(said.clone())).transpose()
    }

    async fn after(&self, room: &str, after: u64, limit: usize) -> Result<Vec<Message>> {
        check_name("a room", room)?;
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let rooms = self.lock();
        let messages = rooms.get(room).and_then(|room| room.messages.get(after..)).unwrap_or_default();
        Ok(messages.iter().take(limit).cloned().collect())
    }

    async fn last(&self, room: &str, limit: usize) -> Result<Vec<Message>> {
        check_name("a room", room)?;
        let rooms = self.lock();
        let messages = rooms.get(room).map(|room| &*room.messages).unwrap_or_default();
        let from = messages.len().saturating_sub(limit);
        Ok(messages.get(from..).unwrap_or_default().to_vec())
    }

    async fn forget(&self, room: &str) -> Result<()> {
        check_name("a room", room)?;
        self.lock().remove(room);
        Ok(())
    }
}
