//! What is wrong with a draft, beyond its schema: quotes, leaks, language, validators.

use serde::de::DeserializeOwned;

use super::Job;
use crate::extract::quotes::{self, Examples, Lookup};
use crate::extract::read::{Draft, Fault};
use crate::extract::{ExtractErrorKind, Grounded, Grounding, Missing, pointer};

const OWN: &str = "what this text says, not what an example says";

impl<T: DeserializeOwned> Job<'_, T> {
    /// Returns everything that is wrong with the draft.
    pub(super) fn check(&self, draft: &Draft) -> Vec<Fault> {
        let engine = self.engine;
        let mut faults = draft.faults.clone();
        let mut found = Vec::new();
        if engine.grounding == Grounding::Require {
            let lookup = self.look_up(&draft.value);
            for missed in &lookup.missed {
                let kind = match missed.quote.reason {
                    Missing::NotInSource => ExtractErrorKind::Ungrounded,
                    Missing::CopiedFromExample => ExtractErrorKind::Leaked,
                };
                found.push(Fault::new(&missed.quote.path, kind, quotes::advice(missed.miss)));
            }
            let examples = Examples(&engine.prompt.shots);
            let leaks = quotes::leaks(&engine.marks, &draft.value, self.source, &examples, &lookup);
            found.extend(leaks.into_iter().map(|path| Fault::new(path, ExtractErrorKind::Leaked, OWN)));
        }
        if let Some(language) = engine.language {
            let strays = language.strays(&engine.marks, &draft.value);
            found.extend(
                strays
                    .into_iter()
                    .map(|path| Fault::new(path, ExtractErrorKind::WrongLanguage, language.expected())),
            );
        }
        found.extend(self.broken_rules(draft));
        // a place that has to be asked for anyway needs no second reason
        for fault in found {
            if !faults.iter().any(|known| pointer::within(&fault.path, &known.path)) {
                faults.push(fault);
            }
        }
        faults
    }

    /// Asks the validators about the value without its bad items.
    fn broken_rules(&self, draft: &Draft) -> Vec<Fault> {
        let mut items: Vec<String> = draft.dropped.iter().map(|fault| fault.path.clone()).collect();
        for fault in &draft.faults {
            match pointer::item_around(&draft.value, &fault.path) {
                Some(item) => items.push(item),
                // there is no value to ask about yet
                None => return Vec::new(),
            }
        }
        let mut value = draft.value.clone();
        let moves = pointer::remove_items(&mut value, &items);
        match serde_json::from_value::<T>(value) {
            Ok(value) => {
                let violations = self.engine.validators.violations(&value);
                let fault = |violation: &crate::extract::Violation| {
                    Fault::new(moves.undo(violation.path()), ExtractErrorKind::Invalid, violation.expected())
                };
                violations.iter().map(fault).collect()
            }
            Err(_) => vec![Fault::new("", ExtractErrorKind::OffSchema, "a value that the type accepts")],
        }
    }

    /// Looks the quotes up in the source.
    pub(super) fn ground(&self, value: &serde_json::Value) -> Grounded {
        if self.engine.grounding == Grounding::Off {
            return Grounded::default();
        }
        let lookup = self.look_up(value);
        Grounded::new(lookup.quotes, lookup.missed.into_iter().map(|missed| missed.quote).collect())
    }

    fn look_up(&self, value: &serde_json::Value) -> Lookup {
        let engine = self.engine;
        let examples = Examples(&engine.prompt.shots);
        quotes::look_up(&engine.marks, value, self.source, &examples, engine.judge.as_ref())
    }
}
