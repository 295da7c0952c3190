//! Logs, metrics, and the signal to stop.

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

/// Begins to collect metrics; the handle renders them for Prometheus.
///
/// # Errors
///
/// If metrics are being collected already.
pub fn metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new().install_recorder()
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
