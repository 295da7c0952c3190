//! From a filter to a condition.
//!
//! The three values of a filter need no SQL of their own: a row is selected where the filter is *true*, and a `not` only
//! asks of which rows what it holds is *false*. Both questions go down to the comparisons, and there either is a plain
//! comparison, which NULL satisfies in neither form.

use super::column::{Column, Element, Kind};
use super::near;
use super::number::{Double, Reduced, Whole};
use super::push::{Bind, Dialect, List, Sql};
use super::{Columns, FieldPath};
use crate::filter::{Filter, Unsupported, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Comparison {
    /// What holds of exactly the values of which this does not.
    const fn contrary(self) -> Self {
        match self {
            Self::Equal => Self::Unequal,
            Self::Unequal => Self::Equal,
            Self::Below => Self::AtLeast,
            Self::AtMost => Self::Above,
            Self::Above => Self::AtMost,
            Self::AtLeast => Self::Below,
        }
    }

    const fn as_sql(self) -> &'static str {
        match self {
            Self::Equal => " = ",
            Self::Unequal => " <> ",
            Self::Below => " < ",
            Self::AtMost => " <= ",
            Self::Above => " > ",
            Self::AtLeast => " >= ",
        }
    }

    /// NaN, being the greatest, would satisfy it.
    const fn takes_the_greatest(self) -> bool {
        matches!(self, Self::Unequal | Self::Above | Self::AtLeast)
    }
}

/// Why a node cannot be done.
type Refusal = &'static str;
const NO_COLUMN: Refusal = "the field";
const VALUE_TYPE: Refusal = "the type of the value";
const COLUMN_TYPE: Refusal = "the type of the column";
const TOO_LARGE: Refusal = "the size of the number";

pub(super) fn condition<DB: Dialect>(columns: &Columns, filter: &Filter) -> Result<Sql, Unsupported> {
    Lowering { columns, path: Vec::new() }.node::<DB>(filter, true)
}

struct Lowering<'c> {
    columns: &'c Columns,
    path: Vec<String>,
}

impl Lowering<'_> {
    /// The rows of which `filter` is `truth`.
    fn node<DB: Dialect>(&mut self, filter: &Filter, truth: bool) -> Result<Sql, Unsupported> {
        match filter {
            Filter::And(_) | Filter::Or(_) => {
                let mut parts = Vec::with_capacity(filter.children().len());
                for (index, child) in filter.children().iter().enumerate() {
                    self.path.push(format!("/{}/{index}", filter.operator()));
                    parts.push(self.node::<DB>(child, truth)?);
                    self.path.pop();
                }
                Ok(join(parts, matches!(filter, Filter::And(_)) == truth))
            }
            Filter::Not(inner) => {
                self.path.push("/not".to_owned());
                let lowered = self.node::<DB>(inner, !truth)?;
                self.path.pop();
                Ok(lowered)
            }
            leaf => {
                self.leaf::<DB>(leaf, truth).map_err(|refusal| Unsupported::at(leaf, &self.path, refusal))
            }
        }
    }

    fn column(&self, field: &FieldPath) -> Result<&Column, Refusal> {
        self.columns.get(field).ok_or(NO_COLUMN)
    }

    fn leaf<DB: Dialect>(&self, filter: &Filter, truth: bool) -> Result<Sql, Refusal> {
        let column = self.column(filter.field().ok_or(NO_COLUMN)?)?;
        match filter {
            Filter::Eq { value, .. } => compare::<DB>(column, Comparison::Equal, value, truth),
            Filter::Range { bounds, .. } => {
                let low = bounds.low().map(|(value, inclusive)| {
                    (value, if inclusive { Comparison::AtLeast } else { Comparison::Above })
                });
                let high = bounds.high().map(|(value, inclusive)| {
                    (value, if inclusive { Comparison::AtMost } else { Comparison::Below })
                });
                let ends = low.into_iter().chain(high);
                let ends: Result<Vec<_>, _> =
                    ends.map(|(value, comparison)| compare::<DB>(column, comparison, value, truth)).collect();
                Ok(join(ends?, truth))
            }
            Filter::In { values, .. } => among::<DB>(column, values, truth),
            Filter::Contains { value, .. } => contains::<DB>(column, value, truth),
            Filter::Exists { .. } => Ok(exists::<DB>(column, truth)),
            Filter::Near { circle, .. } => match &column.kind {
                Kind::Place { lon } => Ok(near::condition::<DB>(column, lon, *circle, truth)),
                _ => Err(COLUMN_TYPE),
            },
            Filter::And(_) | Filter::Or(_) | Filter::Not(_) => Err(NO_COLUMN),
        }
    }
}

/// Joins conditions in halves, so that the depth of the expression stays small however many there are.
pub(super) fn join(mut parts: Vec<Sql>, all: bool) -> Sql {
    match parts.len() {
        0 => constant(all),
        1 => parts.swap_remove(0),
        count => {
            let rest = parts.split_off(count / 2);
            let mut sql = Sql::default();
            sql.text("(").append(join(parts, all)).text(if all { " AND " } else { " OR " });
            sql.append(join(rest, all)).text(")");
            sql
        }
    }
}

fn constant(truth: bool) -> Sql {
    let mut sql = Sql::default();
    sql.text(if truth { "TRUE" } else { "FALSE" });
    sql
}

/// What every value satisfies, and a missing one does not.
fn always<DB: Dialect>(column: &Column) -> Sql {
    let mut sql = Sql::default();
    sql.name(column);
    if matches!(column.kind, Kind::Float) && DB::HAS_NAN {
        sql.text(" <> 'NaN'");
    } else {
        sql.text(" IS NOT NULL");
    }
    sql
}

fn compare<DB: Dialect>(
    column: &Column,
    comparison: Comparison,
    value: &Value,
    truth: bool,
) -> Result<Sql, Refusal> {
    let comparison = if truth { comparison } else { comparison.contrary() };
    Ok(match (&column.kind, value) {
        (Kind::Bool, Value::Bool(value)) => plain(named(column), comparison, Bind::Bool(*value)),
        (Kind::Int | Kind::Float, Value::Float(float)) if float.is_nan() => constant(false),
        (Kind::Int, Value::Int(_) | Value::Float(_)) => {
            let whole = Whole::of(value).ok_or(VALUE_TYPE)?;
            whole_number::<DB>(column, whole.reduce(comparison))
        }
        (Kind::Float, Value::Int(_) | Value::Float(_)) => {
            match Double::of(value).ok_or(VALUE_TYPE)?.reduce(comparison) {
                Reduced::Always => always::<DB>(column),
                Reduced::Never => constant(false),
                Reduced::Compare(comparison, double) => {
                    let sql = plain(named(column), comparison, Bind::Float(double));
                    if DB::HAS_NAN && comparison.takes_the_greatest() {
                        join(vec![sql, always::<DB>(column)], true)
                    } else {
                        sql
                    }
                }
            }
        }
        (Kind::Text, Value::Text(text)) => {
            let mut operand = Sql::default();
            DB::as_text(&mut operand, column);
            let (comparison, text) = match (text.split_once('\0'), DB::TAKES_NUL) {
                (None, _) | (_, true) => (comparison, text.as_str()),
                // No text of the database has a NUL: what comes before it decides.
                (Some((before, _)), false) => match comparison {
                    Comparison::Equal => return Ok(constant(false)),
                    Comparison::Unequal => return Ok(always::<DB>(column)),
                    Comparison::Below | Comparison::AtMost => (Comparison::AtMost, before),
                    Comparison::Above | Comparison::AtLeast => (Comparison::Above, before),
                },
            };
            if !matches!(comparison, Comparison::Equal | Comparison::Unequal) {
                operand.text(DB::BYTE_ORDER);
            }
            plain(operand, comparison, Bind::Text(text.to_owned()))
        }
        (Kind::Time, Value::Time(moment)) => {
            let mut operand = Sql::default();
            let may_fail = DB::as_moment(&mut operand, column);
            let sql = plain(operand, comparison, Bind::Moment(*moment));
            if may_fail { of_another_form(column, sql, truth) } else { sql }
        }
        (Kind::Epoch(unit), Value::Time(moment)) => {
            let whole = Whole::of_micros(moment.as_micros(), unit.micros());
            whole_number::<DB>(column, whole.reduce(comparison))
        }
        (Kind::Array(_) | Kind::JsonArray(_) | Kind::Place { .. }, _) => return Err(COLUMN_TYPE),
        _ => return Err(VALUE_TYPE),
    })
}

fn named(column: &Column) -> Sql {
    let mut sql = Sql::default();
    sql.name(column);
    sql
}

fn plain(mut operand: Sql, comparison: Comparison, value: Bind) -> Sql {
    operand.text(comparison.as_sql()).bind(value);
    operand
}

fn whole_number<DB: Dialect>(column: &Column, reduced: Reduced<i64>) -> Sql {
    match reduced {
        Reduced::Always => always::<DB>(column),
        Reduced::Never => constant(false),
        Reduced::Compare(comparison, int) => plain(named(column), comparison, Bind::Int(int)),
    }
}

/// A value that is no moment is another type's: of it every comparison is false.
fn of_another_form(column: &Column, condition: Sql, truth: bool) -> Sql {
    if truth {
        return condition;
    }
    let mut sql = Sql::default();
    sql.text("(").name(column).text(" IS NOT NULL AND coalesce(").append(condition).text(", TRUE))");
    sql
}

fn among<DB: Dialect>(column: &Column, values: &[Value], truth: bool) -> Result<Sql, Refusal> {
    if matches!(column.kind, Kind::Array(_) | Kind::JsonArray(_) | Kind::Place { .. }) {
        return Err(COLUMN_TYPE);
    }
    if values.is_empty() {
        return Ok(constant(!truth));
    }
    // Nothing equals NaN, and nothing is known to be unequal to it.
    let nan = values.iter().any(Value::is_nan);
    let numeric = matches!(column.kind, Kind::Int | Kind::Float);
    if nan && !numeric {
        return Err(VALUE_TYPE);
    }
    let known = values.iter().filter(|value| !value.is_nan());
    let list = match &column.kind {
        Kind::Bool => List::Bools(typed(known, |value| match value {
            Value::Bool(value) => Some(Some(*value)),
            _ => None,
        })?),
        Kind::Int => List::Ints(typed(known, |value| Whole::of(value).map(Whole::exactly))?),
        Kind::Float => List::Floats(typed(known, |value| Double::of(value).map(Double::exactly))?),
        Kind::Text => List::Texts(typed(known, |value| match value {
            Value::Text(text) if !DB::TAKES_NUL && text.contains('\0') => Some(None),
            Value::Text(text) => Some(Some(text.clone())),
            _ => None,
        })?),
        Kind::Time => List::Moments(typed(known, |value| match value {
            Value::Time(moment) => Some(Some(*moment)),
            _ => None,
        })?),
        Kind::Epoch(unit) => List::Ints(typed(known, |value| match value {
            Value::Time(moment) => Some(Whole::of_micros(moment.as_micros(), unit.micros()).exactly()),
            _ => None,
        })?),
        Kind::Array(_) | Kind::JsonArray(_) | Kind::Place { .. } => return Err(COLUMN_TYPE),
    };
    if nan && !truth {
        return Ok(constant(false));
    }
    if list.len() == 0 {
        return Ok(if truth { constant(false) } else { always::<DB>(column) });
    }
    let mut operand = Sql::default();
    let mut may_fail = false;
    match column.kind {
        Kind::Text => DB::as_text(&mut operand, column),
        Kind::Time => may_fail = DB::as_moment(&mut operand, column),
        _ => {
            operand.name(column);
        }
    }
    let mut sql = Sql::default();
    DB::among(&mut sql, operand, list, truth);
    if may_fail {
        sql = of_another_form(column, sql, truth);
    }
    if DB::HAS_NAN && !truth && matches!(column.kind, Kind::Float) {
        sql = join(vec![sql, always::<DB>(column)], true);
    }
    Ok(sql)
}

/// Reads values of one type: `None` is another one's, `Some(None)` one that nothing in the column can equal.
fn typed<'v, T>(
    values: impl Iterator<Item = &'v Value>,
    read: impl Fn(&Value) -> Option<Option<T>>,
) -> Result<Vec<T>, Refusal> {
    let mut list = Vec::new();
    for value in values {
        list.extend(read(value).ok_or(VALUE_TYPE)?);
    }
    Ok(list)
}

fn contains<DB: Dialect>(column: &Column, value: &Value, truth: bool) -> Result<Sql, Refusal> {
    let mut sql = Sql::default();
    let (of, json) = match (&column.kind, value) {
        (Kind::Text, Value::Text(text)) if !DB::TAKES_NUL && text.contains('\0') => {
            return Ok(if truth { constant(false) } else { always::<DB>(column) });
        }
        (Kind::Text, Value::Text(text)) => {
            DB::has_part(&mut sql, column, text, truth);
            return Ok(sql);
        }
        (Kind::Text, _) => return Err(VALUE_TYPE),
        (Kind::Array(of), _) => (*of, DB::JSON_ONLY),
        (Kind::JsonArray(of), _) => (*of, true),
        _ => return Err(COLUMN_TYPE),
    };
    // `None`: no element can equal it.
    let element = match (of, value) {
        (Element::Int | Element::Float, value) if value.is_nan() => return Ok(constant(false)),
        (Element::Bool, Value::Bool(value)) => Some(Bind::Bool(*value)),
        (Element::Text, Value::Text(text)) if !DB::TAKES_NUL && text.contains('\0') => None,
        (Element::Text, Value::Text(text)) => Some(Bind::Text(text.clone())),
        (Element::Float, Value::Int(_) | Value::Float(_)) if json => {
            match (Whole::of(value).and_then(Whole::exactly), value) {
                (Some(int), _) => Some(Bind::Int(int)),
                (None, Value::Float(float)) if !float.is_finite() => None,
                (None, Value::Float(float)) if float.fract() != 0.0 => Some(Bind::Float(*float)),
                _ => return Err(TOO_LARGE),
            }
        }
        (Element::Int, Value::Int(_) | Value::Float(_)) => {
            Whole::of(value).ok_or(VALUE_TYPE)?.exactly().map(Bind::Int)
        }
        (Element::Float, Value::Int(_) | Value::Float(_)) => {
            Double::of(value).ok_or(VALUE_TYPE)?.exactly().map(Bind::Float)
        }
        _ => return Err(VALUE_TYPE),
    };
    match element {
        Some(element) => DB::has_element(&mut sql, column, json, of, element, truth),
        None if truth => return Ok(constant(false)),
        None if json => DB::json_exists(&mut sql, column, true),
        None => return Ok(always::<DB>(column)),
    }
    Ok(sql)
}

fn exists<DB: Dialect>(column: &Column, truth: bool) -> Sql {
    let mut sql = Sql::default();
    match &column.kind {
        Kind::Place { lon } => near::exists(&mut sql, column, lon, truth),
        Kind::JsonArray(_) => DB::json_exists(&mut sql, column, truth),
        Kind::Array(_) if DB::JSON_ONLY => DB::json_exists(&mut sql, column, truth),
        _ => {
            sql.name(column).text(if truth { " IS NOT NULL" } else { " IS NULL" });
        }
    }
    sql
}
