//! Building an [`Extractor`]: everything that can be wrong is found here, before the first call.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hash};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use pumasi_core::cache::Cache;
use pumasi_core::model::{ChatModel, ModelCapabilities, Price};
use pumasi_core::time::{Clock, SystemClock};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Extractor, Inner, Long, Unresolved};
use crate::extract::cache::AnswerCache;
use crate::extract::engine::{Engine, shot};
use crate::extract::form::Form;
use crate::extract::marks::Marks;
use crate::extract::merge::{Merge, MergeParts, merge_by};
use crate::extract::prompt::{Prompt, PromptLanguage, Shot};
use crate::extract::quotes::{self, Examples, Judge};
use crate::extract::read::Reader;
use crate::extract::validate::{Checked, Validators};
use crate::extract::{
    AnswerLanguage, AskMode, Budget, Chunking, ExtractError, ExtractErrorKind, Grounding, Result, Support,
    TokenMeter,
};

/// The settings of an [`Extractor`], with their defaults.
#[must_use]
pub struct Builder<T> {
    model: Arc<dyn ChatModel>,
    name: String,
    instructions: String,
    prompt_language: PromptLanguage,
    examples: Vec<(String, serde_json::Result<Value>)>,
    validators: Validators<T>,
    grounding: Grounding,
    judge: Option<Judge>,
    language: Option<AnswerLanguage>,
    unresolved: Unresolved,
    rounds: u32,
    budget: Budget,
    price: Option<Price>,
    meter: Option<TokenMeter>,
    max_answer: Option<u64>,
    temperature: Option<f32>,
    seed: Option<u64>,
    call_timeout: Option<Duration>,
    watched: bool,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Fn() -> u128 + Send + Sync>,
    mode: Option<AskMode>,
    cache: Option<AnswerCache>,
    max_source_bytes: usize,
    chunks: Option<(Chunking, MergeParts<T>)>,
    concurrency: NonZeroUsize,
}

impl<T: DeserializeOwned + JsonSchema> Builder<T> {
    pub(super) fn new(model: Arc<dyn ChatModel>) -> Self {
        Self {
            model,
            name: "extract".to_owned(),
            instructions: String::new(),
            prompt_language: PromptLanguage::default(),
            examples: Vec::new(),
            validators: Validators::default(),
            grounding: Grounding::default(),
            judge: None,
            language: None,
            unresolved: Unresolved::default(),
            rounds: 2,
            budget: Budget::unlimited(),
            price: None,
            meter: None,
            max_answer: None,
            temperature: None,
            seed: None,
            call_timeout: Some(Duration::from_mins(2)),
            watched: false,
            clock: Arc::new(SystemClock),
            random: Arc::new(random),
            mode: None,
            cache: None,
            max_source_bytes: 4 << 20,
            chunks: None,
            concurrency: const { NonZeroUsize::new(4).unwrap() },
        }
    }

    /// Names the question, in letters, digits, `_` and `-`; part of [`Extract::version`](crate::extract::Extract::version).
    /// The default is `extract`.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets what shall be extracted, in words for the model. Trusted: never put a source's text into it.
    pub fn with_instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = instructions.into();
        self
    }

    /// Sets the language of the prompt's own words; English by default.
    pub fn with_prompt_language(mut self, language: PromptLanguage) -> Self {
        self.prompt_language = language;
        self
    }

    /// Shows the model an example: a text, and what shall be extracted from it.
    ///
    /// [`build`](Self::build) checks that the value fits the schema, passes the validators, and quotes only its own text.
    pub fn with_example(mut self, source: impl Into<String>, value: &T) -> Self
    where
        T: Serialize,
    {
        self.examples.push((source.into(), serde_json::to_value(value)));
        self
    }

    /// Sets what happens to quotes, the fields marked with `#[schemars(extend("x-quote" = true))]`;
    /// [`Grounding::Report`] by default.
    pub fn with_grounding(mut self, grounding: Grounding) -> Self {
        self.grounding = grounding;
        self
    }

    /// Sets who tells whether a quote that exists also supports what it is given for: called with the object that has the
    /// quote, as JSON, and the words of the source. The verdict stands in [`Quote::support`](crate::extract::Quote); it
    /// turns nothing down. By default [`ground::support`](crate::ground::support) compares the free texts and the days beside
    /// the quote.
    pub fn with_support(mut self, judge: impl Fn(&Value, &str) -> Support + Send + Sync + 'static) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    /// Sets the language that free texts of the value must be in, told by their script; any by default.
    pub fn with_answer_language(mut self, language: AnswerLanguage) -> Self {
        self.language = Some(language);
        self
    }

    /// Adds a rule that the value must keep.
    ///
    /// ```
    /// use pumasi_core::model::{Reply, ScriptedModel};
    /// use pumasi_llm_parse::extract::{Extractor, Violation};
    ///
    /// let extractor = Extractor::<Vec<String>>::builder(ScriptedModel::always(Reply::text("[]")))
    ///     .with_instructions("Extract the names of the places.")
    ///     .with_validator(|places| {
    ///         let long = places.iter().enumerate().filter(|(_, place)| place.chars().count() > 80);
    ///         let broken: Vec<_> = long.map(|(at, _)| Violation::at(format!("/{at}"), "at most 80 characters")).collect();
    ///         if broken.is_empty() { Ok(()) } else { Err(broken) }
    ///     })
    ///     .build()?;
    /// # Ok::<(), pumasi_llm_parse::extract::ExtractError>(())
    /// ```
    pub fn with_validator(mut self, check: impl Fn(&T) -> Checked + Send + Sync + 'static) -> Self {
        self.validators.push(check);
        self
    }

    /// Adds the rules that `T` declares with `garde`.
    #[cfg(feature = "garde")]
    pub fn with_garde(mut self) -> Self
    where
        T: garde::Validate + 'static,
        T::Context: Default,
    {
        self.validators.push(crate::extract::validate::garde_check);
        self
    }

    /// Sets what happens to list items that stay wrong; they are left out (and reported) by default.
    pub fn with_unresolved(mut self, unresolved: Unresolved) -> Self {
        self.unresolved = unresolved;
        self
    }

    /// Sets how many times the model may be asked again (for a part of a long source each); twice by default.
    pub fn with_reasks(mut self, rounds: u32) -> Self {
        self.rounds = rounds;
        self
    }

    /// Limits what one extraction may spend; no limits by default.
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets what the model costs, for [`Budget::with_cost`] and for the books.
    pub fn with_price(mut self, price: Price) -> Self {
        self.price = Some(price);
        self
    }

    /// Sets how tokens are counted before a call; [`TokenMeter::for_model`] by default.
    pub fn with_token_meter(mut self, meter: TokenMeter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Limits the tokens of an answer; 8,192 by default, or what the budget and the context window leave of that.
    pub fn with_max_answer_tokens(mut self, tokens: u32) -> Self {
        self.max_answer = Some(u64::from(tokens));
        self
    }

    /// Sets the sampling temperature; the server's own by default, since some models take no other.
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets the sampling seed, where the server honours one.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Limits the time of a single call; two minutes by default.
    pub fn with_call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout);
        self
    }

    /// Streams answers and hangs up as soon as one repeats itself without end, instead of paying for it up to its limit.
    ///
    /// Equal short values (`false, false, …`) are let pass for 12 kB, a value for each day of a year: they may be the answer.
    /// Tokens of an answer that was cut short are estimated: the server reports them at the end only.
    pub fn with_loop_guard(mut self) -> Self {
        self.watched = true;
        self
    }

    /// Asks in this form only, whatever the model says it can do.
    pub fn with_mode(mut self, mode: AskMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Keeps answers that were accepted as a whole for `ttl`, and takes them for equal questions: same model, same prompt,
    /// same schema, same text. Failures, and values that items were left out of, are never kept.
    pub fn with_cache(mut self, cache: Arc<dyn Cache>, ttl: Duration) -> Self {
        self.cache = Some(AnswerCache::new(cache, ttl));
        self
    }

    /// Turns longer sources down; 4 MiB by default.
    pub fn with_max_source_bytes(mut self, bytes: usize) -> Self {
        self.max_source_bytes = bytes;
        self
    }

    /// Cuts longer sources into parts, asks about each, and joins their lists; of items with equal keys the first is kept.
    ///
    /// A part whose answer does not fit the limit of tokens is cut further.
    pub fn with_chunks<K: Eq + Hash + 'static>(
        mut self,
        chunking: Chunking,
        key: impl Fn(&T::Item) -> K + Send + Sync + 'static,
    ) -> Self
    where
        T: Merge + 'static,
    {
        self.chunks = Some((chunking, merge_by::<T, K>(key)));
        self
    }

    /// Sets how many parts of a long source are asked about at a time; four by default.
    pub fn with_concurrency(mut self, parts: NonZeroUsize) -> Self {
        self.concurrency = parts;
        self
    }

    /// Sets the clock; the machine's by default.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets where the numbers of fences come from, for tests. They must not be guessable.
    pub fn with_random(mut self, random: impl Fn() -> u128 + Send + Sync + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Checks everything and makes the extractor.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` if the name has other characters, the instructions are empty, the schema of `T` cannot be read, a
    /// budget of money has no price, or an example does not fit the schema, breaks a rule, or quotes what is not in its text.
    pub fn build(self) -> Result<Extractor<T>> {
        let well_named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(well_named) {
            return Err(invalid("the name of an extractor is 1 to 64 letters, digits, `_` and `-`"));
        }
        if self.instructions.trim().is_empty() {
            return Err(invalid("an extractor needs instructions"));
        }
        if self.budget.cost().is_some() && self.price.is_none() {
            return Err(invalid("a budget of money cannot be kept without the model's price"));
        }
        let unreadable =
            |error: crate::Error| invalid("the schema of the type cannot be read").with_source(error);
        let schema = schemars::SchemaGenerator::default().into_root_schema_for::<T>().to_value();
        let form = Form::new(&schema);
        let reader = Reader::new(&form.schema).map_err(unreadable)?;
        let bare = if form.wrapped { Some(Reader::new(&schema).map_err(unreadable)?) } else { None };
        let rendered = crate::Schema::from_json(&form.schema).map_err(unreadable)?.render_prompt();
        let marks = Marks::new(&schema);
        let mut shots = Vec::new();
        for (index, (source, value)) in self.examples.iter().enumerate() {
            let at = Example { number: index + 1, source };
            let value = value.as_ref().map_err(|_| at.broken("", "cannot be written as JSON"))?;
            at.check(&form, &reader, &marks, &self.validators, value)?;
            shots.push(shot(&form, source.clone(), value.clone()));
        }
        let prompt = Prompt {
            language: self.prompt_language,
            instructions: self.instructions,
            quotes: self.grounding != Grounding::Off && marks.has_quotes(),
            name: self.name,
            shots,
        };
        let settings = format!("{:?} {:?} {:?}", self.grounding, self.language, self.unresolved);
        let version = version(&prompt, &schema, &settings);
        let meter = self.meter.unwrap_or_else(|| TokenMeter::for_model(self.model.name()));
        let modes = self.mode.map_or_else(|| modes(self.model.capabilities()), |mode| vec![mode]);
        let engine = Engine {
            model: self.model,
            prompt,
            form,
            rendered,
            schema,
            marks,
            reader,
            bare,
            validators: self.validators,
            grounding: self.grounding,
            judge: self.judge,
            language: self.language,
            unresolved: self.unresolved,
            rounds: self.rounds,
            budget: self.budget,
            price: self.price,
            meter,
            max_answer: self.max_answer,
            temperature: self.temperature,
            seed: self.seed,
            call_timeout: self.call_timeout,
            watched: self.watched,
            clock: self.clock,
            random: self.random,
            modes,
            first_mode: AtomicU8::new(0),
            cache: self.cache,
            version,
        };
        let concurrency = self.concurrency;
        let long = self.chunks.map(|(chunking, merge)| Long { chunking, merge, concurrency });
        Ok(Extractor { inner: Arc::new(Inner { engine, max_source_bytes: self.max_source_bytes, long }) })
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("model", &self.model.name())
            .field("examples", &self.examples.len())
            .field("validators", &self.validators)
            .field("grounding", &self.grounding)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// An example being checked.
struct Example<'a> {
    number: usize,
    source: &'a str,
}

impl Example<'_> {
    fn broken(&self, path: &str, why: &str) -> ExtractError {
        let place = if path.is_empty() { String::new() } else { format!(" at {path}") };
        invalid(format!("example {}{place} {why}", self.number))
    }

    fn check<T: DeserializeOwned>(
        &self,
        form: &Form,
        reader: &Reader,
        marks: &Marks,
        validators: &Validators<T>,
        value: &Value,
    ) -> Result<()> {
        let written = form.wrap_value(value.clone()).to_string();
        let read = reader.read(&written).map_err(|unreadable| {
            self.broken("", "does not fit the schema of its own type").with_source(unreadable.error)
        })?;
        if let Some(fault) = read.faults.first() {
            return Err(self.broken(&fault.path, "does not fit the schema of its own type"));
        }
        let typed: T = serde_json::from_value(value.clone())
            .map_err(|_| self.broken("", "is not read back as the value that it was written from"))?;
        if let Some(violation) = validators.violations(&typed).first() {
            return Err(self.broken(violation.path(), &format!("breaks a rule: {}", violation.expected())));
        }
        let lookup = quotes::look_up(marks, value, self.source, &Examples(&[] as &[Shot]), None);
        match lookup.missed.first() {
            Some(missed) => Err(self.broken(&missed.quote.path, "quotes what is not in its text")),
            None => Ok(()),
        }
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> ExtractError {
    ExtractError::new(ExtractErrorKind::InvalidConfig, message)
}

/// The forms that the model says it takes, strongest first; plain text always is the last resort.
fn modes(can: ModelCapabilities) -> Vec<AskMode> {
    let forms = [
        (can.json_schema, AskMode::JsonSchema),
        (can.tools, AskMode::ToolCall),
        (can.json_object, AskMode::JsonObject),
    ];
    let mut modes: Vec<AskMode> = forms.into_iter().filter(|(can, _)| *can).map(|(_, mode)| mode).collect();
    modes.push(AskMode::Text);
    modes
}

/// Names everything that decides on the answer, apart from model and source.
fn version(prompt: &Prompt, schema: &Value, settings: &str) -> String {
    let mut hash = Sha256::new();
    let examples: Vec<String> =
        prompt.shots.iter().map(|shot| format!("{}\0{}", shot.source, shot.answer)).collect();
    let parts = [prompt.instructions.clone(), schema.to_string(), settings.to_owned(), examples.join("\0")];
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = crate::extract::hex(&hash.finalize());
    let digest = digest.get(..10).unwrap_or(&digest);
    format!("{}+{}+{digest}", prompt.name, prompt.version())
}

/// Returns 128 bits that nobody outside can guess: SipHash under keys that the standard library takes from the system.
fn random() -> u128 {
    let high = u128::from(RandomState::new().hash_one("high"));
    let low = u128::from(RandomState::new().hash_one("low"));
    (high << 64) | low
}
