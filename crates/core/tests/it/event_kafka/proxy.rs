//! A TCP proxy in front of a broker that can be cut off.
//!
//! Brokers tell clients where to find them, so the proxy puts its own port in place of the broker's into whatever the broker
//! answers.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
}

impl Proxy {
    /// Listens in front of the broker at `host:port`.
    pub(super) async fn before(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(watch::Sender::new(true));
        let (host, port) = broker.rsplit_once(':').unwrap();
        let mut told = host.as_bytes().to_vec();
        let mut own = told.clone();
        told.extend(u32::from(port.parse::<u16>().unwrap()).to_be_bytes());
        own.extend(u32::from(address.port()).to_be_bytes());
        let (broker, state) = (broker.to_owned(), open.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *state.borrow() {
                    tokio::spawn(carry(client, broker.clone(), state.clone(), told.clone(), own.clone()));
                }
            }
        });
        Self { address, open }
    }

    /// Cuts every connection, and lets no new one in.
    pub(super) fn cut(&self) {
        self.open.send_replace(false);
    }

    pub(super) fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn carry(
    client: TcpStream,
    broker: String,
    mut state: watch::Receiver<bool>,
    told: Vec<u8>,
    own: Vec<u8>,
) {
    let Ok(server) = TcpStream::connect(broker).await else { return };
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = answers(from_server, to_client, &told, &own) => {}
        _ = state.wait_for(|open| !open) => {}
    }
}

/// Carries answers, each a length and as many bytes.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    told: &[u8],
    own: &[u8],
) -> std::io::Result<()> {
    loop {
        let length = from.read_u32().await?;
        let mut answer = vec![0; length as usize];
        from.read_exact(&mut answer).await?;
        let places: Vec<usize> = (0..answer.len()).filter(|at| answer[*at..].starts_with(told)).collect();
        for at in places {
            answer[at..at + own.len()].copy_from_slice(own);
        }
        to.write_u32(length).await?;
        to.write_all(&answer).await?;
    }
}
