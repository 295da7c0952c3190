//! Buffers that one parse leaves to the next one of its thread.
//!
//! Reading an answer takes several times its length in nodes, repairs and fitted values. Given back to the system each time
//! and zeroed by it again, that memory costs more than filling it.

use std::cell::Cell;

use crate::align::Plan;
use crate::syntax::{Document, Recycled};

/// What a thread keeps at most, in bytes: enough for answers of 200 kB.
const KEPT: usize = 1 << 20;

thread_local! {
    static SPARE: Cell<Buffers> = Cell::default();
}

/// Is the memory of a parse, without the contents.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) read: Recycled,
    pub(crate) plan: Plan,
}

impl Buffers {
    /// Takes what the last parse of this thread left.
    pub(crate) fn take() -> Self {
        SPARE.try_with(Cell::take).unwrap_or_default()
    }

    /// Empties the memory and leaves it to the next parse of this thread, unless it is large.
    pub(crate) fn leave(mut self, document: Document) {
        self.read = document.recycle();
        self.plan.clear();
        if self.read.bytes() + self.plan.bytes() <= KEPT {
            // On a thread that is ending it is dropped.
            let _ = SPARE.try_with(|spare| spare.set(self));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffers, KEPT};
    use crate::syntax::{Limits, read};

    #[test]
    fn the_next_parse_finds_the_memory_of_the_last() {
        Buffers::take();
        Buffers::take().leave(read("[1, 2, 3,]", &Limits::default()));
        assert!(Buffers::take().read.bytes() > 0);
        assert_eq!(Buffers::take().read.bytes(), 0);
    }

    #[test]
    fn the_memory_of_a_huge_answer_is_given_back() {
        Buffers::take();
        let huge = format!("[{}]", "1,".repeat(KEPT / 16));
        Buffers::take().leave(read(&huge, &Limits::default()));
        assert_eq!(Buffers::take().read.bytes(), 0);
    }
}
