//! All services on one database, one Redis: none meets the tables of another.

use reqwest::Client;

use super::desk::until;
use super::trial::{Bus, Trial};

const SERVICES: [&str; 8] = [
    "dev_search",
    "every_task",
    "race_registration",
    "resume_writer",
    "running_club",
    "running_coach",
    "slack_bot",
    "weather_community",
];

#[tokio::test]
async fn all_services_share_a_database() {
    let Some(trial) = Trial::new("all services on one database", Bus::Redis).await else { return };
    let (folder, client) = (tempfile::tempdir().unwrap(), Client::new());
    let running = SERVICES.map(|name| {
        trial.start(name, |command| {
            command.arg("--data").arg(folder.path().join(name));
            if name == "slack_bot" {
                command.arg("--play-slack");
            }
        })
    });
    for (service, name) in running.iter().zip(SERVICES) {
        let ready = until(&client, &service.url("/readyz"), |ready| ready["status"] == "ready").await;
        assert!(ready["down"].is_null(), "{name}: {ready}");
    }
    drop(running);
    trial.end().await;
}
