//! Holds the cases in `tests`: what must not compile, and what it says.
