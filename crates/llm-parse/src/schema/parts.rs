//! The parts of a schema that must hold together: what `$ref` and `allOf` gather beside a schema's own keywords.
//!
//! A conjunction is the set of the places in the document that it came from. Nothing is copied, a place that is reached
//! twice, or says the same as another, counts once, and the same set is compiled once: no web of references grows beyond
//! the document.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::compile::{Compiled, bad};
use crate::error::Result;

const MAX_DEPTH: usize = 128;

/// Keywords that say nothing about which values fit.
pub(super) const ANNOTATIONS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "discriminator",
    "example",
    "examples",
    "nullable",
    "readOnly",
    "title",
    "writeOnly",
    "x-aliases",
];

fn is_annotation(key: &str) -> bool {
    ANNOTATIONS.contains(&key)
}

/// Keywords that join other schemas.
const JOINS: [&str; 4] = ["$ref", "allOf", "anyOf", "oneOf"];

type Rule<'a> = &'a Map<String, Value>;

/// The document, and where references into it lead.
pub(super) struct Root<'a> {
    document: &'a Value,
    anchors: HashMap<&'a str, &'a Value>,
    rules: RefCell<Rules<'a>>,
}

/// The first places that state some keywords of their own.
#[derive(Default)]
struct Rules<'a> {
    by_content: HashMap<String, Rule<'a>>,
    by_place: HashMap<usize, Option<Rule<'a>>>,
}

impl<'a> Root<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        let mut anchors = HashMap::new();
        let sections = ["$defs", "definitions"].iter().filter_map(|section| document.get(*section));
        for schema in sections.filter_map(Value::as_object).flat_map(Map::values) {
            if let Some(anchor) = schema.get("$anchor").and_then(Value::as_str) {
                anchors.entry(anchor).or_insert(schema);
            }
        }
        Self { document, anchors, rules: RefCell::default() }
    }

    /// The keywords of a schema that restrict values by themselves, as the first place that states them; `None` if it
    /// has none.
    fn rule(&self, map: Rule<'a>) -> Option<Rule<'a>> {
        let Rules { by_content, by_place } = &mut *self.rules.borrow_mut();
        *by_place.entry(std::ptr::from_ref(map).addr()).or_insert_with(|| {
            let own = |key: &&String| !is_annotation(key) && !JOINS.contains(&key.as_str());
            map.keys().any(|key| own(&key)).then(|| {
                let mut content = String::new();
                for (key, value) in map.iter().filter(|(key, _)| own(key) || *key == "x-aliases") {
                    let _ = writeln!(content, "{key:?}:{value}");
                }
                *by_content.entry(content).or_insert(map)
            })
        })
    }

    /// Finds what a local reference points at (RFC 6901 in a URI fragment, or an `$anchor`).
    pub(super) fn lookup(&self, reference: &str) -> Result<&'a Value> {
        let found = match reference.strip_prefix('#') {
            Some("") => Some(self.document),
            Some(pointer) if pointer.starts_with('/') => self.document.pointer(&percent_decoded(pointer)),
            Some(anchor) => self.anchors.get(anchor).copied(),
            None => {
                let own = self.document.get("$id").and_then(Value::as_str);
                (own == Some(reference)).then_some(self.document)
            }
        };
        found.ok_or_else(|| bad("a $ref of the schema points at nothing inside it"))
    }

    /// Follows a schema that only stands for another one: a `$ref`, or an `allOf` of one, with nothing beside it that
    /// restricts it. Answers the other one, and the reference if it was one.
    pub(super) fn alias(&self, schema: &'a Value) -> Result<Option<(&'a Value, Option<&'a str>)>> {
        let Value::Object(map) = schema else { return Ok(None) };
        let alone = |keyword: &str| map.keys().all(|key| key == keyword || is_annotation(key));
        if let Some(Value::String(pointer)) = map.get("$ref") {
            return Ok(if alone("$ref") { Some((self.lookup(pointer)?, Some(pointer))) } else { None });
        }
        match map.get("allOf") {
            Some(Value::Array(members)) if alone("allOf") => match members.as_slice() {
                [only] => Ok(Some((only, None))),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let pair = (byte == b'%').then(|| Some((hex(ahead.next()?)?, hex(ahead.next()?)?))).flatten();
        match pair {
            Some((high, low)) => {
                bytes.push(high * 16 + low);
                rest = ahead;
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// An `anyOf` or `oneOf`.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) keyword: &'static str,
    pub(super) variants: &'a Vec<Value>,
    /// The keywords that stand beside it.
    rule: Option<Rule<'a>>,
}

impl Choice<'_> {
    pub(super) fn allows_null(&self) -> bool {
        self.variants.iter().any(is_null)
    }
}

/// An alternative that is nothing but null.
pub(super) fn is_null(variant: &Value) -> bool {
    variant.get("type").and_then(Value::as_str) == Some("null") || variant.get("const") == Some(&Value::Null)
}

/// What must hold together of one value.
#[derive(Default)]
pub(super) struct Parts<'a> {
    /// The maps with keywords of their own; the outermost first.
    pub(super) rules: Vec<Rule<'a>>,
    pub(super) choices: Vec<Choice<'a>>,
    /// One part is `false`.
    pub(super) never: bool,
    pub(super) nullable: Option<bool>,
    pub(super) description: Option<&'a str>,
    pub(super) title: Option<&'a str>,
    /// The places of the rules.
    known: HashSet<usize>,
    /// The places that were gathered, and those that are on the way.
    seen: HashSet<usize>,
    open: Vec<usize>,
}

impl<'a> Parts<'a> {
    /// Adds a schema, and what it refers to.
    pub(super) fn gather(&mut self, root: &Root<'a>, schema: &'a Value) -> Result<()> {
        let map = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => {
                self.never = true;
                return Ok(());
            }
            Value::Object(map) => map,
            _ => return Err(bad("a schema must be an object, true or false")),
        };
        let place = std::ptr::from_ref(map).addr();
        if self.open.contains(&place) {
            return Err(bad("a $ref of the schema leads back to itself"));
        }
        if !self.seen.insert(place) {
            return Ok(());
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(bad("allOf and $ref of the schema are nested too deeply"));
        }
        self.words(map);
        if let Some(Value::Bool(nullable)) = map.get("nullable") {
            self.nullable = Some(*nullable && self.nullable != Some(false));
        }
        let rule = root.rule(map);
        if let Some(rule) = rule {
            self.rule(rule);
        }
        for keyword in ["anyOf", "oneOf"] {
            match map.get(keyword) {
                None => {}
                Some(Value::Array(variants)) => self.choices.push(Choice { keyword, variants, rule }),
                Some(_) => return Err(bad(format!("{keyword} must be a list"))),
            }
        }
        self.open.push(place);
        match map.get("$ref") {
            None => {}
            Some(Value::String(pointer)) => self.gather(root, root.lookup(pointer)?)?,
            Some(_) => return Err(bad("$ref must be a string")),
        }
        match map.get("allOf") {
            None => {}
            Some(Value::Array(members)) => {
                for member in members {
                    self.gather(root, member)?;
                }
            }
            Some(_) => return Err(bad("allOf must be a list")),
        }
        self.open.pop();
        Ok(())
    }

    fn words(&mut self, map: &'a Map<String, Value>) {
        self.description = self.description.or_else(|| map.get("description").and_then(Value::as_str));
        self.title = self.title.or_else(|| map.get("title").and_then(Value::as_str));
    }

    fn rule(&mut self, rule: Rule<'a>) {
        if self.known.insert(std::ptr::from_ref(rule).addr()) {
            self.rules.push(rule);
        }
    }

    /// Adds what stands beside a choice to one of its variants. The words of the variant stay.
    pub(super) fn beside(&mut self, base: &Self, chosen: Choice<'a>) {
        self.never |= base.never;
        for rule in &base.rules {
            self.rule(rule);
        }
        for choice in &base.choices {
            let known = |known: &Choice<'a>| std::ptr::eq(known.variants, choice.variants);
            if !known(&chosen) && !self.choices.iter().any(known) {
                self.choices.push(*choice);
            }
        }
    }

    /// Tells whether null, which `choice` allows, is allowed by all that holds with it. What stands beside the choice in
    /// the same map does not count: generators write the type of the other alternatives there.
    pub(super) fn allows_null(&self, choice: Choice<'a>) -> bool {
        let own = |rule: Rule<'a>| choice.rule.is_some_and(|own| std::ptr::eq(own, rule));
        let typed = |rule: Rule<'a>| match rule.get("type") {
            Some(Value::String(name)) => name == "null",
            Some(Value::Array(names)) => names.iter().any(|name| name == "null"),
            _ => true,
        };
        self.choices.iter().all(Choice::allows_null) && self.rules.iter().all(|rule| own(rule) || typed(rule))
    }

    /// How much there is to join.
    pub(super) fn size(&self) -> usize {
        self.seen.len() + self.rules.len() + self.choices.len()
    }

    /// Names the set, whatever the order in which it was gathered.
    pub(super) fn key(&self) -> Key {
        let mut rules: Vec<usize> = self.rules.iter().map(|rule| std::ptr::from_ref(*rule).addr()).collect();
        let mut choices: Vec<usize> =
            self.choices.iter().map(|choice| std::ptr::from_ref(choice.variants).addr()).collect();
        rules.sort_unstable();
        choices.sort_unstable();
        Key { rules, choices, never: self.never, nullable: self.nullable == Some(true) }
    }

    /// The values of a keyword, of all rules that have it.
    pub(super) fn values(&self, keyword: &str) -> impl Iterator<Item = &'a Value> {
        self.rules.iter().filter_map(move |rule| rule.get(keyword))
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    rules: Vec<usize>,
    choices: Vec<usize>,
    never: bool,
    nullable: bool,
}

/// Joins the counts of a keyword: the largest of minima, the smallest of maxima.
pub(super) fn count(parts: &Parts<'_>, name: &str, stricter: fn(u64, u64) -> u64) -> Compiled<Option<u64>> {
    let mut joined = None;
    for value in parts.values(name) {
        let Some(own) = value.as_u64().or_else(|| value.as_f64().and_then(whole)) else {
            return Err(bad(format!("{name} must be a whole number")).into());
        };
        joined = Some(joined.map_or(own, |known| stricter(known, own)));
    }
    Ok(joined)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole number in range"
)]
fn whole(number: f64) -> Option<u64> {
    (number >= 0.0 && number.fract() == 0.0 && number < 9.0e15).then_some(number as u64)
}
