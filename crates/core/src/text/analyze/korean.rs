//! Korean stems without a dictionary.

/// Particles and endings, longest first within each count of syllables. After Martin (1992), "A Reference Grammar of
/// Korean", and the particle and ending classes (J*, E*, XSN) of the Sejong tag set; which of them pay was measured.
const SUFFIXES: &[&[&str]] = &[
    &["이었습니다", "하겠습니다", "으로부터는", "에서부터는"],
    &[
        "했습니다",
        "됐습니다",
        "였습니다",
        "겠습니다",
        "었습니다",
        "았습니다",
        "으로부터",
        "에서부터",
        "이라고는",
        "으로서는",
        "에게서는",
        "이었으며",
        "이라는데",
        "하였으며",
    ],
    &[
        "합니다",
        "입니다",
        "됩니다",
        "습니다",
        "습니까",
        "입니까",
        "합니까",
        "에서는",
        "에서도",
        "에서의",
        "으로는",
        "으로도",
        "으로의",
        "으로써",
        "으로서",
        "에게는",
        "에게도",
        "에게서",
        "까지는",
        "까지도",
        "까지의",
        "부터는",
        "부터의",
        "이라는",
        "이라고",
        "이라며",
        "이었다",
        "이었던",
        "이지만",
        "하였다",
        "하였고",
        "하였던",
        "하면서",
        "되었다",
        "되었고",
        "되었던",
        "했으며",
        "했지만",
        "했는데",
        "했어요",
        "였으며",
        "였지만",
        "되면서",
        "인가요",
        "었어요",
        "았어요",
        "는가요",
        "하도록",
        "하려고",
        "이든지",
        "들에게",
        "들이나",
        "들로서",
        "으로만",
        "에까지",
        "이에요",
        "하세요",
        "할까요",
        "이면서",
        "하지만",
        "조차도",
        "만으로",
        "들에서",
        "들로는",
        "로부터",
        "해야지",
        "한다면",
        "한다고",
        "한다는",
        "했다고",
        "했다는",
        "된다고",
        "된다는",
        "됐다고",
    ],
    &[
        "에서", "에게", "에는", "에도", "에만", "까지", "부터", "보다", "처럼", "으로", "로서", "로써",
        "로는", "로도", "로의", "라는", "라고", "라며", "이나", "이란", "이며", "이고", "이다", "이면",
        "인데", "이라", "이랑", "이든", "이야", "들은", "들이", "들을", "들의", "들도", "들과", "들로",
        "께서", "한테", "밖에", "조차", "마저", "마다", "만을", "만이", "만의", "만은", "와의", "과의",
        "과는", "와는", "과도", "와도", "하다", "하는", "하고", "하여", "하며", "하면", "하기", "하게",
        "하지", "하던", "하려", "하자", "해서", "해야", "해요", "한다", "했다", "했고", "했던", "했을",
        "했지", "되다", "되는", "되고", "되어", "되며", "되면", "되기", "되지", "되던", "된다", "됐다",
        "됐고", "됐던", "돼서", "였다", "였고", "였던", "었다", "었고", "었던", "았다", "았고", "았던",
        "는데", "은데", "지만", "면서", "려고", "도록", "어서", "아서", "어요", "아요", "예요", "네요",
        "는지", "은지", "인지", "인가", "는가", "던가", "거나", "든지", "다고", "다는", "다가", "으며",
        "으면", "으나", "으니", "으로", "대로", "만큼", "같이", "적인", "적으",
    ],
    &[
        "은", "는", "이", "가", "을", "를", "의", "에", "도", "로", "와", "과", "만", "랑", "들", "란", "인",
        "한", "할", "된", "될", "고", "며", "면", "던", "요", "께", "엔", "나", "여", "기", "게", "지", "다",
    ],
];

/// The fewest syllables a stem keeps.
const SHORTEST: usize = 2;

/// Bytes of a Hangul syllable in UTF-8.
const SYLLABLE: usize = 3;

/// Returns what of `word`, a run of Hangul syllables, is left when its particles and endings are stripped by list: never less
/// than two syllables of a longer word.
pub(super) fn stem(word: &str) -> &str {
    let syllables = word.len() / SYLLABLE;
    for (group, suffixes) in SUFFIXES.iter().enumerate() {
        let length = SUFFIXES.len() - group;
        if syllables < length + SHORTEST {
            continue;
        }
        let Some((head, tail)) = word.split_at_checked(word.len() - length * SYLLABLE) else { continue };
        if suffixes.contains(&tail) && agrees(head, tail) {
            return head;
        }
    }
    word
}

/// Particles that are told from a syllable of a noun when one syllable is left, if they [agree](agrees) with it: those that cost no
/// quality (KorQuAD, nDCG@10: .956 with and without them, .955 with 은, 는, 가, 에 and 에서 too).
const AFTER_ONE: [&str; 3] = ["을", "를", "이"];

/// Returns the noun of one syllable that `word`, a run of Hangul syllables, may be with its particle: 책 of 책을. A list cannot tell
/// 종 with 이 from 종이, so that it stands beside the word.
pub(super) fn noun(word: &str) -> Option<&str> {
    let (head, tail) = word.split_at_checked(SYLLABLE)?;
    (AFTER_ONE.contains(&tail) && agrees(head, tail)).then_some(head)
}

/// Tells whether `run`, written onto a number or a foreign word, is nothing but a particle or an ending. After a number 가 is a part
/// of a street (종로3가).
pub(super) fn is_particle(run: &str, after_number: bool) -> bool {
    if after_number && run == "가" {
        return false;
    }
    let length = run.len() / SYLLABLE;
    let group = SUFFIXES.len().checked_sub(length).and_then(|group| SUFFIXES.get(group));
    group.is_some_and(|suffixes| suffixes.contains(&run)) && !COUNTERS.contains(&run)
}

/// Suffixes that, after a number, count something instead.
const COUNTERS: &[&str] = &["인", "들", "만", "도", "기", "대로", "지", "고", "나", "여", "의", "던", "면"];

/// Returns the unit at the start of `run`, which was written onto a number, without particles and endings.
pub(super) fn unit(run: &str) -> &str {
    if is_particle(run, true) {
        return "";
    }
    for (group, suffixes) in SUFFIXES.iter().enumerate() {
        let length = (SUFFIXES.len() - group) * SYLLABLE;
        if run.len() <= length {
            continue;
        }
        let Some((head, tail)) = run.split_at_checked(run.len() - length) else { continue };
        let counter = head.len() == SYLLABLE && COUNTERS.contains(&tail) && tail != "의";
        if suffixes.contains(&tail) && agrees(head, tail) && !counter {
            return head;
        }
    }
    run
}

/// Tells whether a particle whose form depends on the final consonant before it has the right one.
fn agrees(head: &str, tail: &str) -> bool {
    let Some(last) = head.chars().next_back() else { return false };
    let consonant = final_consonant(last);
    match tail {
        "은" | "이" | "을" | "과" => consonant != 0,
        "는" | "가" | "를" | "와" | "랑" | "란" | "며" | "면" | "나" => consonant == 0,
        // ㄹ counts as a vowel before -로
        "로" => consonant == 0 || consonant == 8,
        _ => true,
    }
}

/// Returns the number of the syllable's final consonant, 0 for none (Unicode Standard, 3.12).
fn final_consonant(syllable: char) -> u32 {
    u32::from(syllable).saturating_sub(0xAC00) % 28
}
