//! The story: a résumé is written, held against its records, edited, shared, and spoken of.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use futures_util::future::{join_all, try_join_all};
use pumasi_core::event::Shutdown;
use support::auth::random_secret;
use support::once::Keyed;
use support::say;
use support::webhook::Secret;
use tokio::net::TcpListener;

use crate::desk::{Desk, now};
use crate::diff::{Fate, changes};
use crate::evidence::{Accounts, Evidence};
use crate::partner::Partner;
use crate::resume::{Language, Refused, Resume};
use crate::store::{KeptEdit, Proposal, Social};
use crate::writer::Writer;

type Told = Result<(), Box<dyn Error>>;

const OWNER: &str = "하늘";
const FANS: usize = 40;

/// Tells the story.
pub(crate) async fn tell(writer: Writer, instructions: &[String]) -> Told {
    let is_offline = writer.is_offline();
    say!(
        "model: {}{}",
        writer.name(),
        if is_offline { " — committed answers, no language model." } else { "" }
    );
    if is_offline {
        say!("       Set OPENAI_API_KEY or PUMASI_LLM_URL to ask a model.");
    }
    let folder = tempfile::tempdir()?;
    let hanging = Hanging::start().await?;
    let partner = Partner::at(&hanging.url, &hanging.secret, Duration::from_millis(300))?;
    let desk = Desk::on_files(folder.path(), writer, Accounts::Export(None), Some(partner)).await?;
    let shutdown = Shutdown::new();
    let parts = async {
        let consumers = [Some(desk.work()), Some(desk.note()), desk.notify()].into_iter().flatten();
        let consuming = try_join_all(consumers.map(|consumer| consumer.run(shutdown.clone())));
        tokio::try_join!(consuming, desk.relay().run(shutdown.clone())).map(drop)
    };
    let telling = async {
        let told = chapters(&desk, instructions, &hanging).await;
        shutdown.trigger();
        told
    };
    let (ended, told) = tokio::join!(parts, telling);
    ended?;
    told
}

async fn chapters(desk: &Desk, instructions: &[String], hanging: &Hanging) -> Told {
    let login = desk.accounts.sample()?.ok_or("there is no export")?;
    let account = desk.accounts.read(&login).await?;
    let evidence = Evidence::of(&account)?;
    say!(
        "\n== {login}: {} records that are the account's own; forks, merges and others' commits are none",
        evidence.sources.len()
    );

    say!("\n== A résumé in Korean: each line with its record and the words that prove it");
    let id = desk.ask(&Keyed::default(), OWNER, &login, Language::Ko).await?;
    let resume = written(desk, &id).await?;
    show(&resume);
    say!("\n== Refused: nothing proves it");
    refused(&resume.refused);

    for (instruction, version) in instructions.iter().zip([1, 2]) {
        say!("\n== Instruction for version {version}: {instruction}");
        let edit = desk.instruct(&Keyed::default(), OWNER, &id, version, instruction).await?;
        let proposal = proposed(desk, &id, &edit).await?;
        difference(&proposal);
        refused(&proposal.not_done);
        if version == 1 {
            // Meanwhile the owner gave another one in a second window.
            let other = desk.instruct(&Keyed::default(), OWNER, &id, version, instruction).await?;
            proposed(desk, &id, &other).await?;
            desk.accept(&id, &edit).await?;
            say!("  accepted: version {}", desk.store.get(&id).await?.map_or(0, |kept| kept.version));
            let conflict = desk.accept(&id, &other).await.err();
            say!(
                "  accepted in a second window: {}",
                conflict.map(|error| error.message().to_owned()).unwrap_or_default()
            );
        }
    }
    shared(desk, &id, hanging).await
}

async fn shared(desk: &Desk, id: &str, hanging: &Hanging) -> Told {
    say!(
        "\n== Shared: {FANS} people like it, twice each and all at once, while the partner for notices hangs"
    );
    let key = desk.share(id).await?;
    let (kept, _) = desk.shared(&key).await?.ok_or("the key opens nothing")?;
    say!(
        "  the key has {} characters; another one opens {}",
        key.len(),
        if desk.shared(&random_secret()).await?.is_some() { "it, too" } else { "nothing" }
    );
    let liking = (0..2 * FANS).map(|number| {
        let social = Social {
            owner: kept.owner.clone(),
            resume: kept.id.clone(),
            kind: "like".to_owned(),
            person: format!("person {}", number % FANS),
            at: now().as_micros(),
        };
        async move {
            let begun = Instant::now();
            desk.store.like(&social, true).await.map(|()| begun.elapsed())
        }
    });
    let took = join_all(liking).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    say!("  latency of the slowest like: {:?}", took.iter().max().copied().unwrap_or_default());
    let noted = until(|| async {
        let notices = desk.store.notices(OWNER, None, 500).await?.len();
        Ok((notices >= FANS).then_some(notices))
    });
    say!(
        "  likes: {}; on the owner's page: {}; told by the partner: {}",
        desk.store.likes(id, None).await?.0,
        noted.await?,
        hanging.got().len()
    );
    hanging.wake();
    until(|| async { Ok((hanging.got().len() >= FANS).then_some(())) }).await?;
    let (all, different) = (hanging.got().len(), hanging.got().into_iter().collect::<BTreeSet<_>>().len());
    say!("  the partner is back and was told {all} times of {different} likes");
    Ok(())
}

/// Asks until there is an answer, for as long as a model may take.
async fn until<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Box<dyn Error>>
where
    F: Future<Output = Result<Option<T>, Box<dyn Error>>>,
{
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(10) {
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("it took too long".into())
}

async fn written(desk: &Desk, id: &str) -> Result<Resume, Box<dyn Error>> {
    until(|| async {
        let kept = desk.store.get(id).await?.ok_or("the résumé is gone")?;
        if let Some(failure) = &kept.failure {
            return Err(failure.clone().into());
        }
        Ok(kept.resume()?)
    })
    .await
}

async fn proposed(desk: &Desk, resume: &str, edit: &str) -> Result<Proposal, Box<dyn Error>> {
    until(|| async {
        let edit: KeptEdit = desk.store.edit(resume, edit).await?.ok_or("the instruction is gone")?;
        if let Some(failure) = &edit.failure {
            return Err(failure.clone().into());
        }
        Ok(edit.proposal()?)
    })
    .await
}

/// On one line, as short as a terminal wants it.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 60 { format!("{}…", line.chars().take(59).collect::<String>()) } else { line }
}

fn show(resume: &Resume) {
    let mut section = None;
    for line in &resume.lines {
        if section.replace(line.section) != Some(line.section) {
            say!("  {:?}", line.section);
        }
        let how =
            if line.is_said { "" } else { " (unproven, not shared: only numbers and names were compared)" };
        say!("    {} {}", line.id, line.text);
        say!("       [{}] “{}”{how}", line.record, short(&line.quote));
    }
}

fn refused(all: &[Refused]) {
    for one in all {
        let elsewhere = one.elsewhere.as_ref().map(|id| format!(": in [{id}]")).unwrap_or_default();
        say!("  refused, {}{elsewhere}: {}", one.reason, one.text);
        if !one.quote.is_empty() {
            say!("       [{}] “{}”", one.record, short(&one.quote));
        }
    }
}

fn difference(proposal: &Proposal) {
    for change in changes(&proposal.before, &proposal.after) {
        let mark = match change.fate {
            Fate::Same => continue,
            Fate::Changed => "~",
            Fate::Added => "+",
            Fate::Removed => "-",
        };
        let words = change.words.iter().map(|words| match (change.fate, words.fate) {
            (Fate::Changed, Fate::Added) => format!("{{+{}+}}", words.text),
            (Fate::Changed, Fate::Removed) => format!("[-{}-]", words.text),
            _ => words.text.clone(),
        });
        say!("  {mark} {} {}", change.line, words.collect::<String>());
    }
}

/// A partner that takes no notice until it is woken.
struct Hanging {
    url: String,
    secret: String,
    shared: Arc<Inside>,
}

struct Inside {
    secret: Secret,
    is_awake: AtomicBool,
    got: Mutex<Vec<String>>,
}

impl Hanging {
    async fn start() -> Result<Self, Box<dyn Error>> {
        let secret = random_secret();
        let shared = Arc::new(Inside {
            secret: Secret::new(&secret)?,
            is_awake: AtomicBool::new(false),
            got: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let router = Router::new().route("/", post(take)).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, secret, shared })
    }

    fn got(&self) -> Vec<String> {
        self.shared.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wake(&self) {
        self.shared.is_awake.store(true, Ordering::SeqCst);
    }
}

async fn take(State(told): State<Arc<Inside>>, headers: HeaderMap, body: String) -> StatusCode {
    if !told.is_awake.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    let at = now().as_micros() / 1_000_000;
    match told.secret.verify(&headers, body.as_bytes(), u64::try_from(at).unwrap_or(0)) {
        Ok(id) => {
            told.got.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
            StatusCode::NO_CONTENT
        }
        Err(_) => StatusCode::UNAUTHORIZED,
    }
}
