//! The encoder itself: BERT (Devlin and others, 2019), whose architecture XLM-RoBERTa has as well.
//!
//! Texts of a batch stand behind one another in one matrix, without padding: what is done to each token by itself is done to all at
//! once, and each text attends to itself alone. So a text's vector does not depend on its neighbours.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::kernels::{InPlace, InPlaceWith, Norm, add, gelu, softmax};
use super::settings::{Pooling, Settings, damaged};
use crate::{Error, ErrorKind, Result};

/// The most numbers of one block of attention: what keeps a text of thousands of tokens from taking the memory of their square.
const ATTENTION: usize = 1 << 22;

#[derive(Debug)]
struct Linear {
    /// Turned round: rows are what comes in.
    weight: Tensor,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    /// Query, key and value at once.
    attention: Linear,
    output: Linear,
    output_norm: Norm,
    up: Linear,
    down: Linear,
    down_norm: Norm,
}

#[derive(Debug)]
pub(super) struct Model {
    words: Vec<f32>,
    /// With the one type of token that there is here added.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    hidden: usize,
    heads: usize,
    first_position: usize,
    pooling: Pooling,
}

/// The tensors of a file, taken by name and shape.
struct Weights<'a> {
    tensors: HashMap<String, Tensor>,
    prefix: &'static str,
    file: &'a Path,
}

impl Weights<'_> {
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let whole = format!("{}{name}", self.prefix);
        let old =
            whole.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let tensor = self.tensors.remove(&whole).or_else(|| self.tensors.remove(&old));
        let tensor = tensor.ok_or_else(|| damaged(self.file, format!("it has no tensor `{whole}`")))?;
        if tensor.dims() != shape {
            let is = tensor.dims();
            return Err(damaged(self.file, format!("`{whole}` is {is:?}, where config.json says {shape:?}")));
        }
        tensor.to_dtype(DType::F32).map_err(|error| damaged(self.file, error))
    }

    fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let flat = self.tensor(name, shape)?.flatten_all();
        flat.and_then(|flat| flat.to_vec1()).map_err(|error| damaged(self.file, error))
    }

    fn linear(&mut self, names: &[String], input: usize, output: usize) -> Result<Linear> {
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weights.push(self.tensor(&format!("{name}.weight"), &[output, input])?);
            bias.extend(self.numbers(&format!("{name}.bias"), &[output])?);
        }
        let weight = Tensor::cat(&weights, 0).and_then(|weight| weight.t());
        Ok(Linear { weight: weight.map_err(|error| damaged(self.file, error))?, bias })
    }

    fn norm(&mut self, name: &str, settings: &Settings) -> Result<Norm> {
        let gain = self.numbers(&format!("{name}.weight"), &[settings.hidden])?;
        let shift = self.numbers(&format!("{name}.bias"), &[settings.hidden])?;
        #[expect(clippy::cast_possible_truncation, reason = "a small number, which is added to one of these")]
        Ok(Norm { gain, shift, epsilon: settings.epsilon as f32 })
    }
}

impl Model {
    /// Makes the model of a file in the form of safetensors.
    pub(super) fn new(settings: &Settings, file: &Path, bytes: &[u8]) -> Result<Self> {
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu);
        let tensors = tensors.map_err(|error| damaged(file, error))?;
        let has = |prefix: &&str| tensors.contains_key(&format!("{prefix}embeddings.word_embeddings.weight"));
        let prefix = ["", "bert.", "roberta.", "encoder."].into_iter().find(has);
        let prefix = prefix.ok_or_else(|| damaged(file, "it has no word embeddings"))?;
        let mut weights = Weights { tensors, prefix, file };
        let (hidden, intermediate) = (settings.hidden, settings.intermediate);
        let words = weights.numbers("embeddings.word_embeddings.weight", &[settings.vocabulary, hidden])?;
        let mut positions =
            weights.numbers("embeddings.position_embeddings.weight", &[settings.positions, hidden])?;
        let types = weights.numbers("embeddings.token_type_embeddings.weight", &[settings.types, hidden])?;
        add(&mut positions, types.get(..hidden).unwrap_or_default());
        let norm = weights.norm("embeddings.LayerNorm", settings)?;
        let mut layers = Vec::new();
        for number in 0..settings.layers {
            let name = |part: &str| format!("encoder.layer.{number}.{part}");
            let attention = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
            layers.push(Layer {
                attention: weights.linear(&attention, hidden, hidden)?,
                output: weights.linear(&[name("attention.output.dense")], hidden, hidden)?,
                output_norm: weights.norm(&name("attention.output.LayerNorm"), settings)?,
                up: weights.linear(&[name("intermediate.dense")], hidden, intermediate)?,
                down: weights.linear(&[name("output.dense")], intermediate, hidden)?,
                down_norm: weights.norm(&name("output.LayerNorm"), settings)?,
            });
        }
        let Settings { heads, first_position, pooling, .. } = *settings;
        Ok(Self { words, positions, norm, layers, hidden, heads, first_position, pooling })
    }

    /// Returns the vectors of texts, of length one; asks before each layer whether they are still wanted.
    pub(super) fn embed(&self, texts: &[&[u32]], wanted: &impl Fn() -> bool) -> Result<Vec<Vec<f32>>> {
        let rows = self.forward(texts, wanted)?;
        let mut rest = rows.as_slice();
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            let (rows, later) = rest.split_at_checked(text.len() * self.hidden).unwrap_or_default();
            rest = later;
            vectors.push(self.pool(rows)?);
        }
        Ok(vectors)
    }

    fn pool(&self, rows: &[f32]) -> Result<Vec<f32>> {
        let mut vector = vec![0.0_f32; self.hidden];
        let pooled = match self.pooling {
            Pooling::Mean => rows,
            Pooling::First => rows.get(..self.hidden).unwrap_or_default(),
        };
        for row in pooled.chunks_exact(self.hidden) {
            add(&mut vector, row);
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

    /// Words and positions of all tokens, a row each.
    fn rows(&self, texts: &[&[u32]]) -> Result<Vec<f32>> {
        let row = |table: &'_ [f32], at: usize| -> Option<std::ops::Range<usize>> {
            let from = at.checked_mul(self.hidden)?;
            let to = from.checked_add(self.hidden)?;
            (to <= table.len()).then_some(from..to)
        };
        let mut rows = Vec::with_capacity(texts.iter().map(|text| text.len()).sum::<usize>() * self.hidden);
        for text in texts {
            for (position, word) in (self.first_position..).zip(*text) {
                let word = row(&self.words, *word as usize).and_then(|at| self.words.get(at));
                let position = row(&self.positions, position).and_then(|at| self.positions.get(at));
                let (Some(word), Some(position)) = (word, position) else {
                    let why = "the encoder's tokenizer and its weights do not belong together";
                    return Err(Error::new(ErrorKind::InvalidInput, why));
                };
                rows.extend(word.iter().zip(position).map(|(word, position)| word + position));
            }
        }
        self.norm.rows(&mut rows);
        Ok(rows)
    }

    fn forward(&self, texts: &[&[u32]], wanted: &impl Fn() -> bool) -> Result<Vec<f32>> {
        let wrong =
            |error| Error::new(ErrorKind::Other, "the encoder failed").with_source(candle_error(error));
        let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        let rows = self.rows(texts)?;
        let shape = (lengths.iter().sum::<usize>(), self.hidden);
        let mut state = Tensor::from_vec(rows, shape, &Device::Cpu).map_err(wrong)?;
        for layer in &self.layers {
            if !wanted() {
                return Err(Error::new(ErrorKind::Cancelled, "the vectors were no longer wanted"));
            }
            state = self.layer(layer, &state, &lengths).map_err(wrong)?;
        }
        state.flatten_all().and_then(|flat| flat.to_vec1()).map_err(wrong)
    }

    fn layer(&self, layer: &Layer, state: &Tensor, lengths: &[usize]) -> candle_core::Result<Tensor> {
        let attended = self.attend(layer, state, lengths)?;
        let middle = attended.matmul(&layer.output.weight)?;
        let sum = |rows: &mut [f32], state: &[f32]| {
            layer.output_norm.rows_of_sums(rows, state, &layer.output.bias);
        };
        middle.inplace_op2(state, &InPlaceWith(sum))?;
        let wide = middle.matmul(&layer.up.weight)?;
        wide.inplace_op1(&InPlace(|rows: &mut [f32]| gelu(rows, &layer.up.bias)))?;
        let out = wide.matmul(&layer.down.weight)?;
        let sum =
            |rows: &mut [f32], middle: &[f32]| layer.down_norm.rows_of_sums(rows, middle, &layer.down.bias);
        out.inplace_op2(&middle, &InPlaceWith(sum))?;
        Ok(out)
    }

    fn attend(&self, layer: &Layer, state: &Tensor, lengths: &[usize]) -> candle_core::Result<Tensor> {
        let size = self.hidden / self.heads;
        #[expect(clippy::cast_precision_loss, reason = "a head has some tens of numbers")]
        let scale = 1.0 / (size as f32).sqrt();
        let all = state.matmul(&layer.attention.weight)?;
        all.inplace_op1(&InPlace(|rows: &mut [f32]| add(rows, &layer.attention.bias)))?;
        let all = all.reshape(((), 3, self.heads, size))?;
        let mut parts = Vec::with_capacity(lengths.len());
        let mut start = 0;
        for length in lengths {
            let text = all.narrow(0, start, *length)?;
            let part = |at: usize| text.narrow(1, at, 1)?.squeeze(1)?.transpose(0, 1);
            let (query, key, value) = (part(0)?, part(1)?.transpose(1, 2)?, part(2)?);
            let block = (ATTENTION / (self.heads * length)).clamp(1, *length);
            for from in (0..*length).step_by(block) {
                let rows = block.min(length - from);
                let shares = query.narrow(1, from, rows)?.matmul(&key)?;
                shares.inplace_op1(&InPlace(|rows: &mut [f32]| softmax(rows, *length, scale)))?;
                parts.push(shares.matmul(&value)?.transpose(0, 1)?.reshape((rows, self.hidden))?);
            }
            start += length;
        }
        Tensor::cat(&parts, 0)
    }
}

/// Candle's errors may carry a backtrace, which is nobody's business.
fn candle_error(error: candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => inner.to_string(),
        error => error.to_string(),
    }
}
