//! Processes are killed while they submit, and what they were told had counted is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pumasi_core::conformance::process::{Crew, Part, kills};
use pumasi_core::time::ManualClock;
use pumasi_search::leaderboard::{
    Board, BoardStore, Direction, Metric, Record, Rules, SqliteBoards, Submitted, Total,
};

const MEMBERS: u64 = 40;
/// How many records are acknowledged at least.
const ENOUGH: usize = 50;

fn board() -> Board {
    let rules = Rules::new(Metric::sum("distance_m"), Direction::HighestFirst)
        .then(Total::Records.into(), Direction::HighestFirst);
    Board::new("kills", rules).unwrap()
}

async fn open(folder: &Path) -> SqliteBoards<u64> {
    SqliteBoards::open(folder.join("boards.db")).await.unwrap()
}

/// Submits records of its own numbers until it is killed, some of them twice, and writes down what counted.
async fn submit_until_killed(folder: &Path) {
    let store = open(folder).await;
    let mut acks = File::options().create(true).append(true).open(folder.join("acks")).unwrap();
    let board = board();
    let run = fastrand::u64(..);
    store.snapshot(&board, "all", &format!("kept-{run}")).await.unwrap();
    for round in 0_u64.. {
        let calls = (0..8_u64).map(|call| {
            let (store, board) = (store.clone(), &board);
            async move {
                let (member, source) = ((run ^ round ^ call) % MEMBERS, format!("{run}-{round}-{call}"));
                let record = Record::new(member, source.clone(), ManualClock::START).with("distance_m", 1);
                let answer = store.submit(board, "all", std::slice::from_ref(&record)).await.unwrap();
                if call == 0 {
                    let again = store.submit(board, "all", &[record]).await.unwrap();
                    assert_eq!(again, [Submitted::Duplicate]);
                }
                (member, source, answer)
            }
        });
        let mut lines = String::new();
        for (member, source, answer) in join_all(calls).await {
            assert_eq!(answer, [Submitted::Counted]);
            writeln!(lines, "{member} {source}").unwrap();
        }
        acks.write_all(lines.as_bytes()).unwrap();
    }
}

#[test]
#[ignore = "started by the fault test with a part"]
fn plays_its_part() {
    if let Some(part) = Part::given() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(submit_until_killed(&part.folder));
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_a_board_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut crew = Crew::new("kills::plays_its_part", folder.path());
    crew.start("runner").unwrap();
    crew.kill_at_random(kills(12), Duration::from_millis(80)..Duration::from_millis(500)).unwrap();
    // A busy machine starts it slowly; it goes on until enough has happened to tell anything.
    let acks = || std::fs::read_to_string(folder.path().join("acks")).unwrap_or_default();
    let begun = Instant::now();
    while acks().lines().count() <= ENOUGH + 8 && begun.elapsed() < Duration::from_mins(1) {
        crew.check().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    crew.kill_all().unwrap();

    let text = acks();
    // A line that was cut off was not acknowledged to anybody.
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let mut acknowledged: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for line in whole.lines() {
        let (member, source) = line.split_once(' ').unwrap();
        let new = acknowledged.entry(member.parse().unwrap()).or_default().insert(source);
        assert!(new, "{source} counted twice");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(folder.path()).await;
        let board = board();
        let members: Vec<u64> = acknowledged.keys().copied().collect();
        let places = store.places(&board, "all", &members).await.unwrap();
        let mut unacknowledged = 0;
        for (member, place) in members.iter().zip(places) {
            let place = place.unwrap();
            let (sources, total) = (&acknowledged[member], u64::try_from(place.values[0]).unwrap());
            assert_eq!(place.values[0], place.values[1], "of member {member} a record is there in part");
            assert!(total >= sources.len() as u64, "member {member} has {total} of {}", sources.len());
            unacknowledged += total - sources.len() as u64;
            let again: Vec<_> = sources
                .iter()
                .map(|source| Record::new(*member, *source, ManualClock::START).with("distance_m", 1))
                .collect();
            let answers = store.submit(&board, "all", &again).await.unwrap();
            assert!(
                answers.iter().all(|answer| *answer == Submitted::Duplicate),
                "of {member} a source is lost"
            );
        }
        let count: usize = acknowledged.values().map(BTreeSet::len).sum();
        assert!(count > ENOUGH, "only {count} records were acknowledged");
        println!(
            "{count} records acknowledged, all there; {unacknowledged} more were stored and not yet told"
        );
    });
}
