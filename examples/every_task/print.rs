//! What a person sees.

use pumasi_core::filter::Filter;
use pumasi_llm_parse::extract::BatchReport;
use pumasi_llm_parse::task::{ExtractTasks, Match, Post, PostKind, RuleTaskExtractor, Task};
use support::say;

/// Tasks and the posts that they come from.
#[derive(Default)]
pub(crate) struct Side<'a> {
    pub(crate) tasks: Vec<Task>,
    posts: Vec<&'a Post>,
}

/// What the stories accomplished and what the questions need.
#[derive(Default)]
pub(crate) struct Found<'a> {
    pub(crate) needs: Side<'a>,
    pub(crate) deeds: Side<'a>,
}

/// Says who extracts, and what that is worth.
pub(crate) fn extractor(extractor: &dyn ExtractTasks) {
    if extractor.version() == RuleTaskExtractor::NAME {
        say!("extractor: {} — the offline stand-in: rules, no language model.", extractor.version());
        say!("           Set OPENAI_API_KEY or PUMASI_LLM_URL to ask a model.\n");
    } else {
        say!("extractor: {}\n", extractor.version());
    }
}

/// Prints each post with its tasks and the words that each comes from; keeps those that `only` lets through.
pub(crate) fn tasks<'a>(
    posts: &'a [Post],
    report: &BatchReport<Vec<Task>>,
    only: Option<&Filter>,
) -> Found<'a> {
    let mut found = Found::default();
    for outcome in &report.outcomes {
        let Some(post) = posts.get(outcome.index) else { continue };
        let shown = |task: &&Task| only.is_none_or(|only| only.matches(&task.fields(post)));
        if only.is_some()
            && outcome
                .result
                .as_ref()
                .is_ok_and(|extraction| !extraction.value.iter().any(|task| shown(&task)))
        {
            continue;
        }
        let title = post.title.as_deref().map_or("(no title)".to_owned(), one_line);
        say!("{} {}  {title}", kind(post), one_line(&post.id));
        match &outcome.result {
            Err(error) => say!(
                "   failed: {} after {} — {} (try again: {})",
                error.kind(),
                counted(error.attempts().len(), "call", "calls"),
                error.explanation(),
                error.retry()
            ),
            Ok(extraction) => {
                let side = if post.kind == PostKind::Story { &mut found.deeds } else { &mut found.needs };
                if extraction.value.is_empty() {
                    say!("   (no tasks)");
                }
                for task in extraction.value.iter().filter(shown) {
                    say!("  {:>2}. {}{}", task.order, one_line(&task.title), facts(task));
                    say!(
                        "      “{}”{}",
                        one_line(&task.quote),
                        if task.span.is_none() { "  [not in the post]" } else { "" }
                    );
                    if !task.doubts.is_empty() {
                        let parts: Vec<&str> = task.doubts.iter().map(|part| part.as_str()).collect();
                        say!("      !! the post does not say so: {}", parts.join(", "));
                    }
                    side.tasks.push(task.clone());
                    side.posts.push(post);
                }
                for failure in &extraction.rejected {
                    say!("   -- left out {}: {}", failure.path, failure.kind);
                }
            }
        }
        say!("");
    }
    found
}

/// Prints which needed task is answered by which accomplished one.
pub(crate) fn matches(found: &Found<'_>, matches: &[Match]) {
    say!("MATCHES (needed ← accomplished)");
    if matches.is_empty() {
        say!("  (none)");
    }
    for pair in matches {
        let (Some(need), Some(deed)) = (found.needs.tasks.get(pair.need), found.deeds.tasks.get(pair.deed))
        else {
            continue;
        };
        let (Some(asks), Some(tells)) = (found.needs.posts.get(pair.need), found.deeds.posts.get(pair.deed))
        else {
            continue;
        };
        say!("  {:.2}  {} {}  ←  {} {}", pair.score, asks.id, need.title, tells.id, deed.title);
    }
    say!("");
}

/// Prints the counts.
pub(crate) fn totals(
    report: &BatchReport<Vec<Task>>,
    found: &Found<'_>,
    matches: &[Match],
    bad_lines: usize,
) {
    if bad_lines > 0 {
        say!("{} passed over", counted(bad_lines, "line that is no post", "lines that are no posts"));
    }
    say!(
        "{}, {} failed; {} tasks needed, {} accomplished; {}; {} tokens",
        counted(report.progress.done, "post", "posts"),
        report.failed(),
        found.needs.tasks.len(),
        found.deeds.tasks.len(),
        counted(matches.len(), "match", "matches"),
        report.progress.usage.total_tokens(),
    );
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn kind(post: &Post) -> &'static str {
    if post.kind == PostKind::Story { "STORY   " } else { "QUESTION" }
}

fn facts(task: &Task) -> String {
    let timing = &task.timing;
    let facts: Vec<String> = [
        timing.frequency.clone(),
        timing.duration_minutes.map(duration),
        timing.due.as_ref().map(|due| format!("due {due}")),
        task.difficulty.map(|difficulty| format!("{difficulty:?}").to_lowercase()),
        (!task.prerequisites.is_empty()).then(|| {
            let before: Vec<String> = task.prerequisites.iter().map(ToString::to_string).collect();
            format!("after {}", before.join(", "))
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    if facts.is_empty() { String::new() } else { format!("   [{}]", facts.join("; ")) }
}

fn duration(minutes: u32) -> String {
    match minutes {
        m if m % 1_440 == 0 => format!("{} d", m / 1_440),
        m if m % 60 == 0 => format!("{} h", m / 60),
        m => format!("{m} min"),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
