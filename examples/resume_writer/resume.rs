//! A résumé: lines, each proven by a record, and what was refused because nothing proves it.

use pumasi_llm_parse::ground::{Claim, Doubt, Unproven};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::evidence::Evidence;

/// The most lines of a résumé.
const MOST_LINES: usize = 60;
/// The longest line, in characters.
const LONGEST_LINE: usize = 300;

/// The language that a résumé is written in.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Language {
    /// Korean.
    Ko,
    /// English.
    En,
}

impl Language {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ko => "ko",
            Self::En => "en",
        }
    }

    pub(crate) fn of(tag: &str) -> Self {
        if tag == "en" { Self::En } else { Self::Ko }
    }
}

/// A part of a résumé.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Section {
    /// Who it is, in a line or two.
    Summary,
    /// What they can do.
    Skills,
    /// What they have done.
    Projects,
}

/// A line as a model writes it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Draft {
    /// The part that it belongs to.
    pub(crate) section: Section,
    /// The line, without a full stop.
    pub(crate) text: String,
    /// The id of the record that proves it, as it stands in brackets.
    pub(crate) record: String,
    /// The words of that record that prove it, copied exactly.
    #[schemars(extend("x-quote" = true))]
    pub(crate) quote: String,
}

/// A line that a record proves.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Line {
    /// Its name within the résumé.
    pub(crate) id: String,
    pub(crate) section: Section,
    pub(crate) text: String,
    /// The id of the record: `profile`, a repository, or the beginning of a commit's hash.
    pub(crate) record: String,
    /// Where the record is to be seen.
    pub(crate) url: String,
    /// The words of the record.
    pub(crate) quote: String,
    /// Whether the words say it; else they are mostly of another language, of which only numbers and names were compared, and the line
    /// is not shared.
    pub(crate) is_said: bool,
}

/// What was claimed and is not proven.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Refused {
    pub(crate) text: String,
    /// The record that was named.
    pub(crate) record: String,
    /// The words that were quoted.
    pub(crate) quote: String,
    /// Why: `no_record`, `not_quoted`, `elsewhere`, `too_short`, `number`, `date`, `name`, `words`; of an edit also `no_line`, `unclear`,
    /// `too_long`, `too_many` and `said_already`.
    pub(crate) reason: String,
    /// The record that has the words, where another one has.
    pub(crate) elsewhere: Option<String>,
}

/// A résumé.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Resume {
    /// Whose it is, as the account tells.
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) refused: Vec<Refused>,
    /// How many lines it ever had: no two of them have one name.
    given: u32,
}

/// What a model makes of an instruction: one thing to be done.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Edit {
    /// What to do.
    pub(crate) action: Action,
    /// The line that it is done to, by its name: of `rewrite` and `remove`.
    pub(crate) line: Option<String>,
    /// The part that a new line belongs to: of `add`.
    pub(crate) section: Option<Section>,
    /// The new text: of `rewrite` and `add`.
    pub(crate) text: Option<String>,
    /// The id of the record that proves the text; of `rewrite` only if it is another one than before.
    pub(crate) record: Option<String>,
    /// The words of that record, copied exactly.
    pub(crate) quote: Option<String>,
}

/// What can be done to a résumé.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Says a line in other words.
    Rewrite,
    /// Takes a line out.
    Remove,
    /// Adds a line.
    Add,
}

impl Resume {
    /// Keeps of the drafts what the evidence proves, in the order of the sections, and the rest as refused.
    pub(crate) fn new(name: String, drafts: Vec<Draft>, evidence: &Evidence) -> Self {
        let mut resume = Self { name, lines: Vec::new(), refused: Vec::new(), given: 0 };
        let mut drafts = drafts;
        drafts.sort_by_key(|draft| draft.section);
        for draft in drafts {
            if let Err(refused) = resume.add(draft, evidence) {
                resume.refused.push(refused);
            }
        }
        resume
    }

    fn add(&mut self, draft: Draft, evidence: &Evidence) -> Result<(), Refused> {
        let refused = |reason: &str| refused(&draft.text, &draft.record, &draft.quote, reason);
        if self.lines.len() >= MOST_LINES {
            return Err(refused("too_many"));
        }
        if self.lines.iter().any(|line| line.text == draft.text.trim()) {
            return Err(refused("said_already"));
        }
        let (quote, is_said) = prove(&draft.text, &draft.record, &draft.quote, evidence)?;
        self.given += 1;
        let line = Line {
            id: format!("l{}", self.given),
            section: draft.section,
            text: draft.text.trim().to_owned(),
            url: evidence.url(&draft.record).to_owned(),
            record: draft.record,
            quote,
            is_said,
        };
        let place = self.lines.iter().rposition(|other| other.section <= line.section);
        self.lines.insert(place.map_or(0, |place| place + 1), line);
        Ok(())
    }

    /// Does what can be done of the edits; what cannot is returned with the reason.
    pub(crate) fn edited(&self, edits: Vec<Edit>, evidence: &Evidence) -> (Self, Vec<Refused>) {
        let (mut after, mut not_done) = (self.clone(), Vec::new());
        for edit in edits {
            if let Err(refused) = after.apply(edit, evidence) {
                not_done.push(refused);
            }
        }
        (after, not_done)
    }

    fn apply(&mut self, edit: Edit, evidence: &Evidence) -> Result<(), Refused> {
        let text = edit.text.unwrap_or_default();
        let [record, quote] = [edit.record, edit.quote].map(Option::unwrap_or_default);
        let place = edit.line.as_deref().and_then(|id| self.lines.iter().position(|line| line.id == id));
        match (edit.action, place, edit.section) {
            (Action::Add, _, Some(section)) if !text.trim().is_empty() => {
                self.add(Draft { section, text, record, quote }, evidence)
            }
            (Action::Remove, Some(place), _) => {
                self.lines.remove(place);
                Ok(())
            }
            (Action::Rewrite, Some(place), _) if !text.trim().is_empty() => {
                let Some(line) = self.lines.get_mut(place) else { return Ok(()) };
                let has_proof = !record.is_empty() && !quote.is_empty();
                let record = if has_proof { record } else { line.record.clone() };
                let quote = if has_proof { quote } else { line.quote.clone() };
                let (quote, is_said) = prove(&text, &record, &quote, evidence)?;
                text.trim().clone_into(&mut line.text);
                evidence.url(&record).clone_into(&mut line.url);
                (line.record, line.quote, line.is_said) = (record, quote, is_said);
                Ok(())
            }
            (Action::Rewrite | Action::Remove, None, _) => Err(refused(&text, &record, &quote, "no_line")),
            _ => Err(refused(&text, &record, &quote, "unclear")),
        }
    }
}

/// Finds the words that prove a line, and whether they say it.
fn prove(text: &str, record: &str, quote: &str, evidence: &Evidence) -> Result<(String, bool), Refused> {
    let count = |outcome: &'static str| {
        metrics::counter!("resume_claims_total", "outcome" => outcome).increment(1);
    };
    if text.chars().count() > LONGEST_LINE || text.chars().any(char::is_control) {
        count("too_long");
        return Err(refused(text, record, quote, "too_long"));
    }
    match evidence.records.prove(Claim { text, record, quote }) {
        Ok(proof) => {
            count(if proof.is_said { "said" } else { "unchecked" });
            let words = evidence.records.get(record).map_or("", |record| proof.span.of(record.text()));
            Ok((words.to_owned(), proof.is_said))
        }
        Err(unproven) => {
            count(unproven.as_str());
            let reason = match &unproven {
                Unproven::NotSaid(Doubt::Number) => "number",
                Unproven::NotSaid(Doubt::Date) => "date",
                Unproven::NotSaid(Doubt::Name) => "name",
                Unproven::NotSaid(_) => "words",
                other => other.as_str(),
            };
            let elsewhere = if let Unproven::Elsewhere(id) = unproven { Some(id) } else { None };
            Err(Refused { elsewhere, ..refused(text, record, quote, reason) })
        }
    }
}

fn refused(text: &str, record: &str, quote: &str, reason: &str) -> Refused {
    // What a model wrote is kept to be shown, and not without bound.
    let cut = |text: &str| text.chars().take(LONGEST_LINE).collect();
    Refused {
        text: cut(text),
        record: cut(record),
        quote: cut(quote),
        reason: reason.to_owned(),
        elsewhere: None,
    }
}
