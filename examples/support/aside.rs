//! What an operator does about events that a service has put aside.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use pumasi_core::Result;
use pumasi_core::event::{DeadLetter, EventBus, Page};

use crate::servers;

/// What to do about events that were put aside.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The folder of the service, where its events are not on a server; that of its name, as `serve` has it, if left out.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Has them delivered again, their attempts counted anew.
    #[arg(long)]
    deliver_again: bool,
}

impl Options {
    /// As [`run`], for a service whose events are in this file of its folder, or on a server.
    ///
    /// # Errors
    ///
    /// As [`servers::bus`], and the bus's.
    pub async fn run(
        &self,
        service: &str,
        file: &str,
        groups: &[&str],
    ) -> std::result::Result<(), Box<dyn Error>> {
        let folder = self.data.clone().unwrap_or_else(|| format!("{service}.data").into());
        let bus = servers::bus(&folder.join(file)).await?;
        Ok(run(&*bus, groups, self.deliver_again).await?)
    }
}

/// How many are read at once.
const PAGE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(499);

/// Lists what these groups have put aside, nothing of what the events say; `deliver_again` hands it to them again.
///
/// The service may run meanwhile, here or elsewhere: it notices within seconds.
///
/// # Errors
///
/// The bus's.
pub async fn run(bus: &dyn EventBus, groups: &[&str], deliver_again: bool) -> Result<()> {
    let (mut listed, mut replayed) = (0, 0);
    for group in groups {
        // Read to the end first: what is delivered again may be put aside again meanwhile.
        let letters = all(bus, group).await?;
        for DeadLetter { event, reason, attempts, at, .. } in &letters {
            let (id, topic) = (event.id, &event.topic);
            let tried = if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
            crate::say!("{at}  {group}  {topic}  {id}  tried {tried}: {}: {}", reason.kind, reason.message);
        }
        listed += letters.len();
        if deliver_again && !letters.is_empty() {
            let ids: Vec<_> = letters.iter().map(|letter| letter.event.id).collect();
            replayed += bus.replay(group, &ids).await?;
        }
    }
    match (listed, deliver_again) {
        (0, _) => crate::say!("nothing is put aside"),
        (_, true) => crate::say!("{replayed} of {listed} are delivered again"),
        (_, false) => crate::say!("{listed} are put aside; --deliver-again has them delivered again"),
    }
    Ok(())
}

async fn all(bus: &dyn EventBus, group: &str) -> Result<Vec<DeadLetter>> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let after = letters.last().map_or(0, |letter| letter.position);
        let page = bus.dead_letters(group, Page { after, limit: PAGE }).await?;
        let is_last = page.len() < PAGE.get();
        letters.extend(page);
        if is_last {
            return Ok(letters);
        }
    }
}
