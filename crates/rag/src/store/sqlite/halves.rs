//! The upper halves of codes, four bits a number: by them a scan passes by most vectors without reading the rest.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, unused_variables, reason = "elsewhere a scan goes through whole codes")
)]

use super::codes::Codes;
use super::top::Top;

/// So many codes have their halves together.
const BLOCK: usize = 128;

/// Vectors of fewer numbers have no halves: blocks would be half empty, and a scan of them is short.
const LONG: usize = 128;

/// Fewer vectors than this are looked at one by one.
const MANY: usize = 1_024;

/// By so many standard deviations of what is left a product may be off by chance, as [`Codes::error`] has it.
const DEVIATIONS: f32 = 8.0;

/// The upper halves of so many codes; a line of the processor's cache, so that none is read twice.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block([u8; BLOCK / 2]);

/// The upper halves of some vectors, one after the other, and what they say of the codes.
#[derive(Debug, Default)]
pub(super) struct Halves {
    blocks: Vec<Block>,
    fits: Vec<Fit>,
}

/// Vectors of a segment that stand together: from which one on, their codes, and what these are multiplied by.
pub(super) struct Stretch<'a> {
    pub(super) first: usize,
    pub(super) codes: &'a [i8],
    pub(super) scales: &'a [f32],
}

/// The line nearest to a vector's codes as its upper halves grow: about `base + step * half`.
#[derive(Clone, Copy, Debug)]
struct Fit {
    base: f32,
    step: f32,
    /// How far a product may be from what the line says, for each unit of the length of the question's codes.
    off: f32,
}

/// Returns the upper half, from 0 to 15.
const fn upper(code: i8) -> u8 {
    (code >> 4).wrapping_add(8).cast_unsigned()
}

fn block(codes: &[i8; BLOCK]) -> Block {
    let (low, high) = codes.split_at(BLOCK / 2);
    let mut block = [0; BLOCK / 2];
    for ((both, low), high) in block.iter_mut().zip(low).zip(high) {
        *both = upper(*low) | upper(*high) << 4;
    }
    Block(block)
}

/// Parts codes into blocks, the last one filled up with zeros.
fn blocks(codes: &[i8]) -> impl Iterator<Item = [i8; BLOCK]> {
    let (whole, left) = codes.as_chunks::<BLOCK>();
    let mut last = [0; BLOCK];
    last.iter_mut().zip(left).for_each(|(code, left)| *code = *left);
    whole.iter().copied().chain((!left.is_empty()).then_some(last))
}

impl Fit {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn of(codes: &[i8]) -> Self {
        let mut sums = [0_i64; 5];
        // so many that their sums fit 32 bits
        for codes in codes.chunks(1 << 16) {
            let mut part = [0_i32; 5];
            for one in codes {
                let (half, one) = (i32::from(upper(*one)), i32::from(*one));
                let added = [half, one, half * half, half * one, one * one];
                part.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
            }
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += i64::from(part));
        }
        let count = codes.len().max(1) as f32;
        let [half, code, halves, together, square] = sums.map(|sum| sum as f32 / count);
        let spread = halves - half * half;
        let together = together - half * code;
        let step = if spread > 1e-3 { together / spread } else { 0.0 };
        let left = (square - code * code - step * together).max(0.0);
        // At most both lengths (Cauchy and Schwarz). Less, if the question's vector is this one and something at random.
        let length = (square * count).sqrt().max(1.0);
        let alike = DEVIATIONS * left.sqrt() + left * count / length;
        Self { base: code - step * half, step, off: alike.min((left * count).sqrt()) }
    }
}

impl Halves {
    /// Takes the halves of vectors' codes; of none where a scan would not be faster by them.
    pub(super) fn of(codes: &[i8], dimensions: usize) -> Self {
        let mut halves = Self::default();
        #[cfg(target_arch = "x86_64")]
        if dimensions >= LONG && pulp::x86::V3::try_new().is_some() {
            for codes in codes.chunks_exact(dimensions) {
                halves.blocks.extend(blocks(codes).map(|codes| block(&codes)));
                halves.fits.push(Fit::of(codes));
            }
        }
        halves
    }

    /// Hands on where each vector stands in the stretch whose product with the question's may reach a bar, and the product, as
    /// [`Codes::products`] does, but in no order; `found` returns the bar for those that follow, which about `wanted` of them
    /// make.
    pub(super) fn products_above(
        &self,
        question: &Codes,
        stretch: &Stretch<'_>,
        wanted: usize,
        bar: f32,
        mut found: impl FnMut(usize, f32) -> f32,
    ) {
        let &Stretch { codes, scales, .. } = stretch;
        #[cfg(target_arch = "x86_64")]
        if let (Some(simd), false) = (pulp::x86::V3::try_new(), self.fits.is_empty() || scales.len() < MANY) {
            let best = Top::new(wanted);
            let sieve = x86::Sieve { halves: self, question, stretch, best, bar, found };
            return match pulp::x86::V4::try_new() {
                Some(simd) => simd.vectorize(x86::Wide { sieve, simd }),
                None => simd.vectorize(x86::Narrow { sieve, simd }),
            };
        }
        question.products(codes, scales, |at, product| {
            found(at, product);
        });
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, cast};

    use super::super::codes::{Codes, x86};
    use super::super::top::Top;
    use super::{BLOCK, Block, Fit, Halves, Stretch, blocks};

    /// For what is rounded.
    const SLACK: f32 = 8.0;

    /// How many blocks the vectors of small encoders have: of 257 to 384 numbers.
    const USUAL: usize = 3;

    /// So many codes are read whole before the bar is raised.
    const TOGETHER: usize = 16;

    pub(super) struct Sieve<'a, F> {
        pub(super) halves: &'a Halves,
        pub(super) question: &'a Codes,
        pub(super) stretch: &'a Stretch<'a>,
        pub(super) best: Top<usize>,
        pub(super) bar: f32,
        pub(super) found: F,
    }

    /// With AVX2.
    pub(super) struct Narrow<'a, F> {
        pub(super) sieve: Sieve<'a, F>,
        pub(super) simd: V3,
    }

    impl<F: FnMut(usize, f32) -> f32> NullaryFnOnce for Narrow<'_, F> {
        type Output = ();

        #[inline(always)]
        #[expect(clippy::inline_always, reason = "what is not inlined is compiled without the instructions")]
        fn call(self) {
            let Self { sieve, simd } = self;
            sieve.run(
                simd,
                #[inline(always)]
                |question, halves| product(simd, question, halves),
            );
        }
    }

    /// With AVX-512: a block of halves an instruction.
    pub(super) struct Wide<'a, F> {
        pub(super) sieve: Sieve<'a, F>,
        pub(super) simd: V4,
    }

    impl<F: FnMut(usize, f32) -> f32> NullaryFnOnce for Wide<'_, F> {
        type Output = ();

        #[inline(always)]
        #[expect(clippy::inline_always, reason = "what is not inlined is compiled without the instructions")]
        fn call(self) {
            let Self { sieve, simd } = self;
            sieve.run(
                *simd,
                #[inline(always)]
                |question, halves| wide_product(simd, question, halves),
            );
        }
    }

    /// Which vectors may be among the best, and how good each can be at most: these alone are read whole, at random.
    struct Likely {
        found: Vec<(f32, usize)>,
        best: Top<usize>,
        bar: f32,
        /// The higher one of the bars.
        least: f32,
    }

    impl Likely {
        /// Looks at a vector, with the question's scale, the sum of its codes and their length.
        #[inline(always)]
        #[expect(clippy::inline_always, reason = "what is not inlined is compiled without the instructions")]
        #[expect(
            clippy::cast_precision_loss,
            reason = "an estimate with its slack, which is looked at again"
        )]
        fn look(
            &mut self,
            (scale, sum, length): (f32, f32, f32),
            at: usize,
            product: i32,
            fit: &Fit,
            own: f32,
        ) {
            let scale = scale * own;
            let about = fit.step * product as f32 + fit.base * sum;
            let off = length * fit.off + SLACK;
            let most = (about + off) * scale;
            if most >= self.least {
                self.best.push((about - off) * scale, self.found.len());
                self.found.push((most, at));
                self.least = self.best.bar().max(self.bar);
            }
        }
    }

    impl<F: FnMut(usize, f32) -> f32> Sieve<'_, F> {
        #[inline(always)]
        #[expect(clippy::inline_always, reason = "what is not inlined is compiled without the instructions")]
        #[expect(
            clippy::cast_precision_loss,
            reason = "an estimate with its slack, which is looked at again"
        )]
        fn run(self, simd: V3, product: impl Fn(&[[i8; BLOCK]], &[Block]) -> i32) {
            let Self { halves, question, stretch, best, mut bar, mut found } = self;
            let &Stretch { first, codes, scales } = stretch;
            let asked: Vec<[i8; BLOCK]> = blocks(&question.codes).collect();
            let sum: i32 = question.codes.iter().map(|code| i32::from(*code)).sum();
            let square: i32 = question.codes.iter().map(|code| i32::from(*code).pow(2)).sum();
            let (sum, length) = (sum as f32, (square as f32).sqrt());
            let blocks = halves.blocks.get(first * asked.len()..).unwrap_or_default();
            let fits = halves.fits.get(first..).unwrap_or_default();
            let mut likely = Likely { found: Vec::new(), least: best.bar().max(bar), best, bar };
            let look = (question.scale, sum, length);
            let vectors = fits.iter().zip(scales).enumerate();
            if let Ok(asked) = <&[_; USUAL]>::try_from(asked.as_slice()) {
                // whose loop is unrolled
                for ((at, (fit, scale)), halves) in vectors.zip(blocks.as_chunks::<USUAL>().0) {
                    likely.look(look, at, product(asked, halves), fit, *scale);
                }
            } else {
                for ((at, (fit, scale)), halves) in vectors.zip(blocks.chunks_exact(asked.len().max(1))) {
                    likely.look(look, at, product(&asked, halves), fit, *scale);
                }
            }
            let Likely { best, found: mut likely, .. } = likely;
            let dimensions = question.dimensions();
            let mut order = best.into_sorted().into_iter().chain(0..likely.len());
            // some at once: the memory answers many that do not wait for one another
            let mut together = Vec::with_capacity(TOGETHER);
            loop {
                for nth in order.by_ref() {
                    let Some((most, at)) = likely.get_mut(nth).filter(|(most, _)| *most >= bar) else {
                        continue;
                    };
                    *most = f32::NAN;
                    let codes = codes.get(*at * dimensions..(*at + 1) * dimensions);
                    if let (Some(codes), Some(scale)) = (codes, scales.get(*at)) {
                        let product = x86::product(simd, question, codes) as f32;
                        together.push((*at, product * question.scale * scale));
                    }
                    if together.len() == TOGETHER {
                        break;
                    }
                }
                if together.is_empty() {
                    return;
                }
                for (at, product) in together.drain(..) {
                    bar = found(at, product);
                }
            }
        }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the caller's instructions"
    )]
    pub(super) fn product(simd: V3, question: &[[i8; BLOCK]], halves: &[Block]) -> i32 {
        let (ones, lower) = (simd.avx._mm256_set1_epi16(1), simd.avx._mm256_set1_epi8(0x0F));
        let mut sums = simd.avx._mm256_setzero_si256();
        for (question, halves) in question.iter().zip(halves) {
            let [q0, q1, q2, q3]: [[i8; 32]; 4] = cast(*question);
            let [h0, h1]: [[u8; 32]; 2] = cast(halves.0);
            let (h0, h1) = (cast(h0), cast(h1));
            let low = |halves| simd.avx2._mm256_and_si256(halves, lower);
            let high = |halves| simd.avx2._mm256_and_si256(simd.avx2._mm256_srli_epi16::<4>(halves), lower);
            let pairs = |halves, question: [i8; 32]| simd.avx2._mm256_maddubs_epi16(halves, cast(question));
            // eight products of at most 15 times 128 fit 16 bits
            let one = simd.avx2._mm256_add_epi16(pairs(low(h0), q0), pairs(low(h1), q1));
            let other = simd.avx2._mm256_add_epi16(pairs(high(h0), q2), pairs(high(h1), q3));
            let pairs = simd.avx2._mm256_madd_epi16(simd.avx2._mm256_add_epi16(one, other), ones);
            sums = simd.avx2._mm256_add_epi32(sums, pairs);
        }
        let sums: [i32; 8] = cast(sums);
        sums.iter().sum()
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the caller's instructions"
    )]
    pub(super) fn wide_product(simd: V4, question: &[[i8; BLOCK]], halves: &[Block]) -> i32 {
        let (ones, lower) = (simd.avx512f._mm512_set1_epi16(1), simd.avx512f._mm512_set1_epi8(0x0F));
        let mut sums = simd.avx512f._mm512_setzero_si512();
        for (question, halves) in question.iter().zip(halves) {
            let [q0, q1]: [[i8; BLOCK / 2]; 2] = cast(*question);
            let halves = cast(halves.0);
            let low = simd.avx512f._mm512_and_si512(halves, lower);
            let high = simd.avx512f._mm512_and_si512(simd.avx512bw._mm512_srli_epi16::<4>(halves), lower);
            let low = simd.avx512bw._mm512_maddubs_epi16(low, cast(q0));
            let high = simd.avx512bw._mm512_maddubs_epi16(high, cast(q1));
            // four products of at most 15 times 128 fit 16 bits
            let pairs = simd.avx512bw._mm512_madd_epi16(simd.avx512bw._mm512_add_epi16(low, high), ones);
            sums = simd.avx512f._mm512_add_epi32(sums, pairs);
        }
        let sums: [i32; 16] = cast(sums);
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
        let kinds = [(128, 0), (130, 1), (384, 0), (384, 3), (1_000, 0), (1_024, 9)];
        let kinds = kinds
            .into_iter()
            .flat_map(|(dimensions, outliers)| [(dimensions, outliers, false), (dimensions, outliers, true)]);
        for (dimensions, outliers, sparse) in kinds {
            let mut vector = |near: &[f32]| -> Vec<f32> {
                let mut vector: Vec<f32> = near.iter().map(|x| x + random.f32() - 0.5).collect();
                // a few large numbers make the codes of all others small
                vector.iter_mut().take(outliers).for_each(|x| *x *= 20.0);
                if sparse {
                    // as an embedder that hashes words makes them
                    for x in &mut vector {
                        *x = if random.u8(..8) == 0 { x.abs() } else { 0.0 };
                    }
                }
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
            for first in [0, 1_500] {
                // in two parts, the second one with a bar
                let part = first..first + 1_500;
                let codes = &codes[part.start * dimensions..part.end * dimensions];
                let (stretch, bar) = (Stretch { first, codes, scales: &scales[part] }, some.bar());
                halves.products_above(&question, &stretch, 40, bar, |at, product| {
                    looked_at += 1;
                    some.push(product, first + at);
                    some.bar()
                });
            }
            assert_eq!(some.into_sorted(), all.into_sorted(), "{dimensions} {outliers} {sparse}");
            if !halves.fits.is_empty() && outliers == 0 && !sparse {
                assert!(looked_at < 1_500, "{dimensions}: {looked_at}");
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn products_are_the_same_with_any_instructions() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100 {
            let mut codes = |extreme: bool| -> Vec<[i8; BLOCK]> {
                let mut code = || if extreme { [-127, 127][random.usize(..2)] } else { random.i8(-127..) };
                (0..3).map(|_| std::array::from_fn(|_| code())).collect()
            };
            for extreme in [false, true] {
                let (question, codes) = (codes(extreme), codes(extreme));
                let halves: Vec<Block> = codes.iter().map(block).collect();
                let both = question.iter().flatten().zip(codes.iter().flatten());
                let plain: i32 = both.map(|(asked, code)| i32::from(*asked) * i32::from(upper(*code))).sum();
                if let Some(simd) = pulp::x86::V3::try_new() {
                    assert_eq!(x86::product(simd, &question, &halves), plain);
                }
                if let Some(simd) = pulp::x86::V4::try_new() {
                    assert_eq!(x86::wide_product(simd, &question, &halves), plain);
                }
            }
        }
    }

    #[test]
    fn a_line_through_halves_is_as_near_as_is_told() {
        let own = |codes: &[i8]| {
            let (question, fit) =
                (Codes::of(&codes.iter().map(|code| f32::from(*code)).collect::<Vec<_>>()), Fit::of(codes));
            let by = |of: &dyn Fn(i8) -> f32| -> f32 {
                question.codes.iter().zip(codes).map(|(asked, code)| f32::from(*asked) * of(*code)).sum()
            };
            let (exact, about) =
                (by(&|code| f32::from(code)), by(&|code| fit.base + fit.step * f32::from(upper(code))));
            let length = question.codes.iter().map(|code| f32::from(*code).powi(2)).sum::<f32>().sqrt();
            (exact - about).abs() / (fit.off * length + 8.0)
        };
        let all: Vec<i8> = (i8::MIN + 1..=i8::MAX).collect();
        let small: Vec<i8> = std::iter::once(127).chain((-6..=6).cycle().take(1_023)).collect();
        for codes in [&all[..], &small, &[1; 640], &[0; 640], &[-127; 640]] {
            assert!(own(codes) <= 1.0, "{}", own(codes));
        }
        assert!(Halves::of(&[1; 640], 64).fits.is_empty());
    }
}
