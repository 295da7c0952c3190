//! A question to an assistant.

use std::fmt;

use crate::memory::Conversation;
use crate::retrieve::Question;

/// A question, in a conversation.
///
/// ```
/// use pumasi_rag::answer::Ask;
/// use pumasi_rag::memory::{Conversation, Turn};
///
/// let mut conversation = Conversation::new();
/// conversation.push(Turn::new("무릎이 아픕니다.", "사흘 쉬세요."));
/// let ask = Ask::new("그다음에는요?").in_conversation(conversation);
/// # let _ = ask;
/// ```
#[derive(Clone, PartialEq)]
pub struct Ask {
    pub(super) question: Question,
    pub(super) conversation: Conversation,
}

impl Ask {
    /// Asks, as the first question of a conversation, all knowledge of the retriever's tenant.
    pub fn new(question: impl Into<String>) -> Self {
        Self::from(Question::new(question))
    }

    /// Returns what is asked.
    pub fn question(&self) -> &str {
        &self.question.text
    }

    /// Sets what was said before.
    #[must_use]
    pub fn in_conversation(mut self, conversation: Conversation) -> Self {
        self.conversation = conversation;
        self
    }
}

impl From<Question> for Ask {
    /// Asks with the question's own filter and limit.
    fn from(question: Question) -> Self {
        Self { question, conversation: Conversation::new() }
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("question", &self.question)
            .field("turns", &self.conversation.turns.len())
            .finish()
    }
}
