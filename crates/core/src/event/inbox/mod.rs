//! Effects that happen once: what was handled is recorded in the transaction of its effect.
