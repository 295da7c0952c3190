use std::num::NonZeroUsize;
use std::pin::pin;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row, SqliteConnection};

use super::{SqliteBus, SqliteBusOptions};
use crate::ErrorKind;
use crate::event::{Envelope, EventBus, Page, Published, Settlement, State, Subscription};

const MANY: NonZeroUsize = NonZeroUsize::MAX;

/// Publishes three events of one key, and turns the one of this version into what no program of today writes.
async fn with_a_strange_one(folder: &std::path::Path, version: u64) -> SqliteBus {
    let path = folder.join("events.db");
    let bus = SqliteBus::open(&path).await.unwrap();
    let events = [1, 2, 3].map(|version| Envelope::new("posts", "post-1", State::Created, version));
    bus.publish(&events).await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let body = json!({"id": events[0].id, "state": {"renamed": "비밀"}, "version": version, "form": 9});
    sqlx::query("UPDATE pumasi_event_log SET body = ?1 WHERE seq = ?2")
        .bind(body.to_string())
        .bind(i64::try_from(version).unwrap())
        .execute(&mut connection)
        .await
        .unwrap();
    bus
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_put_aside_and_its_key_goes_on() {
    for strange in [1_u64, 2, 3] {
        let folder = tempfile::tempdir().unwrap();
        let bus = with_a_strange_one(folder.path(), strange).await;
        let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let taken = member.fetch(MANY, Duration::from_secs(5)).await.unwrap();
            assert!(!taken.is_empty(), "the key is held up after {seen:?} by {strange}");
            for delivery in taken {
                assert_eq!(delivery.attempt, 1);
                seen.push(delivery.event.version);
                member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
            }
        }
        let others: Vec<u64> = [1, 2, 3].into_iter().filter(|version| *version != strange).collect();
        assert_eq!(seen, others);
        assert_eq!(member.fetch(MANY, Duration::ZERO).await.unwrap().len(), 0);
        assert_eq!(member.lag().await.unwrap().unsettled, 0);

        let dead = bus.dead_letters("readers", Page::default()).await.unwrap();
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].reason.kind.as_str(), dead[0].attempts), ("unreadable", 1));
        assert!(!format!("{dead:?}").contains("비밀"));
        let event = &dead[0].event;
        assert_eq!((event.topic.as_str(), event.key.as_str(), event.version), ("posts", "post-1", strange));

        // Replayed by a program that cannot read it either, it is put aside again.
        assert_eq!(bus.replay("readers", &[event.id]).await.unwrap(), 1);
        assert_eq!(member.fetch(MANY, Duration::ZERO).await.unwrap().len(), 0);
        assert_eq!(bus.dead_letters("readers", Page::default()).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn callers_who_publish_at_the_same_time_are_each_told_what_is_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let bus = SqliteBus::open(folder.path().join("events.db")).await.unwrap();
    let event = |key: &str| Envelope::new("posts", key, State::Created, 1);
    let known = event("known");
    bus.publish(std::slice::from_ref(&known)).await.unwrap();
    let twice = event("twice");
    let calls: Vec<Vec<Envelope>> = (0..40)
        .map(|call| match call {
            7 => vec![],
            8 => vec![known.clone(), event("new")],
            9 | 10 => vec![twice.clone()],
            _ => vec![event(&format!("a-{call}")), event(&format!("b-{call}"))],
        })
        .collect();
    let told = futures_util::future::join_all(calls.iter().map(|events| bus.publish(events))).await;
    let told: Vec<_> = told.into_iter().map(Result::unwrap).collect();
    assert_eq!(told[7], Published::new(0, 0));
    assert_eq!(told[8], Published::new(1, 1));
    assert_eq!((told[9], told[10]), (Published::new(1, 0), Published::new(0, 1)));
    assert!(told.iter().skip(11).all(|told| *told == Published::new(2, 0)), "{told:?}");
    let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await.unwrap();
    assert_eq!(member.lag().await.unwrap().unsettled, 1 + 36 * 2 + 1 + 1);
}

#[tokio::test]
async fn what_is_handed_out_and_settled_is_found_by_its_key_however_much_is_unsettled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let _bus = SqliteBus::open(&path).await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let scripts = [
        include_str!("sql/read_lanes.sql"),
        include_str!("sql/hand_out.sql"),
        include_str!("sql/untake.sql"),
        include_str!("sql/claims.sql"),
        include_str!("sql/renew.sql"),
        include_str!("sql/remove.sql"),
        include_str!("sql/begin_next.sql"),
        include_str!("sql/close_lane.sql"),
        include_str!("sql/give_back.sql"),
        include_str!("sql/replay.sql"),
    ];
    for script in scripts {
        let lines: Vec<&str> = script.lines().filter(|line| !line.starts_with("--")).collect();
        for statement in lines.join("\n").split(';') {
            let explained = format!("EXPLAIN QUERY PLAN {statement}");
            let plan = sqlx::query(sqlx::AssertSqlSafe(explained)).fetch_all(&mut connection).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get(3)).collect();
            for step in &plan {
                let all = step.starts_with("SCAN pumasi")
                    || step.ends_with("(sub=?)")
                    || step.ends_with("(topic=?)");
                assert!(!all, "{statement}\n{plan:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_busy_topic_leaves_the_others_some_of_each_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let bus = SqliteBus::open(folder.path().join("events.db")).await.unwrap();
    let on = |topic: &str, key: u64| Envelope::new(topic, format!("key-{key}"), State::Created, 1);
    let events: Vec<_> = (0..50).map(|key| on("busy", key)).chain([on("calm", 1)]).collect();
    bus.publish(&events).await.unwrap();
    let member = bus.subscribe(&Subscription::new("readers", ["busy", "calm"])).await.unwrap();
    let mut topics = Vec::new();
    for _ in 0..2 {
        for delivery in member.fetch(NonZeroUsize::new(4).unwrap(), Duration::ZERO).await.unwrap() {
            topics.push(delivery.event.topic.clone());
        }
    }
    assert!(topics.contains(&"calm".to_owned()), "{topics:?}");
}

/// Another program's connection to the file.
async fn foreign(path: &std::path::Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

async fn run(connection: &mut SqliteConnection, statement: &'static str) {
    sqlx::query(statement).execute(connection).await.unwrap();
}

async fn number(connection: &mut SqliteConnection, question: &'static str) -> i64 {
    sqlx::query(question).fetch_one(connection).await.unwrap().get(0)
}

#[tokio::test]
async fn a_file_of_the_first_layout_is_brought_up_to_date_with_all_that_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let mut other = foreign(&path).await;
    run(&mut other, include_str!("sql/schema_1.sql")).await;
    run(&mut other, "INSERT INTO pumasi_event_subscription (grp, topic, cursor) VALUES ('gone', 'posts', 0), ('readers', 'posts', 1)").await;
    let events = [1, 2, 3].map(|version| Envelope::new("posts", "post-1", State::Created, version));
    for event in &events {
        sqlx::query("INSERT INTO pumasi_event_log (id, topic, key, body, published_at) VALUES (?1, 'posts', 'post-1', ?2, 0)")
            .bind(event.id.as_bytes().to_vec())
            .bind(serde_json::to_string(event).unwrap())
            .execute(&mut other)
            .await
            .unwrap();
    }
    for _ in 0..2 {
        let bus = SqliteBus::open(&path).await.unwrap();
        let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await.unwrap();
        let taken = member.fetch(MANY, Duration::ZERO).await.unwrap();
        let versions: Vec<_> = taken.iter().map(|delivery| delivery.event.version).collect();
        assert_eq!(versions, [2, 3], "the group goes on where it was");
        member.settle(&taken[0].receipt, Settlement::Release).await.unwrap();
        assert_eq!(number(&mut other, "SELECT version FROM pumasi_event_schema").await, 2);
    }
    let bus = SqliteBus::open(&path).await.unwrap();
    assert!(bus.forget_group("readers").await.unwrap());
    bus.subscribe(&Subscription::new("others", ["posts"])).await.unwrap();
    let last = "SELECT sub FROM pumasi_event_subscription WHERE grp = 'others'";
    assert!(number(&mut other, last).await > 2, "a number is given to another group");
}

#[tokio::test]
async fn callers_at_the_same_time_wait_for_a_foreign_writer_once_and_not_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let busy = Duration::from_millis(200);
    let bus = SqliteBusOptions::new(&path).with_busy_timeout(busy).open().await.unwrap();
    let mut other = foreign(&path).await;
    let events: Vec<_> =
        (0..30).map(|key| Envelope::new("posts", format!("key-{key}"), State::Created, 1)).collect();
    run(&mut other, "BEGIN IMMEDIATE").await;
    let begun = Instant::now();
    let calls = events.iter().map(|event| bus.publish(std::slice::from_ref(event)));
    for told in futures_util::future::join_all(calls).await {
        let error = told.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.retry().is_retryable() && error.to_string().contains("another process"), "{error}");
    }
    assert!(begun.elapsed() < busy * 20, "{:?}", begun.elapsed());
    run(&mut other, "ROLLBACK").await;
    assert_eq!(bus.publish(&events).await.unwrap(), Published::new(30, 0));
}

#[tokio::test]
async fn a_fetch_that_is_dropped_while_it_puts_an_event_aside_leaves_nothing_behind() {
    for strange in [1_u64, 2, 3] {
        let folder = tempfile::tempdir().unwrap();
        let bus = with_a_strange_one(folder.path(), strange).await;
        let mut other = foreign(&folder.path().join("events.db")).await;
        let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await.unwrap();
        {
            let mut fetch = pin!(member.fetch(MANY, Duration::ZERO));
            // It goes on only while nobody may write: it has its answer at the end, and what it asks for next has to wait.
            loop {
                run(&mut other, "BEGIN IMMEDIATE").await;
                assert!(futures_util::poll!(fetch.as_mut()).is_pending());
                let held = "SELECT count(*) FROM pumasi_event_lane WHERE fence > 0";
                if number(&mut other, held).await > 0 {
                    break;
                }
                run(&mut other, "ROLLBACK").await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(futures_util::poll!(fetch.as_mut()).is_pending());
        }
        run(&mut other, "ROLLBACK").await;
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let taken = member.fetch(MANY, Duration::from_secs(5)).await.unwrap();
            assert!(!taken.is_empty(), "what stood beside {strange} is still leased after {seen:?}");
            for delivery in taken {
                assert_eq!(delivery.attempt, 1, "{strange}");
                seen.push(delivery.event.version);
                member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
            }
        }
        let others: Vec<u64> = [1, 2, 3].into_iter().filter(|version| *version != strange).collect();
        assert_eq!(seen, others);
        assert_eq!(bus.dead_letters("readers", Page::default()).await.unwrap().len(), 1);
        assert_eq!(member.lag().await.unwrap().unsettled, 0);
    }
}

#[tokio::test]
async fn a_clean_up_looks_at_events_past_their_retention_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let _bus = SqliteBus::open(&path).await.unwrap();
    let explained = format!("EXPLAIN QUERY PLAN {}", include_str!("sql/clean_up.sql"));
    let plan =
        sqlx::query(sqlx::AssertSqlSafe(explained)).fetch_all(&mut foreign(&path).await).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(3)).collect();
    let of_events = plan.iter().filter(|step| step.starts_with("SCAN e") || step.starts_with("SEARCH e"));
    let of_events: Vec<_> = of_events.collect();
    assert!(
        of_events.len() == 1 && of_events.iter().all(|step| step.ends_with("(published_at<?)")),
        "{plan:?}"
    );
    // Sorting would read all of them, however few it may delete.
    assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
}

#[tokio::test]
async fn a_file_is_verified_beside_what_members_read() {
    let folder = tempfile::tempdir().unwrap();
    let bus = SqliteBus::open(folder.path().join("events.db")).await.unwrap();
    let _reading = bus.shared.reader.lock().await;
    tokio::time::timeout(Duration::from_secs(20), bus.verify()).await.expect("it waits").unwrap();
}
