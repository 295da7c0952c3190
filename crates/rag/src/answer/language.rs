//! The language of an answer, and what the assistant itself says in it.

use serde::{Deserialize, Serialize};

/// The language that an assistant answers in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Language {
    /// That of the question: Korean if it has Hangul, else English.
    #[default]
    Auto,
    /// Korean.
    Korean,
    /// English.
    English,
}

impl Language {
    /// Decides for a question.
    pub(super) fn of(self, question: &str) -> Said {
        match self {
            Self::Korean => KOREAN,
            Self::English => ENGLISH,
            Self::Auto if is_korean(question) => KOREAN,
            Self::Auto => ENGLISH,
        }
    }
}

/// Tells whether a text has Hangul: syllables, or the letters that macOS takes them apart to.
fn is_korean(text: &str) -> bool {
    text.contains(|c| matches!(c, '가'..='힣' | '\u{1100}'..='\u{11FF}'))
}

/// What the assistant itself says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) language: &'static str,
    pub(super) not_found: &'static str,
    pub(super) without_model: &'static str,
    pub(super) unreachable: &'static str,
}

const KOREAN: Said = Said {
    language: "Korean",
    not_found: "가지고 있는 자료에는 이 질문에 답할 내용이 없습니다. 지어내서 답하지 않겠습니다.",
    without_model: "언어 모델 없이, 자료에서 관련 문장을 그대로 옮깁니다.",
    unreachable: "지금 언어 모델에 연결할 수 없어, 자료에서 관련 문장을 그대로 옮깁니다.",
};

const ENGLISH: Said = Said {
    language: "English",
    not_found: "The knowledge I have does not answer this question, and I will not make an answer up.",
    without_model: "Without a language model: these are sentences of the sources, word for word.",
    unreachable: "The language model cannot be reached just now: these are sentences of the sources, word for word.",
};
