//! What reading an answer yields: candidates, their trees and their repairs.

use serde::Serialize;

use crate::report::{Repair, Rule, Severity};
use crate::tree::{Kind, Node, NodeId, Quote, Span, Tree};

/// Bounds what reading one answer may cost.
///
/// ```
/// use pumasi_llm_parse::syntax::Limits;
///
/// let limits = Limits::default().with_max_depth(16);
/// assert_eq!(limits.max_depth(), 16);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    max_depth: usize,
    max_repairs: usize,
    max_values: usize,
}

impl Default for Limits {
    /// 128 levels, 65,536 listed repairs, 100,000 separate values.
    fn default() -> Self {
        Self { max_depth: 128, max_repairs: 65_536, max_values: 100_000 }
    }
}

impl Limits {
    /// Returns the limits with another nesting depth (default 128, at least 1, at most 4,096).
    ///
    /// What lies deeper is skipped and reported as [`Rule::DepthLimit`].
    #[must_use]
    pub fn with_max_depth(mut self, max_depth: usize) -> Self {
        self.max_depth = max_depth.clamp(1, 4096);
        self
    }

    /// Returns the nesting depth.
    #[must_use]
    pub const fn max_depth(&self) -> usize {
        self.max_depth
    }

    /// Returns the limits with another number of listed repairs (default 65,536).
    ///
    /// Further ones are merged into one [`Rule::MoreRepairs`] of the worst severity among them.
    #[must_use]
    pub const fn with_max_repairs(mut self, max_repairs: usize) -> Self {
        self.max_repairs = max_repairs;
        self
    }

    /// Returns the number of listed repairs.
    #[must_use]
    pub const fn max_repairs(&self) -> usize {
        self.max_repairs
    }

    /// Returns the limits with another number of separate values in one answer, such as JSON lines (default 100,000).
    ///
    /// Nothing is read after so many of them, and [`Document::is_cut_short`] says so.
    #[must_use]
    pub const fn with_max_values(mut self, max_values: usize) -> Self {
        self.max_values = max_values;
        self
    }

    /// Returns the number of separate values in one answer.
    #[must_use]
    pub const fn max_values(&self) -> usize {
        self.max_values
    }
}

/// Tells where in the answer a candidate stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The whole answer, but for white space.
    Whole,
    /// A code fence; the span covers its language word and is empty when there is none.
    Fence {
        /// The language word after the opening fence.
        language: Span,
    },
    /// Amid other text.
    Prose,
    /// Several values in a row, read as one list (JSON Lines, values separated by commas).
    Sequence,
    /// Keys and values without braces, or items without brackets.
    Bare,
    /// YAML.
    Yaml,
    /// XML.
    Xml,
    /// A Markdown list or table.
    Markdown,
    /// The plain text of the answer.
    Text,
}

/// Tells what the words around a candidate say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cue {
    /// Nothing.
    #[default]
    None,
    /// It is an example (“for example”, “예시”).
    Example,
    /// It is the requested format or schema, not an answer.
    Schema,
    /// It is a first try (“draft”, “초안”).
    Draft,
    /// It is wrong or to be avoided (“incorrect”, “instead of”, “잘못된”).
    Rejected,
    /// It replaces an earlier one (“corrected”, “수정”, “정정”).
    Corrected,
    /// It is the final answer (“final”, “최종”).
    Final,
}

/// Is one possible reading of (a part of) the answer.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    pub(crate) span: Span,
    pub(crate) origin: Origin,
    pub(crate) cue: Cue,
    pub(crate) root: NodeId,
    pub(crate) complete: bool,
    pub(crate) thinking: bool,
    /// The sentence goes on from it to another value.
    pub(crate) operand: bool,
    /// Text around it that was set aside.
    pub(crate) before: (u32, u32),
    pub(crate) after: (u32, u32),
    pub(crate) fixes: (u32, u32),
}

impl Candidate {
    /// Returns the bytes of the answer that were read.
    #[must_use]
    pub const fn span(&self) -> Span {
        self.span
    }

    /// Returns where it stood.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns what the words around it say.
    #[must_use]
    pub const fn cue(&self) -> Cue {
        self.cue
    }

    /// Returns the root of its tree.
    #[must_use]
    pub const fn root(&self) -> NodeId {
        self.root
    }

    /// Tells whether its end was seen.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Tells whether it stood inside a reasoning block (`<think>` and its like).
    #[must_use]
    pub const fn is_thinking(&self) -> bool {
        self.thinking
    }
}

/// Is a repair in its compact form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fix {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) rule: Rule,
    pub(crate) severity: Severity,
}

/// Is the memory of a document, without the contents.
#[derive(Debug, Default)]
pub(crate) struct Recycled {
    pub(crate) tree: Tree,
    pub(crate) fixes: Vec<Fix>,
}

impl Recycled {
    /// Returns how much memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.tree.nodes.capacity() * size_of::<Node>()
            + self.tree.scratch.capacity()
            + self.fixes.capacity() * size_of::<Fix>()
    }
}

/// Is what [`read`](super::read) found in an answer.
#[derive(Debug, Clone, Default)]
pub struct Document {
    pub(crate) tree: Tree,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) fixes: Vec<Fix>,
    pub(crate) reasoning: Option<Span>,
    pub(crate) cut_short: bool,
}

impl Document {
    /// Takes the end of the text for a cut, where nothing tells that it is none: a value that ends with its line (YAML, a
    /// Markdown list, a word, a number) is not complete as long as the line is not, and the list or mapping around it may
    /// still grow.
    pub(crate) fn leave_open(&mut self, raw: &str) {
        let end = raw.trim_end().len();
        // each candidate that reaches the end is gone through once, and there are not many
        let mut work = raw.len().saturating_add(1024);
        for candidate in &mut self.candidates {
            if candidate.span.end < end || candidate.origin == Origin::Xml || candidate.thinking {
                continue;
            }
            let mut bracketed = false;
            let mut at = Some(candidate.root);
            while let Some(id) = at {
                let Some(node) = self.tree.nodes.get_mut(id.0 as usize) else { break };
                let (start, to) = (node.start as usize, node.end as usize);
                let first = raw.get(start..).and_then(|text| text.chars().next()).unwrap_or(' ');
                let compound = matches!(node.kind, Kind::Array | Kind::Object);
                let closed = match node.kind {
                    Kind::Array | Kind::Object => matches!(first, '{' | '[' | '(' | '<' | '｛' | '［'),
                    Kind::String(quote) => quote != Quote::None,
                    _ => false,
                };
                // A number or a word goes on behind a blank: `1 ` may be the start of `1 000`.
                let same_line = !bracketed && raw.get(to..).is_some_and(|rest| !rest.contains('\n'));
                let ends = if compound || same_line { to >= end } else { to == raw.len() };
                bracketed |= compound && closed;
                if !ends || (closed && node.is_complete()) {
                    break;
                }
                node.set_complete(false);
                candidate.complete = false;
                let mut last = None;
                for child in self.tree.children(id) {
                    last = Some(child);
                    work = work.saturating_sub(1);
                }
                at = last.filter(|_| work > 0);
            }
        }
    }

    /// Empties the document and returns its memory.
    pub(crate) fn recycle(mut self) -> Recycled {
        self.tree.nodes.clear();
        self.tree.scratch.clear();
        self.fixes.clear();
        Recycled { tree: self.tree, fixes: self.fixes }
    }

    /// Returns the tree that holds every candidate's nodes.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Returns the candidates, structured ones before the plain text, otherwise in the order of the answer.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Tells whether reading stopped at [`Limits::max_values`], so that the end of the answer was not looked at.
    #[must_use]
    pub const fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    pub(crate) const fn mark_cut_short(&mut self) {
        self.cut_short = true;
    }

    /// Returns the repairs that one candidate needed: what was set aside around it, then the rest in reading order.
    pub fn repairs(&self, candidate: &Candidate) -> impl Iterator<Item = Repair> + '_ {
        let (from, to) = candidate.fixes;
        let around = |(start, end): (u32, u32)| {
            (end > start).then(|| {
                Repair::new(Rule::Prose, Severity::Cosmetic, Span::new(start as usize, end as usize))
            })
        };
        let reasoning = self.reasoning.filter(|_| !candidate.thinking);
        let text = candidate.origin == Origin::Text;
        let before = around(candidate.before).filter(|_| !text);
        let after = around(candidate.after).filter(|_| !text);
        reasoning
            .map(|span| Repair::new(Rule::ReasoningBlock, Severity::Cosmetic, span))
            .into_iter()
            .chain(before)
            .chain(self.fixes.get(from as usize..to as usize).unwrap_or(&[]).iter().map(|fix| {
                Repair::new(fix.rule, fix.severity, Span::new(fix.start as usize, fix.end as usize))
            }))
            .chain(after)
    }
}

/// The longest answer that is read, in bytes: places are kept in 32 bits.
pub(crate) const LARGEST: usize = u32::MAX as usize - 16;

pub(crate) fn clip(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
