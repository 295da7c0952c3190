//! Between a client and the server: cuts a connection after the server has committed, and before the client hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Debug, Default)]
pub(super) struct Proxy {
    /// Commits whose answer is still to be swallowed.
    pub(super) cuts: Arc<AtomicU64>,
}

impl Proxy {
    /// Stands before the server of these options, and returns options that go through it.
    pub(super) async fn before(&self, server: &PgConnectOptions) -> PgConnectOptions {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = (server.get_host().to_owned(), server.get_port());
        let proxy = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (proxy, target) = (proxy.clone(), target.clone());
                tokio::spawn(async move {
                    let server = TcpStream::connect((target.0.as_str(), target.1)).await.unwrap();
                    proxy.carry(client, server).await;
                });
            }
        });
        server.clone().host("127.0.0.1").port(port)
    }

    /// Carries bytes both ways until one side ends, or a commit is to be cut.
    async fn carry(&self, client: TcpStream, server: TcpStream) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut cutting = false;
        loop {
            tokio::select! {
                read = from_client.read(&mut asked) => {
                    let Ok(count @ 1..) = read else { return };
                    let bytes = &asked[..count];
                    let commits = bytes.windows(6).any(|word| word == b"COMMIT");
                    let left = |left: u64| left.checked_sub(1);
                    if commits && self.cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
                        cutting = true;
                    }
                    if to_server.write_all(bytes).await.is_err() {
                        return;
                    }
                }
                read = from_server.read(&mut answered) => {
                    let Ok(count @ 1..) = read else { return };
                    // The server has committed, and says so; nobody hears it.
                    if cutting || to_client.write_all(&answered[..count]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
