//! Members in processes of their own, which are killed.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use pumasi_core::conformance::Server;
use pumasi_core::conformance::process::{Crew, Part, kills};
use pumasi_core::event::{Consumer, Delivery, EventBus, EventId, Page, Shutdown, handler_fn};
use pumasi_core::resilience::Backoff;

use super::{SOON, event, on, subscription};

/// How many attempts the event has that kills its process.
const ATTEMPTS: u32 = 4;

/// Not a test: what the [`Crew`]'s processes run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the kill test with a part"]
async fn plays_a_member_that_is_killed() {
    let Some(part) = Part::given() else { return };
    let prefix = std::env::var("PUMASI_FAULT_PREFIX").unwrap();
    let url = Server::Kafka.url("a member").unwrap();
    let options =
        on(&url, &prefix).with_session_timeout(Duration::from_secs(1)).with_group_instance(&part.role);
    let bus = options.open().await.unwrap();
    let path = part.folder.join("effects");
    let handler = handler_fn(move |delivery: Delivery| {
        let path = path.clone();
        async move {
            let event = &delivery.event;
            if event.key == "poison" {
                // What was handed out together with it has time to be settled: it would lose an attempt each time as well.
                tokio::time::sleep(Duration::from_millis(300)).await;
                std::process::abort();
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..4))).await;
            let line = format!("{} {}\n", event.key, event.version);
            // Appended in one call, which other processes and a kill do not cut.
            let mut effects = File::options().append(true).create(true).open(path).unwrap();
            effects.write_all(line.as_bytes()).unwrap();
            Ok(())
        }
    });
    let consumer = Consumer::new(bus, subscription(), handler)
        .with_max_attempts(ATTEMPTS)
        .with_backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(20)));
    consumer.run(Shutdown::new()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_lost_when_members_are_killed_and_what_kills_them_is_put_aside() {
    let test = "members that are killed";
    let Some(url) = Server::Kafka.url(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let prefix = format!("test-{}.", EventId::random());
    let kills = kills(6);
    let (keys, versions) = (12_usize, u64::from(kills) * 20);
    let bus = on(&url, &prefix).open().await.unwrap();
    bus.publish(&[event("key-0", 1)]).await.unwrap();
    let roles = ["member-0", "member-1"];
    let mut members = Crew::new("event_kafka::child::plays_a_member_that_is_killed", folder.path())
        .with_environment("PUMASI_FAULT_PREFIX", &prefix);
    for role in roles {
        members.start(role).unwrap();
    }
    let publisher = bus.clone();
    let publishing = tokio::spawn(async move {
        for version in 1..=versions {
            let mut batch: Vec<_> = (0..keys).map(|key| event(&format!("key-{key}"), version)).collect();
            if version == versions / 2 {
                batch.push(event("poison", 1));
            }
            publisher.publish(&batch).await.unwrap();
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    let begun = Instant::now();
    let (mut killed, mut died, mut next) = (0, 0, Instant::now() + Duration::from_millis(800));
    let all = keys * usize::try_from(versions).unwrap();
    let effects = || std::fs::read_to_string(folder.path().join("effects")).unwrap_or_default();
    let mut done = 0;
    let mut dead = Vec::new();
    while done < all || killed < kills || dead.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        died += members.revive().unwrap();
        if killed < kills && Instant::now() >= next {
            let role = roles[fastrand::usize(..2)];
            members.kill(role).unwrap();
            members.start(role).unwrap();
            killed += 1;
            next = Instant::now() + Duration::from_millis(fastrand::u64(200..1500));
        }
        done = effects().lines().collect::<HashSet<_>>().len();
        if done == all {
            dead = bus.dead_letters("readers", Page::default()).await.unwrap();
        }
        let limit = SOON * 3 + Duration::from_secs(4) * kills;
        assert!(begun.elapsed() < limit, "{done} of {all} effects, {killed} kills, {died} deaths");
    }
    publishing.await.unwrap();
    let told: Vec<_> =
        dead.iter().map(|letter| (letter.event.key.as_str(), letter.reason.kind.as_str())).collect();
    assert_eq!(told, [("poison", "attempts")]);
    let mut order: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let (mut seen, mut repeated) = (HashSet::new(), 0);
    let effects = effects();
    for line in effects.lines() {
        if !seen.insert(line) {
            repeated += 1;
            continue;
        }
        let (key, version) = line.split_once(' ').unwrap();
        order.entry(key.to_owned()).or_default().push(version.parse().unwrap());
    }
    for (key, versions) in &order {
        assert!(versions.is_sorted(), "the order of {key} was not kept: {versions:?}");
    }
    println!(
        "{test}: {killed} killed, {died} died of the poison event, {all} events, {repeated} repeated after their effect; 0 lost, \
         order kept, poison put aside ({:.1} s)",
        begun.elapsed().as_secs_f64()
    );
}
