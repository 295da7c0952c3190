//! Alerts as the process's own subscriber, so that the sending thread's events come to the layer as well.
#![cfg(feature = "slack")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pumasi_core::alert::Alerts;
use pumasi_core::slack::SlackWebhook;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;

/// Counts what the sending thread logs.
struct Sending(Arc<AtomicU64>);

impl<S: Subscriber> Layer<S> for Sending {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        if std::thread::current().name() == Some("pumasi-alerts") {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn what_the_sending_itself_logs_is_no_alert() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&requests);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            // One read has the whole of so short a request on a loopback, or the answer comes a little early.
            let _ = socket.read(&mut [0; 8192]);
            count.fetch_add(1, Ordering::SeqCst);
            let _ = socket.write_all(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let alerts = Alerts::to_webhook("service", SlackWebhook::new(url).unwrap())
        .with_level(LevelFilter::TRACE)
        .with_gathering(Duration::ZERO)
        .with_flush_limit(Duration::from_secs(5))
        .start()
        .unwrap();
    let sending = Arc::new(AtomicU64::new(0));
    tracing_subscriber::registry().with(alerts.layer()).with(Sending(Arc::clone(&sending))).init();

    tracing::error!("one");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stats = runtime.block_on(alerts.flush());
    assert!(requests.load(Ordering::SeqCst) >= 2, "it tried again");
    assert!(sending.load(Ordering::SeqCst) >= 1, "the sending logged that Slack is in trouble");
    assert_eq!((stats.seen, stats.pending), (1, 1));
}
