//! Records that cannot be read.

use pumasi_core::time::Timestamp;
use pumasi_saga::store::{Commit, Head, Lease, MemoryStore, Query, SagaStore, Status, Stored, WorkerId};
use pumasi_saga::{Engine, ErrorKind, Saga, SagaHandle};

use crate::sagas::AgreeTerms;

/// Puts something in the place of a saga's record, and says when it is due.
pub(crate) async fn damage<App: Send + Sync + 'static>(
    sagas: &SagaHandle<u64, App>,
    key: u64,
    due: Option<Timestamp>,
) {
    let stored = load(sagas, key).await;
    let head = Head { due, ..stored.head.clone() };
    let commit = Commit {
        version: stored.version + 1,
        record: b"\x07damaged".to_vec(),
        replaces: true,
        ..new_head(&stored, head)
    };
    sagas.engine().store().commit(vec![commit]).await.pop().unwrap().unwrap();
}

/// Puts a saga aside, as code does that cannot go on with it.
pub(crate) async fn put_aside<App: Send + Sync + 'static>(sagas: &SagaHandle<u64, App>, key: u64) {
    let stored = load(sagas, key).await;
    let head =
        Head { status: Status::Parked, due: None, reason: Some("put aside".into()), ..stored.head.clone() };
    sagas.engine().store().commit(vec![new_head(&stored, head)]).await.pop().unwrap().unwrap();
}

async fn load<App: Send + Sync + 'static>(sagas: &SagaHandle<u64, App>, key: u64) -> Stored {
    sagas.engine().store().load(sagas.id(&key).unwrap()).await.unwrap().unwrap()
}

/// Changes a saga's head, and nothing else of it.
pub(crate) fn new_head(stored: &Stored, head: Head) -> Commit {
    Commit {
        head,
        worker: WorkerId::random(),
        lease: Lease::Take(stored.epoch + 1),
        expected: stored.version,
        version: stored.version,
        token: 1,
        record: Vec::new(),
        replaces: false,
        holds: false,
        forgets: false,
        consumed: Vec::new(),
        events: Vec::new(),
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_parks_its_saga_in_sight_and_harms_no_others() {
    let saga = Saga::<u64, ()>::new("terms", 1).wait::<AgreeTerms>().build().unwrap();
    let terms = Engine::new(MemoryStore::new(), ()).register(saga).unwrap();
    for key in 1..=3 {
        terms.start(&key).await.unwrap();
    }
    let agree = || AgreeTerms("예".to_owned());
    damage(&terms, 1, None).await;
    assert_eq!(terms.view(&1).await.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(terms.signal(&1, agree()).await.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(terms.advance(&1, agree()).await.unwrap_err().kind(), ErrorKind::Protocol);
    // Found by a worker, to which it is due.
    damage(&terms, 2, Some(Timestamp::from_micros(0))).await;
    terms.engine().run_due().await.unwrap();

    let parked = terms.query(Query::new().with_statuses([Status::Parked])).await.unwrap();
    let mut keys: Vec<_> = parked.iter().map(|summary| &*summary.head.key).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["1", "2"]);
    for summary in &parked {
        let reason = summary.head.reason.as_deref().unwrap();
        assert!(reason.contains("cannot be read"), "{reason}");
    }
    assert_eq!(terms.advance(&1, agree()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(terms.advance(&3, agree()).await.unwrap().status, Status::Completed);
}
