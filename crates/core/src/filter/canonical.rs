//! One form for filters that say the same in another order.

use std::fmt;

use super::{Bounds, Filter, Value};

/// A filter in its canonical form, and that form as text: a key for caches, logs and comparisons.
///
/// Filters that differ in the order or nesting of `and` and `or`, in repetition, in double negation, in the order of a list
/// of values, in `1` and `1.0`, or in an `or` of equalities and an `in`, have one canonical form.
///
/// It holds the values that are asked for, and so may `Display` show what a person typed; `Debug` does not.
///
/// ```
/// use pumasi_core::filter::Field;
///
/// const LANG: Field<String> = Field::new("lang");
/// let one = LANG.eq("ko").or(LANG.eq("en"));
/// let other = !!LANG.is_in(["en", "ko", "en"]);
/// assert_eq!(one.canonical(), other.canonical());
/// assert_eq!(one.canonical().as_str(), r#"{"in":{"field":"lang","values":["en","ko"]}}"#);
/// ```
#[derive(Clone)]
pub struct Canonical {
    filter: Filter,
    text: String,
}

impl Canonical {
    /// Returns the canonical form as JSON.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the canonical form as a filter.
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Takes the canonical form out.
    pub fn into_filter(self) -> Filter {
        self.filter
    }
}

impl fmt::Debug for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canonical").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl PartialEq for Canonical {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Canonical {}

impl std::hash::Hash for Canonical {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Filter {
    /// Returns the canonical form, which is true, false and unknown of the same records.
    pub fn canonical(&self) -> Canonical {
        let filter = simplify(self.clone());
        Canonical { text: text(&filter), filter }
    }
}

fn text(filter: &Filter) -> String {
    super::json::write(filter).to_string()
}

fn simplify(filter: Filter) -> Filter {
    match filter {
        Filter::And(children) => join(children, true),
        Filter::Or(children) => join(children, false),
        Filter::Not(inner) => match simplify(*inner) {
            Filter::And(all) if all.is_empty() => Filter::nothing(),
            Filter::Or(any) if any.is_empty() => Filter::everything(),
            other => !other,
        },
        Filter::Eq { field, value } => Filter::Eq { field, value: value.canonical() },
        Filter::In { field, values } => {
            let mut values: Vec<Value> = values.into_iter().map(Value::canonical).collect();
            values.sort();
            values.dedup();
            match values.as_slice() {
                [] => Filter::nothing(),
                [one] => Filter::Eq { field, value: one.clone() },
                _ => Filter::In { field, values },
            }
        }
        Filter::Range { field, bounds } => {
            let end =
                |end: Option<(Value, bool)>| end.map(|(value, inclusive)| (value.canonical(), inclusive));
            let bounds = Bounds { low: end(bounds.low), high: end(bounds.high) };
            match (&bounds.low, &bounds.high) {
                (Some((low, true)), Some((high, true))) if low == high => {
                    Filter::Eq { field, value: low.clone() }
                }
                _ => Filter::Range { field, bounds },
            }
        }
        Filter::Contains { field, value } => Filter::Contains { field, value: value.canonical() },
        Filter::Near { field, circle } => Filter::Near { field, circle: circle.canonical() },
        exists @ Filter::Exists { .. } => exists,
    }
}

/// Joins simplified children under an `and` or an `or`.
fn join(children: Vec<Filter>, all: bool) -> Filter {
    let mut flat = Vec::new();
    for child in children {
        match simplify(child) {
            // the same operator below; with no children it is the neutral one and goes
            Filter::And(inner) if all => flat.extend(inner),
            Filter::Or(inner) if !all => flat.extend(inner),
            // the other operator without children decides alone
            Filter::Or(inner) if all && inner.is_empty() => return Filter::nothing(),
            Filter::And(inner) if !all && inner.is_empty() => return Filter::everything(),
            other => flat.push(other),
        }
    }
    if !all {
        flat = merge_equalities(flat);
    }
    flat.sort_by_cached_key(text);
    flat.dedup();
    match flat.len() {
        1 => flat.pop().unwrap_or(Filter::And(Vec::new())),
        _ if all => Filter::And(flat),
        _ => Filter::Or(flat),
    }
}

/// Makes one list of all values that one field may have.
fn merge_equalities(filters: Vec<Filter>) -> Vec<Filter> {
    let mut values: std::collections::BTreeMap<_, Vec<Value>> = std::collections::BTreeMap::new();
    let mut rest = Vec::new();
    for filter in filters {
        match filter {
            Filter::Eq { field, value } => values.entry(field).or_default().push(value),
            Filter::In { field, values: more } => values.entry(field).or_default().extend(more),
            other => rest.push(other),
        }
    }
    rest.extend(values.into_iter().map(|(field, values)| simplify(Filter::In { field, values })));
    rest
}
