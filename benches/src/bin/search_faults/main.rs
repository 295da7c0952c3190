//! Sixteen faults between a search and its primary engine, under open-loop load: what users got.
//!
//! ```text
//! cargo run --release -p benches --features faults --bin search_faults             one fault of each number, and the controls
//! cargo run --release -p benches --features faults --bin search_faults -- --whole  all, 30 s a fault, 5 times, and the peers
//! ```
//!
//! | option | |
//! |---|---|
//! | `--seconds N`, `--repeats N`, `--rate N` | how long a fault lasts, how often it is repeated, requests a second (100) |
//! | `--all` | every variant of every fault |
//! | `--peers` | the same faults for `failsafe`, `recloser` and `tower-resilience`, as a service would use them |
//! | `--ours` | without the controls |
//! | `--only TEXT` | the faults whose names contain the text |
//! | `--opensearch` | the primary is the server at `PUMASI_OPENSEARCH_URL` |
//!
//! The fallback is PostgreSQL at `PUMASI_POSTGRES_URL`. The primary is a stand-in that speaks the two requests of Elasticsearch's
//! protocol that are needed (a process of its own, so that it can be killed), or a real OpenSearch. Both are behind TCP proxies,
//! which make the faults. A request counts from the moment at which it should have been sent. Every answer is compared with
//! that of the reference evaluator over the same documents. Every second repeat has a cache. The fallback is asked as often
//! beside, by itself and on its own connections: its p99 in the two seconds before the fault is what the bar of the p99 in the fault is
//! measured by; that in the seconds of the fault is printed beside it, for a machine that has other work. A primary counts as back when
//! it answers as often as before the fault, but for one in twenty, and its circuit is closed; one that was killed has to be back from when it listens again.
//!
//! Prints a line of JSON for each run and a table of the worst ones; ends with exit code 1 if ours misses a bar, or if a
//! control (no breaker, no hedge, no fallback) misses none.

mod engines;
mod faults;
mod load;
mod proxy;
mod run;
mod subject;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use faults::{Case, Place};
use run::Run;
use subject::Kind;

pub(crate) struct Options {
    seconds: u64,
    repeats: u32,
    rate: u32,
    all: bool,
    peers: bool,
    controls: bool,
    only: String,
    opensearch: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seconds: 2,
        repeats: 1,
        rate: 100,
        all: false,
        peers: false,
        controls: true,
        only: String::new(),
        opensearch: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number =
            || words.next().and_then(|word| word.parse::<u32>().ok()).ok_or(format!("{word} needs a number"));
        match word.as_str() {
            "--whole" => options = Options { seconds: 30, repeats: 5, all: true, peers: true, ..options },
            "--seconds" => options.seconds = number()?.into(),
            "--repeats" => options.repeats = number()?,
            "--rate" => options.rate = number()?.max(1),
            "--all" => options.all = true,
            "--peers" => options.peers = true,
            "--ours" => options.controls = false,
            "--opensearch" => options.opensearch = true,
            "--only" => options.only = words.next().unwrap_or_default(),
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if let [_, serve, port] = words.as_slice()
        && serve == "--serve"
    {
        runtime.block_on(engines::stand_in(port.parse().expect("a port")));
        return ExitCode::SUCCESS;
    }
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    // in a runtime of their own, so that the tasks of what is tested can be counted
    let (sent, place) = std::sync::mpsc::channel();
    let opensearch = options.opensearch;
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let _ = sent.send(Place::build(opensearch).await);
            std::future::pending::<()>().await;
        });
    });
    match place.recv() {
        Ok(Ok(place)) => runtime.block_on(run(options, Arc::new(place))),
        Ok(Err(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

async fn run(options: Options, place: Arc<Place>) -> ExitCode {
    let expected = Arc::new(engines::expected().await);
    let asked = |case: &Case| {
        case.name.contains(&options.only) && (options.all || !options.only.is_empty() || case.short)
    };
    let cases: Vec<Case> = faults::all().into_iter().filter(|case| asked(case) && place.can(case)).collect();
    let mut runs: Vec<Run> = Vec::new();
    let mut kinds = vec![Kind::Ours];
    if options.peers {
        kinds.extend(Kind::PEERS);
    }
    for kind in kinds {
        for case in &cases {
            for repeat in 0..options.repeats {
                let run = run::run(kind, case, repeat, &options, &place, &expected).await;
                println!("{}", run.json());
                runs.push(run);
            }
        }
    }
    // each control has to miss a bar in one of the faults that its part is there for
    let controlled = if options.controls { &Kind::CONTROLS[..] } else { &[] };
    for kind in controlled.iter().copied() {
        for case in faults::all().iter().filter(|case| case.control) {
            let run = run::run(kind, case, 0, &options, &place, &expected).await;
            println!("{}", run.json());
            runs.push(run);
        }
    }
    println!("{}", run::table(&runs));
    let ours = runs.iter().filter(|run| run.kind == Kind::Ours).all(Run::kept);
    let controls = controlled.iter().all(|kind| runs.iter().any(|run| run.kind == *kind && !run.kept()));
    println!(
        "ours: {}; controls: {}",
        if ours { "kept" } else { "MISSED" },
        match (options.controls, controls) {
            (false, _) => "not run",
            (true, true) => "all miss",
            (true, false) => "ONE KEPT ALL",
        }
    );
    if ours && controls { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How long before a fault there is load, and after it.
pub(crate) const BEFORE: Duration = Duration::from_secs(2);
pub(crate) const AFTER: Duration = Duration::from_millis(2_800);

/// How long more there is load where a server has to start again.
pub(crate) const STARTS: Duration = Duration::from_secs(2);
