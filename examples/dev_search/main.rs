//! Search for a developers' community that goes on when its engine is gone, and says so.
//!
//! ```text
//! cargo run --example dev_search                    the story, in some seconds
//! cargo run --example dev_search -- serve           the service, at http://127.0.0.1:8791
//! ```
//!
//! Indexes thirty committed posts in two engines, asks in Korean and in English with categories counted and matches marked,
//! then cuts the primary off in four ways (refused, hanging, wiped, back again), and last both engines. Every page says where it
//! came from. Offline and the same at every run: the engines are the in-memory ones, the primary at the end of a cable that
//! can be pulled; a service of one's own puts `OpenSearchEngine`, `PostgresEngine` or `TantivyEngine` in their place.
//!
//! `serve` answers `GET /search?q=…` from the same two engines, says with each answer who gave it, and tells how they stand at
//! `/engines` and `/metrics`. An operator pulls the cable (`PUT /engines/primary`, with the token that is shown on the terminal, or one
//! of the role `operator` that is signed with `PUMASI_TOKEN_KEY`) and watches it fall back and recover.

mod cable;
mod serve;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use cable::{Cable, Line};
use clap::{Parser, Subcommand};
use pumasi_core::filter::Field;
use pumasi_search::fallback::Served;
use pumasi_search::{
    Change, Document, Highlight, MemoryEngine, Page, PageCache, Query, Rank, Schema, Search, SearchEngine,
    Sort, TextField,
};
use serde_json::Value;
use support::say;

const TITLE: TextField = TextField::new("title");
const BODY: TextField = TextField::new("body");
const CATEGORY: Field<String> = Field::new("category");
const LANG: Field<String> = Field::new("lang");
const LIKES: Field<i64> = Field::new("likes");

#[derive(Parser)]
#[command(about = "Finds posts, also when the engine is gone")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the search.
    Serve(serve::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let told = match Args::parse().command {
        Some(Command::Serve(options)) => serve::run(options).await,
        None => tell().await,
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dev_search: {}", support::print::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Two engines with the same posts, and the search before them.
struct Engines {
    search: Search,
    primary: Cable,
    fallback: Cable,
    posts: Vec<Change>,
}

async fn engines() -> Result<Engines, Box<dyn Error>> {
    let schema = Schema::new("posts")
        .with_text(TITLE.boosted(2.0).with_prefixes())
        .with_text(BODY)
        .with_field(&CATEGORY)
        .with_field(&LANG)
        .with_field(&LIKES);
    let primary = Cable::to(MemoryEngine::new(schema.clone()).with_name("engine"));
    let fallback = Cable::to(MemoryEngine::new(schema).with_name("database"));
    let posts = posts()?;
    index(&primary, &posts).await?;
    index(&fallback, &posts).await?;

    let search = Search::builder("posts")
        .primary(primary.clone())
        .fallback(fallback.clone())
        .cache(PageCache::memory(1_000).with_max_age(Duration::ZERO))
        .deadline(Duration::from_millis(500))
        .tune(|fallback| fallback.probe_every(Duration::from_millis(50)))
        .build()?;
    Ok(Engines { search, primary, fallback, posts })
}

async fn tell() -> Result<(), Box<dyn Error>> {
    let Engines { search, primary: engine, fallback: database, posts } = engines().await?;
    let report = search.doctor(Duration::from_secs(1)).await.to_string();
    // how long each took differs from run to run
    for line in report.lines() {
        say!("{}", line.split(", answered in").next().unwrap_or(line));
    }

    say!("== questions");
    let questions = [
        Query::new("검색 엔진"),
        Query::new("데이터베이스").with_filter(LANG.eq("ko")),
        Query::new("circuit breaker"),
        Query::new("interview").with_filter(LIKES.at_least(100)),
    ];
    for query in &questions {
        ask(&search, query, true).await;
    }
    ask(&search, &best_liked(), true).await;

    let mut failed = 0;
    for (line, what) in [
        (Line::Refused, "the primary refuses connections"),
        (Line::Silent, "the primary takes questions and does not answer"),
    ] {
        say!("\n== {what}");
        engine.set(line);
        for query in &questions {
            failed += u32::from(!ask(&search, query, false).await);
        }
    }

    say!("\n== the primary comes back");
    engine.set(Line::Whole);
    back(&search).await;
    failed += u32::from(!ask(&search, &questions[0], false).await);

    say!("\n== the primary comes back without its documents");
    engine.engine().wipe()?;
    failed += u32::from(!ask(&search, &questions[0], false).await);
    index(&engine, &posts).await?;

    say!("\n== both are gone: what the cache still knows");
    engine.set(Line::Refused);
    database.set(Line::Refused);
    failed += u32::from(!ask(&search, &questions[0], false).await);
    say!("\n== and what it never knew");
    ask(&search, &Query::new("도커"), false).await;

    say!("\n{failed} questions failed while somebody could have answered them");
    Ok(())
}

fn posts() -> Result<Vec<Change>, Box<dyn Error>> {
    let now = SystemTime::now().into();
    let lines = include_str!("posts.jsonl").lines();
    lines
        .map(|line| {
            let mut post: Value = serde_json::from_str(line)?;
            let id = post.pointer_mut("/id").map(Value::take).unwrap_or_default();
            Ok(Change::upsert(Document::new(id.as_str().unwrap_or_default(), post), 1).with_at(now))
        })
        .collect()
}

async fn index(engine: &Cable, posts: &[Change]) -> Result<(), Box<dyn Error>> {
    for applied in engine.apply(posts).await? {
        applied?;
    }
    Ok(())
}

fn best_liked() -> Query {
    Query::everything()
        .with_filter(CATEGORY.is_in(["career", "database"]))
        .with_rank(Rank::sorted([Sort::descending(&LIKES)]))
}

/// Waits until the primary is let in again: it is tried in the background, not with anybody's question.
async fn back(search: &Search) {
    while search
        .engines()
        .iter()
        .any(|engine| engine.circuit.is_some_and(|circuit| circuit.as_str() != "closed"))
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ask(search: &Search, query: &Query, in_full: bool) -> bool {
    let asked = query.clone().with_limit(3).with_facet(&CATEGORY, 3).with_highlight();
    let name = if query.text.is_empty() { "(best liked)" } else { &query.text };
    match search.search(asked).await {
        Ok(served) => {
            let from = from(&served);
            let (_, page) = served.split();
            say!("{name}: {}  [{from}]", page.ids().join(" "));
            if in_full {
                print(&page);
            }
            true
        }
        Err(error) => {
            say!("{name}: {}", error.kind());
            false
        }
    }
}

/// What the page is, as a service would tell it; without times, which differ from run to run.
fn from<T>(served: &Served<T>) -> String {
    match served {
        Served::Fresh { backend, .. } => format!("fresh, {backend}"),
        Served::Cached { .. } => "cached".to_owned(),
        Served::Stale { cause, .. } => format!("stale: {}", cause.as_str()),
        Served::Degraded { backend, gaps, .. } => {
            let gaps: Vec<String> = gaps.iter().map(ToString::to_string).collect();
            format!(
                "degraded, {backend}: {}",
                if gaps.is_empty() { "nothing is missing".to_owned() } else { gaps.join(", ") }
            )
        }
    }
}

fn print(page: &Page) {
    for hit in &page.hits {
        let marked = hit.highlights.first().map_or_else(String::new, Highlight::to_html);
        say!(
            "  {} {}",
            hit.id,
            if marked.is_empty() {
                hit.source.get("title").and_then(Value::as_str).unwrap_or_default()
            } else {
                &marked
            }
        );
    }
    let counts = page.facets.iter().flat_map(|facet| &facet.counts);
    let counts: Vec<String> = counts.map(|count| format!("{} {}", count.value, count.count)).collect();
    say!("  {}", counts.join(", "));
}
