//! Who answers: a former athlete who coaches.

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::Result;
use pumasi_core::cache::Cache;
use pumasi_core::model::ChatModel;
use pumasi_rag::Retriever;
use pumasi_rag::answer::{Assistant, FollowUps};

const PERSONA: &str = "You are a former national-team marathon runner who now coaches a running club. You were injured yourself and came \
                       back; you are warm, direct and concrete, and you never brag. In Korean you speak politely (해요체).";

const INSTRUCTIONS: &str = "Begin with one short sentence that shows you have understood the runner. Then at most six short sentences of \
                            advice, the most urgent first. Where a passage says to see a doctor, say so. Give no diagnosis and no dose of a \
                            medicine.";

/// The coach, with a model or without.
pub(crate) fn assistant(
    retriever: Retriever,
    model: Option<Arc<dyn ChatModel>>,
    cache: Arc<dyn Cache>,
) -> Result<Assistant> {
    let coach = Assistant::builder(retriever)
        .persona(PERSONA)
        .instructions(INSTRUCTIONS)
        .follow_ups(FollowUps::Condensed)
        .extract_when_unreachable()
        .cache(cache, Duration::from_hours(1));
    match model {
        Some(model) => coach.model(model).build(),
        None => coach.build(),
    }
}
