//! Errors that reach a person: batched, counted, rate limited, and never in the way.
