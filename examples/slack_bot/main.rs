//! A Slack bot that acknowledges within milliseconds and answers later: nothing is lost in between, and the same
//! question is answered, and paid for, once.
//!
//! ```text
//! cargo run --example slack_bot              the whole path over HTTP, with a small Slack on the loopback
//! cargo run --example slack_bot -- serve      the service, with a page at http://127.0.0.1:8788 and Slack's Events API at /slack/events
//! cargo run --example slack_bot -- put-aside  what was put aside, and why; --deliver-again has it delivered again
//! ```
//!
//! An event is checked (signature, age), put on the durable bus under an id named after Slack's `event_id`, and
//! acknowledged. A consumer counts the question, takes its answer from the cache or asks the model, and posts it into the
//! question's thread. What the bot itself is to blame for, a token that Slack refuses or a model's key, is tried again for a day, as
//! is an outage; what one channel refuses is put aside until an operator has it delivered again (`slack_bot token NAME --role operator`,
//! signed with `PUMASI_TOKEN_KEY`). `GET /questions` lists what is asked most, but for what was only asked in private, to whoever has a
//! reader's token.
//!
//! Without a model it answers from a committed list and says so; with `OPENAI_API_KEY`, or `PUMASI_LLM_URL` for a local
//! server (and `PUMASI_LLM_MODEL`), it asks the model. Without `SLACK_SIGNING_SECRET` (several by comma while one is
//! rotated), `SLACK_BOT_TOKEN` and `PUMASI_TOKEN_KEY`, or with `--play-slack`, the page plays Slack. The service takes `SLACK_API_URL` in place of Slack's, and sends its errors to
//! `SLACK_ALERT_WEBHOOK_URL`. It keeps everything in one folder, `--data`; with `PUMASI_POSTGRES_URL` questions and answers are in
//! PostgreSQL, with `PUMASI_KAFKA_URL` or `PUMASI_REDIS_URL` events travel there, and with the latter answers are cached there
//! (`--features postgres,kafka,redis`). The app needs the scopes `app_mentions:read`, `im:history`, `chat:write` and
//! `channels:history`, and the events `app_mention` and `message.im`.

mod book;
mod bot;
mod demo;
mod play;
mod question;
mod serve;
mod store;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use support::say;

use book::AnswerBook;

#[derive(Parser)]
#[command(about = "Acknowledges questions from Slack at once, and answers them later")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves Slack's Events API.
    Serve(serve::Options),
    /// Lists the questions that were put aside, with the reason, and has them delivered again.
    PutAside(support::aside::Options),
    /// Prints a token for the list of questions, signed with `PUMASI_TOKEN_KEY`.
    Token(serve::TokenOptions),
}

#[tokio::main]
async fn main() -> ExitCode {
    support::print::ended("slack_bot", run(Args::parse()).await)
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let book = Arc::new(AnswerBook::new()?);
    let model = support::model::chat_model()?;
    let is_offline = model.is_none();
    let model = model.unwrap_or_else(|| book.clone());
    match args.command {
        Some(Command::Serve(options)) => serve::run(options, model, is_offline).await,
        Some(Command::PutAside(options)) => options.run("slack_bot", bot::EVENTS, &[bot::GROUP]).await,
        Some(Command::Token(options)) => options.print("slack_bot", serve::LIFETIME),
        None => {
            if is_offline {
                say!(
                    "model: {} — the offline stand-in: a committed list of answers, no language model.",
                    model.name()
                );
                say!("       Set OPENAI_API_KEY or PUMASI_LLM_URL to ask a model.\n");
            } else {
                say!("model: {}\n", model.name());
            }
            demo::run(model, || is_offline.then(|| book.asked())).await
        }
    }
}
