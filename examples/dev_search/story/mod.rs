//! The story: a search whose engines are cut off one after the other, orders that are undone, and two windows with one todo.

mod market;

use std::time::{Duration, SystemTime};

use pumasi_search::fallback::Served;
use pumasi_search::{
    Change, CursorKey, Highlight, MemoryEngine, Page, PageCache, Query, Rank, Search, SearchEngine, Sort,
};
use serde_json::Value;
use support::say;

use crate::Told;
use crate::cable::{Cable, Line};
use crate::engines::{Engines, NEAR};
use crate::entries::{CATEGORY, Entry, KIND, LANG, LIKES, sample, schema};

pub(crate) use market::market;

pub(crate) async fn search() -> Told {
    let memory = MemoryEngine::new(schema()).with_name("engine");
    let cache = PageCache::memory(1_000).with_max_age(Duration::ZERO);
    let database = MemoryEngine::new(schema()).with_name("database");
    let Engines { search, primary: engine, fallback: database } =
        Engines::new(memory.clone(), database, cache, NEAR)?;
    let entries = sample(SystemTime::now().into())?;
    let changes = entries.iter().map(Entry::change).collect::<Result<Vec<_>, _>>()?;
    index(&engine, &changes).await?;
    index(&database, &changes).await?;
    let report = search.doctor(Duration::from_secs(1)).await.to_string();
    say!("== both engines hold the same documents");
    // how long each took differs from run to run
    for line in report.lines() {
        say!("{}", line.split(", answered in").next().unwrap_or(line));
    }

    say!("\n== questions");
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

    say!("\n== a typo, a word that is being typed, its initial consonants, and only what can be ordered");
    for query in [
        Query::new("쿠버네티즈 kubernets").with_typos(),
        Query::new("러스ㅌ").as_you_type(),
        Query::new("ㄹㅅㅌ").as_you_type(),
        Query::new("엔진").with_filter(KIND.is_in(["project", "lecture"])),
    ] {
        ask(&search, &query, true).await;
    }

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

    say!("\n== a walk goes on where it was when the primary is cut off between two pages");
    failed += walk(&search, &engine).await?;

    say!("\n== the primary comes back without its documents");
    memory.wipe()?;
    failed += u32::from(!ask(&search, &questions[0], false).await);
    index(&engine, &changes).await?;

    say!("\n== both are gone: what the cache still knows");
    engine.set(Line::Refused);
    database.set(Line::Refused);
    failed += u32::from(!ask(&search, &questions[0], false).await);
    say!("\n== and what it never knew");
    ask(&search, &Query::new("도커"), false).await;

    say!("\n{failed} questions failed while somebody could have answered them");
    Ok(())
}

async fn index(engine: &Cable, changes: &[Change]) -> Told {
    for applied in engine.apply(changes).await? {
        applied?;
    }
    Ok(())
}

fn best_liked() -> Query {
    Query::everything()
        .with_filter(CATEGORY.is_in(["career", "database"]))
        .with_rank(Rank::sorted([Sort::descending(&LIKES)]))
}

/// Asks for three pages, the second one while the primary is cut off; returns how many failed.
async fn walk(search: &Search, engine: &Cable) -> Result<u32, Box<dyn std::error::Error>> {
    let key = CursorKey::new("a secret that all processes of a service share")?;
    let mut after: Option<String> = None;
    let mut failed = 0;
    for line in [Line::Whole, Line::Refused, Line::Whole] {
        engine.set(line);
        if line == Line::Whole {
            back(search).await;
        }
        let mut query = best_liked().with_limit(3);
        if let Some(sealed) = &after {
            query = query.after(key.open(sealed)?);
        }
        let Ok(served) = search.search(query).await else {
            failed += 1;
            continue;
        };
        let from = from(&served);
        let (_, page) = served.split();
        say!("{}  [{from}]", page.ids().join(" "));
        after = page.next.as_ref().map(|cursor| key.seal(cursor));
    }
    let forged = after.unwrap_or_default().replace('a', "b");
    say!(
        "a forged cursor: {}",
        key.open(&forged).map_or_else(|error| error.to_string(), |_| "taken".to_owned())
    );
    Ok(failed)
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
    let asked = query.clone().with_limit(3).with_facet(&KIND, 4).with_facet(&CATEGORY, 3).with_highlight();
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
    let facets = page.facets.iter().map(|facet| {
        let counts = facet.counts.iter().map(|count| format!("{} {}", count.value, count.count));
        counts.collect::<Vec<_>>().join(", ")
    });
    say!("  {}", facets.collect::<Vec<_>>().join("; "));
}
