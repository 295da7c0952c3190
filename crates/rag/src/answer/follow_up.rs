//! Questions that go on from what was said before.

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::model::{ChatModel, ChatRequest, Message, Usage};

use super::prompt::defused;
use crate::Result;
use crate::memory::Turn;

/// How a question that goes on from others is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FollowUps {
    /// By its own words.
    #[default]
    AsTheyAre,
    /// By its own words and those of the question before it.
    Joined,
    /// By a question that stands alone, which the model is asked to write: one more call, before anything is looked up. Without a
    /// model, and where the call fails, as [`Joined`](Self::Joined).
    Condensed,
}

const RULES: &str = "Rewrite the last question so that it can be understood without the conversation: put in what its pronouns and \
                     omissions stand for. Keep its language. Write the question only.";

/// The most tokens of a condensed question.
const LONGEST: u32 = 160;

/// Asks the model for a question that stands alone.
pub(super) async fn condense(
    model: &Arc<dyn ChatModel>,
    history: &[Turn],
    question: &str,
    timeout: Duration,
) -> Result<(String, Option<Usage>)> {
    let turn = |turn: &Turn| format!("Q: {}\nA: {}\n", defused(&turn.question), turn.answer);
    let conversation: String = history.iter().map(turn).collect();
    let asked = format!("{conversation}\nThe last question: {}", defused(question));
    let request = ChatRequest::new([Message::system(RULES), Message::user(asked)])
        .with_max_tokens(LONGEST)
        .with_temperature(0.0)
        .with_timeout(timeout);
    let answer = model.complete(request).await?;
    let text = answer.text().trim();
    Ok((if text.is_empty() { question.to_owned() } else { text.to_owned() }, answer.usage))
}
