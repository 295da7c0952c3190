//! Calls within calls of one budget, of which only the outermost is counted.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::RetryBudget;

thread_local! {
    /// The budgets of the calls that are being polled on this thread, the innermost last.
    static WITHIN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl RetryBudget {
    /// Counts a first attempt, unless it is made within one of this budget's that was counted: a hedge around retries.
    fn deposit_once(&self) {
        if !WITHIN.with_borrow(|within| within.contains(&self.id())) {
            self.deposit();
        }
    }

    /// Polls `future` as part of a call that was counted.
    fn poll_within<F: Future + ?Sized>(
        &self,
        future: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                WITHIN.with_borrow_mut(Vec::pop);
            }
        }
        WITHIN.with_borrow_mut(|within| within.push(self.id()));
        let _leave = Leave;
        future.poll(context)
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }
}

/// Counts a call as a first attempt, unless it is part of one that was counted, and makes it as one that was.
pub(in crate::resilience) async fn within_budget<F: Future>(
    budget: Option<&RetryBudget>,
    mut call: Pin<&mut F>,
) -> F::Output {
    let Some(budget) = budget else { return call.await };
    budget.deposit_once();
    std::future::poll_fn(|context| budget.poll_within(call.as_mut(), context)).await
}
