use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::text::Analyzer;

/// A word, its class towards both sides, part of speech, cost and description.
type Row = (&'static str, u16, u16, i16, &'static str);

const WORDS: &[Row] = &[
    ("러닝", 1, 1, 10, "NNG,*,T,러닝,*,*,*,*"),
    ("크루", 1, 1, 10, "NNG,*,F,크루,*,*,*,*"),
    ("하프마라톤", 1, 1, 10, "NNG,*,T,하프마라톤,Compound,*,*,하프/NNG/*+마라톤/NNG/*"),
    ("한강", 1, 1, 10, "NNP,*,T,한강,*,*,*,*"),
    ("에", 1, 3, 40, "IC,*,F,에,*,*,*,*"),
    ("에", 2, 2, 5, "JKB,*,F,에,*,*,*,*"),
    ("에서", 2, 2, 5, "JKB,*,F,에서,*,*,*,*"),
    ("달렸", 1, 4, 10, "VV+EP,*,T,달렸,Inflect,VV,EP,달리/VV/*+었/EP/*"),
    ("다", 4, 5, 10, "EF,*,F,다,*,*,*,*"),
    ("같", 1, 1, 10, "NNG,*,T,같,*,*,*,*"),
    ("같", 1, 1, 10, "NNP,*,T,같,*,*,*,*"),
];

const UNKNOWN: &[Row] = &[
    ("DEFAULT", 1, 1, 900, "SY,*,*,*,*,*,*,*"),
    ("SPACE", 1, 1, 900, "SP,*,*,*,*,*,*,*"),
    ("HANGUL", 1, 1, 300, "UNKNOWN,*,*,*,*,*,*,*"),
    ("ALPHA", 1, 1, 50, "SL,*,*,*,*,*,*,*"),
];

/// Compiles a lexicon as MeCab does: parts of speech are the class, so that penalties can name them.
fn compile(rows: &[Row]) -> Vec<u8> {
    let mut by_word: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_word.entry(row.0).or_default().push(row);
    }
    let (mut entries, mut features, mut values) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (word, rows) in &by_word {
        values.insert(word.as_bytes().to_vec(), (entries.len() / 16) << 8 | rows.len());
        for (_, left, right, cost, feature) in rows {
            let halves = [*left, *right, *left, cost.cast_unsigned()];
            entries.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
            entries.extend(u32::try_from(features.len()).unwrap().to_le_bytes());
            entries.extend([0; 4]);
            features.extend(feature.as_bytes());
            features.push(0);
        }
    }
    let mut nodes = vec![(0_i32, 0_u32); 1 << 14];
    let mut free = 1_usize;
    let mut open = vec![(0_usize, Vec::new())];
    while let Some((node, prefix)) = open.pop() {
        let base = free;
        free += 300;
        nodes[node].0 = i32::try_from(base).unwrap();
        if let Some(value) = values.get(&prefix) {
            nodes[base] = (-i32::try_from(*value).unwrap() - 1, u32::try_from(base).unwrap());
        }
        let next: std::collections::BTreeSet<u8> = values
            .keys()
            .filter(|key| key.starts_with(&prefix))
            .filter_map(|key| key.get(prefix.len()))
            .copied()
            .collect();
        for byte in next {
            let at = base + usize::from(byte) + 1;
            nodes[at].1 = u32::try_from(base).unwrap();
            open.push((at, [prefix.as_slice(), &[byte]].concat()));
        }
    }
    let array: Vec<u8> =
        nodes.iter().flat_map(|(base, check)| [base.to_le_bytes(), check.to_le_bytes()].concat()).collect();
    let mut out = vec![0; 72];
    out[40..45].copy_from_slice(b"UTF-8");
    for (at, part) in [(24, &array), (28, &entries), (32, &features)] {
        out[at..at + 4].copy_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes());
    }
    out[4..8].copy_from_slice(&102_u32.to_le_bytes());
    out.extend([array, entries, features].concat());
    let magic = u32::try_from(out.len()).unwrap() ^ 0xEF71_8F77;
    out[..4].copy_from_slice(&magic.to_le_bytes());
    out
}

/// Writes a small dictionary. Five classes; a particle behind nothing, an ending behind no stem, and whatever behind an
/// exclamation cost a lot.
fn write(folder: &Path) {
    std::fs::write(folder.join("sys.dic"), compile(WORDS)).unwrap();
    std::fs::write(folder.join("unk.dic"), compile(UNKNOWN)).unwrap();
    std::fs::write(folder.join("dicrc"), "cost-factor = 800\nleft-space-penalty-factor = 2,3000, 4,6000\n")
        .unwrap();
    let mut matrix: Vec<u8> = [6_u16, 6].iter().flat_map(|size| size.to_le_bytes()).collect();
    for left in 0..6 {
        for right in 0..6 {
            let cost: i16 = match (right, left) {
                (0 | 2, 2) | (0..=3, 4) | (3, 0..=5) => 500,
                (4, 0 | 1) => 500,
                _ => 7,
            };
            matrix.extend(cost.to_le_bytes());
        }
    }
    std::fs::write(folder.join("matrix.bin"), matrix).unwrap();
    let names = ["DEFAULT", "SPACE", "HANGUL", "ALPHA"];
    let mut chars = u32::try_from(names.len()).unwrap().to_le_bytes().to_vec();
    for name in names {
        let mut field = [0; 32];
        field[..name.len()].copy_from_slice(name.as_bytes());
        chars.extend(field);
    }
    for code in 0..0xFFFF_u32 {
        let (category, length, groups, always): (u32, u32, u32, u32) = match char::from_u32(code) {
            Some(' ') => (1, 0, 1, 0),
            Some('가'..='힣') => (2, 2, 1, 0),
            Some('a'..='z') => (3, 0, 1, 1),
            _ => (0, 1, 0, 1),
        };
        chars.extend(
            (1 << category | category << 18 | length << 26 | groups << 30 | always << 31).to_le_bytes(),
        );
    }
    std::fs::write(folder.join("char.bin"), chars).unwrap();
}

fn small() -> Dictionary {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    Dictionary::open(folder.path()).unwrap()
}

fn tagged(dictionary: &Dictionary, text: &str) -> String {
    let words = dictionary.lexemes(text);
    words.iter().map(|word| format!("{}/{}", word.span.of(text), word.tag)).collect::<Vec<_>>().join(" ")
}

#[test]
fn takes_the_cheapest_way() {
    let small = small();
    assert_eq!(tagged(&small, "한강에서 달렸다"), "한강/NNP 에서/JKB 달렸/VV+EP 다/EF");
    assert_eq!(tagged(&small, "러닝크루에"), "러닝/NNG 크루/NNG 에/JKB");
    assert_eq!(tagged(&small, ""), "");
    assert_eq!(tagged(&small, "  \n "), "");
    assert_eq!(tagged(&small, " 한강 \n 러닝 "), "한강/NNP 러닝/NNG");
}

#[test]
fn a_space_before_a_particle_costs_more() {
    let small = small();
    assert_eq!(tagged(&small, "한강에 러닝"), "한강/NNP 에/JKB 러닝/NNG");
    assert_eq!(tagged(&small, "한강 에 러닝"), "한강/NNP 에/IC 러닝/NNG");
}

#[test]
fn of_words_that_cost_the_same_the_first_one_is_taken() {
    assert_eq!(tagged(&small(), "같"), "같/NNG");
}

#[test]
fn makes_up_words_that_it_does_not_have() {
    let small = small();
    assert_eq!(tagged(&small, "꿀팁"), "꿀팁/UNKNOWN");
    assert_eq!(tagged(&small, "kafka에서"), "kafka/SL 에서/JKB");
    assert_eq!(tagged(&small, "🏃한강"), "🏃/SY 한강/NNP");
    assert!(small.lexemes("kafka").iter().all(|word| !word.known));
    // a run that is too long for one word is taken syllable by syllable, and none is lost
    let long = "꿹".repeat(100);
    let spans: usize = small.lexemes(&long).iter().map(|word| word.span.len()).sum();
    assert_eq!(spans, long.len());
}

#[test]
fn knows_the_parts_of_what_has_grown_together() {
    let small = small();
    let parts = |text: &str| -> Vec<(String, String)> {
        let lexemes = small.lexemes(text);
        lexemes
            .iter()
            .flat_map(Lexeme::parts)
            .map(|part| (part.form.to_owned(), part.tag.to_owned()))
            .collect()
    };
    let pair = |form: &str, tag: &str| (form.to_owned(), tag.to_owned());
    assert_eq!(parts("달렸다"), [pair("달리", "VV"), pair("었", "EP")]);
    assert_eq!(parts("하프마라톤"), [pair("하프", "NNG"), pair("마라톤", "NNG")]);
}

#[test]
fn morphemes_are_terms_beside_stem_and_bigrams() {
    let analyzer = Analyzer::default().with_morphology(small());
    let terms = |text: &str| -> Vec<(String, u32)> {
        analyzer.tokens(text).into_iter().map(|token| (token.text, token.position)).collect()
    };
    let row =
        |row: &[(&str, u32)]| row.iter().map(|(text, at)| ((*text).to_owned(), *at)).collect::<Vec<_>>();
    assert_eq!(
        terms("러닝크루에서"),
        row(&[("러닝크루", 0), ("러닝", 0), ("러닝", 0), ("닝크", 1), ("크루", 2), ("크루", 2)])
    );
    assert_eq!(terms("달렸다"), row(&[("달렸", 0), ("달리", 0), ("달렸", 0)]));
    assert_eq!(terms("같"), row(&[("같", 0), ("같", 0)]));
}

#[test]
fn a_folder_without_a_dictionary_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Dictionary::open(folder.path()).unwrap_err().kind(), ErrorKind::NotFound);
    write(folder.path());
    for file in ["sys.dic", "unk.dic", "char.bin", "matrix.bin"] {
        let whole = std::fs::read(folder.path().join(file)).unwrap();
        for length in [0, 3, 71, whole.len() / 2] {
            std::fs::write(folder.path().join(file), &whole[..length]).unwrap();
            assert_eq!(
                Dictionary::open(folder.path()).unwrap_err().kind(),
                ErrorKind::Storage,
                "{file} of {length}"
            );
        }
        std::fs::write(folder.path().join(file), whole).unwrap();
    }
}

#[test]
fn a_damaged_dictionary_gives_an_error_or_some_words_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..300 {
        let file = ["sys.dic", "unk.dic", "char.bin", "matrix.bin", "dicrc"][round % 5];
        let whole = std::fs::read(folder.path().join(file)).unwrap();
        let mut damaged = whole.clone();
        for _ in 0..random.usize(1..40) {
            // what stands first is read first
            let within = if random.bool() { 200 } else { usize::MAX };
            let at = random.usize(..damaged.len().min(within));
            damaged[at] = random.u8(..);
        }
        std::fs::write(folder.path().join(file), damaged).unwrap();
        if let Ok(dictionary) = Dictionary::open(folder.path()) {
            let text = "한강에서 러닝크루가 10km를 달렸다 🏃 kafka 같 하프마라톤";
            let lexemes = dictionary.lexemes(text);
            assert!(lexemes.iter().all(|word| text.get(word.span.range()).is_some()));
            let analyzer = Analyzer::default().with_morphology(dictionary);
            assert!(!analyzer.tokens(text).is_empty());
        }
        std::fs::write(folder.path().join(file), whole).unwrap();
    }
}

#[test]
fn very_long_lines_take_linear_time() {
    let small = small();
    for piece in ["가", "러닝", "a", " ", "한강에서 ", "🏃"] {
        let text = piece.repeat(100_000 / piece.len());
        let started = std::time::Instant::now();
        let taken: usize = small.lexemes(&text).iter().map(|word| word.span.len()).sum();
        assert_eq!(taken, text.chars().filter(|c| *c != ' ').map(char::len_utf8).sum::<usize>());
        // a quadratic search took half a minute
        assert!(started.elapsed().as_secs() < 10, "{piece}: {:?}", started.elapsed());
    }
}

proptest! {
    #[test]
    fn no_term_is_lost_by_a_dictionary(text in "[가-나러닝크루한강에서달렸다같a ]{0,30}") {
        let dictionary = small_once();
        let with = Analyzer::default().with_morphology(dictionary).tokens(&text);
        let mut rest = with.iter();
        for token in Analyzer::default().tokens(&text) {
            let kept = rest.any(|other| other == &token);
            prop_assert!(kept, "{} of {text}", token.text);
        }
        let mut last = 0;
        for token in &with {
            prop_assert!(token.position >= last && text.get(token.span.range()).is_some_and(|piece| !piece.is_empty()));
            last = token.position;
        }
    }
}

/// One dictionary for all cases.
fn small_once() -> std::sync::Arc<Dictionary> {
    static SMALL: std::sync::OnceLock<std::sync::Arc<Dictionary>> = std::sync::OnceLock::new();
    std::sync::Arc::clone(SMALL.get_or_init(|| std::sync::Arc::new(small())))
}

/// What MeCab (mecab-ko, with mecab-ko-dic 2.1.1) makes of a few lines.
const MECAB: &[(&str, &str)] = &[
    (
        "러닝크루에서 10km를 달렸습니다. 에어팟 잃어버렸어요",
        "러닝/NNG 크루/NNP 에서/JKB 10/SN km/SL 를/JKO 달렸/VV+EP 습니다/EF ./SF 에/IC 어/IC 팟/NNG 잃어버렸/VV+EP 어요/EF",
    ),
    ("한강은 아름다웠다  ", "한강/NNP 은/JX 아름다웠/VA+EP 다/EC"),
];

#[test]
fn the_real_dictionary_is_read_as_mecab_reads_it() {
    let dictionary = match Dictionary::find() {
        Ok(dictionary) => dictionary,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            #[expect(clippy::print_stdout, reason = "a skip is told")]
            {
                println!("skipped: no Korean dictionary; scripts/ko-dic fetches one");
            }
            return;
        }
    };
    for (text, expected) in MECAB {
        assert_eq!(tagged(&dictionary, text), *expected);
    }
}
