//! A race registration behind one endpoint: what is answered, what is held and paid, what is undone, and a crash in the middle.
//!
//! ```sh
//! cargo run --example race_registration                     the story, in some seconds
//! cargo run --example race_registration -- serve            the service, with a page at http://127.0.0.1:8790
//! cargo run --example race_registration -- token 민수        a token for the service, if PUMASI_TOKEN_KEY is set
//! ```
//!
//! The story prints the saga as a Mermaid diagram, then five registrations: one to its end, one that is undone because the
//! participant is not eligible, one whose payment comes after its deadline and is refunded, one that finds the race full, and one
//! whose process is killed (SIGKILL) between starting the payment and recording that: the next process asks the gateway, hears
//! that it was started, and goes on. Time is virtual, so that it prints the same each time. The first four are kept in memory, the
//! last one in a file.
//!
//! The service runs the same definition, with partners in a database:
//!
//! - An *organiser* makes races, first come first served or by a lottery that anybody can draw again, watches every registration
//!   (status, steps, history, diagram), and decides where one stands still: retry, skip, force, roll back, cancel, each with who and why.
//! - A *runner* registers by one endpoint, `POST /races/{race}/registration`: it takes an answer and says what is needed next.
//! - The payment gateway tells by a signed webhook, `POST /payments/webhook` ([Standard Webhooks](https://www.standardwebhooks.com)).
//!   What comes twice is answered alike; what comes too late is given back. The page plays the gateway, too.
//!
//! | variable | |
//! |---|---|
//! | `PUMASI_TOKEN_KEY` | signs and checks tokens (JWT, HS256; claims `sub`, `role`: `organiser` or `runner`, `aud`: `race_registration`, `exp`). Without it the key is random, and the page hands out tokens to whoever asks: for development |
//! | `PAYMENT_WEBHOOK_SECRET` | signs the gateway's webhooks. Without it the secret is random, and no gateway can tell of payments; where the key of tokens is random, too, or with `--play-gateway`, the page plays the gateway |
//! | `RUST_LOG` | what is logged (JSON lines on standard error), by default `info` |
//!
//! Everything is kept in one folder, `--data`: what was acknowledged is there after a SIGKILL, and goes on by itself.

mod partners;
mod race;
mod saga;
mod serve;
mod steps;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use pumasi_core::time::ManualClock;
use pumasi_saga::store::{MemoryStore, SagaStore, SqliteStoreOptions};
use pumasi_saga::{Engine, EngineOptions, SagaHandle, Signal, View};

use race::Race;
use saga::{AgreeTerms, ChooseSouvenir, PaymentCompleted, RegistrationKey, ShippingAddress, registration};
use support::say;
use support::tokens::LIFETIME;

type Registrations = SagaHandle<RegistrationKey, Race>;
type Told = Result<(), Box<dyn Error>>;

/// What the process says that is to be killed.
const IN_THE_MIDDLE: &str = "  the payment is started, and that is not recorded yet";

/// How long the gateway may take to tell of a payment.
const FOR_THE_PAYMENT: Duration = Duration::from_mins(15);

#[derive(Parser)]
#[command(about = "Takes registrations for races to their end, or back")]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Serves the API and a page.
    Serve(serve::Options),
    /// Prints a token that the service takes, signed with `PUMASI_TOKEN_KEY`.
    Token(serve::TokenOptions),
    /// The process of the story that is killed.
    #[command(hide = true)]
    UntilKilled { folder: PathBuf },
}

fn main() -> ExitCode {
    let what = Args::parse().what;
    let mut builder = match what {
        Some(What::Serve(_)) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let told = match builder.enable_all().build() {
        Ok(runtime) => runtime.block_on(run(what)),
        Err(error) => Err(error.into()),
    };
    support::print::ended("race_registration", told)
}

async fn run(what: Option<What>) -> Told {
    match what {
        Some(What::Serve(options)) => serve::run(options).await,
        Some(What::Token(options)) => options.print("race_registration", LIFETIME),
        Some(What::UntilKilled { folder }) => until_killed(&folder).await,
        None => {
            in_memory().await?;
            killed_in_the_middle().await
        }
    }
}

/// One process of the service: an engine over a store.
fn desk(
    store: impl SagaStore + 'static,
    race: &Race,
    clock: &ManualClock,
) -> pumasi_saga::Result<Registrations> {
    let options = EngineOptions::new().with_clock(Arc::new(clock.clone())).inline();
    Engine::with_options(store, race.clone(), options).register(registration(FOR_THE_PAYMENT)?)
}

async fn in_memory() -> Told {
    let (clock, race) = (ManualClock::new(), Race::new(2));
    let registrations = desk(MemoryStore::with_clock(Arc::new(clock.clone())), &race, &clock)?;
    say!("{}", registrations.definition()?.mermaid());

    say!("민수 registers:");
    let minsu = RegistrationKey::new("민수", "서울마라톤");
    show(&registrations.start(&minsu).await?);
    answer_all(&registrations, &minsu).await?;
    show(&registrations.advance(&minsu, paid("evt-1", "pay-1")).await?);
    say!("  the same webhook again:");
    show(&registrations.advance(&minsu, paid("evt-1", "pay-1")).await?);
    race.print();

    say!("\nJane is not eligible, which turns out after she paid:");
    let jane = RegistrationKey::new("Jane", "서울마라톤");
    race.bar("Jane");
    answer_all(&registrations, &jane).await?;
    show(&registrations.advance(&jane, paid("evt-2", "pay-2")).await?);
    race.print();

    say!("\n지우 pays after the deadline:");
    let jiwoo = RegistrationKey::new("지우", "서울마라톤");
    answer_all(&registrations, &jiwoo).await?;
    clock.advance(Duration::from_mins(16));
    registrations.engine().run_due().await?;
    show(&registrations.view(&jiwoo).await?);
    show(&registrations.advance(&jiwoo, paid("evt-3", "pay-3")).await?);
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
    show(&registrations.advance(&hana, paid("evt-4", "pay-1")).await?);
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
    show(&registrations.advance(key, ShippingAddress { city: "서울".to_owned(), email: None }).await?);
    Ok(())
}

/// What the payment gateway sends.
fn paid(event: &str, payment: &str) -> Signal {
    Signal::from(PaymentCompleted { payment: payment.to_owned(), amount_krw: 35_000 }).with_id(event)
}

fn show(view: &View) {
    let next = view.next.as_deref().map(|next| format!(", needs {next}")).unwrap_or_default();
    let deadline = view.deadline.map(|at| format!(" by {at}")).unwrap_or_default();
    let reason = view.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    say!("  {}{next}{deadline}{reason}", view.status);
}
