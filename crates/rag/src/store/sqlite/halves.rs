//! The upper halves of codes, four bits a number: by them a scan passes by most vectors without reading the rest.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, unused_variables, reason = "elsewhere a scan goes through whole codes")
)]

use super::codes::Codes;

/// So many codes have their halves together.
const BLOCK: usize = 64;

/// Vectors of fewer numbers have no halves: blocks would be half empty, and a scan of them is short.
const LONG: usize = 128;

/// The upper halves of some vectors, one after the other, and how long what is left of each is.
#[derive(Debug, Default)]
pub(super) struct Halves {
    blocks: Vec<[u8; BLOCK / 2]>,
    rests: Vec<f32>,
}

/// Returns the upper half, from 0 to 15: a code is 16 times as much, less 120.5, and a rest of up to 7.5.
const fn upper(code: i8) -> u8 {
    (code >> 4).wrapping_add(8).cast_unsigned()
}

fn block(codes: &[i8; BLOCK]) -> [u8; BLOCK / 2] {
    let (low, high) = codes.split_at(BLOCK / 2);
    let mut block = [0; BLOCK / 2];
    for ((both, low), high) in block.iter_mut().zip(low).zip(high) {
        *both = upper(*low) | upper(*high) << 4;
    }
    block
}

/// Parts codes into blocks, the last one filled up with zeros.
fn blocks(codes: &[i8]) -> impl Iterator<Item = [i8; BLOCK]> {
    let (whole, left) = codes.as_chunks::<BLOCK>();
    let mut last = [0; BLOCK];
    last.iter_mut().zip(left).for_each(|(code, left)| *code = *left);
    whole.iter().copied().chain((!left.is_empty()).then_some(last))
}

#[expect(clippy::cast_precision_loss, reason = "the square of a length, which need not be exact")]
fn rest(codes: &[i8]) -> f32 {
    let square = |code: &i8| (i64::from(code & 0x0F) * 2 - 15).pow(2);
    (codes.iter().map(square).sum::<i64>() as f32).sqrt() / 2.0
}

impl Halves {
    /// Takes the halves of vectors' codes; of none where a scan would not be faster by them.
    pub(super) fn of(codes: &[i8], dimensions: usize) -> Self {
        let mut halves = Self::default();
        #[cfg(target_arch = "x86_64")]
        if dimensions >= LONG && pulp::x86::V3::try_new().is_some() {
            for codes in codes.chunks_exact(dimensions) {
                halves.blocks.extend(blocks(codes).map(|codes| block(&codes)));
                halves.rests.push(rest(codes));
            }
        }
        halves
    }

    /// Hands on where each vector stands in `codes` whose product with the question's may reach a bar, and the product, as
    /// [`Codes::products`] does; `found` returns the bar for those that follow. Of the vectors from `first` on.
    pub(super) fn products_above(
        &self,
        question: &Codes,
        first: usize,
        codes: &[i8],
        scales: &[f32],
        bar: f32,
        mut found: impl FnMut(usize, f32) -> f32,
    ) {
        #[cfg(target_arch = "x86_64")]
        if let (Some(simd), false) = (pulp::x86::V3::try_new(), self.rests.is_empty()) {
            return simd.vectorize(x86::Sieve {
                halves: self,
                question,
                first,
                codes,
                scales,
                bar,
                found,
                simd,
            });
        }
        question.products(codes, scales, |at, product| {
            found(at, product);
        });
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, cast};

    use super::super::codes::{Codes, x86};
    use super::{BLOCK, Halves, blocks};

    /// So many blocks' products with a question's codes fit 16 bits: 8 times 2 times 15 times 128.
    const FITTING: usize = 4;

    /// For what is rounded.
    const SLACK: f32 = 8.0;

    pub(super) struct Sieve<'a, F> {
        pub(super) halves: &'a Halves,
        pub(super) question: &'a Codes,
        pub(super) first: usize,
        pub(super) codes: &'a [i8],
        pub(super) scales: &'a [f32],
        pub(super) bar: f32,
        pub(super) found: F,
        pub(super) simd: V3,
    }

    impl<F: FnMut(usize, f32) -> f32> NullaryFnOnce for Sieve<'_, F> {
        type Output = ();

        #[inline(always)]
        #[expect(clippy::inline_always, reason = "what is not inlined is compiled without the instructions")]
        #[expect(
            clippy::cast_precision_loss,
            reason = "an estimate with its slack, which is looked at again"
        )]
        fn call(self) {
            let Self { halves, question, first, codes, scales, mut bar, mut found, simd } = self;
            let asked: Vec<[i8; BLOCK]> = blocks(&question.codes).collect();
            let sum: i32 = question.codes.iter().map(|code| i32::from(*code)).sum();
            let square: i32 = question.codes.iter().map(|code| i32::from(*code).pow(2)).sum();
            let (shift, length) = (SLACK - 120.5 * sum as f32, (square as f32).sqrt());
            let blocks = halves.blocks.get(first * asked.len()..).unwrap_or_default();
            let rests = halves.rests.get(first..).unwrap_or_default();
            let halves = blocks.chunks_exact(asked.len().max(1)).zip(rests);
            let vectors = codes.chunks_exact(question.dimensions().max(1)).zip(scales);
            for (at, ((halves, rest), (codes, scale))) in halves.zip(vectors).enumerate() {
                // what is left of the vector adds at most as much as both lengths (Cauchy and Schwarz)
                let most = 16.0 * product(simd, &asked, halves) as f32 + shift + length * rest;
                if most * question.scale * scale >= bar {
                    let product = x86::product(simd, question, codes);
                    bar = found(at, product as f32 * question.scale * scale);
                }
            }
        }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the caller's instructions"
    )]
    fn product(simd: V3, question: &[[i8; BLOCK]], halves: &[[u8; BLOCK / 2]]) -> i32 {
        let (ones, lower) = (simd.avx._mm256_set1_epi16(1), simd.avx._mm256_set1_epi8(0x0F));
        let mut sums = simd.avx._mm256_setzero_si256();
        for (question, halves) in question.chunks(FITTING).zip(halves.chunks(FITTING)) {
            let mut pairs = simd.avx._mm256_setzero_si256();
            for (question, halves) in question.iter().zip(halves) {
                let [first, second]: [[i8; BLOCK / 2]; 2] = cast(*question);
                let both = cast(*halves);
                let low = simd.avx2._mm256_and_si256(both, lower);
                let high = simd.avx2._mm256_and_si256(simd.avx2._mm256_srli_epi16::<4>(both), lower);
                let low = simd.avx2._mm256_maddubs_epi16(low, cast(first));
                let high = simd.avx2._mm256_maddubs_epi16(high, cast(second));
                pairs = simd.avx2._mm256_add_epi16(pairs, simd.avx2._mm256_add_epi16(low, high));
            }
            sums = simd.avx2._mm256_add_epi32(sums, simd.avx2._mm256_madd_epi16(pairs, ones));
        }
        let sums: [i32; 8] = cast(sums);
        sums.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::codes::encode;
    use super::super::top::Top;
    use super::*;

    #[test]
    fn what_is_passed_by_would_not_have_been_kept() {
        let mut random = fastrand::Rng::with_seed(8);
        for (dimensions, outliers) in [(128, 0), (130, 1), (384, 0), (384, 3), (1_000, 0), (1_024, 9)] {
            let mut vector = |near: &[f32]| -> Vec<f32> {
                let mut vector: Vec<f32> = near.iter().map(|x| x + random.f32() - 0.5).collect();
                // a few large numbers make the codes of all others small
                vector.iter_mut().take(outliers).for_each(|x| *x *= 20.0);
                vector
            };
            let centre = vector(&vec![0.0; dimensions]);
            let (mut codes, mut scales) = (Vec::new(), Vec::new());
            for nth in 0..3_000 {
                let vector = if nth % 30 == 0 { vector(&centre) } else { vector(&vec![0.0; dimensions]) };
                scales.push(encode(&vector, &mut codes));
            }
            let question = Codes::of(&vector(&centre));
            let halves = Halves::of(&codes, dimensions);
            let (mut all, mut some, mut looked_at) = (Top::new(40), Top::new(40), 0);
            question.products(&codes, &scales, |at, product| all.push(product, at));
            for first in [0, 1_000] {
                // in two parts, the second one with a bar
                let past = if first == 0 { 1_000 } else { 3_000 };
                let codes = &codes[first * dimensions..past * dimensions];
                let bar = some.bar();
                halves.products_above(&question, first, codes, &scales[first..past], bar, |at, product| {
                    looked_at += 1;
                    some.push(product, first + at);
                    some.bar()
                });
            }
            assert_eq!(some.into_sorted(), all.into_sorted(), "{dimensions}");
            if !halves.rests.is_empty() && outliers == 0 {
                assert!(looked_at < 1_500, "{dimensions}: {looked_at}");
            }
        }
    }

    #[test]
    fn halves_and_rests_make_codes() {
        for code in i8::MIN..=i8::MAX {
            let left = f32::from(code) - (16.0 * f32::from(upper(code)) - 120.5);
            assert!(left.abs() <= 7.5, "{code} {left}");
            assert!((rest(&[code]) - left.abs()).abs() < 1e-6, "{code}");
        }
        assert!(Halves::of(&[1; 640], 64).rests.is_empty());
    }
}
