//! The laws of [`ChatModel`] and [`Embedder`], in the order of their numbered guarantees.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;

use super::{Broken, Kept, Verdict, holds, same};
use crate::ErrorKind;
use crate::model::{ChatModel, ChatRequest, ChatResponse, Embedder, Message, Usage};

/// Opens models whose server does what a law needs.
#[async_trait]
pub trait ChatHarness: Send + Sync {
    /// Opens a model that answers every request with `text`, streamed in more than one piece, and reports `usage`.
    async fn answering(&self, text: &str, usage: Usage) -> Arc<dyn ChatModel>;

    /// Opens a model whose server takes a call and then stays silent; `None` if that cannot be arranged.
    async fn silent(&self) -> Option<Arc<dyn ChatModel>>;

    /// Opens a model whose server streams `text` and breaks off; `None` if that cannot be arranged.
    async fn breaking(&self, text: &str) -> Option<Arc<dyn ChatModel>>;

    /// Counts the calls that the server of the last model opened is still busy with; `None` if that cannot be told.
    fn busy(&self) -> Option<usize>;
}

/// Makes one `#[test]` per law of [`ChatModel`](crate::model::ChatModel), in a module of the given name, each on a harness
/// of its own made by the expression.
#[macro_export]
macro_rules! chat_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(
            $backend,
            $harness,
            [$crate::conformance::model],
            law_01_a_silent_call_ends_by_its_timeout,
            law_01_a_silent_stream_ends_by_its_timeout,
            law_02_a_dropped_call_stops,
            law_02_a_dropped_stream_stops,
            law_03_a_stream_joined_is_the_whole_answer,
            law_03_only_the_last_chunk_carries_the_reason,
            law_03_an_error_ends_the_stream,
            law_04_no_text_is_shown,
        );
    };
}

const TIMEOUT: Duration = Duration::from_millis(150);
/// How long a law waits for what must happen, before it holds that it never will.
const PATIENCE: Duration = Duration::from_secs(20);
const QUESTION: &str = "비밀: what is the secret?";
const ANSWER: &str = "대외비 answer, 두 조각 이상으로 나뉜다.";
const UNARRANGED: Verdict = Ok(Kept::Skipped("the harness cannot arrange it"));

fn ask() -> ChatRequest {
    ChatRequest::new([Message::system("규칙"), Message::user(QUESTION)])
}

fn usage() -> Usage {
    Usage::new(21, 34)
}

async fn in_time<T>(what: &str, run: impl Future<Output = T>) -> Result<T, Broken> {
    tokio::time::timeout(PATIENCE, run)
        .await
        .map_err(|_| Broken::new(format!("{what} took longer than {PATIENCE:?}")))
}

/// Guarantee 1: a call ends within its timeout, with `Timeout`.
///
/// # Errors
/// If the law is broken.
pub async fn law_01_a_silent_call_ends_by_its_timeout(harness: &dyn ChatHarness) -> Verdict {
    let Some(model) = harness.silent().await else { return UNARRANGED };
    match in_time("a call with a timeout", model.complete(ask().with_timeout(TIMEOUT))).await? {
        Ok(_) => Err(Broken::new("a silent server was heard to answer")),
        Err(error) => {
            same!(error.kind(), ErrorKind::Timeout, "the kind of a call that ran out of time");
            Ok(Kept::Whole)
        }
    }
}

/// Guarantee 1: a stream ends within its timeout, with `Timeout`.
///
/// # Errors
/// If the law is broken.
pub async fn law_01_a_silent_stream_ends_by_its_timeout(harness: &dyn ChatHarness) -> Verdict {
    let Some(model) = harness.silent().await else { return UNARRANGED };
    let run = async {
        let mut stream = model.stream(ask().with_timeout(TIMEOUT)).await?;
        while let Some(item) = stream.next().await {
            item?;
        }
        Ok::<(), crate::Error>(())
    };
    match in_time("a stream with a timeout", run).await? {
        Ok(()) => Err(Broken::new("a silent server was heard to answer")),
        Err(error) => {
            same!(error.kind(), ErrorKind::Timeout, "the kind of a stream that ran out of time");
            Ok(Kept::Whole)
        }
    }
}

async fn stops(harness: &dyn ChatHarness) -> Verdict {
    let idle = async {
        while harness.busy() != Some(0) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    in_time("ending a call that was dropped", idle).await?;
    Ok(Kept::Whole)
}

/// Guarantee 2: dropping the future of a call stops the call.
///
/// # Errors
/// If the law is broken.
pub async fn law_02_a_dropped_call_stops(harness: &dyn ChatHarness) -> Verdict {
    let Some(model) = harness.silent().await else { return UNARRANGED };
    if harness.busy().is_none() {
        return UNARRANGED;
    }
    let dropped = tokio::time::timeout(TIMEOUT, model.complete(ask())).await;
    holds!(dropped.is_err(), "a silent server was heard to answer");
    stops(harness).await
}

/// Guarantee 2: dropping a stream, or the future that opens it, stops the call.
///
/// # Errors
/// If the law is broken.
pub async fn law_02_a_dropped_stream_stops(harness: &dyn ChatHarness) -> Verdict {
    let Some(model) = harness.silent().await else { return UNARRANGED };
    if harness.busy().is_none() {
        return UNARRANGED;
    }
    let run = async {
        let mut stream = model.stream(ask()).await?;
        while let Some(item) = stream.next().await {
            item?;
        }
        Ok::<(), crate::Error>(())
    };
    let dropped = tokio::time::timeout(TIMEOUT, run).await;
    holds!(dropped.is_err(), "a silent server was heard to answer");
    stops(harness).await
}

/// Guarantee 3: a stream's chunks, joined, are the answer that `complete` gives.
///
/// # Errors
/// If the law is broken.
pub async fn law_03_a_stream_joined_is_the_whole_answer(harness: &dyn ChatHarness) -> Verdict {
    let model = harness.answering(ANSWER, usage()).await;
    let whole = in_time("a whole answer", model.complete(ask())).await??;
    same!(whole.text(), ANSWER, "the text of the whole answer");
    same!(whole.usage, Some(usage()), "the usage of the whole answer");
    let mut joined = ChatResponse::new("");
    let mut stream = in_time("opening a stream", model.stream(ask())).await??;
    while let Some(chunk) = in_time("the next chunk", stream.next()).await? {
        joined.push(chunk?);
    }
    same!(joined.message, whole.message, "the message of the joined stream");
    same!(joined.finish_reason, whole.finish_reason, "the finish reason of the joined stream");
    same!(joined.usage, whole.usage, "the usage of the joined stream");
    Ok(Kept::Whole)
}

/// Guarantee 3: the last chunk, and no other, carries the finish reason.
///
/// # Errors
/// If the law is broken.
pub async fn law_03_only_the_last_chunk_carries_the_reason(harness: &dyn ChatHarness) -> Verdict {
    let model = harness.answering(ANSWER, usage()).await;
    let mut stream = in_time("opening a stream", model.stream(ask())).await??;
    let mut reasons = Vec::new();
    while let Some(chunk) = in_time("the next chunk", stream.next()).await? {
        reasons.push(chunk?.finish_reason);
    }
    holds!(reasons.pop().flatten().is_some(), "the last chunk has no finish reason");
    holds!(reasons.len() > 1, "an answer in pieces came in {} chunks and an end", reasons.len());
    holds!(reasons.iter().all(Option::is_none), "a chunk before the last has a finish reason");
    Ok(Kept::Whole)
}

/// Guarantee 3 and `stream`'s errors: what breaks off gives what it said, then one error, then ends.
///
/// # Errors
/// If the law is broken.
pub async fn law_03_an_error_ends_the_stream(harness: &dyn ChatHarness) -> Verdict {
    let Some(model) = harness.breaking(ANSWER).await else { return UNARRANGED };
    let mut stream = in_time("opening a stream", model.stream(ask())).await??;
    let mut said = String::new();
    let failed = loop {
        match in_time("the next chunk", stream.next()).await? {
            Some(Ok(chunk)) => {
                holds!(chunk.finish_reason.is_none(), "a stream that breaks off says that it finished");
                said.push_str(&chunk.content);
            }
            Some(Err(error)) => break error,
            None => return Err(Broken::new("a stream that breaks off ends as if it were whole")),
        }
    };
    same!(said, ANSWER, "what was said before the break");
    holds!(failed.retry().is_retryable(), "a broken stream may be asked for again, but {failed:?} says not");
    holds!(in_time("the end", stream.next()).await?.is_none(), "something follows the error");
    Ok(Kept::Whole)
}

/// Guarantee 4: no question and no answer is shown by `Debug`, or by an error.
///
/// # Errors
/// If the law is broken.
pub async fn law_04_no_text_is_shown(harness: &dyn ChatHarness) -> Verdict {
    let model = harness.answering(ANSWER, usage()).await;
    let answer = in_time("a whole answer", model.complete(ask())).await??;
    let mut shown = vec![format!("{model:?} {:?} {answer:?}", ask())];
    if let Some(model) = harness.breaking(ANSWER).await {
        if let Err(error) = in_time("a broken call", model.complete(ask())).await? {
            shown.push(format!("{error} {error:?}"));
        }
        let mut stream = in_time("opening a stream", model.stream(ask())).await??;
        while let Some(item) = in_time("the next chunk", stream.next()).await? {
            shown.push(format!("{item:?}"));
        }
    }
    let shown = shown.concat();
    for secret in ["비밀", "secret?", "대외비", "규칙"] {
        holds!(!shown.contains(secret), "{secret:?} is shown");
    }
    Ok(Kept::Whole)
}

/// Opens the embedder that the laws are about.
#[async_trait]
pub trait EmbedderHarness: Send + Sync {
    /// Opens the embedder.
    async fn open(&self) -> Arc<dyn Embedder>;

    /// Opens one that fails for every batch that holds `poison`, and only for those; `None` if that cannot be arranged.
    async fn failing_for(&self, poison: &str) -> Option<Arc<dyn Embedder>> {
        let _ = poison;
        None
    }
}

/// Makes one `#[test]` per law of [`Embedder`](crate::model::Embedder), in a module of the given name, each on a harness of
/// its own made by the expression.
#[macro_export]
macro_rules! embedder_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(
            $backend,
            $harness,
            [$crate::conformance::model],
            law_11_vectors_come_in_the_order_of_the_texts,
            law_12_vectors_have_their_shape,
            law_13_a_text_has_one_vector,
            law_14_a_batch_is_whole_or_fails,
        );
    };
}

const TEXTS: [&str; 8] = [
    "매일 20분 걷기",
    "하프 마라톤 완주",
    "save money every month",
    "",
    " ",
    "🏃‍♀️!",
    "learn Rust",
    "매일 20분 걷기",
];

fn near(one: &[f32], two: &[f32]) -> bool {
    one.len() == two.len() && one.iter().zip(two).all(|(x, y)| (x - y).abs() <= 1e-5)
}

/// Guarantee 1: one vector per text, in the order of the texts.
///
/// # Errors
/// If the law is broken.
pub async fn law_11_vectors_come_in_the_order_of_the_texts(harness: &dyn EmbedderHarness) -> Verdict {
    let embedder = harness.open().await;
    let forth = embedder.embed(&TEXTS).await?;
    let mut texts = TEXTS;
    texts.reverse();
    let mut back = embedder.embed(&texts).await?;
    back.reverse();
    same!(forth.len(), TEXTS.len(), "the number of vectors");
    same!(back.len(), TEXTS.len(), "the number of vectors");
    for (text, (one, two)) in TEXTS.iter().zip(forth.iter().zip(&back)) {
        holds!(near(one, two), "{text:?} has another vector when the batch is turned round");
    }
    holds!(embedder.embed(&[]).await?.is_empty(), "no texts have vectors");
    Ok(Kept::Whole)
}

/// Guarantee 2: every vector has the promised number of finite numbers, and length one.
///
/// # Errors
/// If the law is broken.
pub async fn law_12_vectors_have_their_shape(harness: &dyn EmbedderHarness) -> Verdict {
    let embedder = harness.open().await;
    holds!(embedder.dimensions() > 0 && !embedder.name().is_empty(), "a name and dimensions are promised");
    for (text, vector) in TEXTS.iter().zip(embedder.embed(&TEXTS).await?) {
        same!(vector.len(), embedder.dimensions(), "the dimensions of {text:?}");
        let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
        holds!(
            length > 0.9999 && length < 1.0001 && vector.iter().all(|x| x.is_finite()),
            "the vector of {text:?} has length {length}"
        );
    }
    Ok(Kept::Whole)
}

/// Guarantee 3: the same text gives the same vector, alone or in a batch.
///
/// # Errors
/// If the law is broken.
pub async fn law_13_a_text_has_one_vector(harness: &dyn EmbedderHarness) -> Verdict {
    let embedder = harness.open().await;
    let batch = embedder.embed(&TEXTS).await?;
    for (text, vector) in TEXTS.iter().zip(&batch) {
        let alone = embedder.embed(&[text]).await?;
        holds!(alone.iter().all(|alone| near(alone, vector)) && alone.len() == 1, "{text:?} has two vectors");
    }
    let walk = batch.first().zip(batch.last()).is_some_and(|(first, last)| near(first, last));
    holds!(walk, "a text that is in a batch twice has two vectors");
    Ok(Kept::Whole)
}

/// Guarantee 4: a batch succeeds or fails as one.
///
/// # Errors
/// If the law is broken.
pub async fn law_14_a_batch_is_whole_or_fails(harness: &dyn EmbedderHarness) -> Verdict {
    let Some(embedder) = harness.failing_for("독 poison").await else { return UNARRANGED };
    let good = embedder.embed(&["빵", "water"]).await?;
    same!(good.len(), 2, "the vectors of a batch without poison");
    match embedder.embed(&["빵", "독 poison", "water"]).await {
        Ok(_) => Err(Broken::new("a batch with a text that fails succeeded")),
        Err(error) => {
            holds!(!format!("{error} {error:?}").contains("독"), "the error shows a text");
            Ok(Kept::Whole)
        }
    }
}
