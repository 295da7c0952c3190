//! Locks on real servers while their holders race, die and stand still, and while the servers restart.

mod child;
mod resource;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use pumasi_core::ErrorKind;
use pumasi_core::lock::{Lock, RedisLocks};
use tokio::runtime::Runtime;

use self::child::Setting;
use crate::redis_server::RedisServer;

/// This test program as a child that plays a role with a lock.
struct Player {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Player {
    fn start(role: &str, setting: &Setting) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lock_faults::plays_its_role_as_a_child", "--ignored", "--nocapture"])
            .env("PUMASI_LOCK_ROLE", role)
            .env("PUMASI_LOCK_SETTING", setting.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// What it says next.
    fn hear(&mut self) -> Vec<String> {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "a child ended without a word");
            // the test harness may have begun the line
            if let Some((_, said)) = line.trim().split_once('@') {
                return said.split(' ').map(str::to_owned).collect();
            }
        }
    }

    fn go_on(&mut self) {
        self.input.write_all(b"go\n").unwrap();
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: the other end of [`Player::start`].
#[test]
#[ignore = "started by the fault tests with a role"]
fn plays_its_role_as_a_child() {
    if let (Ok(role), Ok(setting)) = (std::env::var("PUMASI_LOCK_ROLE"), std::env::var("PUMASI_LOCK_SETTING"))
    {
        run(child::play(&role, Setting::parse(&setting)));
    }
}

fn run(test: impl Future<Output = ()>) {
    Runtime::new().unwrap().block_on(test);
}

/// Two processes take one lock 500 times each; every holder writes twice to a resource that checks tokens.
async fn race(setting: Option<Setting>) {
    let Some(setting) = setting else { return };
    setting.resource().await.make().await;
    let began = Instant::now();
    let mut players = [Player::start("race", &setting), Player::start("race", &setting)];
    // A busy machine starts one of them long before the other.
    for player in &mut players {
        assert_eq!(player.hear(), ["ready"]);
    }
    for player in &mut players {
        player.go_on();
    }
    let mut turns = 0;
    for player in &mut players {
        let said = player.hear();
        let [rounds, refused, overlaps, alternations] =
            [0, 1, 2, 3].map(|place| said.get(place).unwrap().parse::<u32>().unwrap());
        assert_eq!((rounds, refused, overlaps), (500, 0, 0), "rounds, refused writes, two inside at once");
        turns += alternations;
    }
    // otherwise one ran after the other, and nothing was shown
    assert!(turns > 100, "the two hardly met: {turns} of 1000 grants followed the other's");
    eprintln!(
        "{setting}: 1000 grants, {turns} after the other's, 0 refused, 0 overlaps ({:.1} s)",
        began.elapsed().as_secs_f64()
    );
}

/// A holder is stopped past its lease: it cannot know, and its write is refused.
async fn stand_still(setting: Option<Setting>) {
    let Some(setting) = setting else { return };
    let setting = setting.with_lease(Duration::from_secs(5));
    let resource = setting.resource().await;
    resource.make().await;
    let mut player = Player::start("hold", &setting);
    let stale: i64 = player.hear().first().unwrap().parse().unwrap();
    // renewed while it runs
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    let lock = setting.lock().await;
    assert!(lock.try_acquire().await.unwrap().is_none(), "a lock that is renewed was granted");
    player.signal("-STOP");
    let stopped = Instant::now();
    let guard = lock.acquire(Duration::from_secs(30)).await.unwrap();
    assert!(stopped.elapsed() > Duration::from_millis(300), "granted before the lease had passed");
    assert!(guard.token().get() > stale);
    resource.begin(guard.token()).await.unwrap();
    player.signal("-CONT");
    player.go_on();
    assert_eq!(player.hear(), ["refused", "lost"], "what became of the write of a holder that stood still");
    assert!(resource.end(guard.token()).await, "the new holder's write was refused");
    guard.release().await.unwrap();
}

/// A holder of a lease is killed: how long until the lock is free.
async fn die(setting: Option<Setting>, lease: Duration, at_most: Duration) {
    let Some(setting) = setting else { return };
    let setting = setting.with_lease(lease);
    setting.resource().await.make().await;
    let mut player = Player::start("hold", &setting);
    let dead: i64 = player.hear().first().unwrap().parse().unwrap();
    let lock = setting.lock().await;
    assert!(lock.try_acquire().await.unwrap().is_none());
    player.signal("-KILL");
    let killed = Instant::now();
    let guard = lock.acquire(Duration::from_secs(20)).await.unwrap();
    assert!(killed.elapsed() < at_most, "free only after {:?}", killed.elapsed());
    assert!(guard.token().get() > dead);
    guard.release().await.unwrap();
}

#[test]
fn two_processes_race_a_thousand_times_on_redis() {
    run(async { race(Setting::redis("a race for a lock on Redis")).await });
}

#[test]
fn two_processes_race_a_thousand_times_on_postgres() {
    run(async { race(Setting::postgres("a race for a lock on PostgreSQL").await).await });
}

#[test]
fn a_holder_that_stood_still_past_its_lease_is_refused_on_redis() {
    run(async { stand_still(Setting::redis("a stopped holder of a lock on Redis")).await });
}

#[test]
fn a_holder_that_stood_still_past_its_lease_is_refused_on_postgres() {
    run(async { stand_still(Setting::postgres("a stopped holder of a lock on PostgreSQL").await).await });
}

#[test]
fn a_killed_holders_lock_is_free_after_its_lease_on_redis() {
    let (lease, limit) = (Duration::from_secs(2), Duration::from_secs(15));
    run(async { die(Setting::redis("a killed holder of a lock on Redis"), lease, limit).await });
}

#[test]
fn a_killed_holders_lock_is_free_at_once_on_postgres() {
    let (lease, limit) = (Duration::from_mins(1), Duration::from_secs(15));
    run(async {
        die(Setting::postgres("a killed holder of a lock on PostgreSQL").await, lease, limit).await;
    });
}

#[test]
fn a_session_that_the_server_ends_is_a_lost_lock() {
    run(async {
        let Some(setting) = Setting::postgres("an ended session with a lock on PostgreSQL").await else {
            return;
        };
        let setting = setting.with_lease(Duration::from_secs(15));
        let (lock, pool) = (setting.lock().await, setting.pool().await);
        let guard = lock.acquire(Duration::ZERO).await.unwrap();
        // what a restart of the server does to every session; the setting tells this one from others
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()",
        )
        .bind(setting.name())
        .execute(&pool)
        .await
        .unwrap();
        // before the lease ends
        tokio::time::timeout(Duration::from_secs(12), guard.lost()).await.expect("the loss was not told");
        // spare connections may have been ended too, and are replaced unseen
        let next = lock.acquire(Duration::from_secs(20)).await.unwrap();
        assert!(next.token() > guard.token());
        assert_eq!(guard.release().await.unwrap_err().kind(), ErrorKind::Conflict);
        next.release().await.unwrap();
    });
}

#[test]
fn tokens_grow_although_redis_forgot_everything() {
    run(async {
        let Some(mut server) = RedisServer::start("a Redis that forgets a lock", &[]).await else { return };
        let lock =
            Lock::new(RedisLocks::open(&server.url()).unwrap(), "a").with_lease(Duration::from_secs(3));
        let guard = lock.acquire(Duration::ZERO).await.unwrap();
        server.kill();
        server.begin(&[]);
        let deadline = Instant::now() + Duration::from_secs(30);
        let next = loop {
            match lock.try_acquire().await {
                Ok(Some(guard)) => break guard,
                Ok(None) => panic!("a server without data holds a lock"),
                Err(error) => assert!(error.retry().is_retryable(), "{error}"),
            }
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(next.token() > guard.token(), "the resource would refuse the new holder");
        tokio::time::timeout(Duration::from_secs(20), guard.lost()).await.expect("the loss was not told");
        next.release().await.unwrap();
    });
}
