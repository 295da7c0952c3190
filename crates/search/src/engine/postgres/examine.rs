//! What of a PostgreSQL server a search should know before it leans on it.

use std::time::{Duration, Instant};

use pumasi_core::time::{Clock, SystemClock};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::PostgresEngine;
use crate::search::{Finding, Health};

/// The oldest version that its developers still mend (<https://www.postgresql.org/support/versioning/>, 2026).
const OLDEST: i32 = 140_000;

/// How far a replica may lag behind before people notice.
const BEHIND: f64 = 60.0;

/// How far clocks may be apart before ages and lags are not to be trusted, in seconds.
const APART: f64 = 2.0;

/// What the server says of itself.
#[derive(Clone, Debug)]
struct Server {
    version: i32,
    encoding: String,
    locale: String,
    trigrams: bool,
    clock: f64,
    replica: bool,
    behind: Option<f64>,
    fingerprint: Option<String>,
    broken: bool,
}

impl Server {
    fn read(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            version: row.try_get("version")?,
            encoding: row.try_get("encoding")?,
            locale: row.try_get("locale")?,
            trigrams: row.try_get("trigrams")?,
            clock: row.try_get("clock")?,
            replica: row.try_get("replica")?,
            behind: row.try_get("behind")?,
            fingerprint: row.try_get("fingerprint")?,
            broken: row.try_get("broken")?,
        })
    }
}

impl PostgresEngine {
    /// Looks at the server: version, encoding, locale, extensions, clock, a replica's lag, and the index itself.
    pub(super) async fn look(&self) -> Vec<Finding> {
        let began = Instant::now();
        let asked = async {
            let generation = match self.aside {
                Some(generation) => generation,
                None => self.index(&mut *self.pool.acquire().await.ok()?).await.ok()?.generation,
            };
            let row = sqlx::query(include_str!("sql/examine.sql"))
                .bind(self.schema.name())
                .bind(self.table.name(generation))
                .fetch_one(&self.pool)
                .await;
            Server::read(&row.ok()?).ok()
        };
        let Some(server) = asked.await else {
            let text = "it cannot be asked about itself: is the server there, is the index, and may this user read both?";
            return vec![Finding::new(&self.name, Health::Bad, text)];
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 to the microsecond")]
        let ours = SystemClock.now().as_micros() as f64 / 1e6;
        self.judge(&server, ours, began.elapsed())
    }

    fn judge(&self, server: &Server, ours: f64, trip: Duration) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |health, text: String| findings.push(Finding::new(&self.name, health, text));
        if server.version < OLDEST {
            add(
                Health::Warning,
                format!("version {} is no longer mended by its developers", server.version / 10_000),
            );
        }
        if server.encoding != "UTF8" {
            add(Health::Bad, format!("the database's encoding is {}: Korean needs UTF8", server.encoding));
        }
        if server.trigrams && matches!(server.locale.as_str(), "C" | "POSIX") {
            let text = "pg_trgm is there and lc_ctype is C: it sees no Korean letters. Our own terms are not affected; do not \
                        search by similarity() or by trigram indexes beside them";
            add(Health::Warning, text.to_owned());
        }
        if server.fingerprint.as_deref() != Some(self.schema.fingerprint().as_str()) {
            let text = "the index in use was built for another schema or analyzer: build it anew";
            add(Health::Bad, text.to_owned());
        }
        if server.broken {
            add(
                Health::Warning,
                "an index of its table is not valid, so that searches are slow: REINDEX it".to_owned(),
            );
        }
        let apart = (ours - server.clock).abs() - trip.as_secs_f64();
        if apart > APART {
            add(
                Health::Warning,
                format!("its clock and ours are {apart:.1} s apart: ages and lags are off by as much"),
            );
        }
        match server.behind.filter(|_| server.replica) {
            Some(behind) if behind > BEHIND => {
                add(Health::Warning, format!("it is a replica, {behind:.0} s behind its primary"));
            }
            _ if server.replica => {
                add(
                    Health::Warning,
                    "it is a replica: searches work, an indexer needs the primary".to_owned(),
                );
            }
            _ => {}
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPoolOptions;

    use super::*;
    use crate::{Schema, TextField};

    fn engine() -> PostgresEngine {
        let schema = Schema::new("posts").with_text(TextField::new("title"));
        let pool = PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
        PostgresEngine {
            table: super::super::Table::new(&schema),
            schema,
            pool,
            name: "postgres".to_owned(),
            patience: Duration::from_secs(1),
            aside: Some(1),
        }
    }

    fn told(change: impl FnOnce(&mut Server)) -> String {
        let engine = engine();
        let mut server = Server {
            version: 180_004,
            encoding: "UTF8".to_owned(),
            locale: "C.UTF-8".to_owned(),
            trigrams: true,
            clock: 1_000.0,
            replica: false,
            behind: None,
            fingerprint: Some(engine.schema.fingerprint()),
            broken: false,
        };
        change(&mut server);
        let findings = engine.judge(&server, 1_000.5, Duration::from_millis(5));
        findings.into_iter().map(|finding| finding.text).collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn each_trap_of_a_server_is_told_and_nothing_else() {
        assert_eq!(told(|_| ()), "");
        assert!(told(|server| server.version = 120_022).starts_with("version 12 "));
        assert!(told(|server| server.encoding = "EUC_KR".to_owned()).contains("Korean needs UTF8"));
        assert!(told(|server| server.locale = "C".to_owned()).contains("no Korean letters"));
        assert_eq!(
            told(|server| {
                server.locale = "C".to_owned();
                server.trigrams = false;
            }),
            ""
        );
        assert!(told(|server| server.fingerprint = None).contains("another schema"));
        assert!(told(|server| server.broken = true).contains("REINDEX"));
        assert!(told(|server| server.clock = 990.0).contains("10.5 s apart"));
        assert!(told(|server| server.replica = true).contains("needs the primary"));
        let behind = told(|server| {
            server.replica = true;
            server.behind = Some(90.0);
        });
        assert!(behind.contains("90 s behind"), "{behind}");
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_told_as_such() {
        let findings = engine().look().await;
        assert!(
            findings
                .iter()
                .any(|finding| finding.health == Health::Bad && finding.text.contains("cannot be asked"))
        );
    }
}
