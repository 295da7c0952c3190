//! Which model a service asks, by environment.

use std::env;
use std::sync::Arc;

use pumasi_core::Result;
use pumasi_core::model::{ChatModel, ModelCapabilities, OpenAiCompatible};

/// Reads `PUMASI_LLM_URL` (a local or other OpenAI-compatible server) and `PUMASI_LLM_KEY` (its key, if it wants one), or else
/// `OPENAI_API_KEY`; and `PUMASI_LLM_MODEL`. The key of `OpenAI` goes to `OpenAI` alone.
///
/// Returns `None` if there is neither an address nor a key of `OpenAI`: the caller then does without a model, and should say so.
///
/// # Errors
///
/// `InvalidInput` if the address is no URL.
pub fn chat_model() -> Result<Option<Arc<dyn ChatModel>>> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let name = set("PUMASI_LLM_MODEL").unwrap_or_else(|| "gpt-5-mini".to_owned());
    let builder = if let Some(url) = set("PUMASI_LLM_URL") {
        // Servers at hand (vLLM, llama.cpp, Ollama) take a JSON Schema; one that refuses it is asked in a plainer form.
        let server = OpenAiCompatible::at(url, name).with_capabilities(ModelCapabilities::FULL);
        match set("PUMASI_LLM_KEY") {
            Some(key) => server.with_api_key(key),
            None => server,
        }
    } else if let Some(key) = set("OPENAI_API_KEY") {
        OpenAiCompatible::openai(name, key)
    } else {
        return Ok(None);
    };
    Ok(Some(Arc::new(builder.build()?)))
}
