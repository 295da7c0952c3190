//! How a Redis server is reached, for everything here that keeps something in one, and what its failures mean.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, Script, ServerErrorKind,
};

use crate::{Error, ErrorKind, Result, Retry};

/// How many commands may wait to be written before callers wait.
const PIPELINE: usize = 1024;

type Connecting = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

/// Why a call has no answer.
pub(crate) enum Unanswered {
    Failed(RedisError),
    /// It did not end in time; the server may have done what was asked.
    Late,
}

/// One connection that all calls share, made when it is first needed and again after it failed.
///
/// The crate's own `ConnectionManager` keeps a connection on which calls time out, as one does whose peer vanished without a
/// word, and answers the first call after an outage with the error of its last attempt to connect. Here a call that fails
/// on its way gives the connection up, and the next one makes another.
///
/// For crates that keep things on a Redis server of their user's. Clones share the connection.
#[derive(Clone)]
pub struct RedisLink {
    client: Client,
    timeout: Duration,
    endpoint: Arc<str>,
    connection: Arc<Mutex<Option<Connecting>>>,
}

impl RedisLink {
    /// How long a call may take, connecting included, unless it is set otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(1);

    /// Makes a link to the server at `url`; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the URL is not understood; the error does not show it.
    pub fn open(url: &str) -> Result<Self> {
        // The parser's own message may quote the URL, and with it the password.
        let invalid = |_| Error::new(ErrorKind::InvalidInput, "the URL of a Redis server is not understood");
        Ok(Self::new(Client::open(url).map_err(invalid)?))
    }

    /// Makes a link to the server of a client that you set up yourself.
    pub fn new(client: Client) -> Self {
        let endpoint = client.get_connection_info().addr().to_string().into();
        Self { client, timeout: Self::TIMEOUT, endpoint, connection: Arc::default() }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Where the server is, without name and password.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sets how long a call may take, connecting included (default 1 second).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        // clones made before have their own connection from here on, as what is being made still counts by the old limit
        self.connection = Arc::default();
        self
    }

    /// Sends one command; `doing` names it in errors.
    ///
    /// # Errors
    ///
    /// As listed at `RedisCache`.
    pub async fn query<T: FromRedisValue>(&self, doing: &'static str, command: &Cmd) -> Result<T> {
        self.call(doing, |mut connection| async move { command.query_async(&mut connection).await }).await
    }

    /// Runs a script; it is sent whole only where the server does not know it yet.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub async fn run<T: FromRedisValue>(
        &self,
        doing: &'static str,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<T> {
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(*key);
        }
        for argument in arguments {
            invocation.arg(*argument);
        }
        let invocation = &invocation;
        self.call(doing, |mut connection| async move { invocation.invoke_async(&mut connection).await }).await
    }

    async fn call<T, F>(
        &self,
        doing: &'static str,
        call: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        self.attempt(call).await.map_err(|unanswered| match unanswered {
            Unanswered::Failed(error) => self.error(doing, &error),
            Unanswered::Late => {
                let message =
                    format!("{doing} on Redis at {} did not end within {:?}", self.endpoint, self.timeout);
                Error::new(ErrorKind::Timeout, message)
            }
        })
    }

    /// Calls once, for those who tell failures apart themselves.
    pub(crate) async fn attempt<T, F>(
        &self,
        call: impl FnOnce(MultiplexedConnection) -> F,
    ) -> std::result::Result<T, Unanswered>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let connecting = self.connecting();
        let attempt = async { call(connecting.clone().await?).await };
        match tokio::time::timeout(self.timeout, attempt).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if must_reconnect(&error) {
                    self.give_up(&connecting);
                }
                Err(Unanswered::Failed(error))
            }
            Err(_) => {
                self.give_up(&connecting);
                Err(Unanswered::Late)
            }
        }
    }

    fn connecting(&self) -> Connecting {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection
            .get_or_insert_with(|| {
                let (client, timeout) = (self.client.clone(), self.timeout);
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(timeout))
                    .set_response_timeout(None) // each call has its own limit
                    .set_pipeline_buffer_size(PIPELINE);
                async move { client.get_multiplexed_async_connection_with_config(&config).await }
                    .boxed()
                    .shared()
            })
            .clone()
    }

    /// Lets the next call connect anew, unless another one has done so since.
    fn give_up(&self, failed: &Connecting) {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.as_ref().is_some_and(|current| current.ptr_eq(failed)) {
            *connection = None;
        }
    }

    /// Picks the public kind and retry class. What the server says in words is left out: it quotes arguments.
    fn error(&self, doing: &'static str, error: &RedisError) -> Error {
        let (kind, retry, said) = classify(error);
        let code = error.code().filter(|code| !code.is_empty());
        let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
        Error::new(kind, format!("{doing} on Redis at {} failed: {said}{code}", self.endpoint))
            .with_retry(retry)
    }
}

/// How long to wait for a server that says it will be ready.
const SOON: Duration = Duration::from_millis(200);
/// How long to wait for a server to have room again.
const ROOM: Duration = Duration::from_secs(1);

fn must_reconnect(error: &RedisError) -> bool {
    // a server that has become a replica stays one; a new connection may find the one that took its place
    let replaced = matches!(
        error.kind(),
        redis::ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
            | redis::ErrorKind::AuthenticationFailed
    );
    replaced || error.is_io_error() || error.is_unrecoverable_error() || error.code() == Some("NOAUTH")
}

fn classify(error: &RedisError) -> (ErrorKind, Retry, &'static str) {
    match error.kind() {
        redis::ErrorKind::AuthenticationFailed => {
            (ErrorKind::Unauthorized, Retry::Never, "the server does not accept the user or the password")
        }
        redis::ErrorKind::Io if error.is_connection_refusal() => {
            (ErrorKind::Unavailable, Retry::Now, "the connection was refused")
        }
        redis::ErrorKind::Io if error.is_timeout() => {
            (ErrorKind::Timeout, Retry::Now, "the connection did not come about in time")
        }
        redis::ErrorKind::Io => (ErrorKind::Unavailable, Retry::Now, "the connection broke"),
        redis::ErrorKind::Parse => (ErrorKind::Protocol, Retry::Never, "the answer is not Redis's protocol"),
        redis::ErrorKind::UnexpectedReturnType => {
            (ErrorKind::Protocol, Retry::Never, "the answer has another type than expected")
        }
        redis::ErrorKind::InvalidClientConfig => {
            (ErrorKind::InvalidInput, Retry::Never, "the client is not set up for this server")
        }
        redis::ErrorKind::Server(kind) => match kind {
            ServerErrorKind::BusyLoading => {
                (ErrorKind::Unavailable, Retry::After(SOON), "the server is still loading its data")
            }
            ServerErrorKind::ReadOnly => {
                (ErrorKind::Unavailable, Retry::After(SOON), "the server is a replica")
            }
            ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown | ServerErrorKind::TryAgain => {
                (ErrorKind::Unavailable, Retry::After(SOON), "the server cannot serve now")
            }
            ServerErrorKind::NoPerm => {
                (ErrorKind::Unauthorized, Retry::Never, "the user is not allowed to do this")
            }
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot => {
                (ErrorKind::Unsupported, Retry::Never, "the server is a node of a cluster")
            }
            _ => by_code(error),
        },
        _ => by_code(error),
    }
}

fn by_code(error: &RedisError) -> (ErrorKind, Retry, &'static str) {
    let full = |detail: &str| detail.contains("max number of clients");
    // scripts pass on the code of a command inside them within the text of their own error
    let within =
        |code| error.code() == Some(code) || error.detail().is_some_and(|detail| detail.starts_with(code));
    if within("OOM") {
        (ErrorKind::Storage, Retry::After(ROOM), "the server's memory is full")
    } else if within("MISCONF") {
        (ErrorKind::Storage, Retry::After(ROOM), "the server cannot write its data to disk")
    } else if within("READONLY") {
        (ErrorKind::Unavailable, Retry::After(SOON), "the server is a replica")
    } else if within("NOAUTH") || within("WRONGPASS") {
        (ErrorKind::Unauthorized, Retry::Never, "the server asks for a password")
    } else if within("BUSY") {
        (ErrorKind::Unavailable, Retry::After(SOON), "the server is busy with a script")
    } else if within("NOREPLICAS") {
        (ErrorKind::Unavailable, Retry::After(ROOM), "the server lacks the replicas that it must write to")
    } else if within("WRONGTYPE") {
        (ErrorKind::Conflict, Retry::Never, "a key holds something of another kind")
    } else if error.detail().is_some_and(full) {
        (ErrorKind::Overloaded, Retry::After(ROOM), "the server has too many clients")
    } else {
        (ErrorKind::Other, Retry::Never, "the server reported an error")
    }
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLink")
            .field("endpoint", &self.endpoint)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
