//! Objects around an answer: what their keys say of it.

use super::Aligner;
use crate::report::Severity;
use crate::schema::fold;
use crate::tree::{Kind, NodeId};

/// Names of what is not the answer.
const ALONE: &[&str] = &[
    "sample",
    "schema",
    "template",
    "previous",
    "prev",
    "old",
    "before",
    "error",
    "errorcode",
    "errno",
    "never",
    "예제",
    "이전",
    "기존",
    "오류",
    "에러",
];

/// Words that deny what the rest of a key names: `rejected_answer`, `notThis`.
const WORDS: &[&str] = &[
    "not",
    "example",
    "examples",
    "counterexample",
    "draft",
    "wrong",
    "incorrect",
    "invalid",
    "rejected",
    "excluded",
    "discarded",
    "superseded",
    "obsolete",
    "bad",
];

/// How Korean words begin that do so.
const STEMS: &[&str] =
    &["예시", "초안", "오답", "거부", "거절", "기각", "제외", "폐기", "무효", "잘못", "틀린", "아닌"];

/// Tells whether a key says that what it holds is not the answer.
pub(crate) fn is_no_answer(key: &str) -> bool {
    ALONE.contains(&&*fold(key)) || words(key).any(|word| denies(&word)) || crate::syntax::denies(key)
}

fn denies(word: &str) -> bool {
    WORDS.contains(&word) || STEMS.iter().any(|stem| word.starts_with(stem))
}

/// The words of a key in small letters: `rejectedAnswer`, `rejected_answer`, `Rejected answer`.
fn words(key: &str) -> impl Iterator<Item = String> {
    key.split(|c: char| !c.is_alphanumeric()).flat_map(|part| {
        let mut words: Vec<String> = Vec::new();
        let mut lower = false;
        for c in part.chars() {
            if words.is_empty() || (lower && c.is_uppercase()) {
                words.push(String::new());
            }
            lower = c.is_lowercase();
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        words
    })
}

impl Aligner<'_> {
    /// How much it may change to take one value out of an object: what stands beside it is lost, and may say that there is no
    /// answer.
    pub(super) fn unwrapping(&self, node: NodeId) -> Severity {
        let more = self.tree().children(node).nth(1).is_some();
        let none = more && self.tree().children(node).any(|child| self.is_answered_by_null(child));
        match (none, more) {
            (true, _) => Severity::Ambiguous,
            (false, true) => Severity::Lossy,
            (false, false) => Severity::Repaired,
        }
    }

    /// `"answer": null`
    fn is_answered_by_null(&self, child: NodeId) -> bool {
        let key = || self.tree().key(child, self.source()).map(fold).unwrap_or_default();
        self.kind(child) == Kind::Null
            && matches!(
                &*key(),
                "answer"
                    | "finalanswer"
                    | "result"
                    | "output"
                    | "value"
                    | "답"
                    | "답변"
                    | "정답"
                    | "결과"
                    | "값"
            )
    }
}

#[cfg(test)]
mod tests {
    use super::is_no_answer;

    #[test]
    fn a_key_may_deny_what_it_holds() {
        for key in [
            "not",
            "rejected_answer",
            "rejectedAnswer",
            "Wrong answer",
            "example",
            "잘못된 답",
            "오답",
            "제외된_항목",
        ] {
            assert!(is_no_answer(key), "{key}");
        }
        for key in
            ["answer", "notes", "notation", "result", "previous_employers", "badge", "정답", "목록", "대안"]
        {
            assert!(!is_no_answer(key), "{key}");
        }
    }
}
