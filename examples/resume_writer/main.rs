//! Résumés out of GitHub accounts: a language model writes them, and only what a commit or a repository proves is kept.
//!
//! ```sh
//! cargo run --example resume_writer                  the story, in some seconds
//! cargo run --example resume_writer -- serve         the service, with a page at http://127.0.0.1:8794
//! cargo run --example resume_writer -- put-aside      events that were put aside, and why; --deliver-again: once more
//! cargo run --example resume_writer -- token 하늘     a token for the service, if PUMASI_TOKEN_KEY is set
//! ```
//!
//! The story reads a committed export of an account, writes a résumé whose lines each name their record and its words, shows what
//! was refused and why, edits it by instruction with the difference before it is accepted, and shares it: forty people like it while
//! the partner who brings the notices hangs.
//!
//! Without a model it has committed answers to a few questions, as a model might give them, and says so; with `OPENAI_API_KEY`, or
//! `PUMASI_LLM_URL` for a local server (and `PUMASI_LLM_MODEL`, `PUMASI_LLM_KEY`), it asks the model.
//!
//! | variable | |
//! |---|---|
//! | `PUMASI_GITHUB_TOKEN` | reads accounts from GitHub's API with this token; it needs no scope. Without it the committed export, or that in the file `PUMASI_GITHUB_EXPORT`, is all there is |
//! | `PUMASI_GITHUB_URL` | another API than GitHub's own: `https://host/api/v3` |
//! | `PUMASI_NOTIFY_URL`, `PUMASI_NOTIFY_SECRET` | who is told, by signed webhooks, what people do with shared résumés; without it owners see it on the page alone |
//! | `PUMASI_TOKEN_KEY` | signs and checks tokens (JWT, HS256; claims `sub`, `role`: `member` or `moderator`, `aud`: `resume_writer`, `exp`). Without it the key is random, and the page hands out tokens to whoever asks: for development |
//! | `PUMASI_POSTGRES_URL`, `PUMASI_KAFKA_URL`, `PUMASI_REDIS_URL`, `PUMASI_PREFIX` | servers in place of the files in `--data` (`--features postgres,kafka,redis`) |

mod book;
mod desk;
mod diff;
mod evidence;
mod partner;
mod resume;
mod serve;
mod store;
mod story;
mod writer;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use support::model::Watched;
use support::tokens::LIFETIME;

use book::AnswerBook;
use writer::Writer;

#[derive(Parser)]
#[command(about = "Résumés whose every line is proven by a commit or a repository")]
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

#[tokio::main]
async fn main() -> ExitCode {
    support::print::ended("resume_writer", run(Args::parse()).await)
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    match &args.what {
        Some(What::Token(options)) => return options.print("resume_writer", LIFETIME),
        Some(What::PutAside(options)) => {
            return options.run("resume_writer", desk::EVENTS, &desk::GROUPS).await;
        }
        _ => {}
    }
    let book = AnswerBook::new()?;
    let (model, health, instructions) = match support::model::chat_model()?.map(Watched::new) {
        Some(model) => {
            let health = model.health();
            (Arc::new(model) as _, Some(health), Vec::new())
        }
        None => (Arc::new(AnswerBook::new()?) as _, None, book.instructions()),
    };
    let writer = Writer::new(model)?;
    match args.what {
        Some(What::Serve(options)) => serve::run(options, writer, health, instructions).await,
        _ => story::tell(writer, &book.instructions()).await,
    }
}
