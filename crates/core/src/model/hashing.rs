//! An embedder that needs no file.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use async_trait::async_trait;

use super::{Embedder, Embedding};
use crate::Result;
use crate::text::{Analyzer, TokenKind, TokenRef};

/// An [`Embedder`] that needs no weights, no network and no time to load: words and pieces of words, hashed.
///
/// What it measures is shared vocabulary, tolerant of endings, particles, compounds and typos; not meaning. "달리기를" and
/// "달리기" are close, "jog" and "run" are not: of the ten questions of this module's tests, two lie closer to a wrong text that
/// shares their words than to the right one that does not. It stands in where a sentence encoder is not at hand, and it is a
/// baseline to measure one against.
///
/// A text is taken apart by the [`Analyzer`]: Korean words without their particles and endings, stemmed English words,
/// numbers. Features are the terms (weight 1; bigrams of syllables ½, function words 0.1), the pairs of neighbouring words (½), and
/// the character n-grams of each word with its ends marked: 2 and 3 syllables in scripts whose characters carry that much
/// (Hangul, Han, Kana), 3 to 5 letters in others (a word's n-grams share the weight 1½). Each feature is hashed to one
/// dimension and one sign; repeated features count `1 + ln n`; the vector is scaled to length one.
///
/// Sources: feature hashing with signs, Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009;
/// word-internal n-grams with marked ends, Bojanowski et al., "Enriching Word Vectors with Subword Information", TACL 2017.
///
/// ```
/// use pumasi_core::model::{Embedder, HashingEmbedder};
///
/// # futures_util::FutureExt::now_or_never(async {
/// let embedder = HashingEmbedder::new();
/// let texts = ["하프 마라톤 완주하기", "하프마라톤을 완주했다", "된장찌개를 끓였다"];
/// let vectors = embedder.embed(&texts).await?;
/// let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
/// assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]) + 0.2);
/// # Ok::<(), pumasi_core::Error>(())
/// # }).unwrap()?;
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HashingEmbedder {
    name: String,
    dimensions: usize,
    analyzer: Analyzer,
}

impl HashingEmbedder {
    /// Makes an embedder with 1,024 dimensions.
    pub fn new() -> Self {
        Self::sized(1024)
    }

    /// Makes an embedder with this many dimensions: fewer take less room, and let more features collide.
    pub fn with_dimensions(dimensions: NonZeroUsize) -> Self {
        Self::sized(dimensions.get())
    }

    fn sized(dimensions: usize) -> Self {
        // The version changes whenever the same text would get another vector.
        Self { name: format!("hashing-1-{dimensions}"), dimensions, analyzer: Analyzer::default() }
    }

    /// Embeds one text.
    pub fn embed_one(&self, text: &str) -> Embedding {
        let mut sums = vec![0.0_f32; self.dimensions];
        for (hash, weight) in features(&self.analyzer, text) {
            let slot = self.slot(hash);
            if let Some(sum) = sums.get_mut(slot) {
                // The highest bit is the sign; the slot comes from the others.
                *sum += if hash >> 63 == 0 { weight } else { -weight };
            }
        }
        let length = sums.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > f32::EPSILON {
            for x in &mut sums {
                *x /= length;
            }
        } else {
            // A text without a letter or digit, or one whose features cancel out, still has a direction.
            sums.fill(0.0);
            let slot = self.slot(hash(0, ""));
            if let Some(x) = sums.get_mut(slot) {
                *x = 1.0;
            }
        }
        sums
    }

    fn slot(&self, hash: u64) -> usize {
        let dimensions = u64::try_from(self.dimensions).unwrap_or(u64::MAX).max(1);
        usize::try_from((hash & (u64::MAX >> 1)) % dimensions).unwrap_or(0)
    }
}

impl Default for HashingEmbedder {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Embedder for HashingEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        Ok(texts.iter().map(|text| self.embed_one(text)).collect())
    }
}

const PAIR: f32 = 0.5;
const PIECES: f32 = 1.5;

/// The most characters of a term whose n-grams are taken: more is a URL or a run of letters.
const LONGEST: usize = 32;

/// Words that questions and stories are full of, and that a search must still find, so that the analyzer keeps them.
const FILLERS: [&str; 24] = [
    "am", "can", "could", "did", "do", "doe", "from", "had", "has", "have", "how", "i", "i'm", "me", "my",
    "our", "should", "so", "we", "what", "when", "which", "you", "your",
];

/// How much a term counts.
fn weight(token: &TokenRef<'_>) -> f32 {
    match token.kind {
        TokenKind::Stop => 0.1,
        TokenKind::Bigram => 0.5,
        TokenKind::Word if is_filler(token) => 0.1,
        _ => 1.0,
    }
}

fn is_filler(token: &TokenRef<'_>) -> bool {
    FILLERS.binary_search(&token.text).is_ok()
}

/// Collects the features of a text with their weights. Ordered, so that sums do not depend on a map's seed.
fn features(analyzer: &Analyzer, text: &str) -> BTreeMap<u64, f32> {
    let mut counts: BTreeMap<u64, (f32, f32)> = BTreeMap::new();
    let mut add = |hash: u64, weight: f32| {
        let (count, of) = counts.entry(hash).or_insert((0.0, weight));
        *count += 1.0;
        *of = of.max(weight);
    };
    let mut last = String::new();
    analyzer.for_each(text, |token| {
        add(hash(1, token.text), weight(&token));
        if !matches!(token.kind, TokenKind::Word | TokenKind::Stem) || is_filler(&token) {
            return;
        }
        let pieces = pieces(token.text);
        #[expect(clippy::cast_precision_loss, reason = "a term has at most some hundred n-grams")]
        let share = PIECES / (pieces.len().max(1) as f32).sqrt();
        for piece in &pieces {
            add(hash(2, piece), share);
        }
        if !last.is_empty() {
            add(hash(3, &format!("{last} {}", token.text)), PAIR);
        }
        token.text.clone_into(&mut last);
    });
    counts.into_iter().map(|(hash, (count, weight))| (hash, weight * (1.0 + count.ln()))).collect()
}

/// Lists the n-grams of a word with its ends marked.
fn pieces(word: &str) -> Vec<String> {
    let marked: Vec<char> =
        std::iter::once('<').chain(word.chars().take(LONGEST)).chain(std::iter::once('>')).collect();
    let sizes = if word.chars().any(is_syllabic) { 2..=3 } else { 3..=5 };
    sizes.flat_map(|size| marked.windows(size).map(|piece| piece.iter().collect())).collect()
}

/// Tells whether a character carries a syllable or a word by itself: Hangul, Kana, Han.
fn is_syllabic(character: char) -> bool {
    matches!(character, '\u{AC00}'..='\u{D7A3}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// FNV-1a over the kind and the bytes (draft-eastlake-fnv), its bits then spread by the finaliser of MurmurHash3.
fn hash(kind: u8, text: &str) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in std::iter::once(kind).chain(text.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(one: &str, two: &str) -> f32 {
        let embedder = HashingEmbedder::new();
        let (one, two) = (embedder.embed_one(one), embedder.embed_one(two));
        one.iter().zip(&two).map(|(x, y)| x * y).sum()
    }

    /// Ten questions, each with what answers it and what does not. None was left out for how it is ranked; the hard ones
    /// share more words with the wrong text than with the right one.
    #[test]
    fn most_questions_are_closer_to_their_answer_than_to_another_text() {
        let triples = [
            (
                "무릎 통증 없이 달리는 방법",
                "무릎이 아프지 않게 달리기, 무릎 통증 줄이기",
                "서울에서 김치 담그기",
            ),
            ("하프 마라톤을 준비하고 싶어요", "하프마라톤 준비 8주 훈련표", "영어 회화 공부를 시작했다"),
            ("run a half marathon", "ran my first half-marathon", "bake sourdough bread"),
            ("save money every month", "monthly saving plans", "learn to swim"),
            ("데이터베이스 백업", "데이타베이스 백업하기", "강아지 산책"),
            ("매일 아침 30분 걷기", "아침마다 걸었어요", "저녁에 책 읽기"),
            ("이력서를 고치는 방법", "이력서 첨삭 받기", "집 청소를 하는 방법"),
            ("체중 10kg 감량", "10kg 뺐습니다", "체중계 고르기 10가지"),
            (
                "how do I prepare for a job interview",
                "practised interview questions with a friend",
                "how do I prepare for a marathon",
            ),
            ("영어 실력을 늘리고 싶어요", "매일 원서를 읽으며 단어를 외웠다", "근력을 늘리고 싶어요"),
        ];
        let mut wrong = Vec::new();
        for (query, near, far) in triples {
            let (near, far) = (cosine(query, near), cosine(query, far));
            if near <= far {
                wrong.push(format!("{query}: near {near:.2}, far {far:.2}"));
            }
        }
        assert_eq!((triples.len(), wrong.len()), (10, 2), "the documentation says so: {wrong:#?}");
    }

    #[test]
    fn writing_the_same_otherwise_is_the_same() {
        use unicode_normalization::UnicodeNormalization;
        let decomposed: String = "달리기 ＡＢＣ".nfd().collect();
        assert!(cosine("달리기 abc", &decomposed) > 0.9999);
        assert!(cosine("달리기!!! abc", "  달리기,ABC ") > 0.9999);
    }

    #[test]
    fn every_vector_has_length_one_and_finite_numbers() {
        let long = "가나다".repeat(10_000);
        for text in ["", " ", "!!!", "a", "가", "🏃", "\u{0}\u{301}", &long] {
            for dimensions in [1, 7, 1024] {
                let embedder = HashingEmbedder::with_dimensions(NonZeroUsize::new(dimensions).unwrap());
                let vector = embedder.embed_one(text);
                let length: f32 = vector.iter().map(|x| x * x).sum();
                assert_eq!(vector.len(), dimensions);
                assert!((length - 1.0).abs() < 1e-4 && vector.iter().all(|x| x.is_finite()), "{length}");
            }
        }
    }

    #[test]
    fn the_vectors_never_change() {
        // Stored vectors must stay comparable: a change here needs a new version in the name.
        let vector = HashingEmbedder::with_dimensions(NonZeroUsize::new(8).unwrap()).embed_one("달리기 run");
        let recorded = [-0.587, -0.212, -0.212, 0.253, 0.0, -0.347, 0.0, 0.618];
        assert!(vector.iter().zip(recorded).all(|(x, y): (&f32, f32)| (x - y).abs() < 0.001), "{vector:?}");
    }
}
