//! Search for a developers' community that goes on when its engine is gone, and says so; with orders of places and todos beside it.
//!
//! ```sh
//! cargo run --example dev_search                    the story, in some seconds
//! cargo run --example dev_search -- serve           the service, with a page at http://127.0.0.1:8791
//! cargo run --example dev_search -- put-aside    changes that no engine could take, and why; --deliver-again: once more
//! cargo run --example dev_search -- token 민수       a token for the service, if PUMASI_TOKEN_KEY is set
//! ```
//!
//! The story indexes 45 committed entries (posts, parties, tutors' projects, lectures) in two engines, asks in Korean and in English
//! with categories counted and matches marked, finds words with a typo and by their initial consonants, and walks on over a failover
//! with a signed cursor. It cuts the primary off in four ways (refused, hanging, wiped, back again), and last both engines; every page
//! says where it came from. Then five people order two places from a payment partner who refuses, forgets and goes away, and two
//! windows edit one todo. Offline and the same at every run: the engines are in memory, the primary at the end of a cable that can be
//! pulled.
//!
//! The service does the same for people:
//!
//! - *Anybody* searches. The primary engine is an index in the folder, the fallback the database (a copy in memory, where that is a
//!   file); where there is a cluster it is the primary, with the database, or else the index, behind it. Both follow the table by
//!   events, also after they were away.
//! - A *member* writes posts and parties, orders places in projects and lectures (place held, paid for and confirmed, or everything
//!   undone), and keeps todos, whose every write names the version that it was based on.
//! - A *tutor* offers projects and lectures besides.
//! - An *operator* cuts an engine off (`PUT /engines/primary`) or changes how the payment partner is, and watches.
//!
//! | variable | |
//! |---|---|
//! | `PUMASI_TOKEN_KEY` | signs and checks tokens (JWT, HS256; claims `sub`, `role`: `member`, `tutor` or `operator`, `aud`: `dev_search`, `exp`). Without it the key is random, and the page hands out tokens to whoever asks: for development |
//! | `PUMASI_POSTGRES_URL` | entries, orders, places and todos, and the fallback engine (feature `postgres`) |
//! | `PUMASI_OPENSEARCH_URL` | the primary engine: OpenSearch or Elasticsearch, several nodes by comma (feature `opensearch`) |
//! | `PUMASI_REDIS_URL` | cached pages, and events where there is no Kafka (feature `redis`) |
//! | `PUMASI_KAFKA_URL` | events (feature `kafka`) |
//! | `RUST_LOG` | what is logged (JSON lines on standard error), by default `info` |
//!
//! Everything else is kept in one folder, `--data`: what was acknowledged is there after a SIGKILL.

mod board;
mod cable;
mod engines;
mod entries;
mod orders;
mod serve;
mod shop;
mod story;
mod todos;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::tokens::LIFETIME;

type Told = Result<(), Box<dyn Error>>;

#[derive(Parser)]
#[command(about = "Finds posts, parties, projects and lectures, also when the engine is gone")]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Serves the API and a page.
    Serve(serve::Options),
    /// Lists the events that were put aside, with the reason, and has them delivered again.
    PutAside(support::aside::Options),
    /// Prints a token that the service takes, signed with `PUMASI_TOKEN_KEY`.
    Token(serve::TokenOptions),
}

fn main() -> ExitCode {
    let what = Args::parse().what;
    let mut builder = match what {
        Some(What::Serve(_)) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let told = match builder.enable_all().build() {
        Ok(runtime) => runtime.block_on(run(what)),
        Err(error) => Err(error.into()),
    };
    support::print::ended("dev_search", told)
}

async fn run(what: Option<What>) -> Told {
    match what {
        Some(What::Serve(options)) => serve::run(options).await,
        Some(What::Token(options)) => options.print("dev_search", LIFETIME),
        Some(What::PutAside(options)) => serve::put_aside(&options).await,
        None => {
            story::search().await?;
            story::market().await
        }
    }
}
