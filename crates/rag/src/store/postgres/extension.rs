//! pgvector, wherever in the database it is.

use pumasi_core::database::{begin_postgres, failed};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row as _};

use super::{LOCK, at};
use crate::{Error, ErrorKind, Result};

/// What statements write before a name of pgvector's, for the schema that it is in.
const PREFIX: &str = "pgvector.";

/// Which version there is, in which schema, and whether the user may use that.
const HELD: &str = "SELECT extversion, quote_ident(nspname), has_schema_privilege(extnamespace, 'USAGE') FROM pg_extension \
     JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'vector'";

/// The extension, one of which is in a database whatever its schemas are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    /// Its schema as a statement writes it, with a dot.
    schema: String,
}

impl Extension {
    /// Sees to pgvector, and to texts that are in order as their bytes are.
    pub(super) async fn open(pool: &PgPool) -> Result<Self> {
        let asking = at("asking for pgvector");
        let mut transaction = begin_postgres(pool, "BEGIN").await.map_err(&asking)?;
        sqlx::query(LOCK).execute(&mut *transaction).await.map_err(&asking)?;
        let Held { version, schema, is_usable } = match held(&mut transaction).await.map_err(&asking)? {
            Some(held) => held,
            None => make(&mut transaction).await?,
        };
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
        if (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) < (0, 8) {
            let why = format!(
                "pgvector {version} is older than 0.8, and returns fewer than wanted where a filter is set"
            );
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
        let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
            .fetch_one(&mut *transaction)
            .await
            .map_err(&asking)?;
        if encoding != "UTF8" {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the database is in {encoding}, not in UTF8"),
            ));
        }
        if !is_usable {
            let why = format!("pgvector is in the schema {schema}, which the user may not use");
            return Err(Error::new(ErrorKind::Unauthorized, why));
        }
        transaction.commit().await.map_err(&asking)?;
        Ok(Self { schema: format!("{schema}.") })
    }

    /// Writes its schema before the names of a statement that are its own.
    pub(super) fn names(&self, statement: &str) -> String {
        statement.replace(PREFIX, &self.schema)
    }

    /// The same, of a statement of this crate's.
    pub(super) fn statement(&self, statement: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(self.names(statement))
    }
}

struct Held {
    version: String,
    schema: String,
    is_usable: bool,
}

async fn held(connection: &mut PgConnection) -> sqlx::Result<Option<Held>> {
    let row = sqlx::query(HELD).fetch_optional(connection).await?;
    row.map(|row| Ok(Held { version: row.try_get(0)?, schema: row.try_get(1)?, is_usable: row.try_get(2)? }))
        .transpose()
}

/// Makes it where all schemas of the database see it, if there is such a place: else it would go with the knowledge that was first.
async fn make(connection: &mut PgConnection) -> Result<Held> {
    let asking = at("asking for pgvector");
    let known = "SELECT to_regnamespace('public') IS NOT NULL";
    let is_public: bool = sqlx::query_scalar(known).fetch_one(&mut *connection).await.map_err(&asking)?;
    let create = if is_public { "CREATE EXTENSION vector SCHEMA public" } else { "CREATE EXTENSION vector" };
    let why = "the database has no extension `vector` (pgvector), and it could not be made";
    sqlx::raw_sql(create)
        .execute(&mut *connection)
        .await
        .map_err(|error| Error::new(ErrorKind::Unsupported, why).with_source(failed("making it", error)))?;
    held(connection).await.map_err(&asking)?.ok_or_else(|| Error::new(ErrorKind::Unsupported, why))
}
