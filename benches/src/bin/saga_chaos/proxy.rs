//! Between the workers and the server: cuts a connection after the server has done what it was asked, and before it can say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;

#[derive(Clone, Default)]
pub(crate) struct Proxy {
    /// Answers that are still to be swallowed.
    wanted: Arc<AtomicU64>,
    cut: Arc<AtomicU64>,
}

impl Proxy {
    /// Returns how many connections were cut before an answer.
    pub(crate) fn cut(&self) -> u64 {
        self.cut.load(Ordering::SeqCst)
    }

    /// Cuts the next connection on which the server answers a commit.
    pub(crate) fn cut_next(&self) {
        self.wanted.store(1, Ordering::SeqCst);
    }

    /// Stands before the server at this URL, and returns the URL that goes through it.
    pub(crate) async fn before(&self, url: &str) -> Result<String, Failure> {
        let (scheme, rest) = url.split_once("://").ok_or("the server's URL has no scheme")?;
        let (place, path) = rest.split_once('/').map_or((rest, None), |(place, path)| (place, Some(path)));
        let (user, address) = place.rsplit_once('@').map_or((None, place), |(user, it)| (Some(user), it));
        let address = address.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let proxy = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (proxy, address) = (proxy.clone(), address.clone());
                tokio::spawn(async move {
                    // While the server is down nobody answers, which the client sees.
                    if let Ok(server) = TcpStream::connect(&address).await {
                        proxy.carry(client, server).await;
                    }
                });
            }
        });
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let path = path.map(|path| format!("/{path}")).unwrap_or_default();
        Ok(format!("{scheme}://{user}127.0.0.1:{port}{path}"))
    }

    /// Carries bytes both ways until one side ends, or an answer is to be swallowed.
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
                    if writes(bytes) && self.wanted.swap(0, Ordering::SeqCst) > 0 {
                        cutting = true;
                    }
                    if to_server.write_all(bytes).await.is_err() {
                        return;
                    }
                }
                read = from_server.read(&mut answered) => {
                    let Ok(count @ 1..) = read else { return };
                    if cutting {
                        self.cut.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    if to_client.write_all(&answered[..count]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Tells whether a worker's bytes ask for a commit: its records name the steps.
fn writes(bytes: &[u8]) -> bool {
    bytes.len() > 200 && bytes.windows(5).any(|word| word == b"order")
}
