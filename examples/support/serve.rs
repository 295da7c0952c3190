//! Serving HTTP until it is told to stop.

use std::future::{Future, IntoFuture as _};
use std::io;
use std::time::Duration;

use axum::Router;
use pumasi_core::event::Shutdown;
use tokio::net::TcpListener;

/// How long requests that are under way may go on after the signal.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `stop`, then finishes what is under way within ten seconds: a client that never ends its request keeps
/// nobody from stopping.
///
/// # Errors
///
/// If the socket fails.
pub async fn until(
    stop: impl Future<Output = ()> + Send + 'static,
    listener: TcpListener,
    router: Router,
) -> io::Result<()> {
    let stopping = Shutdown::new();
    let told = stopping.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        stop.await;
        told.trigger();
    });
    let patience = async {
        stopping.triggered().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = serving.into_future() => ended,
        () = patience => {
            tracing::warn!(after = ?DRAIN, "requests that did not end were cut off");
            Ok(())
        }
    }
}
