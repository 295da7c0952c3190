//! Writing a schema the way TypeScript would.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::exact::Exact;
use super::shape::{Extra, Format, Kind, Labels, Record, ShapeId, Shapes};

/// Longest rendering in an error.
const SHORT: usize = 120;
/// Most shapes that are written out where they occur.
const LONG: usize = 10_000;
const MAX_DEPTH: usize = 32;

pub(super) fn prompt(shapes: &Shapes) -> String {
    let mut writer = Writer { shapes, out: String::new(), named: named(shapes), short: false };
    let mut named: Vec<ShapeId> = writer.named.iter().copied().collect();
    named.sort_by_key(|id| id.0);
    let (root, _, _) = shapes.resolve(shapes.root);
    for id in named {
        if id == root {
            continue;
        }
        let name = writer.name(id);
        let _ = write!(writer.out, "type {name} = ");
        writer.body(id, 0);
        writer.out.push_str("\n\n");
    }
    if writer.named.contains(&root) {
        let name = writer.name(root);
        let _ = write!(writer.out, "type {name} = ");
        writer.body(root, 0);
        let _ = write!(writer.out, "\n\n{name}");
    } else {
        writer.shape(shapes.root, 0);
    }
    writer.out
}

pub(super) fn short(shapes: &Shapes, id: ShapeId) -> String {
    let mut writer = Writer { shapes, out: String::new(), named: HashSet::new(), short: true };
    writer.shape(id, 0);
    if writer.out.len() > SHORT {
        let mut end = SHORT;
        while !writer.out.is_char_boundary(end) {
            end -= 1;
        }
        writer.out.truncate(end);
        writer.out.push('…');
    }
    writer.out
}

/// The shapes that need a name: those that contain themselves and, where writing each part wherever it occurs would go
/// beyond all bounds, those that occur more than once.
fn named(shapes: &Shapes) -> HashSet<ShapeId> {
    let mut named = recursive(shapes);
    let (root, _, _) = shapes.resolve(shapes.root);
    let mut sizes = HashMap::new();
    if size(shapes, root, &named, &mut sizes) > LONG {
        let mut met = HashSet::new();
        for child in sizes.keys().flat_map(|id| children(shapes, *id)) {
            let child = shapes.resolve(child).0;
            if !met.insert(child) && matches!(shapes.get(child).kind, Kind::Record(_) | Kind::Union(_)) {
                named.insert(child);
            }
        }
    }
    named
}

/// How many shapes are written for one, with all its parts.
fn size(
    shapes: &Shapes,
    id: ShapeId,
    named: &HashSet<ShapeId>,
    sizes: &mut HashMap<ShapeId, usize>,
) -> usize {
    if let Some(known) = sizes.get(&id) {
        return *known;
    }
    // As deep as the schema is nested, which the compiler bounds.
    let mut total = 1_usize;
    sizes.insert(id, total);
    for child in children(shapes, id) {
        let child = shapes.resolve(child).0;
        if !named.contains(&child) {
            total = total.saturating_add(size(shapes, child, named, sizes));
        }
    }
    sizes.insert(id, total);
    total
}

/// The shapes that contain themselves.
fn recursive(shapes: &Shapes) -> HashSet<ShapeId> {
    let mut found = HashSet::new();
    let mut state = vec![0_u8; shapes.all.len()];
    // Depth-first with an explicit stack: 1 = on the way, 2 = done.
    let mut stack = vec![(shapes.resolve(shapes.root).0, false)];
    while let Some((id, leaving)) = stack.pop() {
        let Some(mark) = state.get_mut(id.0 as usize) else { continue };
        if leaving {
            *mark = 2;
            continue;
        }
        match *mark {
            1 => {
                found.insert(id);
            }
            0 => {
                *mark = 1;
                stack.push((id, true));
                for child in children(shapes, id) {
                    let child = shapes.resolve(child).0;
                    if state.get(child.0 as usize) == Some(&1) {
                        found.insert(child);
                    } else {
                        stack.push((child, false));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn children(shapes: &Shapes, id: ShapeId) -> Vec<ShapeId> {
    match &shapes.get(id).kind {
        Kind::List(list) => list.prefix.iter().copied().chain(list.item).collect(),
        Kind::Record(record) => {
            let extra = match record.extra {
                Extra::Keep(id) => Some(id),
                Extra::Drop => None,
            };
            record
                .fields
                .iter()
                .map(|f| f.shape)
                .chain(record.patterns.iter().map(|p| p.1))
                .chain(extra)
                .collect()
        }
        Kind::Union(union) => union.variants.clone(),
        _ => Vec::new(),
    }
}

struct Writer<'a> {
    shapes: &'a Shapes,
    out: String,
    named: HashSet<ShapeId>,
    short: bool,
}

impl Writer<'_> {
    fn name(&self, id: ShapeId) -> String {
        let own = self.shapes.get(id).name.as_deref().unwrap_or("");
        let clean: String = own.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
        if clean.is_empty() { format!("T{}", id.0) } else { clean }
    }

    fn shape(&mut self, id: ShapeId, depth: usize) {
        let (resolved, shape, nullable) = self.shapes.resolve(id);
        if self.named.contains(&resolved) {
            self.out.push_str(&self.name(resolved));
        } else if depth > MAX_DEPTH || (self.short && self.out.len() > SHORT) {
            self.out.push('…');
        } else {
            self.body(resolved, depth);
        }
        if nullable && !matches!(shape.kind, Kind::Any | Kind::Null) {
            self.out.push_str(" | null");
        }
    }

    fn body(&mut self, id: ShapeId, depth: usize) {
        let shapes = self.shapes;
        match &shapes.get(id).kind {
            Kind::Any => self.out.push_str("any"),
            Kind::Never => self.out.push_str("never"),
            Kind::Null => self.out.push_str("null"),
            Kind::Bool => self.out.push_str("boolean"),
            Kind::Integer(integer) => {
                self.out.push_str("integer");
                let (low, high) = (integer.bounds.min, integer.bounds.max);
                self.range(low, high);
            }
            Kind::Number(bounds) => {
                self.out.push_str("number");
                self.range(bounds.min.or(bounds.above), bounds.max.or(bounds.below));
            }
            Kind::Text(rule) => self.out.push_str(match rule.format {
                Format::None => "string",
                Format::Date => "string (YYYY-MM-DD)",
                Format::DateTime => "string (RFC 3339 date-time)",
                Format::LocalDateTime => "string (YYYY-MM-DDThh:mm:ss)",
                Format::Time => "string (hh:mm:ss)",
            }),
            Kind::Label(labels) => self.labels(labels, depth),
            Kind::Literal(values) => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                self.out.push_str(&values.join(" | "));
            }
            Kind::List(list) => {
                if list.prefix.is_empty() {
                    match list.item {
                        Some(item) => self.element(item, depth),
                        None => self.out.push_str("never"),
                    }
                    self.out.push_str("[]");
                } else {
                    self.out.push('[');
                    for (number, item) in list.prefix.iter().enumerate() {
                        if number > 0 {
                            self.out.push_str(", ");
                        }
                        self.shape(*item, depth + 1);
                    }
                    self.out.push(']');
                }
            }
            Kind::Record(record) => self.record(record, depth),
            Kind::Union(union) => {
                for (number, variant) in union.variants.iter().enumerate() {
                    if number > 0 {
                        self.out.push_str(" | ");
                    }
                    self.shape(*variant, depth + 1);
                }
            }
            Kind::Same(_) => {}
        }
    }

    fn range(&mut self, low: Option<Exact>, high: Option<Exact>) {
        let _ = match (low, high) {
            (Some(low), Some(high)) => write!(self.out, " ({low} to {high})"),
            (Some(low), None) => write!(self.out, " (at least {low})"),
            (None, Some(high)) => write!(self.out, " (at most {high})"),
            (None, None) => Ok(()),
        };
    }

    fn element(&mut self, item: ShapeId, depth: usize) {
        let (resolved, shape, nullable) = self.shapes.resolve(item);
        let many = match &shape.kind {
            Kind::Label(labels) => labels.items.len() + labels.others.len() > 1,
            Kind::Literal(values) => values.len() > 1,
            Kind::Union(_) => true,
            Kind::Any => false,
            Kind::Integer(_) | Kind::Number(_) | Kind::Text(_) => true,
            _ => nullable,
        };
        let before = self.out.len();
        self.shape(item, depth);
        let text = self.out.get(before..).unwrap_or("");
        if (many || nullable) && !self.named.contains(&resolved) && text.contains([' ', '|']) {
            self.out.insert(before, '(');
            self.out.push(')');
        }
    }

    fn labels(&mut self, labels: &Labels, depth: usize) {
        let described = !self.short && labels.items.iter().any(|label| label.description.is_some());
        for (number, label) in labels.items.iter().enumerate() {
            if described {
                self.line(depth + 1);
                self.out.push_str("| ");
            } else if number > 0 {
                self.out.push_str(" | ");
            }
            let _ = write!(self.out, "{:?}", label.text);
            if let (true, Some(description)) = (described, &label.description) {
                self.comment(description);
            }
        }
        for (number, value) in labels.others.iter().enumerate() {
            if number > 0 || !labels.items.is_empty() {
                self.out.push_str(" | ");
            }
            let _ = write!(self.out, "{value}");
        }
    }

    fn record(&mut self, record: &Record, depth: usize) {
        if record.fields.is_empty() {
            match record.extra {
                Extra::Keep(id) => {
                    self.out.push_str("{ [key: string]: ");
                    self.shape(id, depth + 1);
                    self.out.push_str(" }");
                }
                Extra::Drop => match record.patterns.first() {
                    Some((pattern, id)) => {
                        let _ = write!(self.out, "{{ [key: /{}/]: ", pattern.source());
                        self.shape(*id, depth + 1);
                        self.out.push_str(" }");
                    }
                    None => self.out.push_str("{}"),
                },
            }
            return;
        }
        self.out.push('{');
        for (number, field) in record.fields.iter().enumerate() {
            if self.short {
                self.out.push_str(if number > 0 { ", " } else { " " });
            } else {
                self.line(depth + 1);
            }
            if field.name.chars().all(|c| c.is_alphanumeric() || c == '_') && !field.name.is_empty() {
                self.out.push_str(&field.name);
            } else {
                let _ = write!(self.out, "{:?}", field.name);
            }
            self.out.push_str(if field.required { ": " } else { "?: " });
            if self.short && depth > 0 {
                self.out.push('…');
            } else {
                self.shape(field.shape, depth + 1);
            }
            if !self.short {
                self.out.push(',');
                if let Some(description) = self.description(field.shape) {
                    self.comment(&description);
                }
            }
        }
        if let (Extra::Keep(id), false) = (record.extra, self.short) {
            self.line(depth + 1);
            self.out.push_str("[key: string]: ");
            self.shape(id, depth + 1);
            self.out.push(',');
        }
        if self.short {
            self.out.push_str(" }");
        } else {
            self.line(depth);
            self.out.push('}');
        }
    }

    fn description(&self, id: ShapeId) -> Option<String> {
        let own = self.shapes.all.get(id.0 as usize).and_then(|shape| shape.description.clone());
        own.or_else(|| self.shapes.get(id).description.clone()).map(String::from)
    }

    fn comment(&mut self, text: &str) {
        let one_line: Vec<&str> = text.split_whitespace().collect();
        self.out.push_str(" // ");
        self.out.push_str(&one_line.join(" "));
    }

    fn line(&mut self, depth: usize) {
        self.out.push('\n');
        for _ in 0..depth {
            self.out.push_str("  ");
        }
    }
}
