//! How does an answer reach a browser, and go on where its connection broke?
//!
//! [`Streams`] turns an [`AnswerStream`](crate::answer::AnswerStream) into bytes of `text/event-stream`, with ids, heartbeats and resumption by `Last-Event-ID`. Any
//! framework that can send a stream of bytes can send them; with the feature `axum` they are responses of it.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use futures_util::StreamExt;
//! use pumasi_rag::AnswerEvent;
//! use pumasi_rag::answer::AnswerStream;
//! use pumasi_rag::sse::{Resumed, Streams};
//!
//! let streams = Streams::new();
//! let events = ["걷고", " 뜁니다."].map(|text| AnswerEvent::Delta { text: text.to_owned() });
//! let mut sent = streams.open(AnswerStream::of(events));
//! let first = sent.next().await.ok_or("nothing was sent")?;
//! let id = std::str::from_utf8(&first)?.lines().find_map(|line| line.strip_prefix("id: ")).ok_or("no id")?.to_owned();
//!
//! // the connection breaks; the browser comes back and says what it has seen
//! let Resumed::Stream(mut rest) = streams.resume(&id) else { return Err("there is more".into()) };
//! assert!(std::str::from_utf8(&rest.next().await.ok_or("nothing is left")?)?.contains("뜁니다"));
//! # drop(sent);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! An answer whose last reader has left is given up after [`grace`](Streams::with_grace), by default at once, and with it the call of
//! the model. Whoever resumes it then is told `cancelled`. What was made until then, and whole answers, are kept for a while
//! ([`retention`](Streams::with_retention)) in this process: where several machines serve, the one that began an answer must be asked
//! again.

#[cfg(feature = "axum")]
mod axum;
mod frame;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use pumasi_core::time::{Clock, SystemClock};
use tokio::sync::watch;

#[cfg(feature = "axum")]
pub use self::axum::last_event_id;
pub use frame::{CONTENT_TYPE, frame};

use crate::answer::{AnswerEvent, Failure};
use crate::{Error, ErrorKind};
use frame::HEARTBEAT;

/// Sends answers as server-sent events, and remembers them for those whose connection broke.
///
/// | setting | default |
/// |---|---|
/// | heartbeat: a comment after so long a silence | 15 s |
/// | grace: how long an answer goes on without a reader | none: it is given up at once |
/// | retention: how long an answer can be resumed after its end | 5 minutes |
/// | capacity: how many answers are remembered; beyond it the oldest ended ones go first | 1,000 |
///
/// Ids hold 122 bits of chance: whoever has none cannot resume another's answer. Clones are the same.
#[derive(Clone)]
pub struct Streams {
    heartbeat: Duration,
    grace: Duration,
    retention: Duration,
    capacity: NonZeroUsize,
    clock: Arc<dyn Clock>,
    logs: Arc<Mutex<HashMap<String, Arc<Log>>>>,
    opened: Arc<AtomicU64>,
}

/// What [`Streams::resume`] finds.
#[derive(Debug)]
pub enum Resumed {
    /// The events after the one that was seen.
    Stream(SseStream),
    /// The answer has ended and was seen whole: nothing is to be sent (204, on which browsers stop coming back).
    Over,
    /// The answer is not known, or not any more (404): it is to be asked for again.
    Unknown,
}

/// The bytes of an answer for one connection. Dropping it tells that the reader has left.
#[must_use = "an answer without a reader is given up"]
pub struct SseStream {
    bytes: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
}

const CAPACITY: NonZeroUsize = match NonZeroUsize::new(1_000) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

impl Default for Streams {
    fn default() -> Self {
        Self::new()
    }
}

impl Streams {
    /// Makes it with the defaults.
    pub fn new() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            grace: Duration::ZERO,
            retention: Duration::from_mins(5),
            capacity: CAPACITY,
            clock: Arc::new(SystemClock),
            logs: Arc::default(),
            opened: Arc::default(),
        }
    }

    /// Sets after how long a silence a heartbeat is sent.
    #[must_use]
    pub fn with_heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// Sets how long an answer goes on, and its model writes, without a reader: as long as a reconnect takes.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets how long an answer can be resumed after its end.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets how many answers are remembered.
    #[must_use]
    pub fn with_capacity(mut self, capacity: NonZeroUsize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Begins an answer, an [`AnswerStream`](crate::answer::AnswerStream) or what was made of one, and returns its first reader.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, on which the answer is made.
    pub fn open(&self, answer: impl Stream<Item = AnswerEvent> + Send + 'static) -> SseStream {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let log = Arc::new(Log::new(id.clone(), self.opened.fetch_add(1, Ordering::Relaxed)));
        {
            let mut logs = self.lock();
            self.forget(&mut logs);
            self.make_room(&mut logs);
            logs.insert(id, Arc::clone(&log));
        }
        let reader = self.reader(Arc::clone(&log), 0);
        tokio::spawn(pump(Box::pin(answer), log, self.grace, Arc::clone(&self.clock)));
        reader
    }

    /// Goes on with an answer after the event of this id, the value of the header `Last-Event-ID`.
    pub fn resume(&self, last_event_id: &str) -> Resumed {
        let Some((id, seen)) = last_event_id.trim().split_once('.') else { return Resumed::Unknown };
        let Ok(seen) = seen.parse::<usize>() else { return Resumed::Unknown };
        let log = {
            let mut logs = self.lock();
            self.forget(&mut logs);
            logs.get(id).cloned()
        };
        match log {
            None => Resumed::Unknown,
            Some(log) if log.is_over_after(seen) => Resumed::Over,
            Some(log) => Resumed::Stream(self.reader(log, seen)),
        }
    }

    fn reader(&self, log: Arc<Log>, seen: usize) -> SseStream {
        let changes = log.changed.subscribe();
        let state = Reader { _here: Here::new(&log), log, changes, seen };
        let (heartbeat, clock) = (self.heartbeat, Arc::clone(&self.clock));
        let bytes = stream::unfold(state, move |mut state| {
            let clock = Arc::clone(&clock);
            async move {
                loop {
                    state.changes.mark_unchanged();
                    match state.log.get(state.seen) {
                        Next::Frame(bytes) => {
                            state.seen += 1;
                            return Some((bytes, state));
                        }
                        Next::Over => return None,
                        Next::Later => {}
                    }
                    tokio::select! {
                        // the log is held, so its sender lives
                        _ = state.changes.changed() => {}
                        () = clock.sleep(heartbeat) => return Some((Bytes::from_static(HEARTBEAT), state)),
                    }
                }
            }
        });
        SseStream { bytes: Box::pin(bytes) }
    }

    /// Drops what ended too long ago.
    fn forget(&self, logs: &mut HashMap<String, Arc<Log>>) {
        let now = self.clock.instant();
        logs.retain(|_, log| {
            log.ended().is_none_or(|ended| now.saturating_duration_since(ended) < self.retention)
        });
    }

    /// Drops the oldest that leave no room for one more.
    fn make_room(&self, logs: &mut HashMap<String, Arc<Log>>) {
        while logs.len() >= self.capacity.get() {
            let oldest = logs.iter().min_by_key(|(_, log)| (log.ended().is_none(), log.number));
            let Some(id) = oldest.map(|(id, _)| id.clone()) else { return };
            logs.remove(&id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Log>>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the answer, event by event, until it ends or nobody reads it any more.
async fn pump(
    mut answer: Pin<Box<dyn Stream<Item = AnswerEvent> + Send>>,
    log: Arc<Log>,
    grace: Duration,
    clock: Arc<dyn Clock>,
) {
    {
        let abandoned = abandoned(&log, grace, &clock);
        tokio::pin!(abandoned);
        loop {
            tokio::select! {
                event = AssertUnwindSafe(answer.next()).catch_unwind() => match event {
                    Ok(Some(event)) => log.push(&event),
                    Ok(None) => break,
                    Err(_) => {
                        let panicked = Error::new(ErrorKind::Other, "what makes the answer panicked");
                        log.push(&AnswerEvent::Error(Failure::from(&panicked)));
                        break;
                    }
                },
                () = &mut abandoned => {
                    let cancelled = Error::new(ErrorKind::Cancelled, "nobody read the answer any more");
                    log.push(&AnswerEvent::Error(Failure { is_retryable: true, ..Failure::from(&cancelled) }));
                    break;
                }
            }
        }
    }
    // what panicked may panic again
    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| drop(answer)));
    log.end(clock.instant());
}

/// Completes once there has been no reader for the grace.
async fn abandoned(log: &Log, grace: Duration, clock: &Arc<dyn Clock>) {
    let mut readers = log.readers.subscribe();
    loop {
        if readers.wait_for(|readers| *readers == 0).await.is_err() {
            return;
        }
        if grace.is_zero() {
            return;
        }
        tokio::select! {
            () = clock.sleep(grace) => return,
            _ = readers.wait_for(|readers| *readers > 0) => {}
        }
    }
}

/// What was made of one answer.
struct Log {
    id: String,
    /// How many were opened before it.
    number: u64,
    inside: Mutex<Inside>,
    /// Changes with every frame and with the end.
    changed: watch::Sender<()>,
    readers: watch::Sender<usize>,
}

#[derive(Default)]
struct Inside {
    frames: Vec<Bytes>,
    ended: Option<Instant>,
}

enum Next {
    Frame(Bytes),
    Later,
    Over,
}

impl Log {
    fn new(id: String, number: u64) -> Self {
        Self {
            id,
            number,
            inside: Mutex::default(),
            changed: watch::Sender::new(()),
            readers: watch::Sender::new(0),
        }
    }

    fn push(&self, event: &AnswerEvent) {
        {
            let mut inside = self.lock();
            let number = inside.frames.len() + 1;
            inside.frames.push(frame(&format!("{}.{number}", self.id), event));
        }
        self.changed.send_replace(());
    }

    fn end(&self, at: Instant) {
        self.lock().ended = Some(at);
        self.changed.send_replace(());
    }

    fn get(&self, at: usize) -> Next {
        let inside = self.lock();
        match inside.frames.get(at) {
            Some(frame) => Next::Frame(frame.clone()),
            None if inside.ended.is_some() => Next::Over,
            None => Next::Later,
        }
    }

    fn ended(&self) -> Option<Instant> {
        self.lock().ended
    }

    fn is_over_after(&self, seen: usize) -> bool {
        matches!(self.get(seen), Next::Over)
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that reads a log.
struct Reader {
    _here: Here,
    log: Arc<Log>,
    changes: watch::Receiver<()>,
    seen: usize,
}

/// Counts a reader while it is there.
struct Here(Arc<Log>);

impl Here {
    fn new(log: &Arc<Log>) -> Self {
        log.readers.send_modify(|readers| *readers += 1);
        Self(Arc::clone(log))
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.0.readers.send_modify(|readers| *readers = readers.saturating_sub(1));
    }
}

impl Stream for SseStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.bytes.as_mut().poll_next(context)
    }
}

impl fmt::Debug for SseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseStream").finish_non_exhaustive()
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("heartbeat", &self.heartbeat)
            .field("grace", &self.grace)
            .field("retention", &self.retention)
            .field("answers", &self.lock().len())
            .finish_non_exhaustive()
    }
}
