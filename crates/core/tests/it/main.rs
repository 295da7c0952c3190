//! Tests of the public interface.
#![cfg_attr(
    feature = "openai",
    expect(clippy::unwrap_used, reason = "the tests' own parts fail by panicking")
)]
#![cfg_attr(feature = "openai", expect(clippy::indexing_slicing, reason = "the same"))]

#[cfg(feature = "openai")]
mod model;
