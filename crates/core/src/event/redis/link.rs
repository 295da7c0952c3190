//! How steps are taken on the connection: once, again where it breaks, confirmed by replicas.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, ErrorKind as RedisKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

use super::error::Failure;
use super::script::Call;
use crate::redis_link::RedisLink;

/// How often a script is loaded for one call, should somebody flush the server's scripts in between.
const LOADS: u32 = 5;

/// How many replicas must confirm a write, and how long they may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas {
    pub(super) count: usize,
    pub(super) timeout: Duration,
}

pub(super) struct Link {
    pub(super) redis: RedisLink,
    /// What every key begins with.
    pub(super) prefix: String,
    replicas: Option<Replicas>,
}

impl Link {
    pub(super) fn new(client: Client, prefix: String, timeout: Duration, replicas: Option<Replicas>) -> Self {
        // An answer that waits for replicas comes later.
        let timeout = replicas.map_or(timeout, |replicas| timeout.saturating_add(replicas.timeout));
        Self { redis: RedisLink::new(client).with_timeout(timeout), prefix, replicas }
    }

    /// Sends one command.
    pub(super) async fn command(&self, command: &Cmd) -> Result<Value, Failure> {
        let answer = self.redis.attempt(|connection| send(connection, command)).await;
        Ok(answer?)
    }

    /// Takes a step, once.
    pub(super) async fn call(&self, call: &Call) -> Result<Value, Failure> {
        let answer = self.redis.attempt(async |connection: MultiplexedConnection| {
            let mut answer = send(connection.clone(), &call.command).await;
            for _ in 0..LOADS {
                if !answer.as_ref().is_err_and(is_unknown_script) {
                    break;
                }
                call.step.script.load_async(&mut connection.clone()).await?;
                answer = send(connection.clone(), &call.command).await;
            }
            answer
        });
        Ok(answer.await?)
    }

    /// Takes a step, again where the connection breaks, for as long as twice the timeout. Only for steps that may be
    /// repeated.
    pub(super) async fn call_patiently(&self, call: &Call) -> Result<Value, Failure> {
        let mut patience = Patience::new(self.redis.timeout() * 2);
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
        let mut patience = Patience::new(self.redis.timeout() * 2);
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
        let pipeline = &pipeline;
        let answers = self.redis.attempt(async |mut connection: MultiplexedConnection| {
            let mut answers = connection.send_packed_commands(pipeline, 0, 3).await?;
            let waited = answers.pop();
            let answer = answers.into_iter().next().map(Value::extract_error);
            if let Some(Err(error)) = &answer
                && is_unknown_script(error)
            {
                call.step.script.load_async(&mut connection).await?;
                return Ok(None);
            }
            // Both as results of the call, so that one which condemns the connection does so.
            Ok(Some((answer.transpose()?, waited.map(Value::extract_error).transpose()?)))
        });
        match answers.await? {
            None => Err(Failure::Unloaded),
            Some((Some(answer), Some(waited))) => {
                let got = super::script::count(&waited)?;
                if got < replicas.count {
                    return Err(Failure::Replicas { wanted: replicas.count, got });
                }
                Ok(answer)
            }
            Some(_) => Err(Failure::Answer),
        }
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

async fn send(mut connection: MultiplexedConnection, command: &Cmd) -> RedisResult<Value> {
    connection.send_packed_command(command).await.and_then(Value::extract_error)
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == RedisKind::Server(ServerErrorKind::NoScript)
}
