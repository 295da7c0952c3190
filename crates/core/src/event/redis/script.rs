//! The steps, each one Lua script, and how they are called and answered.

use std::fmt::Write as _;
use std::sync::LazyLock;

use redis::{Cmd, Script, ToRedisArgs, Value};

use super::error::Failure;

/// One step on the server: atomic, because Redis runs one script at a time.
pub(super) struct Step {
    /// What an error says was being done.
    pub(super) what: &'static str,
    pub(super) script: LazyLock<Script>,
}

macro_rules! steps {
    ($($(#[$meta:meta])* $name:ident: $what:literal, $head:literal, $file:literal;)+) => {$(
        $(#[$meta])*
        pub(super) static $name: Step = Step {
            what: $what,
            script: LazyLock::new(|| {
                Script::new(concat!($head, "\n", include_str!("lua/lane.lua"), include_str!($file)))
            }),
        };
    )+};
}

// With the first line, Redis refuses a script on a full server before it has done anything. Those that hand out and
// settle may run on a full server, so that it can be emptied.
steps! {
    PUBLISH: "publishing", "#!lua", "lua/publish.lua";
    SUBSCRIBE: "subscribing", "#!lua", "lua/subscribe.lua";
    FETCH: "fetching", "#!lua flags=allow-oom", "lua/fetch.lua";
    GIVE_BACK: "giving back", "#!lua flags=allow-oom", "lua/give_back.lua";
    SETTLE: "settling", "#!lua flags=allow-oom", "lua/settle.lua";
    RENEW: "renewing leases", "#!lua flags=allow-oom", "lua/renew.lua";
    REPLAY: "replaying", "#!lua flags=allow-oom", "lua/replay.lua";
    FORGET: "forgetting a group", "#!lua flags=allow-oom", "lua/forget.lua";
    DEAD_LETTERS: "listing dead letters", "#!lua flags=no-writes", "lua/dead_letters.lua";
    LAG: "measuring the lag", "#!lua flags=no-writes", "lua/lag.lua";
    TRIMMABLE: "cleaning up", "#!lua flags=no-writes", "lua/trimmable.lua";
    KEEP: "cleaning up", "#!lua flags=allow-oom", "lua/keep.lua";
    TRIM: "cleaning up", "#!lua flags=allow-oom", "lua/trim.lua";
}

/// A step with its arguments.
pub(super) struct Call {
    pub(super) step: &'static Step,
    pub(super) command: Cmd,
}

impl Call {
    /// Begins a call on the bus whose keys begin with `prefix`.
    pub(super) fn new(step: &'static Step, prefix: &str) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(step.script.get_hash()).arg(1).arg(format!("{prefix}:topics")).arg(prefix);
        Self { step, command }
    }

    pub(super) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.command.arg(arg);
        self
    }
}

pub(super) fn number(value: &Value) -> Result<i64, Failure> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::BulkString(text) => {
            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Failure::Answer)
        }
        _ => Err(Failure::Answer),
    }
}

pub(super) fn count(value: &Value) -> Result<usize, Failure> {
    usize::try_from(number(value)?).map_err(|_| Failure::Answer)
}

pub(super) fn bytes(value: Value) -> Result<Vec<u8>, Failure> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::Int(number) => Ok(number.to_string().into_bytes()),
        _ => Err(Failure::Answer),
    }
}

pub(super) fn text(value: Value) -> Result<String, Failure> {
    String::from_utf8(bytes(value)?).map_err(|_| Failure::Answer)
}

pub(super) fn list(value: Value) -> Result<Vec<Value>, Failure> {
    value.into_sequence().map_err(|_| Failure::Answer)
}

/// The position of a delivery: milliseconds above, the event's number in its topic below.
pub(super) fn position(id: &str) -> Result<u128, Failure> {
    let (ms, number) = id.split_once('-').ok_or(Failure::Answer)?;
    let parse = |part: &str| part.parse::<u64>().map_err(|_| Failure::Answer);
    Ok(u128::from(parse(ms)?) << 64 | u128::from(parse(number)?))
}

/// The id that has this position.
pub(super) fn id(position: u128) -> String {
    let mut id = String::with_capacity(24);
    write_id(position, &mut id);
    id
}

/// Writes the id that has this position behind what is there.
pub(super) fn write_id(position: u128, text: &mut String) {
    // A string takes whatever is written.
    let _ = write!(text, "{}-{}", position >> 64, position & u128::from(u64::MAX));
}
