//! What a folder of weights says of itself.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Tokens;
use crate::{Error, ErrorKind, Result};

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    Mean,
    /// The first token's.
    First,
}

/// What has to be known beside the weights.
#[derive(Debug)]
#[cfg_attr(
    not(all(feature = "local", feature = "ort")),
    expect(dead_code, reason = "a runtime need not know what another one has to")
)]
pub(crate) struct Settings {
    /// Where the weights and the tokenizer are: a folder of its own in older models.
    pub(crate) folder: PathBuf,
    pub(crate) family: String,
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) layers: usize,
    pub(crate) intermediate: usize,
    pub(crate) vocabulary: usize,
    pub(crate) positions: usize,
    /// The token that stands for nothing.
    pub(crate) padding: i64,
    /// The position of a text's first token.
    pub(crate) first_position: usize,
    pub(crate) types: usize,
    pub(crate) epsilon: f64,
    pub(crate) pooling: Pooling,
    /// The most tokens that are read, those that the tokenizer adds included.
    pub(crate) max_tokens: usize,
}

/// `config.json` of the transformers library, as far as it matters here.
#[derive(Deserialize)]
struct Config {
    model_type: String,
    hidden_size: usize,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    hidden_act: String,
    pad_token_id: Option<usize>,
    position_embedding_type: Option<String>,
}

/// One step of a model of sentence-transformers.
#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

#[derive(Deserialize)]
struct TokenizerConfig {
    /// A power of ten that nobody means, where nobody said anything.
    model_max_length: Option<f64>,
}

/// Says that a file is not what it has to be.
pub(crate) fn damaged(file: &Path, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{} cannot be used: {why}", file.display()))
}

fn unsupported(file: &Path, what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{}: {what} is not supported", file.display()))
}

/// Reads a file that has to be there.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| {
        let (kind, what) = match error.kind() {
            io::ErrorKind::NotFound => (ErrorKind::NotFound, "is not there"),
            _ => (ErrorKind::Storage, "cannot be read"),
        };
        Error::new(kind, format!("{} {what}", file.display())).with_source(error)
    })
}

fn parse<T: DeserializeOwned>(file: &Path) -> Result<T> {
    serde_json::from_slice(&read(file)?).map_err(|error| damaged(file, error))
}

/// Reads a file that may be missing.
fn parse_if_there<T: DeserializeOwned>(file: &Path) -> Result<Option<T>> {
    match parse(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        parsed => parsed.map(Some),
    }
}

impl Settings {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let list = folder.join("modules.json");
        let modules: Vec<Module> = parse_if_there(&list)?.unwrap_or_default();
        let (mut transformer, mut pooling) = (folder.to_owned(), Pooling::Mean);
        for module in &modules {
            if !Path::new(&module.path).components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(damaged(&list, "a module is outside the folder"));
            }
            let place = folder.join(&module.path);
            match module.kind.rsplit('.').next().unwrap_or_default() {
                "Transformer" => transformer = place,
                "Pooling" => pooling = Pooling::read(&place.join("config.json"))?,
                // vectors are of length one in any case
                "Normalize" => {}
                other => return Err(unsupported(&list, format!("a module `{other}`"))),
            }
        }
        Self::of(folder, transformer, pooling)
    }

    /// Reads what a folder says that holds one transformer, whatever is made of its output.
    #[cfg(feature = "local")]
    pub(crate) fn read_alone(folder: &Path) -> Result<Self> {
        Self::of(folder, folder.to_owned(), Pooling::First)
    }

    fn of(folder: &Path, transformer: PathBuf, pooling: Pooling) -> Result<Self> {
        let file = transformer.join("config.json");
        let config: Config = parse(&file)?;
        let default_padding = i64::from(config.model_type != "bert");
        // the position of padding comes first, and the texts' after it
        let first_position = match config.model_type.as_str() {
            "bert" => 0,
            "xlm-roberta" | "roberta" | "camembert" => config.pad_token_id.unwrap_or(1).saturating_add(1),
            other => return Err(unsupported(&file, format!("a model of the type `{other}`"))),
        };
        if config.hidden_act != "gelu" {
            return Err(unsupported(&file, format!("the activation `{}`", config.hidden_act)));
        }
        if config.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
            return Err(unsupported(&file, "another position than an absolute one"));
        }
        if config.num_attention_heads == 0 || !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            return Err(damaged(&file, "hidden_size is no multiple of num_attention_heads"));
        }
        let readable = config.max_position_embeddings.saturating_sub(first_position);
        let max_tokens = Self::told(folder, &transformer)?.unwrap_or(readable).min(readable);
        Ok(Self {
            folder: transformer,
            family: config.model_type,
            hidden: config.hidden_size,
            heads: config.num_attention_heads,
            layers: config.num_hidden_layers,
            intermediate: config.intermediate_size,
            vocabulary: config.vocab_size,
            positions: config.max_position_embeddings,
            padding: config.pad_token_id.and_then(|id| i64::try_from(id).ok()).unwrap_or(default_padding),
            first_position,
            types: config.type_vocab_size,
            epsilon: config.layer_norm_eps,
            pooling,
            max_tokens,
        })
    }

    /// Says whether tokenizer and architecture can go together.
    pub(crate) fn check(&self, tokens: &Tokens) -> Result<()> {
        let config = self.folder.join("config.json");
        if tokens.vocabulary() > self.vocabulary {
            return Err(damaged(&config, "the tokenizer has more tokens than the model"));
        }
        if self.max_tokens <= tokens.added() {
            return Err(damaged(&config, "the model has no room for a token"));
        }
        Ok(())
    }

    /// How many tokens are to be read, where the folder says so.
    fn told(folder: &Path, transformer: &Path) -> Result<Option<usize>> {
        for folder in [transformer, folder] {
            let sentence: Option<SentenceConfig> = parse_if_there(&folder.join("sentence_bert_config.json"))?;
            if let Some(length) = sentence.and_then(|config| config.max_seq_length) {
                return Ok(Some(length));
            }
        }
        let tokenizer: Option<TokenizerConfig> = parse_if_there(&transformer.join("tokenizer_config.json"))?;
        let length = tokenizer.and_then(|config| config.model_max_length);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it saturates, and is bounded"
        )]
        Ok(length.map(|length| length as usize))
    }
}

impl Pooling {
    /// Makes one vector of length one of the states of a text's `count` tokens; what comes after those is padding.
    pub(crate) fn of(self, states: &[f32], count: usize, hidden: usize) -> Result<Vec<f32>> {
        let count = match self {
            Self::Mean => count,
            Self::First => 1,
        };
        let mut vector = vec![0.0_f32; hidden];
        for state in states.chunks_exact(hidden.max(1)).take(count) {
            for (sum, x) in vector.iter_mut().zip(state) {
                *sum += x;
            }
        }
        let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
        if !length.is_normal() {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the encoder's weights made a vector without a direction",
            ));
        }
        #[expect(clippy::cast_possible_truncation, reason = "back to what it was")]
        Ok(vector.into_iter().map(|x| (f64::from(x) / length) as f32).collect())
    }

    fn read(file: &Path) -> Result<Self> {
        let config: serde_json::Map<String, serde_json::Value> = parse(file)?;
        let named = config.get("pooling_mode").and_then(|mode| mode.as_str());
        let flags = config.iter().filter(|(_, value)| value.as_bool() == Some(true));
        let flags = flags.filter_map(|(name, _)| name.strip_prefix("pooling_mode_"));
        let modes: Vec<&str> = named.map_or_else(|| flags.collect(), |mode| vec![mode]);
        match modes.as_slice() {
            // the same direction, for a sum over any number is
            ["mean" | "mean_tokens" | "mean_sqrt_len" | "mean_sqrt_len_tokens"] => Ok(Self::Mean),
            ["cls" | "cls_token"] => Ok(Self::First),
            [] => Err(damaged(file, "it names no pooling")),
            modes => Err(unsupported(file, format!("pooling by {}", modes.join(" and ")))),
        }
    }
}
