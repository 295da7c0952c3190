//! Questions that go on from earlier ones.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::StreamExt;
use pumasi_core::ErrorKind;
use pumasi_core::model::{FinishReason, Reply, ScriptedModel, Usage};
use pumasi_rag::Document;
use pumasi_rag::answer::{Ask, Assistant, FollowUps};
use pumasi_rag::memory::{Conversation, Memory, Turn};

use crate::knowledge::{documents, retriever};

use super::KNEE;

#[tokio::test]
async fn a_follow_up_is_looked_up_with_what_it_goes_on_from() {
    let mut conversation = Conversation::new();
    conversation.push(Turn::new("러닝화는 언제 바꾸나요?", "500km에서 800km입니다."));
    let ask = || Ask::new("카본화는 어떤가요?").in_conversation(conversation.clone());
    let knowledge = retriever(documents()).await;

    let joined = Assistant::builder(knowledge.clone()).follow_ups(FollowUps::Joined).build().unwrap();
    assert_eq!(joined.answer(ask()).await.unwrap().sources[0].document, "ko/shoes");
    // of a turn that is larger than the budget the question stays
    let mut long = Conversation::new();
    long.push(Turn::new("러닝화는 언제 바꾸나요?", "500km에서 800km입니다. ".repeat(400)));
    let answer = joined.answer(Ask::new("카본화는 어떤가요?").in_conversation(long)).await.unwrap();
    assert_eq!(answer.sources[0].document, "ko/shoes");

    let model = ScriptedModel::new([
        Reply::text("러닝화 가운데 카본화는 언제 신나요?").with_usage(Usage::new(10, 5)),
        Reply::text("카본화는 대회와 빠른 훈련에만 신습니다 [1].").with_usage(Usage::new(100, 20)),
    ]);
    let condensed = Assistant::builder(knowledge.clone())
        .model(Arc::new(model.clone()))
        .follow_ups(FollowUps::Condensed)
        .build()
        .unwrap();
    let answer = condensed.answer(ask()).await.unwrap();
    assert_eq!(answer.usage, Some(Usage::new(110, 25)));
    assert_eq!(answer.sources[0].document, "ko/shoes");
    let asked = model.requests();
    assert!(asked[1].messages.last().unwrap().content.ends_with("카본화는 어떤가요?"));
    assert!(asked[1].messages.iter().any(|message| message.content == "500km에서 800km입니다."));

    let failing =
        ScriptedModel::new([Reply::error(ErrorKind::Timeout), Reply::text("대회에만 신습니다 [1].")]);
    let condensed = Assistant::builder(knowledge.clone())
        .model(Arc::new(failing))
        .follow_ups(FollowUps::Condensed)
        .build()
        .unwrap();
    assert_eq!(condensed.answer(ask()).await.unwrap().sources[0].document, "ko/shoes");
    let useless = [
        // what a model answers that thinks until it may not write any more
        Reply::text("").with_finish_reason(FinishReason::Length),
        Reply::text("김치찌개는 어떻게").with_finish_reason(FinishReason::Length),
        Reply::text("김치찌개 ".repeat(8_000)),
    ];
    for reply in useless {
        let model = ScriptedModel::new([reply, Reply::text("대회에만 신습니다 [1].")]);
        let condensed = Assistant::builder(knowledge.clone())
            .model(Arc::new(model))
            .follow_ups(FollowUps::Condensed)
            .build()
            .unwrap();
        assert_eq!(condensed.answer(ask()).await.unwrap().sources[0].document, "ko/shoes");
    }
}

#[tokio::test]
async fn a_conversation_remembers_what_was_answered_and_borne_out() {
    let memory = Arc::new(Memory::new(NonZeroUsize::new(9).unwrap()));
    let record = async |name: &str, model: Option<Reply>| {
        let builder = Assistant::builder(retriever(vec![Document::new("knee", KNEE)]).await);
        let builder = match model {
            Some(reply) => builder.model(Arc::new(ScriptedModel::always(reply))),
            None => builder,
        };
        let asked = builder.build().unwrap().ask(Ask::new("무릎 통증에 얼마나 쉬나요?"));
        memory.record(name, "무릎 통증에 얼마나 쉬나요?", asked).for_each(|_| async {}).await;
        memory.get(name).turns.into_iter().map(|turn| turn.answer).collect::<Vec<_>>()
    };
    let good = Reply::text("통증이 있으면 사흘 쉽니다 [1].");
    assert_eq!(record("whole", Some(good.clone())).await, ["통증이 있으면 사흘 쉽니다."]);
    assert_eq!(record("cut", Some(good.with_finish_reason(FinishReason::Length))).await, [""; 0]);
    assert_eq!(record("doubted", Some(Reply::text("통증이 있으면 열흘 쉽니다 [1]."))).await, [""; 0]);
    let extracted = record("extracted", None).await.remove(0);
    assert!(
        extracted.contains("사흘") && !extracted.contains("언어 모델") && !extracted.contains('['),
        "{extracted}"
    );
}
