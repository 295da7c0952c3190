//! What a model is asked for, and how it becomes tasks.

use std::collections::HashSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Difficulty, Task, Timing, doubt};
use crate::extract::{Grounded, Origins};

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

/// Turns drafts into tasks: numbers them, keeps prerequisites that point back, takes each quote from the source where it
/// was found there, tells a task once that was told twice, and marks what its quote contradicts.
pub(super) fn into_tasks(
    drafts: Vec<TaskDraft>,
    grounded: &mut Grounded,
    origins: &mut Origins,
    source: &str,
    confidence: f32,
) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    // where each draft's task stands in the end
    let mut places: Vec<usize> = Vec::new();
    // for each draft, the drafts that must be done before it
    let mut earlier: Vec<Vec<usize>> = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let place = format!("/{index}/quote");
        let quote = grounded.at(&place);
        let mut task = Task::new(draft.title, draft.quote);
        if let Some((found, words)) = quote.and_then(|quote| Some((quote, quote.span.text(source)?))) {
            words.clone_into(&mut task.quote);
            task.span = Some(found.span.start..found.span.end);
        }
        task.confidence = confidence * quote.map_or(0.5, |quote| quote.score);
        task.detail = draft.detail.filter(|detail| !detail.trim().is_empty());
        task.timing = Timing {
            due: draft.due,
            duration_minutes: draft.duration_minutes,
            frequency: draft.frequency.filter(|frequency| !frequency.trim().is_empty()),
        };
        task.difficulty = draft.difficulty;
        earlier.push(drafts_of(&draft.prerequisites, index, origins));
        let known = tasks.iter_mut().enumerate().find(|(_, known)| is_told_again(known, &task));
        if let Some((place, same)) = known {
            places.push(place);
            complete(same, task);
            continue;
        }
        places.push(tasks.len());
        let order = order_at(tasks.len());
        tasks.push(task.with_order(order));
    }
    for (place, before) in places.iter().zip(&earlier) {
        if let Some(task) = tasks.get_mut(*place) {
            let before = before.iter().filter_map(|draft| places.get(*draft));
            task.prerequisites.extend(before.map(|place| order_at(*place)));
        }
    }
    let post = doubt::Source::new(source);
    for task in &mut tasks {
        let order = task.order;
        task.prerequisites.retain(|before| *before < order);
        task.prerequisites.sort_unstable();
        task.prerequisites.dedup();
        if task.span.is_some() {
            doubt::check(task, &post);
        }
        if !task.doubts.is_empty() {
            task.confidence *= 0.5;
        }
    }
    // the records say the same as the tasks
    let drafted = std::mem::take(origins);
    origins.join(drafted, "", &places);
    let place_of = |path: &str| {
        let index: usize = path.strip_prefix('/')?.strip_suffix("/quote")?.parse().ok()?;
        places.get(index).copied()
    };
    let mut told = HashSet::new();
    grounded.quotes.retain_mut(|quote| {
        let Some((place, task)) = place_of(&quote.path).and_then(|place| Some((place, tasks.get(place)?)))
        else {
            return true;
        };
        (quote.path, quote.support) = (format!("/{place}/quote"), task.support);
        told.insert(place)
    });
    grounded.missing.retain_mut(|missing| {
        let Some(place) = place_of(&missing.path) else { return true };
        missing.path = format!("/{place}/quote");
        told.insert(place)
    });
    tasks
}

/// The order of the task at a place: its number, from 1.
fn order_at(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1)
}

/// Finds the drafts that one names by their positions, from 1, in the answer that both come from.
fn drafts_of(positions: &[u32], index: usize, origins: &Origins) -> Vec<usize> {
    let Some((answer, _)) = origins.before(&format!("/{index}")) else { return Vec::new() };
    let place = |position: &u32| {
        let place = format!("/{}", position.checked_sub(1)?);
        origins.after(answer, &place)?.strip_prefix('/')?.parse().ok()
    };
    positions.iter().filter_map(place).collect()
}

/// Tells whether `task` is `known` once more: the same title for the same words.
fn is_told_again(known: &Task, task: &Task) -> bool {
    let folded = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let same_words = match (&known.span, &task.span) {
        (Some(one), Some(other)) => one.start < other.end && other.start < one.end,
        _ => folded(&known.quote) == folded(&task.quote),
    };
    same_words && folded(&known.title) == folded(&task.title)
}

/// Takes what `again` says and `task` does not.
fn complete(task: &mut Task, again: Task) {
    task.detail = task.detail.take().or(again.detail);
    task.timing.due = task.timing.due.take().or(again.timing.due);
    task.timing.duration_minutes = task.timing.duration_minutes.or(again.timing.duration_minutes);
    task.timing.frequency = task.timing.frequency.take().or(again.timing.frequency);
    task.difficulty = task.difficulty.or(again.difficulty);
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
        let tasks = into_tasks(drafts, &mut Grounded::default(), &mut Origins::default(), "", 1.0);
        assert_eq!(tasks[0].prerequisites, [0_u32; 0]);
        assert_eq!(tasks[1].prerequisites, [1]);
    }

    #[test]
    fn the_quote_is_the_sources_wording_once_it_was_found_there() {
        let source = "나는 “매일” 뛰었다";
        let span = SourceSpan::of(source, 7..source.len()).unwrap();
        let mut grounded =
            Grounded::new(vec![Quote::new("/0/quote", span, QuoteFit::Normalized, 0.9)], Vec::new());
        let tasks = into_tasks(
            vec![draft("뛰기", "\"매일\" 뛰었다", vec![])],
            &mut grounded,
            &mut Origins::default(),
            source,
            1.0,
        );
        assert_eq!(tasks[0].quote, "“매일” 뛰었다");
        assert_eq!(tasks[0].span, Some(7..source.len()));
        assert!((tasks[0].confidence - 0.9).abs() < 1e-6);
        assert_eq!(tasks[0].detail, None);
    }

    #[test]
    fn quotes_stand_under_the_tasks_that_they_belong_to() {
        let source = "Learn Rust. Build a game.";
        let quote = |path: &str, range: std::ops::Range<usize>| {
            Quote::new(path, SourceSpan::of(source, range).unwrap(), QuoteFit::Exact, 1.0)
        };
        let quotes = vec![quote("/0/quote", 0..10), quote("/1/quote", 0..10), quote("/2/quote", 12..24)];
        let mut grounded = Grounded::new(quotes, Vec::new());
        let drafts = ["Learn Rust", "learn rust", "Build a game"].map(|title| draft(title, title, vec![]));
        let mut origins = Origins::default();
        let tasks = into_tasks(drafts.into(), &mut grounded, &mut origins, source, 1.0);
        assert_eq!(tasks.len(), 2);
        let places: Vec<(&str, &str)> = grounded
            .quotes
            .iter()
            .map(|quote| (quote.path.as_str(), quote.span.text(source).unwrap()))
            .collect();
        assert_eq!(places, [("/0/quote", "Learn Rust"), ("/1/quote", "Build a game")]);
        assert_eq!(origins.after(0, "/2").as_deref(), Some("/1"));
        assert_eq!(origins.before("/0"), Some((0, "/0".to_owned())));
    }

    #[test]
    fn an_ungrounded_task_keeps_the_models_words_and_less_confidence() {
        let tasks = into_tasks(
            vec![draft("a", "b", vec![])],
            &mut Grounded::default(),
            &mut Origins::default(),
            "c",
            1.0,
        );
        assert_eq!((tasks[0].quote.as_str(), tasks[0].span.clone()), ("b", None));
        assert!(tasks[0].confidence < 0.6);
    }

    #[test]
    fn a_task_that_is_told_twice_stands_once_and_prerequisites_follow_it() {
        let again =
            TaskDraft { due: Some("2027-04-04".to_owned()), ..draft("learn  rust", "Learn Rust.", vec![]) };
        let drafts = vec![draft("Learn Rust", "learn Rust", vec![]), again, draft("Build", "build", vec![2])];
        let tasks = into_tasks(drafts, &mut Grounded::default(), &mut Origins::default(), "", 1.0);
        let titles: Vec<&str> = tasks.iter().map(|task| task.title.as_str()).collect();
        assert_eq!(titles, ["Learn Rust", "Build"]);
        assert_eq!(tasks[0].timing.due.as_deref(), Some("2027-04-04"));
        assert_eq!((tasks[1].order, tasks[1].prerequisites.as_slice()), (2, [1].as_slice()));
    }
}
