//! Who writes: a language model, of whose words only what is proven is kept.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::model::ChatModel;
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_llm_parse::extract::{
    Extract as _, ExtractError, ExtractErrorKind, Extractor, Grounding, PromptLanguage,
};

use crate::book::AnswerBook;
use crate::evidence::Evidence;
use crate::resume::{Draft, Edit, Language, Resume};

const WRITE: &str = "The text is a list of records of one person's GitHub account: each has its id in brackets, and what it says below. \
    Write the lines of that person's résumé: a summary, skills and projects, the most telling first, 8 to 20 in all. Every line rests \
    on one record: give its id, and copy the words that prove the line exactly. Take numbers and names from the quoted words alone. \
    What no record says is no line: no titles, no years of experience, no team, no praise.";

pub(crate) const EDIT: &str = "The text is a résumé, whose lines have names like l1, and below it a list of records of the person's GitHub account, \
    each with its id in brackets. Carry out the owner's instruction as a list of edits: rewrite, remove or add lines, and leave alone what \
    it does not speak of. A rewritten line keeps its record, or names another one with the words that prove it, copied exactly; a new \
    line names both. What no record says is not written, whatever the instruction asks for.";

/// How the model is told of a language.
pub(crate) const fn language_of(language: Language) -> &'static str {
    match language {
        Language::Ko => "Write in Korean, in noun phrases (…함, …임).",
        Language::En => "Write in English, without a subject.",
    }
}

/// Writes résumés and edits them.
#[derive(Clone)]
pub(crate) struct Writer {
    model: Arc<dyn ChatModel>,
    ko: Extractor<Vec<Draft>>,
    en: Extractor<Vec<Draft>>,
}

impl Writer {
    pub(crate) fn new(model: Arc<dyn ChatModel>) -> Result<Self> {
        let drafts = |language| {
            Extractor::<Vec<Draft>>::builder(Arc::clone(&model))
                .with_name("resume")
                .with_instructions(format!("{WRITE} {}", language_of(language)))
                .with_prompt_language(prompt(language))
                // A quote that is nowhere is no reason to ask again: the line is shown as refused.
                .with_grounding(Grounding::Report)
                .with_call_timeout(Duration::from_mins(3))
                .build()
                .map_err(failed)
        };
        Ok(Self { ko: drafts(Language::Ko)?, en: drafts(Language::En)?, model })
    }

    /// Names the model.
    pub(crate) fn name(&self) -> &str {
        self.model.name()
    }

    /// Whether committed answers stand in for a model.
    pub(crate) fn is_offline(&self) -> bool {
        self.name() == AnswerBook::NAME
    }

    /// Writes a résumé.
    pub(crate) async fn write(
        &self,
        name: String,
        evidence: &Evidence,
        language: Language,
    ) -> Result<Resume> {
        let extractor = if language == Language::En { &self.en } else { &self.ko };
        let found = extractor.extract(&evidence.records.source()).await.map_err(failed)?;
        Ok(Resume::new(name, found.value, evidence))
    }

    /// Makes edits of an instruction.
    pub(crate) async fn edits(
        &self,
        resume: &Resume,
        evidence: &Evidence,
        language: Language,
        instruction: &str,
    ) -> Result<Vec<Edit>> {
        let extractor = Extractor::<Vec<Edit>>::builder(Arc::clone(&self.model))
            .with_name("resume_edit")
            .with_instructions(format!(
                "{EDIT} {}\n\nThe owner's instruction: {instruction}",
                language_of(language)
            ))
            .with_prompt_language(prompt(language))
            .with_call_timeout(Duration::from_mins(3))
            .build()
            .map_err(failed)?;
        let mut source = String::new();
        for line in &resume.lines {
            let _ = writeln!(source, "{} ({:?}) {} [{}]", line.id, line.section, line.text, line.record);
        }
        source.push('\n');
        source.push_str(&evidence.records.source());
        extractor.extract(&source).await.map(|found| found.value).map_err(failed)
    }
}

const fn prompt(language: Language) -> PromptLanguage {
    match language {
        Language::Ko => PromptLanguage::Korean,
        Language::En => PromptLanguage::English,
    }
}

/// What the service says of a failure: what was tried, and whether it may be tried again; no text of anybody's.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn failed(error: ExtractError) -> Error {
    let kind = match error.kind() {
        ExtractErrorKind::Timeout => ErrorKind::Timeout,
        ExtractErrorKind::RateLimited => ErrorKind::RateLimited,
        ExtractErrorKind::Unavailable => ErrorKind::Unavailable,
        ExtractErrorKind::Overloaded => ErrorKind::Overloaded,
        ExtractErrorKind::Unauthorized => ErrorKind::Unauthorized,
        ExtractErrorKind::BudgetExhausted => ErrorKind::BudgetExhausted,
        _ => ErrorKind::Other,
    };
    Error::new(kind, error.explanation()).with_retry(error.retry())
}
