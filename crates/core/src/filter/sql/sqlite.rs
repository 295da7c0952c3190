//! How SQLite says it.

use sqlx::{Encode, QueryBuilder, Sqlite, Type};

use super::column::{Column, Element};
use super::push::{Bind, Dialect, List, Sql};
use crate::filter::Circle;
use crate::time::Timestamp;

/// The sine of `x` from 0 to a right angle: its Taylor series to x²³, whose rest is below 10⁻²⁰. SQLite has a sine only
/// where it was built with one, and this one needs no more than products.
const SINE: &str = "x * (1.0 - x * x / 6.0 * (1.0 - x * x / 20.0 * (1.0 - x * x / 42.0 * (1.0 - x * x / 72.0 \
    * (1.0 - x * x / 110.0 * (1.0 - x * x / 156.0 * (1.0 - x * x / 210.0 * (1.0 - x * x / 272.0 \
    * (1.0 - x * x / 342.0 * (1.0 - x * x / 420.0 * (1.0 - x * x / 506.0)))))))))))";

fn each<'b, T>(
    builder: &'b mut QueryBuilder<Sqlite>,
    list: impl IntoIterator<Item = T>,
) -> &'b mut QueryBuilder<Sqlite>
where
    T: for<'q> Encode<'q, Sqlite> + Type<Sqlite>,
{
    let mut separated = builder.separated(", ");
    for value in list {
        separated.push_bind(value);
    }
    builder
}

impl Dialect for Sqlite {
    const BYTE_ORDER: &'static str = " COLLATE BINARY";
    const TAKES_NUL: bool = true;
    const HAS_NAN: bool = false;
    const JSON_ONLY: bool = true;

    fn bind(builder: &mut QueryBuilder<Self>, value: Bind) {
        match value {
            Bind::Bool(value) => builder.push_bind(value),
            Bind::Int(value) => builder.push_bind(value),
            Bind::Float(value) => builder.push_bind(value),
            Bind::Text(value) => builder.push_bind(value),
            Bind::Moment(value) => builder.push_bind(value.as_micros()),
            Bind::List(List::Bools(list)) => each(builder, list),
            Bind::List(List::Ints(list)) => each(builder, list),
            Bind::List(List::Floats(list)) => each(builder, list),
            Bind::List(List::Texts(list)) => each(builder, list),
            Bind::List(List::Moments(list)) => each(builder, list.into_iter().map(Timestamp::as_micros)),
        };
    }

    fn as_text(sql: &mut Sql, column: &Column) {
        if column.cast {
            sql.text("CAST(").name(column).text(" AS TEXT)");
        } else {
            sql.name(column);
        }
        // Also where the column was declared NOCASE.
        sql.text(" COLLATE BINARY");
    }

    fn as_moment(sql: &mut Sql, column: &Column) -> bool {
        // The date functions take `now`, numbers, and days that no month has: only what is written as documented is given
        // to them.
        sql.text("CASE WHEN date(substr(").name(column).text(", 1, 10)) = substr(").name(column);
        sql.text(", 1, 10) AND (length(").name(column).text(") = 10 OR (substr(").name(column);
        sql.text(", 11, 9) GLOB '[Tt ][0-2][0-9]:[0-9][0-9]:[0-9][0-9]' AND substr(").name(column);
        sql.text(", 12, 2) < '24' AND (substr(").name(column).text(", 20, 1) <> '.' OR substr(").name(column);
        sql.text(", 21, 1) GLOB '[0-9]') AND instr(substr(").name(column);
        sql.text(", 21), '.') = 0 AND (upper(ltrim(substr(").name(column);
        sql.text(", 20), '.0123456789')) IN ('', 'Z') OR ltrim(substr(").name(column);
        sql.text(", 20), '.0123456789') GLOB '[+-][0-9][0-9]:[0-9][0-9]'))) THEN ");
        // They know milliseconds only: the fraction is cut out of the text and added.
        sql.text("(unixepoch(substr(").name(column).text(", 1, 19) || ltrim(substr(").name(column);
        sql.text(", 20), '.0123456789')) * 1000000 + CASE WHEN substr(").name(column);
        sql.text(", 20, 1) = '.' THEN CAST(round(CAST(substr(").name(column);
        sql.text(", 20) AS REAL) * 1000000.0) AS INTEGER) ELSE 0 END) END");
        true
    }

    fn among(sql: &mut Sql, operand: Sql, values: List, truth: bool) {
        sql.append(operand).text(if truth { " IN (" } else { " NOT IN (" });
        sql.bind(Bind::List(values)).text(")");
    }

    fn has_part(sql: &mut Sql, column: &Column, part: &str, truth: bool) {
        // Not LIKE, which takes ASCII letters of either case for the same.
        sql.text("instr(");
        Self::as_text(sql, column);
        sql.text(", ").bind(Bind::Text(part.to_owned())).text(if truth { ") > 0" } else { ") = 0" });
    }

    fn has_element(sql: &mut Sql, column: &Column, _json: bool, of: Element, value: Bind, truth: bool) {
        sql.text("CASE WHEN json_valid(").name(column).text(") THEN CASE json_type(").name(column);
        sql.text(") WHEN 'array' THEN ").text(if truth { "" } else { "NOT " });
        sql.text("EXISTS (SELECT 1 FROM json_each(").name(column).text(") AS pumasi_each WHERE ");
        match (of, value) {
            (_, Bind::Bool(value)) => {
                sql.text(if value { "pumasi_each.type = 'true'" } else { "pumasi_each.type = 'false'" });
            }
            (Element::Text, value) => {
                sql.text("pumasi_each.type = 'text' AND pumasi_each.value = ").bind(value);
            }
            (_, value) => {
                sql.text("pumasi_each.type IN ('integer', 'real') AND pumasi_each.value = ").bind(value);
            }
        }
        sql.text(") WHEN 'null' THEN FALSE ELSE ").text(if truth { "FALSE" } else { "TRUE" });
        sql.text(" END ELSE ");
        if truth {
            sql.text("FALSE END");
        } else {
            sql.name(column).text(" IS NOT NULL END");
        }
    }

    fn json_exists(sql: &mut Sql, column: &Column, truth: bool) {
        sql.text("(").name(column).text(if truth { " IS NOT NULL AND " } else { " IS NULL OR " });
        sql.text("CASE WHEN json_valid(").name(column).text(") THEN json_type(").name(column);
        sql.text(if truth { ") <> 'null' ELSE TRUE END)" } else { ") = 'null' ELSE FALSE END)" });
    }

    fn haversine(sql: &mut Sql, column: &Column, lon: &str, circle: Circle) {
        let table = column.table.as_deref();
        let sine = |of: &str| SINE.replace('x', of);
        let sines = format!(
            "(SELECT ({north}) * ({north}) + pumasi_c * ({cosine}) * ({east}) * ({east}) FROM (SELECT ",
            north = sine("pumasi_n"),
            cosine = sine("pumasi_l"),
            east = sine("pumasi_e"),
        );
        // Half the differences, and what is left to a right angle, in radians.
        sql.text(sines).text("abs(").name(column).text(" - ").bind(Bind::Float(circle.center.lat));
        sql.text(") * 0.008726646259971648 AS pumasi_n, (90.0 - abs(").name(column);
        sql.text(")) * 0.017453292519943295 AS pumasi_l, min(abs(").quoted(table, lon).text(" - ");
        sql.bind(Bind::Float(circle.center.lon)).text("), 360.0 - abs(").quoted(table, lon).text(" - ");
        sql.bind(Bind::Float(circle.center.lon)).text(")) * 0.008726646259971648 AS pumasi_e, ");
        sql.bind(Bind::Float(circle.center.lat.to_radians().cos())).text(" AS pumasi_c))");
    }
}
