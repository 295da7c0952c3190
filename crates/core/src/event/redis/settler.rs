//! Settlements: those that are asked for at the same time share one call, and so one sync of the server's disk.

use std::sync::Arc;

use redis::Value;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::Shared;
use super::error::Failure;
use super::script::{self, Call, SETTLE};
use crate::event::delivery::stale;
use crate::event::{Receipt, Settlement};
use crate::{Error, ErrorKind, Result};

/// How many settlements share a call at most; the script takes no more than 2,000 of one fetch.
const BATCH: usize = 1024;

struct Request {
    receipt: Receipt,
    settlement: Settlement,
    reply: oneshot::Sender<Result<()>>,
}

impl Request {
    fn is_ack(&self) -> bool {
        self.settlement == Settlement::Ack
    }

    fn place(&self) -> (&str, bool, u64) {
        (&self.receipt.topic, !self.is_ack(), if self.is_ack() { self.receipt.fence } else { 0 })
    }
}

/// The way to a task that settles for one member until the last clone is dropped.
#[derive(Clone)]
pub(super) struct Settler {
    requests: mpsc::UnboundedSender<Request>,
}

impl Settler {
    pub(super) fn start(shared: Arc<Shared>, group: Arc<str>) -> Self {
        let (requests, incoming) = mpsc::unbounded_channel();
        tokio::spawn(run(shared, group, incoming));
        Self { requests }
    }

    pub(super) async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<()> {
        let gone =
            || Error::new(ErrorKind::Unavailable, "the bus's settling task has ended with its runtime");
        let (reply, answer) = oneshot::channel();
        let request = Request { receipt: receipt.clone(), settlement, reply };
        self.requests.send(request).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn run(shared: Arc<Shared>, group: Arc<str>, mut incoming: mpsc::UnboundedReceiver<Request>) {
    let caller = Uuid::now_v7().simple().to_string();
    let mut number = 0_u64;
    let mut batch = Vec::with_capacity(BATCH);
    while incoming.recv_many(&mut batch, BATCH).await > 0 {
        gather(&mut incoming, &mut batch).await;
        number += 1;
        let mut call = shared.call(&SETTLE);
        call.arg(&*group).arg(shared.now()).arg(&caller).arg(number);
        // By topic, acknowledgements first and of one fetch together, as the script takes them.
        batch.sort_by(|one, other| one.place().cmp(&other.place()));
        for part in batch.chunk_by(|one, other| one.receipt.topic == other.receipt.topic) {
            add(&mut call, part);
        }
        // The server remembers the last call's answer, so that one whose answer was lost may be repeated.
        match shared.link.call_durably(&call).await.and_then(|answer| verdicts(answer, batch.len())) {
            Ok(verdicts) => {
                for (request, stood) in batch.drain(..).zip(verdicts) {
                    let settled = if stood { Ok(()) } else { Err(stale(&request.receipt)) };
                    let _ = request.reply.send(settled);
                }
            }
            Err(failure) => {
                let error = shared.error(failure, SETTLE.what);
                for request in batch.drain(..) {
                    let _ = request.reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// Lets what is about to ask come along: what a fetch handed out is often done within a moment, and the first to be done
/// would be sent alone, with a sync of the server's disk.
async fn gather(incoming: &mut mpsc::UnboundedReceiver<Request>, batch: &mut Vec<Request>) {
    loop {
        let before = batch.len();
        tokio::task::yield_now().await;
        while batch.len() < BATCH
            && let Ok(request) = incoming.try_recv()
        {
            batch.push(request);
        }
        if batch.len() == before || batch.len() >= BATCH {
            return;
        }
    }
}

fn verdicts(answer: Value, count: usize) -> std::result::Result<Vec<bool>, Failure> {
    let answer = script::bytes(answer)?;
    if answer.len() == count {
        Ok(answer.into_iter().map(|verdict| verdict == b'1').collect())
    } else {
        Err(Failure::Answer)
    }
}

fn add(call: &mut Call, requests: &[Request]) {
    let (acks, others) = requests.split_at(requests.partition_point(Request::is_ack));
    let Some(first) = requests.first() else { return };
    let fences = || acks.chunk_by(|one, other| one.receipt.fence == other.receipt.fence);
    call.arg(&*first.receipt.topic).arg(fences().count());
    for acks in fences() {
        call.arg(acks.first().map_or(0, |first| first.receipt.fence)).arg(acks.len());
        let mut ids = String::with_capacity(acks.len() * 24);
        for request in acks {
            script::write_id(request.receipt.position, &mut ids);
            ids.push(' ');
        }
        call.arg(ids);
        for request in acks {
            call.arg(&*request.receipt.key);
        }
    }
    call.arg(others.len());
    for Request { receipt, settlement, .. } in others {
        call.arg(&*receipt.key).arg(receipt.fence).arg(script::id(receipt.position)).arg(receipt.attempt);
        match settlement {
            Settlement::Ack => call.arg("ack"),
            Settlement::Release => call.arg("release"),
            Settlement::Retry { after, .. } => {
                call.arg("retry").arg(u64::try_from(after.as_micros()).unwrap_or(u64::MAX))
            }
            Settlement::DeadLetter { reason } => {
                call.arg("dead").arg(reason.kind.as_str()).arg(reason.message.as_str())
            }
        };
    }
}
