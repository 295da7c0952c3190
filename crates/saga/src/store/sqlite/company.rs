//! How long a transaction waits for company.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::request::Request;

/// The shortest pause: a thread that sleeps for less is woken later all the same.
const PAUSE: Duration = Duration::from_micros(50);
/// For how many transactions at most nobody is waited for, after nobody came.
const DISCOURAGED: u32 = 256;

/// Gathers the requests of one transaction.
///
/// Sagas whose commits were answered together come back a moment later with their next ones. A transaction that began at once with
/// whoever is there first would leave them to the next, and from then on they would take turns, each half with a sync of its own. So
/// those who were answered last are waited for: at most half as long as a transaction takes, and only while some keep coming.
#[derive(Default)]
pub(super) struct Company {
    /// How many are likely to come back.
    returning: usize,
    /// How long the last transaction took.
    took: Duration,
    /// How often in turn nobody came.
    alone: u32,
    /// For how many transactions nobody is waited for.
    skipped: u32,
}

impl Company {
    /// Notes a transaction after which so many are likely to come back.
    pub(super) fn answered(&mut self, returning: usize, took: Duration) {
        (self.returning, self.took) = (returning, took);
    }

    /// Takes the requests of the next transaction, at most `limit`; nothing once nobody can send any more.
    pub(super) async fn gather(
        &mut self,
        incoming: &mut mpsc::UnboundedReceiver<Request>,
        limit: usize,
    ) -> Option<Vec<Request>> {
        let mut batch = Vec::new();
        take(incoming, &mut batch, limit);
        // Those who came while the last transaction was under way are not among those it answered.
        let wanted = limit.min(batch.len() + self.returning);
        if batch.is_empty() && incoming.recv_many(&mut batch, limit).await == 0 {
            return None;
        }
        if batch.len() < wanted {
            self.wait(incoming, &mut batch, wanted);
        }
        Some(batch)
    }

    fn wait(
        &mut self,
        incoming: &mut mpsc::UnboundedReceiver<Request>,
        batch: &mut Vec<Request>,
        wanted: usize,
    ) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        let (begun, first) = (Instant::now(), batch.len());
        let pause = (self.took / 16).max(PAUSE);
        while batch.len() < wanted && begun.elapsed() < self.took / 2 {
            std::thread::sleep(pause);
            if take(incoming, batch, wanted) == 0 {
                break;
            }
        }
        if batch.len() == first {
            self.alone = self.alone.saturating_add(1);
            self.skipped = 1_u32.checked_shl(self.alone).map_or(DISCOURAGED, |pause| pause.min(DISCOURAGED));
        } else {
            self.alone = 0;
        }
    }
}

/// Takes what is there, until the batch has `limit`; returns how much that was.
fn take(incoming: &mut mpsc::UnboundedReceiver<Request>, batch: &mut Vec<Request>, limit: usize) -> usize {
    let first = batch.len();
    while batch.len() < limit {
        match incoming.try_recv() {
            Ok(request) => batch.push(request),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    batch.len() - first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request::Settle { reply: tokio::sync::oneshot::channel().0 }
    }

    #[tokio::test]
    async fn those_who_were_answered_together_come_back_together() {
        let (asked, mut incoming) = mpsc::unbounded_channel();
        let mut company = Company::default();
        company.answered(3, Duration::from_secs(32));
        let sender = std::thread::spawn(move || {
            for _ in 0..3 {
                assert!(asked.send(request()).is_ok());
                std::thread::sleep(Duration::from_millis(5));
            }
            asked
        });
        let batch = company.gather(&mut incoming, 1024).await.expect("a batch");
        assert_eq!(batch.len(), 3);
        drop(sender.join());
        assert!(company.gather(&mut incoming, 1024).await.is_none(), "a request of nobody");
    }

    #[tokio::test]
    async fn who_came_meanwhile_is_no_company_that_was_expected() {
        let (asked, mut incoming) = mpsc::unbounded_channel();
        let mut company = Company::default();
        company.answered(2, Duration::from_secs(32));
        for _ in 0..2 {
            assert!(asked.send(request()).is_ok());
        }
        let sender = std::thread::spawn(move || {
            for _ in 0..2 {
                assert!(asked.send(request()).is_ok());
            }
            asked
        });
        let batch = company.gather(&mut incoming, 1024).await.expect("a batch");
        assert_eq!(batch.len(), 4);
        drop(sender.join());
    }

    #[tokio::test]
    async fn nobody_is_waited_for_in_vain_again_and_again() {
        let (asked, mut incoming) = mpsc::unbounded_channel();
        let mut company = Company::default();
        let begun = Instant::now();
        let mut waited = 0;
        for _ in 0..600 {
            company.answered(9, Duration::from_millis(160));
            assert!(asked.send(request()).is_ok());
            let skipped = company.skipped;
            assert_eq!(company.gather(&mut incoming, 1024).await.map(|batch| batch.len()), Some(1));
            waited += u32::from(skipped == 0);
        }
        assert!(waited <= 10, "waited {waited} times of 600, {:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_batch_has_its_limit() {
        let (asked, mut incoming) = mpsc::unbounded_channel();
        let mut company = Company::default();
        company.answered(9, Duration::from_secs(16));
        for _ in 0..5 {
            assert!(asked.send(request()).is_ok());
        }
        let batch = company.gather(&mut incoming, 4).await.expect("a batch");
        assert_eq!(batch.len(), 4);
    }
}
