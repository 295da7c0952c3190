//! Events that are part of the user's own transaction, and the relay that publishes them.
