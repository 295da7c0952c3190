//! A writer that is killed: what it was told is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pumasi_core::conformance::process::kills;
use pumasi_search::{Change, Document, Schema, SearchEngine, TantivyEngine, TextField};
use serde_json::json;

const FOLDER: &str = "PUMASI_SEARCH_KILLED";

fn schema() -> Schema {
    Schema::new("killed").with_text(TextField::new("title"))
}

fn open(folder: &Path) -> TantivyEngine {
    TantivyEngine::open(schema(), folder).expect("an index")
}

/// Runs as a process of its own: writes until it is killed, and says what was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let engine = open(Path::new(&folder));
    let from = engine.status().await.expect("a status").documents;
    for number in from.. {
        // a batch of one new document and one that is changed over and over
        let new = Change::upsert(Document::new(format!("{number:06}"), json!({"title": "러닝"})), 1);
        let again =
            Change::upsert(Document::new("again", json!({"title": format!("판{number}")})), number + 1);
        let changes = if number == 0 { vec![again] } else { vec![new, again] };
        engine.apply(&changes).await.expect("a batch");
        writeln!(std::io::stdout(), "acknowledged {number}").expect("an output");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill_at_any_point() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut last = None;
    for round in 0..kills(6) {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "kill::a_writer_that_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let acknowledged = |line: &String| line.rsplit_once("acknowledged ")?.1.trim().parse::<u64>().ok();
        let first = lines.by_ref().map_while(Result::ok).find_map(|line| acknowledged(&line));
        last = first.max(last);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..400))).await;
        child.kill().expect("a kill");
        last = lines.map_while(Result::ok).filter_map(|line| acknowledged(&line)).max().max(last);
        child.wait().expect("an end");
        let engine = open(folder.path());
        let stamps = engine.stamps(None, 1_000_000).await.expect("the versions");
        let last = last.expect("something acknowledged");
        for number in 1..=last {
            let id = format!("{number:06}");
            assert!(
                stamps.iter().any(|stamp| stamp.id == id),
                "{id} was acknowledged and is lost after kill {round}"
            );
        }
        let again = stamps.iter().find(|stamp| stamp.id == "again").map(|stamp| stamp.version);
        assert!(again > Some(last), "the version {last} of a document is lost after kill {round}: {again:?}");
        assert!(stamps.windows(2).all(|pair| pair[0].id < pair[1].id), "a document is there twice");
    }
}
