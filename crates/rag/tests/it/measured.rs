//! What metrics tell of retrievals and answers.

use std::sync::Arc;

use futures_util::StreamExt as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use pumasi_core::ErrorKind;
use pumasi_core::model::{Reply, ScriptedModel};
use pumasi_rag::answer::{Ask, Assistant};
use pumasi_rag::{Document, Question};

use crate::knowledge::retriever;

const QUESTION: &str = "무릎 통증이 있는데 얼마나 쉬나요?";

#[tokio::test]
async fn retrievals_and_answers_are_counted_by_how_they_end_and_without_a_text() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let knee =
        Document::new("knee", "통증이 있으면 사흘 쉽니다. 그다음 20분을 걷습니다.").with_title("무릎 통증");
    let retriever = retriever(vec![knee]).await;
    retriever.retrieve(&Question::new("?!")).await.unwrap();

    let coach = Assistant::builder(retriever.clone()).build().unwrap();
    let begun = recorder.handle().render();
    assert!(begun.contains("pumasi_rag_answers_total{outcome=\"failed\"} 0\n"), "{begun}");
    assert!(begun.contains("pumasi_rag_retrieval_notes_total{note=\"not_embedded\"} 0\n"), "{begun}");
    coach.answer(Ask::new(QUESTION)).await.unwrap();
    let model = ScriptedModel::new([
        Reply::text("힘드시죠. 사흘은 쉬세요 [1]. 그다음 90분을 걸으세요 [1]."),
        Reply::error(ErrorKind::Unavailable),
        Reply::text("쉬세요 [1]."),
    ]);
    let coach = Assistant::builder(retriever).model(Arc::new(model)).build().unwrap();
    coach.answer(Ask::new(QUESTION)).await.unwrap();
    coach.answer(Ask::new(QUESTION)).await.unwrap_err();
    let mut left = coach.ask(Ask::new(QUESTION));
    left.next().await.unwrap();
    drop(left);

    let told = recorder.handle().render();
    let count = |series: &str| {
        told.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let retrievals = |outcome: &str| count(&format!("pumasi_rag_retrievals_total{{outcome=\"{outcome}\"}}"));
    assert_eq!((retrievals("relevant"), retrievals("nothing")), (4, 1), "{told}");
    assert_eq!(count("pumasi_rag_retrieved_passages_total"), 4, "{told}");
    for outcome in ["extracted", "answered", "failed", "cancelled"] {
        let answers = count(&format!("pumasi_rag_answers_total{{outcome=\"{outcome}\"}}"));
        assert_eq!(answers, 1, "{outcome}: {told}");
    }
    assert!(count("pumasi_rag_sentences_total{verdict=\"unsupported\"}") >= 1, "{told}");
    assert!(!told.contains("무릎") && !told.contains("knee"), "{told}");
}
