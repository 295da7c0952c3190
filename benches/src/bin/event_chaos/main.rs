//! Producers, relays and consumers that are killed while 100,000 events go from a database through an outbox, a bus and
//! an inbox into effects; then every event is counted.
//!
//! ```console
//! $ cargo run --release -p benches --features chaos --bin event_chaos -- --bus sqlite --events 100000 --kills 100
//! ```
//!
//! Members are killed by chance until `--kills` of each kind have been. `--bus sqlite|redis|kafka` says which bus carries
//! the events, `--database sqlite|postgres` where outbox, inbox and effects lie (default: `sqlite`). Servers are named by
//! `PUMASI_POSTGRES_URL`, `PUMASI_REDIS_URL` and `PUMASI_KAFKA_URL` (`scripts/services env`). One JSON object is printed;
//! the exit code is 1 if anything was lost, doubled or out of order. `--plant no-inbox` and `--plant no-outbox` leave a
//! safeguard out, to see that the count notices.

mod bus;
mod check;
mod database;
mod parts;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pumasi_core::conformance::process::{Crew, Part};
use serde_json::json;

use self::bus::Bus;
use self::database::Database;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What was asked for on the command line; the parts read it from the environment.
#[derive(Clone, Debug)]
struct Setup {
    bus: String,
    database: String,
    events: i64,
    kills: u32,
    seed: u64,
    plant: String,
    /// Names the schema, the key prefix and the topic of this run.
    run: String,
}

impl Setup {
    const VARIABLES: [&'static str; 7] = ["BUS", "DATABASE", "EVENTS", "KILLS", "SEED", "PLANT", "RUN"];

    fn values(&self) -> [String; 7] {
        [
            self.bus.clone(),
            self.database.clone(),
            self.events.to_string(),
            self.kills.to_string(),
            self.seed.to_string(),
            self.plant.clone(),
            self.run.clone(),
        ]
    }

    fn from_arguments(arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut setup = Self {
            bus: "sqlite".to_owned(),
            database: "sqlite".to_owned(),
            events: 100_000,
            kills: 100,
            seed: u64::from(std::process::id()),
            plant: "nothing".to_owned(),
            run: format!("chaos_{}", std::process::id()),
        };
        let mut arguments = arguments.peekable();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} has no value"))?;
            match name.as_str() {
                "--bus" => setup.bus = value,
                "--database" => setup.database = value,
                "--events" => setup.events = value.parse()?,
                "--kills" => setup.kills = value.parse()?,
                "--seed" => setup.seed = value.parse()?,
                "--plant" => setup.plant = value,
                other => return Err(format!("{other} is no option").into()),
            }
        }
        let known = [
            ("--bus", &setup.bus, &["sqlite", "redis", "kafka"][..]),
            ("--database", &setup.database, &["sqlite", "postgres"]),
            ("--plant", &setup.plant, &["nothing", "no-inbox", "no-outbox"]),
        ];
        for (name, value, values) in known {
            if !values.contains(&value.as_str()) {
                return Err(format!("{name} is one of {values:?}, not {value}").into());
            }
        }
        Ok(setup)
    }

    fn from_environment() -> Result<Self, Failure> {
        let read = |name: &str| std::env::var(format!("PUMASI_CHAOS_{name}"));
        Ok(Self {
            bus: read("BUS")?,
            database: read("DATABASE")?,
            events: read("EVENTS")?.parse()?,
            kills: read("KILLS")?.parse()?,
            seed: read("SEED")?.parse()?,
            plant: read("PLANT")?,
            run: read("RUN")?,
        })
    }
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if let Some(part) = Part::given() {
        return runtime.block_on(parts::play(&part, &Setup::from_environment()?));
    }
    let setup = Setup::from_arguments(std::env::args().skip(1))?;
    fastrand::seed(setup.seed);
    let folder = tempfile::tempdir()?;
    let begun = Instant::now();
    let database = runtime.block_on(Database::create(&setup, folder.path()))?;
    let outcome = play(&setup, folder.path(), &runtime, &database).and_then(|crew| {
        let found = runtime.block_on(check::check(&setup, folder.path(), &database))?;
        Ok((crew, found))
    });
    runtime.block_on(database.remove())?;
    let (killed, found) = outcome?;
    println!(
        "{}",
        json!({
            "bus": setup.bus, "database": setup.database, "seed": setup.seed, "planted": setup.plant,
            "seconds": begun.elapsed().as_secs_f64().round(), "killed": killed,
            "acknowledged": found.acknowledged, "committed": found.committed, "effects": found.effects,
            "dead_letters": found.dead_letters, "handled_again": found.handled_again,
            "lost": found.lost, "doubled": found.doubled, "out_of_order": found.out_of_order,
        })
    );
    drop(folder); // which leaving by `exit` would not do
    std::process::exit(i32::from(!found.is_clean()));
}

/// Kills members until all events are written and everybody was killed often enough; then lets the rest be worked off.
fn play(
    setup: &Setup,
    folder: &std::path::Path,
    runtime: &tokio::runtime::Runtime,
    database: &Database,
) -> Result<serde_json::Value, Failure> {
    let mut crew = Crew::new("unused", folder);
    for (name, value) in Setup::VARIABLES.into_iter().zip(setup.values()) {
        crew = crew.with_environment(format!("PUMASI_CHAOS_{name}"), value);
    }
    let roles = ["producer-0", "producer-1", "relay-0", "relay-1", "consumer-0", "consumer-1"];
    for role in roles {
        crew.start(role)?;
    }
    let deadline = Instant::now() + Duration::from_secs(60 * 60);
    let mut killed = BTreeMap::from([("producer", 0), ("relay", 0), ("consumer", 0)]);
    let pause = match setup.bus.as_str() {
        // A member that comes and goes moves partitions; the group needs a moment in between.
        "kafka" => 300..2000,
        _ => 50..1200,
    };
    loop {
        let written = runtime.block_on(database.committed())?;
        let enough = killed.values().all(|kills| *kills >= setup.kills);
        if enough && written >= setup.events {
            break;
        }
        if Instant::now() > deadline {
            return Err(format!("{written} events written after an hour: {}", crew.said()).into());
        }
        std::thread::sleep(Duration::from_millis(fastrand::u64(pause.clone())));
        crew.check()?;
        if !enough {
            let role = roles[fastrand::usize(..roles.len())];
            crew.kill(role)?;
            crew.start(role)?;
            let kind = role.split('-').next().and_then(|kind| killed.get_mut(kind));
            *kind.ok_or("a role of another kind")? += 1;
        }
    }
    crew.kill_all()?;
    crew.finish("finisher", Duration::from_secs(15 * 60))?;
    Ok(json!(killed))
}
