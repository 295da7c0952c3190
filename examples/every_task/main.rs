//! Every task in every post: reads success stories and questions, finds the tasks in each with the words they come
//! from, and matches the tasks a question needs with those that stories accomplished.
//!
//! ```text
//! cargo run --example every_task                     the 24 committed posts
//! cargo run --example every_task -- posts.jsonl      a file of posts: JSON lines, an array or one object; `-`: standard input
//! cargo run --example every_task -- eval             precision and recall on the committed posts
//! cargo run --example every_task -- serve            the service, with a page at http://127.0.0.1:8787
//! cargo run --example every_task -- put-aside        events that were put aside, and why; --deliver-again: once more
//! cargo run --example every_task -- token 민수        a token for the service, if PUMASI_TOKEN_KEY is set
//! ```
//!
//! A post is `{"id", "kind": "story" | "question", "title"?, "body"}`; one that is none is told and passed over.
//! Exit status: 0 if every post was read, 1 if one failed or the journal did.
//!
//! Without a model it uses rules and says so; with `OPENAI_API_KEY`, or `PUMASI_LLM_URL` for a local server (and
//! `PUMASI_LLM_MODEL`, `PUMASI_LLM_KEY`), it asks the model. Tasks are matched by their words, and with
//! `PUMASI_EMBEDDING_MODEL` and `PUMASI_EMBEDDING_DIMENSIONS` by their meaning, too.
//!
//! The service:
//!
//! - A *member* writes posts, and edits and deletes the own ones; a *moderator* deletes and retries those of others, too.
//! - Members' nicknames are a projection of the events of the *membership* service: on the topic `members`, or by
//!   `PUT /members/{id}` from a service that has no bus.
//! - It keeps everything in one folder, `--data`. With `PUMASI_POSTGRES_URL` posts, tasks and members are in PostgreSQL, with
//!   `PUMASI_KAFKA_URL` or `PUMASI_REDIS_URL` events travel there (`--features postgres,kafka,redis`), and several processes
//!   share the work.
//!
//! `PUMASI_TOKEN_KEY` signs and checks tokens (JWT, HS256; claims `sub`, `role`, `aud`: the service's name, `exp`); without it the key is random, and the
//! page hands out tokens to whoever asks: for development. `PUMASI_CORS_ORIGINS` names the origins whose pages may use the API.

mod eval;
mod input;
mod print;
mod serve;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use pumasi_core::filter::Filter;
use pumasi_llm_parse::extract::{Batch, Budget, Journal};
use pumasi_llm_parse::task::{
    ExtractTasks, PostBatch, PostKind, RuleTaskExtractor, TaskExtractor, TaskMatcher,
};
use support::model::Watched;
use support::tokens::LIFETIME;

#[derive(Parser)]
#[command(
    about = "Finds the tasks in posts and matches questions with stories",
    args_conflicts_with_subcommands = true
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Posts as JSON lines, a JSON array or one JSON object, or one post as plain text; `-` reads standard input. The
    /// committed posts if left out.
    ///
    /// A post is {"id", "kind": "story" | "question", "title"?, "body", "author"?, "language"?: "ko" | "en"}.
    file: Option<PathBuf>,
    /// What a plain text is: `story` or `question`.
    #[arg(long, value_parser = input::kind, default_value = "question")]
    kind: PostKind,
    /// Lists only the tasks that match this filter, e.g. '{"exists": {"field": "timing.due"}}'.
    ///
    /// Fields: title, detail, quote, order, prerequisites, difficulty, support, doubts, confidence, timing.due,
    /// timing.frequency, timing.duration_minutes, post.id, post.title, post.kind, post.language, post.author.
    /// Operators: and, or, not, eq, in, range, contains, exists.
    #[arg(long, value_name = "FILTER", value_parser = input::filter)]
    only: Option<Filter>,
    /// Keeps what is done in this file, and goes on from there when run again.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// The most tokens that a model may use for one post, over all attempts; no limit if left out.
    #[arg(long, global = true, value_name = "N")]
    budget_tokens: Option<u64>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the API and a page.
    Serve(serve::Options),
    /// Lists the events that were put aside, with the reason, and has them delivered again.
    PutAside(support::aside::Options),
    /// Prints a token that the service takes, signed with `PUMASI_TOKEN_KEY`.
    Token(serve::TokenOptions),
    /// Measures the extractor on the committed posts.
    Eval(eval::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Args::parse()).await.unwrap_or_else(|error| support::print::failed("every_task", &*error))
}

async fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let model = support::model::chat_model()?.map(|model| Arc::new(Watched::new(model)));
    let health = model.as_deref().map(Watched::health);
    let extractor = extractor(model, args.budget_tokens)?;
    match args.command {
        Some(Command::Serve(options)) => {
            serve::run(options, extractor, health, matcher()?).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::PutAside(options)) => {
            options.run("every_task", serve::EVENTS, &serve::GROUPS).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Token(options)) => options.print("every_task", LIFETIME).map(|()| ExitCode::SUCCESS),
        Some(Command::Eval(options)) => {
            print::extractor(&*extractor);
            eval::run(options, extractor).await.map(|()| ExitCode::SUCCESS)
        }
        None => extract(args, extractor).await,
    }
}

/// The model, or the rules that stand in for one.
fn extractor(
    model: Option<Arc<Watched>>,
    budget_tokens: Option<u64>,
) -> Result<Arc<dyn ExtractTasks>, Box<dyn Error>> {
    Ok(match model {
        Some(model) => Arc::new(TaskExtractor::configured(model, |prompt| {
            let prompt = prompt.with_call_timeout(Duration::from_mins(2));
            match budget_tokens {
                Some(tokens) => prompt.with_budget(Budget::unlimited().with_tokens(tokens)),
                None => prompt,
            }
        })?),
        None => Arc::new(RuleTaskExtractor::new()),
    })
}

/// Matches by words, and by meaning if the environment names a model for that.
fn matcher() -> pumasi_core::Result<TaskMatcher> {
    let matcher = TaskMatcher::new();
    Ok(match support::model::embedder()? {
        Some(embedder) => matcher.with_embedder(embedder, 0.5),
        None => matcher,
    })
}

async fn extract(args: Args, extractor: Arc<dyn ExtractTasks>) -> Result<ExitCode, Box<dyn Error>> {
    let input::Input { posts, bad, .. } = input::posts(args.file.as_deref(), args.kind)?;
    for line in &bad {
        eprintln!("every_task: {}", support::print::plain(line));
    }
    print::extractor(&*extractor);

    let bar = ProgressBar::new(posts.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} posts {msg}")?);
    let moving = bar.clone();
    let extractor = PostBatch::new(extractor);
    let mut batch = Batch::new(&extractor).with_progress(move |progress| {
        moving.set_position(progress.done as u64);
        moving.set_message(format!("{} tokens", progress.usage.total_tokens()));
    });
    if let Some(path) = args.journal {
        let journal = Journal::open(&path)
            .map_err(|error| format!("{}: {}", path.display(), support::print::chain(&error)))?;
        batch = batch.with_journal(journal);
    }
    let report = batch.run(posts.iter().map(PostBatch::item)).await;
    bar.finish_and_clear();

    if let Some(error) = &report.stopped {
        eprintln!(
            "every_task: stopped after {} of {} posts: {}",
            report.progress.done,
            posts.len(),
            support::print::chain(error)
        );
    }
    let found = print::tasks(&posts, &report, args.only.as_ref());
    let matches = matcher()?.match_tasks(&found.needs.tasks, &found.deeds.tasks).await?;
    print::matches(&found, &matches);
    print::totals(&report, &found, &matches, bad.len());
    let whole = report.failed() == 0 && report.stopped.is_none() && bad.is_empty();
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
