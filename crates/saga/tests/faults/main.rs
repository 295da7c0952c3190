//! What happens to stores: workers are killed, files are cut and damaged, disks are full.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot be set up, or whose world is not as it should be, fails"
)]

mod child;
mod damage;
mod failing_disk;
mod kills;
