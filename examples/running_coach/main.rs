//! A running coach that answers from stored knowledge, with sources, in Korean and in English.
//!
//! ```text
//! cargo run --example running_coach                  stores the committed knowledge in a file and answers some questions
//! cargo run --example running_coach -- "질문"         answers one
//! cargo run --example running_coach -- serve         the service, with a page at http://127.0.0.1:8789
//! cargo run --example running_coach -- token 지영     an admin's token for the service, if PUMASI_TOKEN_KEY is set
//! ```
//!
//! Offline and the same at every run: without a model an answer is sentences of the sources, and says so; with `OPENAI_API_KEY`, or
//! `PUMASI_LLM_URL` for a local server (and `PUMASI_LLM_MODEL`), the model writes it in the voice of a former athlete, and every
//! sentence that cites is held against its source.
//!
//! The service:
//!
//! - A *runner* asks; the answer streams, and each of its sources opens the passage in the document it stands in.
//! - An *admin* stores documents (text, Markdown, HTML, PDF) and removes them. Tokens are JWTs (HS256; claims `sub`, `role`: `admin`, `aud`:
//!   `running_coach`, `exp`) that `PUMASI_TOKEN_KEY` signs; without it the key is random, and a token is shown on the terminal.
//! - It keeps its knowledge in `running_coach.sqlite` (or `--data`); with `PUMASI_POSTGRES_URL` in PostgreSQL with pgvector, with
//!   `PUMASI_QDRANT_URL` in Qdrant, and with `PUMASI_REDIS_URL` its answers in Redis (`--features postgres,qdrant,redis`).
//!   `PUMASI_EMBEDDING_MODEL` and `PUMASI_EMBEDDING_DIMENSIONS` name a model of vectors; what was stored with another one is to be stored anew elsewhere.
//!   `PUMASI_CORS_ORIGINS` names the origins whose pages may use the API.

mod coach;
mod knowledge;
mod serve;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use pumasi_core::cache::{Cache, MemoryCache};
use pumasi_core::model::{Reply, ScriptedModel};
use pumasi_rag::Retriever;
use pumasi_rag::answer::{Answer, Ask, Assistant, Outcome, Verdict};
use pumasi_rag::memory::{Conversation, Turn};
use support::say;

#[derive(Parser)]
#[command(
    about = "Answers questions about running from stored knowledge",
    args_conflicts_with_subcommands = true
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// A question; some committed ones if left out.
    question: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the API and a page.
    Serve(serve::Options),
    /// Prints an admin's token that the service takes, signed with `PUMASI_TOKEN_KEY`.
    Token(serve::TokenOptions),
}

#[tokio::main]
async fn main() -> ExitCode {
    support::print::ended("running_coach", run(Args::parse()).await)
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let model = support::model::chat_model()?;
    match args.command {
        Some(Command::Serve(options)) => return serve::run(options, model).await,
        Some(Command::Token(options)) => return options.print(),
        None => {}
    }
    let folder = tempfile::tempdir()?;
    let knowledge = knowledge::open(&folder.path().join("knowledge.sqlite"), None).await?;
    let first = knowledge.ingest().run(knowledge::committed()?).await?;
    let again = knowledge.ingest().run(knowledge::committed()?).await?;
    say!(
        "stored {} documents in {} chunks; stored again, {} were unchanged",
        first.added,
        first.chunks_embedded,
        again.unchanged
    );
    let coach = coach::assistant(knowledge.retriever(), model.clone(), memory())?;
    say!(
        "model: {}\n",
        coach.model().unwrap_or(
            "none; answers are sentences of the sources. Set OPENAI_API_KEY or PUMASI_LLM_URL to ask one"
        )
    );
    match args.question {
        Some(question) => print(&coach, Ask::new(question)).await?,
        None => demonstrate(&coach, knowledge.retriever(), model.is_none()).await?,
    }
    Ok(())
}

fn memory() -> Arc<dyn Cache> {
    Arc::new(MemoryCache::new(16 << 20))
}

async fn demonstrate(
    coach: &Assistant,
    retriever: Retriever,
    is_offline: bool,
) -> Result<(), Box<dyn Error>> {
    for question in [
        "계단을 내려갈 때 무릎 앞쪽이 아픈데 뛰어도 될까요?",
        "하프 마라톤은 몇 주 준비해야 하나요?",
        "When should I take gels in a race?",
        "Do compression socks work?",
    ] {
        print(coach, Ask::new(question)).await?;
    }
    say!("== nothing that is known answers these");
    for question in ["김치찌개는 어떻게 끓이나요?", "Who won the 2012 Olympic marathon?"] {
        print(coach, Ask::new(question)).await?;
    }
    say!("== a question that goes on from another");
    let mut conversation = Conversation::new();
    conversation.push(Turn::new("러닝화는 언제 바꾸나요?", "500km에서 800km를 달린 뒤입니다."));
    print(coach, Ask::new("카본화는요?").in_conversation(conversation)).await?;
    if is_offline {
        say!("== an answer as a model may write it, recorded: two sentences are not in the source");
        let recorded = "무릎이 많이 불편하시죠. 우선 사흘은 달리기를 쉬세요 [1]. 걸을 때 안 아프면 걷기와 달리기를 1분씩 번갈아 40분 해 보세요 [1]. 소염제를 미리 드시면 더 좋습니다 [1].";
        let model = ScriptedModel::always(Reply::text(recorded)).with_name("recorded");
        print(
            &coach::assistant(retriever, Some(Arc::new(model)), memory())?,
            Ask::new("무릎 앞쪽이 아픈데 뛰어도 될까요?"),
        )
        .await?;
    }
    Ok(())
}

async fn print(coach: &Assistant, ask: Ask) -> Result<(), Box<dyn Error>> {
    let answer = coach.answer(ask.clone()).await?;
    say!("{}", ask.question());
    say!("{}", marked(&answer).trim_end());
    if answer.summary.outcome != Outcome::NotFound {
        let cited = |number: u32| answer.citations.iter().any(|citation| citation.sources.contains(&number));
        for source in answer.sources.iter().filter(|source| cited(source.number)) {
            say!(
                "  [{}] {} ({}, bytes {}..{})",
                source.number,
                source.place,
                source.document,
                source.span.start,
                source.span.end
            );
        }
    }
    say!("");
    Ok(())
}

/// Writes what is doubted behind each sentence that its source does not bear out.
fn marked(answer: &Answer) -> String {
    let mut text = answer.text.clone();
    for citation in answer.citations.iter().rev() {
        if let Verdict::Unsupported(doubt) = citation.verdict {
            text.insert_str(citation.span.end, &format!(" (not in the source: {doubt:?})"));
        }
    }
    text
}
