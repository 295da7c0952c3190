//! Full disks, damaged files, jumping clocks, and what is kept for how long.

use std::io::{Seek, SeekFrom, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use pumasi_core::ErrorKind;
use pumasi_core::event::{
    Envelope, EventBus, EventId, Settlement, SqliteBus, SqliteBusOptions, State, Subscriber, Subscription,
};
use pumasi_core::time::{Clock, ManualClock, Sleep, Timestamp};

use super::*;

const MANY: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

fn event(key: &str, version: u64) -> Envelope {
    Envelope::new("posts", key, State::Updated, version)
}

fn subscription() -> Subscription {
    Subscription::new("readers", ["posts"]).with_lease(Duration::from_secs(10))
}

async fn drain(member: &Arc<dyn Subscriber>) -> Vec<u64> {
    let mut versions = Vec::new();
    loop {
        let taken = member.fetch(MANY, Duration::ZERO).await.unwrap();
        if taken.is_empty() {
            return versions;
        }
        for delivery in taken {
            versions.push(delivery.event.version);
            member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_at_its_allowed_size_refuses_clearly_loses_nothing_and_can_be_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let options = SqliteBusOptions::new(folder.path().join("events.db"))
        .with_clock(Arc::new(clock.clone()))
        .with_retention(Duration::from_secs(1))
        .with_max_bytes(1 << 20);
    let bus = options.open().await.unwrap();
    let mut stored = 0;
    let error = loop {
        let event = event(&format!("key-{stored}"), stored + 1).with_payload(&"x".repeat(3000)).unwrap();
        match bus.publish(&[event]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.retry().is_retryable(), "there may be room again");
    assert!(error.to_string().contains("full"), "{error}");
    assert!(stored > 100, "{stored} events in a megabyte");
    // A full store still hands out and settles everything, and then has room again.
    let member = bus.subscribe(&subscription()).await.unwrap();
    assert_eq!(drain(&member).await.len() as u64, stored);
    clock.advance(Duration::from_secs(2));
    let mut deleted = 0;
    while deleted < stored {
        deleted += bus.clean_up().await.unwrap() as u64;
    }
    for version in 1..=100 {
        let event = event("again", version).with_payload(&"x".repeat(3000)).unwrap();
        bus.publish(&[event]).await.unwrap();
    }
    assert_eq!(drain(&member).await.len(), 100);
}

#[test]
#[cfg(unix)]
fn a_disk_that_takes_no_more_is_a_clear_error_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let child = Crew::new(ENTRY, folder.path()).command("fill").unwrap();
    // A limit on the size of files stands for the full disk; the signal that comes with it is ignored, so that writing
    // fails as it does on a full disk.
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("trap '' XFSZ; ulimit -f 1500; exec \"$0\" \"$@\"").arg(child.get_program());
    shell.args(child.get_args());
    for (name, value) in child.get_envs() {
        shell.env(name, value.unwrap());
    }
    let status = shell.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{status}");
    let end = std::fs::read_to_string(folder.path().join("end")).unwrap();
    assert!(end.starts_with("storage true "), "{end}");
    let acknowledged = child::acknowledged(folder.path(), 0);
    assert!(acknowledged.len() > 20, "{} events before the end", acknowledged.len());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bus = SqliteBus::open(folder.path().join("events.db")).await.unwrap();
        bus.verify().await.unwrap();
        let member = bus.subscribe(&subscription()).await.unwrap();
        let there = drain(&member).await;
        assert!(there.len() >= acknowledged.len(), "{} of {}", there.len(), acknowledged.len());
        assert!(there.iter().copied().eq(1..=there.len() as u64), "order or gaps: {there:?}");
        bus.publish(&[event("a", 9999)]).await.unwrap();
    });
    println!("full disk: {} events acknowledged, 0 lost; {end}", acknowledged.len());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    std::fs::write(&path, "이것은 데이터베이스가 아닙니다. ".repeat(500)).unwrap();
    let error = SqliteBus::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(!error.retry().is_retryable());
    assert!(error.to_string().contains("events.db") && error.to_string().contains("not a SQLite"), "{error}");
    let error = SqliteBus::open(folder.path().join("no/such/folder/events.db")).await.unwrap_err();
    assert!(error.to_string().contains("cannot be opened"), "{error}");
}

#[tokio::test]
async fn opening_waits_for_whoever_writes_the_new_file_at_the_same_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let mut other =
        SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
    sqlx::raw_sql("CREATE TABLE own (n INTEGER); BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    // Turning the file to the write-ahead log fails at once while somebody writes it, whatever the busy timeout is.
    let patience = |timeout| SqliteBusOptions::new(&path).with_busy_timeout(timeout);
    let error = patience(Duration::from_millis(50)).open().await.unwrap_err();
    assert_eq!((error.kind(), error.retry().is_retryable()), (ErrorKind::Unavailable, true));
    let ends = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    };
    let (bus, ()) = tokio::join!(patience(Duration::from_secs(30)).open(), ends);
    assert_eq!(bus.unwrap().publish(&[event("a", 1)]).await.unwrap().accepted, 1);
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_never_a_panic_or_a_silent_gap() {
    for damage in 0..12_u64 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        let bus = SqliteBus::open(&path).await.unwrap();
        let events: Vec<_> = (1..=200)
            .map(|version| event(&format!("key-{version}"), version).with_payload(&"y".repeat(500)).unwrap())
            .collect();
        bus.publish(&events).await.unwrap();
        let member = bus.subscribe(&subscription()).await.unwrap();
        let first = member.fetch(NonZeroUsize::MIN, Duration::ZERO).await.unwrap();
        member.settle(&first[0].receipt, Settlement::Release).await.unwrap();
        drop((member, bus));
        // The bus closes the file on its own time. Whoever closes it last folds the write-ahead log into it; of two
        // connections that close at the same moment each may leave that to the other, so a third one makes sure.
        let closed = Instant::now() + Duration::from_secs(20);
        while folder.path().join("events.db-wal").exists() {
            assert!(Instant::now() < closed, "the file was not closed");
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut last = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
            let _ = sqlx::query("SELECT count(*) FROM sqlite_schema").fetch_one(&mut last).await;
            let _ = last.close().await;
        }
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let pages = file.metadata().unwrap().len() / 4096;
        file.seek(SeekFrom::Start(4096 * (1 + damage * (pages - 1) / 12))).unwrap();
        file.write_all(&[0xa5; 4096]).unwrap();
        drop(file);
        let outcome = async {
            let bus = SqliteBus::open(&path).await?;
            bus.verify().await?;
            let member = bus.subscribe(&subscription()).await?;
            let taken = member.fetch(MANY, Duration::ZERO).await?;
            Ok::<usize, pumasi_core::Error>(taken.len())
        };
        match outcome.await {
            Ok(taken) => panic!("damaged page {damage} was not noticed; {taken} events came out"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Storage, "{error:?}");
                assert!(!error.retry().is_retryable(), "{error:?}");
            }
        }
    }
}

/// A clock whose wall time can be set, and whose monotonic time follows another one.
#[derive(Clone, Debug)]
struct Jumping {
    steady: ManualClock,
    offset: Arc<AtomicI64>,
}

impl Jumping {
    fn new() -> Self {
        Self { steady: ManualClock::new(), offset: Arc::default() }
    }

    fn jump_hours(&self, hours: i64) {
        self.offset.fetch_add(hours * 3_600_000_000, Ordering::SeqCst);
    }
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.steady.now().as_micros() + self.offset.load(Ordering::SeqCst))
    }

    fn instant(&self) -> Instant {
        self.steady.instant()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.steady.sleep(duration)
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_prolongs_leases_and_delays_by_no_more_than_their_length() {
    for reopened in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let clock = Jumping::new();
        let options =
            SqliteBusOptions::new(folder.path().join("events.db")).with_clock(Arc::new(clock.clone()));
        let bus = options.clone().open().await.unwrap();
        let member = bus.subscribe(&subscription()).await.unwrap();
        bus.publish(&[event("leased", 1), event("delayed", 1)]).await.unwrap();
        for delivery in member.fetch(MANY, Duration::ZERO).await.unwrap() {
            if delivery.event.key == "delayed" {
                let reason = pumasi_core::event::Reason::new("unavailable", "later");
                let after = Duration::from_mins(1);
                member.settle(&delivery.receipt, Settlement::Retry { after, reason }).await.unwrap();
            }
        }
        clock.jump_hours(-5);
        let (bus, member) = if reopened {
            drop((member, bus));
            let bus = options.open().await.unwrap();
            let member = bus.subscribe(&subscription()).await.unwrap();
            (bus, member)
        } else {
            // Whatever is asked of the bus next notices the jump.
            bus.publish(&[Envelope::new("others", "x", State::Created, 1)]).await.unwrap();
            (bus, member)
        };
        assert!(member.fetch(MANY, Duration::ZERO).await.unwrap().is_empty(), "the lease holds");
        clock.steady.advance(Duration::from_secs(11));
        let taken = member.fetch(MANY, Duration::ZERO).await.unwrap();
        assert_eq!(taken.iter().map(|taken| taken.event.key.as_str()).collect::<Vec<_>>(), ["leased"]);
        clock.steady.advance(Duration::from_secs(50));
        let taken = member.fetch(MANY, Duration::ZERO).await.unwrap();
        assert!(taken.iter().any(|taken| taken.event.key == "delayed"), "{taken:?}");
        drop(bus);
    }
}

#[tokio::test]
async fn what_another_process_leased_by_a_clock_that_was_ahead_comes_back_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Jumping::new();
    let options = SqliteBusOptions::new(folder.path().join("events.db")).with_clock(Arc::new(clock.clone()));
    let bus = options.clone().open().await.unwrap();
    bus.publish(&[event("a", 1), event("b", 1)]).await.unwrap();
    let member = bus.subscribe(&subscription()).await.unwrap();
    // One lane is this process's, in time; the other one's holder dies with the clock an hour ahead.
    let held = member.fetch(NonZeroUsize::MIN, Duration::ZERO).await.unwrap();
    clock.jump_hours(1);
    let other = options.open().await.unwrap();
    let dying = other.subscribe(&subscription()).await.unwrap();
    let theirs = dying.fetch(MANY, Duration::ZERO).await.unwrap();
    let theirs: Vec<_> = theirs.iter().filter(|taken| taken.event.key != held[0].event.key).collect();
    assert_eq!(theirs.len(), 1);
    drop((dying, other));
    clock.jump_hours(-1);
    // Nothing is written meanwhile.
    assert!(member.fetch(MANY, Duration::ZERO).await.unwrap().is_empty(), "the lease holds");
    clock.steady.advance(Duration::from_secs(11));
    let taken = member.fetch(MANY, Duration::ZERO).await.unwrap();
    assert!(taken.iter().any(|taken| taken.event.key == theirs[0].event.key), "{taken:?}");
}

#[tokio::test]
async fn a_clock_that_goes_ahead_ends_leases_early_and_fencing_keeps_that_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Jumping::new();
    let options = SqliteBusOptions::new(folder.path().join("events.db")).with_clock(Arc::new(clock.clone()));
    let bus = options.open().await.unwrap();
    let (left, right) =
        (bus.subscribe(&subscription()).await.unwrap(), bus.subscribe(&subscription()).await.unwrap());
    bus.publish(&[event("a", 1), event("b", 1)]).await.unwrap();
    let held = left.fetch(MANY, Duration::ZERO).await.unwrap();
    clock.jump_hours(5);
    // A heartbeat before anybody else looked keeps the lease.
    let (kept, lost) = (&held[0].receipt, &held[1].receipt);
    assert!(left.renew(std::slice::from_ref(kept)).await.unwrap().is_empty());
    let stolen = right.fetch(MANY, Duration::ZERO).await.unwrap();
    assert_eq!(stolen.len(), 1);
    let refused = left.settle(lost, Settlement::Ack).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    left.settle(kept, Settlement::Ack).await.unwrap();
    right.settle(&stolen[0].receipt, Settlement::Ack).await.unwrap();
    assert_eq!(left.lag().await.unwrap().unsettled, 0);
}

#[tokio::test]
async fn old_events_go_when_no_group_needs_them_and_their_ids_stay_known() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let options = SqliteBusOptions::new(folder.path().join("events.db"))
        .with_clock(Arc::new(clock.clone()))
        .with_retention(Duration::from_hours(1))
        // not by itself when the clock moves, before the test asks for it
        .with_clean_up_every(Duration::from_hours(24))
        .with_window(2)
        // Only when it is called: the background one would race with the counts below.
        .with_clean_up_every(Duration::from_hours(9_999));
    let bus = options.open().await.unwrap();
    let member = bus.subscribe(&subscription()).await.unwrap();
    let events: Vec<_> = (1..=6).map(|version| event(&format!("key-{version}"), version)).collect();
    bus.publish(&events).await.unwrap();
    let reason = pumasi_core::event::Reason::new("invalid_input", "no body");
    for delivery in member.fetch(MANY, Duration::ZERO).await.unwrap() {
        match delivery.event.version {
            1 => {} // still held
            2 => {
                let reason = reason.clone();
                member.settle(&delivery.receipt, Settlement::DeadLetter { reason }).await.unwrap();
            }
            _ => member.settle(&delivery.receipt, Settlement::Ack).await.unwrap(),
        }
    }
    bus.publish(&[event("not-fetched", 7)]).await.unwrap();
    assert_eq!(bus.clean_up().await.unwrap(), 0, "nothing is old");
    clock.advance(Duration::from_secs(4000));
    assert_eq!(bus.clean_up().await.unwrap(), 4, "what is held, put aside or not read stays");
    assert_eq!(bus.publish(&events[4..]).await.unwrap().duplicates, 2, "the last two ids are known");
    assert_eq!(bus.publish(&events[2..3]).await.unwrap().accepted, 1, "an older one is forgotten");
    let dead = bus.dead_letters("readers", Page::default()).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(bus.replay("readers", &[dead[0].event.id]).await.unwrap(), 1);
    let mut left = drain(&member).await;
    left.sort_unstable();
    assert_eq!(left, [1, 2, 3, 7]);
}

#[tokio::test]
async fn an_event_is_part_of_the_publishers_own_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.db");
    let bus = SqliteBus::open(&path).await.unwrap();
    let member = bus.subscribe(&subscription()).await.unwrap();
    let mut own = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query("CREATE TABLE post (id INTEGER PRIMARY KEY)").execute(&mut own).await.unwrap();
    for (id, commits) in [(1_i64, false), (2, true)] {
        let mut transaction = own.begin().await.unwrap();
        sqlx::query("INSERT INTO post VALUES (?1)").bind(id).execute(&mut *transaction).await.unwrap();
        let event = event("a", u64::try_from(id).unwrap()).with_id(EventId::named("post", &id.to_string()));
        assert_eq!(bus.publish_in(&mut transaction, &[event]).await.unwrap().accepted, 1);
        if commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
    }
    let taken = member.fetch(MANY, Duration::from_secs(5)).await.unwrap();
    assert_eq!(taken.iter().map(|taken| taken.event.version).collect::<Vec<_>>(), [2]);
}
