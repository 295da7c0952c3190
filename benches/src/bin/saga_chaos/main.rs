//! Sagas whose workers are killed and stopped, and whose server is restarted and cut off, until enough of that has happened;
//! then every effect is counted, in a ledger that the engine knows nothing of.
//!
//! ```console
//! $ cargo run --release -p benches --features saga-chaos --bin saga_chaos -- --store embedded --kills 200 --seed 7
//! ```
//!
//! | option | default | what happens |
//! |---|---|---|
//! | `--store` | `embedded` | `embedded`, `postgres` or `redis`; the servers are named by `PUMASI_POSTGRES_URL` and `PUMASI_REDIS_URL` |
//! | `--kills N` | 100 | one of two workers is killed (SIGKILL) and started again, by chance |
//! | `--stops N` | 0 | a worker is stopped (SIGSTOP) for three leases, and goes on (SIGCONT) |
//! | `--stands N` | 0 | a worker stops itself in the middle of making a child, undoing it or making it anew, for three leases; or is killed there |
//! | `--restarts N` | 0 | a server of this run's own is ended every 2 s and started again (needs a local copy: `scripts/services`) |
//! | `--cuts N` | 0 | a connection to the server is cut after it has done what it was asked, and before it can say so |
//! | `--sagas N` | 2000 | goes on until so many were acknowledged |
//! | `--in-flight N` | 48 | so many sagas are under way at the same time |
//! | `--retention S` | – | what has ended is purged after S seconds, with 0 forgotten at once; without it everything is kept |
//! | `--seed S` | by chance | draws who is killed when, and how the partner behaves |
//! | `--plant WHAT` | – | leaves a safeguard out, to see that the count notices: `no-fencing`; `rows-apart`, which writes the rows of a step in a transaction beside that; `undone-child-is-begun-late` and `newer-child-is-undone`, by a worker that stood still |
//!
//! The workers run the engine, with a lease of a second: they start every saga, send its payment twice or call it off, decide about
//! those that need a person, and write down what was acknowledged. A saga has another one as a step (unless there is a retention, which
//! would have to outlast its parent), which some undo and make again, and some come to when they are begun anew; and on PostgreSQL a step
//! in the store's own transaction. The partner answers late, not at all, or by an error although it did what it was asked. One JSON object is
//! printed; the exit code is 1 if anything was lost, doubled, undone out of order or undone past its pivot.

mod bank;
mod check;
mod parts;
mod proxy;
mod sagas;
mod server;
mod stand;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pumasi_core::conformance::process::{Crew, Part};
use pumasi_saga::planted::{self, Bug};
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::proxy::Proxy;
use crate::server::Private;
use crate::stand::Standing;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The lease of the workers.
const LEASE: Duration = Duration::from_secs(1);
const ROLES: [&str; 2] = ["worker-0", "worker-1"];

/// What was asked for on the command line; the workers read it from the environment.
#[derive(Clone, Debug)]
struct Setup {
    store: String,
    plant: String,
    /// Where the server is.
    url: String,
    /// Names the schema and the key prefix of this run.
    run: String,
    kills: u64,
    stops: u64,
    stands: u64,
    restarts: u64,
    cuts: u64,
    sagas: u64,
    in_flight: u64,
    retention: Option<Duration>,
    seed: u64,
}

impl Setup {
    const TEXTS: [&str; 7] = ["STORE", "PLANT", "URL", "RUN", "IN_FLIGHT", "RETENTION", "STANDS"];

    fn from_arguments(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut setup = Self {
            store: "embedded".to_owned(),
            plant: "nothing".to_owned(),
            url: String::new(),
            run: format!("saga_chaos_{}", std::process::id()),
            kills: 100,
            stops: 0,
            stands: 0,
            restarts: 0,
            cuts: 0,
            sagas: 2_000,
            in_flight: 48,
            retention: None,
            seed: u64::from(std::process::id()),
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} has no value"))?;
            match name.as_str() {
                "--store" => setup.store = value,
                "--plant" => setup.plant = value,
                "--kills" => setup.kills = value.parse()?,
                "--stops" => setup.stops = value.parse()?,
                "--stands" => setup.stands = value.parse()?,
                "--restarts" => setup.restarts = value.parse()?,
                "--cuts" => setup.cuts = value.parse()?,
                "--sagas" => setup.sagas = value.parse()?,
                "--in-flight" => setup.in_flight = value.parse()?,
                "--retention" => setup.retention = Some(Duration::from_secs(value.parse()?)),
                "--seed" => setup.seed = value.parse()?,
                other => return Err(format!("{other} is no option").into()),
            }
        }
        if !["embedded", "postgres", "redis"].contains(&setup.store.as_str()) {
            return Err(format!("there is no store {}", setup.store).into());
        }
        if setup.store == "embedded" && setup.restarts + setup.cuts > 0 {
            return Err("the embedded store has no server".into());
        }
        if setup.retention.is_some() && setup.stands > 0 {
            return Err("without children nobody can stand still at one".into());
        }
        if !["nothing", "no-fencing", "rows-apart"].contains(&setup.plant.as_str()) && setup.bug().is_none() {
            return Err(format!("{} cannot be planted", setup.plant).into());
        }
        Ok(setup)
    }

    /// Returns the bug of the engine's that is planted, if one is.
    fn bug(&self) -> Option<Bug> {
        match self.plant.as_str() {
            "undone-child-is-begun-late" => Some(Bug::UndoneChildIsBegunLate),
            "newer-child-is-undone" => Some(Bug::NewerChildIsUndone),
            _ => None,
        }
    }

    /// Tells whether orders have children: those have to be kept for as long as their parents may go back.
    fn has_children(&self) -> bool {
        self.retention.is_none()
    }

    fn texts(&self) -> [String; 7] {
        let retention = self.retention.map(|retention| retention.as_secs().to_string());
        [
            self.store.clone(),
            self.plant.clone(),
            self.url.clone(),
            self.run.clone(),
            self.in_flight.to_string(),
            retention.unwrap_or_default(),
            self.stands.to_string(),
        ]
    }

    fn from_environment() -> Result<Self, Failure> {
        let read = |name: &str| std::env::var(format!("PUMASI_CHAOS_{name}"));
        let setup = Self::from_arguments(["--seed".to_owned(), read("SEED")?].into_iter())?;
        let [store, plant, url, run, in_flight, retention, stands] = Self::TEXTS.map(read);
        let (in_flight, stands) = (in_flight?.parse()?, stands?.parse()?);
        let retention = retention?.parse().ok().map(Duration::from_secs);
        Ok(Self { store: store?, plant: plant?, url: url?, run: run?, in_flight, retention, stands, ..setup })
    }
}

fn main() -> Result<(), Failure> {
    if let Some(part) = Part::given() {
        let setup = Setup::from_environment()?;
        planted::plant(setup.bug());
        return runtime(setup.bug().is_some())?.block_on(parts::play(&part, &setup));
    }
    let runtime = runtime(false)?;
    let mut setup = Setup::from_arguments(std::env::args().skip(1))?;
    fastrand::seed(setup.seed);
    let folder = tempfile::tempdir()?;
    let begun = Instant::now();
    let server = (setup.restarts > 0).then(|| Private::start(&setup.store)).transpose()?;
    let real = match (&server, setup.store.as_str()) {
        (Some(server), _) => server.url().to_owned(),
        (None, "postgres") => std::env::var("PUMASI_POSTGRES_URL")?,
        (None, "redis") => std::env::var("PUMASI_REDIS_URL")?,
        _ => String::new(),
    };
    let proxy = Proxy::default();
    setup.url = match setup.cuts {
        0 => real.clone(),
        _ => runtime.block_on(proxy.before(&real))?,
    };
    runtime.block_on(parts::prepare(&setup, folder.path()))?;
    // The server goes when everything is counted.
    let (done, _server) = play(&setup, folder.path(), server.map(Arc::new), &proxy)?;
    setup.url = real;
    let found = runtime.block_on(check::check(&setup, folder.path()))?;
    let mut report = json!({
        "store": setup.store, "seed": setup.seed, "planted": setup.plant,
        "seconds": begun.elapsed().as_secs_f64().round(),
    });
    for part in [done, found.report()] {
        if let (Value::Object(report), Value::Object(part)) = (&mut report, part) {
            report.extend(part);
        }
    }
    println!("{report}");
    for wrong in found.wrong.iter().take(10) {
        eprintln!("{wrong}");
    }
    runtime.block_on(parts::clear(&setup))?;
    drop(folder); // which leaving by `exit` would not do
    std::process::exit(i32::from(!found.wrong.is_empty()));
}

/// A bug is planted in a thread.
fn runtime(on_one_thread: bool) -> std::io::Result<Runtime> {
    match on_one_thread {
        true => Builder::new_current_thread().enable_all().build(),
        false => Builder::new_multi_thread().worker_threads(2).enable_all().build(),
    }
}

/// Does to the workers and to their server what was asked for, and lets the rest be worked off.
fn play(
    setup: &Setup,
    folder: &Path,
    server: Option<Arc<Private>>,
    proxy: &Proxy,
) -> Result<(Value, Option<Arc<Private>>), Failure> {
    let mut crew = Crew::new("unused", folder).with_environment("PUMASI_CHAOS_SEED", setup.seed.to_string());
    for (name, value) in Setup::TEXTS.into_iter().zip(setup.texts()) {
        crew = crew.with_environment(format!("PUMASI_CHAOS_{name}"), value);
    }
    for role in ROLES {
        crew.start(role)?;
    }
    let restarts = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let restarter = server.map(|server| {
        let (restarts, over) = (Arc::clone(&restarts), Arc::clone(&over));
        std::thread::spawn(move || -> Result<Arc<Private>, Failure> {
            while !over.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_secs(2));
                let signal = if restarts.fetch_add(1, Ordering::SeqCst) % 2 == 0 { "QUIT" } else { "INT" };
                server.restart(signal)?;
            }
            Ok(server)
        })
    });
    let deadline = Instant::now() + Duration::from_secs(60 * 60);
    let (mut kills, mut stops, mut stood) = (0, 0, Stood::default());
    loop {
        let acknowledged = parts::acknowledged(folder);
        let (restarted, cut) = (restarts.load(Ordering::SeqCst), proxy.cut());
        let enough = kills >= setup.kills && stops >= setup.stops && stood.all() >= setup.stands;
        let enough = enough && acknowledged >= setup.sagas;
        if enough && restarted >= setup.restarts && cut >= setup.cuts {
            break;
        }
        if Instant::now() > deadline {
            return Err(format!("{acknowledged} sagas acknowledged after an hour: {}", crew.said()).into());
        }
        std::thread::sleep(Duration::from_millis(fastrand::u64(50..700)));
        crew.check()?;
        if stood.all() < setup.stands {
            stood.look(&mut crew, folder, setup.stands)?;
        }
        if setup.cuts > cut {
            proxy.cut_next();
        }
        let role = ROLES[fastrand::usize(..ROLES.len())];
        if stops < setup.stops && (kills >= setup.kills || fastrand::bool()) {
            stops += 1;
            stop(&crew, role)?;
        } else if kills < setup.kills {
            kills += 1;
            crew.kill(role)?;
            crew.start(role)?;
        }
    }
    over.store(true, Ordering::SeqCst);
    let restarted = restarts.load(Ordering::SeqCst);
    let server = restarter.map(|restarter| restarter.join().map_err(|_| "the restarter panicked"));
    let server = server.transpose()?.transpose()?;
    crew.kill_all()?;
    let over = Instant::now();
    crew.finish("finisher", Duration::from_secs(10 * 60))?;
    let done = json!({
        "killed": kills, "stopped": stops, "stood": stood.report(), "restarts": restarted, "cuts": proxy.cut(),
        "seconds_until_all_ended": over.elapsed().as_secs_f64(),
    });
    Ok((done, server))
}

/// Stops a worker for three leases: the other one takes its sagas.
fn stop(crew: &Crew, role: &str) -> Result<(), Failure> {
    for (signal, pause) in [("-STOP", LEASE * 3), ("-CONT", LEASE)] {
        send(crew, role, signal)?;
        std::thread::sleep(pause);
    }
    Ok(())
}

fn send(crew: &Crew, role: &str, signal: &str) -> Result<(), Failure> {
    let id = crew.id(role).ok_or("nobody plays that part")?.to_string();
    match Command::new("kill").args([signal, &id]).status()?.success() {
        true => Ok(()),
        false => Err(format!("{signal} of {role}: {}", crew.said()).into()),
    }
}

/// The workers that stood still in the middle of something.
#[derive(Default)]
struct Stood {
    /// By where, and those that were killed there.
    at: BTreeMap<String, [u64; 2]>,
}

impl Stood {
    fn all(&self) -> u64 {
        self.at.values().flatten().sum()
    }

    /// Looks whether a worker stands still: it goes on when its sagas have gone to the other one, or is killed.
    fn look(&mut self, crew: &mut Crew, folder: &Path, wanted: u64) -> Result<(), Failure> {
        let Some(Standing { process, place }) = stand::standing(folder) else { return Ok(()) };
        if let Some(role) = ROLES.into_iter().find(|role| crew.id(role) == Some(process)) {
            let is_killed = fastrand::bool();
            if is_killed {
                crew.kill(role)?;
                crew.start(role)?;
            } else {
                std::thread::sleep(LEASE * 3);
                send(crew, role, "-CONT")?;
            }
            self.at.entry(place).or_default()[usize::from(is_killed)] += 1;
        }
        // Nobody can do so any more while this is not called.
        if self.all() < wanted { Ok(stand::next(folder)?) } else { Ok(()) }
    }

    fn report(&self) -> Value {
        let places = self.at.iter().map(|(place, [went_on, killed])| {
            (place.clone(), json!({ "went_on": went_on, "killed": killed }))
        });
        Value::Object(places.collect::<Map<_, _>>())
    }
}

/// The files of a worker's own, one for each of its lives.
fn files(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect()
}
