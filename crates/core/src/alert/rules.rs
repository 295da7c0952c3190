//! Which events are alerts, and what of them may be shown.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing_subscriber::layer::{Context, Filter};

/// The field by which an event or a span names its trace.
pub(super) const TRACE_ID: &str = "trace_id";
/// The field that holds an event's message.
pub(super) const MESSAGE: &str = "message";

/// This SDK's crates: what they log holds no text of people.
const OWN: [&str; 5] = ["pumasi_core", "pumasi_llm_parse", "pumasi_rag", "pumasi_saga", "pumasi_search"];

type Redactor = Arc<dyn Fn(&str, &str) -> Option<String> + Send + Sync>;

#[derive(Clone)]
pub(super) struct Rules {
    pub(super) level: LevelFilter,
    pub(super) levels: Vec<(String, LevelFilter)>,
    pub(super) fields: BTreeSet<String>,
    pub(super) trusted: Vec<String>,
    pub(super) redactor: Option<Redactor>,
}

impl Rules {
    pub(super) fn new() -> Self {
        Self {
            level: LevelFilter::ERROR,
            levels: Vec::new(),
            fields: BTreeSet::new(),
            trusted: OWN.map(str::to_owned).into(),
            redactor: None,
        }
    }

    /// Tells whether an event is an alert.
    fn is_alert(&self, metadata: &Metadata<'_>) -> bool {
        let special = self
            .levels
            .iter()
            .filter(|(target, _)| is_within(metadata.target(), target))
            .max_by_key(|(target, _)| target.len());
        *metadata.level() <= special.map_or(self.level, |(_, level)| *level)
    }

    /// Tells whether a field was declared harmless wherever it stands.
    pub(super) fn names(&self, field: &str) -> bool {
        self.fields.contains(field)
    }

    /// Tells whether whatever a target logs is harmless.
    pub(super) fn trusts(&self, target: &str) -> bool {
        self.trusted.iter().any(|trusted| is_within(target, trusted))
    }

    /// Gives the user's function the last word.
    pub(super) fn redacted(&self, name: &str, value: &str) -> Option<String> {
        match &self.redactor {
            // One that panics has not said that it may be shown.
            Some(redactor) => catch_unwind(AssertUnwindSafe(|| redactor(name, value))).ok().flatten(),
            None => Some(value.to_owned()),
        }
    }

    pub(super) fn admission(self: Arc<Self>) -> Admission {
        Admission(self)
    }
}

fn is_within(target: &str, outer: &str) -> bool {
    target.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("level", &self.level)
            .field("levels", &self.levels)
            .field("fields", &self.fields)
            .field("trusted", &self.trusted)
            .field("has_redactor", &self.redactor.is_some())
            .finish()
    }
}

/// Lets alerts through, and the spans that name a trace; decided once for each place in the code.
pub(super) struct Admission(Arc<Rules>);

impl Admission {
    fn admits(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            return metadata.fields().field(TRACE_ID).is_some();
        }
        self.0.is_alert(metadata)
    }
}

impl<S> Filter<S> for Admission {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.admits(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.admits(metadata) { Interest::always() } else { Interest::never() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_within_whole_names_only() {
        assert!(is_within("a::b", "a") && is_within("a", "a") && is_within("a::b::c", "a::b"));
        assert!(
            !is_within("ab", "a") && !is_within("a", "a::b") && !is_within("pumasi_corex", "pumasi_core")
        );
    }
}
