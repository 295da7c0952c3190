//! The connection: one for all calls, made anew by itself.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind as RedisKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

use super::error::Failure;
use super::script::Call;

/// How many commands may wait to be written before callers wait.
const PIPELINE: usize = 1024;

/// How often a script is loaded for one call, should somebody flush the server's scripts in between.
const LOADS: u32 = 5;

/// How many replicas must confirm a write, and how long they may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas {
    pub(super) count: usize,
    pub(super) timeout: Duration,
}

pub(super) struct Link {
    pub(super) client: Client,
    /// Where the server is, without name and password.
    pub(super) address: String,
    /// What every key begins with.
    pub(super) prefix: String,
    pub(super) timeout: Duration,
    replicas: Option<Replicas>,
    manager: Mutex<ConnectionManager>,
}

impl Link {
    pub(super) fn new(
        client: Client,
        address: String,
        prefix: String,
        timeout: Duration,
        replicas: Option<Replicas>,
    ) -> Result<Self, Failure> {
        // An answer that waits for replicas comes later.
        let timeout = replicas.map_or(timeout, |replicas| timeout.saturating_add(replicas.timeout));
        let manager = Mutex::new(connect(&client, timeout)?);
        Ok(Self { client, address, prefix, timeout, replicas, manager })
    }

    fn manager(&self) -> ConnectionManager {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends one command.
    pub(super) async fn command(&self, command: &Cmd) -> Result<Value, Failure> {
        self.judged(send(&mut self.manager(), command).await)
    }

    /// Takes a step, once.
    pub(super) async fn call(&self, call: &Call) -> Result<Value, Failure> {
        let mut manager = self.manager();
        let mut answer = send(&mut manager, &call.command).await;
        for _ in 0..LOADS {
            if !answer.as_ref().is_err_and(is_unknown_script) {
                break;
            }
            answer = match call.step.script.load_async(&mut manager).await {
                Ok(_) => send(&mut manager, &call.command).await,
                Err(error) => Err(error),
            };
        }
        self.judged(answer)
    }

    /// Takes a step, again where the connection breaks, for as long as twice the timeout. Only for steps that may be
    /// repeated.
    pub(super) async fn call_patiently(&self, call: &Call) -> Result<Value, Failure> {
        let mut patience = Patience::new(self.timeout * 2);
        loop {
            match self.call(call).await {
                Err(failure) if patience.outlasts(&failure).await => {}
                ended => return ended,
            }
        }
    }

    /// As [`call_patiently`](Self::call_patiently), and has replicas confirm it where that is asked for.
    pub(super) async fn call_durably(&self, call: &Call) -> Result<Value, Failure> {
        let Some(replicas) = self.replicas else { return self.call_patiently(call).await };
        let mut loads = LOADS;
        let mut patience = Patience::new(self.timeout * 2);
        loop {
            match self.call_confirmed(call, replicas).await {
                Err(Failure::Unloaded) if loads > 0 => loads -= 1,
                Err(failure) if patience.outlasts(&failure).await => {}
                ended => return ended,
            }
        }
    }

    async fn call_confirmed(&self, call: &Call, replicas: Replicas) -> Result<Value, Failure> {
        // In one pipeline, because WAIT speaks of what its own connection wrote; and with a write, because a call that is
        // repeated may have nothing to write.
        let mut pipeline = Pipeline::with_capacity(3);
        pipeline.add_command(call.command.clone());
        pipeline.cmd("INCR").arg(format!("{}:confirmed", self.prefix));
        let timeout = u64::try_from(replicas.timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        pipeline.cmd("WAIT").arg(replicas.count).arg(timeout);
        let mut manager = self.manager();
        let mut answers = match manager.send_packed_commands(&pipeline, 0, 3).await {
            Ok(answers) => answers,
            Err(error) => return self.judged(Err(error)),
        };
        let (Some(waited), Some(answer)) = (answers.pop(), answers.into_iter().next()) else {
            return Err(Failure::Answer);
        };
        match answer.extract_error() {
            Err(error) if is_unknown_script(&error) => {
                call.step.script.load_async(&mut manager).await?;
                Err(Failure::Unloaded)
            }
            answer => {
                let answer = self.judged(answer)?;
                let got = super::script::count(&self.judged(waited.extract_error())?)?;
                if got < replicas.count {
                    return Err(Failure::Replicas { wanted: replicas.count, got });
                }
                Ok(answer)
            }
        }
    }

    fn judged(&self, answer: RedisResult<Value>) -> Result<Value, Failure> {
        let failure = match answer {
            Ok(value) => return Ok(value),
            Err(error) => Failure::from(error),
        };
        if failure.condemns_connection()
            && let Ok(fresh) = connect(&self.client, self.timeout)
        {
            *self.manager.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        Err(failure)
    }
}

/// How long a step is tried again on a connection that breaks.
struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { until: Instant::now() + limit, pause: Duration::from_millis(20) }
    }

    /// Waits a little, if the failure may pass and there is time left.
    async fn outlasts(&mut self, failure: &Failure) -> bool {
        if !failure.passes() || Instant::now() + self.pause >= self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(1));
        true
    }
}

/// Makes a connection that is opened when it is first used.
fn connect(client: &Client, timeout: Duration) -> Result<ConnectionManager, Failure> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout))
        .set_number_of_retries(2)
        .set_min_delay(Duration::from_millis(20))
        .set_max_delay(Duration::from_millis(500))
        .set_pipeline_buffer_size(PIPELINE);
    Ok(ConnectionManager::new_lazy_with_config(client.clone(), config)?)
}

async fn send(manager: &mut ConnectionManager, command: &Cmd) -> RedisResult<Value> {
    manager.send_packed_command(command).await.and_then(Value::extract_error)
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == RedisKind::Server(ServerErrorKind::NoScript)
}
