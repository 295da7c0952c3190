//! Made-up posts: seven in ten Korean, words as frequent as in real text.

use serde_json::{Value, json};

/// Different words of each language.
const WORDS: usize = 20_000;

/// Words of a post, about.
const LENGTH: usize = 60;

const PARTICLES: [&str; 10] = ["", "", "은", "는", "이", "가", "을", "를", "에서", "으로"];

pub(crate) struct Corpus {
    pub(crate) documents: Vec<Value>,
    /// One or two words each, frequent and rare ones.
    pub(crate) queries: Vec<String>,
    /// Korean words of two syllables, from frequent to rare: what `LIKE` and our terms find alike.
    pub(crate) korean: Vec<String>,
}

/// A word's number: the first ones are frequent, as G. K. Zipf found.
fn zipf(random: &mut fastrand::Rng) -> usize {
    let number = (WORDS as f64).powf(random.f64());
    (number as usize).saturating_sub(1).min(WORDS - 1)
}

fn korean_word(random: &mut fastrand::Rng) -> String {
    // syllables without rare letters: an initial consonant, one of ten vowels, mostly no final one
    let syllable = |random: &mut fastrand::Rng| {
        let vowel = [0, 1, 4, 5, 8, 13, 16, 17, 18, 20][random.usize(..10)];
        let last = if random.u8(..3) == 0 { [1, 4, 8, 16, 21][random.usize(..5)] } else { 0 };
        char::from_u32(0xAC00 + (random.u32(..19) * 21 + vowel) * 28 + last).unwrap_or('가')
    };
    (0..if random.u8(..10) < 7 { 2 } else { 3 }).map(|_| syllable(random)).collect()
}

fn english_word(random: &mut fastrand::Rng) -> String {
    (0..random.usize(4..9)).map(|_| random.lowercase()).collect()
}

pub(crate) fn id(number: usize) -> String {
    format!("post-{number:08}")
}

pub(crate) fn body(document: &Value) -> &str {
    document.get("body").and_then(Value::as_str).unwrap_or_default()
}

impl Corpus {
    pub(crate) fn new(documents: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(11);
        let korean: Vec<String> = (0..WORDS).map(|_| korean_word(&mut random)).collect();
        let english: Vec<String> = (0..WORDS).map(|_| english_word(&mut random)).collect();
        let post = |random: &mut fastrand::Rng| {
            let words = random.usize(LENGTH / 2..LENGTH * 3 / 2);
            let mut body = String::new();
            for _ in 0..words {
                if random.u8(..10) < 7 {
                    body += &korean[zipf(random)];
                    body += PARTICLES[random.usize(..PARTICLES.len())];
                } else {
                    body += &english[zipf(random)];
                }
                body.push(' ');
            }
            let category = ["run", "race", "gear", "crew"][random.usize(..4)];
            json!({
                "body": body.trim_end(), "category": category, "likes": random.u32(..1_000_000),
                "place": {"lat": 37.2 + random.f64() * 0.6, "lon": 126.6 + random.f64() * 0.8},
            })
        };
        let documents = (0..documents).map(|_| post(&mut random)).collect();
        let queries = (0..300)
            .map(|number| match number % 3 {
                0 => korean[zipf(&mut random)].clone(),
                1 => english[zipf(&mut random)].clone(),
                _ => format!("{} {}", korean[zipf(&mut random)], english[zipf(&mut random)]),
            })
            .collect();
        let two = korean.iter().filter(|word| word.chars().count() == 2);
        let korean = two
            .enumerate()
            .filter(|(number, _)| number % 97 == 5)
            .map(|(_, word)| word.clone())
            .take(40)
            .collect();
        Self { documents, queries, korean }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.documents.iter().map(|document| body(document).len()).sum()
    }
}
