//! What a person sees.
#![expect(clippy::print_stdout, reason = "a command-line program speaks on standard output")]

use std::error::Error;

use pumasi_core::filter::Filter;
use pumasi_llm_parse::extract::BatchReport;
use pumasi_llm_parse::task::{ExtractTasks, Match, Post, PostKind, RuleTaskExtractor, Task};

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
        println!("extractor: {} — the offline stand-in: rules, no language model.", extractor.version());
        println!("           Set OPENAI_API_KEY or PUMASI_LLM_URL to ask a model.\n");
    } else {
        println!("extractor: {}\n", extractor.version());
    }
}

/// Prints each post with its tasks and the words that each comes from; keeps those that `only` lets through.
pub(crate) fn tasks<'a>(
    posts: &'a [Post],
    report: &BatchReport<Vec<Task>>,
    only: Option<&Filter>,
) -> Found<'a> {
    let mut found = Found::default();
    for (post, outcome) in posts.iter().zip(&report.outcomes) {
        println!("{} {}  {}", kind(post), post.id, post.title.as_deref().unwrap_or("(no title)"));
        match &outcome.result {
            Err(error) => println!("   failed: {} ({} calls)", error.kind(), error.attempts().len()),
            Ok(extraction) => {
                let side = if post.kind == PostKind::Story { &mut found.deeds } else { &mut found.needs };
                for task in extraction
                    .value
                    .iter()
                    .filter(|task| only.is_none_or(|only| only.matches(&task.fields(post))))
                {
                    println!("  {:>2}. {}{}", task.order, task.title, facts(task));
                    println!(
                        "      “{}”{}",
                        one_line(&task.quote),
                        if task.span.is_none() { "  [not in the post]" } else { "" }
                    );
                    side.tasks.push(task.clone());
                    side.posts.push(post);
                }
                for failure in &extraction.rejected {
                    println!("   -- left out {}: {}", failure.path, failure.kind);
                }
            }
        }
        println!();
    }
    found
}

/// Prints which needed task is answered by which accomplished one.
pub(crate) fn matches(found: &Found<'_>, matches: &[Match]) {
    println!("MATCHES (needed ← accomplished)");
    for pair in matches {
        let (Some(need), Some(deed)) = (found.needs.tasks.get(pair.need), found.deeds.tasks.get(pair.deed))
        else {
            continue;
        };
        let (Some(asks), Some(tells)) = (found.needs.posts.get(pair.need), found.deeds.posts.get(pair.deed))
        else {
            continue;
        };
        println!("  {:.2}  {} {}  ←  {} {}", pair.score, asks.id, need.title, tells.id, deed.title);
    }
    println!();
}

/// Prints the counts.
pub(crate) fn totals(report: &BatchReport<Vec<Task>>, found: &Found<'_>, matches: &[Match]) {
    println!(
        "{} posts, {} failed; {} tasks needed, {} accomplished; {} matches; {} tokens",
        report.progress.done,
        report.failed(),
        found.needs.tasks.len(),
        found.deeds.tasks.len(),
        matches.len(),
        report.progress.usage.total_tokens(),
    );
}

/// Joins an error and its sources.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
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
