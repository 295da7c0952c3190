//! A filter for the command line: models' answers in, values out, one JSON line each.
//!
//! Reads lines `{"id", "input", "schema"?}` from standard input, where `schema` is a JSON Schema (without it any JSON
//! value is read), and writes a line for each, in the same order: `{"id", "value", "report", "confidence"}`, with
//! `"rejected"` where parts were left out and `"unchecked"` where the schema has keywords that are not checked, or
//! `{"id", "error": {"kind", "message"}}`.
//!
//! ```sh
//! echo '{"id": 1, "input": "Sure! {n: 1,234}", "schema": {"properties": {"n": {"type": "integer"}}}}' |
//!     cargo run --release --example parse -- --policy salvage
//! ```
//!
//! `--partial` reads answers that may be cut off; `--stream N` feeds N characters at a time and prints the events before
//! the value, each with the part's value by its part of the schema. No line stops it: what cannot be read becomes an error line.

mod events;
mod line;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use clap::{Parser as Args, ValueEnum};
use pumasi_llm_parse::{Parsed, Parser, Policy, Rejected, Repair, Report, Rule, Schema, Severity, Span};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Args, Clone, Copy)]
#[command(about = "Reads models' answers as JSON lines and writes the values in them")]
struct Options {
    /// Which repairs are allowed.
    #[arg(long, value_enum, default_value = "lenient")]
    policy: Level,
    /// The answers may be cut off: write the value so far.
    #[arg(long)]
    partial: bool,
    /// Feed this many characters at a time and print the events.
    #[arg(long, value_name = "N")]
    stream: Option<std::num::NonZeroUsize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Strict,
    Lenient,
    Salvage,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a RawValue,
    value: &'a Value,
    report: &'a Report,
    confidence: f32,
    #[serde(skip_serializing_if = "<[Rejected]>::is_empty")]
    rejected: &'a [Rejected],
    /// Keywords of the schema that nothing was checked by.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unchecked: &'a [String],
}

#[derive(Serialize)]
struct Told<'a> {
    id: &'a RawValue,
    event: Value,
}

#[derive(Serialize)]
struct Failed<'a> {
    id: &'a RawValue,
    error: Reason<'a>,
}

#[derive(Serialize)]
struct Reason<'a> {
    kind: &'a str,
    message: &'a str,
}

/// Lines are handed to the workers in batches of about this many bytes.
const BATCH: usize = 256 << 10;
/// A longer line is reported, not read.
const MAX_LINE: usize = 512 << 20;
/// Compiled schemas that a worker keeps.
const MAX_SCHEMAS: usize = 256;

fn main() -> io::Result<()> {
    let options = Options::parse();
    let workers = thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    thread::scope(|scope| {
        let mut inboxes = Vec::new();
        let mut outboxes = Vec::new();
        for _ in 0..workers {
            let (inbox, batches) = sync_channel::<Batch>(2);
            let (results, outbox) = sync_channel::<Vec<u8>>(2);
            scope.spawn(move || work(options, &batches, &results));
            inboxes.push(inbox);
            outboxes.push(outbox);
        }
        let writer = scope.spawn(move || write_all(&outboxes));
        let read = read_all(&inboxes);
        drop(inboxes);
        let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer stopped")));
        read.and(written)
    })
}

/// Lines as they came; a line that was too long is `None`.
type Batch = Vec<Option<Vec<u8>>>;

/// Deals batches round; the writer collects them in the same turn, which keeps the order.
fn read_all(inboxes: &[SyncSender<Batch>]) -> io::Result<()> {
    let mut input = io::BufReader::with_capacity(1 << 20, io::stdin().lock());
    for inbox in inboxes.iter().cycle() {
        let mut batch = Batch::new();
        let mut size = 0;
        while size < BATCH {
            if let Some(line) = read_line(&mut input)? {
                size += line.as_ref().map_or(0, Vec::len) + 1;
                batch.push(line);
            } else {
                // Whoever is next has nothing; closing the channels ends the workers.
                let _ = inbox.send(batch);
                return Ok(());
            }
        }
        if inbox.send(batch).is_err() {
            break;
        }
    }
    Ok(())
}

/// Reads one line without its end; the outer `None` is the end of the input.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Option<Vec<u8>>>> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            return Ok((!line.is_empty() || too_long).then_some(if too_long { None } else { Some(line) }));
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let (part, used) = end.map_or((chunk, chunk.len()), |end| (chunk.split_at(end).0, end + 1));
        if too_long || line.len() + part.len() > MAX_LINE {
            too_long = true;
            line = Vec::new();
        } else {
            line.extend_from_slice(part);
        }
        input.consume(used);
        if end.is_some() {
            return Ok(Some(if too_long { None } else { Some(line) }));
        }
    }
}

fn write_all(outboxes: &[Receiver<Vec<u8>>]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for outbox in outboxes.iter().cycle() {
        let Ok(lines) = outbox.recv() else { break };
        match output.write_all(&lines) {
            // Whoever reads has had enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            other => other?,
        }
    }
    match output.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn work(options: Options, batches: &Receiver<Batch>, results: &SyncSender<Vec<u8>>) {
    let mut schemas = HashMap::new();
    for batch in batches {
        let mut out = Vec::with_capacity(BATCH);
        for line in batch {
            match line {
                Some(line) => answer(options, &mut schemas, &line, &mut out),
                None => fail(&mut out, RawValue::NULL, "too_large", "the line is too long"),
            }
        }
        if results.send(out).is_err() {
            break;
        }
    }
}

fn answer(options: Options, schemas: &mut HashMap<String, Schema>, bytes: &[u8], out: &mut Vec<u8>) {
    let text = line::text(bytes);
    let mended;
    let mut halves = false;
    let line = if let Some(line) = line::read(&text) {
        line
    } else {
        mended = line::without_lone_surrogates(&text);
        halves = mended.is_some();
        let again = mended.as_deref().and_then(line::read);
        let Some(line) = again else {
            let id = line::rescued_id(&text);
            let message = "the line is not an object with an \"input\" text";
            return fail(out, id.as_deref().unwrap_or(RawValue::NULL), "invalid_input", message);
        };
        line
    };
    let id = line.id.unwrap_or(RawValue::NULL);
    if matches!(text, Cow::Owned(_)) {
        return fail(out, id, "invalid_input", "the line is not UTF-8");
    }
    let schema = match line.schema.map(|raw| schema_of(schemas, raw.get())) {
        None => Schema::any(),
        Some(Ok(schema)) => schema,
        Some(Err(message)) => return fail(out, id, "schema", &message),
    };
    let policy = match options.policy {
        Level::Strict => Policy::Strict,
        Level::Lenient => Policy::Lenient,
        Level::Salvage => Policy::Salvage,
    };
    let unchecked = schema.unchecked().to_vec();
    let parser = Parser::<Value>::with_schema(schema).with_policy(policy).with_partial(options.partial);
    let parsed = match options.stream {
        None => parser.parse(&line.input),
        Some(size) => {
            let text = events::told(&line.input, size.get(), &parser, |event| put(out, &Told { id, event }));
            parser.parse(&text)
        }
    };
    match parsed {
        Ok(_) if halves && policy == Policy::Strict => {
            fail(out, id, "policy", "strict: the line has halves of surrogate pairs");
        }
        Ok(Parsed { value, mut report, mut confidence, rejected, .. }) => {
            if halves {
                report.repairs.extend(replaced(&line.input));
                confidence *= LOSSY;
            }
            let unchecked = unchecked.as_slice();
            put(
                out,
                &Answer { id, value: &value, report: &report, confidence, rejected: &rejected, unchecked },
            );
        }
        Err(error) => fail(out, id, error.kind().as_str(), &error.to_string()),
    }
}

/// What a lossy repair takes from the confidence, as everywhere in the parser.
const LOSSY: f32 = 0.85;

/// Tells where halves of surrogate pairs stood in the input, which has U+FFFD in their place.
fn replaced(input: &str) -> impl Iterator<Item = Repair> + '_ {
    const MOST: usize = 100;
    let told = |(at, text): (usize, &str)| {
        Repair::new(Rule::LoneSurrogate, Severity::Lossy, Span::new(at, at + text.len()))
    };
    input.match_indices(char::REPLACEMENT_CHARACTER).take(MOST).map(told)
}

fn schema_of(schemas: &mut HashMap<String, Schema>, raw: &str) -> Result<Schema, String> {
    if let Some(schema) = schemas.get(raw) {
        return Ok(schema.clone());
    }
    let json: Value = serde_json::from_str(raw).map_err(|error| error.to_string())?;
    if json.is_null() {
        return Ok(Schema::any());
    }
    let schema = Schema::from_json(&json).map_err(|error| error.to_string())?;
    if schemas.len() >= MAX_SCHEMAS {
        schemas.clear();
    }
    schemas.insert(raw.to_owned(), schema.clone());
    Ok(schema)
}

fn fail(out: &mut Vec<u8>, id: &RawValue, kind: &str, message: &str) {
    put(out, &Failed { id, error: Reason { kind, message } });
}

fn put(out: &mut Vec<u8>, line: &impl Serialize) {
    // Writing to memory cannot fail, and nothing here refuses to be JSON.
    if serde_json::to_writer(&mut *out, line).is_ok() {
        out.push(b'\n');
    }
}
