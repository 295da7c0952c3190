//! A TCP proxy that does to answers what networks and servers in trouble do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// What becomes of a connection or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Nobody listens, and what was open is closed.
    Refused,
    /// Connections and requests are taken, and nothing comes back.
    Silent,
    /// The queue of connections is full: not even the handshake is answered.
    Hole,
    /// Answers come so many milliseconds late.
    Slow(u64),
    /// One byte of the answer a second.
    Drip,
    /// That share of the requests, in percent, gets a 503.
    Failing(u32),
    /// 429, with or without `retry-after: 1`.
    Limited(bool),
    /// JSON that breaks off, with a length that is right.
    Malformed,
    /// A length of which half comes before the connection is closed.
    Truncated,
    /// A length that is too small.
    WrongLength,
    /// A page for people, of some proxy, with status 200.
    Html,
    /// The engine ran out of time: `timed_out`, and half of the hits.
    TimedOut,
    /// A shard failed: `_shards.failed`, and half of the hits.
    Shards,
    /// The index is empty: no hits, no documents, and all is well.
    Wiped,
    /// The connection is reset in the middle of the answer.
    Reset,
}

impl Fault {
    /// Whether connections that are open end.
    const fn cuts(self) -> bool {
        matches!(self, Self::Refused | Self::Hole)
    }
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    pub(crate) requests: Arc<AtomicU64>,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy)]
struct State {
    fault: Fault,
    upstream: SocketAddr,
    /// Connections of an earlier one end.
    era: u64,
}

impl Proxy {
    /// Listens in front of `upstream`, which speaks HTTP if `http`.
    pub(crate) async fn before(upstream: SocketAddr, http: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let requests = Arc::new(AtomicU64::new(0));
        let (state, seen) = watch::channel(State { fault: Fault::None, upstream, era: 0 });
        tokio::spawn(accept(listener, port, http, seen, Arc::clone(&requests)));
        Self { port, requests, state }
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.state.send_modify(|state| state.fault = fault);
    }

    /// Waits until the server behind it takes connections.
    pub(crate) async fn reaches(&self) {
        let upstream = self.state.borrow().upstream;
        while TcpStream::connect(upstream).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the connections that are open.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.era += 1);
    }
}

async fn accept(
    first: TcpListener,
    port: u16,
    http: bool,
    mut state: watch::Receiver<State>,
    requests: Arc<AtomicU64>,
) {
    let mut ready = Some(first);
    loop {
        let fault = state.borrow_and_update().fault;
        match fault {
            Fault::Refused => {
                ready = None;
                if state.changed().await.is_err() {
                    return;
                }
            }
            Fault::Hole => {
                drop(ready.take());
                let Ok(listener) = listen(port, 1) else { continue };
                // connections that nobody takes fill the queue, so that the next ones get no answer at all
                let address = listener.local_addr().expect("an address");
                let fillers: Vec<_> = (0..4).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
                let ended = state.changed().await.is_err();
                fillers.iter().for_each(tokio::task::JoinHandle::abort);
                if ended {
                    return;
                }
            }
            _ => {
                if ready.is_none() {
                    ready = listen(port, 1_024).ok();
                }
                let Some(listener) = &ready else {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                };
                tokio::select! {
                    connection = listener.accept() => {
                        if let Ok((client, _)) = connection {
                            let _ = client.set_nodelay(true);
                            let (state, requests) = (state.clone(), Arc::clone(&requests));
                            tokio::spawn(async move {
                                if http { serve(client, state, &requests).await } else { carry(client, state).await }
                            });
                        }
                    }
                    changed = state.changed() => if changed.is_err() { return },
                }
            }
        }
    }
}

fn listen(port: u16, queue: u32) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    socket.listen(queue)
}

/// Carries bytes of any protocol.
async fn carry(mut client: TcpStream, mut state: watch::Receiver<State>) {
    let State { upstream, era, .. } = *state.borrow();
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    let _ = server.set_nodelay(true);
    let mut bytes = vec![0; 16_384];
    let mut other = vec![0; 16_384];
    let mut ends = state.clone();
    let ended = ends.wait_for(|state| state.fault.cuts() || state.era != era);
    let carried = async {
        loop {
            tokio::select! {
                read = client.read(&mut bytes) => match read {
                    Ok(length) if length > 0 => {
                        if server.write_all(&bytes[..length]).await.is_err() { return }
                    }
                    _ => return,
                },
                read = server.read(&mut other) => match read {
                    Ok(length) if length > 0 => {
                        let fault = state.borrow_and_update().fault;
                        match fault {
                            Fault::Silent => {
                    // until the client goes away
                    let _gone = client.read(&mut [0]).await;
                    return;
                }
                            Fault::Slow(late) => tokio::time::sleep(Duration::from_millis(late)).await,
                            _ => {}
                        }
                        if client.write_all(&other[..length]).await.is_err() { return }
                    }
                    _ => return,
                },
            }
        }
    };
    tokio::select! {
        // what `wait_for` answers holds a lock
        () = async { drop(ended.await) } => {}
        () = carried => {}
    }
}

/// Carries requests and answers of HTTP, one at a time.
async fn serve(mut client: TcpStream, state: watch::Receiver<State>, requests: &AtomicU64) {
    let era = state.borrow().era;
    let mut ends = state.clone();
    let ended = ends.wait_for(|state| state.fault.cuts() || state.era != era);
    let exchange = async {
        let mut server: Option<TcpStream> = None;
        while let Some((head, body)) = message(&mut client).await {
            requests.fetch_add(1, SeqCst);
            let State { fault, upstream, .. } = *state.borrow();
            let early = match fault {
                Fault::Silent => {
                    // until the client goes away
                    let _gone = client.read(&mut [0]).await;
                    return;
                }
                Fault::Failing(share) if fastrand::u32(..100) < share => {
                    Some(canned("503 Service Unavailable", "", b"{}"))
                }
                Fault::Limited(told) => {
                    Some(canned("429 Too Many Requests", if told { "retry-after: 1\r\n" } else { "" }, b"{}"))
                }
                Fault::Html => {
                    Some(canned("200 OK", "", b"<html><body>Bad gateway, but nicely</body></html>"))
                }
                _ => None,
            };
            if let Some(answer) = early {
                if client.write_all(&answer).await.is_err() {
                    return;
                }
                continue;
            }
            if server.is_none() {
                server = TcpStream::connect(upstream).await.ok();
            }
            let Some(link) = &mut server else { return };
            let _ = link.set_nodelay(true);
            if link.write_all(&[head, body].concat()).await.is_err() {
                return;
            }
            let Some((head, body)) = message(link).await else { return };
            if !answer(&mut client, fault, head, body).await {
                return;
            }
        }
    };
    tokio::select! {
        () = async { drop(ended.await) } => {}
        () = exchange => {}
    }
}

/// Passes an answer on as the fault has it; whether the connection goes on.
async fn answer(client: &mut TcpStream, fault: Fault, head: Vec<u8>, body: Vec<u8>) -> bool {
    let whole = || [head.as_slice(), body.as_slice()].concat();
    match fault {
        Fault::Slow(late) => {
            tokio::time::sleep(Duration::from_millis(late)).await;
            client.write_all(&whole()).await.is_ok()
        }
        Fault::Drip => {
            for byte in whole() {
                if client.write_all(&[byte]).await.is_err() {
                    return false;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            true
        }
        Fault::Malformed => client.write_all(&canned("200 OK", "", &body[..body.len() / 2])).await.is_ok(),
        Fault::Truncated => {
            let _ = client.write_all(&[&head[..], &body[..body.len() / 2]].concat()).await;
            false
        }
        Fault::WrongLength => {
            let short = canned("200 OK", "", &body[..body.len() / 2]);
            client.write_all(&[&short[..], &body[body.len() / 2..]].concat()).await.is_ok()
        }
        Fault::Reset => {
            let _ = client.write_all(&[&head[..], &body[..body.len() / 2]].concat()).await;
            let _ = client.set_zero_linger();
            false
        }
        Fault::TimedOut | Fault::Shards | Fault::Wiped => {
            client.write_all(&canned("200 OK", "", &changed(fault, &body))).await.is_ok()
        }
        _ => client.write_all(&whole()).await.is_ok(),
    }
}

/// What an engine in trouble says with status 200.
fn changed(fault: Fault, body: &[u8]) -> Vec<u8> {
    let mut answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if fault == Fault::Wiped && answer.get("count").is_some() {
        answer["count"] = json!(0);
    }
    if let Some(hits) = answer["hits"]["hits"].as_array_mut() {
        let left = if fault == Fault::Wiped { 0 } else { hits.len() / 2 };
        hits.truncate(left);
        answer["hits"]["total"]["value"] = json!(left);
    }
    match fault {
        Fault::TimedOut => answer["timed_out"] = json!(true),
        Fault::Shards => {
            answer["_shards"] = json!({ "total": 2, "successful": 1, "skipped": 0, "failed": 1 })
        }
        _ => {}
    }
    answer.to_string().into_bytes()
}

pub(crate) fn canned(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Reads a message: its head with the empty line, and its body.
pub(crate) async fn message(stream: &mut TcpStream) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16_384];
    let end = loop {
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let whole = end + length.unwrap_or(0);
    while bytes.len() < whole {
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
    }
    let body = bytes.split_off(end);
    Some((bytes, body))
}
