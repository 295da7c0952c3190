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
#[derive(Clone, Debug)]
pub struct Whose {
    /// The name in the token, if there is one.
    member: Option<Arc<str>>,
    /// The [network](Client::network): behind one there may be a household, or an office.
    network: Option<IpAddr>,
}

impl Whose {
    /// Tells who asks.
    pub fn of(caller: Option<&Caller>, client: Option<Client>) -> Self {
        Self { member: caller.map(|caller| Arc::clone(caller.name())), network: client.map(Client::network) }
    }

    /// What is bounded of it.
    fn counts(&self) -> Vec<Of> {
        match &self.member {
            Some(name) => vec![Of::Member(Arc::clone(name)), Of::MembersIn(self.network)],
            None => vec![Of::StrangersIn(self.network)],
        }
    }
}

/// Whose places are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Of {
    Member(Arc<str>),
    MembersIn(Option<IpAddr>),
    StrangersIn(Option<IpAddr>),
}

/// Why nobody more may listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// This caller listens often enough.
    Yours,
    /// Many listen from this caller's network.
    Network,
    /// Very many listen.
    All,
}

impl From<Full> for Problem {
    fn from(full: Full) -> Self {
        let too_many = |detail: &str| Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
        match full {
            Full::Yours => {
                too_many("you listen as often as one may at the same time: close another connection")
            }
            Full::Network => {
                too_many("as many listen from your network as may at the same time: close another connection")
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
    /// With tokens, from one network: whoever gets many names gets no more.
    pub members_of_a_network: usize,
}

impl Bounds {
    /// Those of a process that may have so many files open, each connection being one: half of them are left for all else.
    fn within(files: Option<usize>) -> Self {
        let all = files.map_or(2_000, |files| (files / 2).clamp(2, 2_000));
        let quarter = (all / 4).max(1);
        Self {
            all,
            strangers: all / 2,
            of_a_member: 20,
            of_a_network: quarter.min(50),
            members_of_a_network: quarter,
        }
    }
}

impl Default for Bounds {
    /// 2,000, half of them without a token, as far as the process may have so many files open; of one name 20, of one network 50, and
    /// of one network with tokens a quarter of all.
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
    of: HashMap<Of, usize>,
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
    pub fn admit(&self, whose: &Whose) -> Result<Place, Full> {
        let bounds = self.bounds;
        let mut counted = self.lock();
        let (is_stranger, of) = (whose.member.is_none(), whose.counts());
        for of in &of {
            let (most, full) = match of {
                Of::Member(_) => (bounds.of_a_member, Full::Yours),
                Of::MembersIn(_) => (bounds.members_of_a_network, Full::Network),
                Of::StrangersIn(_) => (bounds.of_a_network, Full::Network),
            };
            if counted.of.get(of).is_some_and(|count| *count >= most) {
                return Err(full);
            }
        }
        if counted.all >= bounds.all || (is_stranger && counted.strangers >= bounds.strangers) {
            return Err(Full::All);
        }
        counted.all += 1;
        counted.strangers += usize::from(is_stranger);
        for of in &of {
            *counted.of.entry(of.clone()).or_default() += 1;
        }
        Ok(Place { listeners: self.clone(), is_stranger, of })
    }
}

/// A place among the listeners, free again when it is dropped.
#[derive(Debug)]
#[must_use = "a place is free again when it is dropped"]
pub struct Place {
    listeners: Listeners,
    is_stranger: bool,
    of: Vec<Of>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counted = self.listeners.lock();
        counted.all -= 1;
        counted.strangers -= usize::from(self.is_stranger);
        for of in &self.of {
            if let Entry::Occupied(mut count) = counted.of.entry(of.clone()) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(name: Option<&str>, address: &str) -> Whose {
        let network = Some(Client(address.parse().unwrap()).network());
        Whose { member: name.map(Into::into), network }
    }

    #[test]
    fn a_network_is_one_stranger_and_a_place_takes_one_of_the_open_files() {
        let whose = |address: &str| from(None, address).counts();
        assert_eq!(whose("2001:db8:1:2:a::1"), whose("2001:db8:1:2:b::1"));
        assert_ne!(whose("2001:db8:1:2::1"), whose("2001:db8:1:3::1"));
        let bounds = |files| {
            let Bounds { all, strangers, of_a_network, members_of_a_network, .. } = Bounds::within(files);
            (all, strangers, of_a_network, members_of_a_network)
        };
        assert_eq!(bounds(None), (2_000, 1_000, 50, 500));
        assert_eq!(bounds(Some(1 << 20)), (2_000, 1_000, 50, 500));
        assert_eq!(bounds(Some(256)), (128, 64, 32, 32));
        assert_eq!(bounds(Some(0)), (2, 1, 1, 1));
    }

    #[test]
    fn nobody_takes_the_places_of_all_and_members_have_places_of_their_own() {
        let bounds =
            Bounds { all: 10, strangers: 6, of_a_member: 2, of_a_network: 3, members_of_a_network: 4 };
        let listeners = Listeners::new(bounds);
        let admit = |whose: Whose| listeners.admit(&whose);
        let stranger = |number: u8| from(None, &format!("192.0.2.{number}"));
        let member = |name: &str| from(Some(name), "192.0.2.9");
        let mut places: Vec<Place> = (0..3).map(|_| admit(stranger(1)).unwrap()).collect();
        assert_eq!(admit(stranger(1)).unwrap_err(), Full::Network);
        places.extend((0..3).map(|_| admit(stranger(2)).unwrap()));
        assert_eq!(admit(stranger(3)).unwrap_err(), Full::All, "the rest is for members");
        for name in ["민지", "준"] {
            places.extend((0..2).map(|_| admit(member(name)).unwrap()));
            assert_eq!(admit(member(name)).unwrap_err(), Full::Yours);
        }
        assert_eq!(
            admit(member("another name")).unwrap_err(),
            Full::Network,
            "with names as many as are liked"
        );
        assert_eq!(admit(from(Some("Jane"), "192.0.2.1")).unwrap_err(), Full::All);
        places.clear();
        assert!(listeners.lock().of.is_empty(), "who has gone is forgotten");
        assert!(admit(stranger(3)).is_ok() && admit(member("민지")).is_ok());
    }
}
