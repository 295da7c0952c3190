//! Fitting a tree to a schema: which reading of each node is the one the schema allows, what that takes, and what does
//! not fit. One pass over the nodes; unions keep what they tried, so that the work stays linear in the answer.

mod any;
mod collect;
mod constant;
mod de;
mod leaf;
mod list;
mod measure;
mod plan;
mod record;
mod row;
pub(crate) mod scalar;
mod union;
mod wrapper;

use std::collections::HashMap;

pub(crate) use collect::collect;
pub(crate) use de::Access;
use plan::{Fail, Key, NONE, Value, index};
pub(crate) use plan::{Fit, Plan, Slot};
use scalar::null;
pub(crate) use wrapper::is_no_answer;

use crate::error::ErrorKind;
use crate::report::{Rule, Severity};
use crate::schema::shape::{Kind as ShapeKind, Shape, ShapeId, Shapes};
use crate::syntax;
use crate::tree::{Kind, NodeId, Span, Tree};

/// How to fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// List items and optional values that do not fit are left out and returned with their reasons.
    pub(crate) salvage: bool,
    /// The answer may be cut off: what is missing is not a failure.
    pub(crate) partial: bool,
    /// Write absent optional values as null or their default (for values without a type of their own).
    pub(crate) fill: bool,
    /// The candidate is running text, in which a value may be named.
    pub(crate) prose: bool,
    pub(crate) limits: syntax::Limits,
    /// How often JSON inside a string has been opened.
    pub(crate) nesting: u8,
}

/// JSON inside JSON inside JSON is as far as it goes.
const MAX_NESTING: u8 = 2;

/// Weighs one change against another when variants or candidates compete.
fn cost_of(severity: Severity) -> u32 {
    match severity {
        Severity::Cosmetic => 1,
        Severity::Repaired => 10,
        Severity::Lossy => 30,
        Severity::Ambiguous => 60,
    }
}

/// Tells whether a fitted value is a list.
pub(crate) fn is_list(slot: &Slot) -> bool {
    matches!(slot.value, Value::List { .. })
}

/// A fitted value before it is linked to its parent.
pub(crate) type Fitted = (Slot, Fit);

pub(crate) struct Aligner<'a> {
    tree: &'a Tree,
    source: &'a str,
    shapes: &'a Shapes,
    options: Options,
    pub(crate) plan: Plan,
    /// What unions have tried, by node and shape.
    memo: HashMap<(u32, u32), Fitted>,
    unions: u32,
    work: u64,
    work_limit: u64,
    depth: usize,
    /// Scratch for records: the slot of each field, of all open records.
    seen: Vec<u32>,
    /// Scratch for records: keys that name no field.
    strays: Vec<NodeId>,
    /// Which field followed which in the last record of a shape.
    order: Vec<Vec<u32>>,
}

impl<'a> Aligner<'a> {
    pub(crate) fn new(tree: &'a Tree, source: &'a str, shapes: &'a Shapes, options: Options) -> Self {
        Self::with_plan(tree, source, shapes, options, Plan::default())
    }

    /// Creates an aligner that fills an empty plan, whose memory is at hand.
    pub(crate) fn with_plan(
        tree: &'a Tree,
        source: &'a str,
        shapes: &'a Shapes,
        options: Options,
        mut plan: Plan,
    ) -> Self {
        // A generous multiple of what sane schemas need; only towers of unions come near.
        let work_limit = 100_000 + 400 * tree.len() as u64;
        plan.slots.reserve(tree.len().min(1 << 20));
        Self {
            tree,
            source,
            shapes,
            options,
            plan,
            memo: HashMap::new(),
            unions: 0,
            work: 0,
            work_limit,
            depth: 0,
            seen: Vec::new(),
            strays: Vec::new(),
            order: vec![Vec::new(); shapes.all.len()],
        }
    }

    pub(crate) fn tree(&self) -> &'a Tree {
        self.tree
    }

    pub(crate) fn source(&self) -> &'a str {
        self.source
    }

    pub(crate) fn set_prose(&mut self, prose: bool) {
        self.options.prose = prose;
    }

    /// Fits `node` to the root of the schema.
    pub(crate) fn root(&mut self, node: NodeId) -> Fitted {
        self.memo.clear();
        self.fit(node, self.shapes.root, None)
    }

    /// Fits several nodes, each as an item of the list that the root of the schema is.
    pub(crate) fn root_list(&mut self, nodes: &[NodeId]) -> Option<Fitted> {
        let (id, shape, _) = self.shapes.resolve(self.shapes.root);
        let item = match &shape.kind {
            ShapeKind::List(list) if list.prefix.is_empty() => list.item?,
            ShapeKind::Any => id,
            _ => return None,
        };
        let first = *nodes.first()?;
        self.memo.clear();
        let mut children = list::Chain::default();
        let mut fit = Fit::default();
        for (number, node) in nodes.iter().enumerate() {
            let (mut slot, own) = self.fit(*node, item, None);
            slot.key = Key::Index(index(number));
            fit.add(own);
            children.push(&mut self.plan, slot);
        }
        let slot = self.slot(first, children.list());
        Some((slot, fit))
    }

    fn slot(&self, node: NodeId, value: Value) -> Slot {
        Slot { value, key: Key::None, node, next: NONE, notes: NONE }
    }

    fn span(&self, node: NodeId) -> Span {
        self.tree.node(node).span()
    }

    fn text(&self, node: NodeId) -> &'a str {
        self.tree.text(node, self.source)
    }

    fn kind(&self, node: NodeId) -> Kind {
        self.tree.node(node).kind()
    }

    fn got(&self, node: NodeId) -> &'static str {
        match self.kind(node) {
            Kind::Null => "null",
            Kind::Bool(_) => "boolean",
            Kind::Number => "number",
            Kind::String(_) => "string",
            Kind::Word => "word",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }

    fn fail(&mut self, node: NodeId, shape: ShapeId, kind: ErrorKind) -> Fitted {
        self.fail_with(node, shape, kind, None)
    }

    fn fail_with(
        &mut self,
        node: NodeId,
        shape: ShapeId,
        kind: ErrorKind,
        detail: Option<&'static str>,
    ) -> Fitted {
        let span = self.span(node);
        let got = self.got(node);
        let number = index(self.plan.fails.len());
        self.plan.fails.push(Fail {
            kind,
            shape,
            got,
            detail,
            start: index(span.start),
            end: index(span.end),
        });
        (self.slot(node, Value::Failed(number)), Fit { errors: 1, cost: 0 })
    }

    fn noted(&mut self, fitted: &mut Fitted, rule: Rule, severity: Severity) {
        let span = self.span(fitted.0.node);
        self.noted_at(fitted, rule, severity, span);
    }

    fn noted_at(&mut self, fitted: &mut Fitted, rule: Rule, severity: Severity, span: Span) {
        self.plan.note(&mut fitted.0, rule, severity, span);
        fitted.1.cost = fitted.1.cost.saturating_add(cost_of(severity));
    }

    /// Fits one node to one shape; `name` is the field that it fills.
    #[inline]
    fn fit(&mut self, node: NodeId, shape: ShapeId, name: Option<&'a str>) -> Fitted {
        let (id, found, nullable) = self.shapes.resolve(shape);
        self.work += 1;
        if self.work > self.work_limit {
            return self.fail_with(node, id, ErrorKind::TooLarge, Some("too many ways to fit"));
        }
        if self.depth > self.options.limits.max_depth() + 16 {
            return self.fail(node, id, ErrorKind::TooDeep);
        }
        let kind = self.kind(node);
        if self.unions == 0
            && let Some(value) = self.plain_leaf(node, kind, &found.kind, nullable)
        {
            return (self.slot(node, value), Fit::default());
        }
        self.fit_deep(node, id, found, nullable, name)
    }

    #[inline(never)]
    fn fit_deep(
        &mut self,
        node: NodeId,
        id: ShapeId,
        found: &'a Shape,
        nullable: bool,
        name: Option<&'a str>,
    ) -> Fitted {
        let kind = self.kind(node);
        self.depth += 1;
        let compound = matches!(kind, Kind::Object | Kind::Array);
        let union = matches!(found.kind, ShapeKind::Union(_));
        // Scalars as well: a word can be wrapped into a list or record of its own union again and again.
        let remember = self.unions > 0 || union;
        let key = (node.0, id.0);
        let fitted = if let Some(known) = remember.then(|| self.memo.get(&key)).flatten() {
            *known
        } else {
            // A node inside itself (a list of lists of … wrapped around it) fits nothing.
            if remember {
                let open = self.fail(node, id, ErrorKind::Mismatch);
                self.memo.insert(key, open);
            }
            let fitted = if nullable && !compound {
                self.nullable(node, id, name)
            } else {
                self.fit_kind(node, id, &found.kind, name)
            };
            if remember {
                self.memo.insert(key, fitted);
            }
            fitted
        };
        self.depth -= 1;
        fitted
    }

    /// The common leaves, of which there is nothing to say: a text for a text, a truth value for a truth value, null.
    #[inline]
    fn plain_leaf(&self, node: NodeId, kind: Kind, shape: &ShapeKind, nullable: bool) -> Option<Value> {
        match (shape, kind) {
            (ShapeKind::Text(rule), Kind::String(_)) if !self.options.prose && rule.is_free() => {
                let text = self.text(node);
                let plain = self.tree.node(node).is_complete()
                    && !null::is_placeholder(text)
                    && !(nullable && null::read(text).is_some());
                plain.then_some(Value::Text)
            }
            (ShapeKind::Bool, Kind::Bool(value)) if self.tree.node(node).is_complete() => {
                Some(Value::Bool(value))
            }
            (_, Kind::Null) if nullable && self.tree.node(node).is_complete() => Some(Value::Null),
            _ => None,
        }
    }

    fn fit_kind(&mut self, node: NodeId, id: ShapeId, kind: &'a ShapeKind, name: Option<&'a str>) -> Fitted {
        match kind {
            ShapeKind::Text(rule) => self.fit_text(node, id, rule),
            ShapeKind::Integer(rule) => self.fit_integer(node, id, rule, name),
            ShapeKind::Number(rule) => self.fit_number(node, id, rule, name),
            ShapeKind::Bool => self.fit_bool(node, id),
            ShapeKind::Label(labels) => self.fit_label(node, id, labels),
            ShapeKind::Literal(values) => self.fit_literal(node, id, values),
            ShapeKind::Record(record) => self.fit_record(node, id, record),
            ShapeKind::List(list) => self.fit_list(node, id, list),
            ShapeKind::Union(union) => self.fit_union(node, id, union, name),
            ShapeKind::Any => self.fit_any(node, id),
            ShapeKind::Null => self.fit_null(node, id),
            ShapeKind::Never | ShapeKind::Same(_) => self.fail(node, id, ErrorKind::Mismatch),
        }
    }

    /// Opens JSON inside a string and fits what is found there.
    fn nested(&mut self, node: NodeId, id: ShapeId) -> Option<Fitted> {
        let text = self.text(node);
        if !text.contains(['{', '[']) {
            return None;
        }
        let trimmed = text.trim();
        let plain = trimmed.starts_with(['{', '[', '"']);
        if !plain && !trimmed.starts_with("```") {
            return None;
        }
        self.work += text.len() as u64 / 16;
        let mut fitted = self.fit_nested(node, id, text)?;
        self.noted(&mut fitted, Rule::NestedJson, Severity::Repaired);
        Some(fitted)
    }

    /// Fits the first list or object in a text of its own; all of it takes the place of `node`.
    fn fit_nested(&mut self, node: NodeId, id: ShapeId, text: &str) -> Option<Fitted> {
        if self.options.nesting >= MAX_NESTING {
            return None;
        }
        let document = syntax::read(text, &self.options.limits);
        let candidate = document.candidates().iter().find(|candidate| {
            matches!(document.tree().node(candidate.root()).kind(), Kind::Object | Kind::Array)
        })?;
        let options = Options { nesting: self.options.nesting + 1, prose: false, ..self.options };
        let mut inner = Aligner::new(document.tree(), text, self.shapes, options);
        inner.work_limit = self.work_limit.saturating_sub(self.work);
        let (slot, fit) = inner.fit(candidate.root(), id, None);
        self.work += inner.work;
        Some((self.import(&inner, &slot, node), fit))
    }

    /// Copies a value of another plan; its places become the place of `node`.
    fn import(&mut self, other: &Aligner<'_>, slot: &Slot, node: NodeId) -> Slot {
        let span = self.span(node);
        let plan = &other.plan;
        let value = match slot.value {
            Value::Text => Value::Owned(self.plan.own(other.text(slot.node))),
            Value::Owned(at) => {
                Value::Owned(self.plan.own(plan.owned.get(at as usize).map_or("", |text| text)))
            }
            Value::Json(at) => {
                Value::Json(self.plan.json(plan.json.get(at as usize).cloned().unwrap_or_default()))
            }
            Value::Wide(at) => {
                self.plan.wide.push(plan.wide.get(at as usize).copied().unwrap_or_default());
                Value::Wide(index(self.plan.wide.len() - 1))
            }
            Value::Failed(at) => {
                if let Some(fail) = plan.fails.get(at as usize) {
                    self.plan.fails.push(Fail { start: index(span.start), end: index(span.end), ..*fail });
                }
                Value::Failed(index(self.plan.fails.len()).saturating_sub(1))
            }
            Value::List { first, .. } => self.import_children(other, first, node).list(),
            Value::Record { first, .. } => self.import_children(other, first, node).record(),
            plain => plain,
        };
        let mut copy = self.slot(node, value);
        copy.key = self.import_key(other, slot.key);
        for note in plan.notes(slot) {
            let step = self.import_key(other, note.step);
            self.plan.note_at(&mut copy, note.rule, note.severity, span, step, NONE);
        }
        copy
    }

    fn import_key(&mut self, other: &Aligner<'_>, key: Key) -> Key {
        match key {
            Key::Node(from) => Key::Owned(self.plan.own(other.tree.key(from, other.source).unwrap_or(""))),
            Key::Owned(at) => {
                Key::Owned(self.plan.own(other.plan.owned.get(at as usize).map_or("", |text| text)))
            }
            key => key,
        }
    }

    fn import_children(&mut self, other: &Aligner<'_>, first: u32, node: NodeId) -> list::Chain {
        let mut chain = list::Chain::default();
        for child in other.plan.children(first) {
            let copy = self.import(other, child, node);
            chain.push(&mut self.plan, copy);
        }
        chain
    }
}
