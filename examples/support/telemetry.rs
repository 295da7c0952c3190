//! Logs, metrics, and the signal to stop.

use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse, Response};
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

/// What durations are counted by, in seconds: from a look into memory to a registration that took days.
const SECONDS: [f64; 20] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
    3_600.0, 43_200.0, 172_800.0,
];

/// How often measurements are put into their histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// Begins to collect metrics; the handle renders them for Prometheus.
///
/// Durations are histograms, which Prometheus can add up over processes. What was measured is put into them every few seconds, so
/// that it takes no room where nobody asks for the metrics. Takes a runtime of tokio.
///
/// # Errors
///
/// If metrics are being collected already.
pub fn metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?;
    crate::requests::describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// Answers with metrics in Prometheus' text format.
pub fn exposition(rendered: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], rendered).into_response()
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
