//! The service, from outside: nobody acts for somebody else, nothing acknowledged is lost, and what cannot be is undone.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]

#[path = "../desk/mod.rs"]
mod desk;
mod kills;
mod lots;
mod office;
mod requests;
mod runners;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pumasi_saga::capacity::{Draw, Entrants};
use reqwest::header::HeaderMap;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use support::webhook::Secret;

use desk::{Asks, Desk, KEY, is_a_desk};

const SECRET: &str = "a secret of the tests, of more than 24 bytes";

/// Who asks.
#[derive(Clone, Copy)]
enum Who {
    Nobody,
    Organiser,
    OtherOrganiser,
    Runner(&'static str),
}
use Who::{Nobody, Organiser, OtherOrganiser, Runner};

impl Asks for Who {
    fn who(&self) -> Option<(&str, &str)> {
        match self {
            Nobody => None,
            Organiser => Some(("지영", "organiser")),
            OtherOrganiser => Some(("서연", "organiser")),
            Runner(name) => Some((name, "runner")),
        }
    }
}

is_a_desk!(Races);

impl Races {
    fn start(data: &Path, arguments: &[&str]) -> Self {
        Self::start_with(data, arguments, Some(SECRET))
    }

    fn start_with(data: &Path, arguments: &[&str], secret: Option<&str>) -> Self {
        let configure = |command: &mut Command| {
            command.env("PAYMENT_WEBHOOK_SECRET", secret.unwrap_or_default());
        };
        Self(Desk::start("race_registration", data, arguments, configure))
    }

    async fn race(&self, kind: &str, places: u32) -> String {
        let race = json!({"name": "서울마라톤", "kind": kind, "places": places, "price_krw": 35_000});
        self.post("/races", Organiser, race).await["id"].as_str().unwrap().to_owned()
    }

    /// Answers everything that a runner is asked, and returns the last view.
    async fn answer_all(&self, race: &str, runner: &'static str, email: Option<&str>) -> Value {
        let path = format!("/races/{race}/registration");
        let mut address = json!({"city": "서울"});
        if let Some(email) = email {
            address["email"] = json!(email);
        }
        for (answer, value) in
            [("agree_terms", json!({"agreed": true})), ("choose_souvenir", json!({"souvenir": "티셔츠 M"}))]
        {
            self.post(&path, Runner(runner), json!({"answer": answer, "value": value})).await;
        }
        self.post(&path, Runner(runner), json!({"answer": "shipping_address", "value": address})).await
    }

    /// What the gateway sends.
    async fn paid(&self, event: &str, payment: &Value, amount_krw: u64) -> reqwest::Result<Response> {
        let body =
            json!({"type": "payment.completed", "payment": payment, "amount_krw": amount_krw}).to_string();
        self.webhook(Secret::new(SECRET).unwrap().sign(event, now(), body.as_bytes()), body).await
    }

    async fn webhook(&self, headers: HeaderMap, body: String) -> reqwest::Result<Response> {
        self.client.post(self.service.url("/payments/webhook")).headers(headers).body(body).send().await
    }

    /// Waits until the registration stands so.
    async fn until(&self, race: &str, runner: &'static str, status: &str) -> Value {
        let path = format!("/races/{race}/registration");
        self.0.until(&path, Runner(runner), |view| view["status"] == status).await
    }

    /// Waits until the payment of the registration stands so.
    async fn until_payment(&self, race: &str, runner: &'static str, state: &str) {
        let path = format!("/races/{race}/registration");
        self.0.until(&path, Runner(runner), |view| view["payment"]["state"] == state).await;
    }

    async fn places(&self, race: &str) -> (u64, u64) {
        let race = self.get(&format!("/races/{race}"), Nobody).await;
        (race["held"].as_u64().unwrap(), race["confirmed"].as_u64().unwrap())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn looks(view: &Value) -> Vec<(&str, &str)> {
    let steps = view["steps"].as_array().unwrap();
    steps.iter().map(|step| (step["name"].as_str().unwrap(), step["look"].as_str().unwrap())).collect()
}
