//! Inputs and checks that the benches share.
