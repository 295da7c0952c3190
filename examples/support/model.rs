//! Which model a service asks, by environment.

use std::env;
use std::sync::Arc;

use pumasi_core::Result;
use pumasi_core::model::{ChatModel, ModelCapabilities, OpenAiCompatible};

/// Reads `PUMASI_LLM_URL` (a local or other OpenAI-compatible server), `OPENAI_API_KEY` and `PUMASI_LLM_MODEL`.
///
/// Returns `None` if neither of the first two is set: the caller then does without a model, and should say so.
///
/// # Errors
///
/// `InvalidInput` if the address is no URL.
pub fn chat_model() -> Result<Option<Arc<dyn ChatModel>>> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let name = set("PUMASI_LLM_MODEL").unwrap_or_else(|| "gpt-5-mini".to_owned());
    let builder = match (set("PUMASI_LLM_URL"), set("OPENAI_API_KEY")) {
        // Servers at hand (vLLM, llama.cpp, Ollama) take a JSON Schema; one that refuses it is asked in a plainer form.
        (Some(url), Some(key)) => {
            OpenAiCompatible::at(url, name).with_capabilities(ModelCapabilities::FULL).with_api_key(key)
        }
        (Some(url), None) => OpenAiCompatible::at(url, name).with_capabilities(ModelCapabilities::FULL),
        (None, Some(key)) => OpenAiCompatible::openai(name, key),
        (None, None) => return Ok(None),
    };
    Ok(Some(Arc::new(builder.build()?)))
}
