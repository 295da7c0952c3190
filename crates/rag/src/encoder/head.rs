//! What makes a score of a pair's first state: the heads of `BertForSequenceClassification` and `XLMRobertaForSequenceClassification`.

use candle_core::{Device, Tensor};

use super::model::failed;
use super::settings::{Settings, damaged};
use super::weights::Weights;
use crate::{Error, ErrorKind, Result};

/// A layer with the hyperbolic tangent, and a sum.
#[derive(Debug)]
pub(crate) struct Head {
    /// Turned round: rows are what comes in.
    dense: Tensor,
    bias: Vec<f32>,
    sum: Vec<f32>,
    shift: f32,
}

impl Head {
    /// Takes the head of the file whose encoder is taken already.
    pub(crate) fn new(settings: &Settings, weights: &mut Weights<'_>) -> Result<Self> {
        let hidden = settings.hidden;
        let out = if settings.family == "bert" { "classifier" } else { "classifier.out_proj" };
        let labels = weights.shape(&format!("{out}.weight")).and_then(<[usize]>::first).copied();
        let file = weights.file();
        match labels {
            Some(1) => {}
            None => return Err(damaged(file, "it has no classification head")),
            Some(labels) => {
                let what =
                    format!("{}: a head of {labels} labels is not supported, only of one", file.display());
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
        }
        let (dense, bias) = if settings.family == "bert" {
            let dense = weights.tensor("pooler.dense.weight", &[hidden, hidden])?;
            (dense, weights.numbers("pooler.dense.bias", &[hidden])?)
        } else {
            let dense = weights.beside("classifier.dense.weight", &[hidden, hidden])?;
            (dense, weights.numbers_beside("classifier.dense.bias", &[hidden])?)
        };
        let sum = weights.numbers_beside(&format!("{out}.weight"), &[1, hidden])?;
        let shift = weights.numbers_beside(&format!("{out}.bias"), &[1])?;
        let dense = dense.t().map_err(|error| damaged(file, error))?;
        Ok(Self { dense, bias, sum, shift: shift.first().copied().unwrap_or_default() })
    }

    /// Returns the score of each state, of which there are as many in a row as there are texts.
    pub(crate) fn scores(&self, states: Vec<f32>) -> Result<Vec<f32>> {
        let hidden = self.sum.len().max(1);
        let count = states.len() / hidden;
        let states = Tensor::from_vec(states, (count, hidden), &Device::Cpu);
        let dense = states.and_then(|states| states.matmul(&self.dense)).and_then(|out| out.flatten_all());
        let dense: Vec<f32> = dense.and_then(|out| out.to_vec1()).map_err(failed)?;
        let score = |row: &[f32]| {
            let tanh = row.iter().zip(&self.bias).map(|(x, bias)| (x + bias).tanh());
            let score = tanh.zip(&self.sum).map(|(x, weight)| x * weight).sum::<f32>() + self.shift;
            if score.is_finite() {
                return Ok(score);
            }
            Err(Error::new(ErrorKind::Protocol, "the cross-encoder's weights made a score that is no number"))
        };
        dense.chunks_exact(hidden).map(score).collect()
    }
}
