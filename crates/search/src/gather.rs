//! Carries out together what is asked at the same time.

use std::future::Future;
use std::mem;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::Result;

/// Where callers meet: whoever's turn it is asks for all who wait, and a file is synced once for them.
///
/// There is no task behind it. A caller that is dropped while it asks for others leaves them without an answer, and they ask again:
/// what is asked has to be safe to repeat.
pub(crate) struct Gather<Q, A> {
    waiting: Mutex<Vec<(Q, oneshot::Sender<Result<A>>)>>,
    turn: tokio::sync::Mutex<()>,
}

impl<Q, A> Default for Gather<Q, A> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<Q: Clone, A> Gather<Q, A> {
    /// Asks, together with all who wait; `work` answers each question in its place.
    pub(crate) async fn ask<F>(&self, question: Q, work: impl Fn(Vec<Q>) -> F) -> Result<A>
    where
        F: Future<Output = Result<Vec<A>>>,
    {
        loop {
            let (reply, mut answer) = oneshot::channel();
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push((question.clone(), reply));
            let _turn = tokio::select! {
                biased;
                answered = &mut answer => match answered {
                    Ok(answer) => return answer,
                    Err(_) => continue,
                },
                turn = self.turn.lock() => turn,
            };
            match answer.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Closed) => continue,
                Err(TryRecvError::Empty) => {}
            }
            let mut asked = mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            // Who has gone is not asked for.
            asked.retain(|(_, reply)| !reply.is_closed());
            let (questions, replies): (Vec<Q>, Vec<_>) = asked.into_iter().unzip();
            match work(questions).await {
                Ok(answers) => {
                    for (reply, answer) in replies.into_iter().zip(answers) {
                        let _ = reply.send(Ok(answer));
                    }
                }
                Err(error) => {
                    for reply in replies {
                        let _ = reply.send(Err(error.clone()));
                    }
                }
            }
            if let Ok(answer) = answer.try_recv() {
                return answer;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;
    use crate::{Error, ErrorKind};

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_at_the_same_time_is_carried_out_together() {
        let (gather, calls) = (Gather::default(), AtomicUsize::new(0));
        let work = |questions: Vec<u64>| {
            let calls = &calls;
            async move {
                calls.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(questions.into_iter().map(|question| question * 2).collect())
            }
        };
        let answers = join_all((0..100).map(|question| gather.ask(question, work))).await;
        let answers: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap()).collect();
        assert_eq!(answers, (0..100).map(|question| question * 2).collect::<Vec<_>>());
        assert!(calls.load(Ordering::SeqCst) <= 2, "{calls:?} calls");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_caller_that_was_dropped() {
        let gather = Gather::default();
        let answered = |questions: Vec<u64>| async move { Ok::<_, Error>(questions) };
        let stuck = |_: Vec<u64>| std::future::pending::<Result<Vec<u64>>>();
        let mut first = Box::pin(gather.ask(1, stuck));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(gather.ask(2, answered));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(second.await.unwrap(), 2);
        let failing = |_: Vec<u64>| async { Err(Error::new(ErrorKind::Storage, "the disk is full")) };
        assert_eq!(gather.ask(3, failing).await.unwrap_err().kind(), ErrorKind::Storage);
        assert_eq!(gather.ask(4, answered).await.unwrap(), 4);
    }
}
