//! The prompts for tasks, in Korean and English, and their worked examples.

use super::draft::TaskDraft;
use super::{Language, PostKind};

/// Changes whenever a word below does: results of different versions must not be mixed or compared as one.
pub(super) const VERSION: &str = "tasks-1";

/// Tells the model what to look for.
pub(super) const fn text(kind: PostKind, language: Language) -> &'static str {
    match (language, kind) {
        (Language::Korean, PostKind::Story) => {
            "성공담에서 글쓴이가 실제로 한 일을 모두 찾아 일한 순서대로 적으세요. 결과(합격, 완주, 감량한 무게), 느낌, 인사말, \
             다른 사람이 한 일은 과제가 아닙니다. 글에 없는 일은 지어내지 마세요. 한 일이 없으면 빈 목록을 쓰세요."
        }
        (Language::Korean, PostKind::Question) => {
            "질문 글에서 글쓴이가 하고 싶거나 해야 하거나 하려고 하거나 할지 묻는 일을 모두 찾아 글에 나온 순서대로 적으세요. \
             이미 끝난 일, 형편 설명, 조언을 구하는 인사말은 과제가 아닙니다. 글에 없는 일은 지어내지 마세요. 없으면 빈 목록을 쓰세요."
        }
        (Language::English, PostKind::Story) => {
            "Find everything that the author of this success story actually did, in the order of doing. Outcomes (passed, won, \
             lost weight), feelings, greetings and what others did are not tasks. Invent nothing. If nothing was done, give an \
             empty list."
        }
        (Language::English, PostKind::Question) => {
            "Find everything that the author of this question wants to do, has to do, plans to do, or asks whether or how to do, \
             in the order of the text. What is already done, circumstances, and requests for advice are not tasks. Invent \
             nothing. If there is none, give an empty list."
        }
    }
}

/// A post and the tasks in it, for the model to imitate.
pub(super) fn example(kind: PostKind, language: Language) -> (&'static str, Vec<TaskDraft>) {
    let draft = |title: &str, quote: &str| TaskDraft {
        title: title.to_owned(),
        quote: quote.to_owned(),
        detail: None,
        due: None,
        duration_minutes: None,
        frequency: None,
        prerequisites: Vec::new(),
        difficulty: None,
    };
    match (language, kind) {
        (Language::Korean, PostKind::Story) => (
            "드디어 운전면허를 땄어요! 먼저 필기 문제집을 두 번 풀었습니다. 그다음 주말마다 아버지 차로 주차를 연습했어요. 떨렸지만 행복합니다.",
            vec![
                draft("필기 문제집 두 번 풀기", "먼저 필기 문제집을 두 번 풀었습니다"),
                TaskDraft {
                    frequency: Some("주말마다".to_owned()),
                    prerequisites: vec![1],
                    ..draft("주말마다 주차 연습하기", "그다음 주말마다 아버지 차로 주차를 연습했어요")
                },
            ],
        ),
        (Language::Korean, PostKind::Question) => (
            "운전면허를 따고 싶은데 무섭습니다. 필기 문제집은 2026년 9월 1일까지 다 풀어야 해요. 다들 며칠 걸리셨나요?",
            vec![
                draft("운전면허 따기", "운전면허를 따고 싶은데"),
                TaskDraft {
                    due: Some("2026-09-01".to_owned()),
                    ..draft("필기 문제집 다 풀기", "필기 문제집은 2026년 9월 1일까지 다 풀어야 해요")
                },
            ],
        ),
        (Language::English, PostKind::Story) => (
            "I finally have my driving licence! First I worked through the theory book twice. Then I practised parking every \
             weekend with my father. I was shaking, but happy.",
            vec![
                draft("Work through the theory book twice", "First I worked through the theory book twice"),
                TaskDraft {
                    frequency: Some("every weekend".to_owned()),
                    prerequisites: vec![1],
                    ..draft(
                        "Practise parking every weekend",
                        "Then I practised parking every weekend with my father",
                    )
                },
            ],
        ),
        (Language::English, PostKind::Question) => (
            "I want to get my driving licence but I am scared. I have to finish the theory book by 2026-09-01. How long did it \
             take you?",
            vec![
                draft("Get my driving licence", "I want to get my driving licence"),
                TaskDraft {
                    due: Some("2026-09-01".to_owned()),
                    ..draft("Finish the theory book", "I have to finish the theory book by 2026-09-01")
                },
            ],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_quotes_its_own_source() {
        for language in [Language::Korean, Language::English] {
            for kind in [PostKind::Story, PostKind::Question] {
                let (source, drafts) = example(kind, language);
                assert!(drafts.iter().all(|draft| source.contains(&draft.quote)), "{language:?} {kind:?}");
                assert_eq!(Language::detect(source), language);
                assert_eq!(Language::detect(text(kind, language)), language);
            }
        }
    }
}
