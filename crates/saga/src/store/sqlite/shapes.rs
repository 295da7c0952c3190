//! Statements that take many rows at once.
//!
//! What a statement costs is mostly its way to the engine and back, and looking a row up again; so the commits of a batch are
//! written by one statement for up to 64 of them. They take their rows as `VALUES`, which measured half as expensive as JSON.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Encode, Sqlite, SqliteConnection, Type};

/// How many rows the forms of a statement take.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// One statement in forms for several numbers of rows.
#[derive(Debug)]
pub(super) struct Shapes([String; SIZES.len()]);

impl Shapes {
    /// `head`, then rows of so many `columns`, then `tail`.
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Self(SIZES.map(|rows| format!("{head} {} {tail}", vec![row.as_str(); rows].join(","))))
    }

    /// Runs it for all `items`; returns how many rows were changed.
    pub(super) async fn run<T>(
        &'static self,
        connection: &mut SqliteConnection,
        items: &[T],
        bind: impl Fn(&T, &mut Row<'_>) -> Result<(), sqlx::Error>,
    ) -> Result<u64, sqlx::Error> {
        let (mut rest, mut changed) = (items, 0);
        for (size, statement) in SIZES.iter().zip(&self.0) {
            while let Some((some, others)) = rest.split_at_checked(*size) {
                let mut arguments = SqliteArguments::default();
                for item in some {
                    bind(item, &mut Row(&mut arguments))?;
                }
                let done = sqlx::query_with(statement.as_str(), arguments).execute(&mut *connection).await?;
                changed += done.rows_affected();
                rest = others;
            }
        }
        Ok(changed)
    }
}

/// The values of one row.
pub(super) struct Row<'a>(&'a mut SqliteArguments);

impl Row<'_> {
    pub(super) fn add<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(
        &mut self,
        value: T,
    ) -> Result<(), sqlx::Error> {
        self.0.add(value).map_err(sqlx::Error::Encode)
    }
}
