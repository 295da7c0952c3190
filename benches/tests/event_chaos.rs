//! The killed services, a short run on each bus and database; the long one is the program itself.
#![cfg(all(unix, feature = "chaos"))]

use std::process::Command;

use pumasi_core::conformance::Server;
use pumasi_core::conformance::process::kills;

/// Some ten seconds; `PUMASI_FAULT_KILLS` asks for more.
fn run(bus: &str, database: &str) {
    let kills = kills(12);
    let events = (kills * 250).to_string();
    let of_each_kind = (kills / 3).max(1).to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_event_chaos"))
        .args(["--bus", bus, "--database", database, "--events", &events, "--kills", &of_each_kind])
        .output()
        .expect("the program starts");
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{told}");
    assert!(output.status.success(), "{told}\n{said}");
    let told: serde_json::Value = serde_json::from_str(&told).expect("one JSON object");
    let number = |name: &str| told[name].as_u64().unwrap_or(0);
    assert!(
        number("acknowledged") > 0 && number("dead_letters") > 0 && number("handled_again") > 0,
        "{told}"
    );
    assert_eq!(number("effects") + number("dead_letters"), number("committed"), "{told}");
}

#[test]
fn nothing_is_lost_or_doubled_on_sqlite() {
    run("sqlite", "sqlite");
}

#[test]
fn nothing_is_lost_or_doubled_from_postgres_to_postgres() {
    if Server::Postgres.url("event_chaos on postgres").is_some() {
        run("sqlite", "postgres");
    }
}

#[test]
fn nothing_is_lost_or_doubled_over_redis() {
    if Server::Redis.url("event_chaos on redis").is_some() {
        run("redis", "sqlite");
    }
}

#[test]
fn nothing_is_lost_or_doubled_over_kafka() {
    if Server::Kafka.url("event_chaos on kafka").is_some() {
        run("kafka", "sqlite");
    }
}
