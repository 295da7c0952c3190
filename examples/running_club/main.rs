//! A running club: runs in, and out of them leaderboards for people and crews, achievements, recaps of weeks and months, and what
//! Slack is told.
//!
//! ```sh
//! cargo run --example running_club                  the story, in some seconds
//! cargo run --example running_club -- serve         the service, with a page at http://127.0.0.1:8793
//! cargo run --example running_club -- put-aside      events that were put aside, and why; --deliver-again: once more
//! cargo run --example running_club -- token 민지     a token for the service, if PUMASI_TOKEN_KEY is set
//! ```
//!
//! The story prints two weeks of a club whose clock it turns: boards by distance, pace and attendance, with movement and
//! neighbours; what Slack hears of achievements and of the Monday's and the month's scheduled recaps; and a process that records
//! runs and is killed (SIGKILL): what it had acknowledged counts, once.
//!
//! The service does the same for people:
//!
//! - A *runner* records own runs, founds, joins and leaves crews, and sees the own rank with its neighbours, achievements and recaps.
//! - An *organiser* also asks for recaps of what has been run so far, and sees what became of the scheduled ones.
//!
//! A run stands as it was recorded, unless its runner takes it back before a week or a month that it counts in is closed. It counts in its week if it is recorded within six hours after that has ended, on Monday at
//! two in the morning; at nine the week is closed and recapped. Months begin and end alike.
//!
//! | variable | |
//! |---|---|
//! | `PUMASI_TOKEN_KEY` | signs and checks tokens (JWT, HS256; claims `sub`, `role`: `runner` or `organiser`, `aud`: `running_club`, `exp`). Without it the key is random, and the page hands out tokens to whoever asks: for development |
//! | `SLACK_BOT_TOKEN`, `SLACK_CHANNEL` | who posts notices, and where; without them nothing is posted. `SLACK_API_URL` names another address than Slack's |
//! | `SLACK_ALERT_WEBHOOK_URL` | where the service's own errors are told |
//! | `PUMASI_CORS_ORIGINS` | the origins whose pages may use the API |
//! | `RUST_LOG` | what is logged (JSON lines on standard error), by default `info` |
//!
//! Everything is kept in one folder, `--data`. With `PUMASI_POSTGRES_URL` what is stored is in PostgreSQL, with
//! `PUMASI_REDIS_URL` boards are on Redis, with that or `PUMASI_KAFKA_URL` events travel there (`--features postgres,redis,kafka`),
//! and several processes share the work.

mod badges;
mod boards;
mod calendar;
mod club;
mod crews;
mod followed;
mod notices;
mod recaps;
mod runs;
mod serve;
mod statistics;
mod story;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::tokens::LIFETIME;

type Told = Result<(), Box<dyn Error>>;

#[derive(Parser)]
#[command(about = "Runs in; leaderboards, achievements, recaps and notices out")]
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
    /// The process of the story that is killed.
    #[command(hide = true)]
    UntilKilled { folder: PathBuf },
}

#[tokio::main]
async fn main() -> ExitCode {
    let told = match Args::parse().what {
        Some(What::Serve(options)) => serve::run(options).await,
        Some(What::Token(options)) => options.print("running_club", LIFETIME),
        Some(What::PutAside(options)) => options.run("running_club", club::EVENTS, &club::GROUPS).await,
        Some(What::UntilKilled { folder }) => story::until_killed(folder).await,
        None => story::tell().await,
    };
    support::print::ended("running_club", told)
}
