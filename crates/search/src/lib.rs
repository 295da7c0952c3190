//! Search that never goes down, and rankings that are right.
