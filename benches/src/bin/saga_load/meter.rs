//! What a run costs: processor time, memory, syncs.

use std::time::{Duration, Instant};

use sqlx::{PgPool, Row};

/// The processor time that this process has used.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The resident memory of this process, in KiB.
pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

pub(crate) struct Meter {
    wall: Instant,
    cpu: Duration,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu() }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.wall.elapsed().as_secs_f64()
    }

    pub(crate) fn cpu_micros(&self) -> f64 {
        (cpu() - self.cpu).as_secs_f64() * 1e6
    }
}

/// How often a PostgreSQL server has synced its log, and how many bytes it has; of the whole server, so measure on one of
/// your own.
#[derive(Clone, Copy, Default)]
pub(crate) struct ServerLog {
    pub(crate) syncs: i64,
    pub(crate) bytes: i64,
}

impl ServerLog {
    pub(crate) async fn read(pool: &PgPool) -> Self {
        let syncs = "SELECT coalesce(sum(fsyncs), 0)::bigint FROM pg_stat_io WHERE object = 'wal'";
        let older = "SELECT wal_sync FROM pg_stat_wal";
        let _ = sqlx::query("SELECT pg_stat_force_next_flush()").execute(pool).await;
        let row = match sqlx::query(syncs).fetch_one(pool).await {
            Ok(row) => Ok(row),
            Err(_) => sqlx::query(older).fetch_one(pool).await,
        };
        let syncs = row.and_then(|row| row.try_get(0)).unwrap_or(0);
        let bytes = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
        let row = sqlx::query(bytes).fetch_one(pool).await;
        Self { syncs, bytes: row.and_then(|row| row.try_get(0)).unwrap_or(0) }
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { syncs: self.syncs - earlier.syncs, bytes: self.bytes - earlier.bytes }
    }
}

/// A quantile of latencies, in milliseconds.
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list"
    )]
    let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
}
