//! A weather community: what the sky looks like nearby, warnings with rooms to talk in, missions, and coupons for those who come
//! first.
//!
//! ```sh
//! cargo run --example weather_community                  the story, in some seconds
//! cargo run --example weather_community -- serve         the service, with a page at http://127.0.0.1:8792
//! cargo run --example weather_community -- token 민지     a token for the service, if PUMASI_TOKEN_KEY is set
//! ```
//!
//! The story prints posts within 5 km, two hundred votes of fifty people at once, views that count once an hour, a warning's room
//! whose newcomer hears the last 100 messages and then everything that is said, a mission that is proven once, and a drop of 40
//! coupons for 100 askers whose process is killed (SIGKILL) in the middle: whoever had a coupon has it still, nobody has two.
//!
//! The service does the same for people:
//!
//! - A *member* posts, likes and dislikes, talks in the rooms of warnings, proves missions and asks for coupons.
//! - A *forecaster* issues and lifts warnings, makes missions and drops, and deletes posts.
//!
//! | variable | |
//! |---|---|
//! | `PUMASI_TOKEN_KEY` | signs and checks tokens (JWT, HS256; claims `sub`, `role`: `member` or `forecaster`, `aud`: `weather_community`, `exp`). Without it the key is random, and the page hands out tokens to whoever asks: for development |
//! | `PUMASI_POSTGRES_URL` | keeps everything in PostgreSQL, shared by any number of processes (`--features postgres`) |
//! | `PUMASI_CORS_ORIGINS` | the origins, by comma, whose pages may use the API |
//! | `RUST_LOG` | what is logged (JSON lines on standard error), by default `info` |
//!
//! Without a server everything is kept in one folder, `--data`: what was acknowledged is there after a SIGKILL.

mod community;
mod drops;
mod missions;
mod posts;
mod region;
mod serve;
mod story;
mod warnings;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::tokens::LIFETIME;

type Told = Result<(), Box<dyn Error>>;

#[derive(Parser)]
#[command(about = "How the sky looks nearby, warnings with rooms to talk in, missions and coupons")]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Serves the API and a page.
    Serve(serve::Options),
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
        Some(What::Token(options)) => options.print("weather_community", LIFETIME),
        Some(What::UntilKilled { folder }) => story::until_killed(&folder).await,
        None => story::tell().await,
    };
    support::print::ended("weather_community", told)
}
