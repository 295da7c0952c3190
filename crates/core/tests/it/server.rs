//! A server on a real socket that answers byte by byte as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does on one connection, after it has read the request.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    Trickle(Vec<u8>, Duration),
    Flood(Vec<u8>),
    Hang,
}

impl Reply {
    /// Sends these bytes and closes.
    pub(super) fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { steps: vec![Step::Send(bytes.into())] }
    }

    /// Answers with a status, headers and a body.
    pub(super) fn of(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (length, headers) = (body.len(), headers.concat());
        let head =
            format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
        Self::bytes([head.as_bytes(), body].concat())
    }

    /// Answers with JSON.
    pub(super) fn json(status: u16, body: &str) -> Self {
        Self::of(status, &[("content-type", "application/json")], body)
    }

    /// Answers with an event stream that ends when the connection closes.
    pub(super) fn events(body: impl AsRef<[u8]>) -> Self {
        let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
        Self::bytes([head, body.as_ref()].concat())
    }

    /// Answers with an event stream in chunked encoding, one chunk a piece, and no end mark: to be gone on with or cut.
    pub(super) fn chunked<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let head =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut reply = Self::bytes(head.as_slice());
        for piece in pieces {
            let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            reply.steps.push(Step::Send(framed));
        }
        reply
    }

    /// Answers with a payload as its source documents or reports it: comment lines, then the response as it goes over the wire.
    pub(super) fn payload(text: &str) -> Self {
        assert!(text.starts_with("# source: "), "a payload names its source");
        let response = text.lines().skip_while(|line| line.starts_with("# ")).collect::<Vec<_>>().join("\n");
        let (head, body) = response.split_once("\n\n").unwrap();
        let head = head.replace('\n', "\r\n");
        Self::bytes(format!("{head}\r\nconnection: close\r\n\r\n{body}\n\n"))
    }

    /// Cuts what was said last into pieces of one byte, sent one by one.
    pub(super) fn byte_by_byte(mut self) -> Self {
        if let Some(Step::Send(bytes)) = self.steps.pop() {
            self.steps.push(Step::Trickle(bytes, Duration::ZERO));
        }
        self
    }

    /// Then sends bytes, one each `pause`.
    pub(super) fn then_trickle(mut self, bytes: &[u8], pause: Duration) -> Self {
        self.steps.push(Step::Trickle(bytes.to_vec(), pause));
        self
    }

    /// Then sends the same bytes until the client goes away.
    pub(super) fn then_flood(mut self, bytes: &[u8]) -> Self {
        self.steps.push(Step::Flood(bytes.to_vec()));
        self
    }

    /// Then does nothing until the client goes away.
    pub(super) fn then_hang(mut self) -> Self {
        self.steps.push(Step::Hang);
        self
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) target: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
}

#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    gone: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server that gives these replies, one a connection, and the last one ever after.
    pub(super) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Mutex<VecDeque<Reply>> = Mutex::new(replies.into_iter().collect());
        Self::answering(move |_| {
            let mut replies = replies.lock().unwrap();
            let reply = if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() };
            reply.unwrap_or_default()
        })
        .await
    }

    /// Starts a server whose reply is a function of the request.
    pub(super) async fn answering(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let gone = Arc::new(Mutex::new(0));
        let answer: Arc<dyn Fn(&Received) -> Reply + Send + Sync> = Arc::new(answer);
        let (requests, left) = (Arc::clone(&received), Arc::clone(&gone));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (requests, left, answer) =
                    (Arc::clone(&requests), Arc::clone(&left), Arc::clone(&answer));
                tokio::spawn(async move { serve(socket, &*answer, &requests, &left).await });
            }
        });
        Self { address, received, gone, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Counts the clients that went away while they were being answered.
    pub(super) fn gone(&self) -> usize {
        *self.gone.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut socket: TcpStream,
    answer: &(dyn Fn(&Received) -> Reply + Send + Sync),
    received: &Mutex<Vec<Received>>,
    gone: &Mutex<usize>,
) {
    let _ = socket.set_nodelay(true);
    let Some(request) = read_request(&mut socket).await else { return };
    let reply = answer(&request);
    received.lock().unwrap().push(request);
    if act(&mut socket, reply).await.is_none() {
        *gone.lock().unwrap() += 1;
    }
    let _ = socket.shutdown().await;
}

/// Takes the steps; `None` if the client went away.
async fn act(socket: &mut TcpStream, reply: Reply) -> Option<()> {
    for step in reply.steps {
        match step {
            Step::Send(bytes) => socket.write_all(&bytes).await.ok()?,
            Step::Trickle(bytes, pause) => {
                for byte in bytes {
                    socket.write_all(&[byte]).await.ok()?;
                    if pause.is_zero() {
                        tokio::task::yield_now().await;
                    } else {
                        tokio::time::sleep(pause).await;
                    }
                }
            }
            Step::Flood(bytes) => loop {
                socket.write_all(&bytes).await.ok()?;
            },
            Step::Hang => {
                let mut rest = [0; 64];
                while socket.read(&mut rest).await.ok()? > 0 {}
                return None;
            }
        }
    }
    Some(())
}

async fn read_request(socket: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < end + 4 + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&bytes[end + 4..]).unwrap_or(Value::Null);
    Some(Received { target, headers, body })
}
