//! A draw that anybody can repeat.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::MAX_NAME;
use crate::{Error, ErrorKind, Result};

/// The algorithm's name, which every draw carries; another way of drawing would have another one.
const ALGORITHM: &str = "pumasi-lottery-1";
/// The longest seed, in bytes.
const MAX_SEED: usize = 1024;

fn hex(bytes: impl AsRef<[u8]>) -> String {
    use fmt::Write;
    bytes.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn check_line(text: &str, longest: usize, what: &'static str) -> Result<()> {
    if text.is_empty() || text.len() > longest || text.chars().any(char::is_control) {
        return Err(Error::new(ErrorKind::InvalidInput, what));
    }
    Ok(())
}

/// What a draw is made from beside its entrants: a line of text that nobody knows while the list can still change.
///
/// Publish its [commitment](Self::commitment) before the list closes, and the seed itself with the draw. Then neither who keeps
/// the seed could choose it to fit the list, nor who enters could fit the list to the seed. A seed that nobody could have
/// chosen (the closing price of an index on a day that was named before) needs no commitment.
///
/// `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed(String);

impl Seed {
    /// Takes a seed: one line of text.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is empty, longer than 1,024 bytes or holds a control character.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        check_line(&text, MAX_SEED, "a seed is a line of 1 to 1,024 bytes")?;
        Ok(Self(text))
    }

    /// Makes a seed of 244 random bits from the operating system, as 64 hexadecimal digits.
    pub fn random() -> Self {
        Self(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what can be published before the draw: the SHA-256 of the text, in hexadecimal digits.
    pub fn commitment(&self) -> String {
        hex(Sha256::digest(self.0.as_bytes()))
    }
}

impl TryFrom<String> for Seed {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        seed.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seed").field(&format_args!("{} bytes", self.0.len())).finish()
    }
}

/// Who takes part: each name once, in the order of their bytes.
///
/// The canonical form is a text of one name per line, each line ended by a line feed. `LC_ALL=C sort -u` makes it from any list.
/// Names are compared by their bytes; whoever collects them decides on one form (Unicode's NFC) before.
///
/// `Debug` shows how many, and nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Entrants(Vec<Arc<str>>);

impl Entrants {
    /// Collects entrants in any order; who is named twice takes part once.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a name is empty, longer than 512 bytes or holds a control character.
    pub fn new<N: Into<Arc<str>>>(names: impl IntoIterator<Item = N>) -> Result<Self> {
        let mut list: Vec<Arc<str>> = names.into_iter().map(Into::into).collect();
        for name in &list {
            check_line(name, MAX_NAME, "the name of an entrant is a line of 1 to 512 bytes")?;
        }
        list.sort_unstable();
        list.dedup();
        Ok(Self(list))
    }

    /// Returns the names in the order of the list.
    pub fn names(&self) -> &[Arc<str>] {
        &self.0
    }

    /// Returns the canonical form, to be published with the draw, or before it.
    pub fn canonical(&self) -> String {
        let mut text = String::with_capacity(self.0.iter().map(|name| name.len() + 1).sum());
        for name in &self.0 {
            text.push_str(name);
            text.push('\n');
        }
        text
    }

    /// Returns the SHA-256 of the [canonical form](Self::canonical), in hexadecimal digits: what `sha256sum` says of it.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for name in &self.0 {
            hash.update(name.as_bytes());
            hash.update(b"\n");
        }
        hex(hash.finalize())
    }
}

impl fmt::Debug for Entrants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entrants").field(&self.0.len()).finish()
    }
}

/// A draw: everything that is needed to repeat it, and what came out.
///
/// Each entrant's number is the SHA-256 of three lines, each ended by a line feed: the seed, the list's digest in hexadecimal
/// digits, and the name. Entrants are ordered by their numbers; the first ones win, the others wait in that order. For a seed that
/// was not chosen to fit the list every order is equally likely, as far as SHA-256 looks random. Three lines of shell repeat it:
///
/// ```sh
/// digest=$(sha256sum < entrants.txt | cut -d' ' -f1)
/// while IFS= read -r name; do printf '%s %s\n' "$(printf '%s\n%s\n%s\n' "$seed" "$digest" "$name" | sha256sum | cut -d' ' -f1)" "$name"
/// done < entrants.txt | LC_ALL=C sort | cut -d' ' -f2- | head -n "$places"
/// ```
///
/// ```
/// use pumasi_saga::capacity::{Draw, Entrants, Seed};
///
/// let seed = Seed::random();
/// println!("before entries close: {}", seed.commitment());
/// let entrants = Entrants::new(["참가자-3", "participant-1", "participant-2"])?;
/// let draw = Draw::new(&seed, &entrants, 2);
/// assert_eq!((draw.winners.len(), draw.waiting.len()), (2, 1));
///
/// // Anybody, with what was published:
/// draw.verify(&entrants)?;
/// # Ok::<(), pumasi_saga::Error>(())
/// ```
///
/// `Debug` shows how many, and nobody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Draw {
    /// How it was drawn: `pumasi-lottery-1`.
    pub algorithm: String,
    /// The seed.
    pub seed: Seed,
    /// The [digest](Entrants::digest) of the list.
    pub entrants: String,
    /// How many places there were.
    pub places: usize,
    /// Who won, in the order of the draw.
    pub winners: Vec<String>,
    /// Who did not, in the order in which places that come free go on.
    pub waiting: Vec<String>,
}

impl Draw {
    /// Draws `places` winners; fewer, if there are not so many entrants.
    pub fn new(seed: &Seed, entrants: &Entrants, places: usize) -> Self {
        let digest = entrants.digest();
        let mut prefix = Sha256::new();
        for line in [seed.as_str(), &digest] {
            prefix.update(line.as_bytes());
            prefix.update(b"\n");
        }
        let number = |name: &Arc<str>| {
            let mut hash = prefix.clone();
            hash.update(name.as_bytes());
            hash.update(b"\n");
            hash.finalize()
        };
        let mut order: Vec<_> = entrants.0.iter().map(|name| (number(name), name)).collect();
        // Two equal numbers are two names with one SHA-256; the list's order decides then.
        order.sort_unstable();
        let mut winners: Vec<String> = order.into_iter().map(|(_, name)| name.to_string()).collect();
        let waiting = winners.split_off(places.min(winners.len()));
        Self {
            algorithm: ALGORITHM.to_owned(),
            seed: seed.clone(),
            entrants: digest,
            places,
            winners,
            waiting,
        }
    }

    /// Draws again from the published list, and compares.
    ///
    /// # Errors
    ///
    /// `Unsupported` if it was drawn in a way that this program does not know; `Conflict` if the list is another one, or if
    /// something else comes out of it.
    pub fn verify(&self, entrants: &Entrants) -> Result<()> {
        if self.algorithm != ALGORITHM {
            return Err(Error::new(ErrorKind::Unsupported, "the way in which this was drawn is not known"));
        }
        if self.entrants != entrants.digest() {
            return Err(Error::new(ErrorKind::Conflict, "this was drawn from another list"));
        }
        if *self == Self::new(&self.seed, entrants, self.places) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Conflict, "drawing again gives another order"))
        }
    }
}

impl fmt::Debug for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draw")
            .field("algorithm", &self.algorithm)
            .field("entrants", &self.entrants)
            .field("places", &self.places)
            .field("winners", &self.winners.len())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("참가자-{n}")).collect()
    }

    #[test]
    fn a_record_with_fewer_winners_than_places_does_not_verify() {
        let entrants = Entrants::new(names(9)).unwrap();
        let mut draw = Draw::new(&Seed::random(), &entrants, 4);
        draw.verify(&entrants).unwrap();
        let last = draw.winners.pop().unwrap();
        draw.waiting.insert(0, last);
        assert_eq!(draw.verify(&entrants).unwrap_err().kind(), ErrorKind::Conflict);
    }

    #[test]
    fn a_draw_is_the_same_for_every_order_of_the_list() {
        let (forward, mut backward) = (names(100), names(100));
        backward.reverse();
        backward.push("참가자-7".to_owned());
        let seed = Seed::new("KOSPI 2026-11-26: 3,456.78").unwrap();
        let (one, two) = (Entrants::new(forward).unwrap(), Entrants::new(backward).unwrap());
        assert_eq!(Draw::new(&seed, &one, 10), Draw::new(&seed, &two, 10));
    }

    #[test]
    fn every_version_of_this_crate_draws_alike() {
        let entrants = Entrants::new(["b", "a", "다"]).unwrap();
        assert_eq!(entrants.canonical(), "a\nb\n다\n");
        let draw = Draw::new(&Seed::new("seed").unwrap(), &entrants, 1);
        assert_eq!(draw.entrants, DIGEST);
        let order: Vec<&str> = draw.winners.iter().chain(&draw.waiting).map(String::as_str).collect();
        assert_eq!(order, ORDER);
    }

    const DIGEST: &str = "0a76ac05a2b88ee72e2f239247ae91c0484779c6ef4c990a169666bcc6e601e6";
    const ORDER: [&str; 3] = ["a", "다", "b"];

    #[test]
    fn what_was_changed_afterwards_is_found() {
        let entrants = Entrants::new(names(20)).unwrap();
        let draw = Draw::new(&Seed::random(), &entrants, 5);
        draw.verify(&entrants).unwrap();

        let mut swapped = draw.clone();
        let other = swapped.waiting[0].clone();
        swapped.waiting[0] = std::mem::replace(&mut swapped.winners[0], other);
        assert_eq!(swapped.verify(&entrants).unwrap_err().kind(), ErrorKind::Conflict);

        let mut reseeded = draw.clone();
        reseeded.seed = Seed::new("another").unwrap();
        assert_eq!(reseeded.verify(&entrants).unwrap_err().kind(), ErrorKind::Conflict);

        let others = Entrants::new(names(21)).unwrap();
        assert_eq!(draw.verify(&others).unwrap_err().kind(), ErrorKind::Conflict);

        let stored = serde_json::to_string(&draw).unwrap();
        serde_json::from_str::<Draw>(&stored).unwrap().verify(&entrants).unwrap();
    }

    #[test]
    fn everybody_wins_equally_often() {
        let entrants = Entrants::new(names(20)).unwrap();
        let mut won = std::collections::BTreeMap::<String, u32>::new();
        for n in 0..4000 {
            for name in Draw::new(&Seed::new(format!("seed {n}")).unwrap(), &entrants, 5).winners {
                *won.entry(name).or_default() += 1;
            }
        }
        // 1,000 are expected of each; six standard deviations of 27.4.
        assert_eq!(won.len(), 20);
        assert!(won.values().all(|won| won.abs_diff(1000) < 165), "{won:?}");
    }

    #[test]
    fn names_that_could_be_taken_for_two_are_refused() {
        for name in ["", "a\nb", "a\0", &"x".repeat(513)] {
            assert_eq!(Entrants::new([name]).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert!(Seed::new("two\nlines").is_err());
    }
}
