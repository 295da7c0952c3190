//! Which models a service asks, by environment.

use std::env;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::cache::MokaCache;
use pumasi_core::model::{
    CachedEmbedder, ChatModel, Embedder, ModelCapabilities, OpenAiBuilder, OpenAiCompatible,
};
use pumasi_core::{Error, ErrorKind, Result};

/// Reads `PUMASI_LLM_URL` (a local or other OpenAI-compatible server) and `PUMASI_LLM_KEY` (its key, if it wants one), or else
/// `OPENAI_API_KEY`; and `PUMASI_LLM_MODEL`. The key of `OpenAI` goes to `OpenAI` alone.
///
/// Returns `None` if there is neither an address nor a key of `OpenAI`: the caller then does without a model, and should
/// say so.
///
/// # Errors
///
/// `InvalidInput` if the address is no URL.
pub fn chat_model() -> Result<Option<Arc<dyn ChatModel>>> {
    let name = set("PUMASI_LLM_MODEL").unwrap_or_else(|| "gpt-5-mini".to_owned());
    let Some(server) = server(name) else { return Ok(None) };
    Ok(Some(Arc::new(server.build()?)))
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
