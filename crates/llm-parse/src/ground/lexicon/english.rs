//! English words that are a slip from one another, and the beginnings and ends that turn a word into its opposite.

use super::Miss;

/// Words of everyday English that are one letter from another one, a line each, sorted: the only ones that a slip can turn
/// into another word. What is such a word with an `s` is left out. Drawn from SCOWL, size 35; see `english-license.txt`.
const WORDS: &str = include_str!("english.txt");

/// Beginnings that say the opposite of one another; an empty one stands for the word without any of the others.
const BEGINNINGS: &[&[&str]] = &[
    &["", "anti", "counter", "de", "dis", "il", "im", "in", "ir", "mis", "non", "un"],
    &["de", "e", "em", "ex", "im", "in", "out"],
    &["as", "des"],
    &["bi", "di", "mono", "multi", "poly", "semi", "tri", "uni"],
    &["down", "up"],
    &["extra", "inter", "intra"],
    &["hetero", "homo"],
    &["hyper", "hypo"],
    &["infra", "super", "supra", "ultra"],
    &["macro", "micro"],
    &["max", "min"],
    &["over", "under"],
    &["ante", "per", "post", "pre", "pro"],
];

/// Ends by which words of chemistry and medicine differ.
const TERMS: &[&[&str]] = &[
    &["ane", "ene", "ine", "one", "yne", "ol", "al"],
    &["ase", "ose"],
    &["ate", "ide", "ite"],
    &["ic", "ous"],
    &["ectomy", "ostomy", "otomy"],
    &["itis", "osis"],
    &["pathy", "phagia", "phasia", "plegia", "pnea"],
    &["uria", "emia"],
];

/// Words of one another's letters that a reader takes for the other, beyond the list of everyday words.
const CONFUSED: &[[&str; 2]] = &[
    ["ethane", "methane"],
    ["ethanol", "methanol"],
    ["ethyl", "methyl"],
    ["amino", "imino"],
    ["abduct", "adduct"],
    ["abduction", "adduction"],
    ["abductor", "adductor"],
    ["abjure", "adjure"],
    ["adverse", "averse"],
    ["affluent", "effluent"],
    ["alimentary", "elementary"],
    ["amenable", "amendable"],
    ["arteritis", "arthritis"],
    ["aural", "oral"],
    ["callous", "callus"],
    ["censor", "censure"],
    ["carousal", "carousel"],
    ["complacent", "complaisant"],
    ["conservation", "conversation"],
    ["continual", "continuous"],
    ["costumer", "customer"],
    ["costumers", "customers"],
    ["credible", "creditable"],
    ["definite", "definitive"],
    ["deprecate", "depreciate"],
    ["dilation", "dilution"],
    ["disburse", "disperse"],
    ["discreet", "discrete"],
    ["dysphagia", "dysphasia"],
    ["dysphagia", "dysphoria"],
    ["emigrate", "immigrate"],
    ["epigram", "epigraph"],
    ["exercise", "exorcise"],
    ["facial", "fascial"],
    ["fecal", "fetal"],
    ["flaunt", "flout"],
    ["formally", "formerly"],
    ["genus", "genius"],
    ["hallow", "hollow"],
    ["humeral", "humoral"],
    ["ileum", "ilium"],
    ["incidence", "incident"],
    ["ingenious", "ingenuous"],
    ["interment", "internment"],
    ["intestate", "interstate"],
    ["judicial", "judicious"],
    ["lumbar", "lumber"],
    ["loath", "loathe"],
    ["malleolus", "malleus"],
    ["metatarsal", "metacarpal"],
    ["moral", "morale"],
    ["mucous", "mucus"],
    ["official", "officious"],
    ["ordinance", "ordnance"],
    ["palate", "palette"],
    ["palpation", "palpitation"],
    ["parity", "purity"],
    ["patience", "patients"],
    ["perineal", "peroneal"],
    ["perpetrate", "perpetuate"],
    ["persecute", "prosecute"],
    ["perspective", "prospective"],
    ["precede", "proceed"],
    ["preposition", "proposition"],
    ["prescribe", "proscribe"],
    ["prostate", "prostrate"],
    ["precipitate", "precipitous"],
    ["radical", "radicle"],
    ["regime", "regimen"],
    ["respectably", "respectfully"],
    ["respectfully", "respectively"],
    ["sensual", "sensuous"],
    ["sever", "severe"],
    ["stationary", "stationery"],
    ["statue", "statute"],
    ["thoracotomy", "tracheotomy"],
    ["tortuous", "torturous"],
    ["ureter", "urethra"],
    ["ureteral", "urethral"],
    ["urban", "urbane"],
    ["venal", "venial"],
    ["vesicle", "testicle"],
    ["human", "humane"],
    ["artist", "artiste"],
    ["breath", "breathe"],
    ["bath", "bathe"],
    ["cloth", "clothe"],
    ["wander", "wonder"],
    ["glycogen", "glucagon"],
    ["hydralazine", "hydroxyzine"],
    ["local", "locale"],
    ["morphine", "morphing"],
    ["metal", "mettle"],
    ["ration", "ratio"],
    ["rational", "rationale"],
    ["corps", "corpse"],
    ["decent", "descent"],
    ["device", "devise"],
    ["advice", "advise"],
    ["princes", "princess"],
    ["testimony", "testament"],
    ["turbid", "turgid"],
    ["gastric", "gestric"],
    ["cervical", "cortical"],
    ["hyperthyroid", "hypothyroid"],
    ["inhibit", "inhabit"],
    ["contact", "contract"],
    ["compliment", "complement"],
    ["complementary", "complimentary"],
    ["appraise", "apprise"],
    ["assent", "ascent"],
    ["eligible", "illegible"],
    ["mitosis", "meiosis"],
    ["sulfate", "sulfite"],
    ["nitrate", "nitrite"],
    ["creatine", "creatinine"],
    ["amphoteric", "amphibious"],
    ["marital", "martial"],
    ["monetary", "momentary"],
    ["imply", "apply"],
    ["bovine", "ovine"],
    ["equine", "supine"],
    ["trial", "trail"],
    ["pubic", "public"],
    ["uterine", "urine"],
    ["accept", "except"],
    ["allay", "alley"],
    ["antimony", "antinomy"],
    ["calender", "colander"],
    ["cavalry", "calvary"],
    ["confident", "confidant"],
    ["council", "counsel"],
    ["dependent", "defendant"],
    ["defuse", "diffuse"],
    ["elusive", "illusive"],
    ["illusive", "allusive"],
    ["entomology", "etymology"],
    ["expansive", "expensive"],
    ["extant", "extent"],
    ["faint", "feint"],
    ["gorilla", "guerrilla"],
    ["industrial", "industrious"],
    ["luxuriant", "luxurious"],
    ["mediation", "meditation"],
    ["medication", "meditation"],
    ["mediation", "medication"],
    ["militate", "mitigate"],
    ["notable", "noticeable"],
    ["observance", "observation"],
    ["parameter", "perimeter"],
    ["parasitic", "parasitical"],
    ["pedal", "peddle"],
    ["physical", "fiscal"],
    ["pistil", "pistol"],
    ["prophecy", "prophesy"],
    ["rabid", "rapid"],
    ["recent", "resent"],
    ["reference", "reverence"],
    ["sanitary", "sedentary"],
    ["simulate", "stimulate"],
    ["simulation", "stimulation"],
    ["specially", "especially"],
    ["suit", "suite"],
    ["therapist", "theorist"],
    ["track", "tract"],
    ["troop", "troupe"],
    ["veracious", "voracious"],
    ["vocation", "vacation"],
    ["unionized", "ionized"],
    ["united", "untied"],
    ["causality", "casualty"],
    ["causation", "caution"],
    ["infarction", "infraction"],
    ["infection", "inflection"],
    ["infect", "infest"],
    ["invitation", "imitation"],
    ["limitation", "imitation"],
    ["intention", "intension"],
    ["attention", "retention"],
    ["detention", "retention"],
    ["detection", "defection"],
    ["inspection", "injection"],
    ["reduction", "seduction"],
    ["production", "reproduction"],
    ["relation", "elation"],
    ["relegate", "delegate"],
    ["resection", "dissection"],
    ["secretion", "secession"],
    ["tension", "tenson"],
    ["version", "aversion"],
    ["diversion", "division"],
    ["provision", "prevision"],
    ["revision", "recision"],
    ["precision", "decision"],
    ["excision", "incision"],
    ["evasion", "invasion"],
    ["erosion", "corrosion"],
    ["explosion", "implosion"],
];

/// Ends that do.
const ENDS: &[&[&str]] = &[&["ee", "er"], &["ee", "or"]];

/// Beginnings of units.
const MEASURES: &[&str] =
    &["centi", "deca", "deci", "giga", "hecto", "kilo", "mega", "micro", "milli", "nano", "peta", "tera"];

/// Tells whether `text` is a word of everyday English that is a slip from another.
pub(in crate::ground) fn is_word(text: &str) -> bool {
    let plural = || text.strip_suffix('s').filter(|one| one.len() >= 3 && !one.ends_with('s'));
    holds(text) || plural().is_some_and(holds)
}

/// Tells whether everyday English has a word that begins like `text` does, by its first three letters.
pub(in crate::ground) fn begins_as_a_word(text: &str) -> bool {
    text.get(..3).is_some_and(|start| line_from(start).starts_with(start))
}

fn holds(word: &str) -> bool {
    line_from(word).split('\n').next() == Some(word)
}

/// What of the list follows all that is less than `word`.
fn line_from(word: &str) -> &'static str {
    let (mut low, mut high) = (0, WORDS.len());
    while low < high {
        let middle = low.midpoint(high);
        let start = WORDS.get(..middle).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1);
        let line = WORDS.get(start..).and_then(|tail| tail.split('\n').next()).unwrap_or_default();
        if line < word {
            low = start + line.len() + 1;
        } else {
            high = start;
        }
    }
    WORDS.get(low..).unwrap_or_default()
}

/// Tells what it means that one word has another beginning or end than the other: `un-`, `hypo-` for `hyper-`, `-ee` for
/// `-er`, `giga-` for `mega-`. Their rest is one.
pub(in crate::ground) fn opposes(one: &str, other: &str) -> Option<Miss> {
    let shared = |tail: Option<&str>, rest: Option<&str>| {
        tail.is_some_and(|tail| !matches!(tail.len(), 1 | 2) && rest == Some(tail))
    };
    let begins = |family: &[&str]| {
        family.iter().any(|start| {
            let tail = one.strip_prefix(start);
            family.iter().any(|with| with != start && shared(tail, other.strip_prefix(with)))
        })
    };
    let ends = |family: &[&str]| {
        family.iter().any(|end| {
            let head = one.strip_suffix(end);
            family.iter().any(|with| with != end && shared(head, other.strip_suffix(with)))
        })
    };
    if begins(MEASURES) {
        return Some(Miss::Number);
    }
    if BEGINNINGS.iter().any(|family| begins(family)) {
        return Some(Miss::Negation);
    }
    ENDS.iter().any(|family| ends(family)).then_some(Miss::Wording)
}

/// Tells whether two words are known to be taken for one another, or are terms that differ in their ends: nitrate, nitrite.
pub(in crate::ground) fn are_confused(one: &str, other: &str) -> bool {
    let stem = |word: &'static str, text: &str| text.strip_suffix(word).map(str::len);
    let terms = |family: &&[&'static str]| {
        let cut = |text: &str| {
            let text = text.strip_suffix('s').filter(|text| !text.ends_with('s')).unwrap_or(text);
            family.iter().find_map(|end| stem(end, text).map(|len| (len, *end)))
        };
        match (cut(one), cut(other)) {
            (Some((len, end)), Some((other_len, other_end))) => {
                end != other_end && len == other_len && len >= 3 && one.get(..len) == other.get(..len)
            }
            _ => false,
        }
    };
    let plain =
        |word: &str| word.strip_suffix('s').filter(|word| !word.ends_with('s')).unwrap_or(word).to_owned();
    let (bare, bare_other) = (plain(one), plain(other));
    let known = |[a, b]: &[&str; 2]| {
        let is = |x: &str, y: &str| (x == *a && y == *b) || (x == *b && y == *a);
        is(one, other) || is(&bare, &bare_other)
    };
    CONFUSED.iter().any(known) || TERMS.iter().any(terms)
}

/// Tells whether two words are one in British and American spelling: `colour`, `organise`.
pub(in crate::ground) fn are_variants(one: &str, other: &str) -> bool {
    // "mourning" is no British "morning"
    let plain = |word: &str| {
        match word.get(3..).and_then(|rest| rest.find("our")) {
            Some(at) => {
                [word.get(..at + 3), Some("or"), word.get(at + 6..)].into_iter().flatten().collect::<String>()
            }
            None => word.to_owned(),
        }
        .replace('z', "s")
    };
    one.len().min(other.len()) >= 5 && one != other && plain(one) == plain(other)
}

/// Tells whether two words differ only in which of their letters are written twice.
pub(in crate::ground) fn differ_in_doubling(one: &str, other: &str) -> bool {
    let singles = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.dedup();
        letters
    };
    one.len().min(other.len()) >= 5 && singles(one) == singles(other)
}

/// Tells whether two letters are neighbours on the keyboard.
pub(in crate::ground) fn are_neighbours(one: char, other: char) -> bool {
    const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
    let place =
        |letter: char| ROWS.iter().enumerate().find_map(|(row, letters)| Some((row, letters.find(letter)?)));
    let (Some((row, column)), Some((other_row, other_column))) = (place(one), place(other)) else {
        return false;
    };
    match (row.abs_diff(other_row), column.abs_diff(other_column)) {
        (0, 1) | (1, 0) => true,
        // each row stands a little to the right of the one above it
        (1, 1) => (row < other_row) == (other_column < column),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted_and_found() {
        assert!(WORDS.lines().is_sorted());
        assert!(WORDS.ends_with('\n') && WORDS.lines().all(|word| !word.is_empty()));
        assert!(WORDS.lines().all(holds));
        for word in ["morning", "mourning", "hired", "fired", "houses"] {
            assert!(is_word(word), "{word}");
        }
        for word in ["", "a", "zzz", "zzzs", "exercise"] {
            assert!(!is_word(word), "{word}");
        }
    }

    #[test]
    fn beginnings_and_ends_oppose() {
        for (one, other, miss) in [
            ("necessary", "unnecessary", Miss::Negation),
            ("irregular", "regular", Miss::Negation),
            ("including", "excluding", Miss::Negation),
            ("hypertension", "hypotension", Miss::Negation),
            ("megabytes", "gigabytes", Miss::Number),
            ("employer", "employee", Miss::Wording),
        ] {
            assert_eq!(opposes(one, other), Some(miss), "{one} {other}");
            assert_eq!(opposes(other, one), Some(miss), "{other} {one}");
        }
        for (one, other) in [("advisor", "adviser"), ("exercise", "exercises"), ("do", "undo")] {
            assert_eq!(opposes(one, other), None, "{one} {other}");
        }
    }

    #[test]
    fn keys_stand_beside_and_below_one_another() {
        for (one, other) in [('s', 'x'), ('s', 'a'), ('s', 'w'), ('g', 'v'), ('i', 'o')] {
            assert!(are_neighbours(one, other) && are_neighbours(other, one), "{one} {other}");
        }
        for (one, other) in [('h', 'f'), ('l', 's'), ('m', 'z'), ('s', 's'), ('a', 'x')] {
            assert!(!are_neighbours(one, other), "{one} {other}");
        }
    }
}
