//! Requests that are made twice and carried out once.
