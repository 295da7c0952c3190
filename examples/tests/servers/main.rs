//! The services on real servers: what several processes share, and what is told when a server is gone.
#![cfg(unix)]
#![cfg_attr(
    all(feature = "postgres", feature = "redis"),
    expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")
)]

#[cfg(all(feature = "postgres", feature = "redis"))]
#[path = "../desk/mod.rs"]
mod desk;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod dev_search;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod every_task;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod neighbours;
#[cfg(all(feature = "postgres", feature = "redis", feature = "opensearch"))]
mod opensearch;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod outage;
#[cfg(all(feature = "postgres", feature = "redis"))]
#[allow(dead_code, reason = "shared with the other tests")]
#[path = "../resume_writer/partner.rs"]
mod partner;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod race_registration;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod resume_writer;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod running_club;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod running_coach;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod slack_bot;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod trial;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod weather_community;

/// What is left out of this program leaves no trace in it but this.
#[cfg(not(all(feature = "postgres", feature = "redis", feature = "kafka", feature = "opensearch")))]
#[test]
fn what_was_not_built_is_told_as_skipped() {
    let built = [
        ("postgres", cfg!(feature = "postgres")),
        ("redis", cfg!(feature = "redis")),
        ("kafka", cfg!(feature = "kafka")),
        ("opensearch", cfg!(feature = "opensearch")),
    ];
    let without: Vec<&str> = built.iter().filter(|(_, is_built)| !is_built).map(|(name, _)| *name).collect();
    let why = format!("built without the features {}", without.join(", "));
    pumasi_core::conformance::skip("the services on real servers", &why);
}
