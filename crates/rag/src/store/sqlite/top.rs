//! The best of many, without sorting all.

/// Keeps the items with the highest scores.
#[derive(Debug)]
pub(super) struct Top<T> {
    limit: usize,
    /// What an item has to be above.
    bar: f32,
    kept: Vec<(f32, T)>,
}

impl<T> Top<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, bar: f32::NEG_INFINITY, kept: Vec::with_capacity(limit.saturating_mul(2).min(1 << 16)) }
    }

    /// Returns what an item has to reach; less than that is not kept.
    pub(super) fn bar(&self) -> f32 {
        self.bar
    }

    pub(super) fn push(&mut self, score: f32, item: T) {
        if score < self.bar || self.limit == 0 {
            return;
        }
        self.kept.push((score, item));
        if self.kept.len() >= self.limit.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.kept.len() > self.limit && self.limit > 0 {
            let order = |a: &(f32, T), b: &(f32, T)| b.0.total_cmp(&a.0);
            let (_, last, _) = self.kept.select_nth_unstable_by(self.limit - 1, order);
            self.bar = last.0;
            self.kept.truncate(self.limit);
        }
    }

    /// Returns the best, the best one first.
    pub(super) fn into_sorted(mut self) -> Vec<T> {
        self.cut();
        self.kept.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.kept.into_iter().map(|(_, item)| item).collect()
    }

    /// Returns the best with their scores, in no order.
    pub(super) fn into_scored(mut self) -> Vec<(f32, T)> {
        self.cut();
        self.kept
    }
}
