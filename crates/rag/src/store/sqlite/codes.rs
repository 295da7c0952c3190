//! Vectors in 8 bits a number, and their products.

/// Codes a vector in 8 bits a number, and returns what to multiply them by.
pub(super) fn encode(vector: &[f32], codes: &mut Vec<i8>) -> f32 {
    let largest = vector.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        codes.extend(vector.iter().map(|_| 0));
        return 0.0;
    }
    let scale = largest / 127.0;
    #[expect(clippy::cast_possible_truncation, reason = "the quotient lies within -127 and 127")]
    codes.extend(vector.iter().map(|x| (x / scale).round() as i8));
    scale
}

/// A vector's codes, and what they are multiplied by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coded<'a> {
    pub(super) codes: &'a [i8],
    pub(super) scale: f32,
}

impl Coded<'_> {
    #[expect(clippy::cast_precision_loss, reason = "the square of a length, which need not be exact")]
    fn square_of_length(&self) -> f32 {
        let square: i64 = self.codes.iter().map(|code| i64::from(*code) * i64::from(*code)).sum();
        square as f32 * self.scale.powi(2)
    }
}

/// The codes of a question's vector, and how large each is.
pub(super) struct Codes {
    pub(super) codes: Vec<i8>,
    sizes: Vec<u8>,
    pub(super) scale: f32,
}

impl Codes {
    pub(super) fn of(vector: &[f32]) -> Self {
        let mut codes = Vec::with_capacity(vector.len());
        let scale = encode(vector, &mut codes);
        let sizes = codes.iter().map(|code| code.unsigned_abs()).collect();
        Self { codes, sizes, scale }
    }

    /// Takes a vector that has been coded before.
    pub(super) fn from_coded(coded: Coded<'_>) -> Self {
        let sizes = coded.codes.iter().map(|code| code.unsigned_abs()).collect();
        Self { codes: coded.codes.to_vec(), sizes, scale: coded.scale }
    }

    pub(super) fn dimensions(&self) -> usize {
        self.codes.len()
    }

    /// Tells how far about a vector's product with the question's may be from what the codes say: eight standard deviations, where each
    /// number was rounded by up to half of a step, by chance.
    pub(super) fn error(&self, vector: Coded<'_>) -> f32 {
        const DEVIATIONS: f32 = 8.0;
        let own = Coded { codes: &self.codes, scale: self.scale };
        let square =
            own.square_of_length() * vector.scale.powi(2) + vector.square_of_length() * self.scale.powi(2);
        DEVIATIONS * (square / 12.0).sqrt()
    }

    /// Hands on where each vector stands in `codes`, and about its product with the question's.
    pub(super) fn products(&self, codes: &[i8], scales: &[f32], found: impl FnMut(usize, f32)) {
        self.products_at(codes, scales, 0..scales.len(), found);
    }

    /// As [`products`](Self::products), for the vectors at some places only.
    pub(super) fn products_at(
        &self,
        codes: &[i8],
        scales: &[f32],
        places: impl Iterator<Item = usize>,
        found: impl FnMut(usize, f32),
    ) {
        let scan = Scan { question: self, codes, scales, places, found };
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            return simd.vectorize(x86::Fast { scan, simd });
        }
        scan.run(product);
    }
}

/// All products of a question with some vectors.
struct Scan<'a, P, F> {
    question: &'a Codes,
    codes: &'a [i8],
    scales: &'a [f32],
    places: P,
    found: F,
}

impl<P: Iterator<Item = usize>, F: FnMut(usize, f32)> Scan<'_, P, F> {
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the caller's instructions"
    )]
    #[expect(clippy::cast_precision_loss, reason = "an estimate, which is looked at again")]
    fn run(mut self, product: impl Fn(&Codes, &[i8]) -> i32) {
        let question = self.question;
        let dimensions = question.dimensions();
        for at in self.places {
            let vector = self.codes.get(at * dimensions..(at + 1) * dimensions);
            if let (Some(vector), Some(scale)) = (vector, self.scales.get(at)) {
                (self.found)(at, product(question, vector) as f32 * question.scale * scale);
            }
        }
    }
}

/// In sixteen sums: what a compiler makes vector instructions of, for any processor.
fn product(question: &Codes, codes: &[i8]) -> i32 {
    let (question, question_rest) = question.codes.as_chunks::<16>();
    let (codes, codes_rest) = codes.as_chunks::<16>();
    let mut sums = [0_i32; 16];
    for (question, codes) in question.iter().zip(codes) {
        for ((sum, x), y) in sums.iter_mut().zip(question).zip(codes) {
            *sum += i32::from(*x) * i32::from(*y);
        }
    }
    sums.iter().sum::<i32>() + rest(question_rest, codes_rest)
}

fn rest(question: &[i8], codes: &[i8]) -> i32 {
    question.iter().zip(codes).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum()
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, cast};

    use super::{Codes, Scan, rest};

    /// A scan with AVX2: thirty-two codes an instruction, where the usual build has eight products in several.
    pub(super) struct Fast<'a, P, F> {
        pub(super) scan: Scan<'a, P, F>,
        pub(super) simd: V3,
    }

    impl<P: Iterator<Item = usize>, F: FnMut(usize, f32)> NullaryFnOnce for Fast<'_, P, F> {
        type Output = ();

        #[inline(always)]
        #[expect(clippy::inline_always, reason = "what is not inlined is compiled without the instructions")]
        fn call(self) {
            let Self { scan, simd } = self;
            scan.run(
                #[inline(always)]
                |question, codes| product(simd, question, codes),
            );
        }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for the caller's instructions"
    )]
    pub(in super::super) fn product(simd: V3, question: &Codes, codes: &[i8]) -> i32 {
        let (signs, question_rest) = question.codes.as_chunks::<32>();
        let (sizes, _) = question.sizes.as_chunks::<32>();
        let (codes, codes_rest) = codes.as_chunks::<32>();
        let ones = simd.avx._mm256_set1_epi16(1);
        let mut sums = simd.avx._mm256_setzero_si256();
        for ((signs, sizes), codes) in signs.iter().zip(sizes).zip(codes) {
            // |x| times y with the sign of x; two such of at most 127 x 127 fit 16 bits
            let signed = simd.avx2._mm256_sign_epi8(cast(*codes), cast(*signs));
            let pairs = simd.avx2._mm256_maddubs_epi16(cast(*sizes), signed);
            sums = simd.avx2._mm256_add_epi32(sums, simd.avx2._mm256_madd_epi16(pairs, ones));
        }
        let sums: [i32; 8] = cast(sums);
        sums.iter().sum::<i32>() + rest(question_rest, codes_rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_the_same_with_any_instructions_and_near_the_exact_ones() {
        for dimensions in [1, 8, 15, 16, 17, 31, 32, 33, 384, 1_000] {
            let number = |at: usize| f32::from(u16::try_from(at * 7_919 % 2_003).unwrap()) / 1_001.0 - 1.0;
            let vectors: Vec<Vec<f32>> =
                (0..20).map(|nth| (0..dimensions).map(|at| number(nth * 31 + at * 17)).collect()).collect();
            let (mut codes, mut scales) = (Vec::new(), Vec::new());
            for vector in &vectors {
                scales.push(encode(vector, &mut codes));
            }
            let question = Codes::of(&vectors[3]);
            let (mut fast, mut plain) = (Vec::new(), Vec::new());
            question.products(&codes, &scales, |at, product| fast.push((at, product)));
            let found = |at, product| plain.push((at, product));
            Scan { question: &question, codes: &codes, scales: &scales, places: 0..20, found }.run(product);
            assert_eq!(fast, plain);
            assert_eq!(fast.len(), 20);
            for (at, near) in fast {
                let exact: f32 = vectors[3].iter().zip(&vectors[at]).map(|(x, y)| x * y).sum();
                let most = 0.01 * f32::from(u16::try_from(dimensions).unwrap());
                assert!((near - exact).abs() < most, "{dimensions} {at}: {near} {exact}");
            }
        }
    }

    #[test]
    fn products_are_as_near_as_is_told() {
        let mut random = fastrand::Rng::with_seed(4);
        let dense = |random: &mut fastrand::Rng| (0..384).map(|_| random.f32() - 0.5).collect::<Vec<_>>();
        // as an embedder that hashes words makes them: the same number in a few places, twice it in one
        let sparse = |random: &mut fastrand::Rng| {
            let mut vector = vec![0.0; 384];
            (0..12).for_each(|_| vector[random.usize(..40)] += 1.0);
            vector
        };
        let mut worst = 0.0_f32;
        for nth in 0..2_000 {
            let (one, other) = if nth % 2 == 0 {
                (dense(&mut random), dense(&mut random))
            } else {
                (sparse(&mut random), sparse(&mut random))
            };
            let (mut codes, question) = (Vec::new(), Codes::of(&one));
            let scale = encode(&other, &mut codes);
            let error = question.error(Coded { codes: &codes, scale });
            let exact: f32 = one.iter().zip(&other).map(|(x, y)| x * y).sum();
            question.products(&codes, &[scale], |_, near| worst = worst.max((near - exact).abs() / error));
        }
        assert!((0.3..1.0).contains(&worst), "{worst}");
    }

    #[test]
    fn vectors_of_the_largest_codes_do_not_overflow() {
        let vector = vec![1.0; 16_384];
        let mut codes = Vec::new();
        let scale = encode(&vector, &mut codes);
        let mut all = Vec::new();
        Codes::of(&vector).products(&codes, &[scale], |_, product| all.push(product));
        assert!((all[0] - 16_384.0).abs() < 1.0);
    }
}
