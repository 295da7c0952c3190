//! How many may listen at once to what goes on without end: in all, of one caller, and without a token.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;

use crate::auth::Caller;
use crate::client::Client;
use crate::problem::Problem;

/// When one who listens too often may try again.
const LATER: Duration = Duration::from_secs(10);

/// Who listens, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The name in the token.
    Member(Arc<str>),
    /// The [network](Client::network) of who has none: behind one there may be a household, or an office.
    Stranger(Option<IpAddr>),
}

impl Whose {
    /// Tells who asks.
    pub fn of(caller: Option<&Caller>, client: Option<Client>) -> Self {
        match caller {
            Some(caller) => Self::Member(Arc::clone(caller.name())),
            None => Self::Stranger(client.map(Client::network)),
        }
    }
}

/// Why nobody more may listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// This caller listens often enough.
    Yours,
    /// Very many listen.
    All,
}

impl From<Full> for Problem {
    fn from(full: Full) -> Self {
        match full {
            Full::Yours => {
                let detail = "you listen as often as one may at the same time: close another connection";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
            }
            Full::All => Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too many people listen"),
        }
        .with_retry_after(LATER)
    }
}

/// How many may.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// In all.
    pub all: usize,
    /// Of all, those without a token: the rest is kept for members.
    pub strangers: usize,
    /// With one name in the token.
    pub of_a_member: usize,
    /// Without a token, from one network.
    pub of_a_network: usize,
}

impl Bounds {
    /// Those of a process that may have so many files open, each connection being one: half of them are left for all else.
    fn within(files: Option<usize>) -> Self {
        let all = files.map_or(2_000, |files| (files / 2).clamp(2, 2_000));
        Self { all, strangers: all / 2, of_a_member: 20, of_a_network: (all / 4).clamp(1, 50) }
    }
}

impl Default for Bounds {
    /// 2,000, half of them without a token, as far as the process may have so many files open; of one name 20, of one network 50.
    fn default() -> Self {
        Self::within(open_files())
    }
}

/// How many files this process may have open, where the system tells.
fn open_files() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    files.split_whitespace().next()?.parse().ok()
}

/// Those who listen; clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    bounds: Bounds,
    counted: Arc<Mutex<Counted>>,
}

#[derive(Debug, Default)]
struct Counted {
    all: usize,
    strangers: usize,
    of: HashMap<Whose, usize>,
}

impl Listeners {
    /// With bounds of one's own.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, counted: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one more in, for as long as the place is held.
    ///
    /// # Errors
    ///
    /// If as many listen as may.
    pub fn admit(&self, whose: Whose) -> Result<Place, Full> {
        let bounds = self.bounds;
        let mut counted = self.lock();
        let is_stranger = matches!(whose, Whose::Stranger(_));
        let most = if is_stranger { bounds.of_a_network } else { bounds.of_a_member };
        if counted.of.get(&whose).is_some_and(|count| *count >= most) {
            return Err(Full::Yours);
        }
        if counted.all >= bounds.all || (is_stranger && counted.strangers >= bounds.strangers) {
            return Err(Full::All);
        }
        counted.all += 1;
        counted.strangers += usize::from(is_stranger);
        *counted.of.entry(whose.clone()).or_default() += 1;
        Ok(Place { listeners: self.clone(), whose })
    }
}

/// A place among the listeners, free again when it is dropped.
#[derive(Debug)]
#[must_use = "a place is free again when it is dropped"]
pub struct Place {
    listeners: Listeners,
    whose: Whose,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counted = self.listeners.lock();
        counted.all -= 1;
        counted.strangers -= usize::from(matches!(self.whose, Whose::Stranger(_)));
        if let Entry::Occupied(mut count) = counted.of.entry(self.whose.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> Whose {
        Whose::Stranger(Some([192, 0, 2, number].into()))
    }

    #[test]
    fn a_network_is_one_stranger_and_a_place_takes_one_of_the_open_files() {
        let whose = |address: &str| Whose::of(None, Some(Client(address.parse().unwrap())));
        assert_eq!(whose("2001:db8:1:2:a::1"), whose("2001:db8:1:2:b::1"));
        assert_ne!(whose("2001:db8:1:2::1"), whose("2001:db8:1:3::1"));
        let bounds = |files| {
            let Bounds { all, strangers, of_a_network, .. } = Bounds::within(files);
            (all, strangers, of_a_network)
        };
        assert_eq!(bounds(None), (2_000, 1_000, 50));
        assert_eq!(bounds(Some(1 << 20)), (2_000, 1_000, 50));
        assert_eq!(bounds(Some(256)), (128, 64, 32));
        assert_eq!(bounds(Some(0)), (2, 1, 1));
    }

    #[test]
    fn nobody_takes_the_places_of_all_and_members_have_places_of_their_own() {
        let bounds = Bounds { all: 10, strangers: 6, of_a_member: 2, of_a_network: 3 };
        let listeners = Listeners::new(bounds);
        let admit = |whose: Whose| listeners.admit(whose);
        let mut places: Vec<Place> = (0..3).map(|_| admit(address(1)).unwrap()).collect();
        assert_eq!(admit(address(1)).unwrap_err(), Full::Yours);
        places.extend((0..3).map(|_| admit(address(2)).unwrap()));
        assert_eq!(admit(address(3)).unwrap_err(), Full::All, "the rest is for members");
        for member in ["민지", "준"] {
            places.extend((0..2).map(|_| admit(Whose::Member(member.into())).unwrap()));
            assert_eq!(admit(Whose::Member(member.into())).unwrap_err(), Full::Yours);
        }
        assert_eq!(admit(Whose::Member("Jane".into())).unwrap_err(), Full::All);
        places.clear();
        assert!(listeners.lock().of.is_empty(), "who has gone is forgotten");
        assert!(admit(address(3)).is_ok() && admit(Whose::Member("민지".into())).is_ok());
    }
}
