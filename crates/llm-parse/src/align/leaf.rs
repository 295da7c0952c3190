//! Scalars: numbers, truth values, texts, null.

use super::plan::{Value, index};
use super::scalar::number::{self, Number};
use super::scalar::{boolean, currency, date, label, null, stance::denies, unit};
use super::{Aligner, Fitted, measure};
use crate::error::ErrorKind;
use crate::report::{Rule, Severity};
use crate::schema::exact::Exact;
use crate::schema::shape::{Bounds, Format, Integer, Kind as ShapeKind, ShapeId, TextRule};
use crate::tree::{Kind, NodeId};

/// Whole numbers up to here are exact as `f64`.
const EXACT: u128 = 1 << 53;

impl<'a> Aligner<'a> {
    /// Fits a scalar to a shape that allows null as well.
    pub(super) fn nullable(&mut self, node: NodeId, id: ShapeId, name: Option<&'a str>) -> Fitted {
        let kind = self.kind(node);
        if kind == Kind::Null {
            let unfinished = !self.tree().node(node).is_complete() && self.options.partial;
            let mut fitted = (self.slot(node, Value::Null), super::Fit::default());
            if unfinished {
                self.noted(&mut fitted, Rule::Truncated, Severity::Lossy);
            }
            return fitted;
        }
        let shapes = self.shapes;
        let shape = &shapes.get(id).kind;
        if matches!(kind, Kind::String(_) | Kind::Word) && !matches!(shape, ShapeKind::Any) {
            let text = self.text(node);
            let nothing = null::read(text).filter(|_| match shape {
                // An empty text is a text.
                ShapeKind::Text(_) => !text.trim().is_empty(),
                ShapeKind::Label(labels) => {
                    !matches!(label::read(text, labels, false), label::Reading::Label { .. })
                }
                ShapeKind::Union(_) => !text.trim().is_empty() || !self.shapes.takes_text(id),
                _ => true,
            });
            if let Some(nothing) = nothing {
                let mut fitted = (self.slot(node, Value::Null), super::Fit::default());
                let severity = match nothing {
                    null::Nothing::Sure => Severity::Repaired,
                    null::Nothing::Maybe => Severity::Ambiguous,
                };
                self.noted(&mut fitted, Rule::NullWord, severity);
                return fitted;
            }
        }
        self.fit_kind(node, id, shape, name)
    }

    pub(super) fn fit_null(&mut self, node: NodeId, id: ShapeId) -> Fitted {
        match self.kind(node) {
            Kind::Null => (self.slot(node, Value::Null), super::Fit::default()),
            Kind::String(_) | Kind::Word if null::read(self.text(node)) == Some(null::Nothing::Sure) => {
                let mut fitted = (self.slot(node, Value::Null), super::Fit::default());
                self.noted(&mut fitted, Rule::NullWord, Severity::Repaired);
                fitted
            }
            _ => self.fail(node, id, ErrorKind::Mismatch),
        }
    }

    /// A part that the answer did not finish: in partial mode it is not there yet.
    pub(super) fn unfinished(&mut self, node: NodeId, id: ShapeId, mut fitted: Fitted) -> Fitted {
        if self.tree().node(node).is_complete() || fitted.1.errors > 0 {
            return fitted;
        }
        // The first part of a text is one; that of a date is another day.
        let is_text =
            matches!(&self.shapes.get(id).kind, ShapeKind::Text(rule) if rule.format == Format::None);
        if self.options.partial && !is_text {
            return self.fail_with(node, id, ErrorKind::Truncated, Some("not finished yet"));
        }
        self.noted(&mut fitted, Rule::Truncated, Severity::Lossy);
        fitted
    }

    /// The single value inside a list or an object, for a scalar target.
    pub(super) fn unwrapped(&mut self, node: NodeId, id: ShapeId, name: Option<&'a str>) -> Fitted {
        let mut children = self.tree().children(node);
        let (Some(only), more) = (children.next(), children.next()) else {
            return self.fail(node, id, ErrorKind::Mismatch);
        };
        if more.is_some() {
            let list = self.kind(node) == Kind::Array;
            let (kind, detail) = if list {
                (ErrorKind::Ambiguous, Some("several values for one"))
            } else {
                (ErrorKind::Mismatch, None)
            };
            return self.fail_with(node, id, kind, detail);
        }
        let written = self.tree().key(only, self.source()).unwrap_or("");
        let key = written.to_lowercase();
        if super::wrapper::is_no_answer(written)
            || matches!(key.as_str(), "errors" | "unlikely" | "improbable")
        {
            return self.fail(node, id, ErrorKind::Negated);
        }
        if denies(&key) {
            return self.fail(node, id, ErrorKind::Negated);
        }
        if unit::is_bound(&key) {
            return self.fail_with(node, id, ErrorKind::Ambiguous, Some("a bound, not a value"));
        }
        let mut fitted = self.fit(only, id, name);
        if fitted.1.errors > 0 {
            return fitted;
        }
        let span = self.span(node);
        self.noted_at(&mut fitted, Rule::Unwrapped, Severity::Repaired, span);
        fitted
    }

    /// A text without quotes that is a JSON literal: the answer `5`, read as running text.
    pub(super) fn is_bare_literal(&self, node: NodeId) -> bool {
        let bare = self.options.prose && self.kind(node) == Kind::String(crate::tree::Quote::None);
        bare && {
            let text = self.text(node).trim();
            is_json_number(text) || matches!(text, "true" | "false" | "null")
        }
    }

    // ---- numbers ----

    /// Reads the node as a number; `Err` is the finished failure.
    fn read_number(
        &mut self,
        node: NodeId,
        id: ShapeId,
        name: Option<&str>,
    ) -> Result<(Number, bool), Fitted> {
        let kind = self.kind(node);
        let reading = match kind {
            Kind::Number | Kind::Word | Kind::String(_) => {
                number::read_for(self.text(node), name.unwrap_or(""))
            }
            _ => return Err(self.fail(node, id, ErrorKind::Mismatch)),
        };
        match reading {
            number::Reading::Number(number) => {
                let wanted = name.and_then(unit::of_field);
                let implied = || {
                    let description = self.shapes.get(id).description.as_deref();
                    name.and_then(measure::of_name).or_else(|| description.and_then(measure::of_description))
                };
                let other = number.unit.is_some_and(|own| match wanted {
                    Some(wanted) => own.contradicts(wanted),
                    None => implied().is_some_and(|implied| {
                        own.dimension == implied.dimension && own.contradicts(implied)
                    }),
                });
                // "150 pounds" are money as well as a weight.
                let pounds = number.currency == Some(currency::Currency::Other)
                    && wanted.is_some_and(|wanted| wanted.dimension == unit::Dimension::Mass);
                if other || pounds {
                    let detail = Some("the unit is not the one that the field's name gives");
                    return Err(self.fail_with(node, id, ErrorKind::Ambiguous, detail));
                }
                let wanted = name.and_then(currency::of_field);
                if let (Some(own), Some(wanted)) = (number.currency, wanted)
                    && own.contradicts(wanted)
                {
                    let detail = Some("the currency is not the one that the field's name gives");
                    return Err(self.fail_with(node, id, ErrorKind::Ambiguous, detail));
                }
                Ok((number, kind != Kind::Number))
            }
            number::Reading::Ambiguous(why) => Err(self.fail_with(node, id, ErrorKind::Ambiguous, Some(why))),
            number::Reading::Negated => Err(self.fail(node, id, ErrorKind::Negated)),
            number::Reading::Overflow => Err(self.fail(node, id, ErrorKind::Overflow)),
            number::Reading::None => {
                let fitted = self.fail(node, id, ErrorKind::Mismatch);
                if is_not_finite(self.text(node))
                    && let Some(fail) = self.plan.fails.last_mut()
                {
                    fail.got = "NaN or an infinity";
                }
                Err(fitted)
            }
        }
    }

    /// Notes that a number without a sign stands in parentheses, as accountants write a negative one.
    fn note_parentheses(&mut self, fitted: &mut Fitted, node: NodeId) {
        let span = self.span(node);
        let opens = self.source().get(span.start..).is_some_and(|text| text.starts_with(['(', '（']));
        if fitted.1.errors == 0 && opens && self.text(node).starts_with(|c: char| c.is_ascii_digit()) {
            self.noted(fitted, Rule::NumberForm, Severity::Ambiguous);
        }
    }

    pub(super) fn note_number(&mut self, fitted: &mut Fitted, number: &Number, from_text: bool) {
        for (rule, severity) in &number.notes {
            self.noted(fitted, *rule, *severity);
        }
        if number.percent {
            self.noted(fitted, Rule::Percent, Severity::Repaired);
        }
        if from_text && number.notes.is_empty() && !number.percent && !self.is_bare_literal(fitted.0.node) {
            self.noted(fitted, Rule::NumberFromText, Severity::Repaired);
        }
    }

    pub(super) fn fit_integer(
        &mut self,
        node: NodeId,
        id: ShapeId,
        rule: &Integer,
        name: Option<&'a str>,
    ) -> Fitted {
        if let Kind::Number = self.kind(node)
            && let Some(value) = plain_integer(self.text(node))
        {
            let mut fitted = self.integer(node, id, rule, value);
            self.note_parentheses(&mut fitted, node);
            return self.unfinished(node, id, fitted);
        }
        if matches!(self.kind(node), Kind::Array | Kind::Object) {
            return self.unwrapped(node, id, name);
        }
        let (number, from_text) = match self.read_number(node, id, name) {
            Ok(read) => read,
            Err(fitted) => return fitted,
        };
        if number.dotted_thousands && from_text {
            let detail = Some("the dot could separate thousands");
            return self.fail_with(node, id, ErrorKind::Ambiguous, detail);
        }
        let Some((value, whole)) = number.value.to_integer() else {
            return self.fail(node, id, ErrorKind::Overflow);
        };
        if !whole
            && (number.value.divisor != 1 || number.notes.iter().any(|note| note.0 == Rule::DecimalComma))
        {
            return self.fail_with(node, id, ErrorKind::Mismatch, Some("not a whole number"));
        }
        let mut fitted = self.integer(node, id, rule, value);
        if fitted.1.errors == 0 {
            self.note_number(&mut fitted, &number, from_text);
            if !whole {
                self.noted(&mut fitted, Rule::Rounded, Severity::Lossy);
            } else if !from_text && number.notes.is_empty() && self.text(node).contains('.') {
                self.noted(&mut fitted, Rule::NumberForm, Severity::Cosmetic);
            }
        }
        self.unfinished(node, id, fitted)
    }

    fn integer(&mut self, node: NodeId, id: ShapeId, rule: &Integer, value: i128) -> Fitted {
        if value < rule.min || (value > rule.max && !rule.wide) {
            return self.fail(node, id, ErrorKind::Overflow);
        }
        if let Some(broken) = rule.bounds.broken(Exact::Whole(value)) {
            // A bound that is the type's own end is an overflow; any other is a rule of the schema.
            let kind = if rule.type_min > i128::from(i64::MIN) && value < rule.type_min {
                ErrorKind::Overflow
            } else {
                ErrorKind::Constraint
            };
            return self.fail_with(node, id, kind, Some(broken));
        }
        let value = match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => Value::Unsigned(value),
            (_, Ok(value)) => Value::Signed(value),
            _ => {
                self.plan.wide.push(value);
                Value::Wide(index(self.plan.wide.len() - 1))
            }
        };
        (self.slot(node, value), super::Fit::default())
    }

    pub(super) fn fit_number(
        &mut self,
        node: NodeId,
        id: ShapeId,
        rule: &Bounds,
        name: Option<&'a str>,
    ) -> Fitted {
        if let Kind::Number = self.kind(node) {
            let text = self.text(node);
            if let Some(value) = plain_integer(text) {
                if value.unsigned_abs() <= EXACT {
                    let mut fitted = self.number_slot(
                        node,
                        id,
                        rule,
                        Exact::Whole(value),
                        plain_value(Exact::Whole(value)),
                    );
                    self.note_parentheses(&mut fitted, node);
                    return self.unfinished(node, id, fitted);
                }
            } else if is_json_number(text)
                && let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite())
            {
                let exact = Exact::from_f64(value);
                let mut fitted = self.number_slot(node, id, rule, exact, Value::Float(value));
                if value == 0.0 && is_underflow(text) {
                    self.noted(&mut fitted, Rule::PrecisionLost, Severity::Lossy);
                }
                self.note_parentheses(&mut fitted, node);
                return self.unfinished(node, id, fitted);
            }
        }
        if matches!(self.kind(node), Kind::Array | Kind::Object) {
            return self.unwrapped(node, id, name);
        }
        let (number, from_text) = match self.read_number(node, id, name) {
            Ok(read) => read,
            Err(fitted) => return fitted,
        };
        let mut number = number;
        if let (true, Some(currency)) = (number.dotted_thousands, number.currency) {
            // Money has two places behind its point, or none: "1.299 €" are a thousand and more where points group.
            if !currency.groups_by_comma() {
                let detail = Some("the dot could separate thousands");
                return self.fail_with(node, id, ErrorKind::Ambiguous, detail);
            }
            number.note(Rule::ThousandsSeparator, Severity::Ambiguous);
        }
        let value = if number.percent && rule.is_share() {
            match number.value.over(super::scalar::decimal::Decimal::whole(100)) {
                Some(share) => share,
                None => return self.fail(node, id, ErrorKind::Overflow),
            }
        } else {
            number.value
        };
        let value = match value.to_integer() {
            Some((whole, true)) => Exact::Whole(whole),
            _ => Exact::Float(value.to_f64()),
        };
        let lost =
            matches!(value, Exact::Whole(whole) if whole.unsigned_abs() > EXACT && !exact_as_float(whole));
        let mut fitted = self.number_slot(node, id, rule, value, plain_value(value));
        if fitted.1.errors == 0 {
            self.note_number(&mut fitted, &number, from_text);
            if lost {
                self.noted(&mut fitted, Rule::PrecisionLost, Severity::Lossy);
            }
        }
        self.unfinished(node, id, fitted)
    }

    fn number_slot(
        &mut self,
        node: NodeId,
        id: ShapeId,
        rule: &Bounds,
        number: Exact,
        value: Value,
    ) -> Fitted {
        let float = number.to_f64();
        if !float.is_finite() || (rule.single && float.abs() > f64::from(f32::MAX)) {
            return self.fail(node, id, ErrorKind::Overflow);
        }
        if let Some(broken) = rule.broken(number) {
            return self.fail_with(node, id, ErrorKind::Constraint, Some(broken));
        }
        (self.slot(node, value), super::Fit::default())
    }

    // ---- truth values ----

    pub(super) fn fit_bool(&mut self, node: NodeId, id: ShapeId) -> Fitted {
        let done = |aligner: &mut Self, value, rule: Option<Rule>| {
            let mut fitted = (aligner.slot(node, Value::Bool(value)), super::Fit::default());
            if let Some(rule) = rule {
                aligner.noted(&mut fitted, rule, Severity::Repaired);
            }
            aligner.unfinished(node, id, fitted)
        };
        match self.kind(node) {
            Kind::Bool(value) => done(self, value, None),
            // `[x]` and `[ ]` are boxes, not lists.
            Kind::Array if matches!(self.span(node).of(self.source()), "[x]" | "[X]" | "[ ]") => {
                let ticked = self.span(node).of(self.source()) != "[ ]";
                done(self, ticked, Some(Rule::BoolForm))
            }
            Kind::Array | Kind::Object => self.unwrapped(node, id, None),
            Kind::Null => self.fail(node, id, ErrorKind::Mismatch),
            Kind::Number | Kind::Word | Kind::String(_) => match boolean::read(self.text(node)) {
                boolean::Reading::Word(value) => {
                    let literal =
                        self.is_bare_literal(node) && matches!(self.text(node).trim(), "true" | "false");
                    done(self, value, (!literal).then_some(Rule::BoolForm))
                }
                boolean::Reading::Sentence(value) => done(self, value, Some(Rule::BoolInText)),
                boolean::Reading::Negated => self.fail(node, id, ErrorKind::Negated),
                boolean::Reading::Ambiguous(why) => self.fail_with(node, id, ErrorKind::Ambiguous, Some(why)),
                boolean::Reading::None => self.fail(node, id, ErrorKind::Mismatch),
            },
        }
    }

    // ---- texts ----

    pub(super) fn fit_text(&mut self, node: NodeId, id: ShapeId, rule: &TextRule) -> Fitted {
        let note = match self.kind(node) {
            Kind::String(_) | Kind::Word => None,
            Kind::Number | Kind::Bool(_) => Some((Rule::TextFromScalar, Severity::Repaired)),
            Kind::Null => return self.fail(node, id, ErrorKind::Mismatch),
            Kind::Array | Kind::Object => return self.text_from_value(node, id, rule),
        };
        let mut text = self.text(node);
        let mut fitted = (self.slot(node, Value::Text), super::Fit::default());
        // An answer that is a JSON string and nothing else.
        if self.options.prose
            && rule.is_free()
            && text.starts_with('"')
            && let Ok(inner) = serde_json::from_str::<String>(text.trim())
        {
            fitted.0.value = Value::Owned(self.plan.own(&inner));
            text = "";
        }
        if !rule.is_free() {
            fitted = self.ruled_text(node, id, rule, text);
            if fitted.1.errors > 0 {
                return fitted;
            }
        }
        if let Some((rule, severity)) = note {
            self.noted(&mut fitted, rule, severity);
        } else if !self.options.prose && !text.is_empty() && text.len() <= 64 && null::is_placeholder(text) {
            self.noted(&mut fitted, Rule::Placeholder, Severity::Ambiguous);
        }
        self.unfinished(node, id, fitted)
    }

    fn text_from_value(&mut self, node: NodeId, id: ShapeId, rule: &TextRule) -> Fitted {
        let mut children = self.tree().children(node);
        if self.kind(node) == Kind::Array
            && let (Some(only), None) = (children.next(), children.next())
            && !matches!(self.kind(only), Kind::Array | Kind::Object)
        {
            return self.unwrapped(node, id, None);
        }
        if !rule.is_free() {
            return self.fail(node, id, ErrorKind::Mismatch);
        }
        let raw = self.span(node).of(self.source());
        let at = self.plan.own(raw);
        let mut fitted = (self.slot(node, Value::Owned(at)), super::Fit { errors: 0, cost: 200 });
        self.noted(&mut fitted, Rule::TextFromValue, Severity::Lossy);
        self.unfinished(node, id, fitted)
    }

    fn ruled_text(&mut self, node: NodeId, id: ShapeId, rule: &TextRule, text: &'a str) -> Fitted {
        let reading = match rule.format {
            Format::None => date::Reading::Exact,
            Format::Date => date::read_date(text),
            Format::DateTime => date::read_date_time(text, true),
            Format::LocalDateTime => date::read_date_time(text, false),
            Format::Time => date::read_time(text),
        };
        let mut fitted = (self.slot(node, Value::Text), super::Fit::default());
        match reading {
            date::Reading::Exact => {}
            date::Reading::Rewritten { text, dropped } => {
                fitted.0.value = Value::Owned(self.plan.own(&text));
                let (rule, severity) = if dropped {
                    (Rule::TimeDropped, Severity::Lossy)
                } else {
                    (Rule::DateForm, Severity::Repaired)
                };
                self.noted(&mut fitted, rule, severity);
            }
            date::Reading::Doubtful { text, rule } => {
                fitted.0.value = Value::Owned(self.plan.own(&text));
                self.noted(&mut fitted, rule, Severity::Ambiguous);
            }
            date::Reading::Ambiguous(why) => {
                return self.fail_with(node, id, ErrorKind::Ambiguous, Some(why));
            }
            date::Reading::Impossible => {
                return self.fail_with(node, id, ErrorKind::Constraint, Some("no calendar has this day"));
            }
            date::Reading::None => {
                return self.fail_with(node, id, ErrorKind::Mismatch, Some("not a date or time"));
            }
        }
        if rule.min_len.is_some() || rule.max_len.is_some() {
            let length = text.chars().count() as u64;
            if rule.min_len.is_some_and(|min| length < min) && self.tree().node(node).is_complete() {
                return self.fail_with(node, id, ErrorKind::Constraint, Some("shorter than allowed"));
            }
            if rule.max_len.is_some_and(|max| length > max) {
                return self.fail_with(node, id, ErrorKind::Constraint, Some("longer than allowed"));
            }
        }
        if !rule.patterns.iter().all(|pattern| pattern.matches(text)) {
            return self.fail_with(node, id, ErrorKind::Constraint, Some("does not match the pattern"));
        }
        fitted
    }
}

/// A number too small for a float, which is read as nought: `1e-400`.
fn is_underflow(text: &str) -> bool {
    let digits = text.split(['e', 'E']).next().unwrap_or("");
    digits.bytes().any(|b| matches!(b, b'1'..=b'9'))
}

/// `NaN`, `-Infinity`, `inf`.
fn is_not_finite(text: &str) -> bool {
    let word = text.trim().trim_start_matches(['-', '+']).to_ascii_lowercase();
    matches!(&*word, "nan" | "infinity" | "inf")
}

/// A number as a value of its own; what no JSON integer holds is a float.
fn plain_value(number: Exact) -> Value {
    match number {
        Exact::Whole(whole) => match (u64::try_from(whole), i64::try_from(whole)) {
            (Ok(whole), _) => Value::Unsigned(whole),
            (_, Ok(whole)) => Value::Signed(whole),
            _ => Value::Float(number.to_f64()),
        },
        Exact::Float(float) => Value::Float(float),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the round trip is the question"
)]
pub(super) fn exact_as_float(value: i128) -> bool {
    value as f64 as i128 == value
}

/// Digits with at most a minus, as JSON writes whole numbers.
pub(super) fn plain_integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.len() <= 38
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    if !plain {
        return None;
    }
    if digits.len() <= 18 {
        return text.parse::<i64>().ok().map(i128::from);
    }
    text.parse().ok()
}

pub(super) fn is_json_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let mut rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let whole = digits.len() - rest.len();
    if whole == 0 || (whole > 1 && digits.starts_with('0')) {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == fraction.len() {
            return false;
        }
    }
    if let Some(power) = rest.strip_prefix(['e', 'E']) {
        let power = power.strip_prefix(['+', '-']).unwrap_or(power);
        rest = power.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == power.len() {
            return false;
        }
    }
    rest.is_empty()
}
