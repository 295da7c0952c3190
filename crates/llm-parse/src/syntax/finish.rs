//! The end of an answer: what is only known once all of it was read.

use super::document::{Document, Limits, Origin, clip};
use super::machine::Machine;
use super::scan::Input;
use crate::tree::Span;

/// Reads a whole answer.
pub(crate) fn read(source: &str, limits: &Limits) -> Document {
    let mut machine = Machine::new(limits);
    machine.run(Input::new(source, true));
    machine.into_document(source)
}

impl Machine {
    /// Completes the candidates after the last step.
    pub(crate) fn into_document(mut self, source: &str) -> Document {
        let trimmed = source.trim();
        let start = source.len() - source.trim_start().len();
        let whole = Span::new(start, start + trimmed.len());
        for candidate in &mut self.candidates {
            if candidate.origin == Origin::Prose && candidate.span == whole {
                candidate.origin = Origin::Whole;
            }
        }
        let text = Document::plain(source, &self.limits);
        let offset = clip(self.tree.nodes.len());
        let fixes = clip(self.fixes.len());
        self.tree.nodes.extend(text.tree.nodes);
        self.fixes.extend(text.fixes);
        for mut candidate in text.candidates {
            candidate.root.0 += offset;
            candidate.fixes = (fixes, clip(self.fixes.len()));
            self.candidates.push(candidate);
        }
        Document { tree: self.tree, candidates: self.candidates, fixes: self.fixes }
    }
}
