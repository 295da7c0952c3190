//! Long sources: the parts' values become one, without what the overlap says twice.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;
use std::sync::Arc;

use super::{ExtractErrorKind, Failure, Grounded, Origins, SourceSpan, lasts, pointer};

/// A value that holds a list, which grows when the values of a long source's parts are joined.
///
/// `Vec<X>` is one; a struct around a list says where it is:
///
/// ```
/// use pumasi_llm_parse::extract::Merge;
///
/// struct Plan {
///     goal: Option<String>,
///     steps: Vec<String>,
/// }
///
/// impl Merge for Plan {
///     type Item = String;
///     const LIST: &'static str = "/steps";
///
///     fn list(&mut self) -> &mut Vec<String> {
///         &mut self.steps
///     }
///
///     fn join_rest(&mut self, later: Self) {
///         self.goal = self.goal.take().or(later.goal);
///     }
/// }
/// ```
pub trait Merge: Sized {
    /// What is in the list.
    type Item;

    /// Where the list is, as a JSON Pointer into the value's JSON; `""` if the value is the list.
    const LIST: &'static str;

    /// Returns the list.
    fn list(&mut self) -> &mut Vec<Self::Item>;

    /// Takes over from a later part whatever is not in the list, which `later` no longer has; by default nothing.
    fn join_rest(&mut self, later: Self) {
        drop(later);
    }
}

impl<X> Merge for Vec<X> {
    type Item = X;
    const LIST: &'static str = "";

    fn list(&mut self) -> &mut Vec<X> {
        self
    }
}

/// What one part of a source gave.
#[derive(Debug)]
pub(crate) struct Part<T> {
    pub(crate) value: T,
    pub(crate) grounding: Grounded,
    pub(crate) rejected: Vec<Failure>,
    pub(crate) incomplete: Option<ExtractErrorKind>,
    pub(crate) confidence: f32,
    pub(crate) origins: Origins,
}

pub(crate) type MergeParts<T> = Arc<dyn Fn(Vec<Part<T>>) -> Option<Part<T>> + Send + Sync>;

/// Makes the function that joins parts in the order of the source; of items with equal keys the first is kept.
pub(crate) fn merge_by<T, K>(key: impl Fn(&T::Item) -> K + Send + Sync + 'static) -> MergeParts<T>
where
    T: Merge + 'static,
    K: Eq + Hash,
{
    Arc::new(move |parts: Vec<Part<T>>| {
        let mut seen: HashMap<K, usize> = HashMap::new();
        let mut joined: Option<Part<T>> = None;
        let mut origins = Origins::default();
        for mut part in parts {
            let items = std::mem::take(part.value.list());
            let offset = joined.as_mut().map_or(0, |all| all.value.list().len());
            let mut fresh = Vec::new();
            // where each item of the part stands in the end, and whether it is the one that stands there
            let mut places: Vec<(usize, bool)> = Vec::new();
            for item in items {
                let next = offset + fresh.len();
                let place = *seen.entry(key(&item)).or_insert(next);
                places.push((place, place == next));
                if place == next {
                    fresh.push(item);
                }
            }
            let everywhere: Vec<usize> = places.iter().map(|(place, _)| *place).collect();
            origins.join(std::mem::take(&mut part.origins), T::LIST, &everywhere);
            let first = joined.is_none();
            let moved = |path: &str| moved::<T>(path, &places, first);
            let quotes = part.grounding.quotes.into_iter().filter_map(|mut quote| {
                quote.path = moved(&quote.path)?;
                Some(quote)
            });
            let missing = part.grounding.missing.into_iter().filter_map(|mut missing| {
                missing.path = moved(&missing.path)?;
                Some(missing)
            });
            let grounding = Grounded::new(quotes.collect(), missing.collect());
            match &mut joined {
                None => {
                    *part.value.list() = fresh;
                    joined = Some(Part { grounding, ..part });
                }
                Some(all) => {
                    all.value.list().extend(fresh);
                    all.value.join_rest(part.value);
                    all.grounding.quotes.extend(grounding.quotes);
                    all.grounding.missing.extend(grounding.missing);
                    all.rejected.extend(part.rejected);
                    // a reason that may be gone next time keeps the whole from being final
                    let reasons = [all.incomplete, part.incomplete].into_iter().flatten();
                    all.incomplete = reasons.min_by_key(|reason| lasts(*reason));
                    all.confidence = all.confidence.min(part.confidence);
                }
            }
        }
        joined.map(|joined| Part { origins, ..joined })
    })
}

/// Returns how a place of a part is called in the joined value.
fn moved<T: Merge>(path: &str, places: &[(usize, bool)], first: bool) -> Option<String> {
    let Some((index, tail)) = pointer::item_of(T::LIST, path) else {
        // beside the list only what the first part says is certain to be kept
        return first.then(|| path.to_owned());
    };
    let (new, _) = places.get(index).filter(|(_, stands)| *stands)?;
    Some(format!("{}{tail}", pointer::join(T::LIST, &new.to_string())))
}

/// Moves the spans of a part to where the part stands in the whole source.
pub(crate) fn shift(grounding: &mut Grounded, source: &str, part: &Range<usize>) {
    let chars = source.get(..part.start).map_or(0, |before| before.chars().count());
    for quote in &mut grounding.quotes {
        let SourceSpan { start, end, char_start, char_end } = quote.span;
        quote.span = SourceSpan {
            start: start + part.start,
            end: end + part.start,
            char_start: char_start + chars,
            char_end: char_end + chars,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{Missing, MissingQuote, Quote, QuoteFit};

    fn part(items: &[&str], source: &str) -> Part<Vec<String>> {
        let quotes = items.iter().enumerate().filter_map(|(at, item)| {
            let start = source.find(item)?;
            let span = SourceSpan::of(source, start..start + item.len())?;
            Some(Quote::new(format!("/{at}/quote"), span, QuoteFit::Exact, 1.0))
        });
        Part {
            value: items.iter().map(|item| (*item).to_owned()).collect(),
            grounding: Grounded::new(
                quotes.collect(),
                vec![MissingQuote::new("/0/other", Missing::NotInSource)],
            ),
            rejected: Vec::new(),
            incomplete: None,
            confidence: 0.9,
            origins: Origins::default(),
        }
    }

    #[test]
    fn equal_items_are_kept_once_and_their_quotes_follow_them() {
        let source = "달리기 수영 수영 자전거";
        let (first, second) = (0..17, 17..source.len());
        let mut one = part(&["달리기", "수영"], &source[first]);
        let mut two = part(&["수영", "자전거"], &source[second.clone()]);
        shift(&mut one.grounding, source, &(0..17));
        shift(&mut two.grounding, source, &second);
        let merge = merge_by::<Vec<String>, _>(|item| item.to_lowercase());
        let all = merge(vec![one, two]).unwrap();
        assert_eq!(all.value, ["달리기", "수영", "자전거"]);
        let found: Vec<_> = all
            .grounding
            .quotes
            .iter()
            .map(|quote| (quote.path.as_str(), quote.span.text(source).unwrap()))
            .collect();
        assert_eq!(found, [("/0/quote", "달리기"), ("/1/quote", "수영"), ("/2/quote", "자전거")]);
        let chars = all.grounding.quotes[2].span;
        let text: String =
            source.chars().skip(chars.char_start).take(chars.char_end - chars.char_start).collect();
        assert_eq!(text, "자전거");
        assert_eq!(all.grounding.missing.len(), 1, "what was missing in a dropped item is dropped with it");
    }

    #[test]
    fn one_part_that_is_not_final_keeps_the_whole_from_being_so() {
        use ExtractErrorKind::{BudgetExhausted, Refused};
        for (parts, whole) in [
            ([None, Some(Refused), None], Some(Refused)),
            ([Some(Refused), Some(BudgetExhausted), Some(Refused)], Some(BudgetExhausted)),
            ([None, None, None], None),
        ] {
            let parts = parts.map(|incomplete| Part { incomplete, ..part(&[], "") });
            assert_eq!(merge_by::<Vec<String>, _>(Clone::clone)(parts.into()).unwrap().incomplete, whole);
        }
    }

    #[test]
    fn nothing_joins_to_nothing() {
        assert!(merge_by::<Vec<String>, _>(Clone::clone)(Vec::new()).is_none());
    }
}
