//! What a consumer reports to the metrics recorder, looked up once.

use metrics::{Counter, Gauge, Histogram};

pub(super) struct Meters {
    pub(super) in_flight: Gauge,
    pub(super) seconds: Histogram,
    pub(super) handled: Counter,
}

impl Meters {
    pub(super) fn new(group: &str) -> Self {
        Self {
            in_flight: metrics::gauge!("pumasi_event_in_flight", "group" => group.to_owned()),
            seconds: metrics::histogram!("pumasi_event_handler_seconds", "group" => group.to_owned()),
            handled: outcome(group, "handled"),
        }
    }
}

/// The counter of deliveries that ended in one way.
pub(super) fn outcome(group: &str, outcome: &'static str) -> Counter {
    metrics::counter!("pumasi_event_deliveries_total", "group" => group.to_owned(), "outcome" => outcome)
}
