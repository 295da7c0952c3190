//! What metrics tell of extractions.

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

#[tokio::test]
async fn an_answer_is_counted_by_what_it_was_worth_and_an_extraction_by_what_became_of_it() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let bad = json!({"title": "수영", "quote": "주말에는 수영을 했어요", "minutes": 100_000});
    let model = ScriptedModel::new([
        reply(json!([run()])),
        // one item does not fit, and does after a re-ask
        reply(json!([run(), bad])),
        raw(r#"{"1": 45}"#),
        // no value at all, twice
        raw("모르겠습니다"),
        raw("정말 모르겠습니다"),
    ]);
    let extractor = builder(&model).with_reasks(1).build().unwrap();
    for is_ok in [true, true, false] {
        assert_eq!(extractor.extract(SOURCE).await.is_ok(), is_ok);
    }
    let told = recorder.handle().render();
    let count = |series: &str| {
        told.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let answers = |outcome: &str| count(&format!("pumasi_extract_answers_total{{outcome=\"{outcome}\"}}"));
    assert_eq!((answers("accepted"), answers("partial"), answers("off_schema")), (2, 1, 2), "{told}");
    assert_eq!(count("pumasi_extractions_total{outcome=\"ok\"}"), 2, "{told}");
    assert_eq!(count("pumasi_extractions_total{outcome=\"off_schema\"}"), 1, "{told}");
    assert!(!told.contains("달렸습니다") && !told.contains("모르겠습니다"), "{told}");
}
