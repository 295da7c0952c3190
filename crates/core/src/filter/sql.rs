//! Filters on tables of your own, as SQL with bound parameters.
