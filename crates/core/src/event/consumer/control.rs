//! Signals into a running consumer, and what it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

use crate::event::Lag;

/// A signal that ends things in order: whoever holds a clone can give it and can wait for it. It is given once.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use pumasi_core::event::Shutdown;
///
/// let shutdown = Shutdown::new();
/// let waiting = shutdown.clone();
/// shutdown.trigger();
/// waiting.triggered().await;
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Shutdown {
    signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Signal {
    given: AtomicBool,
    waiting: Notify,
}

impl Shutdown {
    /// Makes a signal that is not given yet.
    pub fn new() -> Self {
        Self { signal: Arc::default() }
    }

    /// Gives the signal.
    pub fn trigger(&self) {
        self.signal.given.store(true, Ordering::SeqCst);
        self.signal.waiting.notify_waiters();
    }

    /// Tells whether the signal was given.
    pub fn is_triggered(&self) -> bool {
        self.signal.given.load(Ordering::SeqCst)
    }

    /// Waits until the signal is given; returns at once if it was.
    pub async fn triggered(&self) {
        // It is told of whatever is given from here on, so what is given between the look and the wait is not missed.
        let told = self.signal.waiting.notified();
        if !self.is_triggered() {
            told.await;
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

/// Pauses, resumes and watches a [`Consumer`](super::Consumer) that runs elsewhere; clones are the same control.
#[derive(Clone, Debug)]
pub struct Control {
    paused: Arc<watch::Sender<bool>>,
    pub(super) counts: Arc<Counts>,
    lag: Arc<watch::Sender<Option<Lag>>>,
}

impl Control {
    pub(super) fn new() -> Self {
        Self {
            paused: Arc::new(watch::Sender::new(false)),
            counts: Arc::default(),
            lag: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Stops taking events: what is being handled is finished, what was taken and not begun goes back.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Takes events again.
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// Tells whether it is paused.
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Returns what the consumer has counted so far.
    pub fn stats(&self) -> ConsumerStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        ConsumerStats {
            handled: read(&counts.handled),
            retried: read(&counts.retried),
            dead_lettered: read(&counts.dead_lettered),
            panicked: read(&counts.panicked),
            lost: read(&counts.lost),
            released: read(&counts.released),
            in_flight: read(&counts.in_flight),
        }
    }

    /// Returns how far the consumer's group was behind when it last measured, every 15 seconds; `None` before it did.
    pub fn lag(&self) -> Option<Lag> {
        *self.lag.borrow()
    }

    pub(super) fn set_lag(&self, lag: Lag) {
        self.lag.send_replace(Some(lag));
    }

    pub(super) async fn until(&self, paused: bool) {
        let _ = self.paused.subscribe().wait_for(|now| *now == paused).await;
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) handled: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) released: AtomicU64,
    pub(super) in_flight: AtomicU64,
}

/// What a consumer has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Events handled and acknowledged.
    pub handled: u64,
    /// Attempts that failed and were put off.
    pub retried: u64,
    /// Events put aside.
    pub dead_lettered: u64,
    /// Attempts that panicked; each is also counted as retried or put aside.
    pub panicked: u64,
    /// Events whose lease was lost while they were handled, or which could not be settled.
    pub lost: u64,
    /// Events given back without having been begun, or unfinished at the end of the drain.
    pub released: u64,
    /// Handlers at work right now.
    pub in_flight: u64,
}
