//! Assistants, from question to last event.

mod kept;
mod prompts;
mod turns;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use pumasi_core::ErrorKind;
use pumasi_core::cache::MemoryCache;
use pumasi_core::model::{FinishReason, Reply, ScriptedModel, Usage};
use pumasi_core::time::SystemClock;
use pumasi_rag::Document;
use pumasi_rag::answer::{Answer, AnswerEvent, Ask, Assistant, Doubt, Grounding, Language, Outcome, Verdict};

use crate::knowledge::{documents, retriever};

const KNEE: &str = "통증이 있으면 사흘 쉽니다. 그다음 20분을 걷습니다. 무릎이 부으면 병원에 갑니다.";

async fn coach(model: &ScriptedModel) -> Assistant {
    let knee = Document::new("knee", KNEE).with_title("무릎 통증");
    let shoes = Document::new("shoes", "Replace running shoes after 700 km.").with_title("Shoes");
    Assistant::builder(retriever(vec![knee, shoes]).await)
        .persona("You are a former runner who coaches.")
        .model(Arc::new(model.clone()))
        .build()
        .unwrap()
}

fn pieces(text: &str) -> Reply {
    Reply::in_pieces(text, NonZeroUsize::new(2).unwrap()).with_usage(Usage::new(100, 20))
}

fn verdicts(answer: &Answer) -> Vec<(&str, Vec<u32>, Verdict)> {
    let said = |citation: &pumasi_rag::answer::Citation| citation.span.of(&answer.text).to_owned();
    answer
        .citations
        .iter()
        .map(|citation| {
            (Box::leak(said(citation).into_boxed_str()) as &str, citation.sources.clone(), citation.verdict)
        })
        .collect()
}

#[tokio::test]
async fn every_cited_sentence_is_held_against_its_source_while_the_answer_streams() {
    let model = ScriptedModel::always(pieces(
        "힘드시죠. 통증이 있으면 사흘은 쉬세요 [1]. 그다음 40분을 걸으세요[1]. 소염제를 드세요 [1][9]. 무릎이 부으면 병원에 갑니다. [1]",
    ));
    let answer = coach(&model).await.answer(Ask::new("무릎 통증이 있는데 얼마나 쉬나요?")).await.unwrap();
    assert_eq!(
        verdicts(&answer),
        [
            ("통증이 있으면 사흘은 쉬세요 [1].", vec![1], Verdict::Supported),
            ("그다음 40분을 걸으세요[1].", vec![1], Verdict::Unsupported(Doubt::Number)),
            ("소염제를 드세요 [1].", vec![1], Verdict::Unsupported(Doubt::Words)),
            ("무릎이 부으면 병원에 갑니다. [1]", vec![1], Verdict::Quoted),
        ]
    );
    let summary = &answer.summary;
    assert_eq!((summary.sentences, summary.cited, summary.unsupported), (5, 4, 2));
    assert_eq!((summary.outcome, answer.usage), (Outcome::Answered, Some(Usage::new(100, 20))));
    assert!(!answer.text.contains("[9]"));
    // where the source says so
    let evidence = answer.citations[0].evidence[0];
    assert_eq!(evidence.span.of(KNEE), "통증이 있으면 사흘 쉽니다.");
    assert_eq!(answer.sources[0].document, "knee");
}

#[tokio::test]
async fn sources_come_before_the_first_word_and_verdicts_behind_their_sentence() {
    let model = ScriptedModel::always(pieces(
        "Replace them after 700 km [1]. They last longer than that on soft ground.",
    ));
    let mut events = coach(&model).await.ask(Ask::new("When do I replace running shoes?"));
    let (mut names, mut seen) = (Vec::new(), String::new());
    while let Some(event) = events.next().await {
        match &event {
            AnswerEvent::Delta { text } => seen.push_str(text),
            AnswerEvent::Citation(citation) => {
                assert!(seen.len() >= citation.span.end && seen.len() < citation.span.end + 40, "{seen}");
            }
            _ => {}
        }
        names.push(event.name());
    }
    names.dedup();
    assert_eq!(names, ["retrieved", "delta", "citation", "delta", "usage", "done"]);
}

#[tokio::test]
async fn nothing_relevant_is_said_to_be_nothing_and_no_model_is_asked() {
    let model = ScriptedModel::always(Reply::text("The capital is Ulaanbaatar [1]."));
    let coach = coach(&model).await;
    let answer = coach.answer(Ask::new("What is the capital of Mongolia?")).await.unwrap();
    assert_eq!((answer.summary.outcome, model.calls()), (Outcome::NotFound, 0));
    assert!(answer.text.contains("will not make an answer up") && answer.sources.is_empty());
    let answer = coach.answer(Ask::new("전세 계약은 어떻게 하나요?")).await.unwrap();
    assert!(answer.text.contains("지어내서 답하지 않겠습니다"), "{}", answer.text);
    let none = Ask::new("?!");
    assert_eq!(coach.answer(none).await.unwrap().summary.outcome, Outcome::NotFound);
}

#[tokio::test]
async fn a_model_that_finds_no_answer_in_the_passages_is_believed_and_its_sign_is_not_shown() {
    let written = [
        "NO_ANSWER",
        " NO_ANSWER\n",
        "**NO_ANSWER**",
        "`no_answer`",
        "[NO_ANSWER]",
        "NO_ANSWER: 자료에 없습니다.",
    ];
    let told = pieces("자료에는 그런 내용이 없습니다. NO_ANSWER");
    for reply in written.map(pieces).into_iter().chain([told, Reply::text(""), Reply::text(" ")]) {
        let model = ScriptedModel::always(reply);
        let answer = coach(&model).await.answer(Ask::new("무릎 통증에 얼마나 쉬나요?")).await.unwrap();
        assert_eq!(answer.summary.outcome, Outcome::NotFound);
        assert!(!answer.text.contains("NO_"), "{}", answer.text);
    }
    for text in ["NO, rest for three days [1].", "NO_ANSWER이 아니라, 사흘 쉽니다 [1]."] {
        let model = ScriptedModel::always(pieces(text));
        let answer = coach(&model).await.answer(Ask::new("무릎 통증에 얼마나 쉬나요?")).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.summary.outcome), (text, Outcome::Answered));
    }
    let model = ScriptedModel::always(pieces("사흘 쉽니다 [1]. NO_ANSWER"));
    let answer = coach(&model).await.answer(Ask::new("무릎 통증에 얼마나 쉬나요?")).await.unwrap();
    assert_eq!((answer.text.trim(), answer.summary.outcome), ("사흘 쉽니다 [1].", Outcome::Answered));
}

#[tokio::test]
async fn an_answer_that_is_cut_off_before_its_first_word_is_an_error_and_not_kept() {
    let cut = |reason| Reply::text("").with_finish_reason(reason);
    let model = ScriptedModel::new([
        cut(FinishReason::Length),
        cut(FinishReason::ContentFilter),
        Reply::text(""),
        pieces("사흘 쉽니다 [1]."),
    ]);
    let knee = Document::new("knee", KNEE).with_title("무릎 통증");
    let assistant = Assistant::builder(retriever(vec![knee]).await)
        .model(Arc::new(model))
        .cache(Arc::new(MemoryCache::new(1 << 20)), Duration::from_mins(5))
        .build()
        .unwrap();
    let ask = || assistant.answer(Ask::new("무릎 통증에 얼마나 쉬나요?"));
    assert_eq!(ask().await.unwrap_err().kind(), ErrorKind::BudgetExhausted);
    assert_eq!(ask().await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(ask().await.unwrap().summary.outcome, Outcome::NotFound);
    assert_eq!(ask().await.unwrap().summary.outcome, Outcome::Answered);
}

#[tokio::test]
async fn korean_in_letters_is_korean() {
    // as macOS writes it
    let apart = |text: &str| {
        let letters = text.chars().flat_map(|c| {
            let at = u32::from(c).wrapping_sub(0xAC00);
            if at >= 11_172 {
                return vec![c];
            }
            let last = Some(0x11A7 + at % 28).filter(|last| *last > 0x11A7);
            let all = [Some(0x1100 + at / 588), Some(0x1161 + at % 588 / 28), last];
            all.into_iter().flatten().filter_map(char::from_u32).collect()
        });
        letters.collect::<String>()
    };
    let knee = Document::new("knee", apart(KNEE)).with_title(apart("무릎 통증"));
    let model = ScriptedModel::always(pieces("아프면 사흘 쉬세요 [1]. 소염제를 드세요 [1]."));
    let assistant =
        Assistant::builder(retriever(vec![knee]).await).model(Arc::new(model.clone())).build().unwrap();
    let answer = assistant.answer(Ask::new(apart("무릎 통증에 얼마나 쉬나요?"))).await.unwrap();
    let found: Vec<Verdict> = answer.citations.iter().map(|citation| citation.verdict).collect();
    assert_eq!(found, [Verdict::Supported, Verdict::Unsupported(Doubt::Words)]);
    assert_eq!(answer.citations[0].evidence[0].span.of(&apart(KNEE)), apart("통증이 있으면 사흘 쉽니다."));
    assert!(model.requests()[0].messages[0].content.contains("Answer in Korean"));
    let grounding = Grounding::of("", [apart(KNEE).as_str()]);
    let verdict = |claim: &str| grounding.check(claim, &[1]).unwrap().0;
    assert_eq!(verdict("무릎이 부으면 병원에 갑니다."), Verdict::Quoted);
    assert_eq!(verdict(&apart("무릎이 부으면 병원에 가지 않습니다.")), Verdict::Unsupported(Doubt::Negation));
}

#[tokio::test]
async fn without_a_model_the_answer_is_sentences_of_the_sources_and_says_so() {
    let assistant = Assistant::builder(retriever(documents()).await).build().unwrap();
    for (question, note, source) in [
        ("러닝화는 언제 바꿔야 하나요?", "언어 모델 없이", "ko/shoes"),
        ("How bright should a headlamp be at night?", "Without a language model", "en/night"),
    ] {
        let answer = assistant.answer(Ask::new(question)).await.unwrap();
        assert_eq!((answer.summary.outcome, &answer.summary.model), (Outcome::Extracted, &None));
        assert!(answer.text.starts_with(note), "{}", answer.text);
        assert_eq!(answer.sources[0].document, source);
        assert!(!answer.citations.is_empty());
        for citation in &answer.citations {
            assert_eq!(citation.verdict, Verdict::Quoted, "{}", citation.span.of(&answer.text));
            assert!(citation.span.of(&answer.text).ends_with(']'));
        }
    }
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_call_of_the_model() {
    let reply = Reply::chunks(["무릎이 아프면 ", "쉬세요"]).stall();
    let model = ScriptedModel::always(reply).with_clock(SystemClock);
    let mut events = coach(&model).await.ask(Ask::new("무릎 통증이 있어요"));
    while let Some(event) = events.next().await {
        if event.name() == "delta" {
            break;
        }
    }
    assert_eq!((model.open_calls(), model.cancelled_calls()), (1, 0));
    drop(events);
    assert_eq!((model.open_calls(), model.cancelled_calls()), (0, 1), "at once");
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_why_and_one_that_is_cut_off_says_so() {
    let model = ScriptedModel::always(Reply::chunks(["통증이 있으면 "]).cut(ErrorKind::Unavailable));
    let coach_ = coach(&model).await;
    let events: Vec<_> = coach_.ask(Ask::new("무릎 통증")).collect().await;
    let AnswerEvent::Error(failure) = events.last().unwrap() else { panic!("{events:?}") };
    assert_eq!((failure.kind, failure.is_retryable), (ErrorKind::Unavailable, true));
    assert_eq!(coach_.answer(Ask::new("무릎 통증")).await.unwrap_err().kind(), ErrorKind::Unavailable);

    let model =
        ScriptedModel::always(Reply::text("통증이 있으면 사").with_finish_reason(FinishReason::Length));
    assert!(coach(&model).await.answer(Ask::new("무릎 통증")).await.unwrap().summary.is_cut_off);
}

#[tokio::test]
async fn where_the_model_cannot_be_reached_the_sources_answer_and_say_so() {
    let ask = || Ask::new("무릎 통증에 얼마나 쉬나요?");
    let unreachable = [
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Unauthorized,
        ErrorKind::RateLimited,
        ErrorKind::CircuitOpen,
        ErrorKind::Overloaded,
    ];
    let failing = unreachable.map(Reply::error);
    let after_no_word = Reply::chunks(Vec::<String>::new()).cut(ErrorKind::Unavailable);
    let after_a_word = Reply::chunks(["통증이 있으면 "]).cut(ErrorKind::Unavailable);
    let others = [after_no_word, after_a_word, Reply::error(ErrorKind::Refused)];
    let model = ScriptedModel::new(failing.into_iter().chain(others).chain([pieces("사흘 쉽니다 [1].")]));
    let knee = Document::new("knee", KNEE).with_title("무릎 통증");
    let coach = Assistant::builder(retriever(vec![knee]).await)
        .model(Arc::new(model.clone()))
        .extract_when_unreachable()
        .cache(Arc::new(MemoryCache::new(1 << 20)), Duration::from_mins(5))
        .build()
        .unwrap();
    for kind in unreachable.into_iter().chain([ErrorKind::Unavailable]) {
        let events: Vec<_> = coach.ask(ask()).collect().await;
        assert_eq!(events.iter().filter(|event| event.name() == "retrieved").count(), 1, "{events:?}");
        let answer = pumasi_rag::answer::AnswerStream::of(events).whole().await.unwrap();
        let summary = &answer.summary;
        assert_eq!((summary.outcome, &summary.model), (Outcome::Extracted, &None), "{kind}");
        assert_eq!((summary.unreachable, summary.is_cached), (Some(kind), false), "{kind}");
        assert!(answer.text.starts_with("지금 언어 모델에 연결할 수 없어"), "{}", answer.text);
        assert!(!answer.citations.is_empty());
        for citation in &answer.citations {
            assert_eq!(citation.verdict, Verdict::Quoted, "{}", citation.span.of(&answer.text));
        }
    }
    for kind in [ErrorKind::Unavailable, ErrorKind::Refused] {
        assert_eq!(coach.answer(ask()).await.unwrap_err().kind(), kind, "after a word, or of the question");
    }
    assert_eq!(coach.answer(ask()).await.unwrap().summary.outcome, Outcome::Answered);
}

#[tokio::test]
async fn answers_in_another_language_are_checked_by_their_numbers() {
    let shoes = Document::new("shoes", "Replace running shoes after 700 km. Dry them for 2 days.")
        .with_title("러닝화 Shoes");
    let model =
        ScriptedModel::always(pieces("러닝화는 700km를 달리면 바꿉니다 [1]. 사흘 동안 말리세요 [1]."));
    let assistant = Assistant::builder(retriever(vec![shoes]).await)
        .model(Arc::new(model.clone()))
        .language(Language::Korean)
        .build()
        .unwrap();
    let answer = assistant.answer(Ask::new("러닝화는?")).await.unwrap();
    let found: Vec<Verdict> = answer.citations.iter().map(|citation| citation.verdict).collect();
    assert_eq!(found, [Verdict::Unchecked, Verdict::Unsupported(Doubt::Number)]);
    assert!(model.requests()[0].messages[0].content.contains("Answer in Korean"));
}

#[tokio::test]
async fn no_debug_shows_what_people_said() {
    let model = ScriptedModel::always(pieces("통증이 있으면 사흘 쉽니다 [1]."));
    let coach = coach(&model).await;
    let ask = Ask::new("무릎 통증에 얼마나 쉬나요?");
    let shown = format!("{ask:?} {coach:?}");
    let events: Vec<_> = coach.ask(ask.clone()).collect().await;
    let answer = coach.answer(ask).await.unwrap();
    let shown = format!("{shown} {events:?} {answer:?}");
    for word in ["무릎", "사흘", "former runner"] {
        assert!(!shown.contains(word), "{shown}");
    }
}

/// What the crate adds to the time until the first word: all that is done between the question and the first delta, less the search
/// itself, for a model that answers at once.
#[tokio::test]
#[ignore = "measures: cargo test --release -p pumasi-rag --test it -- --ignored --nocapture first_word"]
#[expect(clippy::print_stdout, reason = "figures for a person")]
async fn the_first_word_comes_at_most_2_ms_after_the_search_and_the_model() {
    let knowledge = retriever(documents()).await;
    let model =
        Arc::new(ScriptedModel::always(pieces("무릎이 아프면 사흘은 쉬세요 [1]. 그다음 걸으세요 [1].")));
    let assistant = Assistant::builder(knowledge.clone()).model(model).build().unwrap();
    let questions =
        ["무릎 앞쪽이 아픈데 뛰어도 될까요?", "When should I take gels in a race?", "러닝화는 언제 바꿔요?"];
    let mut added: Vec<Duration> = Vec::new();
    for round in 0..300 {
        let question = questions[round % questions.len()];
        let searching = Instant::now();
        knowledge.retrieve(&pumasi_rag::Question::new(question)).await.unwrap();
        let searched = searching.elapsed();
        let asked = Instant::now();
        let mut events = assistant.ask(Ask::new(question));
        while events.next().await.unwrap().name() != "delta" {}
        added.push(asked.elapsed().saturating_sub(searched));
    }
    added.sort_unstable();
    println!("added until the first word: p50 {:?}, p99 {:?}", added[150], added[297]);
    assert!(added[150] <= Duration::from_millis(2), "{:?}", added[150]);
}
