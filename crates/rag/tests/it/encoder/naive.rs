//! The architecture in plain loops of double precision, a token at a time.

use std::collections::BTreeMap;

use super::folder::{HEADS, HIDDEN, LAYERS, Tiny, WORDS};

type Row = Vec<f64>;

struct Weights(BTreeMap<String, Vec<f32>>);

impl Weights {
    fn row(&self, table: &str, at: usize) -> Row {
        self.0[table][at * HIDDEN..(at + 1) * HIDDEN].iter().map(|x| f64::from(*x)).collect()
    }

    fn linear(&self, name: &str, input: &Row) -> Row {
        let weight = self.0[&format!("{name}.weight")].chunks(input.len());
        let sum = |row: &[f32]| row.iter().zip(input).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
        weight.zip(&self.0[&format!("{name}.bias")]).map(|(row, bias)| sum(row) + f64::from(*bias)).collect()
    }

    fn norm(&self, name: &str, input: &Row) -> Row {
        let count = 8.0;
        let mean = input.iter().sum::<f64>() / count;
        let variance = input.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let (gain, shift) = (&self.0[&format!("{name}.weight")], &self.0[&format!("{name}.bias")]);
        let of = |((x, gain), shift): ((&f64, &f32), &f32)| {
            (x - mean) / (variance + 1e-5).sqrt() * f64::from(*gain) + f64::from(*shift)
        };
        input.iter().zip(gain).zip(shift).map(of).collect()
    }
}

fn plus(left: &Row, right: &Row) -> Row {
    left.iter().zip(right).map(|(x, y)| x + y).collect()
}

/// By the error function's series, which converges for what occurs here.
fn gelu(x: f64) -> f64 {
    let z = x / std::f64::consts::SQRT_2;
    let (mut term, mut sum) = (z, z);
    for n in 1..200_i32 {
        term *= -z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    x * 0.5 * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt())
}

fn ids(text: &str) -> impl Iterator<Item = usize> {
    text.split_whitespace().map(|word| WORDS.iter().position(|known| *known == word).unwrap_or(3))
}

/// The last state of each token, of which each has an id and the number of its text.
fn states(tiny: &Tiny, weights: &Weights, ids: &[(usize, usize)]) -> Vec<Row> {
    let first = if tiny.roberta { 2 } else { 0 };
    let start = |(at, (id, text)): (usize, &(usize, usize))| {
        let word = weights.row("embeddings.word_embeddings.weight", *id);
        let position = weights.row("embeddings.position_embeddings.weight", at + first);
        let kind =
            weights.row("embeddings.token_type_embeddings.weight", if tiny.roberta { 0 } else { *text });
        weights.norm("embeddings.LayerNorm", &plus(&plus(&word, &position), &kind))
    };
    let mut state: Vec<Row> = ids.iter().enumerate().map(start).collect();
    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let all = |part: &str| -> Vec<Row> {
            state.iter().map(|row| weights.linear(&name(&format!("attention.self.{part}")), row)).collect()
        };
        let (query, key, value) = (all("query"), all("key"), all("value"));
        let size = HIDDEN / HEADS;
        let attend = |at: usize| -> Row {
            let mut context = Vec::new();
            for head in 0..HEADS {
                let part = head * size..(head + 1) * size;
                let score = |other: &Row| {
                    let dot = query[at][part.clone()]
                        .iter()
                        .zip(&other[part.clone()])
                        .map(|(q, k)| q * k)
                        .sum::<f64>();
                    (dot / 2.0).exp() // the root of four numbers a head
                };
                let scores: Vec<f64> = key.iter().map(score).collect();
                let sum: f64 = scores.iter().sum();
                for column in part {
                    context
                        .push(value.iter().zip(&scores).map(|(row, score)| row[column] * score / sum).sum());
                }
            }
            context
        };
        state = (0..ids.len())
            .map(|at| {
                let out = weights.linear(&name("attention.output.dense"), &attend(at));
                let middle = weights.norm(&name("attention.output.LayerNorm"), &plus(&out, &state[at]));
                let up = weights.linear(&name("intermediate.dense"), &middle).into_iter().map(gelu).collect();
                let down = weights.linear(&name("output.dense"), &up);
                weights.norm(&name("output.LayerNorm"), &plus(&down, &middle))
            })
            .collect();
    }
    state
}

pub(crate) fn embed(tiny: &Tiny, text: &str) -> Vec<f32> {
    let ids: Vec<(usize, usize)> = [0].into_iter().chain(ids(text)).chain([2]).map(|id| (id, 0)).collect();
    let state = states(tiny, &Weights(tiny.tensors()), &ids);
    let pooled = if tiny.roberta {
        state[0].clone()
    } else {
        state.iter().skip(1).fold(state[0].clone(), |a, b| plus(&a, b))
    };
    #[allow(clippy::cast_possible_truncation, reason = "what is compared has this precision")]
    pooled.into_iter().map(|x| x as f32).collect()
}

/// The score of a pair by a model with a head.
pub(crate) fn score(tiny: &Tiny, question: &str, passage: &str) -> f64 {
    let weights = Weights(tiny.tensors());
    let between: &[usize] = if tiny.roberta { &[2, 2] } else { &[2] };
    let first = [0].into_iter().chain(ids(question)).chain(between.iter().copied()).map(|id| (id, 0));
    let second = ids(passage).chain([2]).map(|id| (id, 1));
    let ids: Vec<(usize, usize)> = first.chain(second).collect();
    let state = states(tiny, &weights, &ids);
    let (dense, out) = if tiny.roberta {
        ("classifier.dense", "classifier.out_proj")
    } else {
        ("pooler.dense", "classifier")
    };
    let dense: Row = weights.linear(dense, &state[0]).into_iter().map(f64::tanh).collect();
    weights.linear(out, &dense)[0]
}
