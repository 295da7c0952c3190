//! What a model is asked for, and how it becomes tasks.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Difficulty, Task, Timing};
use crate::extract::Grounded;

/// One task as a model writes it. The field comments are part of the prompt. `Debug` shows no text.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskDraft {
    /// What is done, at most ten words, in the language of the post, beginning with the verb in English and ending in 기 in Korean.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// The sentence or list item of the post that tells of it, copied letter by letter.
    #[schemars(extend("x-quote" = true), length(min = 1))]
    pub quote: String,
    /// How it is done, if the post says more than the title; otherwise null.
    #[serde(default)]
    pub detail: Option<String>,
    /// The day by which it is due, as YYYY-MM-DD, only if the post names day, month and year; otherwise null.
    #[serde(default)]
    #[schemars(extend("format" = "date"))]
    pub due: Option<String>,
    /// How long it takes in all, in minutes, if the post says so; otherwise null.
    #[serde(default)]
    pub duration_minutes: Option<u32>,
    /// How often it is done, in the post's words; otherwise null.
    #[serde(default)]
    pub frequency: Option<String>,
    /// The positions (from 1, in this list) of the tasks that must be done before it.
    #[serde(default)]
    pub prerequisites: Vec<u32>,
    /// How hard the post calls it; otherwise null.
    #[serde(default)]
    pub difficulty: Option<Difficulty>,
}

impl fmt::Debug for TaskDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskDraft").field("prerequisites", &self.prerequisites).finish_non_exhaustive()
    }
}

/// Turns drafts into tasks: numbers them, keeps prerequisites that point back, and takes each quote from the source
/// where it was found there.
pub(super) fn into_tasks(
    drafts: Vec<TaskDraft>,
    grounded: &Grounded,
    source: &str,
    confidence: f32,
) -> Vec<Task> {
    drafts
        .into_iter()
        .enumerate()
        .map(|(index, draft)| {
            let order = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let quote = grounded.at(&format!("/{index}/quote"));
            let mut task = Task::new(draft.title, draft.quote).with_order(order);
            if let Some((found, words)) = quote.and_then(|quote| Some((quote, quote.span.text(source)?))) {
                words.clone_into(&mut task.quote);
                task.span = Some(found.span.start..found.span.end);
            }
            task.detail = draft.detail.filter(|detail| !detail.trim().is_empty());
            task.timing = Timing {
                due: draft.due,
                duration_minutes: draft.duration_minutes,
                frequency: draft.frequency.filter(|frequency| !frequency.trim().is_empty()),
            };
            task.prerequisites =
                draft.prerequisites.into_iter().filter(|before| (1..order).contains(before)).collect();
            task.prerequisites.sort_unstable();
            task.prerequisites.dedup();
            task.difficulty = draft.difficulty;
            task.confidence = confidence * quote.map_or(0.5, |quote| quote.score);
            task
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{Quote, QuoteFit, SourceSpan};

    fn draft(title: &str, quote: &str, prerequisites: Vec<u32>) -> TaskDraft {
        TaskDraft {
            title: title.to_owned(),
            quote: quote.to_owned(),
            detail: Some(" ".to_owned()),
            due: None,
            duration_minutes: None,
            frequency: None,
            prerequisites,
            difficulty: None,
        }
    }

    #[test]
    fn prerequisites_that_point_at_nothing_or_ahead_are_dropped() {
        let drafts = vec![draft("a", "a", vec![1, 2]), draft("b", "b", vec![1, 1, 7, 0])];
        let tasks = into_tasks(drafts, &Grounded::default(), "", 1.0);
        assert_eq!(tasks[0].prerequisites, [0_u32; 0]);
        assert_eq!(tasks[1].prerequisites, [1]);
    }

    #[test]
    fn the_quote_is_the_sources_wording_once_it_was_found_there() {
        let source = "나는 “매일” 뛰었다";
        let span = SourceSpan::of(source, 7..source.len()).unwrap();
        let grounded =
            Grounded::new(vec![Quote::new("/0/quote", span, QuoteFit::Normalized, 0.9)], Vec::new());
        let tasks = into_tasks(vec![draft("뛰기", "\"매일\" 뛰었다", vec![])], &grounded, source, 1.0);
        assert_eq!(tasks[0].quote, "“매일” 뛰었다");
        assert_eq!(tasks[0].span, Some(7..source.len()));
        assert!((tasks[0].confidence - 0.9).abs() < 1e-6);
        assert_eq!(tasks[0].detail, None);
    }

    #[test]
    fn an_ungrounded_task_keeps_the_models_words_and_less_confidence() {
        let tasks = into_tasks(vec![draft("a", "b", vec![])], &Grounded::default(), "c", 1.0);
        assert_eq!((tasks[0].quote.as_str(), tasks[0].span.clone()), ("b", None));
        assert!(tasks[0].confidence < 0.6);
    }
}
