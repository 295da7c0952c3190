//! Measures every bar of the parser in one run and prints a table; ends with exit code 1 when a bar is missed.
//!
//! `cargo run --release -p benches --example bars`
//!
//! Times are CPU time of the thread, the minimum of many runs; contenders for a ratio take turns, so that both see the same
//! machine. A peer whose value is not the right one is shown and left out of the comparison.

#[allow(dead_code, reason = "the program uses its share of the test code")]
#[path = "../crates/llm-parse/tests/it/behaviours.rs"]
mod behaviours;
#[allow(dead_code, reason = "the program uses its share of the test code")]
#[path = "../crates/llm-parse/tests/it/cases.rs"]
mod cases;
#[path = "peers.rs"]
mod peers;
#[allow(dead_code, reason = "the program uses its share of the test code")]
#[path = "../crates/llm-parse/tests/it/probes.rs"]
mod probes;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use benches::{CutPost, fastest, megabytes_per_second, messy, pieces, posts, quotes, valid};
use pumasi_llm_parse::ground::Aligner;
use pumasi_llm_parse::stream::Stream;
use pumasi_llm_parse::syntax::{self, Document, Limits};
use pumasi_llm_parse::{Parser, Schema};
use serde_json::Value;

struct Bar {
    what: &'static str,
    bar: String,
    measured: String,
    pass: bool,
}

fn main() -> ExitCode {
    let bars = [
        behaviour("documented behaviours of BAML's parser", "baml", cases::BAML, 95),
        behaviour("documented repairs of json_repair", "json_repair", cases::JSON_REPAIR, 90),
        silent_wrongs(),
        twins(),
        valid_json(),
        messy_answers(),
        stream_time(),
        stream_growth(),
        stream_snapshots(),
        hostile(),
        typo_quotes(),
        quote_time(),
        near_misses(),
    ];
    println!("\n| bar | wanted | measured | |\n|---|---|---|---|");
    for bar in &bars {
        println!(
            "| {} | {} | {} | {} |",
            bar.what,
            bar.bar,
            bar.measured,
            if bar.pass { "PASS" } else { "FAIL" }
        );
    }
    if bars.iter().all(|bar| bar.pass) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn behaviour(what: &'static str, name: &str, text: &str, percent: usize) -> Bar {
    let counted = behaviours::count(name, text);
    Bar {
        what,
        bar: format!("≥ {percent} %"),
        measured: format!("documented {}; variations of our own {}", counted.documented, counted.own),
        pass: counted.documented.reaches(percent) && counted.own.reaches(percent),
    }
}

fn silent_wrongs() -> Bar {
    let tally = probes::tally();
    Bar {
        what: "probes silently wrong",
        bar: "0".to_owned(),
        measured: format!("{} of {}", tally.silently_wrong, tally.probes),
        pass: tally.silently_wrong == 0,
    }
}

fn twins() -> Bar {
    let tally = probes::tally();
    Bar {
        what: "benign twins read right",
        bar: "≥ 95 %".to_owned(),
        measured: format!("{} of {}", tally.twins_right, tally.probes),
        pass: tally.twins_right * 100 >= tally.probes * 95,
    }
}

/// Lets two contenders take turns and returns the best time of each.
fn turns<A, B>(mut a: impl FnMut() -> A, mut b: impl FnMut() -> B) -> (Duration, Duration) {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..20 {
        best.0 = best.0.min(fastest(Duration::from_millis(40), &mut a));
        best.1 = best.1.min(fastest(Duration::from_millis(40), &mut b));
    }
    best
}

fn valid_json() -> Bar {
    let text = valid(100_000);
    let want = posts(100_000);
    let ours = peers::TO_POSTS[0].1;
    assert_eq!(ours(&text).as_ref(), Some(&want), "ours reads it right");
    for (name, read) in peers::TO_POSTS.iter().skip(2) {
        if read(&text).as_ref() == Some(&want) {
            let time = fastest(Duration::from_millis(300), || read(&text));
            println!("valid 100 kB, {name}: {:.0} MB/s", megabytes_per_second(text.len(), time));
        } else {
            println!("valid 100 kB, {name}: wrong value");
        }
    }
    let (mine, serde) = turns(|| ours(&text), || serde_json::from_str::<Vec<benches::Post>>(&text));
    let ratio = serde.as_secs_f64() / mine.as_secs_f64();
    Bar {
        what: "valid JSON into a typed struct, 100 kB",
        bar: "≥ 0.90 × serde_json".to_owned(),
        measured: format!(
            "{ratio:.2} × ({:.0} and {:.0} MB/s)",
            megabytes_per_second(text.len(), mine),
            megabytes_per_second(text.len(), serde)
        ),
        pass: ratio >= 0.9,
    }
}

fn messy_answers() -> Bar {
    let messy = messy(100_000);
    let want: Option<Vec<CutPost>> = serde_json::from_value(messy.value.clone()).ok();
    for (name, read) in peers::TO_VALUE {
        if peers::right(read, &messy.text, &messy.value) {
            let time = fastest(Duration::from_millis(300), || read(&messy.text));
            println!(
                "messy 100 kB to a JSON value, {name}: {:.0} MB/s",
                megabytes_per_second(messy.text.len(), time)
            );
        } else {
            println!("messy 100 kB to a JSON value, {name}: wrong value");
        }
    }
    let ours = peers::TO_CUT_POSTS[0].1;
    let right = want.is_some() && ours(&messy.text) == want;
    let mut fastest_peer: Option<(&str, peers::ToCutPosts, Duration)> = None;
    for (name, read) in peers::TO_CUT_POSTS.into_iter().skip(1) {
        if read(&messy.text) != want {
            println!("messy 100 kB, {name}: wrong value");
            continue;
        }
        let time = fastest(Duration::from_millis(300), || read(&messy.text));
        println!("messy 100 kB, {name}: {:.0} MB/s", megabytes_per_second(messy.text.len(), time));
        if fastest_peer.is_none_or(|(_, _, best)| time < best) {
            fastest_peer = Some((name, read, time));
        }
    }
    let Some((name, read, _)) = fastest_peer else {
        return Bar {
            what: "messy into a typed struct, 100 kB",
            bar: "≥ 1.40 × the fastest correct peer".to_owned(),
            measured: "no peer is correct".to_owned(),
            pass: right,
        };
    };
    let (mine, peer) = turns(|| ours(&messy.text), || read(&messy.text));
    let ratio = peer.as_secs_f64() / mine.as_secs_f64();
    Bar {
        what: "messy into a typed struct, 100 kB, right value",
        bar: "≥ 1.40 × the fastest correct peer".to_owned(),
        measured: format!(
            "{ratio:.2} × {name} ({:.0} and {:.0} MB/s{})",
            megabytes_per_second(messy.text.len(), mine),
            megabytes_per_second(messy.text.len(), peer),
            if right { "" } else { ", WRONG VALUE" }
        ),
        pass: right && ratio >= 1.4,
    }
}

/// Feeds a text in pieces of four characters and takes the events after each.
fn feed(pieces: &[&str]) -> usize {
    let mut stream = Stream::new();
    let mut events = 0;
    for piece in pieces {
        events += stream.push(piece).len();
    }
    black_box(stream.finish());
    events
}

fn stream_time() -> Bar {
    let text = valid(100_000);
    let pieces = pieces(&text, 4);
    let time = fastest(Duration::from_millis(400), || feed(&pieces));
    Bar {
        what: "100 kB in pieces of 4 characters, events after each",
        bar: "< 10 ms CPU".to_owned(),
        measured: format!("{:.2} ms", time.as_secs_f64() * 1e3),
        pass: time < Duration::from_millis(10),
    }
}

/// Both lengths take turns: measured one after the other, a change of the machine's load would count as growth.
fn stream_growth() -> Bar {
    let (text, doubled) = (valid(100_000), valid(200_000));
    let (short, long) = (pieces(&text, 4), pieces(&doubled, 4));
    let (one, two) = turns(|| feed(&short), || feed(&long));
    let ratio = two.as_secs_f64() / one.as_secs_f64();
    Bar {
        what: "the same, doubled",
        bar: "≤ 2.3 ×".to_owned(),
        measured: format!("{ratio:.2} ×"),
        pass: ratio <= 2.3,
    }
}

fn stream_snapshots() -> Bar {
    let text = valid(30_000);
    let limits = Limits::default();
    let mut stream = Stream::new();
    let (mut equal, mut sampled, mut fed) = (0, 0, 0);
    for (i, piece) in pieces(&text, 4).into_iter().enumerate() {
        stream.push(piece);
        fed += piece.len();
        if i % 97 == 0 {
            sampled += 1;
            let prefix = &text[..fed];
            let values = |document: &Document| -> Vec<Value> {
                document.candidates().iter().map(|candidate| document.to_value(candidate, prefix)).collect()
            };
            equal += usize::from(values(&stream.snapshot()) == values(&syntax::read(prefix, &limits)));
        }
    }
    Bar {
        what: "sampled snapshots equal a one-shot parse of the prefix",
        bar: "all".to_owned(),
        measured: format!("{equal} of {sampled}"),
        pass: equal == sampled,
    }
}

/// The heaviest of a few hostile megabytes; the tests have many more (`--test it hostile`).
fn hostile() -> Bar {
    let limits = Limits::default();
    let parser = Parser::<Value>::with_schema(Schema::any());
    let mut worst = (Duration::ZERO, "");
    for unit in [
        "[",
        "{\"a\":",
        "\"",
        "```json\n{}\n```\n",
        "{\"a\": 1} ",
        "<a>",
        "- a: ",
        "\\",
        "{}}",
        "{\"n\": 1, \"n\": 2}\n",
        "]k: \"\" %{a\n",
        "}k: {a\n",
        "]k: [\"[\"]\n",
        "k: [[\n",
        "- a\nwords\n",
    ] {
        let text = unit.repeat((1 << 20) / unit.len());
        let time = fastest(Duration::from_millis(1), || syntax::read(&text, &limits))
            .max(fastest(Duration::from_millis(1), || parser.parse(&text).is_ok()));
        println!("1 MB of {unit:?}: {:.1} ms", time.as_secs_f64() * 1e3);
        if time > worst.0 {
            worst = (time, unit);
        }
    }
    Bar {
        what: "1 MB of hostile input, the slowest kind",
        bar: "< 500 ms CPU, no abort".to_owned(),
        measured: format!("{:.0} ms ({:?})", worst.0.as_secs_f64() * 1e3, worst.1),
        pass: worst.0 < Duration::from_millis(500),
    }
}

fn typo_quotes() -> Bar {
    let quotes = quotes(80_000, 50);
    let aligner = Aligner::new(&quotes.source);
    let exact = quotes
        .typos
        .iter()
        .filter(|(quote, want)| {
            let found = aligner.locate(quote).map(|found| found.span);
            let right = found.is_some_and(|span| span.start == want.start && span.end == want.end);
            if !right {
                println!("QUOTE {quote:?}: {found:?}, wanted {want:?}");
            }
            right
        })
        .count();
    Bar {
        what: "50 quotes of six words with a typo in 80,000 characters, exact spans",
        bar: "≥ 48".to_owned(),
        measured: exact.to_string(),
        pass: exact >= 48,
    }
}

fn quote_time() -> Bar {
    let quotes = quotes(80_000, 50);
    let time = fastest(Duration::from_millis(500), || {
        let aligner = Aligner::new(&quotes.source);
        quotes.typos.iter().filter(|(quote, _)| aligner.locate(quote).is_some()).count()
    });
    Bar {
        what: "the same, index included",
        bar: "< 50 ms CPU".to_owned(),
        measured: format!("{:.1} ms", time.as_secs_f64() * 1e3),
        pass: time < Duration::from_millis(50),
    }
}

fn near_misses() -> Bar {
    let quotes = quotes(80_000, 50);
    let aligner = Aligner::new(&quotes.source);
    let accepted = quotes
        .near_misses
        .iter()
        .filter(|quote| {
            let found = aligner.locate(quote).is_some();
            if found {
                println!("NEAR MISS taken as a quote: {quote:?}");
            }
            found
        })
        .count();
    Bar {
        what: "50 near misses (number, name or negation changed) taken as quotes",
        bar: "0".to_owned(),
        measured: format!("{accepted} of {}", quotes.near_misses.len()),
        pass: accepted == 0,
    }
}
