//! What was said before, within a budget of tokens.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_core::Stream;
use futures_util::StreamExt as _;
use pumasi_core::text::{Span, sentences};
use serde::{Deserialize, Serialize};

use crate::answer::{AnswerEvent, Outcome};
use crate::chunk::CountTokens;

/// A question and what was answered.
///
/// `Debug` shows sizes, never what was said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Turn {
    /// What was asked.
    pub question: String,
    /// What was answered, without marks of citations.
    pub answer: String,
}

impl Turn {
    /// Makes a turn.
    pub fn new(question: impl Into<String>, answer: impl Into<String>) -> Self {
        Self { question: question.into(), answer: answer.into() }
    }

    fn tokens(&self, counter: &dyn CountTokens) -> usize {
        counter.count(&self.question) + counter.count(&self.answer)
    }

    fn bytes(&self) -> usize {
        self.question.len() + self.answer.len()
    }

    /// Leaves of question and answer together at most `most`, as `count` counts, in whole sentences.
    fn cut(&self, most: usize, count: &dyn Fn(&str) -> usize) -> Self {
        let asked = sentences(&self.question);
        let from =
            |at: usize| asked.get(at).and_then(|span| self.question.get(span.start..)).unwrap_or_default();
        let starts: Vec<usize> = (0..asked.len()).collect();
        let question = from(starts.partition_point(|at| count(from(*at)) > most));
        let left = most - count(question).min(most);
        let ends: Vec<usize> = sentences(&self.answer).iter().map(|span| span.end).collect();
        let until = |end: &usize| self.answer.get(..*end).unwrap_or_default();
        let fitting = ends.partition_point(|end| count(until(end)) <= left);
        let answer = ends.get(..fitting).and_then(<[usize]>::last).map_or(LEFT_OUT, until);
        Self::new(question, answer)
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("question_bytes", &self.question.len())
            .field("answer_bytes", &self.answer.len())
            .finish()
    }
}

/// The turns of one conversation, oldest first.
///
/// ```
/// use pumasi_rag::chunk::EstimatedTokens;
/// use pumasi_rag::memory::{Conversation, Turn};
///
/// let mut conversation = Conversation::new();
/// conversation.push(Turn::new("하프 마라톤은 몇 주 준비하나요?", "12주입니다."));
/// conversation.push(Turn::new("신발은 언제 바꾸나요?", "700 km를 달린 뒤입니다."));
/// // the last turns that fit, whole
/// assert_eq!(conversation.within(24, &EstimatedTokens).len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conversation {
    /// The turns, oldest first.
    pub turns: VecDeque<Turn>,
}

/// How many turns a conversation keeps.
const MOST_TURNS: usize = 64;

/// What stands for an answer of which nothing fits.
const LEFT_OUT: &str = "…";

impl Conversation {
    /// Makes a conversation in which nothing has been said.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes a conversation keeps.
    pub const MAX_BYTES: usize = 256 << 10;

    /// Adds a turn; of more than 64 turns or [`MAX_BYTES`](Self::MAX_BYTES) the oldest are forgotten. A turn that is longer alone is
    /// cut where sentences end.
    pub fn push(&mut self, turn: Turn) {
        let most = Self::MAX_BYTES;
        let turn = if turn.bytes() > most { turn.cut(most - LEFT_OUT.len(), &str::len) } else { turn };
        self.turns.push_back(turn);
        let mut bytes: usize = self.turns.iter().map(Turn::bytes).sum();
        while self.turns.len() > MOST_TURNS || (bytes > most && self.turns.len() > 1) {
            bytes -= self.turns.pop_front().map_or(0, |turn| turn.bytes());
        }
    }

    /// Returns the last turns that have at most so many tokens together, oldest first, whole. Where the last one alone has more, it is
    /// cut where sentences end, its answer first (`…` if nothing is left of it); of a question that is too long the last sentences stay.
    pub fn within(&self, tokens: usize, counter: &dyn CountTokens) -> Vec<Turn> {
        let mut left = tokens;
        let fits = |turn: &&Turn| {
            let turn = turn.tokens(counter);
            let fits = turn <= left;
            left = left.saturating_sub(turn);
            fits
        };
        let mut kept: Vec<Turn> = self.turns.iter().rev().take_while(fits).cloned().collect();
        kept.reverse();
        if let (true, Some(last)) = (kept.is_empty(), self.turns.back()) {
            let room = tokens.saturating_sub(counter.count(LEFT_OUT));
            let cut = last.cut(room, &|text| counter.count(text));
            kept.extend((!cut.question.is_empty()).then_some(cut));
        }
        kept
    }
}

/// Keeps conversations by name, in this process; those that were not heard of longest go first.
///
/// It holds at most its number of conversations, and [`Conversation::MAX_BYTES`] of each, beside names.
///
/// A service that runs on several machines keeps a [`Conversation`] where it keeps its sessions (it is `serde`), and hands it to
/// [`Ask`](crate::answer::Ask) itself. Names are the service's: let nobody name another's conversation.
pub struct Memory {
    most: NonZeroUsize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    conversations: HashMap<String, (u64, Conversation)>,
    clock: u64,
}

impl Memory {
    /// Makes a memory of at most `most` conversations.
    pub fn new(most: NonZeroUsize) -> Self {
        Self { most, inside: Mutex::default() }
    }

    /// Returns a conversation; one that is not known is empty.
    pub fn get(&self, name: &str) -> Conversation {
        let mut inside = self.lock();
        let now = inside.tick();
        inside.conversations.get_mut(name).map_or_else(Conversation::new, |(used, conversation)| {
            *used = now;
            conversation.clone()
        })
    }

    /// Adds a turn to a conversation.
    pub fn push(&self, name: &str, turn: Turn) {
        let mut inside = self.lock();
        let now = inside.tick();
        if !inside.conversations.contains_key(name) && inside.conversations.len() >= self.most.get() {
            let oldest = inside.conversations.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                inside.conversations.remove(&oldest);
            }
        }
        let (used, conversation) = inside.conversations.entry(name.to_owned()).or_default();
        *used = now;
        conversation.push(turn);
    }

    /// Passes an answer on and, when it is whole (not cut off by a limit) and says something, adds it to a conversation: without the marks
    /// of its citations, without the sentences that its sources do not bear out, which nobody shall go on from, and of one that was
    /// [extracted](Outcome::Extracted) what the sources say alone.
    pub fn record<S>(
        self: &Arc<Self>,
        name: &str,
        question: &str,
        events: S,
    ) -> impl Stream<Item = AnswerEvent> + use<S>
    where
        S: Stream<Item = AnswerEvent>,
    {
        let (memory, name, question) = (Arc::clone(self), name.to_owned(), question.to_owned());
        let (mut text, mut borne_out, mut doubted) = (String::new(), Vec::new(), Vec::new());
        events.inspect(move |event| match event {
            AnswerEvent::Delta { text: piece } => text.push_str(piece),
            AnswerEvent::Citation(citation) if citation.verdict.is_unsupported() => {
                doubted.push(citation.span);
            }
            AnswerEvent::Citation(citation) => borne_out.push(citation.span),
            AnswerEvent::Done(summary) if !summary.is_cut_off => {
                let answer = match summary.outcome {
                    Outcome::Answered => without(&text, &doubted),
                    Outcome::Extracted => only(&text, &borne_out),
                    Outcome::NotFound => String::new(),
                };
                if !answer.is_empty() {
                    memory.push(&name, Turn::new(question.as_str(), answer));
                }
            }
            _ => {}
        })
    }

    /// Forgets a conversation; tells whether there was one.
    pub fn forget(&self, name: &str) -> bool {
        self.lock().conversations.remove(name).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps spans of an answer, without marks of citations.
fn only(text: &str, spans: &[Span]) -> String {
    let kept: Vec<&str> = spans.iter().map(|span| span.of(text).trim()).collect();
    unmarked(&kept.join("\n"))
}

/// Leaves spans and marks of citations out of an answer.
fn without(text: &str, spans: &[Span]) -> String {
    let mut kept = String::new();
    let mut from = 0;
    for span in spans {
        kept.push_str(text.get(from..span.start).unwrap_or_default());
        from = span.end;
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    unmarked(&kept)
}

/// Leaves marks of citations out.
fn unmarked(text: &str) -> String {
    let mut bare = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let mark = after
            .find(']')
            .filter(|end| *end > 0 && after.bytes().take(*end).all(|byte| byte.is_ascii_digit()));
        if let Some(end) = mark {
            bare.push_str(before.strip_suffix(' ').unwrap_or(before));
            rest = after.get(end + 1..).unwrap_or_default();
        } else {
            bare.push_str(before);
            bare.push('[');
            rest = after;
        }
    }
    bare.push_str(rest);
    bare.trim().to_owned()
}

impl Inside {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("most", &self.most)
            .field("conversations", &self.lock().conversations.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::EstimatedTokens;

    #[test]
    fn keeps_the_last_turns_that_fit_whole() {
        let mut conversation = Conversation::new();
        for number in 0..100 {
            conversation.push(Turn::new(format!("{number}번 질문입니다"), "답입니다"));
        }
        assert_eq!(conversation.turns.len(), 64);
        let one = conversation.turns[63].tokens(&EstimatedTokens);
        assert_eq!(conversation.within(0, &EstimatedTokens), []);
        let kept = conversation.within(one * 3, &EstimatedTokens);
        assert_eq!(kept.last(), conversation.turns.back());
        assert_eq!(kept.len(), 3);
    }

    #[test]
    fn a_last_turn_that_is_too_long_is_cut_where_sentences_end() {
        let mut conversation = Conversation::new();
        conversation.push(Turn::new("러닝화는 언제 바꾸나요?", "700km입니다."));
        conversation.push(Turn::new("무릎 통증에는요?", "사흘 쉬고 20분을 걷습니다. ".repeat(200)));
        let kept = conversation.within(100, &EstimatedTokens);
        let [last] = kept.as_slice() else { panic!("{kept:?}") };
        assert!(last.question == "무릎 통증에는요?" && last.answer.ends_with("걷습니다."), "{}", last.answer);
        assert!((60..=100).contains(&last.tokens(&EstimatedTokens)));
        let question = EstimatedTokens.count("무릎 통증에는요?") + EstimatedTokens.count(LEFT_OUT);
        assert_eq!(
            conversation.within(question, &EstimatedTokens),
            [Turn::new("무릎 통증에는요?", LEFT_OUT)]
        );
        assert_eq!(conversation.within(1, &EstimatedTokens), []);
    }

    #[test]
    fn a_conversation_holds_so_many_bytes() {
        let memory = Memory::new(NonZeroUsize::MIN);
        let answer = "무릎이 아프면 쉽니다. ".repeat(3_000);
        for number in 0..9 {
            memory.push("a", Turn::new(format!("{number}"), answer.as_str()));
        }
        let kept = memory.get("a").turns;
        assert_eq!(
            (kept.len(), kept[0].question.as_str()),
            (Conversation::MAX_BYTES / (answer.len() + 1), "7")
        );
        for answer in ["무릎이 아프면 쉽니다. ".repeat(30_000), "x".repeat(10_000_000)] {
            memory.push("a", Turn::new("왜요?", answer));
            let bytes: usize = memory.get("a").turns.iter().map(Turn::bytes).sum();
            assert!(
                bytes <= Conversation::MAX_BYTES && memory.get("a").turns.back().unwrap().question == "왜요?"
            );
        }
    }

    #[test]
    fn an_answer_is_remembered_without_marks_and_doubts() {
        let text = "쉬세요 [1][2]. 약을 드세요 [1]. 힘내요 [a].";
        let doubted = text.find("약을").unwrap();
        let spans = [Span::new(doubted, text.find(" 힘내요").unwrap())];
        assert_eq!(without(text, &spans), "쉬세요.  힘내요 [a].");
    }

    #[test]
    fn forgets_the_conversation_that_was_not_heard_of_longest() {
        let memory = Memory::new(NonZeroUsize::new(2).unwrap());
        memory.push("a", Turn::new("1", "1"));
        memory.push("b", Turn::new("2", "2"));
        assert_eq!(memory.get("a").turns.len(), 1);
        memory.push("c", Turn::new("3", "3"));
        assert_eq!(memory.get("b").turns.len(), 0);
        assert_eq!(memory.get("a").turns.len(), 1);
        assert!(memory.forget("a") && !memory.forget("a"));
    }
}
