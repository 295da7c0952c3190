//! Objects: finding each field's key, and what happens to the keys that name none.

use super::list::Chain;
use super::plan::{Fail, Key, NONE, Value, index};
use super::scalar::fuzzy::is_slip;
use super::{Aligner, Fit, Fitted, cost_of, wrapper};
use crate::error::ErrorKind;
use crate::report::{Rule, Severity};
use crate::schema::fold;
use crate::schema::shape::{Extra, Kind as ShapeKind, Record, ShapeId};
use crate::tree::{Kind, NodeId, Span};

/// Keys times fields that are compared for misspellings; beyond, only exact and folded names count.
const MAX_FUZZY: usize = 4096;

/// A record under construction.
struct Open {
    slot: super::Slot,
    fit: Fit,
    chain: Chain,
    /// Where the record's fields begin in the scratch.
    seen: usize,
    matched: u32,
}

impl<'a> Aligner<'a> {
    pub(super) fn fit_record(&mut self, node: NodeId, id: ShapeId, record: &'a Record) -> Fitted {
        match self.kind(node) {
            Kind::Object => self.object(node, id, record, self.tree().children(node)),
            Kind::Array if self.is_pair_list(node) => {
                let tree = self.tree();
                let pairs = tree.children(node).flat_map(|pair| tree.children(pair));
                let mut fitted = self.object(node, id, record, pairs);
                if fitted.1.errors == 0 {
                    self.noted(&mut fitted, Rule::PairList, Severity::Repaired);
                } else {
                    fitted = self.fail_with(node, id, ErrorKind::Ambiguous, Some("several values for one"));
                }
                fitted
            }
            Kind::Array => {
                let mut children = self.tree().children(node);
                match (children.next(), children.next()) {
                    (Some(only), None) if matches!(self.kind(only), Kind::Object) => {
                        let mut fitted = self.fit(only, id, None);
                        let span = self.span(node);
                        self.noted_at(&mut fitted, Rule::Unwrapped, Severity::Repaired, span);
                        fitted
                    }
                    (Some(_), Some(_)) => {
                        self.fail_with(node, id, ErrorKind::Ambiguous, Some("several values for one"))
                    }
                    _ => self.fail(node, id, ErrorKind::Mismatch),
                }
            }
            Kind::Null => self.fail(node, id, ErrorKind::Mismatch),
            Kind::String(_) | Kind::Word | Kind::Number | Kind::Bool(_) => {
                self.record_from_scalar(node, id, record)
            }
        }
    }

    fn record_from_scalar(&mut self, node: NodeId, id: ShapeId, record: &'a Record) -> Fitted {
        if matches!(self.kind(node), Kind::String(_) | Kind::Word)
            && let Some(nested) = self.nested(node, id)
        {
            return nested;
        }
        // A single field can take the value, but running text is no answer to an object.
        let mut wanted =
            (0_u32..).zip(&record.fields).filter(|(_, field)| field.required || record.fields.len() == 1);
        let (Some((number, field)), None) = (wanted.next(), wanted.next()) else {
            return self.fail(node, id, ErrorKind::Mismatch);
        };
        if self.options.prose && self.shapes.takes_text(field.shape) {
            return self.fail_with(node, id, ErrorKind::Mismatch, Some("running text"));
        }
        let (mut slot, fit) = self.fit(node, field.shape, Some(&field.name));
        if fit.errors > 0 {
            return self.fail(node, id, ErrorKind::Mismatch);
        }
        slot.key = Key::Field { shape: id.0, field: number };
        let mut chain = Chain::default();
        chain.push(&mut self.plan, slot);
        let mut fitted = (self.slot(node, chain.record()), fit);
        self.noted(&mut fitted, Rule::Wrapped, Severity::Repaired);
        fitted
    }

    /// `[{"name": "A"}, {"age": 1}]`: two or more objects of one key each, all keys different.
    fn is_pair_list(&self, node: NodeId) -> bool {
        let mut keys = std::collections::HashSet::new();
        self.tree().children(node).nth(1).is_some()
            && self.tree().children(node).all(|pair| {
                let mut inside = self.tree().children(pair);
                match (self.kind(pair), inside.next(), inside.next()) {
                    (Kind::Object, Some(only), None) => keys.insert(self.tree().key(only, self.source())),
                    _ => false,
                }
            })
    }

    fn object(
        &mut self,
        node: NodeId,
        id: ShapeId,
        record: &'a Record,
        children: impl Iterator<Item = NodeId>,
    ) -> Fitted {
        let seen = self.seen.len();
        let strays = self.strays.len();
        self.seen.resize(seen + record.fields.len(), 0);
        let mut open = Open {
            slot: self.slot(node, Value::Null),
            fit: Fit::default(),
            chain: Chain::default(),
            seen,
            matched: 0,
        };
        let mut before = 0_u32;
        for child in children {
            let Some(key) = self.tree().key(child, self.source()) else {
                self.strays.push(child);
                continue;
            };
            match self.field(id, record, before, key) {
                Some(number) => {
                    before = number + 1;
                    self.take(&mut open, id, record, child, number, None);
                }
                None => self.strays.push(child),
            }
        }
        if self.strays.len() > strays {
            self.place_strays(&mut open, id, record, strays);
        }
        let failed = self.missing(&mut open, id, record);
        self.seen.truncate(seen);
        self.strays.truncate(strays);
        open.slot.value = open.chain.record();
        if failed
            && open.matched == 0
            && let Some(inner) = self.unwrap_record(node, id)
        {
            return inner;
        }
        let len = u64::from(open.chain.len);
        if len < record.min && self.tree().node(node).is_complete() {
            return self.fail_with(node, id, ErrorKind::Constraint, Some("fewer properties than required"));
        }
        if record.max.is_some_and(|max| len > max) {
            return self.fail_with(node, id, ErrorKind::Constraint, Some("more properties than allowed"));
        }
        let mut fitted = (open.slot, open.fit);
        if !self.tree().node(node).is_complete() && fitted.1.errors == 0 {
            let end = self.span(node).end;
            self.noted_at(&mut fitted, Rule::Truncated, Severity::Lossy, Span::new(end, end));
        }
        fitted
    }

    /// The field whose name `key` is, letter by letter. Fields mostly follow one another as they did last time.
    fn field(&mut self, id: ShapeId, record: &Record, before: u32, key: &str) -> Option<u32> {
        let order = self.order.get_mut(id.0 as usize)?;
        if order.is_empty() {
            order.resize(record.fields.len() + 1, NONE);
        }
        let guess = order.get_mut(before as usize)?;
        if record.fields.get(*guess as usize).is_some_and(|field| &*field.name == key) {
            return Some(*guess);
        }
        let number = *record.exact.get(key)?;
        let exact = record.fields.get(number as usize).is_some_and(|field| &*field.name == key);
        if exact {
            *guess = number;
        }
        exact.then_some(number)
    }

    fn seen_slot(&self, open: &Open, number: u32) -> Option<u32> {
        self.seen.get(open.seen + number as usize).copied().and_then(|at| at.checked_sub(1))
    }

    /// Fits `child` as the field `number`.
    fn take(
        &mut self,
        open: &mut Open,
        id: ShapeId,
        record: &'a Record,
        child: NodeId,
        number: u32,
        note: Option<(Rule, Severity)>,
    ) {
        let Some(field) = record.fields.get(number as usize) else { return };
        if let Some(at) = self.seen_slot(open, number) {
            self.twice(open, at, child, field.shape);
            return;
        }
        let (mut slot, mut fit) = self.fit(child, field.shape, Some(&field.name));
        if fit.errors > 0 && self.is_dispensable(record, number, child) {
            if self.options.partial && !self.tree().node(child).is_complete() {
                return;
            }
            slot.key = Key::Field { shape: id.0, field: number };
            let span = self.span(child);
            let dropped = self.plan.push(slot);
            self.plan.note_at(&mut open.slot, Rule::FieldDropped, Severity::Lossy, span, slot.key, dropped);
            open.fit.cost = open.fit.cost.saturating_add(cost_of(Severity::Lossy));
            self.mark(open, number, NONE - 1);
            let cut = self.options.partial && !self.tree().node(open.slot.node).is_complete();
            if self.options.fill && !cut && self.shapes.is_nullable(field.shape) {
                let mut null = self.slot(child, Value::Null);
                null.key = slot.key;
                let at = open.chain.push(&mut self.plan, null);
                self.mark(open, number, at);
            }
            return;
        }
        slot.key = Key::Field { shape: id.0, field: number };
        if let Some((rule, severity)) = note {
            let span = self.tree().node(child).key_span().unwrap_or_else(|| self.span(child));
            self.plan.note(&mut slot, rule, severity, span);
            fit.cost = fit.cost.saturating_add(cost_of(severity));
        }
        open.matched += 1;
        open.fit.add(fit);
        let at = open.chain.push(&mut self.plan, slot);
        self.mark(open, number, at);
    }

    fn mark(&mut self, open: &Open, number: u32, at: u32) {
        if let Some(seen) = self.seen.get_mut(open.seen + number as usize) {
            *seen = at.saturating_add(1);
        }
    }

    /// An optional value that does not fit may be left out: always in salvage and partial mode; otherwise only where it
    /// is null or says that it does not know ("not sure"), never where it is ambiguous, negated or out of bounds.
    fn is_dispensable(&self, record: &Record, number: u32, child: NodeId) -> bool {
        let Some(field) = record.fields.get(number as usize) else { return false };
        let partial = self.options.partial && !self.tree().node(child).is_complete();
        if partial && (self.options.fill || !field.required) {
            return true;
        }
        if field.required {
            return false;
        }
        if self.options.salvage {
            return true;
        }
        let scalar = matches!(self.kind(child), Kind::String(_) | Kind::Word | Kind::Null);
        scalar && self.plan.fails.last().is_some_and(|fail| fail.kind == ErrorKind::Mismatch)
    }

    /// The field has a value already.
    fn twice(&mut self, open: &mut Open, at: u32, child: NodeId, shape: ShapeId) {
        let first = self.plan.slots.get(at as usize).map(|slot| slot.node);
        let span = self.tree().node(child).key_span().unwrap_or_else(|| self.span(child));
        if first.is_some_and(|first| self.same(first, child)) {
            self.plan.note_at(
                &mut open.slot,
                Rule::DuplicateKey,
                Severity::Repaired,
                span,
                Key::Node(child),
                NONE,
            );
            open.fit.cost = open.fit.cost.saturating_add(cost_of(Severity::Repaired));
            return;
        }
        let detail = Some("the key occurs twice with different values");
        let (failed, fit) = self.fail_with(child, shape, ErrorKind::Ambiguous, detail);
        if let Some(slot) = self.plan.slots.get_mut(at as usize)
            && !matches!(slot.value, Value::Failed(_))
        {
            slot.value = failed.value;
            open.fit.add(fit);
        }
    }

    /// Keys that are not a field's name letter by letter: by alias, by form, by pattern, by slip.
    fn place_strays(&mut self, open: &mut Open, id: ShapeId, record: &'a Record, from: usize) {
        let strays: Vec<NodeId> = self.strays.get(from..).map(<[NodeId]>::to_vec).unwrap_or_default();
        let mut left = Vec::new();
        for child in strays {
            let key = self.tree().key(child, self.source()).unwrap_or("");
            let alias = record.exact.get(key).copied();
            let form = || record.folded.get(&fold(key)).copied().flatten();
            let (number, note) = match alias {
                Some(number) => (Some(number), (Rule::KeyAlias, Severity::Cosmetic)),
                None if record.folded.is_empty() => (None, (Rule::KeyForm, Severity::Repaired)),
                None => (form(), (Rule::KeyForm, Severity::Repaired)),
            };
            match number {
                // Found under its own name already: the other spelling is an extra key, or a twin of another spelling.
                Some(number) if self.seen_slot(open, number).is_some_and(|at| self.is_own_name(at)) => {
                    let twin = alias.is_none() && self.is_other_value(open, number, child);
                    let (rule, severity) = if twin {
                        (Rule::DuplicateKey, Severity::Ambiguous)
                    } else {
                        (Rule::ExtraKey, Severity::Lossy)
                    };
                    self.drop_key(open, child, rule, severity);
                }
                Some(number) => self.take(open, id, record, child, number, Some(note)),
                None => left.push(child),
            }
        }
        if left.is_empty() {
            return;
        }
        if let Extra::Drop = record.extra {
            self.place_slips(open, id, record, &mut left);
        }
        let mut names: Option<std::collections::HashMap<&str, (u32, NodeId)>> = None;
        for child in left {
            let key = self.tree().key(child, self.source()).unwrap_or("");
            let by_pattern =
                record.patterns.iter().find(|(pattern, _)| pattern.matches(key)).map(|found| found.1);
            let shape = match (by_pattern, record.extra) {
                (Some(shape), _) | (None, Extra::Keep(shape)) => shape,
                (None, Extra::Drop) => {
                    self.drop_key(open, child, Rule::ExtraKey, Severity::Lossy);
                    continue;
                }
            };
            let known = names.get_or_insert_default();
            if let Some((at, _)) = known.get(key).copied() {
                self.twice(open, at, child, shape);
                continue;
            }
            let (mut slot, fit) = self.fit(child, shape, None);
            slot.key = Key::Node(child);
            if fit.errors > 0 && self.options.salvage {
                let span = self.span(child);
                let dropped = self.plan.push(slot);
                self.plan.note_at(
                    &mut open.slot,
                    Rule::ItemDropped,
                    Severity::Lossy,
                    span,
                    slot.key,
                    dropped,
                );
                continue;
            }
            let cut = fit.errors > 0 && self.options.partial && !self.tree().node(child).is_complete();
            if cut {
                continue;
            }
            open.fit.add(fit);
            let at = open.chain.push(&mut self.plan, slot);
            known.insert(key, (at, child));
        }
    }

    fn is_own_name(&self, at: u32) -> bool {
        let Some(slot) = self.plan.slots.get(at as usize) else { return true };
        let Key::Field { shape, field } = slot.key else { return true };
        let shape = self.shapes.get(ShapeId(shape));
        let crate::schema::shape::Kind::Record(record) = &shape.kind else { return true };
        let key = self.tree().key(slot.node, self.source());
        record.fields.get(field as usize).is_none_or(|field| key == Some(&*field.name))
    }

    fn place_slips(&mut self, open: &mut Open, id: ShapeId, record: &'a Record, left: &mut Vec<NodeId>) {
        let empty: Vec<u32> =
            (0..index(record.fields.len())).filter(|n| self.seen_slot(open, *n).is_none()).collect();
        if empty.is_empty() || empty.len().saturating_mul(left.len()) > MAX_FUZZY {
            return;
        }
        let mut pairs: Vec<(NodeId, u32)> = Vec::new();
        for child in left.iter() {
            let key = fold(self.tree().key(*child, self.source()).unwrap_or(""));
            for number in &empty {
                let Some(field) = record.fields.get(*number as usize) else { continue };
                let slip = is_slip(&key, &field.folded)
                    || field.aliases.iter().any(|alias| is_slip(&key, &fold(alias)));
                if slip {
                    pairs.push((*child, *number));
                }
            }
        }
        for (child, number) in &pairs {
            let rivals = pairs.iter().filter(|(c, n)| c == child || n == number).count();
            if rivals == 1 {
                self.take(open, id, record, *child, *number, Some((Rule::KeyFuzzy, Severity::Repaired)));
                left.retain(|other| other != child);
            } else if self.seen_slot(open, *number).is_none() {
                let Some(field) = record.fields.get(*number as usize) else { continue };
                if field.required {
                    let detail = Some("two keys come equally near");
                    let (mut slot, fit) = self.fail_with(*child, field.shape, ErrorKind::Ambiguous, detail);
                    slot.key = Key::Field { shape: id.0, field: *number };
                    open.fit.add(fit);
                    let at = open.chain.push(&mut self.plan, slot);
                    self.mark(open, *number, at);
                }
            }
        }
    }

    /// Tells whether a node says something else than the value of the field `number`.
    fn is_other_value(&self, open: &Open, number: u32, child: NodeId) -> bool {
        let known = self.seen_slot(open, number).and_then(|at| self.plan.slots.get(at as usize));
        self.kind(child) != Kind::Null && known.is_some_and(|known| !self.same(known.node, child))
    }

    fn drop_key(&mut self, open: &mut Open, child: NodeId, rule: Rule, severity: Severity) {
        let span = self.tree().node(child).key_span().unwrap_or_else(|| self.span(child));
        self.plan.note_at(&mut open.slot, rule, severity, span, Key::Node(child), NONE);
        // Nothing that is only read in another form costs more than what is lost.
        open.fit.cost = open.fit.cost.saturating_add(cost_of(severity));
    }

    /// Fills or reports the fields that have no value; tells whether a required one is missing.
    fn missing(&mut self, open: &mut Open, id: ShapeId, record: &'a Record) -> bool {
        let mut failed = false;
        if open.chain.len as usize >= record.fields.len() && !self.options.partial {
            let all = (0..index(record.fields.len())).all(|number| self.seen_slot(open, number).is_some());
            if all {
                return false;
            }
        }
        let node = open.slot.node;
        let mut end = self.span(node).end.saturating_sub(1);
        // A record that is cut off may end inside a character.
        while !self.source().is_char_boundary(end) {
            end -= 1;
        }
        let place = Span::new(end, end);
        for (number, field) in (0_u32..).zip(&record.fields) {
            if self.seen_slot(open, number).is_some() {
                continue;
            }
            open.fit.cost = open.fit.cost.saturating_add(2);
            let key = Key::Field { shape: id.0, field: number };
            // Where anything may stand, nothing may not.
            let any = field.required && matches!(self.shapes.get(field.shape).kind, ShapeKind::Any);
            let nullable = !any && self.shapes.is_nullable(field.shape);
            let cut = !self.tree().node(node).is_complete();
            // What an unfinished object may still get is not filled in for it.
            let fill = self.options.fill && !(cut && self.options.partial);
            let value = if let (true, Some(default)) = (fill || field.required, &field.default) {
                Some(Value::Json(self.plan.json(default.clone())))
            } else if nullable
                && (fill || (field.required && !(cut && self.options.partial && self.options.fill)))
            {
                Some(Value::Null)
            } else {
                None
            };
            if let Some(value) = value {
                let mut slot = self.slot(node, value);
                slot.key = key;
                if field.required && !(cut && self.options.partial) {
                    let severity = if cut { Severity::Lossy } else { Severity::Repaired };
                    self.plan.note(&mut slot, Rule::DefaultFilled, severity, place);
                    open.fit.cost = open.fit.cost.saturating_add(cost_of(severity));
                }
                open.chain.push(&mut self.plan, slot);
                continue;
            }
            if !field.required || (self.options.partial && self.options.fill && cut) {
                continue;
            }
            failed = true;
            let kind = if cut { ErrorKind::Truncated } else { ErrorKind::Missing };
            let number = index(self.plan.fails.len());
            self.plan.fails.push(Fail {
                kind,
                shape: field.shape,
                got: "nothing",
                detail: None,
                start: index(end),
                end: index(end),
            });
            let mut slot = self.slot(node, Value::Failed(number));
            slot.key = key;
            open.fit.add(Fit { errors: 1, cost: 0 });
            open.chain.push(&mut self.plan, slot);
        }
        failed
    }

    /// `{"result": {…}}`: the one object inside an object whose own keys name nothing.
    fn unwrap_record(&mut self, node: NodeId, id: ShapeId) -> Option<Fitted> {
        let mut inside = self.tree().children(node).filter(|child| match self.kind(*child) {
            Kind::Object | Kind::Array => true,
            Kind::String(_) => self.text(*child).trim_start().starts_with('{'),
            _ => false,
        });
        let (only, None) = (inside.next()?, inside.next()) else { return None };
        if self.tree().key(only, self.source()).is_some_and(wrapper::is_no_answer) {
            return None;
        }
        self.unions += 1;
        let mut fitted = self.fit(only, id, None);
        self.unions -= 1;
        if fitted.1.errors > 0 {
            return None;
        }
        let severity = self.unwrapping(node);
        let span = self.span(node);
        self.noted_at(&mut fitted, Rule::Unwrapped, severity, span);
        Some(fitted)
    }
}
