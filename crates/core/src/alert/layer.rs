//! What happens in the thread that logs an error.

use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::ledger::{Ledger, Sample};
use super::rules::{MESSAGE, Rules, TRACE_ID};
use crate::Error;
use crate::time::Clock;

/// The longest value that is kept, in bytes.
const VALUE_BYTES: usize = 300;
/// How many fields are kept.
const FIELDS: usize = 16;

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Makes the current thread one whose events are no alerts.
pub(super) fn be_silent() {
    SILENT.set(true);
}

pub(super) struct AlertLayer {
    ledger: Arc<Ledger>,
    rules: Arc<Rules>,
    clock: Arc<dyn Clock>,
    hashes: RandomState,
}

impl AlertLayer {
    pub(super) fn new(ledger: Arc<Ledger>, rules: Arc<Rules>, clock: Arc<dyn Clock>) -> Self {
        Self { ledger, rules, clock, hashes: RandomState::new() }
    }
}

/// The trace id that a span has named.
struct SpanTrace(String);

impl<S> Layer<S> for AlertLayer
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut trace = TraceReader(None);
        attributes.record(&mut trace);
        keep(trace, id, &context);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let mut trace = TraceReader(None);
        values.record(&mut trace);
        keep(trace, id, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // Also while a value is written below: what its own code logs must not lead here again.
        if SILENT.replace(true) {
            return;
        }
        let _speak_again = Speak;
        let metadata = event.metadata();
        let mut kind = KindReader { rules: &self.rules, hash: self.hashes.build_hasher() };
        event.record(&mut kind);
        let fingerprint = (metadata.callsite(), kind.hash.finish());
        let now = (self.clock.now(), self.clock.instant());
        self.ledger.record(&fingerprint, metadata, now, || {
            let mut reader = SampleReader {
                rules: &self.rules,
                trusted: self.rules.trusts(metadata.target()),
                trace: TraceReader(None),
                sample: Sample::default(),
            };
            event.record(&mut reader);
            let mut sample = reader.sample;
            sample.trace = reader.trace.0.or_else(|| span_trace(event, &context)).or_else(handled_trace);
            sample
        });
    }
}

/// Ends the silence of a thread when it is dropped, also by a panic in the code of a value.
struct Speak;

impl Drop for Speak {
    fn drop(&mut self) {
        SILENT.set(false);
    }
}

fn keep<S>(trace: TraceReader, id: &span::Id, context: &Context<'_, S>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if let (Some(trace), Some(span)) = (trace.0, context.span(id)) {
        span.extensions_mut().replace(SpanTrace(trace));
    }
}

fn span_trace<S>(event: &Event<'_>, context: &Context<'_, S>) -> Option<String>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    context
        .event_scope(event)?
        .find_map(|span| span.extensions().get::<SpanTrace>().map(|trace| trace.0.clone()))
}

/// The trace of the event that a consumer's handler is at.
fn handled_trace() -> Option<String> {
    crate::event::Context::current()?.trace.map(|trace| trace.trace_id().to_owned())
}

/// Reads a trace id, and nothing that is none: it is shown without having been declared harmless.
struct TraceReader(Option<String>);

impl TraceReader {
    const LONGEST: usize = 64;

    fn read(&mut self, text: &str) {
        let is_id = (8..=Self::LONGEST).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if is_id {
            self.0 = Some(text.to_owned());
        }
    }
}

impl Visit for TraceReader {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == TRACE_ID {
            self.read(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == TRACE_ID {
            let text = bounded(format_args!("{value:?}"));
            self.read(text.trim_matches('"'));
        }
    }
}

/// Hashes what tells kinds of errors apart.
struct KindReader<'a> {
    rules: &'a Rules,
    hash: DefaultHasher,
}

impl KindReader<'_> {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() != MESSAGE && self.rules.names(field.name()) {
            (field.index(), bounded(value)).hash(&mut self.hash);
        }
    }
}

impl Visit for KindReader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        match value.downcast_ref::<Error>() {
            Some(error) => (field.index(), error.kind()).hash(&mut self.hash),
            None => self.add(field, format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

/// Reads what may be shown.
struct SampleReader<'a> {
    rules: &'a Rules,
    trusted: bool,
    trace: TraceReader,
    sample: Sample,
}

impl SampleReader<'_> {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let sample = &mut self.sample;
        if !self.trusted && !self.rules.names(field.name()) {
            if sample.withheld.len() < FIELDS {
                sample.withheld.push(field.name());
            }
        } else if sample.fields.len() < FIELDS {
            sample.fields.push((field.name(), bounded(value)));
        }
    }
}

impl Visit for SampleReader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == TRACE_ID {
            self.trace.record_str(field, value);
        } else {
            self.add(field, format_args!("{value}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        match value.downcast_ref::<Error>() {
            Some(error) if self.sample.fields.len() < FIELDS => {
                let text = bounded(format_args!("{}: {}", error.kind(), error.message()));
                self.sample.fields.push((field.name(), text));
            }
            _ => self.add(field, format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == TRACE_ID {
            self.trace.record_debug(field, value);
        } else {
            self.add(field, format_args!("{value:?}"));
        }
    }
}

/// Writes a value, and stops writing where it gets too long.
fn bounded(value: fmt::Arguments<'_>) -> String {
    struct Bounded(String);

    impl fmt::Write for Bounded {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            let room = VALUE_BYTES.saturating_sub(self.0.len());
            if piece.len() <= room {
                self.0.push_str(piece);
                return Ok(());
            }
            self.0.push_str(piece.get(..piece.floor_char_boundary(room)).unwrap_or_default());
            self.0.push('…');
            Err(fmt::Error)
        }
    }

    let mut text = Bounded(String::new());
    // It ends with an error if it was cut.
    let _ = text.write_fmt(value);
    text.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(bounded(format_args!("{} {}", 1, "둘")), "1 둘");
        let cut = bounded(format_args!("{}{}", "가".repeat(99), "나다".repeat(1000)));
        assert_eq!(cut, format!("{}나…", "가".repeat(99)));
    }
}
