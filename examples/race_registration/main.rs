//! A race registration behind one endpoint: what is answered, what is held and paid, what is undone, and a crash in the middle.
//!
//! ```sh
//! cargo run --example race_registration
//! ```
//!
//! prints the saga as a Mermaid diagram, then five registrations: one to its end, one that is undone because the participant is
//! not eligible, one whose payment comes after its deadline and is refunded, one that finds the race full, and one whose process
//! is killed (SIGKILL) between starting the payment and recording that: the next process asks the gateway, hears that it was
//! started, and goes on.
//!
//! Time is virtual, so that it prints the same each time. The first four are kept in memory, the last one in a file, as a service
//! would.

mod race;
mod saga;
mod steps;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::time::ManualClock;
use pumasi_saga::store::{MemoryStore, SagaStore, SqliteStoreOptions};
use pumasi_saga::{Engine, EngineOptions, SagaHandle, Signal, View};

use race::Race;
use saga::{AgreeTerms, ChooseSouvenir, PaymentCompleted, RegistrationKey, ShippingAddress, registration};
use support::say;

type Registrations = SagaHandle<RegistrationKey, Race>;
type Told = Result<(), Box<dyn Error>>;

/// What the process says that is to be killed.
const IN_THE_MIDDLE: &str = "  the payment is started, and that is not recorded yet";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Told {
    let mut words = std::env::args().skip(1);
    if let (Some("until-killed"), Some(folder)) = (words.next().as_deref(), words.next()) {
        return until_killed(Path::new(&folder)).await;
    }
    in_memory().await?;
    killed_in_the_middle().await
}

/// One process of the service: an engine over a store.
fn desk(
    store: impl SagaStore + 'static,
    race: &Race,
    clock: &ManualClock,
) -> pumasi_saga::Result<Registrations> {
    let options = EngineOptions::new().with_clock(Arc::new(clock.clone())).inline();
    Engine::with_options(store, race.clone(), options).register(registration()?)
}

async fn in_memory() -> Told {
    let (clock, race) = (ManualClock::new(), Race::new(2));
    let registrations = desk(MemoryStore::with_clock(Arc::new(clock.clone())), &race, &clock)?;
    say!("{}", registrations.definition()?.mermaid());

    say!("민수 registers:");
    let minsu = RegistrationKey::new("민수", "서울마라톤");
    show(&registrations.start(&minsu).await?);
    answer_all(&registrations, &minsu).await?;
    show(&registrations.advance(&minsu, paid("evt-1")).await?);
    say!("  the same webhook again:");
    show(&registrations.advance(&minsu, paid("evt-1")).await?);
    race.print();

    say!("\nJane is not eligible, which turns out after she paid:");
    let jane = RegistrationKey::new("Jane", "서울마라톤");
    race.bar("Jane");
    answer_all(&registrations, &jane).await?;
    show(&registrations.advance(&jane, paid("evt-2")).await?);
    race.print();

    say!("\n지우 pays after the deadline:");
    let jiwoo = RegistrationKey::new("지우", "서울마라톤");
    answer_all(&registrations, &jiwoo).await?;
    clock.advance(Duration::from_mins(16));
    registrations.engine().run_due().await?;
    show(&registrations.view(&jiwoo).await?);
    show(&registrations.advance(&jiwoo, paid("evt-3")).await?);
    race.print();

    say!("\n서연 takes the last place, and Alex finds the race full:");
    for name in ["서연", "Alex"] {
        answer_all(&registrations, &RegistrationKey::new(name, "서울마라톤")).await?;
    }
    race.print();
    Ok(())
}

async fn killed_in_the_middle() -> Told {
    say!("\n하나's process is killed in the middle:");
    let folder = tempfile::tempdir()?;
    let mut process = Command::new(std::env::current_exe()?);
    let mut process = process.arg("until-killed").arg(folder.path()).stdout(Stdio::piped()).spawn()?;
    let said = process.stdout.take().ok_or("the process says nothing")?;
    for line in BufReader::new(said).lines() {
        let line = line?;
        say!("{line}");
        if line == IN_THE_MIDDLE {
            process.kill()?;
        }
    }
    say!("  the process ended: {}", process.wait()?);

    // The lease of a worker that is dead is over after 30 seconds.
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(31));
    let race = Race::open(&folder.path().join("partners.json"))?;
    let registrations = desk(open(folder.path(), &clock).await?, &race, &clock)?;
    say!("  the next process takes over {} registration:", registrations.engine().run_due().await?);
    let hana = RegistrationKey::new("하나", "서울마라톤");
    show(&registrations.view(&hana).await?);
    show(&registrations.advance(&hana, paid("evt-4")).await?);
    race.print();
    say!("\n하나's registration, drawn:\n{}", registrations.snapshot(&hana).await?.mermaid());
    Ok(())
}

/// The process that is killed.
async fn until_killed(folder: &Path) -> Told {
    let (clock, race) = (ManualClock::new(), Race::open(&folder.join("partners.json"))?);
    let registrations = desk(open(folder, &clock).await?, &race, &clock)?;
    race.fall_silent_after_payment();
    let hana = RegistrationKey::new("하나", "서울마라톤");
    tokio::select! {
        _ = answer_all(&registrations, &hana) => return Err("the payment was answered".into()),
        () = race.silence() => say!("{IN_THE_MIDDLE}"),
    }
    std::future::pending().await
}

async fn open(folder: &Path, clock: &ManualClock) -> pumasi_saga::Result<impl SagaStore + use<>> {
    SqliteStoreOptions::new(folder.join("sagas.db")).with_clock(Arc::new(clock.clone())).open().await
}

/// What a participant answers, in the order of the screens.
async fn answer_all(registrations: &Registrations, key: &RegistrationKey) -> pumasi_saga::Result<()> {
    show(&registrations.advance(key, AgreeTerms { agreed: true }).await?);
    show(&registrations.advance(key, ChooseSouvenir { souvenir: "티셔츠 M".to_owned() }).await?);
    show(&registrations.advance(key, ShippingAddress { city: "서울".to_owned() }).await?);
    Ok(())
}

/// What the payment gateway sends.
fn paid(event: &str) -> Signal {
    Signal::from(PaymentCompleted { amount_krw: 35_000 }).with_id(event)
}

fn show(view: &View) {
    let next = view.next.as_deref().map(|next| format!(", needs {next}")).unwrap_or_default();
    let deadline = view.deadline.map(|at| format!(" by {at}")).unwrap_or_default();
    let reason = view.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    say!("  {}{next}{deadline}{reason}", view.status);
}
