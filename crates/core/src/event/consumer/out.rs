//! How many lanes are out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the lanes that are out, and tells the one who waits for them when few enough are.
///
/// Whoever fetches would otherwise be woken by each lane that ends, to find that it is better to wait for more.
#[derive(Debug, Default)]
pub(super) struct Out {
    count: AtomicUsize,
    awaited: AtomicUsize,
    few: Notify,
    one: Notify,
}

/// One lane, for as long as it lives, also when its task is aborted.
#[derive(Debug)]
pub(super) struct Lane(Arc<Out>);

impl Out {
    pub(super) fn begin(self: &Arc<Self>) -> Lane {
        self.count.fetch_add(1, Ordering::SeqCst);
        Lane(Arc::clone(self))
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until at most so many are out; nobody else may wait, or begin one, meanwhile.
    pub(super) async fn at_most(&self, few: usize) {
        self.awaited.store(few, Ordering::SeqCst);
        while self.count() > few {
            self.few.notified().await;
        }
    }

    /// Waits until only one is out: the one that waits.
    pub(super) async fn only_one(&self) {
        while self.count() > 1 {
            self.one.notified().await;
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let before = self.0.count.fetch_sub(1, Ordering::SeqCst);
        if before == self.0.awaited.load(Ordering::SeqCst).saturating_add(1) {
            self.0.few.notify_one();
        }
        if before == 2 {
            self.0.one.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn tells_when_few_enough_are_out_and_not_before() {
        let out = Arc::new(Out::default());
        let mut lanes: Vec<Lane> = (0..5).map(|_| out.begin()).collect();
        let waiting = tokio::spawn({
            let out = Arc::clone(&out);
            async move { out.at_most(2).await }
        });
        for left in [4, 3] {
            lanes.pop();
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished(), "told with {left} out");
        }
        lanes.pop();
        tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
        assert_eq!(out.count(), 2);
        // What was told once does not end a later wait.
        lanes.push(out.begin());
        lanes.push(out.begin());
        drop(lanes);
        out.at_most(0).await;
        assert_eq!(out.count(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_end_is_missed_while_somebody_begins_to_wait() {
        for _ in 0..2_000 {
            let out = Arc::new(Out::default());
            let lane = out.begin();
            let ending = tokio::spawn(async move { drop(lane) });
            tokio::time::timeout(Duration::from_secs(30), out.at_most(0)).await.unwrap();
            ending.await.unwrap();
        }
    }
}
