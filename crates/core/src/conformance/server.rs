//! Real servers that tests need: where they are, and what happens without them.

use std::fmt;
use std::io::Write;

/// A server that some tests need, named by an environment variable that holds its URL.
///
/// `scripts/services` starts them and prints the variables. A test asks [`url`](Self::url); without the variable it is
/// skipped, visibly, unless `PUMASI_REQUIRE` says that it must run.
///
/// ```
/// use pumasi_core::conformance::Server;
///
/// assert_eq!(Server::Postgres.variable(), "PUMASI_POSTGRES_URL");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Server {
    /// PostgreSQL, `postgres://user@host:port/database`: tests make a schema or database of their own in it.
    Postgres,
    /// Redis, `redis://host:port`: tests use key prefixes of their own.
    Redis,
    /// A Kafka broker, `host:port`: tests use topics of their own.
    Kafka,
    /// OpenSearch or Elasticsearch, `http://host:port`.
    OpenSearch,
    /// Qdrant, `http://host:port` of its gRPC interface.
    Qdrant,
    /// An OpenAI-compatible server that is not ours, `http://host:port/v1`; its key and model in `PUMASI_OPENAI_KEY` and
    /// `PUMASI_OPENAI_MODEL`.
    OpenAi,
}

impl Server {
    /// All servers that a test may need.
    pub const ALL: [Self; 6] =
        [Self::Postgres, Self::Redis, Self::Kafka, Self::OpenSearch, Self::Qdrant, Self::OpenAi];

    /// Names the server, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Kafka => "kafka",
            Self::OpenSearch => "opensearch",
            Self::Qdrant => "qdrant",
            Self::OpenAi => "openai",
        }
    }

    /// Names the environment variable with the URL.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "PUMASI_POSTGRES_URL",
            Self::Redis => "PUMASI_REDIS_URL",
            Self::Kafka => "PUMASI_KAFKA_URL",
            Self::OpenSearch => "PUMASI_OPENSEARCH_URL",
            Self::Qdrant => "PUMASI_QDRANT_URL",
            Self::OpenAi => "PUMASI_OPENAI_URL",
        }
    }

    /// Returns the server's URL for `test`; `None`, after saying so, where there is none and the test is to be skipped.
    ///
    /// `PUMASI_REQUIRE` holds `all`, or the [names](Self::name) of the servers that must be there, separated by commas.
    ///
    /// # Panics
    ///
    /// If the server must be there and is not: this is what makes the test fail.
    pub fn url(self, test: &str) -> Option<String> {
        let url = std::env::var(self.variable()).ok().filter(|url| !url.is_empty());
        if url.is_none() {
            let required = std::env::var("PUMASI_REQUIRE").unwrap_or_default();
            let must =
                required.split(',').any(|name| matches!(name.trim(), "all") || name.trim() == self.name());
            assert!(
                !must,
                "{test} needs {self}, which PUMASI_REQUIRE asks for, but {} is not set",
                self.variable()
            );
            skip(test, &format!("needs {self}: {} is not set", self.variable()));
        }
        url
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Says on standard error, past the test harness's capture, that something was not tested and why: one line
/// `skipped: what: why`, which `scripts/test` counts.
///
/// # Panics
///
/// If `PUMASI_REQUIRE` is `all`.
pub fn skip(what: &str, why: &str) {
    let required = std::env::var("PUMASI_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name.trim() == "all"),
        "{what} was not tested, and PUMASI_REQUIRE asks for all: {why}"
    );
    say_skipped(what, why);
}

/// As [`skip`], for what does not apply and is no gap.
pub(super) fn say_skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}
