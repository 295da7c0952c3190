//! What is done to each number between the products of matrices.
//!
//! Candle calls the mathematical library once a number. These are written so that a compiler makes vector instructions of them, and
//! `pulp` picks AVX2 where the processor has it.

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Result, bail};
use pulp::Arch;

/// `e` to the power of `x`, for `x` of at most 0: a polynomial on what is left of the power of two (Cephes, `expf`), within 2 ulp.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added and taken away again, it rounds: numbers of this size have no fraction.
    const ROUND: f32 = 12_582_912.0;
    let x = x.max(-87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, so that the difference is exact
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4_f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let value = p * (r * r) + r + 1.0;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    value * f32::from_bits(power)
}

/// The Gaussian error linear unit, by the error function (Abramowitz and Stegun, 7.1.26: within 1.5e-7).
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "only code that is inlined becomes the vector instructions of the caller"
)]
fn gelu_of(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let p = 1.061_405_4_f32;
    let p = p * t - 1.453_152_1;
    let p = p * t + 1.421_413_8;
    let p = p * t - 0.284_496_72;
    let p = p * t + 0.254_829_6;
    let erf = 1.0 - p * t * exp(-z * z);
    0.5 * x * (1.0 + erf.copysign(x))
}

/// Sums in eight lanes, as vectors do.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "only code that is inlined becomes the vector instructions of the caller"
)]
fn sum(numbers: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (eights, rest) = numbers.as_chunks::<8>();
    let mut lanes = [0.0_f32; 8];
    for eight in eights {
        for (lane, number) in lanes.iter_mut().zip(eight) {
            *lane += of(*number);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|number| of(*number)).sum::<f32>()
}

/// Adds `bias` to each row.
pub(super) fn add(rows: &mut [f32], bias: &[f32]) {
    Arch::new().dispatch(|| {
        for row in rows.chunks_exact_mut(bias.len().max(1)) {
            for (x, bias) in row.iter_mut().zip(bias) {
                *x += bias;
            }
        }
    });
}

/// Adds `bias` to each row, and takes the Gaussian error linear unit.
pub(super) fn gelu(rows: &mut [f32], bias: &[f32]) {
    Arch::new().dispatch(|| {
        for row in rows.chunks_exact_mut(bias.len().max(1)) {
            for (x, bias) in row.iter_mut().zip(bias) {
                *x = gelu_of(*x + bias);
            }
        }
    });
}

/// Makes each row of `width` numbers, times `scale`, shares of one.
pub(super) fn softmax(rows: &mut [f32], width: usize, scale: f32) {
    Arch::new().dispatch(|| {
        for row in rows.chunks_exact_mut(width.max(1)) {
            let most = row.iter().fold(f32::NEG_INFINITY, |most, x| if *x > most { *x } else { most });
            for x in row.iter_mut() {
                *x = exp((*x - most) * scale);
            }
            let share = 1.0 / sum(row, |x| x);
            for x in row.iter_mut() {
                *x *= share;
            }
        }
    });
}

/// A layer's normalisation: mean 0 and variance 1, times `gain`, plus `shift`.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) gain: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) epsilon: f32,
}

impl Norm {
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "only code that is inlined becomes the vector instructions of the caller"
    )]
    #[expect(clippy::cast_precision_loss, reason = "a width of some thousands")]
    fn row(&self, row: &mut [f32]) {
        let width = row.len() as f32;
        let mean = sum(row, |x| x) / width;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / width;
        let factor = 1.0 / (variance + self.epsilon).sqrt();
        for ((x, gain), shift) in row.iter_mut().zip(&self.gain).zip(&self.shift) {
            *x = (*x - mean) * factor * gain + shift;
        }
    }

    /// Normalises each row.
    pub(super) fn rows(&self, rows: &mut [f32]) {
        Arch::new().dispatch(|| rows.chunks_exact_mut(self.gain.len().max(1)).for_each(|row| self.row(row)));
    }

    /// Adds `bias` and what came in to each row of what came out, and normalises it.
    pub(super) fn rows_of_sums(&self, rows: &mut [f32], residual: &[f32], bias: &[f32]) {
        let width = self.gain.len().max(1);
        Arch::new().dispatch(|| {
            for (row, residual) in rows.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
                for ((x, residual), bias) in row.iter_mut().zip(residual).zip(bias) {
                    *x += residual + bias;
                }
                self.row(row);
            }
        });
    }
}

/// Does something to the numbers of a tensor where they stand.
pub(super) struct InPlace<F>(pub(super) F);

impl<F: Fn(&mut [f32])> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        "in place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        self.0(numbers_mut(storage, layout)?);
        Ok(())
    }
}

/// Does something to the numbers of a tensor where they stand, with another's.
pub(super) struct InPlaceWith<F>(pub(super) F);

impl<F: Fn(&mut [f32], &[f32])> InplaceOp2 for InPlaceWith<F> {
    fn name(&self) -> &'static str {
        "in place with"
    }

    fn cpu_fwd(&self, s1: &mut CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<()> {
        let (CpuStorage::F32(other), Some((from, to))) = (s2, l2.contiguous_offsets()) else {
            bail!("numbers that are not in a row")
        };
        self.0(numbers_mut(s1, l1)?, other.get(from..to).unwrap_or_default());
        Ok(())
    }
}

fn numbers_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(numbers), Some((from, to))) => Ok(numbers.get_mut(from..to).unwrap_or_default()),
        _ => bail!("numbers that are not in a row"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approximations_are_near_the_mathematical_library() {
        let mut worst = (0.0_f64, 0.0_f64);
        for step in 0..50_000_u16 {
            let x = f32::from(step) / -500.0;
            let near = f64::from(exp(x));
            let exact = f64::from(x).exp();
            if x > -87.0 {
                worst.0 = worst.0.max((near - exact).abs() / exact);
            } else {
                assert!(near <= 2e-38, "{x}: {near}");
            }
        }
        // 1 - 2 Q(x), where Q is summed by Simpson's rule from 0
        let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (mut area, step) = (0.0_f64, 1e-3);
        for at in 0..6_000 {
            let x = f64::from(at) * step;
            for x in [x, -x] {
                let exact = x * (0.5 + area.copysign(x));
                #[expect(clippy::cast_possible_truncation, reason = "that is what is compared")]
                let near = f64::from(gelu_of(x as f32));
                worst.1 = worst.1.max((near - exact).abs());
            }
            area += (density(x) + 4.0 * density(x + step / 2.0) + density(x + step)) * step / 6.0;
        }
        assert!(worst.0 < 4e-7 && worst.1 < 1e-6, "{worst:?}");
    }

    #[test]
    fn shares_are_of_one_and_rows_are_normal() {
        let mut rows: Vec<f32> = (0..30_u8).map(|x| f32::from(x) * 7.0 - 100.0).collect();
        softmax(&mut rows, 15, 0.5);
        for row in rows.chunks(15) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            assert!(row.is_sorted() && row[14] > 0.9);
        }
        let norm = Norm { gain: vec![1.0; 10], shift: vec![0.0; 10], epsilon: 1e-12 };
        let mut rows: Vec<f32> = (0..20_u16).map(|x| f32::from(x * x)).collect();
        norm.rows_of_sums(&mut rows, &[1.0; 20], &[0.5; 10]);
        for row in rows.chunks(10) {
            assert!(row.iter().sum::<f32>().abs() < 1e-5);
            assert!((row.iter().map(|x| x * x).sum::<f32>() - 10.0).abs() < 1e-4);
        }
    }
}
