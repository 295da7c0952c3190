//! Questions that go on from what was said before.

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::model::{ChatModel, ChatRequest, FinishReason, Message, Usage};

use super::check::composed;
use super::prompt::defused;
use crate::Result;
use crate::chunk::{CountTokens as _, EstimatedTokens};
use crate::memory::Turn;

/// How a question that goes on from others is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FollowUps {
    /// By its own words.
    #[default]
    AsTheyAre,
    /// By its own words and, where it leans on the question before it, by the words of that as well. It leans where it has
    /// one word of its own at most ("카본화는 어떤가요?", "why?"), or two and one that points back ("how often should I do that?"). Told by
    /// lists of Korean and English words; in other languages every question of two words stands alone.
    Joined,
    /// By a question that stands alone, which the model is asked to write: one more call, before anything is looked up. Without a
    /// model, and where the call fails or what it answers is empty, cut off, or longer than 160 tokens, as [`Joined`](Self::Joined).
    Condensed,
}

const RULES: &str = "Rewrite the last question so that it can be understood without the conversation: put in what its pronouns and \
                     omissions stand for. Keep its language. Write the question only.";

/// The most tokens of a condensed question.
const LONGEST: usize = 160;

/// How many tokens the model may take: some think before they write.
const MOST: u32 = 640;

/// Asks the model for a question that stands alone; nothing where what it answers is none.
pub(super) async fn condense(
    model: &Arc<dyn ChatModel>,
    history: &[Turn],
    question: &str,
    timeout: Duration,
) -> Result<(Option<String>, Option<Usage>)> {
    let turn = |turn: &Turn| format!("Q: {}\nA: {}\n", defused(&turn.question), defused(&turn.answer));
    let conversation: String = history.iter().map(turn).collect();
    let asked = format!("{conversation}\nThe last question: {}", defused(question));
    let request = ChatRequest::new([Message::system(RULES), Message::user(asked)])
        .with_max_tokens(MOST)
        .with_temperature(0.0)
        .with_timeout(timeout);
    let answer = model.complete(request).await?;
    let text = answer.text().trim();
    let is_whole = !matches!(answer.finish_reason, FinishReason::Length | FinishReason::ContentFilter);
    let is_question = is_whole && !text.is_empty() && EstimatedTokens.count(text) <= LONGEST;
    Ok((is_question.then(|| text.to_owned()), answer.usage))
}

/// Returns the words by which a question is looked up that comes after another one.
pub(super) fn joined(before: &str, question: &str) -> String {
    if leans(question) { format!("{before}\n{question}") } else { question.to_owned() }
}

/// Words that point to what was said before. Korean ones carry particles.
const POINTING: [&str; 10] = ["it", "its", "that", "this", "those", "these", "they", "them", "ones", "same"];
const POINTING_KOREAN: [&str; 20] = [
    "그것",
    "그거",
    "그게",
    "그건",
    "그걸",
    "그때",
    "그런",
    "그렇게",
    "그럴",
    "그곳",
    "거기",
    "이것",
    "이거",
    "이게",
    "이건",
    "이걸",
    "이렇게",
    "이럴",
    "이런",
    "여기",
];

/// Words that ask, join and fill, and say nothing of what is asked about; of Korean ones how they begin.
const EMPTY: [&str; 69] = [
    "a", "an", "and", "as", "at", "be", "but", "by", "for", "if", "in", "into", "no", "not", "of", "on",
    "or", "such", "the", "their", "there", "to", "with", "what", "when", "where", "which", "who", "whom",
    "whose", "why", "how", "about", "often", "much", "many", "long", "far", "so", "then", "also", "else",
    "more", "should", "would", "could", "can", "do", "does", "did", "is", "are", "was", "were", "am", "have",
    "has", "i", "me", "my", "you", "your", "we", "please", "tell", "explain", "ok", "okay", "thanks",
];
const EMPTY_KOREAN: [&str; 50] = [
    "그럼",
    "그러면",
    "그렇다면",
    "그리고",
    "그런데",
    "그래서",
    "그래도",
    "그래요",
    "근데",
    "또",
    "혹시",
    "왜",
    "어떻게",
    "어떤",
    "어때",
    "어떨",
    "어떠",
    "얼마나",
    "얼마",
    "언제",
    "어디",
    "무엇",
    "뭐",
    "뭘",
    "무슨",
    "몇",
    "누가",
    "누구",
    "어느",
    "자주",
    "좀",
    "더",
    "제가",
    "저는",
    "나는",
    "내가",
    "해야",
    "하나요",
    "할까",
    "하면",
    "해도",
    "되나",
    "될까",
    "되는",
    "있나",
    "있을",
    "좋을",
    "알려",
    "말해",
    "설명",
];

/// Tells whether a question cannot be looked up by its own words.
fn leans(question: &str) -> bool {
    let lowered = composed(question).to_lowercase();
    let words = lowered.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let (mut own, mut points) = (0, false);
    for word in words {
        if POINTING.contains(&word) || POINTING_KOREAN.iter().any(|stem| word.starts_with(stem)) {
            points = true;
        } else if !EMPTY.contains(&word) && !EMPTY_KOREAN.iter().any(|stem| word.starts_with(stem)) {
            own += 1;
        }
    }
    own <= if points { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::{joined, leans};

    #[test]
    fn what_points_back_or_says_little_leans_on_the_question_before_it() {
        for question in [
            "카본화는 어떤가요?",
            "그럼 얼마나 자주 해야 하나요?",
            "그때는 무엇을 먹고 달리나요?",
            "왜요?",
            "더 알려 주세요",
            "How often should I do that?",
            "Why?",
            "and for beginners?",
            "",
        ] {
            assert!(leans(question), "{question}");
        }
        assert_eq!(joined("러닝화는 언제 바꾸나요?", "왜요?"), "러닝화는 언제 바꾸나요?\n왜요?");
    }

    #[test]
    fn what_stands_alone_is_looked_up_alone() {
        for question in [
            "김치찌개는 어떻게 끓이나요?",
            "무릎이 아플 때는 얼마나 쉬어야 하나요?",
            "그런데 하프 마라톤 전날에는 무엇을 먹나요?",
            "When should I take gels in a race?",
            "How do I cook kimchi stew?",
            "Is it safe to run with knee pain?",
            "膝盖 疼 怎么办",
        ] {
            assert!(!leans(question), "{question}");
            assert_eq!(joined("러닝화는 언제 바꾸나요?", question), question);
        }
    }
}
