//! A file of weights in the form of safetensors.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::kernels::Norm;
use super::settings::{Settings, damaged};
use crate::Result;

#[derive(Debug)]
pub(super) struct Linear {
    /// Turned round: rows are what comes in.
    pub(super) weight: Tensor,
    pub(super) bias: Vec<f32>,
}

/// The tensors of a file, taken by name and shape.
pub(crate) struct Weights<'a> {
    tensors: HashMap<String, Tensor>,
    prefix: &'static str,
    file: &'a Path,
}

impl<'a> Weights<'a> {
    /// Opens a file.
    pub(crate) fn new(file: &'a Path, bytes: &[u8]) -> Result<Self> {
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu);
        let tensors = tensors.map_err(|error| damaged(file, error))?;
        let has = |prefix: &&str| tensors.contains_key(&format!("{prefix}embeddings.word_embeddings.weight"));
        let prefix = ["", "bert.", "roberta.", "encoder."].into_iter().find(has);
        let prefix = prefix.ok_or_else(|| damaged(file, "it has no word embeddings"))?;
        Ok(Self { tensors, prefix, file })
    }

    /// The file that these are of.
    pub(super) fn file(&self) -> &'a Path {
        self.file
    }

    /// Tells the shape of a tensor by its whole name, if there is one.
    pub(super) fn shape(&self, whole: &str) -> Option<&[usize]> {
        self.tensors.get(whole).map(Tensor::dims)
    }

    pub(super) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let whole = format!("{}{name}", self.prefix);
        self.beside(&whole, shape)
    }

    /// Takes a tensor that stands beside the encoder, whose name has no prefix.
    pub(super) fn beside(&mut self, whole: &str, shape: &[usize]) -> Result<Tensor> {
        let old =
            whole.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let tensor = self.tensors.remove(whole).or_else(|| self.tensors.remove(&old));
        let tensor = tensor.ok_or_else(|| damaged(self.file, format!("it has no tensor `{whole}`")))?;
        if tensor.dims() != shape {
            let is = tensor.dims();
            return Err(damaged(self.file, format!("`{whole}` is {is:?}, where config.json says {shape:?}")));
        }
        tensor.to_dtype(DType::F32).map_err(|error| damaged(self.file, error))
    }

    pub(super) fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let whole = format!("{}{name}", self.prefix);
        self.numbers_beside(&whole, shape)
    }

    /// Takes numbers that stand beside the encoder, whose names have no prefix.
    pub(super) fn numbers_beside(&mut self, whole: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let flat = self.beside(whole, shape)?.flatten_all();
        flat.and_then(|flat| flat.to_vec1()).map_err(|error| damaged(self.file, error))
    }

    pub(super) fn linear(&mut self, names: &[String], input: usize, output: usize) -> Result<Linear> {
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weights.push(self.tensor(&format!("{name}.weight"), &[output, input])?);
            bias.extend(self.numbers(&format!("{name}.bias"), &[output])?);
        }
        let weight = Tensor::cat(&weights, 0).and_then(|weight| weight.t());
        Ok(Linear { weight: weight.map_err(|error| damaged(self.file, error))?, bias })
    }

    pub(super) fn norm(&mut self, name: &str, settings: &Settings) -> Result<Norm> {
        let gain = self.numbers(&format!("{name}.weight"), &[settings.hidden])?;
        let shift = self.numbers(&format!("{name}.bias"), &[settings.hidden])?;
        #[expect(clippy::cast_possible_truncation, reason = "a small number, which is added to one of these")]
        Ok(Norm { gain, shift, epsilon: settings.epsilon as f32 })
    }
}
