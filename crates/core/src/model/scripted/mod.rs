//! A model for tests that answers by script.

mod play;
mod reply;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream;

use self::play::{Guard, Passing, Play};
pub use self::reply::Reply;
use super::{ChatModel, ChatRequest, ChatResponse, ChatStream, ModelCapabilities};
use crate::time::Clock;
use crate::{Error, ErrorKind, Result};

type Answer = dyn Fn(&ChatRequest) -> Reply + Send + Sync;

enum Script {
    Sequence(Mutex<VecDeque<Reply>>),
    Always(Box<Reply>),
    By(Box<Answer>),
}

/// A [`ChatModel`] for tests that answers by script and remembers what it was asked.
///
/// Without a clock, time is virtual: a delay passes at once, yet counts against the request's timeout, so that tests of
/// slow answers take no time. With [`with_clock`](Self::with_clock) delays are waited for on that clock.
///
/// Clones share the script and the record. `Debug` shows counts, never texts.
///
/// ```
/// use pumasi_core::ErrorKind;
/// use pumasi_core::model::{ChatModel, ChatRequest, Message, Reply, ScriptedModel};
///
/// # futures_util::FutureExt::now_or_never(async {
/// let model = ScriptedModel::new([Reply::error(ErrorKind::RateLimited), Reply::text("서울")]);
/// let request = ChatRequest::new([Message::user("한국의 수도는?")]);
/// let error = model.complete(request.clone()).await.err().ok_or("the first call fails")?;
/// assert!(error.retry().is_retryable());
/// assert_eq!(model.complete(request).await?.text(), "서울");
/// assert_eq!(model.requests().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScriptedModel {
    name: String,
    capabilities: ModelCapabilities,
    clock: Option<Arc<dyn Clock>>,
    shared: Arc<Shared>,
}

struct Shared {
    script: Script,
    requests: Mutex<Vec<ChatRequest>>,
    open: AtomicUsize,
    cancelled: AtomicUsize,
}

impl ScriptedModel {
    /// Makes a model that gives these replies, one a call, in order.
    ///
    /// A call beyond the last one fails with [`ErrorKind::NotFound`].
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::from_script(Script::Sequence(Mutex::new(replies.into_iter().collect())))
    }

    /// Makes a model that gives the same reply to every call.
    pub fn always(reply: Reply) -> Self {
        Self::from_script(Script::Always(Box::new(reply)))
    }

    /// Makes a model whose reply is a function of the request.
    pub fn answering(answer: impl Fn(&ChatRequest) -> Reply + Send + Sync + 'static) -> Self {
        Self::from_script(Script::By(Box::new(answer)))
    }

    fn from_script(script: Script) -> Self {
        Self {
            name: "scripted".to_owned(),
            capabilities: ModelCapabilities::FULL,
            clock: None,
            shared: Arc::new(Shared {
                script,
                requests: Mutex::default(),
                open: AtomicUsize::new(0),
                cancelled: AtomicUsize::new(0),
            }),
        }
    }

    /// Sets the model's name; `scripted` by default.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets what the model says it can do; everything by default. It does not check requests against it.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: ModelCapabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Makes delays take their time on `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Returns the requests made so far, oldest first.
    pub fn requests(&self) -> Vec<ChatRequest> {
        lock(&self.shared.requests).clone()
    }

    /// Counts the calls made so far.
    pub fn calls(&self) -> usize {
        lock(&self.shared.requests).len()
    }

    /// Counts the calls that have begun and not yet ended.
    pub fn open_calls(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Counts the calls whose future or stream was dropped before its end.
    pub fn cancelled_calls(&self) -> usize {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// Counts the replies of a sequence that have not been given yet; zero for the other scripts.
    pub fn remaining(&self) -> usize {
        match &self.shared.script {
            Script::Sequence(replies) => lock(replies).len(),
            Script::Always(_) | Script::By(_) => 0,
        }
    }

    fn begin(&self, request: ChatRequest) -> Result<Play> {
        let timeout = request.timeout;
        let reply = match &self.shared.script {
            Script::Sequence(replies) => lock(replies).pop_front(),
            Script::Always(reply) => Some((**reply).clone()),
            Script::By(answer) => Some(answer(&request)),
        };
        let call = {
            let mut requests = lock(&self.shared.requests);
            requests.push(request);
            requests.len()
        };
        let reply = reply.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("the script of model {} has no reply for call {call}", self.name),
            )
        })?;
        Ok(Play {
            time: Passing::new(self.clock.clone(), timeout),
            model: self.name.clone(),
            chunks: reply.chunks.into(),
            tool_calls: reply.tool_calls,
            usage: reply.usage,
            end: Some(reply.end),
            delay: reply.delay,
            chunk_delay: reply.chunk_delay,
            guard: Guard::new(Arc::clone(&self.shared)),
        })
    }
}

impl fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedModel")
            .field("name", &self.name)
            .field("calls", &self.calls())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ChatModel for ScriptedModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> ModelCapabilities {
        self.capabilities
    }

    async fn complete(&self, request: ChatRequest) -> Result<ChatResponse> {
        let mut play = self.begin(request)?;
        let mut response = ChatResponse::new("");
        response.model.clone_from(&self.name);
        while let Some(chunk) = play.next().await? {
            response.push(chunk);
        }
        Ok(response)
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let mut play = self.begin(request)?;
        // What fails before the first piece fails the call itself, as a server's status does.
        let Some(first) = play.next().await? else { return Ok(Box::pin(stream::empty())) };
        Ok(Box::pin(stream::unfold((Some(first), Some(play)), |(ready, play)| async move {
            if let Some(chunk) = ready {
                return Some((Ok(chunk), (None, play)));
            }
            let mut play = play?;
            match play.next().await {
                Ok(chunk) => chunk.map(|chunk| (Ok(chunk), (None, Some(play)))),
                Err(error) => Some((Err(error), (None, None))),
            }
        })))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Retry;
    use crate::model::{FinishReason, Message, ToolCall, Usage};
    use crate::time::ManualClock;
    use futures_util::{FutureExt, StreamExt};

    fn ask() -> ChatRequest {
        ChatRequest::new([Message::user("비밀스러운 질문")])
    }

    #[tokio::test]
    async fn gives_the_replies_in_order_and_then_says_that_the_script_is_over() {
        let model = ScriptedModel::new([Reply::text("하나"), Reply::text("two")]);
        assert_eq!(model.complete(ask()).await.unwrap().text(), "하나");
        assert_eq!(model.complete(ask()).await.unwrap().text(), "two");
        let error = model.complete(ask()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.message(), "the script of model scripted has no reply for call 3");
        assert_eq!(model.calls(), 3);
        assert_eq!(model.open_calls(), 0);
    }

    #[tokio::test]
    async fn a_stream_joined_is_the_whole_answer() {
        let call = ToolCall::new("c1", "search", "{}");
        let reply = Reply::from({
            let mut response = ChatResponse::new("가나다").with_usage(Usage::new(3, 4));
            response.message.tool_calls.push(call.clone());
            response.finish_reason = FinishReason::ToolCalls;
            response
        });
        let model = ScriptedModel::always(reply);
        let whole = model.complete(ask()).await.unwrap();
        let mut joined = ChatResponse::new("");
        joined.model = "scripted".into();
        let mut stream = model.stream(ask()).await.unwrap();
        while let Some(chunk) = stream.next().await {
            joined.push(chunk.unwrap());
        }
        assert_eq!(joined, whole);
        assert_eq!(whole.message.tool_calls, [call]);
        assert_eq!(whole.usage, Some(Usage::new(3, 4)));
    }

    #[tokio::test]
    async fn a_cut_stream_gives_its_pieces_then_the_error_then_ends() {
        let model = ScriptedModel::always(
            Reply::chunks(["a", "b"])
                .cut(ErrorKind::Protocol)
                .with_retry(Retry::Now)
                .with_usage(Usage::new(1, 2)),
        );
        let items: Vec<_> = model.stream(ask()).await.unwrap().collect().await;
        assert_eq!(items.len(), 3);
        let error = items.into_iter().next_back().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, Retry::Now));
        assert_eq!(error.usage(), Some(Usage::new(1, 2)));
        assert_eq!(model.cancelled_calls(), 0);
    }

    #[tokio::test]
    async fn a_virtual_delay_takes_no_time_and_counts_against_the_timeout() {
        let slow = Reply::text("late").with_delay(Duration::from_mins(10));
        let model = ScriptedModel::always(slow);
        assert!(model.complete(ask()).await.is_ok());
        let error = model.complete(ask().with_timeout(Duration::from_secs(1))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let hanging = ScriptedModel::always(Reply::hang());
        assert!(hanging.complete(ask()).now_or_never().is_none());
        let error = hanging.complete(ask().with_timeout(Duration::from_secs(1))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }

    #[tokio::test]
    async fn a_delay_on_a_clock_waits_for_that_clock() {
        let clock = ManualClock::new();
        let reply = Reply::chunks(["a", "b"]).with_chunk_delay(Duration::from_secs(2));
        let model = ScriptedModel::always(reply).with_clock(clock.clone());
        let mut stream = model.stream(ask().with_timeout(Duration::from_secs(3))).await.unwrap();
        assert_eq!(stream.next().now_or_never().unwrap().unwrap().unwrap().content, "a");
        assert!(stream.next().now_or_never().is_none());
        clock.advance(Duration::from_secs(2));
        assert_eq!(stream.next().now_or_never().unwrap().unwrap().unwrap().content, "b");
        clock.advance(Duration::from_secs(1));
        let error = stream.next().now_or_never().unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(stream.next().now_or_never().unwrap().is_none());
    }

    #[tokio::test]
    async fn dropped_calls_are_counted_as_cancelled() {
        let model = ScriptedModel::always(Reply::text("half").stall());
        let stream = model.stream(ask()).await.unwrap();
        assert_eq!((model.open_calls(), model.cancelled_calls()), (1, 0));
        drop(stream);
        assert_eq!((model.open_calls(), model.cancelled_calls()), (0, 1));
    }

    #[test]
    fn debug_never_shows_a_text() {
        let model = ScriptedModel::new([Reply::text("비밀 답")]);
        let _ = model.complete(ask()).now_or_never();
        let shown = format!("{model:?} {:?} {:?}", Reply::text("비밀 답"), model.requests());
        assert!(!shown.contains("비밀"), "{shown}");
    }

    #[test]
    fn pieces_are_cut_by_characters() {
        let reply = Reply::in_pieces("가나다라마", std::num::NonZeroUsize::new(2).unwrap());
        assert_eq!(reply.chunks, ["가나", "다라", "마"]);
    }
}
