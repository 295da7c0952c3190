//! English: the verb forms that mark a deed, a wish, a plan or a duty, and the imperative behind them.

mod form;

pub(in crate::task) use self::form::base_of_irregular;
use self::form::{base_of_gerund, imperative_of};
use super::Hit;
use super::clause::{SENTENCE_END, SPACE};

/// Words and phrases that may stand before the subject.
const LEADING: [&str; 26] = [
    "first",
    "firstly",
    "second",
    "secondly",
    "third",
    "thirdly",
    "then",
    "next",
    "after that",
    "afterwards",
    "finally",
    "lastly",
    "also",
    "and",
    "so",
    "but",
    "instead",
    "later",
    "eventually",
    "at first",
    "to start",
    "in the end",
    "once that was done",
    "after this",
    "meanwhile",
    "from then on",
];
const SEQUEL: [&str; 8] =
    ["then", "next", "after that", "afterwards", "finally", "lastly", "after this", "once that was done"];

/// Past forms that tell of a state, a feeling, a stroke of luck or the outcome itself.
const NO_DEED: [&str; 34] = [
    "was",
    "were",
    "had",
    "felt",
    "thought",
    "knew",
    "seemed",
    "could",
    "would",
    "got",
    "passed",
    "failed",
    "wanted",
    "needed",
    "liked",
    "loved",
    "hated",
    "hoped",
    "believed",
    "realised",
    "realized",
    "happened",
    "turned",
    "looked",
    "became",
    "won",
    "succeeded",
    "worked",
    "struggled",
    "survived",
    "used",
    "lost",
    "came",
    "owed",
];

/// First words that look like past forms and open no deed: "Tired of …", "Based on …".
const OPENERS: [&str; 23] = [
    "crossed",
    "based",
    "tired",
    "excited",
    "inspired",
    "determined",
    "stuck",
    "interested",
    "worried",
    "scared",
    "confused",
    "compared",
    "related",
    "said",
    "told",
    "meant",
    "left",
    "exhausted",
    "frustrated",
    "motivated",
    "stressed",
    "edited",
    "found",
];

/// Whether the words begin with a past form that can be a deed, and go on.
pub(super) fn is_past_phrase(words: &str) -> bool {
    words.split_once(SPACE).is_some_and(|(verb, tail)| {
        let verb = verb.to_lowercase();
        !tail.trim().is_empty()
            && !NO_DEED.contains(&verb.as_str())
            && !OPENERS.contains(&verb.as_str())
            && imperative_of(&verb).is_some()
    })
}

/// Finds what somebody says to have done: `I` or `we` and a past form near the front of the clause, a past form
/// without a subject ("Quit sugar."), or what is said to have helped ("What worked was getting up early").
pub(super) fn deed(clause: &str) -> Option<Hit> {
    let body = clause.trim_end_matches(SENTENCE_END);
    let hit =
        |title, follows_previous| Hit { title, quote_end: body.len(), confidence: 0.7, follows_previous };
    let Some((start, sequel)) = subject(body) else {
        return bare_deed(body).or_else(|| helped(body)).map(|(title, sequel)| hit(title, sequel));
    };
    let lead = body.get(..start.before).unwrap_or_default().trim_end_matches([',', ' ']);
    let rest = without_adverb(body.get(start.after..)?.trim_start());
    let (verb, tail) = rest.split_once(SPACE)?;
    let verb = verb.to_lowercase();
    if NO_DEED.contains(&verb.as_str()) {
        return None;
    }
    let title = deed_title(&verb, tail)?;
    let title = if is_frequency(lead) { format!("{title} {}", lead.to_lowercase()) } else { title };
    Some(hit(title, sequel))
}

fn without_adverb(rest: &str) -> &str {
    [
        "also ",
        "just ",
        "simply ",
        "even ",
        "finally ",
        "then ",
        "actually ",
        "slowly ",
        "gradually ",
        "always ",
    ]
    .iter()
    .find_map(|word| rest.strip_prefix(word))
    .unwrap_or(rest)
}

/// "decided", "to quit sugar" → Quit sugar; "started", "running" → Start running.
fn deed_title(verb: &str, tail: &str) -> Option<String> {
    let base = imperative_of(verb)?;
    if matches!(base.as_str(), "decide" | "choose" | "begin" | "start" | "resolve")
        && let Some(wanted) = tail.strip_prefix("to ")
    {
        return Some(capitalised(&imperatives_after_and(wanted)));
    }
    Some(format!("{} {}", capitalised(&base), imperatives_after_and(tail)))
}

/// "Quit sugar", "Then joined a gym": the writer leaves the subject out.
fn bare_deed(body: &str) -> Option<(String, bool)> {
    let lower = body.to_ascii_lowercase();
    let lead = LEADING
        .iter()
        .filter_map(|lead| {
            let rest = lower.strip_prefix(lead)?;
            rest.starts_with([' ', ',']).then_some((lead.len(), *lead))
        })
        .max();
    let from = lead.map_or(0, |(len, _)| len);
    let rest = without_adverb(body.get(from..)?.trim_start_matches([',', ' ']));
    if !is_past_phrase(rest) || rest.contains('?') {
        return None;
    }
    let (verb, tail) = rest.split_once(SPACE)?;
    Some((deed_title(&verb.to_lowercase(), tail)?, lead.is_some_and(|(_, lead)| SEQUEL.contains(&lead))))
}

/// "What worked was getting up early", "The biggest change was cooking at home".
fn helped(body: &str) -> Option<(String, bool)> {
    const CAUSES: [&str; 8] = [
        "helped",
        "worked",
        "change was",
        "trick was",
        "key was",
        "secret was",
        "difference was",
        "game changer was",
    ];
    let lower = body.to_ascii_lowercase();
    let at = lower.find(" was ")?;
    let before = lower.get(..at + " was".len())?;
    if !CAUSES.iter().any(|cause| before.contains(cause)) {
        return None;
    }
    let (verb, tail) = body.get(at + " was ".len()..)?.split_once(SPACE)?;
    Some((capitalised(&format!("{} {tail}", base_of_gerund(&verb.to_lowercase())?)), false))
}

struct Subject {
    before: usize,
    after: usize,
}

/// Finds `I` or `we` within the first words, and whether a connective before it says "then".
fn subject(body: &str) -> Option<(Subject, bool)> {
    let mut at = 0;
    for (index, word) in body.split_inclusive(SPACE).enumerate() {
        let bare = word.trim().trim_end_matches(',');
        if index > 11 {
            return None;
        }
        if matches!(bare, "I" | "We" | "we" | "I've" | "I’ve" | "We've" | "i") {
            let lead = body.get(..at).unwrap_or_default().trim_end_matches([',', ' ']).to_lowercase();
            let sequel = SEQUEL.iter().any(|word| lead == *word || lead.starts_with(&format!("{word} ")));
            let fits = lead.is_empty()
                || LEADING.contains(&lead.as_str())
                || body.get(..at).is_some_and(|lead| lead.trim_end().ends_with(','))
                || is_frequency(&lead);
            return fits.then_some((Subject { before: at, after: at + word.len() }, sequel));
        }
        at += word.len();
    }
    None
}

fn is_frequency(lead: &str) -> bool {
    let lead = lead.to_lowercase();
    ["every ", "each ", "once a ", "twice a "].iter().any(|word| lead.starts_with(word))
}

/// What stands before the wanted verb, longest first where one contains another.
const NEEDS: [(&str, f32); 54] = [
    ("do i need to ", 0.7),
    ("do i have to ", 0.7),
    ("need to ", 0.75),
    ("have to ", 0.75),
    ("has to ", 0.6),
    ("must ", 0.75),
    ("should i probably ", 0.7),
    ("should probably ", 0.75),
    ("should i ", 0.7),
    ("should ", 0.7),
    ("would like to ", 0.75),
    ("'d like to ", 0.75),
    ("’d like to ", 0.75),
    ("want to ", 0.75),
    ("wanna ", 0.7),
    ("plan to ", 0.75),
    ("planning to ", 0.75),
    ("going to ", 0.7),
    ("hope to ", 0.7),
    ("hoping to ", 0.7),
    ("aim to ", 0.7),
    ("trying to ", 0.65),
    ("goal is to ", 0.75),
    ("how do i ", 0.65),
    ("how can i ", 0.65),
    ("how should i ", 0.65),
    ("how do you ", 0.6),
    ("how do we ", 0.65),
    ("i could ", 0.6),
    ("how to ", 0.6),
    ("gonna ", 0.7),
    ("looking to ", 0.7),
    ("wondering if i should ", 0.65),
    ("wondering whether to ", 0.65),
    ("wondering whether i should ", 0.65),
    ("ought to ", 0.7),
    ("had better ", 0.7),
    ("i'd better ", 0.7),
    ("intend to ", 0.75),
    ("i'll ", 0.65),
    ("i’ll ", 0.65),
    ("i will ", 0.65),
    ("we will ", 0.65),
    ("we'll ", 0.65),
    ("plan is to ", 0.75),
    ("step is to ", 0.75),
    ("dream is to ", 0.7),
    ("love to ", 0.7),
    ("decided to ", 0.65),
    ("can i ", 0.55),
    ("can we ", 0.55),
    ("how do people ", 0.55),
    ("best way to ", 0.6),
    ("ways to ", 0.55),
];
const GERUNDS: [&str; 14] = [
    "is it worth ",
    "suggests ",
    "recommends ",
    "thinking about ",
    "thinking of ",
    "considering ",
    "consider ",
    "planning on ",
    "looking into ",
    "looking at ",
    "debating ",
    "tips for ",
    "tips on ",
    "what about ",
];

/// Finds what somebody says to want, plan or have to do, or asks how to do.
pub(super) fn need(clause: &str) -> Option<Hit> {
    let body = clause.trim_end_matches(SPACE);
    let lower = body.to_ascii_lowercase();
    let quote_end = body.trim_end_matches(['.', '!', ',']).len();
    let hit = |title: String, confidence| Hit { title, quote_end, confidence, follows_previous: false };
    let found = NEEDS.iter().filter_map(|(mark, confidence)| {
        let at = lower.find(mark)?;
        let edge = at == 0
            || lower
                .get(..at)
                .is_some_and(|before| before.ends_with([' ', '"', '(']) || mark.starts_with(['\'', '’']));
        (edge && !unsaid(lower.get(..at).unwrap_or_default())).then_some((at, at + mark.len(), *confidence))
    });
    if let Some((_, from, confidence)) = found.min_by_key(|(at, end, _)| (*at, usize::MAX - end)) {
        let rest = body.get(from..)?;
        let rest = ["finally ", "probably ", "also ", "first ", "really ", "just "]
            .iter()
            .find_map(|word| rest.strip_prefix(word))
            .unwrap_or(rest);
        let verb = rest.split(SPACE).next()?.to_lowercase();
        if matches!(
            verb.as_str(),
            "" | "be"
                | "know"
                | "ask"
                | "hear"
                | "say"
                | "i"
                | "you"
                | "the"
                | "it"
                | "this"
                | "that"
                | "not"
                | "thank"
                | "admit"
                | "help"
        ) && !rest.starts_with("be debt")
            && !(verb == "be" && rest.len() > "be able to ".len())
        {
            return None;
        }
        let kept = [" but ", ", but", " because ", ", because", ", so ", " though "]
            .iter()
            .filter_map(|tail| rest.find(tail))
            .min()
            .unwrap_or(rest.len());
        let quote_end = quote_end.min(body.len() - rest.len() + kept);
        return Some(Hit {
            quote_end,
            ..hit(capitalised(short(rest.get(..kept).unwrap_or(rest))), confidence)
        });
    }
    for mark in GERUNDS {
        if let Some(at) = lower.find(mark) {
            let rest = body.get(at + mark.len()..)?;
            let (verb, tail) = rest.split_once(SPACE).unwrap_or((rest, ""));
            let base = base_of_gerund(&verb.to_lowercase())?;
            return Some(hit(capitalised(short(&format!("{base} {tail}"))), 0.55));
        }
    }
    None
}

/// Whether what stands before the mark takes it back, puts it in the past, or says it of others.
fn unsaid(before: &str) -> bool {
    let before = before.trim_end();
    let asked = before.starts_with("do ") || before.starts_with("should ");
    [
        "not",
        "don't",
        "don’t",
        "didn't",
        "didn’t",
        "never",
        "no longer",
        "was",
        "were",
        "they",
        "people",
        "he",
        "she",
        "who",
    ]
    .iter()
    .any(|word| before.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with(' ')))
        && !asked
}

/// Gives the title of a list item.
pub(super) fn item_title(item: &str) -> String {
    if let Some(hit) = deed(item).or_else(|| need(item)) {
        return hit.title;
    }
    let (verb, tail) = item.split_once(SPACE).unwrap_or((item, ""));
    match imperative_of(&verb.to_lowercase()) {
        Some(base) if !tail.is_empty() => format!("{} {}", capitalised(&base), imperatives_after_and(tail)),
        _ => capitalised(item),
    }
}

/// Cuts the tail that asks or excuses: "…right away?", "…at all?"
fn short(rest: &str) -> &str {
    let rest = rest.trim_end_matches(['.', '!', '?', ',', ' ']);
    [" right away", " at all", " before that", " first"]
        .iter()
        .find_map(|tail| rest.strip_suffix(tail))
        .unwrap_or(rest)
}

/// "Applied … and kept …" → "… and keep …"
fn imperatives_after_and(tail: &str) -> String {
    let mut out = String::with_capacity(tail.len());
    let mut after_and = false;
    for word in tail.split_inclusive(SPACE) {
        let bare = word.trim_end();
        match after_and.then(|| imperative_of(&bare.to_lowercase())).flatten() {
            Some(verb) => {
                out.push_str(&verb);
                out.push_str(word.get(bare.len()..).unwrap_or_default());
            }
            None => out.push_str(word),
        }
        after_and = bare == "and" || (after_and && bare == "never");
    }
    out.trim_end().to_owned()
}

fn capitalised(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_forms_find_their_verb() {
        for (past, base) in [
            ("finished", "finish"),
            ("rebuilt", "rebuild"),
            ("applied", "apply"),
            ("practised", "practise"),
            ("moved", "move"),
            ("changed", "change"),
            ("stopped", "stop"),
            ("planned", "plan"),
            ("cancelled", "cancel"),
            ("watched", "watch"),
            ("booked", "book"),
            ("answered", "answer"),
            ("signed", "sign"),
            ("started", "start"),
            ("created", "create"),
            ("joined", "join"),
            ("cooked", "cook"),
            ("reviewed", "review"),
            ("shared", "share"),
            ("decided", "decide"),
            ("baked", "bake"),
            ("asked", "ask"),
            ("walked", "walk"),
            ("used", "use"),
            ("deleted", "delete"),
            ("listed", "list"),
        ] {
            assert_eq!(imperative_of(past).as_deref(), Some(base), "{past}");
        }
        assert_eq!(imperative_of("three"), None);
    }

    #[test]
    fn deeds_and_needs_are_found() {
        for (clause, title) in [
            (
                "Every payday I sent an extra $300 to the smallest loan.",
                "Send an extra $300 to the smallest loan every payday",
            ),
            (
                "After that I built a small photo app on Lambda and S3.",
                "Build a small photo app on Lambda and S3",
            ),
            ("I also joined a local choir.", "Join a local choir"),
        ] {
            assert_eq!(deed(clause).map(|hit| hit.title).as_deref(), Some(title));
        }
        for (clause, title) in [
            ("Is it worth reading the whitepapers?", "Read the whitepapers"),
            ("How can I finally learn Spanish?", "Learn Spanish"),
            ("I'd like to find cafés that buy wholesale.", "Find cafés that buy wholesale"),
            ("Do I need to learn React right away?", "Learn React"),
        ] {
            assert_eq!(need(clause).map(|hit| hit.title).as_deref(), Some(title));
        }
        assert!(deed("My sister thought I was joking.").is_none());
        assert!(need("Is this realistic?").is_none());
    }
}
