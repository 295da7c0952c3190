//! BERT as one writes it with candle's layers.

use std::error::Error;
use std::path::Path;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, layer_norm, linear, ops};
use tokenizers::{Tokenizer, TruncationParams};

const HIDDEN: usize = 384;
const HEADS: usize = 12;
const INTERMEDIATE: usize = 1_536;
const LAYERS: usize = 6;

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    output_norm: LayerNorm,
    up: Linear,
    down: Linear,
    down_norm: LayerNorm,
}

/// all-MiniLM-L6-v2.
pub(crate) struct Naive {
    tokenizer: Tokenizer,
    words: Embedding,
    positions: Embedding,
    types: Embedding,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

impl Naive {
    pub(crate) fn load(folder: &Path) -> std::result::Result<Self, Box<dyn Error>> {
        let mut tokenizer =
            Tokenizer::from_file(folder.join("tokenizer.json")).map_err(|error| error.to_string())?;
        tokenizer.with_padding(None);
        let limit = TruncationParams { max_length: 256, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(limit)).map_err(|error| error.to_string())?;
        let weights = std::fs::read(folder.join("model.safetensors"))?;
        let root = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let tables = root.pp("embeddings");
        let norm = |builder: VarBuilder| layer_norm(HIDDEN, 1e-12, builder);
        let layer = |number: usize| -> Result<Layer> {
            let at = root.pp(format!("encoder.layer.{number}"));
            Ok(Layer {
                query: linear(HIDDEN, HIDDEN, at.pp("attention.self.query"))?,
                key: linear(HIDDEN, HIDDEN, at.pp("attention.self.key"))?,
                value: linear(HIDDEN, HIDDEN, at.pp("attention.self.value"))?,
                output: linear(HIDDEN, HIDDEN, at.pp("attention.output.dense"))?,
                output_norm: norm(at.pp("attention.output.LayerNorm"))?,
                up: linear(HIDDEN, INTERMEDIATE, at.pp("intermediate.dense"))?,
                down: linear(INTERMEDIATE, HIDDEN, at.pp("output.dense"))?,
                down_norm: norm(at.pp("output.LayerNorm"))?,
            })
        };
        Ok(Self {
            tokenizer,
            words: embedding(30_522, HIDDEN, tables.pp("word_embeddings"))?,
            positions: embedding(512, HIDDEN, tables.pp("position_embeddings"))?,
            types: embedding(2, HIDDEN, tables.pp("token_type_embeddings"))?,
            norm: norm(tables.pp("LayerNorm"))?,
            layers: (0..LAYERS).map(layer).collect::<Result<_>>()?,
        })
    }

    pub(crate) fn embed(&self, text: &str) -> std::result::Result<Vec<f32>, Box<dyn Error>> {
        let ids = self.tokenizer.encode(text, true).map_err(|error| error.to_string())?;
        Ok(self.forward(ids.get_ids())?)
    }

    fn forward(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let count = ids.len();
        let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        let positions = Tensor::from_iter(0..count as u32, &Device::Cpu)?;
        let state = self.words.forward(&ids)?.broadcast_add(&self.positions.forward(&positions)?)?;
        let state = (state + self.types.forward(&ids.zeros_like()?)?)?;
        let mut state = self.norm.forward(&state)?;
        for layer in &self.layers {
            let heads = |linear: &Linear| -> Result<Tensor> {
                let all = linear.forward(&state)?.reshape((1, count, HEADS, HIDDEN / HEADS))?;
                all.transpose(1, 2)?.contiguous()
            };
            let (query, key, value) = (heads(&layer.query)?, heads(&layer.key)?, heads(&layer.value)?);
            let scores = (query.matmul(&key.t()?)? / ((HIDDEN / HEADS) as f64).sqrt())?;
            let context = ops::softmax(&scores, D::Minus1)?.matmul(&value)?;
            let context = context.transpose(1, 2)?.contiguous()?.flatten_from(D::Minus2)?;
            let middle = layer.output_norm.forward(&(layer.output.forward(&context)? + &state)?)?;
            let wide = layer.up.forward(&middle)?.gelu_erf()?;
            state = layer.down_norm.forward(&(layer.down.forward(&wide)? + &middle)?)?;
        }
        let mean = state.mean(1)?;
        mean.broadcast_div(&mean.sqr()?.sum_keepdim(1)?.sqrt()?)?.squeeze(0)?.to_vec1()
    }
}
