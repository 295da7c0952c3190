//! One form for filters that say the same in another order.

use std::cmp::Ordering;
use std::fmt;
use std::slice;

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
        let node = simplify(self.clone());
        let text = Pieces::of(&node).collect();
        Canonical { filter: node.into_filter(), text }
    }
}

/// A simplified filter, of which every leaf is written once.
enum Node {
    Leaf { filter: Filter, text: String },
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

impl Node {
    fn leaf(filter: Filter) -> Self {
        Self::Leaf { text: super::json::write(&filter).to_string(), filter }
    }

    fn into_filter(self) -> Filter {
        let filters = |nodes: Vec<Self>| nodes.into_iter().map(Self::into_filter).collect();
        match self {
            Self::Leaf { filter, .. } => filter,
            Self::Not(inner) => Filter::Not(Box::new(inner.into_filter())),
            Self::And(children) => Filter::And(filters(children)),
            Self::Or(children) => Filter::Or(filters(children)),
        }
    }

    /// Compares the texts, no further than to where they differ.
    fn compare(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (Pieces::of(self), Pieces::of(other));
        let (mut one, mut two): (&[u8], &[u8]) = (&[], &[]);
        loop {
            if one.is_empty() {
                match left.next() {
                    Some(piece) => one = piece.as_bytes(),
                    None if two.is_empty() && right.next().is_none() => return Ordering::Equal,
                    None => return Ordering::Less,
                }
            } else if two.is_empty() {
                match right.next() {
                    Some(piece) => two = piece.as_bytes(),
                    None => return Ordering::Greater,
                }
            } else {
                let both = one.len().min(two.len());
                let ((begins, rest), (ends, more)) = (one.split_at(both), two.split_at(both));
                match begins.cmp(ends) {
                    Ordering::Equal => (one, two) = (rest, more),
                    differ => return differ,
                }
            }
        }
    }
}

/// The text of a node, piece by piece.
struct Pieces<'a> {
    open: Vec<Open<'a>>,
}

enum Open<'a> {
    Text(&'a str),
    Node(&'a Node),
    Children { first: bool, left: slice::Iter<'a, Node> },
}

impl<'a> Pieces<'a> {
    fn of(node: &'a Node) -> Self {
        Self { open: vec![Open::Node(node)] }
    }

    fn begin(&mut self, children: &'a [Node], text: &'static str) -> &'static str {
        self.open.push(Open::Children { first: true, left: children.iter() });
        text
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            match self.open.pop()? {
                Open::Text(text) => return Some(text),
                Open::Node(Node::Leaf { text, .. }) => return Some(text),
                Open::Node(Node::Not(inner)) => {
                    self.open.extend([Open::Text("}"), Open::Node(inner)]);
                    return Some("{\"not\":");
                }
                Open::Node(Node::And(children)) => return Some(self.begin(children, "{\"and\":[")),
                Open::Node(Node::Or(children)) => return Some(self.begin(children, "{\"or\":[")),
                Open::Children { first, mut left } => {
                    let Some(child) = left.next() else { return Some("]}") };
                    self.open.extend([Open::Children { first: false, left }, Open::Node(child)]);
                    if !first {
                        return Some(",");
                    }
                }
            }
        }
    }
}

fn simplify(filter: Filter) -> Node {
    Node::leaf(match filter {
        Filter::And(children) => return join(children, true),
        Filter::Or(children) => return join(children, false),
        Filter::Not(inner) => {
            return match simplify(*inner) {
                Node::And(all) if all.is_empty() => Node::Or(Vec::new()),
                Node::Or(any) if any.is_empty() => Node::And(Vec::new()),
                Node::Not(inner) => *inner,
                other => Node::Not(Box::new(other)),
            };
        }
        Filter::Eq { field, value } => Filter::Eq { field, value: value.canonical() },
        Filter::In { field, values } => {
            let mut values: Vec<Value> = values.into_iter().map(Value::canonical).collect();
            values.sort();
            values.dedup();
            match values.as_slice() {
                [] => return Node::Or(Vec::new()),
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
    })
}

/// Joins children under an `and` or an `or`, simplified.
fn join(mut children: Vec<Filter>, all: bool) -> Node {
    let mut flat = Vec::new();
    while let Some(child) = children.pop() {
        match child {
            // the same operator below is opened before it is sorted, however deep it lies
            Filter::And(inner) if all || inner.len() == 1 => children.extend(inner),
            Filter::Or(inner) if !all || inner.len() == 1 => children.extend(inner),
            Filter::Not(inner) => match *inner {
                Filter::Not(inner) => children.push(*inner),
                inner => flat.push(simplify(Filter::Not(Box::new(inner)))),
            },
            other => flat.push(simplify(other)),
        }
    }
    let mut joined = Vec::new();
    for child in flat {
        match child {
            // with no children it is the neutral one and goes
            Node::And(inner) if all => joined.extend(inner),
            Node::Or(inner) if !all => joined.extend(inner),
            // the other operator without children decides alone
            Node::And(inner) | Node::Or(inner) if inner.is_empty() => {
                return if all { Node::Or(inner) } else { Node::And(inner) };
            }
            other => joined.push(other),
        }
    }
    if !all {
        joined = merge_equalities(joined);
    }
    joined.sort_by(Node::compare);
    joined.dedup_by(|one, other| one.compare(other).is_eq());
    match joined.len() {
        1 => joined.pop().unwrap_or(Node::And(Vec::new())),
        _ if all => Node::And(joined),
        _ => Node::Or(joined),
    }
}

/// Makes one list of all values that one field may have.
fn merge_equalities(nodes: Vec<Node>) -> Vec<Node> {
    let mut values: std::collections::BTreeMap<_, Vec<Value>> = std::collections::BTreeMap::new();
    let mut rest = Vec::new();
    for node in nodes {
        match node {
            Node::Leaf { filter: Filter::Eq { field, value }, .. } => {
                values.entry(field).or_default().push(value);
            }
            Node::Leaf { filter: Filter::In { field, values: more }, .. } => {
                values.entry(field).or_default().extend(more);
            }
            other => rest.push(other),
        }
    }
    rest.extend(values.into_iter().map(|(field, values)| simplify(Filter::In { field, values })));
    rest
}
