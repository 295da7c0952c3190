//! Korean particles, names, endings and syllables.

/// Particles that may follow a Korean noun, or be left out.
const PARTICLES: &[&str] = &[
    "",
    "은",
    "는",
    "이",
    "가",
    "을",
    "를",
    "의",
    "에",
    "도",
    "로",
    "와",
    "과",
    "께",
    "랑",
    "나",
    "요",
    "야",
    "들",
    "에서",
    "에게",
    "한테",
    "까지",
    "부터",
    "보다",
    "처럼",
    "으로",
    "이랑",
    "이나",
    "엔",
    "에는",
    "에도",
    "에서는",
    "에서도",
    "으로는",
    "으로도",
    "로는",
    "로도",
    "에게는",
    "께서",
    "께서는",
    "마다",
    "이라고",
    "라고",
    "이란",
    "란",
    "이며",
    "이고",
    "이다",
    "이에요",
    "예요",
    "입니다",
    "들은",
    "들이",
    "들을",
    "들의",
    "까지는",
    "부터는",
    "한테서",
    "에게서",
    "와는",
    "과는",
    "이라는",
    "라는",
    "으로써",
    "으로서",
    "로서",
    "로써",
];

/// What stands after a person's name.
pub(in crate::ground) const HONORIFICS: &[&str] = &[
    "씨",
    "님",
    "군",
    "양",
    "선생",
    "선생님",
    "코치",
    "코치님",
    "교수",
    "교수님",
    "대표",
    "대표님",
    "팀장",
    "팀장님",
    "과장",
    "부장",
    "사장",
    "선수",
    "감독",
    "작가",
    "기자",
    "의원",
    "박사",
    "형",
    "누나",
    "언니",
    "오빠",
    "이가",
    "이는",
    "이를",
    "이와",
    "이랑",
    "이의",
    "이도",
    "이에게",
    "이한테",
];

/// The commonest surnames: four Koreans of five (census of 2015).
const SURNAMES: &[char] = &[
    '김', '이', '박', '최', '정', '강', '조', '윤', '장', '임', '한', '오', '서', '신', '권', '황', '안',
    '송', '류', '전', '홍', '고', '문', '양', '손', '배', '백', '허', '유', '남', '심', '노', '하',
];

/// Endings that only verbs and adjectives have.
const VERBAL: &[&str] = &[
    "다", "요", "까", "죠", "네", "고", "며", "서", "면", "지", "게", "니", "자", "던", "는데", "지만",
    "도록", "려고", "거나", "어", "아", "해", "할", "한", "된", "될", "는", "은", "기", "음", "함", "됨",
];

/// Tells whether a Korean word looks like a person's full name, with its particle stripped: a surname and two syllables.
pub(in crate::ground) fn is_full_name(stem: &str) -> bool {
    let mut chars = stem.chars();
    // "조용히", "한가히" are adverbs
    chars.next().is_some_and(|first| SURNAMES.contains(&first)) && chars.count() == 2 && !stem.ends_with('히')
}

/// Tells whether a Korean word ends as verbs do, at least two syllables after its first.
pub(in crate::ground) fn is_verbal(word: &str) -> bool {
    word.chars().count() >= 3 && VERBAL.iter().any(|ending| word.ends_with(ending)) && !ends_in_particle(word)
}

pub(super) fn ends_in_particle(word: &str) -> bool {
    if ["에서", "에게", "으로", "까지", "부터"].iter().any(|particle| word.ends_with(particle)) {
        return true;
    }
    ["은", "는", "을", "를", "이", "가"].iter().any(|particle| {
        // "-하는", "-되는" and "-았는" are verbs all the same
        word.strip_suffix(particle).is_some_and(|stem| {
            !stem.ends_with([
                '하', '되', '있', '없', '았', '었', '했', '같', '가', '오', '보', '주', '지', '리', '우',
                '기', '치', '르', '키', '히', '먹', '뛰', '걷', '앉', '읽', '쓰', '마', '시',
            ])
        })
    })
}

/// Tells whether a Korean word is nothing but a particle: `를` of `10km를`.
pub(in crate::ground) fn is_particle(word: &str) -> bool {
    !word.is_empty() && PARTICLES.contains(&word)
}

/// What a particle makes of its noun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ground) enum Role {
    /// None, or one that says nothing of its own.
    Plain,
    Topic,
    Subject,
    Object,
    Place,
    To,
    From,
    Until,
    Of,
    With,
    Also,
    Than,
    Like,
    Or,
    Each,
    Must,
    As,
}

fn role(particle: &str) -> Role {
    match particle {
        "은" | "는" | "들은" => Role::Topic,
        "이" | "가" | "들이" | "께서" | "께서는" => Role::Subject,
        "을" | "를" | "들을" => Role::Object,
        "에" | "엔" | "에는" | "에서" | "에서는" => Role::Place,
        "에게" | "한테" | "께" | "에게는" | "로" | "으로" | "로는" | "으로는" => Role::To,
        "부터" | "부터는" | "에게서" | "한테서" => Role::From,
        "까지" | "까지는" => Role::Until,
        "의" | "들의" => Role::Of,
        "와" | "과" | "랑" | "이랑" | "와는" | "과는" => Role::With,
        "도" | "에도" | "에서도" | "으로도" | "로도" => Role::Also,
        "보다" => Role::Than,
        "처럼" => Role::Like,
        "나" | "이나" => Role::Or,
        "마다" => Role::Each,
        "야" => Role::Must,
        "으로써" | "으로서" | "로서" | "로써" => Role::As,
        _ => Role::Plain,
    }
}

/// The roles that two words with the same noun have, if they differ in their particles only.
pub(in crate::ground) fn roles(one: &str, other: &str) -> Option<(Role, Role)> {
    let (rest, other_rest) = particles(one, other)?;
    Some((role(rest), role(other_rest)))
}

/// Tells whether a particle of one role may stand for one of the other by a slip of the pen.
pub(in crate::ground) fn may_stand_for(one: Role, other: Role) -> bool {
    let pair = |a: Role, b: Role| (one, other) == (a, b) || (other, one) == (a, b);
    one == other
        || pair(Role::Topic, Role::Subject)
        || pair(Role::Topic, Role::Object)
        || pair(Role::Place, Role::Topic)
        || pair(Role::To, Role::As)
        || (one == Role::Plain && drops(other))
        || (other == Role::Plain && drops(one))
}

/// What people leave out in writing and in speech.
fn drops(role: Role) -> bool {
    !matches!(role, Role::Until | Role::From | Role::Also | Role::Than | Role::Or | Role::Each | Role::Must)
}

/// Tells whether two Korean words differ in their particles only.
pub(in crate::ground) fn same_but_particles(one: &str, other: &str) -> bool {
    particles(one, other).is_some()
}

/// The particles of two words that differ in nothing else.
fn particles<'a>(one: &'a str, other: &'a str) -> Option<(&'a str, &'a str)> {
    let shared: usize =
        one.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    if shared == 0 {
        return None;
    }
    // the split may also lie a syllable or two before the first difference: "학교에서" and "학교에"
    let mut cut = shared;
    for _ in 0..3 {
        let (Some(stem), Some(rest), Some(other_rest)) = (one.get(..cut), one.get(cut..), other.get(cut..))
        else {
            return None;
        };
        let last = stem.chars().next_back()?;
        if PARTICLES.contains(&rest) && PARTICLES.contains(&other_rest) {
            return Some((rest, other_rest));
        }
        cut -= last.len_utf8();
        if cut == 0 {
            return None;
        }
    }
    None
}

/// The letters of a Hangul syllable: initial, vowel, final (Unicode Standard, 3.12).
pub(in crate::ground) fn letters(c: char) -> Option<[u32; 3]> {
    let index = u32::from(c).checked_sub(0xAC00).filter(|index| *index < 11_172)?;
    Some([index / 588, index % 588 / 28, index % 28])
}

/// Tells whether two syllables sound alike and are mistaken for each other in writing: `ㅐ`/`ㅔ`, final `ㅆ`/`ㅅ`, `ㅙ`/`ㅚ`/`ㅞ`.
pub(super) fn sound_alike(a: char, b: char) -> bool {
    let alike = |c: char| {
        let [initial, vowel, last] = letters(c)?;
        let vowel = match vowel {
            5 => 1,
            7 => 3,
            10 | 15 => 11,
            other => other,
        };
        let last = match last {
            20 => 19,
            2 | 24 => 1,
            other => other,
        };
        Some([initial, vowel, last])
    };
    a != b && alike(a).is_some() && alike(a) == alike(b)
}

/// The syllables of everyday words that end in two consonants or a rare one.
const CLUSTERS: &str = "겪꺾깎낚닦묶볶섞솎밖갚깊높덮숲앞엎옆짚팥같겉곁끝낱맡밑밭뱉붙솥얕짙홑흩볕낮낯맺빚빛숯쫓찢찧젖잊짖꽃꽂늦갖갗넣놓낳닿쌓좋빻땋값없몫넋삯앉얹많않끊잖굵긁갉낡늙닭맑묽밝붉읽얽흙넓떫밟얇엷짧덟닮삶젊굶옮곪앎핥훑읊끓꿇닳뚫싫앓옳잃엌녘돛닻윷몇옻걷곧굳긷닫듣돋뜯묻믿받벋뻗얻쏟싣컫숟맏찾";

/// Tells whether a syllable occurs in hardly any Korean word: an unusual final consonant or vowel.
pub(super) fn is_odd(c: char) -> bool {
    let Some([initial, vowel, last]) = letters(c) else { return true };
    let tense = matches!(initial, 1 | 4 | 8 | 10 | 13);
    let rare_final = (matches!(last, 3 | 5 | 7 | 9..=15 | 18 | 23 | 24 | 27) && !CLUSTERS.contains(c))
        || (matches!(last, 2 | 22 | 25 | 26) && !matches!(vowel, 0 | 4 | 6 | 8 | 13 | 18 | 20))
        // the ㅆ of the past stands behind what 아 and 어 make of a stem
        || (last == 20 && (matches!(vowel, 2 | 3 | 7 | 8 | 12 | 13 | 15..=19) || c == '핬'));
    let rare_vowel = match vowel {
        7 => !matches!(initial, 0 | 5 | 11 | 17 | 18),
        3 | 10 | 14..=16 => !matches!(initial, 0 | 11 | 18),
        _ => false,
    };
    // 꼈다, 버텼다
    let narrow = vowel == 6 && (last == 0 || last == 20);
    let rare_glide = matches!(vowel, 2 | 6 | 12 | 17)
        && !narrow
        && (tense
            || (vowel == 12 && matches!(initial, 3 | 16))
            || (matches!(initial, 3 | 12 | 14 | 16) && last != 0));
    rare_final || rare_vowel || rare_glide || (vowel == 19 && !matches!(initial, 11 | 18 | 2 | 4))
}
