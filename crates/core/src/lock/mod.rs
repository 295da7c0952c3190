//! Locks across processes, with fencing tokens.
