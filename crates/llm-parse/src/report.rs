//! What was done to an answer on its way to a value: rules, severities, byte spans and paths.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::tree::Span;

/// Says how much a [`Repair`] may have changed the meaning of the answer.
///
/// The order is meaningful: later variants are worse.
///
/// ```
/// use pumasi_llm_parse::Severity;
///
/// assert!(Severity::Cosmetic < Severity::Ambiguous);
/// assert_eq!(Severity::Lossy.as_str(), "lossy");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing about the value changed: a fence, a comment, a trailing comma.
    Cosmetic,
    /// The answer was malformed and has one sensible reading.
    Repaired,
    /// Something was dropped or cut off.
    Lossy,
    /// Another sensible reading exists.
    Ambiguous,
}

impl Severity {
    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cosmetic => "cosmetic",
            Self::Repaired => "repaired",
            Self::Lossy => "lossy",
            Self::Ambiguous => "ambiguous",
        }
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Names one kind of repair, choice or coercion.
        ///
        /// The first group comes from reading the text, the second from fitting what was read to a schema.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// Lists every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the `snake_case` name used in reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

rules! {
    // ---- reading ----
    /// The value stood in a code fence.
    Fence = "fence",
    /// Text around the value was set aside.
    Prose = "prose",
    /// A reasoning block (`<think>` and its like) was set aside.
    ReasoningBlock = "reasoning_block",
    /// A comment was skipped.
    Comment = "comment",
    /// A comma before a closing bracket was ignored.
    TrailingComma = "trailing_comma",
    /// A comma between two values was missing.
    MissingComma = "missing_comma",
    /// A comma too many was ignored.
    ExtraComma = "extra_comma",
    /// Another character stood for a comma (`;`, `，`, `、`).
    CommaForm = "comma_form",
    /// The colon after a key was missing.
    MissingColon = "missing_colon",
    /// Another sign stood for the colon (`=`, `=>`, `:=`, `：`).
    ColonForm = "colon_form",
    /// A key had no quotes.
    UnquotedKey = "unquoted_key",
    /// A string had no quotes.
    UnquotedString = "unquoted_string",
    /// Quotes other than `"` were used.
    QuoteForm = "quote_form",
    /// A quote inside a string was not escaped.
    UnescapedQuote = "unescaped_quote",
    /// The opening or the closing quote of a string was missing.
    MissingQuote = "missing_quote",
    /// A string contained a raw control character such as a newline.
    ControlCharacter = "control_character",
    /// An escape sequence that JSON does not know was read.
    InvalidEscape = "invalid_escape",
    /// Half of a surrogate pair was replaced by U+FFFD.
    LoneSurrogate = "lone_surrogate",
    /// A document was escaped once too often.
    OverEscaped = "over_escaped",
    /// Adjacent string literals were joined.
    Concatenation = "concatenation",
    /// A string literal had a prefix such as `u` or `f`.
    StringPrefix = "string_prefix",
    /// `True`, `None` and the like were read.
    PythonLiteral = "python_literal",
    /// `undefined`, `NaN`, `Infinity` and the like were read.
    JavaScriptLiteral = "java_script_literal",
    /// A literal in another letter case was read (`TRUE`, `Null`).
    LiteralCase = "literal_case",
    /// A number was written in a form that JSON does not know (`+1`, `.5`, `0x1F`, `1_000`).
    NumberForm = "number_form",
    /// The answer ended in the middle of the value.
    Truncated = "truncated",
    /// A closing bracket was missing.
    MissingCloser = "missing_closer",
    /// A closing bracket of the wrong kind was taken for the right one.
    MismatchedCloser = "mismatched_closer",
    /// A closing bracket too many was ignored.
    ExtraCloser = "extra_closer",
    /// An opening bracket was missing.
    MissingOpener = "missing_opener",
    /// An opening bracket too many was ignored.
    ExtraOpener = "extra_opener",
    /// An ellipsis stood for items that were left out.
    Ellipsis = "ellipsis",
    /// A key had no value; null was put in its place.
    MissingValue = "missing_value",
    /// A value had no key where one was needed.
    MissingKey = "missing_key",
    /// A key occurred more than once in an object.
    DuplicateKey = "duplicate_key",
    /// Several values in a row were read as a list.
    Sequence = "sequence",
    /// A tuple in parentheses was read as a list.
    Tuple = "tuple",
    /// A set in braces was read as a list.
    Set = "set",
    /// A list of pairs in brackets was read as an object.
    PairList = "pair_list",
    /// A constructor or call around the value was ignored.
    CallWrapper = "call_wrapper",
    /// An assignment or declaration before the value was ignored.
    Assignment = "assignment",
    /// A byte order mark or a zero-width character was skipped.
    InvisibleCharacter = "invisible_character",
    /// Full-width punctuation was read as its ASCII form.
    FullWidth = "full_width",
    /// White space that JSON does not know was skipped.
    WhiteSpaceForm = "white_space_form",
    /// Text inside the value that fits nowhere was dropped.
    DroppedText = "dropped_text",
    /// A part nested deeper than the limit was dropped.
    DepthLimit = "depth_limit",
    /// The value was read as YAML.
    Yaml = "yaml",
    /// A YAML anchor, alias or tag was not interpreted.
    YamlReference = "yaml_reference",
    /// The value was read as XML.
    Xml = "xml",
    /// A Markdown list was read as a list.
    MarkdownList = "markdown_list",
    /// A Markdown table was read as a list of objects.
    MarkdownTable = "markdown_table",
    /// Comma-separated rows under a header were read as a list of objects.
    Csv = "csv",
    /// Plain text was taken as the value.
    PlainText = "plain_text",
    /// More repairs were made than are listed.
    MoreRepairs = "more_repairs",
    // ---- fitting ----
    /// A key was found under another of its names.
    KeyAlias = "key_alias",
    /// A key was written in another form (`userName` for `user_name`).
    KeyForm = "key_form",
    /// A key was misspelt.
    KeyFuzzy = "key_fuzzy",
    /// A key that the schema does not know was dropped.
    ExtraKey = "extra_key",
    /// A missing value was filled with null or the schema's default.
    DefaultFilled = "default_filled",
    /// A text was read as a number.
    NumberFromText = "number_from_text",
    /// A number in words was read.
    NumberWord = "number_word",
    /// The number was picked out of a sentence.
    NumberInText = "number_in_text",
    /// Thousands separators were left out.
    ThousandsSeparator = "thousands_separator",
    /// A comma was read as the decimal mark.
    DecimalComma = "decimal_comma",
    /// A percent sign was read.
    Percent = "percent",
    /// `k`, `M`, 만, 억 and the like were multiplied out.
    Magnitude = "magnitude",
    /// A currency was dropped.
    Currency = "currency",
    /// A unit was dropped.
    UnitDropped = "unit_dropped",
    /// A fraction was divided out.
    Fraction = "fraction",
    /// "About" was dropped from a number.
    Approximate = "approximate",
    /// A number with a fraction was rounded to a whole one.
    Rounded = "rounded",
    /// A number has more digits than its type can hold.
    PrecisionLost = "precision_lost",
    /// `NaN` or an infinity was read as null.
    NotANumber = "not_a_number",
    /// A word or a number was read as a truth value.
    BoolForm = "bool_form",
    /// The truth value was picked out of a sentence.
    BoolInText = "bool_in_text",
    /// A truth value was read as a number.
    NumberFromBool = "number_from_bool",
    /// A label was found under another of its names or by its description.
    LabelAlias = "label_alias",
    /// A label was written in another form.
    LabelForm = "label_form",
    /// The label was picked out of a sentence.
    LabelInText = "label_in_text",
    /// A label was misspelt.
    LabelFuzzy = "label_fuzzy",
    /// A word for nothing was read as null.
    NullWord = "null_word",
    /// Nothing was read as an empty list.
    NullAsEmpty = "null_as_empty",
    /// A date or a time was rewritten in the wanted form.
    DateForm = "date_form",
    /// The weekday beside a date is not that of the day.
    WeekdayMismatch = "weekday_mismatch",
    /// A date with a time has no offset from UTC, though the schema wants one.
    OffsetMissing = "offset_missing",
    /// A time of day or an offset was dropped.
    TimeDropped = "time_dropped",
    /// A single value was put into a list.
    Wrapped = "wrapped",
    /// A value was taken out of a list or an object that held nothing else.
    Unwrapped = "unwrapped",
    /// JSON inside a string was read.
    NestedJson = "nested_json",
    /// A number, a truth value or null was taken as text, as it was written.
    TextFromScalar = "text_from_scalar",
    /// A list or an object was taken as text, as it was written.
    TextFromValue = "text_from_value",
    /// A text that looks like a placeholder was taken as the value.
    Placeholder = "placeholder",
    /// A list item that does not fit was left out.
    ItemDropped = "item_dropped",
    /// An unfinished value at the end of a cut answer was left out.
    IncompleteDropped = "incomplete_dropped",
    /// An optional value that does not fit was left out.
    FieldDropped = "field_dropped",
    /// Equal items were merged where the schema wants unique ones.
    ItemsMerged = "items_merged",
    /// Two variants of a union fit equally well.
    UnionTie = "union_tie",
    /// One of several candidates was chosen by the words around it.
    CandidateChosen = "candidate_chosen",
    /// One of several different candidates was chosen though nothing tells which is meant.
    CandidateGuessed = "candidate_guessed",
    /// Several candidates were put together into a list.
    CandidatesMerged = "candidates_merged",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Is one step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// A field of an object.
    Key(String),
    /// An item of a list, counted from zero.
    Index(usize),
}

/// Is the way from the root of a value to a part of it, written `$.tasks[2].title` (RFC 9535 form).
///
/// ```
/// use pumasi_llm_parse::Path;
///
/// let path = Path::root().with_key("tasks").with_index(2).with_key("due date");
/// assert_eq!(path.to_string(), "$.tasks[2]['due date']");
/// assert_eq!(path.to_pointer(), "/tasks/2/due date");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Path {
    steps: Vec<Step>,
}

impl Path {
    /// Returns the path of the root.
    #[must_use]
    pub const fn root() -> Self {
        Self { steps: Vec::new() }
    }

    /// Returns this path followed by a field.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.push_key(key);
        self
    }

    /// Returns this path followed by a list index.
    #[must_use]
    pub fn with_index(mut self, index: usize) -> Self {
        self.push_index(index);
        self
    }

    /// Appends a field.
    pub fn push_key(&mut self, key: impl Into<String>) {
        self.steps.push(Step::Key(key.into()));
    }

    /// Appends a list index.
    pub fn push_index(&mut self, index: usize) {
        self.steps.push(Step::Index(index));
    }

    /// Removes the last step and returns it.
    pub fn pop(&mut self) -> Option<Step> {
        self.steps.pop()
    }

    /// Returns the steps from the root.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Tells whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// Writes the path as a JSON Pointer (RFC 6901).
    #[must_use]
    pub fn to_pointer(&self) -> String {
        let mut out = String::new();
        for step in &self.steps {
            out.push('/');
            match step {
                Step::Key(key) => out.push_str(&key.replace('~', "~0").replace('/', "~1")),
                Step::Index(index) => out.push_str(&index.to_string()),
            }
        }
        out
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.steps {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key)
                    if key.chars().all(|c| c.is_alphanumeric() || c == '_')
                        && key.starts_with(|c: char| !c.is_ascii_digit()) =>
                {
                    write!(f, ".{key}")?;
                }
                Step::Key(key) => {
                    write!(f, "['{}']", key.replace('\\', "\\\\").replace('\'', "\\'"))?;
                }
            }
        }
        Ok(())
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Records one thing that was done to read the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// What was done.
    pub rule: Rule,
    /// How much it may have changed the meaning.
    pub severity: Severity,
    /// The bytes of the raw answer that it concerns; empty where something was missing.
    pub span: Span,
    /// The part of the value that it concerns, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
}

impl Repair {
    /// Creates a repair whose path is not known.
    #[must_use]
    pub const fn new(rule: Rule, severity: Severity, span: Span) -> Self {
        Self { rule, severity, span, path: None }
    }

    /// Returns the repair with its path.
    #[must_use]
    pub fn with_path(mut self, path: Path) -> Self {
        self.path = Some(path);
        self
    }
}

/// Lists everything that was done between the raw answer and the value.
///
/// A clean document has an empty report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The repairs in the order of the answer.
    pub repairs: Vec<Repair>,
}

impl Report {
    /// Returns the worst severity, or `None` when nothing had to be done.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.repairs.iter().map(|repair| repair.severity).max()
    }

    /// Tells whether nothing had to be done.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.repairs.is_empty()
    }

    /// Tells whether a rule was applied.
    #[must_use]
    pub fn has(&self, rule: Rule) -> bool {
        self.repairs.iter().any(|repair| repair.rule == rule)
    }
}
