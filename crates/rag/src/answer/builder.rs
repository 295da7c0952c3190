//! Setting an assistant up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::cache::Cache;
use pumasi_core::model::ChatModel;

use super::budget::{Budget, ContextOrder};
use super::cache::Answers;
use super::follow_up::FollowUps;
use super::language::Language;
use super::relevance::Relevance;
use super::{Assistant, Inner, measure};
use crate::chunk::{CountTokens, EstimatedTokens};
use crate::retrieve::Retriever;
use crate::{Error, ErrorKind, Result};

/// Sets an [`Assistant`] up.
#[must_use = "nothing is made before `build`"]
pub struct AssistantBuilder {
    inner: Inner,
}

impl AssistantBuilder {
    pub(super) fn new(retriever: Retriever) -> Self {
        Self {
            inner: Inner {
                retriever,
                model: None,
                extract_when_unreachable: false,
                persona: String::new(),
                instructions: String::new(),
                language: Language::default(),
                budget: Budget::default(),
                order: ContextOrder::default(),
                relevance: Relevance::default(),
                follow_ups: FollowUps::default(),
                counter: Arc::new(EstimatedTokens),
                answers: None,
                temperature: None,
                call_timeout: Duration::from_mins(2),
            },
        }
    }

    /// Sets the model that writes the answers; without one they are sentences of the sources, and say so.
    pub fn model(mut self, model: Arc<dyn ChatModel>) -> Self {
        self.inner.model = Some(model);
        self
    }

    /// Answers with sentences of the sources, which say so, where the model fails before its first word because it cannot be reached:
    /// it is unavailable, takes too long, refuses the key, limits the rate, or a breaker or a local limit keeps calls from it. Such
    /// an answer is not kept; its [summary](super::Summary::unreachable) tells why. An error unless set.
    pub fn extract_when_unreachable(mut self) -> Self {
        self.inner.extract_when_unreachable = true;
        self
    }

    /// Sets who speaks: `You are a former marathon runner who now coaches a club; warm, short, concrete.`
    pub fn persona(mut self, persona: impl Into<String>) -> Self {
        self.inner.persona = persona.into();
        self
    }

    /// Sets what else is to be kept to: length, form, what is never advised.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.inner.instructions = instructions.into();
        self
    }

    /// Sets the language of the answers; that of the question unless set.
    pub fn language(mut self, language: Language) -> Self {
        self.inner.language = language;
        self
    }

    /// Sets how many tokens the parts of a request may have.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.inner.budget = budget;
        self
    }

    /// Sets what counts tokens; [`EstimatedTokens`] unless set, and its estimate is no bound: set the model's own counter where the
    /// window is tight.
    pub fn counter(mut self, counter: Arc<dyn CountTokens>) -> Self {
        self.inner.counter = counter;
        self
    }

    /// Sets in which order the model reads the passages.
    pub fn context_order(mut self, order: ContextOrder) -> Self {
        self.inner.order = order;
        self
    }

    /// Sets what of the passages found is relevant enough to answer from.
    pub fn relevance(mut self, relevance: Relevance) -> Self {
        self.inner.relevance = relevance;
        self
    }

    /// Sets how questions that go on from others are looked up.
    pub fn follow_ups(mut self, follow_ups: FollowUps) -> Self {
        self.inner.follow_ups = follow_ups;
        self
    }

    /// Keeps answers to first questions of conversations for `ttl`, and gives them again while the knowledge is the same.
    ///
    /// Kept are whole answers without an unsupported sentence, for which nothing failed that was to find their passages. Questions are
    /// the same whatever their case, width and white space; answers of another [store](crate::Store::identity), or of other settings of
    /// the assistant or its retriever, are others.
    pub fn cache(mut self, cache: Arc<dyn Cache>, ttl: Duration) -> Self {
        self.inner.answers = Some(Answers { cache, ttl });
        self
    }

    /// Sets the model's sampling temperature; the server's default unless set.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.inner.temperature = Some(temperature);
        self
    }

    /// Sets how long one call of the model may take; two minutes unless set.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.inner.call_timeout = timeout;
        self
    }

    /// Makes the assistant.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if nothing fits the budget: no tokens for passages or none for the answer; or for a time of zero.
    pub fn build(self) -> Result<Assistant> {
        let Budget { context_tokens, answer_tokens, .. } = self.inner.budget;
        let is_timeless = self.inner.call_timeout.is_zero()
            || self.inner.answers.as_ref().is_some_and(|answers| answers.ttl.is_zero());
        if context_tokens == 0 || answer_tokens == 0 || is_timeless {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "an assistant needs tokens for passages and for the answer, and times above zero",
            ));
        }
        measure::show();
        Ok(Assistant { inner: Arc::new(self.inner) })
    }
}

impl fmt::Debug for AssistantBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AssistantBuilder").field(&self.inner).finish()
    }
}
