//! How the servers differ that speak OpenAI's protocol.

use crate::model::ModelCapabilities;

/// Which server is spoken to. It decides addresses, the header of the key, the names of settings, and what may be asked for.
///
/// | | base URL by default | key | limit of the answer | left out |
/// |---|---|---|---|---|
/// | [`OpenAi`](Self::OpenAi) | `https://api.openai.com/v1` | `Authorization` | `max_completion_tokens` | `temperature` for reasoning models |
/// | [`Azure`](Self::Azure) | none: the resource's endpoint | `api-key` | `max_completion_tokens` | the same |
/// | [`Vllm`](Self::Vllm) | `http://localhost:8000/v1` | `Authorization`, if any | `max_tokens` | |
/// | [`LlamaCpp`](Self::LlamaCpp) | `http://localhost:8080/v1` | `Authorization`, if any | `max_tokens` | |
/// | [`Ollama`](Self::Ollama) | `http://localhost:11434/v1` | `Authorization`, if any | `max_tokens` | `tool_choice` |
/// | [`Gemini`](Self::Gemini) | `https://generativelanguage.googleapis.com/v1beta/openai` | `Authorization` | `max_tokens` | `seed` |
/// | [`Generic`](Self::Generic) | none | `Authorization`, if any | `max_tokens` | |
///
/// What a generic server can do beyond text is not known, so it says [`ModelCapabilities::TEXT`] unless it is told otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI (<https://platform.openai.com/docs/api-reference/chat>).
    #[default]
    OpenAi,
    /// Azure OpenAI (<https://learn.microsoft.com/azure/ai-foundry/openai/reference>).
    Azure,
    /// vLLM's server (<https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html>).
    Vllm,
    /// llama.cpp's server (<https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>).
    LlamaCpp,
    /// Ollama (<https://docs.ollama.com/api/openai-compatibility>).
    Ollama,
    /// Gemini's compatible endpoint (<https://ai.google.dev/gemini-api/docs/openai>).
    Gemini,
    /// Any other server that takes the protocol's oldest, widest-known part.
    Generic,
}

impl Dialect {
    pub(super) const fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("https://api.openai.com/v1"),
            Self::Vllm => Some("http://localhost:8000/v1"),
            Self::LlamaCpp => Some("http://localhost:8080/v1"),
            Self::Ollama => Some("http://localhost:11434/v1"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com/v1beta/openai"),
            Self::Azure | Self::Generic => None,
        }
    }

    /// The name of the provider in metrics and spans, as OpenTelemetry's conventions list it where they do.
    pub(super) const fn provider(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Azure => "azure.ai.openai",
            Self::Vllm => "vllm",
            Self::LlamaCpp => "llama_cpp",
            Self::Ollama => "ollama",
            Self::Gemini => "gcp.gemini",
            Self::Generic => "openai_compatible",
        }
    }

    pub(super) const fn key_header(self) -> (&'static str, &'static str) {
        match self {
            Self::Azure => ("api-key", ""),
            _ => ("authorization", "Bearer "),
        }
    }

    pub(super) const fn max_tokens_field(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Azure => "max_completion_tokens",
            _ => "max_tokens",
        }
    }

    pub(super) const fn sends_seed(self) -> bool {
        !matches!(self, Self::Gemini)
    }

    pub(super) const fn sends_tool_choice(self) -> bool {
        !matches!(self, Self::Ollama)
    }

    /// Tells whether the model takes no temperature but its own: OpenAI's reasoning models refuse one.
    pub(super) fn sends_temperature(self, model: &str) -> bool {
        if !matches!(self, Self::OpenAi | Self::Azure) {
            return true;
        }
        let reasoning = ["o1", "o3", "o4", "gpt-5"].iter().any(|family| {
            model.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
        });
        !reasoning || model.contains("-chat")
    }

    pub(super) const fn capabilities(self) -> ModelCapabilities {
        match self {
            Self::Generic => ModelCapabilities::TEXT,
            _ => ModelCapabilities::FULL,
        }
    }

    /// The most texts the server embeds in one call.
    pub(super) const fn max_embedding_batch(self) -> usize {
        match self {
            Self::OpenAi | Self::Azure => 2_048,
            Self::Gemini => 100,
            _ => 256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reasoning_models_go_without_a_temperature() {
        for model in ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5-mini", "gpt-5.4"] {
            assert!(!Dialect::OpenAi.sends_temperature(model), "{model}");
            assert!(Dialect::Vllm.sends_temperature(model), "{model}");
        }
        for model in ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "o100", "omni-moderation", "gpt-50"] {
            assert!(Dialect::OpenAi.sends_temperature(model), "{model}");
        }
    }
}
