//! The search with OpenSearch before its other engine: cut off and back, left out and taken up again, shared by processes.

use std::path::Path;
use std::time::{Duration, Instant};

use pumasi_core::conformance::Server;
use pumasi_core::event::{EventBus as _, EventId, SqliteBus};
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};
use support::child::Running;
use support::servers;

use super::desk;
use super::trial::{Bus, Cable, Trial, client, until};

/// The real server, with a cable to it and a prefix of a test's own.
struct Cluster {
    url: String,
    prefix: String,
    cable: Cable,
}

impl Cluster {
    /// `None`, after saying so, where there is no server.
    fn new(test: &str) -> Option<Self> {
        let url = Server::OpenSearch.url(test)?;
        let server: Url = url.parse().unwrap();
        let port = server.port_or_known_default().unwrap();
        let cable = Cable::to(&format!("{}:{port}", server.host_str().unwrap()));
        let prefix = format!("example_{}", EventId::random().to_string().replace('-', ""));
        Some(Self { url, prefix, cable })
    }

    /// Nodes as the environment names them: one that nobody runs, and the server behind the cable.
    fn nodes(&self) -> String {
        format!("http://127.0.0.1:1, http://{}", self.cable.address())
    }

    fn start(&self, data: &Path) -> Running {
        desk::start("dev_search", data, &["--partner", "well"], |command| {
            command.env(servers::OPENSEARCH, self.nodes()).env(servers::PREFIX, &self.prefix);
        })
    }

    async fn end(self) {
        let indexes = format!("{}/pumasi_{}_*", self.url.trim_end_matches('/'), self.prefix);
        let deleted = Client::new().delete(indexes).send().await.unwrap();
        assert_eq!(deleted.status(), StatusCode::OK);
    }
}

/// Searches until the answer is as wanted, for up to a minute; every search has to be answered.
async fn found(service: &Running, words: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let url = Url::parse_with_params(&service.url("/search"), [("q", words)]).unwrap();
    let (client, deadline) = (Client::new(), Instant::now() + Duration::from_mins(1));
    loop {
        let answer = client.get(url.clone()).send().await.unwrap();
        let (status, found) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{words}: {found}");
        if is_wanted(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{words}: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn by(found: &Value, served: &str, engine: &str) -> bool {
    found["served"] == served && found["engine"] == engine
}

fn has(found: &Value, id: &str) -> bool {
    found["hits"].as_array().unwrap().iter().any(|hit| hit["id"] == id)
}

async fn write(service: &Running, title: &str) -> String {
    let entry = json!({"kind": "post", "category": "database", "lang": "ko", "title": title, "body": "본문"});
    let request = client("dev_search", "민수", "member").post(service.url("/entries")).json(&entry);
    let written = request.send().await.unwrap();
    assert_eq!(written.status(), StatusCode::CREATED);
    written.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn take_out(service: &Running, id: &str) {
    let request = client("dev_search", "민수", "member").delete(service.url(&format!("/entries/{id}")));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

// The cable carries while the test waits for the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_cut_off_is_stood_in_for_and_has_what_was_written_when_it_is_back() {
    let Some(mut cluster) = Cluster::new("dev_search on OpenSearch") else { return };
    let (folder, nobody) = (tempfile::tempdir().unwrap(), Client::new());
    let service = cluster.start(folder.path());
    let ready = service.url("/readyz");
    let kept = write(&service, "돌고래와 함께 헤엄치기").await;
    let gone = write(&service, "돌고래가 없는 바다").await;
    let both = |found: &Value| has(found, &kept) && has(found, &gone);
    found(&service, "돌고래", |found| by(found, "fresh", "opensearch") && both(found)).await;
    until(&nobody, &ready, |ready| ready["status"] == "ready").await;

    cluster.cable.pull();
    let told = found(&service, "돌고래", |found| by(found, "degraded", "engine") && both(found)).await;
    assert!(told["cause"].is_string(), "{told}");
    let degraded = until(&nobody, &ready, |ready| ready["status"] == "degraded").await;
    assert_eq!(degraded["down"], json!(["primary"]), "{degraded}");
    let meanwhile = write(&service, "돌고래가 끊긴 사이").await;
    take_out(&service, &gone).await;
    let follows = |found: &Value| has(found, &kept) && has(found, &meanwhile) && !has(found, &gone);
    found(&service, "돌고래", |found| by(found, "degraded", "engine") && follows(found)).await;

    cluster.cable.plug_in();
    found(&service, "돌고래", |found| by(found, "fresh", "opensearch") && follows(found)).await;
    until(&nobody, &ready, |ready| ready["status"] == "ready").await;
    drop(service);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_are_brought_in_step_when_a_cluster_is_left_out_and_taken_up_again() {
    let Some(mut cluster) = Cluster::new("dev_search with and without OpenSearch") else { return };
    let folder = tempfile::tempdir().unwrap();
    let service = cluster.start(folder.path());
    let first = write(&service, "돌고래 하나").await;
    found(&service, "돌고래", |found| by(found, "fresh", "opensearch") && has(found, &first)).await;
    service.signal("-KILL").unwrap();
    drop(service);

    // As many entries as before, and others.
    let service = desk::start("dev_search", folder.path(), &["--partner", "well"], |_| ());
    found(&service, "돌고래", |found| by(found, "fresh", "engine") && has(found, &first)).await;
    let second = write(&service, "돌고래 둘").await;
    take_out(&service, &first).await;
    let stands = |found: &Value| has(found, &second) && !has(found, &first);
    found(&service, "돌고래", |found| by(found, "fresh", "engine") && stands(found)).await;
    service.signal("-KILL").unwrap();
    drop(service);

    // It starts while the cluster is away.
    cluster.cable.pull();
    let service = cluster.start(folder.path());
    found(&service, "돌고래", |found| by(found, "degraded", "engine") && stands(found)).await;
    cluster.cable.plug_in();
    found(&service, "돌고래", |found| by(found, "fresh", "opensearch") && stands(found)).await;
    // Nothing is kept for the copy in memory, which nobody has any more.
    let bus = SqliteBus::open(folder.path().join("events.sqlite")).await.unwrap();
    let name = std::fs::read_to_string(folder.path().join("name")).unwrap();
    assert!(!bus.forget_group(&format!("search.database.{name}")).await.unwrap());
    drop(service);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_a_cluster_before_their_database() {
    let test = "dev_search on PostgreSQL, Redis and OpenSearch";
    let Some(cluster) = Cluster::new(test) else { return };
    let Some(trial) = Trial::new(test, Bus::Redis).await else { return };
    let (folder, another) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [one, other] = [&folder, &another].map(|folder| {
        trial.start("dev_search", |command| {
            command.env(servers::OPENSEARCH, cluster.nodes()).env(servers::PREFIX, &cluster.prefix);
            command.args(["--partner", "well", "--data"]).arg(folder.path());
        })
    });
    let id = write(&one, "돌고래와 함께 헤엄치기").await;
    found(&other, "돌고래", |found| by(found, "fresh", "opensearch") && has(found, &id)).await;
    let operator = client("dev_search", "하나", "operator");
    let cut =
        operator.put(other.url("/engines/primary")).json(&json!({"line": "refused"})).send().await.unwrap();
    assert_eq!(cut.status(), StatusCode::NO_CONTENT);
    found(&other, "돌고래", |found| by(found, "degraded", "database") && has(found, &id)).await;
    found(&one, "돌고래", |found| by(found, "fresh", "opensearch") && has(found, &id)).await;
    drop((one, other));
    trial.end().await;
    cluster.end().await;
}
