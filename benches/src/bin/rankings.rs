//! What a leaderboard of a million members costs beside a bare ordered set that counts, and beside Redis, as JSON.
//!
//! `cargo run --release -p benches --features rankings --bin rankings -- [MEMBERS [ROUNDS]]`, with `PUMASI_REDIS_URL` for the
//! comparison with a server.
//!
//! - **bare**: `indexset::BTreeSet<(Reverse(score), member)>`. It is told the score; a service has to know it from elsewhere.
//! - **bare with a map**: the same beside a `HashMap` of scores, told the member as ours is.
//! - **ours**: `leaderboard::Ranking`. It is told the member, and tells rank, ties and, where it says so, ten neighbours.
//! - **redis**: one `ZREVRANK` or `ZADD` at a time on a sorted set of the same members. Only here is time on the wall.
//! - **store**: `SqliteBoards` with all members: how long a durable snapshot takes, and how long the slowest of the reads that
//!   went on meanwhile.
//!
//! Both sides' answers are compared before they are timed. Times are CPU time of the thread, the least of ROUNDS (5) alternating
//! rounds of 200,000 operations each.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use indexset::BTreeSet;
use pumasi_core::filter::{Circle, GeoPoint};
use pumasi_core::time::ManualClock;
use pumasi_search::geo::GeoIndex;
use pumasi_search::leaderboard::{
    Board, BoardStore, Direction, Metric, Ranking, Record, Rules, SqliteBoards,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

type Failed = Box<dyn Error>;

const OPERATIONS: usize = 200_000;
/// How far up and down neighbours are asked.
const SIDES: usize = 5;

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Nanoseconds an operation.
fn time(run: impl FnOnce()) -> f64 {
    let begun = cpu();
    run();
    (cpu() - begun) * 1e9 / OPERATIONS as f64
}

struct Contest {
    ours: Ranking<Reverse<i64>, u64>,
    bare: BTreeSet<(Reverse<i64>, u64)>,
    scores: Vec<i64>,
    map: HashMap<u64, i64>,
    random: fastrand::Rng,
}

impl Contest {
    fn new(members: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        // Some ties, as distances in metres have them.
        let scores: Vec<i64> = (0..members).map(|_| random.i64(0..20_000_000)).collect();
        let (mut ours, mut bare) = (Ranking::new(), BTreeSet::new());
        for (member, score) in scores.iter().enumerate() {
            ours.set(member as u64, Reverse(*score));
            bare.insert((Reverse(*score), member as u64));
        }
        let map = (0..).zip(scores.iter().copied()).collect();
        Self { ours, bare, scores, map, random }
    }

    fn members(&mut self) -> Vec<u64> {
        (0..OPERATIONS).map(|_| self.random.u64(..self.scores.len() as u64)).collect()
    }

    fn check(&mut self) {
        for member in self.members().into_iter().take(20_000) {
            let score = Reverse(self.scores[member as usize]);
            let place = self.ours.place(&member).expect("a member");
            assert_eq!(place.position, self.bare.rank(&(score, member)));
            assert_eq!(place.better, self.bare.rank(&(score, 0)));
        }
    }

    fn rank_ours(&mut self) -> f64 {
        let members = self.members();
        time(|| {
            for member in &members {
                black_box(self.ours.place(member));
            }
        })
    }

    fn rank_ours_with_neighbours(&mut self) -> f64 {
        let members = self.members();
        time(|| {
            for member in &members {
                let place = self.ours.place(member).expect("a member").position;
                let from = place.saturating_sub(SIDES);
                let sum: i64 = self.ours.range(from..place + SIDES + 1).map(|(score, _)| score.0).sum();
                black_box(sum);
            }
        })
    }

    /// What the bare set is asked for: members with their scores.
    fn entries(&mut self) -> Vec<(Reverse<i64>, u64)> {
        self.members().into_iter().map(|member| (Reverse(self.scores[member as usize]), member)).collect()
    }

    fn rank_bare(&mut self) -> f64 {
        let asked = self.entries();
        time(|| {
            for entry in &asked {
                black_box(self.bare.rank(entry));
            }
        })
    }

    fn rank_bare_with_a_map(&mut self) -> f64 {
        let members = self.members();
        time(|| {
            for member in &members {
                black_box(self.bare.rank(&(Reverse(self.map[member]), *member)));
            }
        })
    }

    fn rank_bare_with_neighbours(&mut self) -> f64 {
        let asked = self.entries();
        time(|| {
            for entry in &asked {
                let place = self.bare.rank(entry);
                black_box(self.bare.rank(&(entry.0, 0)));
                let from = place.saturating_sub(SIDES);
                let near = (from..=place + SIDES).filter_map(|at| self.bare.get_index(at));
                black_box(near.map(|(score, _)| score.0).sum::<i64>());
            }
        })
    }

    fn changes(&mut self) -> Vec<(u64, i64)> {
        self.members().into_iter().map(|member| (member, self.random.i64(0..20_000_000))).collect()
    }

    fn update_with_a_map(&mut self) -> f64 {
        let changes = self.changes();
        let taken = time(|| {
            for (member, score) in &changes {
                if let Some(old) = self.map.insert(*member, *score) {
                    self.bare.remove(&(Reverse(old), *member));
                }
                black_box(self.bare.insert((Reverse(*score), *member)));
            }
        });
        for (member, score) in changes {
            self.scores[member as usize] = score;
            self.ours.set(member, Reverse(score));
        }
        taken
    }

    /// Both are given the same changes, one after the other.
    fn update(&mut self) -> (f64, f64) {
        let changes = self.changes();
        let ours = time(|| {
            for (member, score) in &changes {
                black_box(self.ours.set(*member, Reverse(*score)));
            }
        });
        let bare = time(|| {
            for (member, score) in &changes {
                let old = std::mem::replace(&mut self.scores[*member as usize], *score);
                self.bare.remove(&(Reverse(old), *member));
                black_box(self.bare.insert((Reverse(*score), *member)));
            }
        });
        self.map.extend(changes);
        (ours, bare)
    }
}

fn redis(contest: &mut Contest) -> Result<Value, Failed> {
    let Ok(url) = std::env::var("PUMASI_REDIS_URL") else { return Ok(Value::Null) };
    const CALLS: usize = 20_000;
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let key = "pumasi-bench-rankings";
    redis::cmd("DEL").arg(key).query::<()>(&mut connection)?;
    for (chunk, scores) in contest.scores.chunks(10_000).enumerate() {
        let mut add = redis::cmd("ZADD");
        add.arg(key);
        for (index, score) in scores.iter().enumerate() {
            add.arg(*score).arg(chunk * 10_000 + index);
        }
        add.query::<()>(&mut connection)?;
    }
    let asked = contest.members();
    let wall = |run: &mut dyn FnMut(u64) -> Result<(), Failed>| -> Result<f64, Failed> {
        let begun = Instant::now();
        for member in asked.iter().take(CALLS) {
            run(*member)?;
        }
        Ok(begun.elapsed().as_secs_f64() * 1e9 / CALLS as f64)
    };
    let rank = wall(&mut |member| {
        let rank: u64 = redis::cmd("ZREVRANK").arg(key).arg(member).query(&mut connection)?;
        black_box(rank);
        Ok(())
    })?;
    let mut random = fastrand::Rng::with_seed(9);
    let update = wall(&mut |member| {
        let changed: u64 =
            redis::cmd("ZADD").arg(key).arg(random.i64(0..20_000_000)).arg(member).query(&mut connection)?;
        black_box(changed);
        Ok(())
    })?;
    let ours_rank = wall(&mut |member| {
        black_box(contest.ours.place(&member));
        Ok(())
    })?;
    let mut random = fastrand::Rng::with_seed(9);
    let ours_update = wall(&mut |member| {
        black_box(contest.ours.set(member, Reverse(random.i64(0..20_000_000))));
        Ok(())
    })?;
    redis::cmd("UNLINK").arg(key).query::<()>(&mut connection)?;
    Ok(json!({
        "rank_ns": rank.round(), "update_ns": update.round(),
        "ours_rank_ns": ours_rank.round(), "ours_update_ns": ours_update.round(),
        "times_faster_rank": tenth(rank / ours_rank), "times_faster_update": tenth(update / ours_update),
    }))
}

fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn hundredth(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// A store with all members: snapshots while a thread goes on reading.
async fn store(scores: &[i64], snapshots: u32) -> Result<Value, Failed> {
    let folder = tempfile::tempdir()?;
    let store: SqliteBoards<u64> = SqliteBoards::open(folder.path().join("boards.db")).await?;
    let board = Board::new("million", Rules::new(Metric::sum("metres"), Direction::HighestFirst))?;
    let begun = Instant::now();
    for (chunk, part) in scores.chunks(20_000).enumerate() {
        let records: Vec<_> = part
            .iter()
            .enumerate()
            .map(|(index, score)| {
                let member = (chunk * 20_000 + index) as u64;
                Record::new(member, "first", ManualClock::START).with("metres", *score)
            })
            .collect();
        store.submit(&board, "all", &records).await?;
    }
    let filled = begun.elapsed();
    let begun = Instant::now();
    store.list(&board, "all", 0..1).await?;
    let loaded = begun.elapsed();

    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let slowest = std::sync::Arc::new(AtomicU64::new(0));
    let (reads, members) = (std::sync::Arc::new(AtomicU64::new(0)), scores.len() as u64);
    let reader = {
        let (store, board) = (store.clone(), board.clone());
        let (stop, slowest, reads) = (stop.clone(), slowest.clone(), reads.clone());
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(1);
            while !stop.load(Relaxed) {
                let begun = Instant::now();
                let around = store.around(&board, "all", &random.u64(..members), 5).await;
                assert!(around.expect("an answer").is_some());
                slowest.fetch_max(begun.elapsed().as_nanos() as u64, Relaxed);
                if reads.fetch_add(1, Relaxed).is_multiple_of(256) {
                    tokio::task::yield_now().await;
                }
            }
        })
    };
    let mut taken = Vec::new();
    let (mut alone, mut during) = (0, 0);
    for snapshot in 0..snapshots {
        slowest.store(0, Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
        alone = alone.max(slowest.swap(0, Relaxed));
        let begun = Instant::now();
        store.snapshot(&board, "all", &format!("kept-{snapshot}")).await?;
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
        during = during.max(slowest.swap(0, Relaxed));
        let record = Record::new(1, format!("{snapshot}"), ManualClock::START).with("metres", 1);
        store.submit(&board, "all", &[record]).await?;
    }
    stop.store(true, Relaxed);
    reader.await?;
    taken.sort_by(f64::total_cmp);
    Ok(json!({
        "fill_records_per_second": (scores.len() as f64 / filled.as_secs_f64()).round(),
        "load_ms": (loaded.as_secs_f64() * 1e3).round(),
        "snapshot_ms_median": hundredth(taken[taken.len() / 2]),
        "snapshot_ms_worst": hundredth(taken[taken.len() - 1]),
        "slowest_read_us_without_snapshot": alone / 1_000,
        "slowest_read_us_during_snapshot": during / 1_000,
        "reads": reads.load(Relaxed),
    }))
}

/// Posts within 5 km, by cells and by looking at all of 300,000 posts in and around Seoul.
fn geo() -> Value {
    const POSTS: u32 = 300_000;
    let mut random = fastrand::Rng::with_seed(3);
    let mut place = || GeoPoint::new(37.2 + random.f64() * 0.6, 126.6 + random.f64() * 0.8);
    let (mut index, mut posts) = (GeoIndex::new(), Vec::new());
    for id in 0..POSTS {
        let at = place();
        index.insert(id, at);
        posts.push((id, at));
    }
    let circles: Vec<Circle> = (0..200).map(|_| Circle::new(place(), 5_000.0)).collect();
    let (mut by_cells, mut scan, mut found) = (f64::MAX, f64::MAX, 0);
    for _ in 0..3 {
        let begun = cpu();
        let near: usize = circles.iter().map(|circle| index.within(*circle).count()).sum();
        by_cells = by_cells.min(cpu() - begun);
        let begun = cpu();
        let all = |circle: &Circle| posts.iter().filter(|(_, at)| circle.holds(*at)).count();
        let scanned: usize = circles.iter().map(all).sum();
        scan = scan.min(cpu() - begun);
        assert_eq!(near, scanned);
        found = near;
    }
    json!({
        "posts": POSTS,
        "found": found / circles.len(),
        "cells_us": tenth(by_cells * 1e6 / circles.len() as f64),
        "scan_us": tenth(scan * 1e6 / circles.len() as f64),
        "ratio": (by_cells / scan * 1_000.0).round() / 1_000.0,
    })
}

fn main() -> Result<(), Failed> {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<usize>());
    let members = words.next().transpose()?.unwrap_or(1_000_000);
    let rounds = words.next().transpose()?.unwrap_or(5);
    let mut contest = Contest::new(members);
    contest.check();
    let mut least = [f64::MAX; 8];
    for _ in 0..rounds {
        let (update_ours, update_bare) = contest.update();
        let taken = [
            contest.rank_ours(),
            contest.rank_ours_with_neighbours(),
            contest.rank_bare(),
            contest.rank_bare_with_neighbours(),
            update_ours,
            update_bare,
            contest.rank_bare_with_a_map(),
            contest.update_with_a_map(),
        ];
        for (least, taken) in least.iter_mut().zip(taken) {
            *least = least.min(taken);
        }
    }
    contest.check();
    let mut snapshots: Vec<f64> = (0..9)
        .map(|_| {
            let begun = cpu();
            black_box(contest.ours.clone());
            (cpu() - begun) * 1e3
        })
        .collect();
    snapshots.sort_by(f64::total_cmp);
    let bytes = contest.ours.bytes() as f64 / members as f64;
    let redis = redis(&mut contest)?;
    let [rank, around, bare_rank, bare_around, update, bare_update, map_rank, map_update] = least;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let store = runtime.block_on(store(&contest.scores, 9))?;
    let report = json!({
        "members": members,
        "rank_ns": rank.round(),
        "rank_with_neighbours_ns": around.round(),
        "update_ns": update.round(),
        "bare": {
            "rank_ns": bare_rank.round(),
            "rank_ties_neighbours_ns": bare_around.round(),
            "update_ns": bare_update.round(),
            "rank_with_a_map_ns": map_rank.round(),
            "update_with_a_map_ns": map_update.round(),
        },
        "ratio": {
            "rank": hundredth(rank / bare_rank),
            "rank_with_neighbours_to_bare_rank": hundredth(around / bare_rank),
            "rank_with_neighbours_to_the_same_on_bare": hundredth(around / bare_around),
            "update": hundredth(update / bare_update),
            "rank_to_bare_with_a_map": hundredth(rank / map_rank),
            "update_to_bare_with_a_map": hundredth(update / map_update),
        },
        "bytes_a_member": tenth(bytes),
        "snapshot_in_memory_ms": hundredth(snapshots[snapshots.len() / 2]),
        "redis": redis,
        "store": store,
        "geo_5_km": geo(),
    });
    println!("{report:#}");
    Ok(())
}
