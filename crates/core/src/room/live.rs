//! Telling those who listen.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Message, NewMessage, RoomStore, check_name};
use crate::Result;
use crate::time::{Clock, SystemClock};

/// How many messages a listener is told at once.
const BATCH: usize = 256;
/// How many rooms are listened to before those are looked for that nobody listens to any more.
const SWEEP: usize = 1_024;

/// Rooms in which people speak and listen.
///
/// A message that was said through these rooms or a clone of them reaches those who listen to them at once. What other
/// processes say on the same store is looked for [every second](Self::with_poll) in rooms that somebody listens to.
///
/// The metrics are `pumasi_room_messages_total` (what was said here, repetitions included) and `pumasi_room_listeners`.
#[derive(Clone)]
pub struct Rooms {
    shared: Arc<Shared>,
    poll: Duration,
}

struct Shared {
    store: Arc<dyn RoomStore>,
    clock: Arc<dyn Clock>,
    boards: Mutex<HashMap<String, Weak<Board>>>,
}

/// A room that somebody listens to.
struct Board {
    /// The newest message that is known here.
    newest: watch::Sender<Option<Message>>,
    /// When the store was last asked for what others said.
    asked: Mutex<Instant>,
}

impl Board {
    fn tell(&self, message: &Message) {
        self.newest.send_if_modified(|newest| {
            let is_newer = newest.as_ref().is_none_or(|newest| newest.number < message.number);
            if is_newer {
                *newest = Some(message.clone());
            }
            is_newer
        });
    }

    /// How long to wait until it is time to ask the store again; nothing if it is, and then whoever asked is to do it.
    fn pause(&self, now: Instant, poll: Duration) -> Option<Duration> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = poll.saturating_sub(now.saturating_duration_since(*asked));
        if rest.is_zero() {
            *asked = now;
            return None;
        }
        Some(rest)
    }
}

impl Rooms {
    /// Makes rooms on a store.
    pub fn new(store: impl RoomStore + 'static) -> Self {
        let clock = Arc::new(SystemClock);
        let shared = Shared { store: Arc::new(store), clock, boards: Mutex::default() };
        Self { shared: Arc::new(shared), poll: Duration::from_secs(1) }
    }

    /// Sets the clock by which the store is asked again (default: the machine's). To be called before anybody listens.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        let shared = Shared { store: Arc::clone(&self.shared.store), clock, boards: Mutex::default() };
        Self { shared: Arc::new(shared), ..self }
    }

    /// Sets how often the store is asked what other processes said (default one second; at least 10 milliseconds).
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(10));
        self
    }

    /// Says something: when this returns it is stored, and those who listen here are told.
    ///
    /// # Errors
    ///
    /// As [`RoomStore::say`].
    pub async fn say(&self, room: &str, message: &NewMessage) -> Result<Message> {
        let said = self.shared.store.say(room, message).await?;
        metrics::counter!("pumasi_room_messages_total").increment(1);
        let board = self.shared.boards.lock().unwrap_or_else(PoisonError::into_inner).get(room).cloned();
        if let Some(board) = board.and_then(|board| board.upgrade()) {
            board.tell(&said);
        }
        Ok(said)
    }

    /// Returns the message if it was said, and says nothing.
    ///
    /// # Errors
    ///
    /// As [`RoomStore::said`].
    pub async fn said(&self, room: &str, message: &NewMessage) -> Result<Option<Message>> {
        self.shared.store.said(room, message).await
    }

    /// Returns the newest messages, up to `limit`, in their order.
    ///
    /// # Errors
    ///
    /// As [`RoomStore::last`].
    pub async fn last(&self, room: &str, limit: usize) -> Result<Vec<Message>> {
        self.shared.store.last(room, limit).await
    }

    /// Returns up to `limit` messages after a number, the oldest ones.
    ///
    /// # Errors
    ///
    /// As [`RoomStore::after`].
    pub async fn after(&self, room: &str, after: u64, limit: usize) -> Result<Vec<Message>> {
        self.shared.store.after(room, after, limit).await
    }

    /// Listens to what comes after the number `after`: 0 for all that was ever said.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the room's name is none.
    pub fn listen(&self, room: &str, after: u64) -> Result<Listener> {
        check_name("a room", room)?;
        let mut boards = self.shared.boards.lock().unwrap_or_else(PoisonError::into_inner);
        if boards.len() >= SWEEP {
            boards.retain(|_, board| board.strong_count() > 0);
        }
        let board = boards.get(room).and_then(Weak::upgrade).unwrap_or_else(|| {
            let asked = Mutex::new(self.shared.clock.instant());
            let board = Arc::new(Board { newest: watch::Sender::new(None), asked });
            boards.insert(room.to_owned(), Arc::downgrade(&board));
            board
        });
        drop(boards);
        metrics::gauge!("pumasi_room_listeners").increment(1);
        Ok(Listener {
            shared: Arc::clone(&self.shared),
            room: room.into(),
            newest: board.newest.subscribe(),
            board,
            position: after,
            is_behind: true,
            asked_for: 0,
            poll: self.poll,
        })
    }

    #[cfg(test)]
    pub(super) fn listening(&self) -> usize {
        self.shared.boards.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Forgets a room that is no more. Who still listens to it hears nothing of a new room of its name before that has as many
    /// messages.
    ///
    /// # Errors
    ///
    /// As [`RoomStore::forget`].
    pub async fn forget(&self, room: &str) -> Result<()> {
        self.shared.boards.lock().unwrap_or_else(PoisonError::into_inner).remove(room);
        self.shared.store.forget(room).await
    }
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms")
            .field("store", &self.shared.store)
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}

/// Hears every message of a room after a number, each once and in order.
///
/// One that is slow loses nothing and keeps nobody waiting: it reads from the store where it is.
pub struct Listener {
    shared: Arc<Shared>,
    room: Arc<str>,
    board: Arc<Board>,
    newest: watch::Receiver<Option<Message>>,
    position: u64,
    /// Whether the store may hold messages that were not heard.
    is_behind: bool,
    /// The newest number for which the store was asked in vain: that of a room that was forgotten.
    asked_for: u64,
    poll: Duration,
}

impl Listener {
    /// Returns the number of the last message that was heard.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Waits for messages, and returns at least one. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// As [`RoomStore::after`]; the listener stays where it is, and may be asked again.
    pub async fn next(&mut self) -> Result<Vec<Message>> {
        loop {
            let newest = self.newest.borrow_and_update().clone();
            let known = newest.as_ref().map_or(0, |message| message.number);
            self.is_behind |= known > self.position.max(self.asked_for);
            if !self.is_behind {
                match self.board.pause(self.shared.clock.instant(), self.poll) {
                    None => self.is_behind = true,
                    Some(pause) => tokio::select! {
                        _ = self.newest.changed() => {}
                        () = self.shared.clock.sleep(pause) => {}
                    },
                }
                continue;
            }
            let messages = match newest {
                Some(message) if message.number == self.position.saturating_add(1) => vec![message],
                _ => self.shared.store.after(&self.room, self.position, BATCH).await?,
            };
            let Some(last) = messages.last() else {
                (self.is_behind, self.asked_for) = (false, known);
                continue;
            };
            self.position = last.number;
            self.is_behind = messages.len() >= BATCH;
            self.board.tell(last);
            return Ok(messages);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        metrics::gauge!("pumasi_room_listeners").decrement(1);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("position", &self.position).finish_non_exhaustive()
    }
}
