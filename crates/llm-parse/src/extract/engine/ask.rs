//! One question: the form of asking that the server takes, the budget, the deadline, the books.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use pumasi_core::model::{ChatRequest, ChatResponse, FinishReason, Usage};
use pumasi_core::{Error, ErrorKind};

use super::call::Call;
use super::{Engine, Job};
use crate::extract::fence::Fence;
use crate::extract::form::Form;
use crate::extract::prompt::{Question, TOOL_NAME};
use crate::extract::repetition::Repetition;
use crate::extract::sighting::Watch;
use crate::extract::{AskMode, Attempt, AttemptKind, ExtractError, ExtractErrorKind, Result};

/// What is asked, whatever the form of asking.
pub(super) struct Asked<'a> {
    pub(super) kind: AttemptKind,
    pub(super) again: &'a str,
    pub(super) form: &'a Form,
    pub(super) rendered: &'a str,
}

/// What came back.
pub(super) struct Answer {
    pub(super) text: String,
    /// Whether the limit of tokens cut it off.
    pub(super) cut: bool,
}

impl<T> Job<'_, T> {
    /// Asks in the first form that the server takes, and remembers which one that is.
    pub(super) async fn ask(&self, fence: &Fence, asked: &Asked<'_>) -> Result<Answer> {
        let engine = self.engine;
        let first = usize::from(engine.first_mode.load(Ordering::Relaxed));
        let mut refused: Option<ExtractError> = None;
        for (place, &mode) in engine.modes.iter().enumerate().skip(first) {
            let last = place + 1 == engine.modes.len();
            match self.ask_in(mode, fence, asked).await {
                Ok(answer) => {
                    if refused.is_some() {
                        engine
                            .first_mode
                            .fetch_max(u8::try_from(place).unwrap_or(u8::MAX), Ordering::Relaxed);
                    }
                    return Ok(answer);
                }
                Err(error) if error.kind() == ExtractErrorKind::Unsupported && !last => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| {
            ExtractError::new(
                ExtractErrorKind::Unsupported,
                "the model can be asked in no form that is known",
            )
        }))
    }

    async fn ask_in(&self, mode: AskMode, fence: &Fence, asked: &Asked<'_>) -> Result<Answer> {
        let engine = self.engine;
        let mut request = self.request(fence, asked, mode);
        let prompt = engine.meter.count_request(&request);
        engine.check_context(prompt)?;
        let permit = self.ledger.permit(prompt, engine.max_answer, self.waiting + 1)?;
        request.max_tokens = Some(engine.longest_answer(prompt, permit.max_answer));
        let timeout = earlier(engine.call_timeout, permit.timeout);
        request.timeout = timeout;
        let observer = self.observer.filter(|_| asked.kind == AttemptKind::Ask);
        let watch = observer.map(|observer| Watch::new(observer, self.part_index(), asked.form.wrapped));
        let mut attempt = Attempt::new(asked.kind, mode, engine.model.name());
        attempt.chunk = self.part_index();
        let mut call = Call::begin(attempt, prompt, self.ledger, &*engine.clock, &engine.meter);
        let outcome = match self.complete(request, timeout, watch, &mut call.heard).await {
            Ok(response) => {
                let answer = answer_of(response, mode);
                call.answered(answer.model, answer.usage, &answer.text);
                if answer.filtered {
                    call.fails_as(ExtractErrorKind::Refused);
                    Err(ExtractError::new(ExtractErrorKind::Refused, "a content filter withheld the answer"))
                } else {
                    Ok(Answer { text: answer.text, cut: answer.cut })
                }
            }
            Err(error) => {
                call.failed(&error);
                let ran_out = error.kind() == ErrorKind::Timeout
                    && permit.timeout.is_some()
                    && timeout == permit.timeout;
                let error = if ran_out {
                    ExtractError::new(
                        ExtractErrorKind::BudgetExhausted,
                        "the budget of time ran out while the model was answering",
                    )
                    .with_source(error)
                } else {
                    ExtractError::from(error)
                };
                call.fails_as(error.kind());
                Err(error)
            }
        };
        // the books have it before what was set aside for it is free again
        drop(call);
        drop(permit);
        outcome
    }

    /// Asks the model, and does not rely on it to keep the deadline.
    async fn complete(
        &self,
        request: ChatRequest,
        timeout: Option<Duration>,
        watch: Option<Watch<'_>>,
        heard: &mut Option<ChatResponse>,
    ) -> Result<ChatResponse, Error> {
        let call = async {
            if self.engine.watched || watch.is_some() {
                self.watch(request, watch, heard).await
            } else {
                self.engine.model.complete(request).await
            }
        };
        let call = std::pin::pin!(call);
        let Some(timeout) = timeout else { return call.await };
        match select(call, self.engine.clock.sleep(timeout)).await {
            Either::Left((result, _)) => result,
            Either::Right(((), _)) => {
                Err(Error::new(ErrorKind::Timeout, format!("the model did not answer within {timeout:?}")))
            }
        }
    }

    /// Asks piece by piece, and hangs up as soon as the answer repeats itself without end.
    ///
    /// What has come so far stands in `heard`, for the case that the rest does not.
    async fn watch(
        &self,
        request: ChatRequest,
        mut watch: Option<Watch<'_>>,
        heard: &mut Option<ChatResponse>,
    ) -> Result<ChatResponse, Error> {
        let mut stream = self.engine.model.stream(request).await?;
        let response = heard
            .insert(ChatResponse::new("").with_finish_reason(FinishReason::Other("unfinished".to_owned())));
        let mut repetition = Repetition::default();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            if let Some(watch) = &mut watch {
                watch.push(&chunk.content);
            }
            response.push(chunk);
            if repetition.watch(&response.message.content) {
                response.finish_reason = FinishReason::Length;
                break;
            }
        }
        match &response.finish_reason {
            // a stream that ends without saying why was cut
            FinishReason::Other(why) if why == "unfinished" => {
                Err(Error::new(ErrorKind::Unavailable, "the stream of the answer broke off"))
            }
            _ => Ok(std::mem::replace(response, ChatResponse::new(""))),
        }
    }

    pub(super) fn request(&self, fence: &Fence, asked: &Asked<'_>, mode: AskMode) -> ChatRequest {
        let engine = self.engine;
        let strict = asked.form.strict.as_ref().filter(|_| mode == AskMode::JsonSchema);
        let question = Question {
            source: self.source,
            part: self.part.map(|(part, parts)| (part + 1, parts)),
            again: asked.again,
            schema: strict.unwrap_or(&asked.form.schema),
            rendered: asked.rendered,
            strict: strict.is_some(),
            mode,
        };
        let mut request = engine.prompt.request(fence, &question);
        request.temperature = engine.temperature;
        request.seed = engine.seed;
        request
    }
}

/// The longest answer that is asked for where nobody has said, in tokens.
const DEFAULT_ANSWER: u64 = 8_192;

impl<T> Engine<T> {
    /// Returns the limit of the answer: what was set or the budget allows; else the default, or what the context window
    /// leaves of it.
    fn longest_answer(&self, prompt: u64, permitted: Option<u64>) -> u32 {
        let most = match (self.max_answer, permitted) {
            (Some(set), permitted) => permitted.unwrap_or(set),
            (None, permitted) => {
                let window = self.model.capabilities().context_tokens;
                let room = window.map_or(u64::MAX, |window| u64::from(window).saturating_sub(prompt));
                permitted.unwrap_or(u64::MAX).min(DEFAULT_ANSWER).min(room.max(1))
            }
        };
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// Checks that a prompt and a useful answer fit the context window, where its size is known.
    fn check_context(&self, prompt: u64) -> Result<()> {
        let Some(window) = self.model.capabilities().context_tokens else { return Ok(()) };
        let answer = self.max_answer.unwrap_or(64);
        if prompt.saturating_add(answer) <= u64::from(window) {
            return Ok(());
        }
        Err(ExtractError::new(
            ExtractErrorKind::ContextTooLong,
            format!(
                "a prompt of {prompt} tokens and an answer of {answer} do not fit a context window of {window}"
            ),
        ))
    }
}

struct Received {
    text: String,
    cut: bool,
    filtered: bool,
    usage: Option<Usage>,
    model: String,
}

fn answer_of(response: ChatResponse, mode: AskMode) -> Received {
    let calls = response.message.tool_calls;
    let named = calls.iter().position(|call| call.name == TOOL_NAME).or((!calls.is_empty()).then_some(0));
    let called = named.and_then(|at| calls.into_iter().nth(at)).map(|call| call.arguments);
    let text = match called {
        // some servers answer in text beside an empty call
        Some(arguments) if mode == AskMode::ToolCall && !arguments.trim().is_empty() => arguments,
        _ => response.message.content,
    };
    Received {
        cut: response.finish_reason == FinishReason::Length,
        filtered: response.finish_reason == FinishReason::ContentFilter,
        usage: response.usage,
        model: response.model,
        text,
    }
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
