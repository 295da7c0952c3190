//! Filters as SQL on a document's [fields](super::fields).
//!
//! The SQL of `pumasi-core` needs columns whose types are declared, and refuses what they do not take. Metadata has no schema: a field
//! may be a number in one document and a text in the next, and the reference answers *false* there. So comparisons are made here, and
//! the three values go down to them as they do there: of which rows is this true, of which is it false.

use pumasi_core::filter::{Bounds, Circle, Column, Columns, FieldPath, Filter, Unsupported, Value};
use sqlx::{Postgres, QueryBuilder};

use super::fields;
use crate::Result;

/// How many values a statement binds, at most; PostgreSQL takes 65,535.
const MAX_BINDS: usize = 60_000;

/// So many values are looked up in the index, one by one; more are compared with each row's.
const FEW: usize = 64;

/// Appends a filter as a condition on `d.fields`.
///
/// # Errors
///
/// `Unsupported` for one with too many values.
pub(super) fn push(builder: &mut QueryBuilder<Postgres>, filter: &Filter) -> Result<()> {
    if binds(filter) > MAX_BINDS {
        return Err(Unsupported::at(filter, &[], "the number of values").into());
    }
    node(builder, filter, true)
}

/// At most so many values does a filter bind.
fn binds(filter: &Filter) -> usize {
    match filter {
        Filter::And(all) | Filter::Or(all) => all.iter().map(binds).sum(),
        Filter::Not(inner) => binds(inner),
        Filter::In { values, .. } => 12 + values.len().min(FEW),
        Filter::Near { .. } => 12,
        _ => 6,
    }
}

/// Appends the condition of those rows of which the filter is `truth`.
fn node(builder: &mut QueryBuilder<Postgres>, filter: &Filter, truth: bool) -> Result<()> {
    match filter {
        Filter::And(all) | Filter::Or(all) => {
            let every = matches!(filter, Filter::And(_)) == truth;
            joined(builder, all, every, |builder, filter| node(builder, filter, truth))
        }
        Filter::Not(inner) => node(builder, inner, !truth),
        Filter::Exists { field } => {
            builder.push(if truth { "(" } else { "(NOT " });
            there(builder, field);
            builder.push(")");
            Ok(())
        }
        Filter::Eq { field, value } => holds(
            builder,
            field,
            truth,
            |builder| equal(builder, field, std::slice::from_ref(value)),
            value.is_nan(),
        ),
        Filter::In { values, .. } if values.is_empty() => {
            constant(builder, !truth);
            Ok(())
        }
        Filter::In { field, values } => {
            // nothing equals NaN, and nothing is known to be unequal to it
            let unknown = !truth && values.iter().any(Value::is_nan);
            holds(builder, field, truth, |builder| equal(builder, field, values), unknown)
        }
        Filter::Contains { field, value } => {
            let test = |builder: &mut QueryBuilder<Postgres>| {
                contains(builder, field, value);
                Ok(())
            };
            holds(builder, field, truth, test, value.is_nan())
        }
        Filter::Range { field, bounds } => {
            joined(builder, &ends(bounds), truth, |builder, (comparison, value)| {
                let test = |builder: &mut QueryBuilder<Postgres>| {
                    compare(builder, field, comparison, value);
                    Ok(())
                };
                holds(builder, field, truth, test, value.is_nan())
            })
        }
        Filter::Near { field, circle } => {
            holds(builder, field, truth, |builder| near(builder, field, *circle), false)
        }
        other => Err(Unsupported::at(other, &[], "the operator").into()),
    }
}

/// Joins conditions by `AND` or `OR`.
fn joined<T>(
    builder: &mut QueryBuilder<Postgres>,
    items: &[T],
    every: bool,
    push: impl Fn(&mut QueryBuilder<Postgres>, &T) -> Result<()>,
) -> Result<()> {
    if items.is_empty() {
        constant(builder, every);
        return Ok(());
    }
    builder.push("(");
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            builder.push(if every { " AND " } else { " OR " });
        }
        push(builder, item)?;
    }
    builder.push(")");
    Ok(())
}

fn constant(builder: &mut QueryBuilder<Postgres>, truth: bool) {
    builder.push(if truth { "TRUE" } else { "FALSE" });
}

/// Appends a test, or that it is not so of a field that is there; what is unknown is neither.
fn holds(
    builder: &mut QueryBuilder<Postgres>,
    field: &FieldPath,
    truth: bool,
    test: impl FnOnce(&mut QueryBuilder<Postgres>) -> Result<()>,
    unknown: bool,
) -> Result<()> {
    if unknown {
        constant(builder, false);
        return Ok(());
    }
    if truth {
        return test(builder);
    }
    builder.push("(");
    there(builder, field);
    builder.push(" AND (");
    test(builder)?;
    builder.push(") IS NOT TRUE)");
    Ok(())
}

fn there(builder: &mut QueryBuilder<Postgres>, field: &FieldPath) {
    builder.push("d.fields ? ").push_bind(field.as_str().to_owned());
}

/// The member of a field, as JSON or as text.
fn member(builder: &mut QueryBuilder<Postgres>, field: &FieldPath, arrow: &str, name: &str) {
    builder.push("(d.fields -> ").push_bind(field.as_str().to_owned());
    builder.push(format!(" {arrow} '{name}')"));
}

/// The field is one of some values.
fn equal(builder: &mut QueryBuilder<Postgres>, field: &FieldPath, values: &[Value]) -> Result<()> {
    let values: Vec<(&'static str, String)> = values.iter().filter_map(fields::value).collect();
    if values.len() <= FEW {
        let path = fields::quoted(field.as_str());
        return joined(builder, &values, false, |builder, (kind, value)| {
            builder.push("d.fields @> ").push_bind(format!("{{{path}:{{\"{kind}\":{value}}}}}"));
            builder.push("::jsonb");
            Ok(())
        });
    }
    joined(builder, &["b", "n", "s", "t"], false, |builder, kind| {
        let some = values.iter().filter(|(of, _)| of == kind);
        let some: Vec<String> = some.map(|(_, value)| value.clone()).collect();
        member(builder, field, "->", kind);
        builder.push(" = ANY(").push_bind(some).push("::text[]::jsonb[])");
        Ok(())
    })
}

fn contains(builder: &mut QueryBuilder<Postgres>, field: &FieldPath, value: &Value) {
    let Some((kind, json)) = fields::value(value) else {
        return constant(builder, false);
    };
    let path = fields::quoted(field.as_str());
    builder.push("(d.fields @> ").push_bind(format!("{{{path}:{{\"l\":[{{\"{kind}\":{json}}}]}}}}"));
    builder.push("::jsonb");
    if let Value::Text(part) = value {
        builder.push(" OR strpos(");
        member(builder, field, "->>", "s");
        builder.push(", ").push_bind(fields::text(part).into_owned()).push(") > 0");
    }
    builder.push(")");
}

fn ends(bounds: &Bounds) -> Vec<(&'static str, &Value)> {
    let low = bounds.low().map(|(value, inclusive)| (if inclusive { " >= " } else { " > " }, value));
    let high = bounds.high().map(|(value, inclusive)| (if inclusive { " <= " } else { " < " }, value));
    low.into_iter().chain(high).collect()
}

fn compare(builder: &mut QueryBuilder<Postgres>, field: &FieldPath, comparison: &str, value: &Value) {
    let Some((kind, json)) = fields::value(value) else {
        return constant(builder, false);
    };
    if let Value::Text(text) = value {
        member(builder, field, "->>", kind);
        builder.push(" COLLATE \"C\"").push(comparison).push_bind(fields::text(text).into_owned());
    } else {
        member(builder, field, "->", kind);
        builder.push(comparison).push_bind(json).push("::jsonb");
    }
}

fn near(builder: &mut QueryBuilder<Postgres>, field: &FieldPath, circle: Circle) -> Result<()> {
    builder.push("(SELECT ");
    let columns = Columns::new().with(field.clone(), Column::place("lat", "lon").in_table("place"));
    field.near(circle).push_where(builder, &columns)?;
    builder.push(" FROM (SELECT ");
    for (at, name) in ["lat", "lon"].into_iter().enumerate() {
        builder.push(if at == 0 { "(" } else { ", (" });
        member(builder, field, "->", "p");
        builder.push(format!(" ->> {at})::float8 AS {name}"));
    }
    builder.push(") AS place)");
    Ok(())
}
