//! The count after the storm.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;

use pumasi_core::event::Page;

use crate::parts::{acknowledged, handled_again, is_poison};
use crate::{Bus, Database, Failure, Setup};

#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Events of which a producer was told that they are committed, before it was killed.
    pub(crate) acknowledged: u64,
    /// Events whose transactions are in the database.
    pub(crate) committed: u64,
    pub(crate) effects: u64,
    pub(crate) dead_letters: u64,
    /// Deliveries that succeeded at a later attempt than the first.
    pub(crate) handled_again: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) out_of_order: u64,
}

impl Found {
    pub(crate) fn is_clean(&self) -> bool {
        (self.lost, self.doubled, self.out_of_order) == (0, 0, 0)
    }
}

pub(crate) async fn check(setup: &Setup, folder: &Path, database: &Database) -> Result<Found, Failure> {
    let mut found = Found { acknowledged: acknowledged(folder), ..Found::default() };
    found.handled_again = handled_again(folder);
    let bus = Bus::open(setup, folder, "checker").await?;
    let mut dead: BTreeSet<(String, i64)> = BTreeSet::new();
    let mut page = Page { after: 0, limit: NonZeroUsize::MIN.saturating_add(999) };
    loop {
        let letters = bus.dead_letters(&Bus::group(setup), page).await?;
        let Some(last) = letters.last() else { break };
        page.after = last.position;
        for letter in letters {
            let version = i64::try_from(letter.event.version)?;
            if !dead.insert((letter.event.key, version)) {
                found.doubled += 1;
            }
        }
    }
    found.dead_letters = dead.len() as u64;
    let mut effects = database.effects().await?;
    for (key, count) in database.counters().await? {
        found.committed += count.unsigned_abs();
        let versions = effects.remove(&key).unwrap_or_default();
        found.effects += versions.len() as u64;
        let distinct: BTreeSet<i64> = versions.iter().copied().collect();
        found.doubled += (versions.len() - distinct.len()) as u64;
        found.out_of_order +=
            versions.windows(2).filter(|pair| matches!(pair, [a, b] if b <= a)).count() as u64;
        for version in 1..=count {
            let put_aside = dead.contains(&(key.clone(), version));
            let should = (!is_poison(version), is_poison(version));
            match (distinct.contains(&version), put_aside) {
                is if is == should => {}
                (true, true) => found.doubled += 1,
                _ => found.lost += 1,
            }
        }
    }
    // Effects of what was never committed, and acknowledged events that the database does not have.
    found.doubled += effects.values().map(|versions| versions.len() as u64).sum::<u64>();
    found.lost += found.acknowledged.saturating_sub(found.committed);
    Ok(found)
}
