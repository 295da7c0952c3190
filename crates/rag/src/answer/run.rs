//! The way from a question to the last event of its answer.

use std::sync::Arc;

use futures_util::StreamExt as _;
use pumasi_core::model::{ChatModel, FinishReason, Usage};

use super::ask::Ask;
use super::budget::pack;
use super::cache::{Answers, is_worth_keeping};
use super::check::Grounding;
use super::event::{AnswerEvent, Citation, Outcome, Source, Summary, Verdict};
use super::extract::extract;
use super::language::Said;
use super::marks::Marks;
use super::measure::Measure;
use super::prompt::{Fence, Prompt};
use super::sign::Sign;
use super::stream::Ready;
use super::{FollowUps, Inner, follow_up};
use crate::memory::Turn;
use crate::retrieve::Note;
use crate::{Error, ErrorKind, Question, Result};

/// Answers, event by event.
pub(super) async fn run(inner: Arc<Inner>, ask: Ask, ready: Ready) -> Result<()> {
    let mut measure = Measure::begin();
    let told = answer(inner, ask, ready, &mut measure).await;
    if told.is_err() {
        measure.failed();
    }
    told
}

async fn answer(inner: Arc<Inner>, ask: Ask, ready: Ready, measure: &mut Measure) -> Result<()> {
    let said = inner.language.of(&ask.question.text);
    let history = ask.conversation.within(inner.budget.history_tokens, &inner.counter);
    let mut out = Out { ready, kept: Vec::new(), usage: None, has_begun: false, is_degraded: false };

    let kept = kept_under(&inner, &ask, said).await?;
    if let Some((answers, key)) = &kept
        && let Some(events) = answers.get(key).await
    {
        again(events, &out.ready, measure).await;
        return Ok(());
    }

    let question = looked_up(&inner, &ask.question, &history, &mut out).await?;
    let found = inner.retriever.retrieve(&question).await?;
    let may_pass =
        |note: &Note| matches!(note, Note::NotEmbedded(_) | Note::NotReranked(_) | Note::NotReworded(_));
    out.is_degraded = found.notes.iter().any(may_pass);
    out.count(found.usage);
    let wordings = found.rewordings.iter().map(|wording| wording.text.as_str());
    let wordings = wordings.chain([question.text.as_str()]);
    let hits = if found.relevant { inner.relevance.keep(wordings, found.hits) } else { Vec::new() };
    let model = inner.model.as_ref();
    let fence = Fence::new();
    let mut prompt = Prompt {
        fence: fence.clone(),
        persona: &inner.persona,
        instructions: &inner.instructions,
        language: said.language,
        history: &history,
        question: &ask.question.text,
    };
    // passages go before what was said earlier
    let wanted = inner.budget.context_tokens.min(inner.budget.passage_tokens);
    while !prompt.history.is_empty() && inner.room(&prompt) < wanted {
        prompt.history = prompt.history.get(1..).unwrap_or_default();
    }
    let cost = |source: &Source| inner.counter.count(&fence.passage(source));
    let sources = pack(&hits, &inner.budget, inner.room(&prompt), &inner.counter, cost);
    if sources.is_empty() && !hits.is_empty() {
        let message = "not one sentence of a relevant passage fits the budget or the model's window";
        return Err(Error::new(ErrorKind::ContextTooLong, message));
    }
    out.send(AnswerEvent::Retrieved { sources: sources.clone(), version: found.version }).await;

    let summary = match model {
        _ if sources.is_empty() => not_found(&mut out, said).await,
        None => extracted(&mut out, &question.text, &sources, said.without_model).await,
        Some(model) => match modelled(&inner, model, &prompt, &sources, said, &mut out).await {
            Err(error)
                if inner.extract_when_unreachable && !out.has_begun && is_unreachable(error.kind()) =>
            {
                tracing::warn!(%error, "the model cannot be reached, so its sources answer");
                out.count(error.usage());
                let summary = extracted(&mut out, &question.text, &sources, said.unreachable).await;
                Summary { unreachable: Some(error.kind()), ..summary }
            }
            told => told?,
        },
    };
    if let Some(usage) = out.usage {
        out.send(AnswerEvent::Usage(usage)).await;
    }
    // a change between the look at the version and the search would be kept under the wrong one
    let kept = kept.filter(|(_, key)| {
        !out.is_degraded
            && is_worth_keeping(&summary)
            && *key == inner.key(&ask.question, said, found.version)
    });
    // counted and kept before it is told: whoever has read the last event does not poll again
    measure.done(&summary);
    let done = AnswerEvent::Done(summary);
    if let Some((answers, key)) = kept {
        out.kept.push(done.clone());
        answers.put(&key, &out.kept).await;
    }
    out.ready.send(done).await;
    Ok(())
}

/// Names where an answer is kept, if it is: what was said before makes another question of the same words.
pub(super) async fn kept_under<'i>(
    inner: &'i Inner,
    ask: &Ask,
    said: Said,
) -> Result<Option<(&'i Answers, String)>> {
    let answers = inner.answers.as_ref().filter(|_| ask.conversation.turns.is_empty());
    let Some(answers) = answers else { return Ok(None) };
    let version = inner.retriever.store().version().await?;
    Ok(Some((answers, inner.key(&ask.question, said, version))))
}

/// Gives an answer again.
pub(super) async fn again(events: Vec<AnswerEvent>, ready: &Ready, measure: &mut Measure) {
    for mut event in events {
        if let AnswerEvent::Done(summary) = &mut event {
            summary.is_cached = true;
            measure.done(summary);
        }
        ready.send(event).await;
    }
}

/// Tells whether a model that fails so was not there to answer, whatever it was asked.
const fn is_unreachable(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Unauthorized
            | ErrorKind::RateLimited
            | ErrorKind::CircuitOpen
            | ErrorKind::Overloaded
    )
}

/// Decides what is looked up for a question that may go on from what was said before.
async fn looked_up(inner: &Inner, asked: &Question, history: &[Turn], out: &mut Out) -> Result<Question> {
    let mut question = asked.clone();
    match (inner.follow_ups, history.last(), &inner.model) {
        (FollowUps::AsTheyAre, ..) | (_, None, _) => {}
        (FollowUps::Joined, Some(last), _) | (FollowUps::Condensed, Some(last), None) => {
            question.text = follow_up::joined(&last.question, &asked.text);
        }
        (FollowUps::Condensed, Some(last), Some(model)) => {
            let condensed = follow_up::condense(model, history, &asked.text, inner.call_timeout).await;
            let (text, usage) = condensed.unwrap_or_else(|error| {
                tracing::warn!(%error, "a follow-up could not be condensed");
                (None, error.usage())
            });
            out.count(usage);
            question.text = text.unwrap_or_else(|| follow_up::joined(&last.question, &asked.text));
        }
    }
    Ok(question)
}

async fn not_found(out: &mut Out, said: Said) -> Summary {
    out.delta(said.not_found.to_owned()).await;
    Summary {
        outcome: Outcome::NotFound,
        sentences: 0,
        cited: 0,
        unsupported: 0,
        is_cut_off: false,
        is_cached: false,
        model: None,
        unreachable: None,
    }
}

/// Writes sentences of the sources down, word for word, after a line that says why.
async fn extracted(out: &mut Out, question: &str, sources: &[Source], why: &str) -> Summary {
    out.delta(format!("{why}\n\n")).await;
    let mut check = Check::new(question, sources);
    check.skip(why.len() + 2);
    for line in extract(question, sources) {
        check.take(&line, out).await;
    }
    check.end(out).await;
    check.summary(Outcome::Extracted, None)
}

async fn modelled(
    inner: &Inner,
    model: &Arc<dyn ChatModel>,
    prompt: &Prompt<'_>,
    sources: &[Source],
    said: Said,
    out: &mut Out,
) -> Result<Summary> {
    let mut request = prompt.request(&inner.order.arrange(sources.to_vec())).with_timeout(inner.call_timeout);
    request.max_tokens = Some(inner.budget.answer_tokens);
    request.temperature = inner.temperature;
    let mut stream = model.stream(request).await?;
    let mut check = Check::new(prompt.question, sources);
    let mut sign = Sign::default();
    let mut reason = None;
    // what stands behind a sign that came first, as long as it may be the reason why there is no answer
    let mut behind = Some(String::new());
    loop {
        let chunk = stream.next().await.transpose()?;
        let shown = match &chunk {
            Some(chunk) => {
                reason = chunk.finish_reason.clone().or(reason);
                out.count(chunk.usage);
                sign.push(&chunk.content)
            }
            None => sign.finish(),
        };
        match &mut behind {
            Some(held) if sign.is_first() => {
                held.push_str(&shown);
                if cites(held) {
                    let held = behind.take().unwrap_or_default();
                    check.take(&held, out).await;
                }
            }
            // blanks alone are no answer
            _ if out.has_begun || !shown.trim().is_empty() => check.take(&shown, out).await,
            _ => {}
        }
        if chunk.is_none() {
            break;
        }
    }
    let is_cut_off = matches!(reason, Some(FinishReason::Length | FinishReason::ContentFilter));
    let is_none = sign.is_first() && behind.is_some();
    let is_empty = !sign.is_seen() && !out.has_begun;
    if is_empty && is_cut_off {
        let (kind, message) = if reason == Some(FinishReason::Length) {
            (ErrorKind::BudgetExhausted, "the model used up its tokens before the first word of the answer")
        } else {
            (ErrorKind::Refused, "a filter of the model's server left nothing of the answer")
        };
        let error = Error::new(kind, message);
        return Err(match out.usage {
            Some(usage) => error.with_usage(usage),
            None => error,
        });
    }
    if is_none || is_empty {
        out.is_degraded |= is_empty;
        let mut summary = not_found(out, said).await;
        summary.model = Some(model.name().to_owned());
        return Ok(summary);
    }
    check.end(out).await;
    // a model that says in its own words that there is none, and cites nothing
    let outcome = if sign.is_seen() && check.cited == 0 { Outcome::NotFound } else { Outcome::Answered };
    let mut summary = check.summary(outcome, Some(model.name().to_owned()));
    summary.is_cut_off = is_cut_off;
    Ok(summary)
}

/// Tells whether a text has a mark of a citation.
fn cites(text: &str) -> bool {
    let is_mark = |after: &str| {
        after.split_once([']', '】']).is_some_and(|(inner, _)| inner.contains(|c: char| c.is_ascii_digit()))
    };
    text.split(['[', '【']).skip(1).any(is_mark)
}

/// Where events go, and what is kept of them.
struct Out {
    ready: Ready,
    kept: Vec<AnswerEvent>,
    usage: Option<Usage>,
    /// Whether a word of the answer was told.
    has_begun: bool,
    /// Whether another try may go better: nothing to give again.
    is_degraded: bool,
}

impl Out {
    async fn send(&mut self, event: AnswerEvent) {
        self.kept.push(event.clone());
        self.ready.send(event).await;
    }

    async fn delta(&mut self, text: String) {
        if !text.is_empty() {
            self.has_begun = true;
            self.send(AnswerEvent::Delta { text }).await;
        }
    }

    fn count(&mut self, usage: Option<Usage>) {
        if let Some(usage) = usage {
            *self.usage.get_or_insert_default() += usage;
        }
    }
}

/// Holds an answer against its sources while it arrives.
struct Check<'a> {
    marks: Marks,
    question: &'a str,
    sources: &'a [Source],
    /// Made when the first sentence is whole, so that the first words do not wait for it.
    grounding: Option<Grounding>,
    before: usize,
    sentences: u32,
    cited: u32,
    unsupported: u32,
}

impl<'a> Check<'a> {
    fn new(question: &'a str, sources: &'a [Source]) -> Self {
        Self {
            marks: Marks::new(sources.len()),
            question,
            sources,
            grounding: None,
            before: 0,
            sentences: 0,
            cited: 0,
            unsupported: 0,
        }
    }

    /// Counts text that was sent before and is none of the sources'.
    fn skip(&mut self, bytes: usize) {
        self.before += bytes;
    }

    async fn take(&mut self, piece: &str, out: &mut Out) {
        let shown = self.marks.push(piece);
        out.delta(shown).await;
        self.settle(false, out).await;
    }

    async fn end(&mut self, out: &mut Out) {
        let shown = self.marks.finish();
        out.delta(shown).await;
        self.settle(true, out).await;
    }

    async fn settle(&mut self, is_end: bool, out: &mut Out) {
        for sentence in self.marks.sentences(is_end) {
            self.sentences += 1;
            self.cited += u32::from(!sentence.sources.is_empty());
            let grounding = self.grounding.get_or_insert_with(|| Grounding::new(self.question, self.sources));
            let checked = grounding.check(&sentence.text, &sentence.sources);
            let Some((verdict, evidence)) = checked else { continue };
            self.unsupported += u32::from(Verdict::is_unsupported(verdict));
            let mut span = sentence.span;
            span.start += self.before;
            span.end += self.before;
            out.send(AnswerEvent::Citation(Citation { span, sources: sentence.sources, verdict, evidence }))
                .await;
        }
    }

    fn summary(&self, outcome: Outcome, model: Option<String>) -> Summary {
        Summary {
            outcome,
            sentences: self.sentences,
            cited: self.cited,
            unsupported: self.unsupported,
            is_cut_off: false,
            is_cached: false,
            model,
            unreachable: None,
        }
    }
}
