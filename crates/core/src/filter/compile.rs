//! The seam to backends: what each can do, and how a filter becomes its own language.

use std::fmt;

use super::{FieldPath, Filter};
use crate::{Error, ErrorKind};

/// What stands at a node of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operator {
    /// All of several.
    And,
    /// One of several.
    Or,
    /// The contrary.
    Not,
    /// Equality.
    Eq,
    /// One of several values.
    In,
    /// Between bounds.
    Range,
    /// An element of an array, or a part of a string.
    Contains,
    /// Whether the field is there.
    Exists,
    /// Within a circle.
    Near,
}

impl Operator {
    /// All operators.
    pub const ALL: [Self; 9] = [
        Self::And,
        Self::Or,
        Self::Not,
        Self::Eq,
        Self::In,
        Self::Range,
        Self::Contains,
        Self::Exists,
        Self::Near,
    ];

    /// Names the operator as JSON does.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
            Self::Eq => "eq",
            Self::In => "in",
            Self::Range => "range",
            Self::Contains => "contains",
            Self::Exists => "exists",
            Self::Near => "near",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a backend can do with filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    operators: u16,
    max_values: usize,
    max_depth: usize,
}

impl Capabilities {
    /// Makes the capabilities of a backend that can do everything.
    pub const fn all() -> Self {
        Self { operators: u16::MAX, max_values: usize::MAX, max_depth: usize::MAX }
    }

    /// Takes an operator away.
    #[must_use]
    pub const fn without(mut self, operator: Operator) -> Self {
        self.operators &= !operator.bit();
        self
    }

    /// Limits the values of one `in`.
    #[must_use]
    pub const fn with_max_values(mut self, max_values: usize) -> Self {
        self.max_values = max_values;
        self
    }

    /// Limits how deep `and`, `or` and `not` are nested.
    #[must_use]
    pub const fn with_max_depth(mut self, max_depth: usize) -> Self {
        self.max_depth = max_depth;
        self
    }

    /// Tells whether the backend knows `operator`.
    pub const fn can(&self, operator: Operator) -> bool {
        self.operators & operator.bit() != 0
    }

    /// Checks that the backend can do all of `filter`.
    ///
    /// # Errors
    ///
    /// The first node that it cannot do.
    pub fn check(&self, filter: &Filter) -> Result<(), Unsupported> {
        let mut path = Vec::new();
        self.check_node(filter, &mut path)
    }

    fn check_node(&self, filter: &Filter, path: &mut Vec<String>) -> Result<(), Unsupported> {
        let operator = filter.operator();
        let depth = path.len();
        let refuse = |path: &[String], reason| Err(Unsupported::at(filter, path, reason));
        if !self.can(operator) {
            return refuse(path, "the operator");
        }
        if depth > self.max_depth {
            return refuse(path, "the depth");
        }
        if matches!(filter, Filter::In { values, .. } if values.len() > self.max_values) {
            return refuse(path, "the number of values");
        }
        for (index, child) in filter.children().iter().enumerate() {
            path.push(if operator == Operator::Not {
                "/not".to_owned()
            } else {
                format!("/{operator}/{index}")
            });
            self.check_node(child, path)?;
            path.pop();
        }
        Ok(())
    }
}

/// A node of a filter that a backend cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsupported {
    /// The node, as a JSON Pointer into the filter's JSON form.
    pub path: String,
    /// Its operator.
    pub operator: Operator,
    /// The field that it compares, if it compares one.
    pub field: Option<FieldPath>,
    /// What of it cannot be done.
    pub reason: &'static str,
}

impl Unsupported {
    /// Makes the refusal of `filter`, the node at `path`; `reason` is what of it cannot be done.
    pub fn at(filter: &Filter, path: &[String], reason: &'static str) -> Self {
        Self { path: path.concat(), operator: filter.operator(), field: filter.field().cloned(), reason }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of `{}` at \"{}\" of the filter is not supported",
            self.reason, self.operator, self.path
        )?;
        match &self.field {
            Some(field) => write!(f, " (field {field})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Unsupported {}

impl From<Unsupported> for Error {
    fn from(unsupported: Unsupported) -> Self {
        Self::new(ErrorKind::Unsupported, unsupported.to_string())
    }
}

/// Turns filters into a backend's own language.
///
/// What every implementation keeps:
///
/// 1. **Same records.** What it makes matches exactly the records that [`Filter::matches`] does, those with missing fields
///    included.
/// 2. **No surprise.** What it cannot do it says here, before anything is sent; nothing is left out or widened.
/// 3. **No injection.** Values and field names never become part of a statement's text unquoted.
///
/// ```
/// use pumasi_core::filter::{Capabilities, Compiler, Field, Filter, Operator, Unsupported};
///
/// struct Tags;
///
/// impl Compiler for Tags {
///     type Output = String;
///
///     fn capabilities(&self) -> Capabilities {
///         Capabilities::all().without(Operator::Near)
///     }
///
///     fn lower(&self, filter: &Filter) -> Result<String, Unsupported> {
///         match filter {
///             Filter::Eq { field, value } => Ok(format!("{field}={value:?}")),
///             other => Err(Unsupported::at(other, &[], "the operator")),
///         }
///     }
/// }
///
/// const LANG: Field<String> = Field::new("lang");
/// assert!(Tags.compile(&LANG.eq("ko")).is_ok());
/// assert!(Tags.compile(&!LANG.exists()).is_err());
/// ```
pub trait Compiler {
    /// What a filter becomes: a statement, a query, a closure.
    type Output;

    /// Tells what the backend can do.
    fn capabilities(&self) -> Capabilities;

    /// Turns a filter that is valid, canonical and within the [capabilities](Self::capabilities) into the backend's language.
    ///
    /// # Errors
    ///
    /// The node that it cannot do after all (a field that it does not have, a type that the field is not).
    fn lower(&self, filter: &Filter) -> Result<Self::Output, Unsupported>;

    /// Checks a filter and turns it into the backend's language.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a filter that breaks the limits, [`ErrorKind::Unsupported`] with the node for one that
    /// the backend cannot do.
    fn compile(&self, filter: &Filter) -> Result<Self::Output, Error> {
        filter.validate()?;
        let canonical = filter.canonical();
        // as it is handed over: the canonical form joins equalities to a list, and the like
        self.capabilities().check(canonical.filter())?;
        Ok(self.lower(canonical.filter())?)
    }
}
