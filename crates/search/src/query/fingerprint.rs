//! What makes two queries the same.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Query, Rank};

impl Query {
    /// Returns a key for caches: equal for queries that ask for the same page, whatever the order in which their filters were
    /// written. 64 hexadecimal digits; what somebody typed cannot be read from it.
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
        let page = json!({
            "walk": self.walk(), "limit": self.limit, "after": self.after, "facets": self.facets, "count": self.count,
            "highlight": self.highlight, "explain": self.explain,
        });
        hex(&Sha256::digest(page.to_string().as_bytes()))
    }

    /// Returns what all pages of one walk have in common: what is found and in which order. The moment that ages are counted
    /// from is not part of it, since the cursor carries it on.
    pub(crate) fn walk(&self) -> String {
        let mut rank = self.rank.clone();
        if let Rank::Fused(fusion) = &mut rank {
            for part in &mut fusion.decay {
                part.now = pumasi_core::time::Timestamp::from_micros(0);
            }
        }
        let boosts: Vec<_> = self
            .boosts
            .iter()
            .map(|boost| json!([boost.filter.canonical().as_str(), boost.weight]))
            .collect();
        let walk = json!({
            "text": self.text.trim(), "matching": self.matching, "as_you_type": self.as_you_type, "typos": self.typos,
            "filter": self.filter.canonical().as_str(), "rank": rank, "boosts": boosts,
        });
        hex(Sha256::digest(walk.to_string().as_bytes()).get(..8).unwrap_or_default())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
