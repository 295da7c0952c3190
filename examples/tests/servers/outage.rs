//! PostgreSQL is gone for a while: each service says so, refuses with a problem, and goes on by itself when it is back.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};
use support::child::Running;

use super::desk::until;
use super::trial::{Bus, Cable, Trial};

/// The services, what of each is down without PostgreSQL, and something to read of it from there.
const SERVICES: [(&str, &[&str], &str); 5] = [
    ("every_task", &["store"], "/posts"),
    ("race_registration", &["books", "store"], "/races"),
    ("running_club", &["store"], "/crews"),
    ("running_coach", &["store"], "/knowledge"),
    ("weather_community", &["store"], "/missions"),
];

fn start(trial: &Trial, service: &str, database: &str, data: &Path) -> Running {
    trial.start(service, |command| {
        command.env(support::servers::POSTGRES, database).arg("--data").arg(data.join(service));
    })
}

// The cable carries while the test waits for the services.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_named_and_every_service_goes_on_when_it_is_back() {
    let Some(trial) = Trial::new("the services without PostgreSQL", Bus::Redis).await else { return };
    let (folder, client) = (tempfile::tempdir().unwrap(), Client::new());
    let mut url: Url = trial.postgres().parse().unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let mut cable = Cable::to(&server);
    let (host, port) =
        cable.address().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    url.set_host(Some(&host)).unwrap();
    url.set_port(port.parse().ok()).unwrap();
    let running = SERVICES.map(|(name, ..)| start(&trial, name, url.as_str(), folder.path()));
    let services = || running.iter().zip(SERVICES);
    for (service, (name, ..)) in services() {
        let ready = until(&client, &service.url("/readyz"), |ready| ready["status"] == "ready").await;
        assert_eq!(ready["down"], Value::Null, "{name}: {ready}");
    }

    cable.pull();
    for (service, (name, gone, path)) in services() {
        let problem = until(&client, &service.url("/readyz"), |ready| ready["status"] == 503).await;
        assert_eq!(problem["down"], json!(gone), "{name}: {problem}");
        assert!(problem["hint"].is_string(), "{name}: {problem}");
        let alive = client.get(service.url("/healthz")).send().await.unwrap();
        assert_eq!(alive.status(), StatusCode::OK, "{name}");
        let asked = Instant::now();
        let refused = client.get(service.url(path)).send().await.unwrap();
        assert!(refused.status().is_server_error(), "{name}: {}", refused.status());
        assert_eq!(refused.headers()["content-type"], "application/problem+json", "{name}");
        assert!(asked.elapsed() < Duration::from_mins(1), "{name} keeps whoever asks waiting");
    }

    cable.plug_in();
    for (service, (name, _, path)) in services() {
        let ready = until(&client, &service.url("/readyz"), |ready| ready["status"] == "ready").await;
        assert_eq!(ready["down"], Value::Null, "{name}: {ready}");
        assert_eq!(client.get(service.url(path)).send().await.unwrap().status(), StatusCode::OK, "{name}");
    }
    drop(running);
    trial.end().await;
}

/// What the services go on without is told as well.
#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_gone_is_spare_to_a_search() {
    let Some(trial) = Trial::new("dev_search without its cache", Bus::Kafka).await else { return };
    let (folder, client) = (tempfile::tempdir().unwrap(), Client::new());
    let mut cable = Cable::to(trial.redis.strip_prefix("redis://").unwrap());
    let through = format!("redis://{}", cable.address());
    let service = trial.start("dev_search", |command| {
        command.env(support::servers::REDIS, through).arg("--data").arg(folder.path());
    });
    let ready = service.url("/readyz");
    until(&client, &ready, |ready| ready["status"] == "ready").await;
    cable.pull();
    let degraded = until(&client, &ready, |ready| ready["status"] == "degraded").await;
    assert_eq!(degraded["down"], json!(["cache"]), "{degraded}");
    let found = client.get(service.url("/search?q=rust")).send().await.unwrap();
    assert_eq!(found.status(), StatusCode::OK);
    cable.plug_in();
    until(&client, &ready, |ready| ready["status"] == "ready").await;
    drop(service);
    trial.end().await;
}
