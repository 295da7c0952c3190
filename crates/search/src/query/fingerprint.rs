//! What makes two queries the same.

use std::borrow::Cow;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Count, Decay, FacetRequest, Matching, Query, Rank};
use crate::page::Cursor;

/// What makes two pages the same.
#[derive(Serialize)]
struct OnePage<'a> {
    walk: &'a str,
    /// The moments that ages are counted from, in steps.
    now: Vec<i64>,
    limit: usize,
    after: &'a Option<Cursor>,
    facets: &'a [FacetRequest],
    count: Count,
    highlight: bool,
    explain: bool,
}

/// What makes two walks the same.
#[derive(Serialize)]
struct OneWalk<'a> {
    index: &'a str,
    text: &'a str,
    verbatim: bool,
    matching: Matching,
    as_you_type: bool,
    typos: bool,
    filter: &'a str,
    rank: &'a Rank,
    boosts: Vec<(String, f32)>,
}

impl Query {
    /// Returns a key for caches: equal for queries that ask for the same page, whatever the order in which their filters were
    /// written. 64 hexadecimal digits; what somebody typed cannot be read from it.
    ///
    /// The moments that [ages](super::Fusion::with_decay) are counted from are told apart by steps of a 1,024th of the half-life, within
    /// which no age counts for more than a thousandth more or less: a query that counts them from now finds its page in a cache.
    ///
    /// ```
    /// use pumasi_core::filter::Field;
    /// use pumasi_search::Query;
    ///
    /// const LANG: Field<String> = Field::new("lang");
    /// let one = Query::new("러닝").with_filter(LANG.eq("ko").or(LANG.eq("en")));
    /// let other = Query::new("러닝").with_filter(LANG.is_in(["en", "ko"]));
    /// assert_eq!(one.fingerprint(), other.fingerprint());
    /// assert_ne!(one.fingerprint(), one.clone().with_limit(20).fingerprint());
    /// ```
    pub fn fingerprint(&self) -> String {
        hex(&digest(&OnePage {
            walk: &self.walk(""),
            now: self.moments(),
            limit: self.limit,
            after: &self.after,
            facets: &self.facets,
            count: self.count,
            highlight: self.highlight,
            explain: self.explain,
        }))
    }

    /// The steps in which ages are counted from; none behind a cursor, which carries its own moments on.
    fn moments(&self) -> Vec<i64> {
        let Rank::Fused(fusion) = &self.rank else { return Vec::new() };
        let step = |part: &Decay| {
            let step = i64::try_from(part.half_life.as_micros() / 1_024).unwrap_or(i64::MAX);
            part.now.as_micros().div_euclid(step.max(1))
        };
        fusion.decay.iter().filter(|_| self.after.is_none()).map(step).collect()
    }

    /// Returns what all pages of one walk have in common: what is found and in which order. The moment that ages are counted
    /// from is not part of it, since the cursor carries it on. A walk of one index, by its schema's name, is none of another.
    pub(crate) fn walk(&self, index: &str) -> String {
        let mut rank = Cow::Borrowed(&self.rank);
        if matches!(&self.rank, Rank::Fused(fusion) if !fusion.decay.is_empty())
            && let Rank::Fused(fusion) = rank.to_mut()
        {
            for part in &mut fusion.decay {
                part.now = pumasi_core::time::Timestamp::from_micros(0);
            }
        }
        let boosts = self.boosts.iter();
        let digest = digest(&OneWalk {
            index,
            text: self.text.trim(),
            verbatim: self.verbatim,
            matching: self.matching,
            as_you_type: self.is_unfinished(),
            typos: self.typos,
            filter: self.filter.canonical().as_str(),
            rank: &rank,
            boosts: boosts
                .map(|boost| (boost.filter.canonical().as_str().to_owned(), boost.weight))
                .collect(),
        });
        hex(digest.get(..8).unwrap_or_default())
    }
}

fn digest(value: &impl Serialize) -> [u8; 32] {
    let mut hasher = Sha256::new();
    // a hasher takes whatever is written, and none of the values is one that JSON has no form for
    let _ = serde_json::to_writer(&mut hasher, value);
    hasher.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xF));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pumasi_core::filter::Field;
    use pumasi_core::time::Timestamp;

    use super::*;
    use crate::{Fusion, Schema};

    const CREATED: Field<Timestamp> = Field::new("created");

    fn as_of(seconds: i64) -> Query {
        let now = Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000);
        let week = Duration::from_hours(7 * 24);
        Query::new("러닝").with_rank(Rank::Fused(Fusion::weighted().with_decay(&CREATED, 1.0, week, now)))
    }

    #[test]
    fn pages_as_of_moments_that_count_otherwise_are_told_apart() {
        let of = |seconds| as_of(seconds).fingerprint();
        assert_ne!(of(0), of(365 * 86_400));
        assert_ne!(of(0), of(3_600));
        // Of one minute are at most two of the steps of some ten.
        let steps: std::collections::HashSet<_> = (0..60).map(of).collect();
        assert!(steps.len() <= 2, "{}", steps.len());
    }

    #[test]
    fn behind_a_cursor_its_own_moments_count() {
        let schema = Schema::new("posts").with_field(&CREATED);
        let behind = |cursor: &Query, query: Query| {
            query.after(Cursor::new(&schema, cursor, Vec::new(), "1", "memory")).fingerprint()
        };
        assert_eq!(behind(&as_of(0), as_of(0)), behind(&as_of(0), as_of(86_400)));
        assert_ne!(behind(&as_of(0), as_of(0)), behind(&as_of(86_400), as_of(0)));
    }
}
