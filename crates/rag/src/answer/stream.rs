//! An answer as a stream, made by whoever reads it.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt as _;

use super::event::{Answer, AnswerEvent, Failure};
use crate::{Error, ErrorKind, Result};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An answer, event by event.
///
/// Nothing runs unless it is polled, and nothing is left running: dropping it drops the retrieval or the call of the model that is
/// under way.
#[must_use = "an answer is made while it is read"]
pub struct AnswerStream {
    work: Option<Work>,
    ready: Ready,
}

/// Events that are made and not yet read: at most one, since whoever makes them waits.
#[derive(Clone, Default)]
pub(super) struct Ready(Arc<Mutex<VecDeque<AnswerEvent>>>);

impl Ready {
    fn take(&self) -> Option<AnswerEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Hands an event to the reader, and goes on when the reader asks for the next.
    pub(super) async fn send(&self, event: AnswerEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        let mut handed = false;
        // the reader polls again after it took the event, so nobody has to be woken
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut handed, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl AnswerStream {
    /// Makes a stream of what `work` sends; its error becomes the last event.
    pub(super) fn new<F>(work: impl FnOnce(Ready) -> F) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let ready = Ready::default();
        let (work, out) = (work(ready.clone()), ready.clone());
        let work = async move {
            if let Err(error) = work.await {
                out.send(AnswerEvent::Error(Failure::from(&error))).await;
            }
        };
        Self { work: Some(Box::pin(work)), ready }
    }

    /// Makes a stream of events that are known, for tests and for recorded answers.
    pub fn of(events: impl IntoIterator<Item = AnswerEvent>) -> Self {
        Self { work: None, ready: Ready(Arc::new(Mutex::new(events.into_iter().collect()))) }
    }

    /// Reads the answer to its end.
    ///
    /// # Errors
    ///
    /// What broke the answer off, by its kind.
    pub async fn whole(mut self) -> Result<Answer> {
        let (mut text, mut sources, mut citations, mut usage) = (String::new(), Vec::new(), Vec::new(), None);
        while let Some(event) = self.next().await {
            match event {
                AnswerEvent::Retrieved { sources: found, .. } => sources = found,
                AnswerEvent::Delta { text: piece } => text.push_str(&piece),
                AnswerEvent::Citation(citation) => citations.push(citation),
                AnswerEvent::Usage(used) => usage = Some(used),
                AnswerEvent::Done(summary) => return Ok(Answer { text, sources, citations, usage, summary }),
                AnswerEvent::Error(Failure { kind, message, .. }) => return Err(Error::new(kind, message)),
            }
        }
        Err(Error::new(ErrorKind::Protocol, "the answer ended without saying how"))
    }
}

impl Stream for AnswerStream {
    type Item = AnswerEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<AnswerEvent>> {
        if let Some(event) = self.ready.take() {
            return Poll::Ready(Some(event));
        }
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        let is_over = work.as_mut().poll(context).is_ready();
        if is_over {
            self.work = None;
        }
        match self.ready.take() {
            Some(event) => Poll::Ready(Some(event)),
            None if is_over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream").field("is_over", &self.work.is_none()).finish_non_exhaustive()
    }
}
