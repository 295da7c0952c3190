//! From a model's answer to a typed value.

mod choose;
mod confidence;
mod empty;
mod listed;
mod mapping;
mod plain;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::align::{Access, Aligner, Options, Plan, collect};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::report::{Path, Repair, Report, Rule, Severity};
use crate::schema::Schema;
use crate::spare::Buffers;
use crate::syntax::{self, Document, Limits};
use crate::tree::Span;

pub(crate) use choose::{is_explicit, rank};
pub(crate) use listed::Listed;

/// Says which repairs a value may have needed.
///
/// | | `Strict` | `Lenient` (default) | `Salvage` |
/// |---|---|---|---|
/// | cosmetic: fence, prose around, comment, trailing comma | yes | yes | yes |
/// | repaired: `"1,234"` for a number, `userName` for `user_name`, a missing bracket | error | yes | yes |
/// | lossy: an unknown key, a unit, a cut text, 12.7 for a whole number | error | yes, reported | yes, reported |
/// | a list item that does not fit | error | error | left out, in [`Parsed::rejected`] |
/// | an optional value that does not fit | error | error, unless it is a text that says nothing of the kind | left out, in `rejected` |
/// | a required part that is missing, also because the answer was cut off | error | error | error |
/// | the unfinished last item of a cut list | error | left out, in `rejected` | left out, in `rejected` |
/// | ambiguous in meaning: two labels, a range, 3/4/2026, two answers | error | error | error at that place |
/// | ambiguous in form only (the report says `ambiguous`) | error | yes, reported | yes, reported |
/// | negated: "this is not NEGATIVE" | error | error | error at that place |
/// | JSON only inside an example, a schema or reasoning | error | error | yes, reported as ambiguous |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Only what changes nothing about the value.
    Strict,
    /// Whatever has one sensible reading.
    #[default]
    Lenient,
    /// As lenient, and good parts survive bad ones.
    Salvage,
}

/// Is a value together with how it was had.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Parsed<T> {
    /// The value.
    pub value: T,
    /// Everything that was done to the answer, with byte spans and paths.
    pub report: Report,
    /// How sure the reading is, from 0 to 1; 1 if nothing about the value changed. See [`Parser::parse`].
    pub confidence: f32,
    /// What was left out because it does not fit, with the reasons.
    pub rejected: Vec<Rejected>,
}

impl<T> Parsed<T> {
    /// Returns the same parse with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Parsed<U> {
        Parsed {
            value: change(self.value),
            report: self.report,
            confidence: self.confidence,
            rejected: self.rejected,
        }
    }
}

/// Is a part of the answer that was left out of the value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rejected {
    /// Where it would have been; list indices count the items of the answer.
    pub path: Path,
    /// Why it was left out: [`Rule::ItemDropped`], [`Rule::FieldDropped`] or [`Rule::IncompleteDropped`].
    pub rule: Rule,
    /// The bytes of the raw answer.
    pub span: Span,
    /// What does not fit.
    pub failures: Vec<Failure>,
}

/// Reads a value of type `T` out of a model's answer, with the default [`Policy::Lenient`].
///
/// ```
/// use pumasi_llm_parse::{Rule, parse};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Run {
///     place: String,
///     km: f64,
///     cost: Option<u32>,
/// }
///
/// let parsed = parse::<Run>("물론이죠!\n```json\n{place: '한강', km: '10.5', cost: '3만 5천원',}\n```")?;
/// assert_eq!(parsed.value.place, "한강");
/// assert_eq!(parsed.value.km, 10.5);
/// assert_eq!(parsed.value.cost, Some(35_000));
/// assert!(parsed.report.has(Rule::Magnitude));
/// assert!(parsed.confidence < 1.0);
/// # Ok::<(), pumasi_llm_parse::Error>(())
/// ```
///
/// # Errors
///
/// Those of [`Parser::parse`].
pub fn parse<T: DeserializeOwned + JsonSchema>(raw: &str) -> Result<Parsed<T>> {
    Parser::<T>::new().parse(raw)
}

/// Reads values of type `T` out of models' answers.
///
/// ```
/// use pumasi_llm_parse::{Parser, Policy};
///
/// let parser = Parser::<Vec<u8>>::new().with_policy(Policy::Salvage);
/// let parsed = parser.parse(r#"[1, "2", "three hundred", 4]"#)?;
/// assert_eq!(parsed.value, [1, 2, 4]);
/// assert_eq!(parsed.rejected[0].path.to_string(), "$[2]");
/// # Ok::<(), pumasi_llm_parse::Error>(())
/// ```
///
/// The schema may be known only at run time:
///
/// ```
/// use pumasi_llm_parse::{Parser, Schema};
/// use serde_json::{Value, json};
///
/// let schema = Schema::from_json(&json!({"type": "object", "properties": {"n": {"type": "integer"}}}))?;
/// let parser = Parser::<Value>::with_schema(schema);
/// assert_eq!(parser.parse("{n: '1,234'}")?.value, json!({"n": 1234}));
/// # Ok::<(), pumasi_llm_parse::Error>(())
/// ```
pub struct Parser<T> {
    schema: std::result::Result<Schema, String>,
    policy: Policy,
    limits: Limits,
    partial: bool,
    merge: bool,
    max_len: usize,
    fill: bool,
    /// The schema is that of `T`, so that `T` accepts nothing else.
    own: bool,
    target: PhantomData<fn() -> T>,
}

const DEFAULT_MAX_LEN: usize = 256 << 20;

impl<T: DeserializeOwned + JsonSchema> Parser<T> {
    /// Creates a parser by the schema of `T`, which is compiled once per process.
    #[must_use]
    pub fn new() -> Self {
        Self { own: true, ..Self::of(Schema::of::<T>().map_err(|error| error.to_string())) }
    }
}

impl<T: DeserializeOwned + JsonSchema> Default for Parser<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: DeserializeOwned> Parser<T> {
    /// Creates a parser by a schema that is known only at run time; with [`serde_json::Value`] as `T` any schema will do.
    ///
    /// Into a `Value`, absent optional properties are written as null if the schema allows null, or as their `default`;
    /// keys come in the order that `serde_json`'s map has.
    #[must_use]
    pub fn with_schema(schema: Schema) -> Self {
        Self::of(Ok(schema))
    }

    fn of(schema: std::result::Result<Schema, String>) -> Self {
        Self {
            schema,
            policy: Policy::default(),
            limits: Limits::default(),
            partial: false,
            merge: false,
            max_len: DEFAULT_MAX_LEN,
            own: false,
            fill: std::any::type_name::<T>() == std::any::type_name::<serde_json::Value>(),
            target: PhantomData,
        }
    }

    /// Sets which repairs are allowed (default [`Policy::Lenient`]).
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets how deep the answer may be nested (default 128, at most 256); deeper is [`ErrorKind::TooDeep`].
    #[must_use]
    pub fn with_max_depth(mut self, levels: usize) -> Self {
        self.limits = self.limits.with_max_depth(levels.min(256));
        self
    }

    /// Sets how long the answer may be, in bytes (default 256 MiB, at most 4 GiB); longer is [`ErrorKind::TooLarge`].
    #[must_use]
    pub fn with_max_len(mut self, bytes: usize) -> Self {
        self.max_len = bytes.min(u32::MAX as usize - 1);
        self
    }

    /// Sets whether the answer may be cut off (default no): the value so far, unfinished parts reported.
    ///
    /// Texts come as far as they go; unfinished numbers, labels and truth values are not there yet. A value that ends with
    /// its line (YAML, a Markdown list, plain text) is unfinished until the line is. Into a `Value`, missing properties are
    /// left out; a type of its own needs its required fields to be there.
    #[must_use]
    pub fn with_partial(mut self, partial: bool) -> Self {
        self.partial = partial;
        self
    }

    /// Sets whether several answers amid prose are put together where a list is wanted (default no, which is
    /// [`ErrorKind::Ambiguous`]). Values that follow one another directly are put together anyway.
    #[must_use]
    pub fn with_merge(mut self, merge: bool) -> Self {
        self.merge = merge;
        self
    }

    /// Returns the schema, unless the type's own one is not valid.
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref().ok()
    }

    /// Returns the policy.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Returns the limits of the reader.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads a value out of an answer.
    ///
    /// Plain JSON that fits is deserialized directly. Anything else is read tolerantly, each candidate is fitted to the
    /// schema, and the words around the candidates decide between those that fit: examples, schemas and drafts lose,
    /// final and corrected versions win, reasoning blocks never do.
    ///
    /// The confidence starts at 1 and is multiplied once for each rule of the report, harder where the rule was applied
    /// often: by 1 for cosmetic, about 0.98 for repaired, 0.85 for lossy and 0.5 for ambiguous repairs.
    ///
    /// A thread keeps up to 1 MiB of working memory from one call to the next.
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`]; the failing parts are in [`Error::failures`].
    pub fn parse(&self, raw: &str) -> Result<Parsed<T>> {
        let schema = self.ready(raw)?;
        if (self.own || schema.is_any())
            && let Some(parsed) = plain::parse(raw, schema)
        {
            return Ok(parsed);
        }
        let mut buffers = Buffers::take();
        let mut document = syntax::read_in(raw, &self.limits, std::mem::take(&mut buffers.read));
        if self.partial {
            document.leave_open(raw);
        }
        let parsed = self.fit_document(raw, &document, &mut buffers.plan);
        buffers.leave(document);
        parsed
    }

    /// Reads a value out of an answer that may be no text at all.
    ///
    /// # Errors
    ///
    /// Those of [`Self::parse`], and [`ErrorKind::NoCandidate`] if the bytes are not UTF-8.
    pub fn parse_bytes(&self, raw: &[u8]) -> Result<Parsed<T>> {
        let text = std::str::from_utf8(raw)
            .map_err(|_| Error::new(ErrorKind::NoCandidate, "the answer is not UTF-8"))?;
        self.parse(text)
    }

    fn ready(&self, raw: &str) -> Result<&Schema> {
        let schema =
            self.schema.as_ref().map_err(|message| Error::new(ErrorKind::Schema, message.clone()))?;
        if raw.len() > self.max_len {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the answer is longer than {} bytes", self.max_len),
            ));
        }
        if raw.trim().is_empty() {
            return Err(Error::new(ErrorKind::Empty, "the answer is empty"));
        }
        Ok(schema)
    }

    /// Fits a document that was read already.
    pub(crate) fn parse_document(&self, raw: &str, mut document: Document) -> Result<Parsed<T>> {
        if self.partial {
            document.leave_open(raw);
        }
        self.fit_document(raw, &document, &mut Plan::default())
    }

    /// Fits a document in the memory of an empty plan, which comes back unless there was an error.
    fn fit_document(&self, raw: &str, document: &Document, memory: &mut Plan) -> Result<Parsed<T>> {
        let schema = self.ready(raw)?;
        if document.is_cut_short() {
            let most = self.limits.max_values();
            let message = format!("the answer holds more than {most} separate values, or 4 GiB of text");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let options = Options {
            salvage: self.policy == Policy::Salvage,
            partial: self.partial,
            fill: self.fill,
            prose: false,
            limits: self.limits,
            nesting: 0,
        };
        let plan = std::mem::take(memory);
        let mut aligner = Aligner::with_plan(document.tree(), raw, schema.shapes(), options, plan);
        let rules = choose::Rules { policy: self.policy, merge: self.merge };
        let chosen = choose::choose(&mut aligner, document, raw, schema, rules)?;
        let collected = collect(&aligner, &chosen.slot, schema);
        if !collected.failures.is_empty() || chosen.fit.errors > 0 {
            return Err(Error::from_failures(collected.failures));
        }
        let mut repairs = chosen.repairs;
        merge_repairs(&mut repairs, collected.repairs);
        if self.policy != Policy::Salvage
            && let Some(deep) = repairs.iter().find(|repair| repair.rule == Rule::DepthLimit)
        {
            let message = format!(
                "the answer is nested deeper than {} levels at byte {}",
                self.limits.max_depth(),
                deep.span.start
            );
            return Err(Error::new(ErrorKind::TooDeep, message));
        }
        if self.policy == Policy::Strict {
            refuse_repairs(&repairs)?;
        }
        let value = T::deserialize(Access::new(&aligner, chosen.slot)).map_err(|refusal| {
            let path = refusal.path();
            let kind = if self.partial { ErrorKind::Truncated } else { ErrorKind::Deserialize };
            let message = format!("the type's own Deserialize turned the value down at {path}");
            Error::new(kind, message).with_failures(vec![Failure {
                path,
                kind,
                expected: schema.expected(schema.shapes().root),
                got: "value",
                detail: Some("turned down by the type's own Deserialize"),
                span: Span::default(),
            }])
        })?;
        *memory = aligner.plan;
        let confidence = confidence::of(&repairs, &collected.rejected);
        Ok(Parsed { value, report: report(repairs), confidence, rejected: collected.rejected })
    }
}

fn report(repairs: Vec<Repair>) -> Report {
    Report { repairs, ..Report::default() }
}

/// Joins the reader's repairs with those of fitting; what both noticed stands there once, with its path.
fn merge_repairs(repairs: &mut Vec<Repair>, fitted: Vec<Repair>) {
    if fitted.is_empty() {
        return;
    }
    if fitted.len().saturating_mul(repairs.len()) < 1 << 16 {
        repairs.retain(|repair| {
            !fitted.iter().any(|other| {
                other.rule == repair.rule && (other.span == repair.span || repair.rule == Rule::Truncated)
            })
        });
    }
    repairs.extend(fitted);
    repairs.sort_by_key(|repair| repair.span.start);
}

fn refuse_repairs(repairs: &[Repair]) -> Result<()> {
    let mut worse = repairs.iter().filter(|repair| repair.severity > Severity::Cosmetic);
    let Some(first) = worse.next() else { return Ok(()) };
    let place = first.path.as_ref().map_or_else(|| format!("byte {}", first.span.start), ToString::to_string);
    let message = format!(
        "strict: {} ({}) at {place}, and {} more",
        first.rule,
        first.severity.as_str(),
        worse.count()
    );
    Err(Error::new(ErrorKind::Policy, message))
}

impl<T> Clone for Parser<T> {
    fn clone(&self) -> Self {
        Self { schema: self.schema.clone(), target: PhantomData, ..*self }
    }
}

impl<T> fmt::Debug for Parser<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parser")
            .field("policy", &self.policy)
            .field("partial", &self.partial)
            .field("merge", &self.merge)
            .field("limits", &self.limits)
            .field("max_len", &self.max_len)
            .finish_non_exhaustive()
    }
}
