//! The books of one extraction: what may still be spent, and every call that was made.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pumasi_core::model::{Cost, Price, Usage};
use pumasi_core::time::Clock;

use super::{Attempt, AttemptOutcome, Budget, ExtractError, ExtractErrorKind, Result, total_usage};

/// The fewest tokens that an answer is worth asking for.
const MIN_ANSWER: u64 = 64;

/// Keeps the books of one extraction; its chunks share them.
#[derive(Debug)]
pub(crate) struct Ledger {
    budget: Budget,
    price: Option<Price>,
    clock: Arc<dyn Clock>,
    started: Instant,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    attempts: Vec<Attempt>,
    usage: Usage,
    cost: Cost,
    calls: u32,
    /// Tokens and money that calls under way may come to.
    reserved_tokens: u64,
    reserved_cost: Cost,
}

/// The right to make one call; gives back what it reserved when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    ledger: &'a Ledger,
    tokens: u64,
    cost: Cost,
    /// The most tokens that the answer may have.
    pub(crate) max_answer: Option<u64>,
    /// How long the call may take.
    pub(crate) timeout: Option<Duration>,
}

impl Ledger {
    pub(crate) fn new(budget: Budget, price: Option<Price>, clock: Arc<dyn Clock>) -> Self {
        let started = clock.instant();
        Self { budget, price, clock, started, books: Mutex::default() }
    }

    /// Asks for a call with a prompt of `prompt` tokens and an answer of at most `answer`.
    ///
    /// `shares` is how many calls, this one included, have to come out of what is left.
    pub(crate) fn permit(&self, prompt: u64, answer: Option<u64>, shares: u64) -> Result<Permit<'_>> {
        let timeout = match self.budget.time() {
            None => None,
            Some(time) => {
                let left = time.saturating_sub(self.elapsed());
                if left.is_zero() {
                    return Err(self.exhausted("time"));
                }
                Some(left)
            }
        };
        let mut books = self.lock();
        if self.budget.calls().is_some_and(|calls| books.calls >= calls) {
            drop(books);
            return Err(self.exhausted("calls"));
        }
        let mut most = answer;
        if let Some(tokens) = self.budget.tokens() {
            let spent = books.usage.total_tokens().saturating_add(books.reserved_tokens);
            let left = tokens.saturating_sub(spent) / shares.max(1);
            let room = left.saturating_sub(prompt);
            if room < answer.unwrap_or(MIN_ANSWER).min(MIN_ANSWER) {
                drop(books);
                return Err(self.exhausted("tokens"));
            }
            most = Some(most.map_or(room, |most| most.min(room)));
        }
        if let (Some(limit), Some(price)) = (self.budget.cost(), self.price) {
            let spent = books.cost + books.reserved_cost;
            let left = limit.saturating_sub(spent).as_micros() / shares.max(1);
            let room = left.checked_sub(price.cost(&Usage::new(prompt, 0)).as_micros());
            let affordable = room.map(|room| affordable(price, room));
            let floor = answer.unwrap_or(MIN_ANSWER).min(MIN_ANSWER);
            match affordable {
                Some(tokens) if tokens >= floor => {
                    most = Some(most.map_or(tokens, |most| most.min(tokens)));
                }
                _ => {
                    drop(books);
                    return Err(self.exhausted("money"));
                }
            }
        }
        let tokens = prompt.saturating_add(most.unwrap_or(0));
        let cost = self.price.map_or(Cost::ZERO, |price| price.cost(&Usage::new(prompt, most.unwrap_or(0))));
        books.calls += 1;
        books.reserved_tokens = books.reserved_tokens.saturating_add(tokens);
        books.reserved_cost += cost;
        drop(books);
        Ok(Permit {
            ledger: self,
            tokens,
            cost,
            max_answer: most.filter(|_| most != answer).or(answer),
            timeout,
        })
    }

    /// Writes an attempt down; its cost is worked out here.
    pub(crate) fn record(&self, mut attempt: Attempt) {
        attempt.cost = self.price.map(|price| price.cost(&attempt.usage));
        let mut books = self.lock();
        books.usage += attempt.usage;
        books.cost += attempt.cost.unwrap_or_default();
        books.attempts.push(attempt);
    }

    /// Returns every attempt so far.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.lock().attempts.clone()
    }

    /// Changes how the last attempt of `chunk` ended: what it was worth is known only after it was read.
    pub(crate) fn amend(&self, chunk: Option<usize>, outcome: AttemptOutcome) {
        let label = match &outcome {
            AttemptOutcome::Accepted => "accepted",
            AttemptOutcome::Partial { .. } => "partial",
            AttemptOutcome::Rejected { reason, .. } | AttemptOutcome::Failed { reason } => reason.as_str(),
        };
        metrics::counter!("pumasi_extract_answers_total", "outcome" => label).increment(1);
        let mut books = self.lock();
        if let Some(attempt) = books.attempts.iter_mut().rev().find(|attempt| attempt.chunk == chunk) {
            attempt.outcome = outcome;
        }
    }

    /// Keeps what was repaired in the answer of the last attempt of `chunk`.
    pub(crate) fn attach(&self, chunk: Option<usize>, report: crate::Report) {
        let mut books = self.lock();
        if let Some(attempt) = books.attempts.iter_mut().rev().find(|attempt| attempt.chunk == chunk) {
            attempt.report = report;
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.instant().saturating_duration_since(self.started)
    }

    pub(crate) fn exhausted(&self, what: &'static str) -> ExtractError {
        let attempts = self.attempts();
        let spent = total_usage(&attempts).total_tokens();
        ExtractError::new(
            ExtractErrorKind::BudgetExhausted,
            format!(
                "the budget of {what} does not allow another call after {} attempts and {spent} tokens",
                attempts.len()
            ),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut books = self.ledger.lock();
        books.reserved_tokens = books.reserved_tokens.saturating_sub(self.tokens);
        books.reserved_cost = books.reserved_cost.saturating_sub(self.cost);
    }
}

/// Tells how many tokens of answer this many micro-dollars buy.
fn affordable(price: Price, micros: u64) -> u64 {
    let tokens = u128::from(micros) * 1_000_000 / u128::from(price.completion.max(1));
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{AskMode, AttemptKind};
    use pumasi_core::time::ManualClock;

    fn ledger(budget: Budget, price: Option<Price>) -> (Ledger, ManualClock) {
        let clock = ManualClock::new();
        (Ledger::new(budget, price, Arc::new(clock.clone())), clock)
    }

    fn spend(ledger: &Ledger, usage: Usage) {
        let mut attempt = Attempt::new(AttemptKind::Ask, AskMode::Text, "m");
        attempt.usage = usage;
        ledger.record(attempt);
    }

    #[test]
    fn tokens_are_counted_before_a_call_and_cap_its_answer() {
        let (ledger, _) = ledger(Budget::unlimited().with_tokens(1000), None);
        let permit = ledger.permit(600, None, 1).unwrap();
        assert_eq!(permit.max_answer, Some(400));
        // while it is under way, its tokens are spoken for
        assert_eq!(ledger.permit(1, None, 1).unwrap_err().kind(), ExtractErrorKind::BudgetExhausted);
        drop(permit);
        spend(&ledger, Usage::new(600, 100));
        assert_eq!(ledger.permit(200, Some(50), 1).unwrap().max_answer, Some(50));
        assert!(ledger.permit(299, None, 1).is_err());
    }

    #[test]
    fn money_is_counted_before_a_call_and_caps_its_answer() {
        let price = Price::new(1_000_000, 10_000_000);
        let (ledger, _) = ledger(Budget::unlimited().with_cost(Cost::from_micros(10_000)), Some(price));
        assert_eq!(ledger.permit(1000, None, 1).unwrap().max_answer, Some(900));
        spend(&ledger, Usage::new(1000, 800));
        assert!(ledger.permit(1000, None, 1).is_err());
        assert_eq!(ledger.attempts()[0].cost, Some(Cost::from_micros(9_000)));
    }

    #[test]
    fn calls_and_time_run_out() {
        let (ledger, clock) =
            ledger(Budget::unlimited().with_calls(2).with_time(Duration::from_secs(10)), None);
        assert_eq!(ledger.permit(1, None, 1).unwrap().timeout, Some(Duration::from_secs(10)));
        clock.advance(Duration::from_secs(4));
        assert_eq!(ledger.permit(1, None, 1).unwrap().timeout, Some(Duration::from_secs(6)));
        assert!(ledger.permit(1, None, 1).unwrap_err().message().contains("calls"));
        clock.advance(Duration::from_secs(6));
        assert!(ledger.permit(1, None, 1).unwrap_err().message().contains("time"));
    }

    #[test]
    fn parts_of_a_long_source_share_what_is_left() {
        let (ledger, _) = ledger(Budget::unlimited().with_tokens(1000), None);
        let first = ledger.permit(100, None, 4).unwrap();
        assert_eq!(first.max_answer, Some(150));
        let second = ledger.permit(100, None, 3).unwrap();
        assert_eq!(second.max_answer, Some(150));
        drop((first, second));
    }
}
