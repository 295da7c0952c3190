//! How fast a bare group commit is here and now: every player waits for each of its eight records of 256 bytes, and one
//! committer puts down together whatever waits. No engine, no state: nothing that keeps sagas can be faster.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use sqlx::{Executor, PgPool};
use tokio::sync::{mpsc, oneshot};

const RECORD: usize = 256;
const STEPS: i32 = 8;

struct Put {
    saga: i64,
    step: i32,
    done: oneshot::Sender<()>,
}

/// Sagas per second of records in a file, synced.
pub(crate) async fn file(folder: &Path, in_flight: usize, time: Duration) -> f64 {
    let path = folder.join("ceiling");
    let (puts, mut incoming) = mpsc::unbounded_channel::<Put>();
    let committer = std::thread::spawn(move || {
        let mut file = std::fs::File::create(path).expect("a file for the ceiling");
        let (mut batch, mut bytes) = (Vec::<Put>::new(), Vec::new());
        while incoming.blocking_recv_many(&mut batch, 4096) > 0 {
            bytes.clear();
            for put in &batch {
                bytes.extend_from_slice(&put.saga.to_le_bytes());
                bytes.extend_from_slice(&put.step.to_le_bytes());
                bytes.extend_from_slice(&[7; RECORD - 12]);
            }
            file.write_all(&bytes).expect("writing");
            file.sync_data().expect("syncing");
            for put in batch.drain(..) {
                let _ = put.done.send(());
            }
        }
    });
    let rate = play(&[puts], in_flight, time).await;
    committer.join().expect("the committer");
    rate
}

/// Sagas per second of rows in one table, a statement a batch, on so many connections.
pub(crate) async fn postgres(pool: &PgPool, lanes: usize, in_flight: usize, time: Duration) -> f64 {
    let table = "DROP TABLE IF EXISTS ceiling; CREATE TABLE ceiling (saga bigint, step integer, record bytea, PRIMARY KEY (saga, step))";
    pool.execute(table).await.expect("a table for the ceiling");
    let mut queues = Vec::new();
    let mut committers = Vec::new();
    for _ in 0..lanes {
        let (puts, mut incoming) = mpsc::unbounded_channel::<Put>();
        queues.push(puts);
        let pool = pool.clone();
        committers.push(tokio::spawn(async move {
            let mut lane = pool.acquire().await.expect("a connection");
            let mut batch = Vec::new();
            let insert = "INSERT INTO ceiling SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bytea[]) ON CONFLICT DO NOTHING";
            while incoming.recv_many(&mut batch, 4096).await > 0 {
                let (sagas, steps): (Vec<i64>, Vec<i32>) = batch.iter().map(|put: &Put| (put.saga, put.step)).unzip();
                let records = vec![vec![7_u8; RECORD - 12]; batch.len()];
                let query = sqlx::query(insert).bind(sagas).bind(steps).bind(records);
                query.execute(&mut *lane).await.expect("inserting");
                for put in batch.drain(..) {
                    let _ = put.done.send(());
                }
            }
        }));
    }
    let rate = play(&queues, in_flight, time).await;
    drop(queues);
    for committer in committers {
        committer.await.expect("a committer");
    }
    pool.execute("DROP TABLE ceiling").await.expect("dropping the table");
    rate
}

async fn play(queues: &[mpsc::UnboundedSender<Put>], in_flight: usize, time: Duration) -> f64 {
    let queues = queues.to_vec();
    benches::load::rate(in_flight, time, move |saga| {
        let queue = queues[usize::try_from(saga).unwrap_or(0) % queues.len()].clone();
        async move {
            for step in 0..STEPS {
                let (done, answer) = oneshot::channel();
                let put = Put { saga: saga.cast_signed(), step, done };
                assert!(queue.send(put).is_ok(), "the committer has ended");
                answer.await.expect("an answer");
            }
        }
    })
    .await
}
