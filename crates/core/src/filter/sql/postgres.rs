//! How PostgreSQL says it.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Encode, Postgres, QueryBuilder, Type};

use super::column::{Column, Element};
use super::push::{Bind, Dialect, List, Sql};
use crate::filter::Circle;
use crate::time::Timestamp;

/// A moment as PostgreSQL counts it: microseconds since 2000 (its protocol's `timestamptz`).
struct Moment(i64);

impl Moment {
    /// From 1970 to 2000.
    const EPOCH: i64 = 946_684_800_000_000;
    /// 4714-11-24 BC, before which there is only `-infinity`.
    const FIRST: i64 = -211_813_488_000_000_000;
}

impl From<Timestamp> for Moment {
    fn from(timestamp: Timestamp) -> Self {
        let micros = timestamp.as_micros().saturating_sub(Self::EPOCH);
        Self(if micros < Self::FIRST { i64::MIN } else { micros })
    }
}

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Dialect for Postgres {
    const BYTE_ORDER: &'static str = " COLLATE \"C\"";
    const TAKES_NUL: bool = false;
    const HAS_NAN: bool = true;
    const JSON_ONLY: bool = false;

    fn bind(builder: &mut QueryBuilder<Self>, value: Bind) {
        match value {
            Bind::Bool(value) => builder.push_bind(value),
            Bind::Int(value) => builder.push_bind(value),
            Bind::Float(value) => builder.push_bind(value),
            Bind::Text(value) => builder.push_bind(value),
            Bind::Moment(value) => builder.push_bind(Moment::from(value)),
            Bind::List(List::Bools(list)) => builder.push_bind(list),
            Bind::List(List::Ints(list)) => builder.push_bind(list),
            Bind::List(List::Floats(list)) => builder.push_bind(list),
            Bind::List(List::Texts(list)) => builder.push_bind(list),
            Bind::List(List::Moments(list)) => {
                builder.push_bind(list.into_iter().map(Moment::from).collect::<Vec<_>>())
            }
        };
    }

    fn as_text(sql: &mut Sql, column: &Column) {
        sql.name(column);
        if column.cast {
            sql.text("::text");
        }
    }

    fn as_moment(sql: &mut Sql, column: &Column) -> bool {
        sql.name(column);
        false
    }

    fn among(sql: &mut Sql, operand: Sql, values: List, truth: bool) {
        sql.append(operand).text(if truth { " = ANY(" } else { " <> ALL(" });
        sql.bind(Bind::List(values)).text(")");
    }

    fn has_part(sql: &mut Sql, column: &Column, part: &str, truth: bool) {
        let mut pattern = String::with_capacity(part.len() + 2);
        pattern.push('%');
        for character in part.chars() {
            if matches!(character, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('%');
        Self::as_text(sql, column);
        sql.text(if truth { " LIKE " } else { " NOT LIKE " }).bind(Bind::Text(pattern));
    }

    fn has_element(sql: &mut Sql, column: &Column, json: bool, of: Element, value: Bind, truth: bool) {
        let not = if truth { "" } else { "NOT " };
        if json {
            if truth {
                sql.name(column).text(" @> jsonb_build_array(").bind(value).text(")");
                return;
            }
            Self::json_exists(sql.text("("), column, true);
            sql.text(" AND NOT ").name(column).text(" @> jsonb_build_array(").bind(value).text("))");
            return;
        }
        match of {
            // The form that a GIN index knows. Null elements contain nothing, and make nothing null.
            Element::Text => {
                sql.text(not).name(column).text(" @> ARRAY[").bind(value).text("]::text[]");
            }
            // Null elements would make the answer null; these types' columns come in several widths.
            Element::Bool | Element::Int | Element::Float => {
                sql.text("(").name(column).text(" IS NOT NULL AND ").text(not).text("coalesce(");
                sql.bind(value).text(" = ANY(").name(column).text("), FALSE))");
            }
        }
    }

    fn json_exists(sql: &mut Sql, column: &Column, truth: bool) {
        if truth {
            sql.text("jsonb_typeof(").name(column).text(") <> 'null'");
        } else {
            sql.text("(").name(column).text(" IS NULL OR jsonb_typeof(").name(column).text(") = 'null')");
        }
    }

    fn haversine(sql: &mut Sql, column: &Column, lon: &str, circle: Circle) {
        let table = column.table.as_deref();
        // Products that underflow are errors, so the sines stay above what could.
        sql.text("power(greatest(abs(sin(radians(").name(column).text("::float8 - ");
        sql.bind(Bind::Float(circle.center.lat)).text(") / 2)), 1e-100), 2) + ");
        sql.bind(Bind::Float(circle.center.lat.to_radians().cos())).text(" * abs(cos(radians(").name(column);
        sql.text("::float8))) * power(greatest(abs(sin(radians(").quoted(table, lon).text("::float8 - ");
        sql.bind(Bind::Float(circle.center.lon)).text(") / 2)), 1e-100), 2)");
    }
}
