//! Load that does not wait for answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use pumasi_core::ErrorKind;

use crate::engines::TAGS;
use crate::subject::{Ask, How};

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// When it should have been sent, from the beginning.
    pub(crate) at: Duration,
    /// How long after that it was answered.
    pub(crate) took: Duration,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Right, and what it was said to be.
    Right(How),
    /// In part or wrong, and said to be less than whole.
    Partial,
    /// In part or wrong, and said to be whole.
    Lie,
    Failed(ErrorKind, String),
}

/// Sends `rate` requests a second for `time`, and waits for all of them.
pub(crate) async fn open_loop(
    ask: &Ask,
    rate: u32,
    time: Duration,
    expected: &Arc<Vec<Vec<String>>>,
) -> Vec<Sample> {
    let began = Instant::now();
    let count = u32::try_from(time.as_millis()).unwrap_or(u32::MAX) * rate / 1_000;
    let mut tasks = Vec::with_capacity(count as usize);
    for number in 0..count {
        let at = Duration::from_secs(1) * number / rate;
        tokio::time::sleep_until((began + at).into()).await;
        let (ask, expected) = (Arc::clone(ask), Arc::clone(expected));
        tasks.push(tokio::spawn(async move {
            let tag = u64::from(number).wrapping_mul(7_919) % TAGS;
            let outcome = ask(tag).await;
            let took = began.elapsed().saturating_sub(at);
            let what = match outcome {
                Ok(got) if expected.get(usize::try_from(tag).unwrap_or(0)) == Some(&got.ids) => {
                    What::Right(got.served)
                }
                Ok(got) if got.served == How::Flagged => What::Partial,
                Ok(_) => What::Lie,
                Err(error) => What::Failed(error.kind(), error.to_string()),
            };
            Sample { at, took, what }
        }));
    }
    let mut samples = Vec::with_capacity(tasks.len());
    for task in tasks {
        if let Ok(sample) = task.await {
            samples.push(sample);
        }
    }
    samples
}

/// The time within which that share of the samples was answered, in milliseconds.
pub(crate) fn percentile(samples: &[&Sample], share: f64) -> f64 {
    let mut took: Vec<f64> = samples.iter().map(|sample| sample.took.as_secs_f64() * 1e3).collect();
    took.sort_by(f64::total_cmp);
    let rank = (share * took.len() as f64).ceil() as usize;
    took.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The moment after `from` from which on `percent` of the samples are as `like` says, and how many samples came before it.
pub(crate) fn settled(
    samples: &[&Sample],
    from: Duration,
    percent: usize,
    like: impl Fn(&Sample) -> bool,
) -> Option<(Duration, usize)> {
    let (mut good, mut best) = (0, None);
    for (of, (number, sample)) in samples.iter().enumerate().rev().enumerate() {
        good += usize::from(like(sample));
        if good * 100 >= (of + 1) * percent {
            best = Some((sample.at.saturating_sub(from), number));
        }
    }
    best
}

/// The longest time for which nothing ran, in milliseconds: on a thread of its own, which only the machine can hold up, and in a
/// runtime.
pub(crate) struct Pulse(Arc<AtomicU64>);

const BEAT: Duration = Duration::from_millis(5);

impl Pulse {
    pub(crate) fn of_a_thread() -> Self {
        let longest = Arc::default();
        let beating = Arc::downgrade(&longest);
        std::thread::spawn(move || {
            loop {
                let began = Instant::now();
                std::thread::sleep(BEAT);
                let Some(longest) = beating.upgrade() else { return };
                beat(&longest, began);
            }
        });
        Self(longest)
    }

    /// Of the runtime that it is called in.
    pub(crate) fn of_the_runtime() -> Self {
        let longest = Arc::default();
        let beating = Arc::downgrade(&longest);
        tokio::spawn(async move {
            loop {
                let began = Instant::now();
                tokio::time::sleep(BEAT).await;
                let Some(longest) = beating.upgrade() else { return };
                beat(&longest, began);
            }
        });
        Self(longest)
    }

    /// What it was since it was asked last.
    pub(crate) fn longest(&self) -> u64 {
        self.0.swap(0, SeqCst)
    }
}

fn beat(longest: &AtomicU64, began: Instant) {
    let still = began.elapsed().saturating_sub(BEAT).as_millis();
    longest.fetch_max(u64::try_from(still).unwrap_or(u64::MAX), SeqCst);
}
