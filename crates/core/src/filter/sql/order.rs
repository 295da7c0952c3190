//! In which order rows come.

use super::column::Kind;
use super::push::{Dialect, Sql};
use super::{Columns, FieldPath};
use crate::{Error, ErrorKind, Result};

/// A field to order by, and in which direction; see [`Columns::push_order_by`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    field: FieldPath,
    descending: bool,
}

impl Order {
    /// Orders from the least to the greatest.
    pub fn ascending(field: impl Into<FieldPath>) -> Self {
        Self { field: field.into(), descending: false }
    }

    /// Orders from the greatest to the least.
    pub fn descending(field: impl Into<FieldPath>) -> Self {
        Self { field: field.into(), descending: true }
    }
}

pub(super) fn compile<DB: Dialect>(columns: &Columns, order: &[Order]) -> Result<Sql> {
    let mut sql = Sql::default();
    for (index, Order { field, descending }) in order.iter().enumerate() {
        let refuse = |why| {
            Error::new(ErrorKind::Unsupported, format!("rows cannot be ordered by the field {field}: {why}"))
        };
        let column = columns.get(field).ok_or_else(|| refuse("it has no column"))?;
        sql.text(if index == 0 { " ORDER BY " } else { ", " });
        match column.kind {
            Kind::Text => {
                DB::as_text(&mut sql, column);
                sql.text(DB::BYTE_ORDER);
            }
            Kind::Time => {
                DB::as_moment(&mut sql, column);
            }
            Kind::Bool | Kind::Int | Kind::Float | Kind::Epoch(_) => {
                sql.name(column);
            }
            Kind::Array(_) | Kind::JsonArray(_) | Kind::Place { .. } => {
                return Err(refuse("its column has no order"));
            }
        }
        sql.text(if *descending { " DESC NULLS LAST" } else { " ASC NULLS LAST" });
    }
    Ok(sql)
}
