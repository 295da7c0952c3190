//! What the extractor is worth, on posts and the tasks that people see in them.
//!
//! Three sets: `dev` and `held`, the two sets of the committed posts, and `independent`, forty posts written by somebody
//! who did not know the rules. Rules and prompts are tuned on `dev` alone.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pumasi_llm_parse::eval::{Case, Comparison, Dataset, Eval, EvalReport, Measure, Scoring};
use pumasi_llm_parse::task::{ExtractTasks, Post, PostBatch};
use serde::Deserialize;

use support::say;

/// What is measured, and against what.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the posts of this set.
    #[arg(long, value_enum, value_name = "SET")]
    split: Option<Split>,
    /// Writes the results to this file, for a later comparison.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Compares with results that were saved before, and fails if a figure fell by more than two points.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

/// A set of posts.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Split {
    /// On which rules and prompts may be tuned.
    Dev,
    /// By the same hand, kept apart.
    Held,
    /// By somebody who did not know the rules.
    Independent,
}

impl Split {
    const ALL: [Self; 3] = [Self::Dev, Self::Held, Self::Independent];

    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Held => "held",
            Self::Independent => "independent",
        }
    }
}

#[derive(Deserialize)]
struct Gold {
    id: String,
    split: String,
    tasks: serde_json::Value,
}

#[derive(Deserialize)]
struct Independent {
    post: Post,
    tasks: serde_json::Value,
}

/// Measures `extractor` and prints the figures.
pub(crate) async fn run(options: Options, extractor: Arc<dyn ExtractTasks>) -> Result<(), Box<dyn Error>> {
    // what cannot be compared with is said before anything is asked
    let before = options.against.as_deref().map(saved).transpose()?;
    let posts = crate::input::posts(None, pumasi_llm_parse::task::PostKind::Story)?.posts;
    let all = dataset(&posts)?;
    let chosen = options.split.map_or_else(|| all.clone(), |split| all.split(split.name()));
    let report = measured(&extractor, &chosen).await?;
    for set in options.split.map_or(Split::ALL.to_vec(), |split| vec![split]) {
        let cases = all.split(set.name());
        let mut part = report.clone();
        part.cases.retain(|result| cases.cases().iter().any(|case| case.id == result.id));
        say!("{}: {} posts\n", set.name(), cases.len());
        say!("{}", part.to_terminal());
    }
    if let Some(path) = &options.save {
        fs::write(path, serde_json::to_vec(&report)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        say!("saved to {}; compare with `eval --against {0}`", path.display());
    }
    if let Some(before) = before {
        let comparison = Comparison::of(&before, &report);
        say!("{}", comparison.to_terminal());
        comparison.check(0.02)?;
    }
    Ok(())
}

async fn measured(extractor: &Arc<dyn ExtractTasks>, cases: &Dataset) -> Result<EvalReport, Box<dyn Error>> {
    let scoring = Scoring::list("")
        .with_key_field("quote", Measure::text(0.8))
        .with_field("title", Measure::text(0.6))
        .with_field("/timing/frequency", Measure::text(0.8))
        .with_field("/timing/duration_minutes", Measure::number(0.05))
        .with_field("/timing/due", Measure::date());
    let extractor = PostBatch::new(Arc::clone(extractor));
    Ok(Eval::new(&extractor, cases, scoring).run().await?)
}

fn saved(path: &Path) -> Result<EvalReport, Box<dyn Error>> {
    let named = |error: &dyn Error| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| named(&error))?;
    Ok(serde_json::from_slice(&bytes).map_err(|error| named(&error))?)
}

fn dataset(posts: &[Post]) -> Result<Dataset, Box<dyn Error>> {
    let mut cases = Vec::new();
    for line in include_str!("gold.jsonl").lines() {
        let gold: Gold = serde_json::from_str(line)?;
        let post = posts
            .iter()
            .find(|post| post.id == gold.id)
            .ok_or("the gold tasks are of another set of posts")?;
        cases.push(Case::new(gold.id, serde_json::to_string(post)?, gold.tasks).with_split(gold.split));
    }
    for line in include_str!("independent.jsonl").lines() {
        let Independent { post, tasks } = serde_json::from_str(line)?;
        cases
            .push(Case::new(post.id.clone(), serde_json::to_string(&post)?, tasks).with_split("independent"));
    }
    Ok(Dataset::new(cases)?)
}
