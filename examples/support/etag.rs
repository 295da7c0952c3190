//! Optimistic locking by HTTP: who writes says which version was read (RFC 9110, 13.1).

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::problem::Problem;
use crate::query::bad;

/// What has to be so for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// `If-None-Match: *`: there is nothing yet.
    New,
    /// `If-Match: *`: there is something.
    Any,
    /// `If-Match: "3"`: one of these versions stands. Tags that are not ours match nothing.
    Versions(Vec<u64>),
}

impl Precondition {
    /// Reads the precondition of a request that must have one.
    ///
    /// # Errors
    ///
    /// A 428 if there is none, a 400 if it cannot be read.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let header = |name| {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (None, _) => Ok(None),
                (Some(value), None) => value.to_str().map(|text| Some(text.trim())).map_err(|_| unreadable()),
                (Some(_), Some(_)) => Err(bad("a precondition stands in one header")),
            }
        };
        match (header(header::IF_MATCH)?, header(header::IF_NONE_MATCH)?) {
            (None, None) => Err(Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "precondition_required",
                "a write says what it was based on: If-Match with an ETag, or If-None-Match: * for what is new",
            )),
            (None, Some("*")) => Ok(Self::New),
            (Some("*"), None) => Ok(Self::Any),
            (Some(tags), None) => versions(tags).map(Self::Versions).ok_or_else(unreadable),
            (None, Some(_)) => Err(bad("If-None-Match is * here: a write of what is new")),
            (Some(_), Some(_)) => Err(bad("either If-Match or If-None-Match: both cannot hold")),
        }
    }

    /// Tells whether it holds where this version stands, or nothing does.
    pub fn holds(&self, standing: Option<u64>) -> bool {
        match (self, standing) {
            (Self::New, standing) => standing.is_none(),
            (Self::Any, standing) => standing.is_some(),
            (Self::Versions(versions), Some(standing)) => versions.contains(&standing),
            (Self::Versions(_), None) => false,
        }
    }
}

/// The tag of a version.
pub fn etag(version: u64) -> HeaderMap {
    let value = HeaderValue::try_from(format!("\"{version}\""));
    value.into_iter().map(|value| (header::ETAG, value)).collect()
}

/// Tells that something else stands than a write was based on.
pub fn stale(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
}

fn unreadable() -> Problem {
    bad("If-Match has ETags as they were answered: \"3\"")
}

/// The versions in a list of tags. Weak ones, and those of somebody else, are read and stand for none.
fn versions(mut rest: &str) -> Option<Vec<u64>> {
    let mut versions = Vec::new();
    loop {
        let tag = rest.strip_prefix("W/").unwrap_or(rest);
        let is_weak = tag.len() < rest.len();
        let (inside, behind) = tag.strip_prefix('"')?.split_once('"')?;
        if let (false, Ok(version)) = (is_weak, inside.parse::<u64>())
            && version.to_string() == inside
        {
            versions.push(version);
        }
        rest = behind.trim_start();
        if rest.is_empty() {
            return Some(versions);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: header::HeaderName, value: &str) -> Result<Precondition, Problem> {
        Precondition::of(&HeaderMap::from_iter([(name, value.parse().unwrap())]))
    }

    #[test]
    fn a_write_says_what_it_was_based_on() {
        assert_eq!(Precondition::of(&HeaderMap::new()).unwrap_err().status, 428);
        assert_eq!(read(header::IF_NONE_MATCH, "*").unwrap(), Precondition::New);
        assert_eq!(read(header::IF_MATCH, "*").unwrap(), Precondition::Any);
        assert_eq!(read(header::IF_MATCH, "\"3\"").unwrap(), Precondition::Versions(vec![3]));
        assert_eq!(read(header::IF_MATCH, "\"3\" , \"4\"").unwrap(), Precondition::Versions(vec![3, 4]));
        for foreign in ["W/\"3\"", "\"abc\"", "\"03\"", "\"+3\"", "\"99999999999999999999999\""] {
            assert_eq!(read(header::IF_MATCH, foreign).unwrap(), Precondition::Versions(vec![]), "{foreign}");
        }
        for bad in ["3", "\"3", "\"3\",", "\"3\" \"4\"", ""] {
            assert_eq!(read(header::IF_MATCH, bad).unwrap_err().status, 400, "{bad}");
        }
        assert_eq!(read(header::IF_NONE_MATCH, "\"3\"").unwrap_err().status, 400);
    }

    #[test]
    fn it_holds_for_what_it_names() {
        let three = Precondition::Versions(vec![3]);
        assert!(three.holds(Some(3)) && !three.holds(Some(4)) && !three.holds(None));
        assert!(Precondition::New.holds(None) && !Precondition::New.holds(Some(1)));
        assert!(Precondition::Any.holds(Some(1)) && !Precondition::Any.holds(None));
        assert_eq!(etag(3)[header::ETAG], "\"3\"");
    }
}
