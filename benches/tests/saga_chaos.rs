//! Sagas whose workers are killed and stopped, a short run on each store; the long one is the program itself.
#![cfg(all(unix, feature = "saga-chaos"))]

use std::process::{Command, Output};

use pumasi_core::conformance::Server;
use pumasi_core::conformance::process::{is_full, kills};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_saga_chaos")).args(arguments).output().expect("the program starts")
}

/// Some twenty seconds; `PUMASI_FAULT_KILLS` asks for more. Something of all that is named has to be reached.
fn holds(store: &str, more: &[&str], reached: &[&str]) {
    let kills = kills(10).to_string();
    let mut arguments =
        vec!["--store", store, "--kills", &kills, "--stops", "2", "--sagas", "200", "--seed", "7"];
    if !more.contains(&"--retention") {
        arguments.extend(["--stands", "4"]);
    }
    arguments.extend(more);
    let output = run(&arguments);
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{told}");
    assert!(output.status.success(), "{told}\n{said}");
    let told: serde_json::Value = serde_json::from_str(&told).expect("one JSON object");
    let number = |name: &str| told[name].as_u64().unwrap_or(0);
    for reached in ["acknowledged", "completed", "compensated"].iter().chain(reached) {
        assert!(number(reached) > 0, "no run came to {reached}: {told}");
    }
    if is_full() && !more.contains(&"--retention") {
        // A short run may kill nobody who holds anything; what was forgotten does not tell.
        for reached in ["taken_over", "refused_writes"] {
            assert!(number(reached) > 0, "no run came to {reached}: {told}");
        }
    }
    assert_eq!(number("completed") + number("compensated"), number("sagas") + number("forgotten"), "{told}");
}

#[test]
fn no_effect_is_lost_or_doubled_in_sqlite() {
    holds("embedded", &[], &["decided", "children", "made_again", "begun_anew"]);
}

#[test]
fn no_effect_is_lost_or_doubled_in_postgres_also_when_connections_are_cut() {
    if Server::Postgres.url("saga_chaos on postgres").is_some() {
        holds("postgres", &["--cuts", "5"], &["decided", "children", "made_again", "begun_anew", "rows"]);
    }
}

#[test]
fn no_effect_is_lost_or_doubled_in_redis_also_when_connections_are_cut() {
    if Server::Redis.url("saga_chaos on redis").is_some() {
        holds("redis", &["--cuts", "5"], &["decided", "children", "made_again", "begun_anew"]);
    }
}

#[test]
fn no_effect_is_lost_or_doubled_while_the_server_is_restarted() {
    for (server, store) in [(Server::Postgres, "postgres"), (Server::Redis, "redis")] {
        if is_full() && server.url("saga_chaos on a restarted server").is_some() {
            holds(store, &["--restarts", "5"], &["decided", "children", "made_again", "begun_anew"]);
        }
    }
}

#[test]
fn no_effect_is_lost_or_doubled_of_sagas_that_are_forgotten_or_purged() {
    holds("embedded", &["--retention", "0"], &["forgotten"]);
    if is_full() {
        holds("embedded", &["--retention", "2"], &["forgotten"]);
        if Server::Postgres.url("saga_chaos with purges").is_some() {
            holds("postgres", &["--retention", "2"], &["forgotten"]);
        }
    }
}

#[test]
fn rows_apart_from_the_record_of_their_step_are_noticed() {
    if Server::Postgres.url("saga_chaos with rows apart").is_none() {
        return;
    }
    let arguments = ["--store", "postgres", "--kills", "0", "--sagas", "100", "--seed", "7"];
    let output = run(&[&arguments[..], &["--plant", "rows-apart"]].concat());
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert!(!output.status.success() && told["violations"].as_u64() > Some(0), "nothing was noticed: {told}");
}

#[test]
fn a_zombie_that_is_not_refused_is_noticed() {
    if !is_full() {
        println!(
            "skipped: saga_chaos without fencing: runs with PUMASI_FAULT_FULL=1, long enough for a zombie to write"
        );
        return;
    }
    let arguments = ["--store", "embedded", "--kills", "4", "--stops", "12", "--sagas", "200", "--seed", "7"];
    let output = run(&[&arguments[..], &["--plant", "no-fencing"]].concat());
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "nothing was noticed: {told}");
}

#[test]
fn a_worker_that_undoes_a_newer_child_is_noticed() {
    if !is_full() {
        println!(
            "skipped: saga_chaos with children that are made again: runs with PUMASI_FAULT_FULL=1, long enough for one to be undone"
        );
        return;
    }
    let arguments =
        ["--store", "embedded", "--kills", "0", "--stands", "60", "--sagas", "100", "--seed", "7"];
    let output = run(&[&arguments[..], &["--plant", "newer-child-is-undone"]].concat());
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "nothing was noticed: {told}");
}
