//! The service, from outside: one vote, view, proof and coupon a person, rooms that go on, and nothing acknowledged lost.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test"
)]

#[path = "../desk/mod.rs"]
mod desk;
mod requests;
mod rewards;
mod rooms;
mod sky;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use pumasi_core::time::Timestamp;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite};

use desk::{Asks, Desk, is_a_desk};

const CITY_HALL: (f64, f64) = (37.5665, 126.978);

/// Who asks.
#[derive(Clone, Copy)]
enum Who<'a> {
    Nobody,
    Forecaster,
    Member(&'a str),
}
use Who::{Forecaster, Member, Nobody};

impl Asks for Who<'_> {
    fn who(&self) -> Option<(&str, &str)> {
        match self {
            Nobody => None,
            Forecaster => Some(("예보관", "forecaster")),
            Member(name) => Some((name, "member")),
        }
    }
}

is_a_desk!(Town);

impl Town {
    fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    fn start_with(data: &Path, arguments: &[&str]) -> Self {
        Self(Desk::start("weather_community", data, arguments, |_| ()))
    }

    async fn add_post(&self, author: &str, text: &str, (lat, lon): (f64, f64)) -> i64 {
        let post = json!({"sky": "rain", "text": text, "lat": lat, "lon": lon});
        self.post("/posts", Member(author), post).await["id"].as_i64().unwrap()
    }

    async fn warning(&self) -> i64 {
        let warning = json!({"region": "seoul", "kind": "heavy_rain", "text": "시간당 50mm의 비"});
        self.post("/warnings", Forecaster, warning).await["id"].as_i64().unwrap()
    }

    async fn say(&self, warning: i64, who: &str, id: &str, text: &str) -> reqwest::Result<Response> {
        let path = format!("/warnings/{warning}/messages");
        self.send(Method::POST, &path, Member(who), None, Some(json!({"id": id, "text": text}))).await
    }

    async fn listen(&self, warning: i64, after: Option<u64>) -> Room {
        let after = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let url = self.service.url(&format!("/warnings/{warning}/live{after}"));
        Room(connect_async(url.replacen("http", "ws", 1)).await.unwrap().0)
    }

    /// Listens as a page does; else the status of the refusal.
    async fn come_in(&self, warning: i64, token: Option<&str>) -> Result<Room, StatusCode> {
        let url = self.service.url(&format!("/warnings/{warning}/live"));
        let mut request = url.replacen("http", "ws", 1).into_client_request().unwrap();
        if let Some(token) = token {
            let offered = format!("room, bearer.{token}").parse().unwrap();
            request.headers_mut().insert("sec-websocket-protocol", offered);
        }
        match connect_async(request).await {
            Ok((room, answer)) => {
                let spoken = answer.headers().get("sec-websocket-protocol");
                assert_eq!(spoken.map(|spoken| spoken.to_str().unwrap()), token.map(|_| "room"));
                Ok(Room(room))
            }
            Err(tungstenite::Error::Http(answer)) => Err(answer.status()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Somebody who listens.
struct Room(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Room {
    /// The next message, or the code with which the connection was closed.
    async fn next(&mut self) -> Result<Value, u16> {
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(30), self.0.next()).await;
            match frame.unwrap_or_else(|_| panic!("nothing is heard")) {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(0, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(0),
            }
        }
    }

    async fn hear(&mut self, count: usize) -> Vec<(u64, String)> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let message = self.next().await.unwrap();
            heard.push((message["number"].as_u64().unwrap(), message["text"].as_str().unwrap().to_owned()));
        }
        heard
    }
}

/// Has 50 requests under way at any time.
async fn at_once<F: Future>(requests: impl Iterator<Item = F>) -> Vec<F::Output> {
    stream::iter(requests).buffer_unordered(50).collect().await
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}
