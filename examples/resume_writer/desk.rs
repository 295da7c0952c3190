//! Where résumés are asked for, written, edited, shared and spoken of.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pumasi_core::event::{
    Consumer, Delivery, EventBus, EventId, Handler, Relay, SqliteBus, Subscription, handler_fn,
};
use pumasi_core::resilience::Backoff;
use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result, Retry};
use support::auth::random_secret;
use support::once::Keyed;
use support::ready::Health;
use support::servers;

use crate::evidence::{Accounts, Evidence};
use crate::partner::Partner;
use crate::resume::{Language, Resume};
use crate::store::{Kept, KeptEdit, NO_SUCH, Proposal, SOCIAL, Social, Store, WORK, Work};
use crate::writer::Writer;

/// How often a model may answer what is no use before the writing has failed.
const TRIES: u32 = 8;
/// How often the model and GitHub are tried while they are away: for about a day, once the pause between two tries has grown to a quarter
/// of an hour (half of that is usual). A call that fails may have to be paid nevertheless, so that there are not many.
const CALLS: u32 = 200;
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// How often it is looked whether what the model is asked for was withdrawn.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a notice is tried while the partner is away: for about a day, once the pause has grown to a minute.
const TELLINGS: u32 = 3_000;
/// The group that writes.
const WRITING: &str = "resume-writer";
/// The group that notes for owners what people did.
const NOTING: &str = "resume-notices";
/// The group that has the partner tell them: one of its own, so that no notice waits for a partner that hangs.
const TELLING: &str = "resume-partner";
/// The groups that work on events.
pub(crate) const GROUPS: [&str; 3] = [WRITING, NOTING, TELLING];
/// The file of the events, where they are not on a server.
pub(crate) const EVENTS: &str = "events.sqlite";

/// The service's work, apart from HTTP. Clones share it.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) bus: Arc<dyn EventBus>,
    pub(crate) writer: Writer,
    pub(crate) accounts: Accounts,
    partner: Option<Partner>,
    /// How GitHub is, and the partner.
    pub(crate) reading: Health,
    pub(crate) telling: Health,
}

/// The moment.
pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

impl Desk {
    /// Opens a desk on files in a folder, which is made if it does not exist.
    pub(crate) async fn on_files(
        folder: &Path,
        writer: Writer,
        accounts: Accounts,
        partner: Option<Partner>,
    ) -> Result<Self> {
        make(folder)?;
        let bus = Arc::new(SqliteBus::open(folder.join(EVENTS)).await?);
        let store = Store::open(&folder.join("resumes.sqlite"), None).await?;
        Ok(Self::of(store, bus, writer, accounts, partner))
    }

    /// Opens a desk on the servers that the environment names, and else on files in a folder.
    pub(crate) async fn on_servers(
        folder: &Path,
        writer: Writer,
        accounts: Accounts,
        partner: Option<Partner>,
    ) -> Result<Self> {
        make(folder)?;
        let bus = servers::bus(&folder.join(EVENTS)).await?;
        let store =
            Store::open(&folder.join("resumes.sqlite"), servers::postgres("resume_writer").await?).await?;
        Ok(Self::of(store, bus, writer, accounts, partner))
    }

    fn of(
        store: Store,
        bus: Arc<dyn EventBus>,
        writer: Writer,
        accounts: Accounts,
        partner: Option<Partner>,
    ) -> Self {
        let (reading, telling) = Default::default();
        Self { store, bus, writer, accounts, partner, reading, telling }
    }

    /// Asks for a résumé; it is written later.
    pub(crate) async fn ask(
        &self,
        keyed: &Keyed,
        owner: &str,
        account: &str,
        language: Language,
    ) -> Result<String> {
        let new = Kept::new(EventId::random(), owner, account, language.as_str(), now());
        self.store.add(keyed, new).await
    }

    /// Gives an owner's instruction for a version of a résumé; what it comes to is proposed later.
    pub(crate) async fn instruct(
        &self,
        keyed: &Keyed,
        owner: &str,
        resume: &str,
        version: i64,
        instruction: &str,
    ) -> Result<String> {
        let edit = KeptEdit::new(EventId::random(), resume, version, instruction, now());
        self.store.instruct(keyed, owner, edit).await
    }

    /// Makes a proposal the next version, which is returned; again, if it was that before.
    pub(crate) async fn accept(&self, resume: &str, edit: &str) -> Result<(i64, Resume)> {
        let gone = || Error::new(ErrorKind::NotFound, NO_SUCH);
        let edit = self.store.edit(resume, edit).await?.ok_or_else(gone)?;
        let Some(proposal) = edit.proposal()? else {
            return Err(Error::new(ErrorKind::Conflict, "nothing is proposed yet"));
        };
        let accepted = self.store.accept(&edit, &proposal.after).await;
        if !matches!(accepted, Ok(false)) {
            let outcome = if accepted.is_ok() { "accepted" } else { "conflict" };
            metrics::counter!("resume_edits_total", "outcome" => outcome).increment(1);
        }
        accepted?;
        Ok((edit.base + 1, proposal.after))
    }

    /// Opens a résumé to whoever has the key that is returned; it is kept nowhere, only its hash is.
    pub(crate) async fn share(&self, resume: &str) -> Result<String> {
        let key = random_secret();
        self.store.share(resume, Some(&hash(&key))).await?;
        Ok(key)
    }

    /// Finds what a key opens.
    pub(crate) async fn shared(&self, key: &str) -> Result<Option<(Kept, Resume)>> {
        let Some(kept) = self.store.shared(&hash(key)).await? else { return Ok(None) };
        Ok(kept.resume()?.map(|resume| (kept, resume)))
    }

    /// Publishes what was written with the tables.
    pub(crate) fn relay(&self) -> Relay {
        Relay::new(self.store.outbox.store(), Arc::clone(&self.bus)).with_name("resumes")
    }

    /// Writes what was asked for.
    pub(crate) fn work(&self) -> Consumer {
        let desk = self.clone();
        let work = handler_fn(move |delivery: Delivery| {
            let desk = desk.clone();
            async move {
                let (resume, work): (&str, Work) = (&delivery.event.key, delivery.event.payload()?);
                match desk.do_work(resume, work.edit.as_deref()).await {
                    Err(error) if is_away(&error) && delivery.attempt < CALLS => {
                        Err(if error.retry().is_retryable() { error } else { error.with_retry(Retry::Now) })
                    }
                    Err(error) if error.retry().is_retryable() && delivery.attempt < TRIES => Err(error),
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "writing came to nothing");
                        desk.store.fail(resume, work.edit.as_deref(), error.message()).await
                    }
                    Ok(()) => Ok(()),
                }
            }
        });
        let subscription = Subscription::new(WRITING, [WORK]).with_lease(Duration::from_secs(15));
        Consumer::new(Arc::clone(&self.bus), subscription, work)
            // More than are made, so that it is noted why it failed.
            .with_max_attempts(CALLS + 2)
            .with_backoff(Backoff::new(Duration::from_millis(500), LONGEST_PAUSE))
    }

    async fn do_work(&self, id: &str, edit: Option<&str>) -> Result<()> {
        let Some(kept) = self.store.get(id).await? else { return Ok(()) };
        let language = Language::of(&kept.language);
        match (edit, kept.state.as_str()) {
            (None, "pending") => {
                let account = self.accounts.read(&kept.account).await;
                // An account that is not there tells nothing of GitHub.
                if !matches!(&account, Err(error) if error.kind() == ErrorKind::NotFound) {
                    self.reading.note(&account);
                }
                let account = account?;
                let evidence = Evidence::of(&account)?;
                let name = account.user.name.clone().unwrap_or_else(|| account.user.login.clone());
                let resume = self.writer.write(name, &evidence, language).await?;
                self.store.write(id, &resume, &evidence.sources).await
            }
            (Some(edit), "ready") => {
                let Some(edit) = self.store.edit(id, edit).await?.filter(|edit| edit.state == "pending")
                else {
                    return Ok(());
                };
                let Some(before) = kept.resume()? else { return Ok(()) };
                let evidence = Evidence::new(kept.sources()?)?;
                let edits = tokio::select! {
                    edits = self.writer.edits(&before, &evidence, language, &edit.instruction) => edits?,
                    () = self.withdrawn(id, &edit.id) => return Ok(()),
                };
                let (after, not_done) = before.edited(edits, &evidence);
                self.store.propose(&edit.id, &Proposal { before, after, not_done }).await
            }
            _ => Ok(()),
        }
    }

    /// Waits until an instruction is withdrawn: what it is written for is over then.
    async fn withdrawn(&self, resume: &str, edit: &str) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if matches!(self.store.edit(resume, edit).await, Ok(None)) {
                return;
            }
        }
    }

    /// Notes for owners what people did.
    pub(crate) fn note(&self) -> Consumer {
        let desk = self.clone();
        let note = handler_fn(move |delivery: Delivery| {
            let desk = desk.clone();
            async move {
                let social: Social = delivery.event.payload()?;
                desk.store.notice(delivery.event.id, &social).await.map(drop)
            }
        });
        self.following(NOTING, note)
    }

    /// Has the partner tell owners what people did, if there is one.
    pub(crate) fn notify(&self) -> Option<Consumer> {
        let (desk, partner) = (self.clone(), self.partner.clone()?);
        let tell = handler_fn(move |delivery: Delivery| {
            let (desk, partner) = (desk.clone(), partner.clone());
            async move {
                let social: Social = delivery.event.payload()?;
                let id = delivery.event.id;
                // Whichever comes first of this and what notes it for the owner.
                if desk.store.notice(id, &social).await? {
                    return Ok(());
                }
                let told = partner.tell(id, &social).await;
                desk.telling.note(&told);
                let outcome = if told.is_ok() { "told" } else { "failed" };
                metrics::counter!("resume_notices_total", "outcome" => outcome).increment(1);
                told?;
                let waited = now().saturating_since(Timestamp::from_micros(social.at));
                metrics::histogram!("resume_notice_seconds").record(waited.as_secs_f64());
                desk.store.told(id, now()).await
            }
        });
        Some(self.following(TELLING, tell))
    }

    fn following(&self, group: &str, handler: impl Handler + 'static) -> Consumer {
        let subscription = Subscription::new(group, [SOCIAL]).with_lease(Duration::from_secs(15));
        Consumer::new(Arc::clone(&self.bus), subscription, handler)
            .with_max_attempts(TELLINGS)
            .with_backoff(Backoff::new(Duration::from_millis(200), Duration::from_mins(1)))
    }
}

/// Tells whether the model, GitHub or the store is away, or turns the service away: what is to be done waits for whoever mends that.
fn is_away(error: &Error) -> bool {
    use ErrorKind::{BudgetExhausted, Overloaded, RateLimited, Timeout, Unauthorized, Unavailable};
    matches!(error.kind(), Timeout | RateLimited | Unavailable | Overloaded | Unauthorized | BudgetExhausted)
}

fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::new(ErrorKind::Storage, "the folder cannot be made").with_source(error))
}

/// What a key is known by: who reads the store learns no key.
fn hash(key: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(key.as_bytes()))
}
