//! Validators: rules about a typed value that its schema cannot say.

use std::fmt;
use std::sync::Arc;

/// A rule that a value breaks, at a place.
///
/// ```
/// use pumasi_llm_parse::extract::Violation;
///
/// let violation = Violation::at("/3/title", "at most 80 characters");
/// assert_eq!(violation.path(), "/3/title");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    path: String,
    expected: String,
}

impl Violation {
    /// Makes a violation at `path`, a JSON Pointer (RFC 6901) into the value, `""` for all of it.
    ///
    /// `expected` is told to the model when it is asked again, and stands in errors: it says what the rule wants, and
    /// must not repeat the value.
    pub fn at(path: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { path: path.into(), expected: expected.into() }
    }

    /// Returns the place.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns what the rule wants.
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

/// The outcome of a validator: `Err` has every violation it found.
pub type Checked = Result<(), Vec<Violation>>;

type Check<T> = dyn Fn(&T) -> Checked + Send + Sync;

/// The validators of an extractor, asked in order; all of them are asked.
pub(crate) struct Validators<T> {
    all: Vec<Arc<Check<T>>>,
}

impl<T> Validators<T> {
    pub(crate) fn push(&mut self, check: impl Fn(&T) -> Checked + Send + Sync + 'static) {
        self.all.push(Arc::new(check));
    }

    pub(crate) fn violations(&self, value: &T) -> Vec<Violation> {
        self.all.iter().filter_map(|check| check(value).err()).flatten().collect()
    }
}

impl<T> Default for Validators<T> {
    fn default() -> Self {
        Self { all: Vec::new() }
    }
}

impl<T> Clone for Validators<T> {
    fn clone(&self) -> Self {
        Self { all: self.all.clone() }
    }
}

impl<T> fmt::Debug for Validators<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validators").field("count", &self.all.len()).finish()
    }
}

/// Asks `garde` and turns its paths (`tasks[0].title`) into pointers (`/tasks/0/title`).
#[cfg(feature = "garde")]
pub(crate) fn garde_check<T>(value: &T) -> Checked
where
    T: garde::Validate,
    T::Context: Default,
{
    value.validate().map_err(|report| {
        report
            .iter()
            .map(|(path, error)| Violation::at(garde_pointer(&path.to_string()), error.message()))
            .collect()
    })
}

#[cfg(feature = "garde")]
fn garde_pointer(path: &str) -> String {
    let mut pointer = String::new();
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        pointer = super::pointer::join(&pointer, part.trim_end_matches(']'));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_validator_is_asked_and_every_violation_is_kept() {
        let mut validators = Validators::<Vec<u32>>::default();
        validators.push(|value| if value.is_empty() { Err(vec![Violation::at("", "some")]) } else { Ok(()) });
        validators.push(|value| {
            let big = value.iter().enumerate().filter(|(_, n)| **n > 9);
            let big: Vec<_> = big.map(|(at, _)| Violation::at(format!("/{at}"), "at most 9")).collect();
            if big.is_empty() { Ok(()) } else { Err(big) }
        });
        assert_eq!(validators.violations(&vec![1, 10, 2, 11]).len(), 2);
        assert_eq!(validators.violations(&vec![]), [Violation::at("", "some")]);
        assert!(validators.violations(&vec![3]).is_empty());
    }

    #[cfg(feature = "garde")]
    #[test]
    fn the_places_of_garde_become_pointers() {
        #[derive(garde::Validate)]
        struct Plan {
            #[garde(dive)]
            steps: Vec<Step>,
        }
        #[derive(garde::Validate)]
        struct Step {
            #[garde(length(max = 3))]
            title: String,
        }
        let plan = Plan { steps: vec![Step { title: "ok".into() }, Step { title: "too long".into() }] };
        let found = garde_check(&plan).unwrap_err();
        assert_eq!(found.iter().map(Violation::path).collect::<Vec<_>>(), ["/steps/1/title"]);
        assert!(!found[0].expected().contains("too long"));
    }
}
