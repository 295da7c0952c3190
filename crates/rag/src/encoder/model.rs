//! The encoder itself: BERT (Devlin and others, 2019), whose architecture XLM-RoBERTa has as well.
//!
//! Texts of a batch stand behind one another in one matrix, without padding: what is done to each token by itself is done to all at
//! once, and each text attends to itself alone. So a text's vector does not depend on its neighbours.

use candle_core::{Device, Tensor};

use super::kernels::{InPlace, InPlaceWith, Norm, add, gelu, softmax};
use super::settings::{Pooling, Settings};
use super::weights::{Linear, Weights};
use super::{Text, Wanted};
use crate::{Error, ErrorKind, Result};

/// The most numbers of one block of attention: what keeps a text of thousands of tokens from taking the memory of their square.
const ATTENTION: usize = 1 << 22;

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
pub(crate) struct Model {
    words: Vec<f32>,
    /// A table for each type of token, with the type added.
    positions: Vec<Vec<f32>>,
    norm: Norm,
    layers: Vec<Layer>,
    hidden: usize,
    heads: usize,
    first_position: usize,
    pooling: Pooling,
}

impl Model {
    /// Makes the model of its weights.
    pub(crate) fn new(settings: &Settings, weights: &mut Weights<'_>) -> Result<Self> {
        let (hidden, intermediate) = (settings.hidden, settings.intermediate);
        let words = weights.numbers("embeddings.word_embeddings.weight", &[settings.vocabulary, hidden])?;
        let plain =
            weights.numbers("embeddings.position_embeddings.weight", &[settings.positions, hidden])?;
        let types = weights.numbers("embeddings.token_type_embeddings.weight", &[settings.types, hidden])?;
        // in the other families a pair is of one type, whatever the tokenizer says
        let told = if settings.family == "bert" { 2 } else { 1 };
        let with_type = |kind: &[f32]| {
            let mut positions = plain.clone();
            add(&mut positions, kind);
            positions
        };
        let positions: Vec<Vec<f32>> = types.chunks_exact(hidden.max(1)).take(told).map(with_type).collect();
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
    pub(crate) fn embed(&self, texts: &[&Text], wanted: &Wanted) -> Result<Vec<Vec<f32>>> {
        let rows = self.forward(texts, wanted)?;
        let mut rest = rows.as_slice();
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            let (rows, later) = rest.split_at_checked(text.ids.len() * self.hidden).unwrap_or_default();
            rest = later;
            vectors.push(self.pooling.of(rows, text.ids.len(), self.hidden)?);
        }
        Ok(vectors)
    }

    /// Returns the first token's state of each text, one after another.
    pub(crate) fn first_states(&self, texts: &[&Text], wanted: &Wanted) -> Result<Vec<f32>> {
        let rows = self.forward(texts, wanted)?;
        let mut firsts = Vec::with_capacity(texts.len() * self.hidden);
        let mut start = 0;
        for text in texts {
            firsts.extend_from_slice(rows.get(start..start + self.hidden).unwrap_or_default());
            start += text.ids.len() * self.hidden;
        }
        Ok(firsts)
    }

    /// Words and positions of all tokens, a row each.
    fn rows(&self, texts: &[&Text]) -> Result<Vec<f32>> {
        let row = |table: &'_ [f32], at: usize| -> Option<std::ops::Range<usize>> {
            let from = at.checked_mul(self.hidden)?;
            let to = from.checked_add(self.hidden)?;
            (to <= table.len()).then_some(from..to)
        };
        let mut rows =
            Vec::with_capacity(texts.iter().map(|text| text.ids.len()).sum::<usize>() * self.hidden);
        for text in texts {
            for ((position, word), kind) in (self.first_position..).zip(&text.ids).zip(&text.types) {
                let table = self.positions.get(*kind as usize).or(self.positions.last());
                let word = row(&self.words, *word as usize).and_then(|at| self.words.get(at));
                let position = table.and_then(|table| table.get(row(table, position)?));
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

    fn forward(&self, texts: &[&Text], wanted: &Wanted) -> Result<Vec<f32>> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.ids.len()).collect();
        let rows = self.rows(texts)?;
        let shape = (lengths.iter().sum::<usize>(), self.hidden);
        let mut state = Tensor::from_vec(rows, shape, &Device::Cpu).map_err(failed)?;
        for layer in &self.layers {
            wanted.check()?;
            state = self.layer(layer, &state, &lengths).map_err(failed)?;
        }
        state.flatten_all().and_then(|flat| flat.to_vec1()).map_err(failed)
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

/// Says that candle failed. Its errors may carry a backtrace, which is nobody's business.
pub(super) fn failed(error: candle_core::Error) -> Error {
    let error = match error {
        candle_core::Error::WithBacktrace { inner, .. } => inner.to_string(),
        error => error.to_string(),
    };
    Error::new(ErrorKind::Other, "the encoder failed").with_source(error)
}
