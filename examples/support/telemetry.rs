//! Logs, metrics, and the signal to stop.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::layer::Identity;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// Writes logs as JSON lines to standard error; `RUST_LOG` chooses what, by default `info`.
pub fn logs() {
    logs_and(None::<Identity>);
}

/// Writes [logs], and hands what happens to another layer as well.
pub fn logs_and<L: Layer<Registry> + Send + Sync>(layer: Option<L>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).with_filter(filter);
    if tracing_subscriber::registry().with(layer).with(logs).try_init().is_err() {
        eprintln!("logs were set up before");
    }
}

/// How often what was measured is put into its buckets, whether somebody asks for it or not: until then each sample is kept.
const UPKEEP: Duration = Duration::from_secs(5);

/// Begins to collect metrics; the handle renders them for Prometheus. Of the runtime, because what was measured is put into
/// order every five seconds.
///
/// # Errors
///
/// If metrics are being collected already.
pub fn metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    let kept = handle.clone();
    tokio::spawn(async move {
        let mut times = tokio::time::interval(UPKEEP);
        loop {
            times.tick().await;
            kept.run_upkeep();
        }
    });
    Ok(handle)
}

/// Completes when the process is asked to stop, by Ctrl-C or SIGTERM.
pub async fn stop_signal() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => {
                tokio::select! {
                    () = interrupted => {}
                    _ = terminated.recv() => {}
                }
            }
            Err(_) => interrupted.await,
        }
    }
    #[cfg(not(unix))]
    interrupted.await;
}
