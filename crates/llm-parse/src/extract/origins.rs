//! How places of a value were called in the answers that it comes from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::pointer::{self, Moves};

/// How places of a value were called in the answers that it comes from.
///
/// Items that stayed wrong are left out of a value, and the lists of a long source's parts are joined: the items after them
/// move up, or down. Where items name each other by their position, as an answer's author numbered them, this finds them
/// again. Answers are counted from 0 in the order of the source; a source that was asked about as a whole has one.
///
/// ```
/// use pumasi_core::model::{Reply, ScriptedModel};
/// use pumasi_llm_parse::extract::{Extract as _, Extractor, Grounding};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Step {
///     #[schemars(extend("x-quote" = true))]
///     quote: String,
///     /// The number of the step before, from 0.
///     after: Option<usize>,
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let answer = r#"{"items": [{"quote": "짐을 쌌다"}, {"quote": "표를 샀다"}, {"quote": "기차를 탔다", "after": 1}]}"#;
/// let model = ScriptedModel::new([Reply::text(answer), Reply::text(r#"{"1": null}"#)]);
/// let extractor = Extractor::<Vec<Step>>::builder(model)
///     .with_instructions("Extract the steps.")
///     .with_grounding(Grounding::Require)
///     .build()?;
/// // nobody packed
/// let found = extractor.extract("표를 샀다. 기차를 탔다.").await?;
/// assert_eq!(found.value[1].after, Some(1));
/// let (answer, _) = found.origins.before("/1").unwrap();
/// assert_eq!(found.origins.after(answer, "/1").as_deref(), Some("/0"));
/// assert_eq!(found.origins.after(answer, "/0"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Origins {
    /// One for each answer; a single one that moved nothing if there is none.
    answers: Vec<Answered>,
    /// Where the joined list is, if parts were joined.
    list: String,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Answered {
    /// The items that were left out.
    moves: Moves,
    /// Where each item of its list stands in the joined one; `None` if nothing was joined.
    joined: Option<Vec<usize>>,
}

impl Origins {
    /// An answer of which items were left out.
    pub(crate) fn of_answer(moves: Moves) -> Self {
        Self { answers: vec![Answered { moves, joined: None }], list: String::new() }
    }

    /// Adds the answers of a part, each of whose items went to a place of the list at `list`.
    pub(crate) fn join(&mut self, part: Self, list: &str, places: &[usize]) {
        list.clone_into(&mut self.list);
        let answers = if part.answers.is_empty() { vec![Answered::default()] } else { part.answers };
        self.answers.extend(answers.into_iter().map(|answer| {
            let joined = match answer.joined {
                None => places.to_vec(),
                Some(items) => items.iter().filter_map(|item| places.get(*item).copied()).collect(),
            };
            Answered { joined: Some(joined), ..answer }
        }));
    }

    /// Tells whether every place is called what it was called in the one answer.
    pub(crate) fn is_plain(&self) -> bool {
        match self.answers.as_slice() {
            [] => true,
            [one] => one.joined.is_none() && one.moves.is_empty(),
            _ => false,
        }
    }

    /// Tells which answer a place of the value comes from, and what it was called there, as JSON Pointers; the first of
    /// several. `None` if no answer has it.
    pub fn before(&self, place: &str) -> Option<(usize, String)> {
        let Some(first) = self.answers.first() else { return Some((0, place.to_owned())) };
        if first.joined.is_none() {
            return Some((0, first.moves.undo(place)));
        }
        let Some((index, tail)) = pointer::item_of(&self.list, place) else {
            // beside the list stands what the first part said
            return Some((0, first.moves.undo(place)));
        };
        self.answers.iter().enumerate().find_map(|(number, answer)| {
            let items = answer.joined.as_deref().unwrap_or_default();
            let own = items.iter().position(|item| *item == index)?;
            let here = format!("{}{tail}", pointer::join(&self.list, &own.to_string()));
            Some((number, answer.moves.undo(&here)))
        })
    }

    /// Tells what a place of an answer is called in the value, as JSON Pointers; `None` if it was left out or never was.
    ///
    /// An item that an earlier part had already is found there.
    pub fn after(&self, answer: usize, place: &str) -> Option<String> {
        let Some(own) = self.answers.get(answer) else {
            return (self.answers.is_empty() && answer == 0).then(|| place.to_owned());
        };
        let here = own.moves.redo(place)?;
        let Some(joined) = &own.joined else { return Some(here) };
        match pointer::item_of(&self.list, &here) {
            Some((index, tail)) => {
                let now = joined.get(index)?;
                Some(format!("{}{tail}", pointer::join(&self.list, &now.to_string())))
            }
            None => (answer == 0).then_some(here),
        }
    }
}

/// Shows counts alone: a place may be a key that somebody wrote.
impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origins").field("answers", &self.answers.len()).finish_non_exhaustive()
    }
}
