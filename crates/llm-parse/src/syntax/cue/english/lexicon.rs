//! The words by which English sentences speak of a value.

/// Verbs that say something of their subject.
pub(super) const COPULAS: &[&str] = &["is", "are", "was", "were", "am", "looks", "seems", "appears", "been"];
pub(super) const WRONG: &[&str] = &[
    "wrong",
    "incorrect",
    "invalid",
    "mistaken",
    "false",
    "inaccurate",
    "erroneous",
    "outdated",
    "obsolete",
    "bogus",
    "flawed",
    "nonsense",
    "rubbish",
];
pub(super) const RIGHT: &[&str] =
    &["right", "correct", "accurate", "valid", "true", "final", "real", "actual", "current", "definitive"];
pub(super) const MISTAKES: &[&str] = &["error", "errors", "mistake", "mistakes", "typo", "typos", "slip"];
pub(super) const SAMPLES: &[&str] = &[
    "example",
    "examples",
    "sample",
    "samples",
    "placeholder",
    "placeholders",
    "illustration",
    "illustrative",
    "mock",
    "mockup",
    "dummy",
    "demo",
    "hypothetical",
    "fictional",
    "fictitious",
    "fake",
    "imaginary",
    "fabricated",
    "invented",
    "joke",
    "random",
];
pub(super) const SCHEMAS: &[&str] = &["schema", "template", "skeleton"];
pub(super) const DRAFTS: &[&str] = &["draft", "drafts", "tentative", "preliminary", "provisional"];
/// What the writer calls the value.
pub(super) const ANSWERS: &[&str] = &[
    "this",
    "that",
    "it",
    "these",
    "those",
    "above",
    "everything",
    "answer",
    "answers",
    "json",
    "output",
    "result",
    "results",
    "response",
    "object",
    "array",
    "reply",
    "version",
    "attempt",
    "value",
    "values",
    "they",
];
/// What the writer read.
pub(super) const SOURCES: &[&str] = &[
    "source",
    "original",
    "input",
    "text",
    "prompt",
    "document",
    "review",
    "reviewer",
    "question",
    "transcript",
    "article",
    "post",
    "email",
    "message",
    "user",
    "author",
    "customer",
    "speaker",
    "statement",
    "claim",
];
/// What the value is not, if it is none.
pub(super) const MEANT: &[&str] = &["answer", "it", "result", "output", "json", "response"];
/// Words that may stand between a verb and what it says.
pub(super) const FILLERS: &[&str] = &[
    "a",
    "an",
    "the",
    "all",
    "both",
    "just",
    "only",
    "simply",
    "merely",
    "purely",
    "completely",
    "totally",
    "entirely",
    "clearly",
    "actually",
    "really",
    "also",
    "still",
    "probably",
    "likely",
    "quite",
    "partly",
    "partially",
    "now",
    "definitely",
    "obviously",
    "my",
    "very",
    "one",
    "in",
    "fact",
    "indeed",
    "some",
    "kind",
    "slightly",
    "however",
    "therefore",
    "meant",
    "to",
    "be",
    "as",
    "of",
    "it's",
    "first",
    "pure",
    "bit",
    "yet",
    "even",
    "clear",
    "obvious",
    "small",
    "few",
    "several",
    "little",
    "simple",
    "valid",
    "value",
    "values",
    "rough",
    "made-up",
    "for",
    "more",
    "or",
    "less",
];
/// Words that stand before what takes a value back: “Wait, …”.
pub(super) const INTERJECTIONS: &[&str] = &[
    "actually",
    "oops",
    "whoops",
    "wait",
    "sorry",
    "hmm",
    "hm",
    "no",
    "apologies",
    "correction",
    "edit",
    "hold",
    "ah",
    "argh",
    "oh",
    "nope",
    "nevermind",
    "err",
    "er",
    "ugh",
];
/// Words that may stand before a sentence and change nothing about it.
pub(super) const OPENERS: &[&str] = &[
    "please",
    "kindly",
    "but",
    "and",
    "so",
    "note",
    "also",
    "however",
    "well",
    "then",
    "ok",
    "okay",
    "nb",
    "ps",
    "that",
    "you",
    "can",
    "should",
    "must",
    "may",
    "just",
    "simply",
    "important",
    "warning",
    "on",
    "second",
    "thought",
    "my",
    "bad",
    "we",
];
pub(super) const DISMISSALS: &[&str] =
    &["ignore", "disregard", "discard", "forget", "scratch", "strike", "skip", "cancel"];

/// Tells whether a list holds a word.
pub(super) fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.contains(&word)
}

/// Cuts a lower-case text into words; “isn't” and “that's” are two.
pub(super) fn tokens(text: &str) -> Vec<&str> {
    let mut list = Vec::new();
    let words = text
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '_' | '-' | '='))
        .map(|word| word.trim_matches(['\'', '-']));
    for word in words.filter(|word| !word.is_empty()) {
        if let Some(verb) = word.strip_suffix("n't") {
            list.extend([verb, "not"]);
        } else if word == "dont" {
            list.extend(["do", "not"]);
        } else if let Some(subject) = word.strip_suffix("'s") {
            list.extend([
                subject,
                if is_one_of(subject, &["this", "that", "it", "here", "there", "everything"]) {
                    "is"
                } else {
                    "of"
                },
            ]);
        } else if let Some(subject) = word.strip_suffix("'m") {
            list.extend([subject, "am"]);
        } else if let Some(subject) = word.strip_suffix("'re") {
            list.extend([subject, "are"]);
        } else {
            list.push(word.split_once('\'').map_or(word, |(stem, _)| stem));
        }
    }
    list
}

/// Tells whether a word is a number, a truth value or null.
pub(super) fn is_value(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        || is_one_of(
            word,
            &[
                "null", "true", "false", "none", "zero", "one", "two", "three", "four", "five", "six",
                "seven", "eight", "nine", "ten", "empty",
            ],
        )
}

/// What may be said of a value that stays as it is: “qty should be checked”.
pub(super) const ASSESSED: &[&str] = &[
    "verified",
    "checked",
    "confirmed",
    "treated",
    "considered",
    "noted",
    "clear",
    "good",
    "what",
    "all",
    "easy",
    "interpreted",
    "fine",
    "ok",
    "okay",
    "enough",
    "between",
    "at",
    "in",
    "done",
    "used",
    "taken",
    "read",
    "reviewed",
    "updated",
];
/// What the writer did to the text by mistake.
pub(super) const SLIPS: &[&str] = &[
    "misread",
    "misspoke",
    "miscounted",
    "mistyped",
    "miscalculated",
    "misunderstood",
    "mislabeled",
    "mislabelled",
    "misclassified",
    "messed",
    "screwed",
];
