//! Compiling what types say: of texts, lists and objects.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::compile::{Compiled, Compiler, Trouble, bad};
use super::fold::fold;
use super::parts::{Parts, count};
use super::pattern::Pattern;
use super::shape::{Extra, Field, Format, Kind, List, Record, ShapeId, TextRule, Union};
use super::{bounds, labels};
use crate::error::Result;

impl<'a> Compiler<'a> {
    pub(super) fn typed(&mut self, parts: &Parts<'a>, nullable: &mut bool) -> Compiled<Kind> {
        let types = types(parts)?;
        let had_types = types.is_some();
        let types = types.unwrap_or_else(|| guess_type(parts).into_iter().collect());
        *nullable |= types.contains(&"null");
        let mut kinds = Vec::new();
        for name in types.into_iter().filter(|name| *name != "null") {
            kinds.push(match name {
                "string" => Kind::Text(self.text_rule(parts)?),
                "boolean" => Kind::Bool,
                "integer" => Kind::Integer(bounds::integer(parts)),
                "number" => Kind::Number(bounds::joined(parts)),
                "array" => Kind::List(Box::new(self.list(parts)?)),
                "object" => Kind::Record(Box::new(self.record(parts)?)),
                other => {
                    return Err(bad(format!("type {:?} is not one of JSON Schema's", clip(other))).into());
                }
            });
        }
        Ok(match kinds.len() {
            0 if had_types => Kind::Null,
            0 => Kind::Any,
            1 => kinds.pop().unwrap_or(Kind::Any),
            _ => {
                let variants = kinds.into_iter().map(|kind| self.plain(kind)).collect::<Result<_>>()?;
                Kind::Union(Box::new(Union { variants, tag: None }))
            }
        })
    }

    fn text_rule(&mut self, parts: &Parts<'a>) -> Compiled<TextRule> {
        let mut patterns = Vec::new();
        for source in parts.values("pattern") {
            let Value::String(source) = source else { return Err(bad("pattern must be a string").into()) };
            match Pattern::new(source) {
                Some(pattern) => patterns.push(pattern),
                None => self.note_unchecked("pattern"),
            }
        }
        let mut format = Format::None;
        for name in parts.values("format").filter_map(Value::as_str) {
            let own = match name {
                "date" => Format::Date,
                "date-time" => Format::DateTime,
                "partial-date-time" | "local-date-time" => Format::LocalDateTime,
                "time" | "partial-time" => Format::Time,
                other => {
                    self.note_unchecked(&format!("format: {other}"));
                    continue;
                }
            };
            if format != Format::None && format != own {
                return Err(Trouble::Clash("allOf of the schema asks for two formats at once"));
            }
            format = own;
        }
        Ok(TextRule {
            min_len: count(parts, "minLength", u64::max)?,
            max_len: count(parts, "maxLength", u64::min)?,
            patterns,
            format,
        })
    }

    fn list(&mut self, parts: &Parts<'a>) -> Compiled<List> {
        let all = parts.rules.iter().map(|rule| items(rule)).collect::<Result<Vec<_>>>()?;
        let places = all.iter().map(|(prefix, _)| prefix.len()).max().unwrap_or(0);
        let mut prefix = Vec::with_capacity(places);
        for place in 0..places {
            let here: Vec<&'a Value> =
                all.iter().filter_map(|(prefix, item)| prefix.get(place).or(*item)).collect();
            prefix.push(self.part(&here)?);
        }
        let rest: Vec<&'a Value> = all.iter().filter_map(|(_, item)| *item).collect();
        let item = match rest.as_slice() {
            [] => Some(self.plain(Kind::Any)?),
            many if many.contains(&&Value::Bool(false)) => None,
            many => Some(self.part(many)?),
        };
        Ok(List {
            min: count(parts, "minItems", u64::max)?.unwrap_or(0),
            max: count(parts, "maxItems", u64::min)?,
            unique: parts.values("uniqueItems").any(|unique| *unique == Value::Bool(true)),
            prefix,
            item,
        })
    }

    fn record(&mut self, parts: &Parts<'a>) -> Compiled<Record> {
        let mut required = Vec::new();
        for names in parts.values("required") {
            // Draft 3 wrote `required: true` at the property.
            let Value::Array(names) = names else {
                return Err(bad("required must be a list of names").into());
            };
            required.extend(names.iter().filter_map(Value::as_str));
        }
        let needed: HashSet<&str> = required.iter().copied().collect();
        let mut fields = Vec::new();
        let mut named = HashSet::new();
        let mut patterns: Vec<(&'a str, Vec<&'a Value>)> = Vec::new();
        for rule in &parts.rules {
            let properties = match rule.get("properties") {
                None => None,
                Some(Value::Object(properties)) => Some(properties),
                Some(_) => return Err(bad("properties must be an object").into()),
            };
            for (name, schema) in properties.into_iter().flatten() {
                if named.insert(name.as_str()) {
                    let all: Vec<&'a Value> =
                        parts.rules.iter().filter_map(|rule| property(rule, name)).collect();
                    fields.push(self.field(name, schema, &all, needed.contains(name.as_str()))?);
                }
            }
            if let Some(Value::Object(own)) = rule.get("patternProperties") {
                for (source, schema) in own {
                    match patterns.iter_mut().find(|(known, _)| known == source) {
                        Some((_, all)) => all.push(schema),
                        None => patterns.push((source, vec![schema])),
                    }
                }
            }
        }
        for name in required {
            if named.insert(name) {
                let shape = self.plain(Kind::Any)?;
                fields.push(Field {
                    name: name.into(),
                    folded: fold(name),
                    aliases: Vec::new(),
                    shape,
                    required: true,
                    default: None,
                });
            }
        }
        let mut by_pattern = Vec::new();
        for (source, schemas) in patterns {
            let shape = self.part(&schemas)?;
            match Pattern::new(source) {
                Some(pattern) => by_pattern.push((pattern, shape)),
                None => self.note_unchecked("patternProperties"),
            }
        }
        // A key has one shape: that of its name, or of the first pattern that it matches.
        let matched = |field: &Field| {
            by_pattern.iter().any(|(pattern, _): &(Pattern, ShapeId)| pattern.matches(&field.name))
        };
        if by_pattern.len() > 1 || fields.iter().any(matched) {
            self.note_unchecked("patternProperties");
        }
        let extra = self.extra(parts, fields.is_empty() && by_pattern.is_empty())?;
        let min = count(parts, "minProperties", u64::max)?.unwrap_or(0);
        let max = count(parts, "maxProperties", u64::min)?;
        Ok(Record::new(fields, by_pattern, extra, min, max))
    }

    fn field(&mut self, name: &str, schema: &'a Value, all: &[&'a Value], required: bool) -> Compiled<Field> {
        let shape = match all {
            // A record must have it, and so contradicts itself with it.
            [one] if required => self.schema(one)?,
            many if required => self.together(many)?,
            many => self.part(many)?,
        };
        let mut aliases = labels::key_aliases(schema);
        for other in all.iter().filter(|other| !std::ptr::eq(**other, schema)) {
            aliases.extend(labels::key_aliases(other));
        }
        Ok(Field {
            name: name.into(),
            folded: fold(name),
            aliases,
            shape,
            required,
            default: all.iter().find_map(|schema| schema.get("default")).cloned(),
        })
    }

    /// What becomes of keys that name no field.
    fn extra(&mut self, parts: &Parts<'a>, free: bool) -> Compiled<Extra> {
        let mut all = Vec::new();
        let mut open = false;
        for schema in parts.rules.iter().filter_map(|rule| rest(rule)) {
            match schema {
                Value::Bool(false) => return Ok(Extra::Drop),
                Value::Bool(true) => open = true,
                schema => all.push(schema),
            }
        }
        Ok(match all.as_slice() {
            [] if open || free => Extra::Keep(self.plain(Kind::Any)?),
            [] => Extra::Drop,
            many => Extra::Keep(self.part(many)?),
        })
    }
}

/// The types that all rules allow; `None` if none of them names any.
fn types<'a>(parts: &Parts<'a>) -> Compiled<Option<Vec<&'a str>>> {
    let mut joined: Option<Vec<&'a str>> = None;
    for own in parts.values("type") {
        let own: Vec<&'a str> = match own {
            Value::String(one) => vec![one.as_str()],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => return Err(bad("type must be a string or a list of strings").into()),
        };
        let Some(known) = joined.take() else {
            joined = Some(own);
            continue;
        };
        let mut common: Vec<&'a str> = known.iter().copied().filter(|name| own.contains(name)).collect();
        for (one, other) in [(&known, &own), (&own, &known)] {
            if one.contains(&"number") && other.contains(&"integer") && !common.contains(&"integer") {
                common.push("integer");
            }
        }
        if common.is_empty() {
            return Err(Trouble::Clash("allOf of the schema asks for two types at once"));
        }
        joined = Some(common);
    }
    Ok(joined)
}

/// What one rule says of the items of a list: of the first ones, and of all others.
fn items(rule: &Map<String, Value>) -> Result<(&[Value], Option<&Value>)> {
    // Before 2020-12 a tuple was `items: [...]` with `additionalItems`.
    match (rule.get("prefixItems"), rule.get("items")) {
        (Some(Value::Array(prefix)), item) => Ok((prefix, item)),
        (None, Some(Value::Array(prefix))) => Ok((prefix, rule.get("additionalItems"))),
        (None, item) => Ok((&[], item)),
        (Some(_), _) => Err(bad("prefixItems must be a list")),
    }
}

/// What one rule says of a property: what it says of it by name, or of all keys that it does not name.
fn property<'a>(rule: &&'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let own = rule.get("properties").and_then(|properties| properties.get(name));
    // A schema for all other keys holds of this one, too. `false` would take the property away; it is written where "no
    // keys but all of ours" is meant.
    own.or_else(|| rest(rule).filter(|schema| schema.is_object() && !rule.contains_key("patternProperties")))
}

fn rest(rule: &Map<String, Value>) -> Option<&Value> {
    rule.get("additionalProperties").or_else(|| rule.get("unevaluatedProperties"))
}

impl Record {
    fn new(
        fields: Vec<Field>,
        patterns: Vec<(Pattern, ShapeId)>,
        extra: Extra,
        min: u64,
        max: Option<u64>,
    ) -> Self {
        let mut exact = HashMap::new();
        let mut folded: HashMap<Box<str>, Option<u32>> = HashMap::new();
        for (number, field) in (0_u32..).zip(&fields) {
            exact.insert(field.name.clone(), number);
            for name in std::iter::once(&field.name).chain(&field.aliases) {
                folded
                    .entry(fold(name))
                    .and_modify(|old| {
                        if *old != Some(number) {
                            *old = None;
                        }
                    })
                    .or_insert(Some(number));
            }
        }
        for (number, field) in (0_u32..).zip(&fields) {
            for alias in &field.aliases {
                exact.entry(alias.clone()).or_insert(number);
            }
        }
        Self { fields, exact, folded, patterns, extra, min, max }
    }
}

fn guess_type(parts: &Parts<'_>) -> Option<&'static str> {
    let has = |names: &[&str]| names.iter().any(|name| parts.values(name).next().is_some());
    if has(&["properties", "additionalProperties", "patternProperties", "required"]) {
        Some("object")
    } else if has(&["items", "prefixItems", "minItems", "maxItems"]) {
        Some("array")
    } else if has(&["pattern", "minLength", "maxLength"]) {
        Some("string")
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        Some("number")
    } else {
        None
    }
}

fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}
