//! What a stream asks the machine while the text is still coming.

use super::machine::{Log, Machine, Recorded, State};
use super::scan::Input;
use crate::report::Path;
use crate::tree::{Kind, NONE, NodeId};

impl Machine {
    /// Starts to keep what happens.
    pub(crate) fn record(&mut self) {
        self.log = Some(Log::default());
    }

    /// Goes on with the text so far.
    pub(crate) fn run_text(&mut self, text: &str, eof: bool) {
        self.run(Input::new(text, eof));
    }

    /// Returns the last value while it may still change: a string that may be continued, the first item of a list that
    /// may turn out to be a key.
    pub(crate) fn undecided(&self) -> Option<NodeId> {
        if self.state != State::AfterValue && !self.joining {
            return None;
        }
        let last = NodeId(self.stack.last()?.last);
        (!matches!(self.tree.node(last).kind(), Kind::Array | Kind::Object)).then_some(last)
    }

    /// Takes what happened since the last time, but for the completion of `held`.
    pub(crate) fn take_log(&mut self, held: Option<NodeId>) -> Vec<Recorded> {
        let Some(log) = &mut self.log else { return Vec::new() };
        let keep = match (held, log.records.last().copied()) {
            (Some(held), Some(last @ Recorded::Completed { node, .. })) if node == held => {
                log.records.pop();
                Some(last)
            }
            _ => None,
        };
        let records = std::mem::take(&mut log.records);
        log.records.extend(keep);
        records
    }

    /// Returns the way to a node from its root; takes time in proportion to its depth.
    pub(crate) fn path(&self, node: NodeId, text: &str) -> Path {
        let mut steps = Vec::new();
        let mut at = node.0;
        while let Some((parent, index)) = self
            .log
            .as_ref()
            .and_then(|log| log.parents.get(at as usize))
            .copied()
            .filter(|(parent, _)| *parent != NONE)
        {
            steps.push((at, index));
            at = parent;
        }
        let mut path = Path::root();
        for (id, index) in steps.into_iter().rev() {
            match self.tree.key(NodeId(id), text) {
                Some(key) => path.push_key(key),
                None => path.push_index(index as usize),
            }
        }
        path
    }

    /// Returns the root of the value that is being read.
    pub(crate) fn open_root(&self) -> Option<NodeId> {
        self.open.filter(|open| (open.root as usize) < self.tree.len()).map(|open| NodeId(open.root))
    }

    /// Tells whether a reasoning block is open.
    pub(crate) fn is_reasoning(&self) -> bool {
        self.around.reasoning_from.is_some()
    }

    /// Returns the end of the last reasoning block.
    pub(crate) fn reasoning_end(&self) -> usize {
        self.around.reasoning.last().map_or(0, |span| span.end)
    }
}
