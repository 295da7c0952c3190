//! Which models a service asks, by environment.

use std::env;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use pumasi_core::cache::MokaCache;
use pumasi_core::model::{
    CachedEmbedder, ChatModel, ChatRequest, ChatResponse, ChatStream, CostTable, Embedder, ModelCapabilities,
    OpenAiBuilder, OpenAiCompatible, Price,
};
use pumasi_core::{Error, ErrorKind, Result};

use crate::ready::Health;

/// Reads `PUMASI_LLM_URL` (a local or other OpenAI-compatible server) and `PUMASI_LLM_KEY` (its key, if it wants one), or else
/// `OPENAI_API_KEY`; and `PUMASI_LLM_MODEL`. The key of `OpenAI` goes to `OpenAI` alone.
///
/// What calls cost is counted by the price in `PUMASI_LLM_PRICE` (dollars per million tokens of prompt and of answer, as `0.25,2`), or
/// else by the list price of a model of `OpenAI`'s.
///
/// Returns `None` if there is neither an address nor a key of `OpenAI`: the caller then does without a model, and should
/// say so.
///
/// # Errors
///
/// `InvalidInput` if the address is no URL, or the price is none.
pub fn chat_model() -> Result<Option<Arc<dyn ChatModel>>> {
    let name = set("PUMASI_LLM_MODEL").unwrap_or_else(|| "gpt-5-mini".to_owned());
    let price = match set("PUMASI_LLM_PRICE") {
        Some(price) => Some(dollars(&price)?),
        None => set("PUMASI_LLM_URL").is_none().then(|| CostTable::published().price(&name)).flatten(),
    };
    let Some(server) = server(name) else { return Ok(None) };
    let server = match price {
        Some(price) => server.with_price(price),
        None => server,
    };
    Ok(Some(Arc::new(server.build()?)))
}

/// A model whose [health](Health) is known by the calls that are made anyway.
#[derive(Debug)]
pub struct Watched {
    model: Arc<dyn ChatModel>,
    health: Health,
}

impl Watched {
    /// Watches a model.
    pub fn new(model: Arc<dyn ChatModel>) -> Self {
        Self { model, health: Health::default() }
    }

    /// How it is.
    pub fn health(&self) -> Health {
        self.health.clone()
    }
}

#[async_trait]
impl ChatModel for Watched {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn capabilities(&self) -> ModelCapabilities {
        self.model.capabilities()
    }

    async fn complete(&self, request: ChatRequest) -> Result<ChatResponse> {
        let answer = self.model.complete(request).await;
        self.health.note(&answer);
        answer
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let health = self.health();
        match self.model.stream(request).await {
            Ok(stream) => Ok(Box::pin(stream.inspect(move |chunk| health.note(chunk)))),
            Err(error) => {
                let answer = Err(error);
                health.note(&answer);
                answer
            }
        }
    }
}

/// Reads `PROMPT,ANSWER`, dollars per million tokens.
fn dollars(text: &str) -> Result<Price> {
    let micros = |dollars: &str| {
        let dollars: f64 = dollars.trim().parse().ok()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is held to a range")]
        (0.0..=1e6).contains(&dollars).then_some((dollars * 1e6).round() as u64)
    };
    let price =
        text.split_once(',').and_then(|(prompt, answer)| Some(Price::new(micros(prompt)?, micros(answer)?)));
    price.ok_or_else(|| {
        let said = "PUMASI_LLM_PRICE must be dollars per million tokens of prompt and of answer, as 0.25,2";
        Error::new(ErrorKind::InvalidInput, said)
    })
}

/// Reads `PUMASI_EMBEDDING_MODEL` and `PUMASI_EMBEDDING_DIMENSIONS` (how long its vectors are); it is asked where the
/// [`chat_model`] is, for each text once a day as long as there is room for its vector.
///
/// Returns `None` if there is no such model: the caller then compares words alone.
///
/// # Errors
///
/// `InvalidInput` if the dimensions are no number above 0, or the address no URL.
pub fn embedder() -> Result<Option<Arc<dyn Embedder>>> {
    let Some(server) = set("PUMASI_EMBEDDING_MODEL").and_then(server) else { return Ok(None) };
    let dimensions =
        set("PUMASI_EMBEDDING_DIMENSIONS").and_then(|number| number.parse::<NonZeroUsize>().ok());
    let dimensions = dimensions.ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "PUMASI_EMBEDDING_DIMENSIONS must say how long the vectors are")
    })?;
    let embedder = server.build_embedder(dimensions)?;
    let cache = Arc::new(MokaCache::new(VECTOR_BYTES));
    Ok(Some(Arc::new(CachedEmbedder::new(embedder, cache, Duration::from_hours(24)))))
}

/// The most bytes of vectors that are remembered: some 10,000 of 1,536 dimensions.
const VECTOR_BYTES: u64 = 64 << 20;

fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn server(model: String) -> Option<OpenAiBuilder> {
    match (set("PUMASI_LLM_URL"), set("OPENAI_API_KEY")) {
        (Some(url), _) => {
            // Servers at hand (vLLM, llama.cpp, Ollama) take a JSON Schema; one that refuses it is asked in a plainer form.
            let server = OpenAiCompatible::at(url, model).with_capabilities(ModelCapabilities::FULL);
            Some(match set("PUMASI_LLM_KEY") {
                Some(key) => server.with_api_key(key),
                None => server,
            })
        }
        (None, Some(key)) => Some(OpenAiCompatible::openai(model, key)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use pumasi_core::model::{Message, Reply, ScriptedModel};

    use super::*;

    #[tokio::test]
    async fn a_model_is_down_from_a_call_that_it_fails_to_one_that_it_answers() {
        let gone = || Reply::error(ErrorKind::Unavailable);
        let refused = Reply::error(ErrorKind::InvalidInput);
        let scripted = ScriptedModel::new([gone(), gone(), Reply::text("네"), gone(), refused]);
        let model = Watched::new(Arc::new(scripted));
        let health = model.health();
        let request = || ChatRequest::new([Message::user("?")]);
        assert!(health.check().is_ok());
        model.complete(request()).await.unwrap_err();
        assert_eq!(health.check().unwrap_err().kind(), ErrorKind::Unavailable);
        if let Ok(mut stream) = model.stream(request()).await {
            while stream.next().await.is_some() {}
        }
        assert!(health.check().is_err());
        model.stream(request()).await.unwrap().collect::<Vec<_>>().await;
        assert!(health.check().is_ok());
        model.complete(request()).await.unwrap_err();
        assert!(health.check().is_err());
        model.complete(request()).await.unwrap_err();
        assert!(health.check().is_ok(), "a model that refuses a question is there");
    }

    #[test]
    fn a_price_is_two_numbers_of_dollars() {
        assert_eq!(dollars("0.25, 2").unwrap(), Price::new(250_000, 2_000_000));
        assert_eq!(dollars("0,0").unwrap(), Price::new(0, 0));
        for bad in ["", "1", "1,", "-1,2", "1,NaN", "1,inf", "1,2,3", "$1,$2"] {
            assert!(dollars(bad).is_err(), "{bad}");
        }
    }
}
