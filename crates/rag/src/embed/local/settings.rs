//! What a folder of weights says of itself.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Result};

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    Mean,
    /// The first token's.
    First,
}

/// What has to be known beside the weights.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where the weights and the tokenizer are: a folder of its own in older models.
    pub(super) folder: PathBuf,
    pub(super) family: String,
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) layers: usize,
    pub(super) intermediate: usize,
    pub(super) vocabulary: usize,
    pub(super) positions: usize,
    /// The position of a text's first token.
    pub(super) first_position: usize,
    pub(super) types: usize,
    pub(super) epsilon: f64,
    pub(super) pooling: Pooling,
    /// The most tokens that are read, those that the tokenizer adds included.
    pub(super) max_tokens: usize,
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
pub(super) fn damaged(file: &Path, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{} cannot be used: {why}", file.display()))
}

fn unsupported(file: &Path, what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{}: {what} is not supported", file.display()))
}

/// Reads a file that has to be there.
pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
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
    pub(super) fn read(folder: &Path) -> Result<Self> {
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
        let file = transformer.join("config.json");
        let config: Config = parse(&file)?;
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
            first_position,
            types: config.type_vocab_size,
            epsilon: config.layer_norm_eps,
            pooling,
            max_tokens,
        })
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
