//! What the example services share.
