//! One fault of each number between a search and its engine, a second of each; the long run is the program itself.
#![cfg(feature = "faults")]

use std::process::Command;

use pumasi_core::conformance::Server;
use pumasi_core::conformance::process::is_full;

/// Some four minutes, with `PUMASI_FAULT_FULL=1`: on a machine that has other work, requests are late, and a run says little. What
/// depends on its quiet even then, the p99, is told and left to the program's long run.
#[test]
fn no_request_fails_and_no_answer_in_part_is_called_whole() {
    if !is_full() {
        println!("skipped: search_faults: runs with PUMASI_FAULT_FULL=1");
        return;
    }
    if Server::Postgres.url("search_faults").is_none() {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_search_faults"))
        .args(["--seconds", "1"])
        .output()
        .expect("the program starts");
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}{}", String::from_utf8_lossy(&output.stderr));
    let runs: Vec<serde_json::Value> =
        told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let ours: Vec<_> = runs.iter().filter(|run| run["subject"] == "pumasi").collect();
    assert!(ours.len() >= 17, "{} faults", ours.len());
    let mut judged = 0;
    for run in ours {
        assert_eq!(run["unflagged_partial"], 0, "{run}");
        // a request that ended past the deadline tells of a machine that stood still, and the run then of nothing else
        if run["late"] == 0 {
            assert_eq!(run["failed"], 0, "{run}");
            judged += 1;
        }
    }
    assert!(judged >= 9, "the machine is too busy: {judged} runs could be judged");
    for control in ["pumasi without breaker", "pumasi without hedge", "pumasi without fallback"] {
        let missed =
            |run: &&serde_json::Value| run["missed"].as_array().is_some_and(|missed| !missed.is_empty());
        assert!(
            runs.iter().filter(|run| run["subject"] == control).any(|run| missed(&run)),
            "{control} misses nothing"
        );
    }
}
