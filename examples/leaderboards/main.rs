//! A running club's week: boards by distance, time and pace, crews, movement since last week, votes, views and what is trending.
//!
//! ```text
//! cargo run --example leaderboards
//! ```
//!
//! Everything is kept in SQLite files in a folder that goes away at the end. The clock is turned by the example, so that a week
//! passes at once. On the way a process that records runs is killed (SIGKILL), and what it was told had counted is there.
//!
//! 러닝 클럽의 한 주: 거리·시간·페이스 순위, 크루, 지난주 대비 변동, 투표, 조회수, 인기글.

mod club;
mod killed;
mod popular;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => tell().await,
        // How the example starts the process that it kills.
        ["record-runs", folder] => killed::record_runs(Path::new(folder)).await,
        _ => Err("usage: cargo run --example leaderboards".into()),
    };
    support::print::ended("leaderboards", done)
}

async fn tell() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    club::tell(folder.path()).await?;
    killed::tell(folder.path()).await?;
    popular::tell(folder.path()).await
}
