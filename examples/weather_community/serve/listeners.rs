//! How many may listen at once: in all, of one caller, and without a token.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who listens, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    /// The name in the token.
    Member(Arc<str>),
    /// The address of who has none: behind one there may be a household, or an office.
    Stranger(Option<IpAddr>),
}

/// Why nobody more may listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// This caller listens often enough.
    Yours,
    /// Very many listen.
    All,
}

/// How many may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) all: usize,
    /// Of all, those without a token: the rest is kept for members.
    pub(super) strangers: usize,
    pub(super) of_a_member: usize,
    pub(super) of_an_address: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { all: 2_000, strangers: 1_000, of_a_member: 20, of_an_address: 50 }
    }
}

/// Those who listen; clones share the count.
#[derive(Clone, Debug, Default)]
pub(super) struct Listeners {
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
    #[cfg(test)]
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, counted: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one more in, for as long as the place is held.
    pub(super) fn admit(&self, whose: Whose) -> Result<Place, Full> {
        let bounds = self.bounds;
        let mut counted = self.lock();
        let is_stranger = matches!(whose, Whose::Stranger(_));
        let most = if is_stranger { bounds.of_an_address } else { bounds.of_a_member };
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
pub(super) struct Place {
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
    fn nobody_takes_the_places_of_all_and_members_have_places_of_their_own() {
        let bounds = Bounds { all: 10, strangers: 6, of_a_member: 2, of_an_address: 3 };
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
