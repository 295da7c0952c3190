//! Messages as they are said, by WebSocket.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::{SinkExt as _, StreamExt as _};
use pumasi_core::event::Shutdown;
use pumasi_core::room::{self, Listener};
use support::listeners::Place;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::view::MessageView;

/// How often the other side is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);
/// How long it may take to be sent something.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a connection ends.
enum End {
    Gone,
    With(u16, &'static str),
}

/// Sends the history and then what is said, each message once and in order, until the other side goes, is not heard of for two
/// pings, or the service stops. What the other side sends is not listened to: people speak by `POST`.
pub(super) async fn send(
    mut socket: WebSocket,
    history: Vec<room::Message>,
    mut listener: Listener,
    shutdown: Shutdown,
    _room_for_one: Place,
) {
    let end = send_all(&mut socket, history, &mut listener, &shutdown).await;
    if let End::With(code, reason) = end {
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        // It may be gone by now.
        let _ = timeout(PATIENCE, socket.send(close)).await;
    }
}

async fn send_all(
    socket: &mut WebSocket,
    history: Vec<room::Message>,
    listener: &mut Listener,
    shutdown: &Shutdown,
) -> End {
    if !tell(socket, history).await {
        return End::Gone;
    }
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.tick().await;
    let mut was_heard = true;
    loop {
        tokio::select! {
            said = listener.next() => match said {
                Ok(messages) => if !tell(socket, messages).await { return End::Gone },
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a room cannot be read");
                    return End::With(close_code::ERROR, "the room cannot be read at the moment");
                }
            },
            heard = socket.next() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                Some(Ok(_)) => was_heard = true,
            },
            _ = ping.tick() => {
                if !was_heard || !matches!(timeout(PATIENCE, socket.send(Message::Ping(Vec::new().into()))).await, Ok(Ok(()))) {
                    return End::Gone;
                }
                was_heard = false;
            }
            () = shutdown.triggered() => return End::With(close_code::AWAY, "the service is stopping"),
        }
    }
}

/// Sends messages, each as a text of JSON; tells whether they could be sent in time.
async fn tell(socket: &mut WebSocket, messages: Vec<room::Message>) -> bool {
    let send = async {
        for message in messages {
            let Ok(json) = serde_json::to_string(&MessageView::from(message)) else { return false };
            if socket.feed(Message::Text(json.into())).await.is_err() {
                return false;
            }
        }
        socket.flush().await.is_ok()
    };
    timeout(PATIENCE, send).await.unwrap_or(false)
}
