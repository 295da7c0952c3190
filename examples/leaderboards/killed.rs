//! A process that records runs is killed, and what it was told had counted is there.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use pumasi_core::time::ManualClock;
use pumasi_search::leaderboard::{
    Board, Direction, Leaderboard, Metric, Record, Rules, SqliteBoards, Submitted,
};
use support::say;

/// How many acknowledged runs are waited for before the process is killed.
const ACKNOWLEDGED: u64 = 40;

async fn open(folder: &Path) -> Result<Leaderboard<u64>, Box<dyn Error>> {
    let store = SqliteBoards::open(folder.join("killed.db")).await?;
    let rules = Rules::new(Metric::sum("distance_m"), Direction::HighestFirst);
    Ok(Leaderboard::new(store, Board::new("distance", rules)?))
}

fn run(number: u64) -> Record<u64> {
    Record::new(number % 5, format!("run-{number}"), ManualClock::START).with("distance_m", 1_000)
}

/// Records runs for ever, and says of each that it has counted.
pub(crate) async fn record_runs(folder: &Path) -> Result<(), Box<dyn Error>> {
    let board = open(folder).await?;
    for number in 0.. {
        board.submit(&[run(number)]).await?;
        say!("{number}");
    }
    Ok(())
}

pub(crate) async fn tell(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("record-runs")
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().ok_or("the process has no output")?;
    let mut lines = BufReader::new(out).lines();
    let mut last = 0;
    while last + 1 < ACKNOWLEDGED {
        last = lines.next().ok_or("the process ended by itself")??.parse()?;
    }
    child.kill()?; // SIGKILL
    child.wait()?;
    // What it has said before it died.
    for line in lines.map_while(Result::ok) {
        last = line.parse().unwrap_or(last);
    }

    let board = open(folder).await?;
    let runs: Vec<_> = (0..=last).map(run).collect();
    let lost = board.submit(&runs).await?.iter().filter(|answer| **answer != Submitted::Duplicate).count();
    say!("\nkilled while it recorded runs · 기록 중에 강제 종료");
    say!("  {ACKNOWLEDGED} runs and more were acknowledged; lost · 유실: {lost}");
    let total: i64 =
        board.current()?.top(5).await?.places.iter().filter_map(|place| place.values.first()).sum();
    let beyond = u64::try_from(total)?.saturating_sub((last + 1) * 1_000) / 1_000;
    say!("  counted twice · 중복: {}", if beyond <= 1 { "0".to_owned() } else { beyond.to_string() });
    Ok(())
}
