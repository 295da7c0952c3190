//! Recording and replaying chat calls.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::{Answer, Cassette, ChatModelHeader, Episode};
use crate::model::{ChatChunk, ChatModel, ChatRequest, ChatResponse, ChatStream, ModelCapabilities};
use crate::{Error, Result};

/// A [`ChatModel`] that records another one's answers to a [`Cassette`], or replays them.
///
/// An answer recorded whole can be replayed as a stream and the other way round; errors are recorded and replayed too.
/// A stream that is dropped before its end is not recorded.
#[derive(Clone)]
pub struct RecordedModel {
    cassette: Cassette,
    header: ChatModelHeader,
    inner: Option<Arc<dyn ChatModel>>,
    only_missing: bool,
}

impl RecordedModel {
    /// Replays a cassette; a request that is not on it fails with `NotFound`.
    ///
    /// # Errors
    ///
    /// `NotFound` if the cassette has no chat model on it.
    pub fn replay(cassette: &Cassette) -> Result<Self> {
        let header = cassette.lock().tape.chat_model.clone();
        let header = header.ok_or_else(|| cassette.without("a chat model"))?;
        Ok(Self { cassette: cassette.clone(), header, inner: None, only_missing: false })
    }

    /// Asks `model` and records its answers, in place of older recordings of the same requests.
    pub fn record(cassette: &Cassette, model: impl ChatModel + 'static) -> Self {
        let header = ChatModelHeader { name: model.name().to_owned(), capabilities: model.capabilities() };
        cassette.lock().tape.chat_model = Some(header.clone());
        Self { cassette: cassette.clone(), header, inner: Some(Arc::new(model)), only_missing: false }
    }

    /// Asks and records only what is not on the cassette yet, and replays the rest.
    #[must_use]
    pub fn only_missing(mut self) -> Self {
        self.only_missing = true;
        self
    }

    /// Finds who answers: the model behind, or the tape.
    fn source(&self, key: &str) -> Result<Source> {
        match &self.inner {
            Some(model) if !self.only_missing || !self.cassette.has_older(key) => {
                Ok(Source::Model(Arc::clone(model)))
            }
            _ => self
                .cassette
                .next_answer(key)
                .map(Source::Tape)
                .ok_or_else(|| self.cassette.missing("chat request", key)),
        }
    }
}

enum Source {
    Model(Arc<dyn ChatModel>),
    Tape(Answer),
}

/// What is written down once the answer has ended.
struct Recording {
    cassette: Cassette,
    key: String,
    request: Value,
}

impl Recording {
    fn new(cassette: &Cassette, key: String, request: &ChatRequest) -> Self {
        let request = serde_json::to_value(request).unwrap_or(Value::Null);
        Self { cassette: cassette.clone(), key, request }
    }

    fn finish(self, answer: Answer) -> Result<()> {
        self.cassette.record(move |state| {
            let episode = Episode { request: self.request, answers: Vec::new() };
            let episode_on_tape = state.tape.chat.entry(self.key.clone()).or_insert(episode);
            if state.fresh.insert(self.key) {
                episode_on_tape.answers.clear();
            }
            episode_on_tape.answers.push(answer);
        })
    }

    fn fail(self, model: &str, chunks: Vec<ChatChunk>, error: Error) -> Error {
        let failure = (&error).into();
        match self.finish(Answer { model: model.to_owned(), chunks, error: Some(failure) }) {
            Ok(()) => error,
            Err(unwritten) => unwritten,
        }
    }
}

impl Cassette {
    /// Tells whether the tape has answers to the request from before it was opened.
    fn has_older(&self, key: &str) -> bool {
        let state = self.lock();
        state.tape.chat.contains_key(key) && !state.fresh.contains(key)
    }

    fn next_answer(&self, key: &str) -> Option<Answer> {
        let mut state = self.lock();
        let state = &mut *state;
        let answers = &state.tape.chat.get(key)?.answers;
        let turn = state.replayed.entry(key.to_owned()).or_default();
        let answer = answers.get(*turn).or_else(|| answers.last())?;
        *turn += 1;
        Some(answer.clone())
    }
}

impl fmt::Debug for RecordedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedModel")
            .field("cassette", &self.cassette)
            .field("model", &self.header.name)
            .field("recording", &self.inner.is_some())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ChatModel for RecordedModel {
    fn name(&self) -> &str {
        &self.header.name
    }

    fn capabilities(&self) -> ModelCapabilities {
        self.header.capabilities
    }

    async fn complete(&self, request: ChatRequest) -> Result<ChatResponse> {
        let key = request.key(&self.header.name);
        let model = match self.source(&key)? {
            Source::Tape(answer) => return answer.whole(),
            Source::Model(model) => model,
        };
        let recording = Recording::new(&self.cassette, key, &request);
        match model.complete(request).await {
            Ok(response) => {
                recording.finish(Answer::from(response.clone()))?;
                Ok(response)
            }
            Err(error) => Err(recording.fail(model.name(), Vec::new(), error)),
        }
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let key = request.key(&self.header.name);
        let model = match self.source(&key)? {
            Source::Tape(answer) => return answer.stream(),
            Source::Model(model) => model,
        };
        let recording = Recording::new(&self.cassette, key, &request);
        match model.stream(request).await {
            Ok(inner) => Ok(record_stream(inner, recording, model.name().to_owned())),
            Err(error) => Err(recording.fail(model.name(), Vec::new(), error)),
        }
    }
}

/// Passes a stream on and writes it down when it has ended.
fn record_stream(inner: ChatStream, recording: Recording, model: String) -> ChatStream {
    let start = Some((inner, recording, model, Vec::new()));
    Box::pin(stream::unfold(start, |open| async move {
        let (mut inner, recording, model, mut chunks) = open?;
        match inner.next().await {
            Some(Ok(chunk)) => {
                chunks.push(chunk.clone());
                Some((Ok(chunk), Some((inner, recording, model, chunks))))
            }
            Some(Err(error)) => Some((Err(recording.fail(&model, chunks, error)), None)),
            None => match recording.finish(Answer { model, chunks, error: None }) {
                Ok(()) => None,
                Err(error) => Some((Err(error), None)),
            },
        }
    }))
}

impl From<ChatResponse> for Answer {
    fn from(response: ChatResponse) -> Self {
        let mut last = ChatChunk::end(response.finish_reason, response.usage);
        last.tool_calls = response.message.tool_calls;
        let mut chunks = vec![last];
        if !response.message.content.is_empty() {
            chunks.insert(0, ChatChunk::text(response.message.content));
        }
        Self { model: response.model, chunks, error: None }
    }
}

impl Answer {
    fn whole(self) -> Result<ChatResponse> {
        if let Some(failure) = self.error {
            return Err(failure.into());
        }
        let mut response = ChatResponse::new("");
        response.model = self.model;
        for chunk in self.chunks {
            response.push(chunk);
        }
        Ok(response)
    }

    fn stream(self) -> Result<ChatStream> {
        match self.error {
            Some(failure) if self.chunks.is_empty() => Err(failure.into()),
            failure => {
                let error = failure.map(|failure| Err(failure.into()));
                Ok(Box::pin(stream::iter(self.chunks.into_iter().map(Ok).chain(error))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FinishReason, Message, Reply, ScriptedModel, ToolCall, Usage};
    use crate::{ErrorKind, Retry};
    use std::time::Duration;

    fn ask(text: &str) -> ChatRequest {
        ChatRequest::new([Message::user(text)]).with_temperature(0.0)
    }

    async fn collect(stream: ChatStream) -> (ChatResponse, Option<Error>) {
        let (mut response, mut failed) = (ChatResponse::new(""), None);
        for item in stream.collect::<Vec<_>>().await {
            match item {
                Ok(chunk) => response.push(chunk),
                Err(error) => failed = Some(error),
            }
        }
        (response, failed)
    }

    #[tokio::test]
    async fn what_was_recorded_whole_is_replayed_whole_and_streamed() {
        let cassette = Cassette::in_memory();
        let mut answer = ChatResponse::new("서울").with_usage(Usage::new(5, 2));
        answer.message.tool_calls.push(ToolCall::new("c", "f", "{}"));
        answer.finish_reason = FinishReason::ToolCalls;
        let model = ScriptedModel::new([answer.into()]).with_name("gpt-test");
        let recorded = RecordedModel::record(&cassette, model).complete(ask("수도?")).await.unwrap();

        let copy = Cassette::from_json(&cassette.to_json().unwrap()).unwrap();
        let replay = RecordedModel::replay(&copy).unwrap();
        assert_eq!(replay.name(), "gpt-test");
        assert_eq!(replay.complete(ask("수도?")).await.unwrap(), recorded);
        let (mut streamed, failed) = collect(replay.stream(ask("수도?")).await.unwrap()).await;
        streamed.model.clone_from(&recorded.model);
        assert_eq!((streamed, failed.is_none()), (recorded, true));
    }

    #[tokio::test]
    async fn what_was_recorded_as_a_stream_keeps_its_pieces_and_its_break() {
        let cassette = Cassette::in_memory();
        let script = [
            Reply::chunks(["a", "b"]),
            Reply::chunks(["c"]).cut(ErrorKind::Unavailable).with_retry(Retry::After(Duration::from_secs(2))),
        ];
        let recorder = RecordedModel::record(&cassette, ScriptedModel::new(script));
        for text in ["one", "two"] {
            let _ = collect(recorder.stream(ask(text)).await.unwrap()).await;
        }
        let replay = RecordedModel::replay(&cassette).unwrap();
        let items: Vec<_> = replay.stream(ask("one")).await.unwrap().collect().await;
        assert_eq!(items.len(), 3);
        let (response, failed) = collect(replay.stream(ask("two")).await.unwrap()).await;
        assert_eq!(response.text(), "c");
        assert_eq!(failed.unwrap().retry(), Retry::After(Duration::from_secs(2)));
        let error = replay.complete(ask("two")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_missing_recording_is_a_clear_error_without_the_prompt() {
        let cassette = Cassette::in_memory();
        assert_eq!(RecordedModel::replay(&cassette).unwrap_err().kind(), ErrorKind::NotFound);
        let recorder = RecordedModel::record(&cassette, ScriptedModel::always(Reply::text("x")));
        recorder.complete(ask("known")).await.unwrap();
        let error = RecordedModel::replay(&cassette).unwrap().complete(ask("비밀")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("(1 recorded): record it"), "{error}");
        assert!(!format!("{error:?}").contains("비밀"));
    }

    #[tokio::test]
    async fn equal_requests_replay_their_answers_in_order_and_then_the_last() {
        let cassette = Cassette::in_memory();
        let recorder = RecordedModel::record(&cassette, ScriptedModel::new(["1", "2"].map(Reply::text)));
        for _ in 0..2 {
            recorder.complete(ask("same")).await.unwrap();
        }
        let replay = RecordedModel::replay(&cassette).unwrap();
        for expected in ["1", "2", "2"] {
            assert_eq!(replay.complete(ask("same")).await.unwrap().text(), expected);
        }
    }

    #[tokio::test]
    async fn a_new_recording_replaces_the_old_one_and_only_missing_keeps_it() {
        let old = Cassette::in_memory();
        let recorder = RecordedModel::record(&old, ScriptedModel::always(Reply::text("old")));
        recorder.complete(ask("q")).await.unwrap();
        let json = old.to_json().unwrap();

        let cassette = Cassette::from_json(&json).unwrap();
        let new = ScriptedModel::always(Reply::text("new"));
        let extend = RecordedModel::record(&cassette, new.clone()).only_missing();
        assert_eq!(extend.complete(ask("q")).await.unwrap().text(), "old");
        assert_eq!(extend.complete(ask("r")).await.unwrap().text(), "new");
        assert_eq!(new.calls(), 1);

        let cassette = Cassette::from_json(&json).unwrap();
        RecordedModel::record(&cassette, new).complete(ask("q")).await.unwrap();
        let replay = RecordedModel::replay(&cassette).unwrap();
        assert_eq!(replay.complete(ask("q")).await.unwrap().text(), "new");
    }

    #[tokio::test]
    async fn the_file_is_written_at_once_and_holds_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/capital.json");
        let cassette = Cassette::create(&path);
        let recorder = RecordedModel::record(&cassette, ScriptedModel::always(Reply::text("서울")));
        recorder.complete(ask("my key is sk-abcdefghijklmnopqrstuvwxyz")).await.unwrap();
        let json = std::fs::read_to_string(&path).unwrap();
        assert!(json.contains("서울") && json.contains("[redacted]") && !json.contains("sk-abc"), "{json}");
        let replay = RecordedModel::replay(&Cassette::open(&path).unwrap()).unwrap();
        let again = replay.complete(ask("my key is sk-abcdefghijklmnopqrstuvwxyz")).await.unwrap();
        assert_eq!(again.text(), "서울");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_no_cassette_is_refused() {
        let error = Cassette::open("no/such/file.json").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        for json in ["", "[]", "{\"format\": 2}", "{\"format\": 1, \"chat\": 3}"] {
            assert_eq!(Cassette::from_json(json).unwrap_err().kind(), ErrorKind::InvalidInput, "{json}");
        }
    }
}
