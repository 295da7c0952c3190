//! What GitHub tells of an account: the person, the repositories, and the commits that are the account's own.
//!
//! | item | what it is |
//! |---|---|
//! | [`GithubClient`] | reads GitHub's REST API with paging, and keeps its limits |
//! | [`Account`] | what was read; also read from a file in the shape of the API's answers |
//!
//! Only what is public is kept, and of people what they show: no address of a mailbox is read out of a commit.
//!
//! ```
//! use pumasi_core::github::Account;
//!
//! let export = r#"{
//!     "user": {"login": "nari", "html_url": "https://github.com/nari"},
//!     "repositories": [{"name": "walks", "full_name": "nari/walks", "html_url": "https://github.com/nari/walks"}],
//!     "commits": {"nari/walks": [
//!         {"sha": "1f0c", "html_url": "https://github.com/nari/walks/commit/1f0c", "author": {"login": "nari"},
//!          "commit": {"message": "산책로 지도를 그린다"}},
//!         {"sha": "2e9d", "html_url": "https://github.com/nari/walks/commit/2e9d", "author": {"login": "somebody"},
//!          "commit": {"message": "Fix a typo"}}
//!     ]}
//! }"#;
//! let account = Account::from_json(export)?;
//! let own: Vec<_> = account.commits("nari/walks").iter().map(|commit| commit.sha.as_str()).collect();
//! assert_eq!(own, ["1f0c"]);
//! # Ok::<(), pumasi_core::Error>(())
//! ```

mod account;
mod client;

pub use account::{Account, Commit, Repository, User};
pub use client::{GithubClient, GithubToken, Limits};
