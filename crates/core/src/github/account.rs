//! What is known of an account.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::JsonFault;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// A person or a bot, as `GET /users/{login}` tells.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// The account's name.
    pub login: String,
    /// The person's name, if it is told.
    #[serde(default)]
    pub name: Option<String>,
    /// What they say of themselves.
    #[serde(default)]
    pub bio: Option<String>,
    /// Where they say they work.
    #[serde(default)]
    pub company: Option<String>,
    /// Where they say they live.
    #[serde(default)]
    pub location: Option<String>,
    /// Their page on GitHub.
    pub html_url: String,
}

/// A repository, as `GET /users/{login}/repos` tells.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// Its owner's login, a slash and its name.
    pub full_name: String,
    /// Its page.
    pub html_url: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether it began as a copy of somebody else's.
    #[serde(default)]
    pub fork: bool,
    /// Whether only some may see it.
    #[serde(default)]
    pub private: bool,
    /// The language most of it is written in.
    #[serde(default)]
    pub language: Option<String>,
    /// What it is about.
    #[serde(default)]
    pub topics: Vec<String>,
    /// How many people starred it.
    #[serde(default)]
    pub stargazers_count: u64,
    /// When it was made.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When something was pushed to it last.
    #[serde(default)]
    pub pushed_at: Option<Timestamp>,
}

/// A commit, as `GET /repos/{owner}/{repo}/commits` tells; without the mail addresses that it names.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Commit {
    /// Its hash.
    pub sha: String,
    /// Its page.
    pub html_url: String,
    /// What git knows of it.
    commit: Content,
    /// The account that wrote it, where GitHub knows.
    #[serde(default)]
    author: Option<Author>,
    /// What it follows: two or more if it joins branches.
    #[serde(default)]
    parents: Vec<Parent>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    message: String,
    #[serde(default)]
    author: Option<Signature>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    #[serde(default)]
    date: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Author {
    /// Of an address that belongs to no account GitHub answers `{}`.
    #[serde(default)]
    login: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Parent {
    sha: String,
}

impl Commit {
    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.commit.message
    }

    /// Returns when it was written.
    pub fn written_at(&self) -> Option<Timestamp> {
        self.commit.author.as_ref()?.date
    }

    /// Returns the login of whoever wrote it, where GitHub knows.
    pub fn author(&self) -> Option<&str> {
        self.author.as_ref()?.login.as_deref()
    }

    /// Tells whether it joins branches.
    pub fn is_merge(&self) -> bool {
        self.parents.len() > 1
    }
}

/// An account: the person, the public repositories, and in each the commits that the account itself wrote.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Account {
    /// The person.
    pub user: User,
    /// The public repositories.
    pub repositories: Vec<Repository>,
    commits: BTreeMap<String, Vec<Commit>>,
}

#[derive(Deserialize)]
struct Export {
    user: User,
    #[serde(default)]
    repositories: Vec<Repository>,
    #[serde(default)]
    commits: BTreeMap<String, Vec<Commit>>,
}

impl Account {
    /// Gathers what was read: private repositories are left out, and commits that join branches or that somebody else wrote.
    pub fn new(user: User, repositories: Vec<Repository>, commits: BTreeMap<String, Vec<Commit>>) -> Self {
        let repositories: Vec<Repository> = repositories.into_iter().filter(|one| !one.private).collect();
        let mut kept = commits;
        kept.retain(|name, _| repositories.iter().any(|one| one.full_name == *name));
        for list in kept.values_mut() {
            let is_own = |commit: &Commit| {
                commit.author().is_some_and(|author| author.eq_ignore_ascii_case(&user.login))
            };
            list.retain(|commit| is_own(commit) && !commit.is_merge());
        }
        Self { user, repositories, commits: kept }
    }

    /// Reads an export: an object with what the API answers for the `user`, the `repositories`, and by their full names the
    /// `commits`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is none; the message says where, never what stands there.
    pub fn from_json(json: &str) -> Result<Self> {
        let export: Export = serde_json::from_str(json).map_err(|error| {
            let message = "this is no export of a GitHub account";
            Error::new(ErrorKind::InvalidInput, message).with_source(JsonFault::from(&error))
        })?;
        Ok(Self::new(export.user, export.repositories, export.commits))
    }

    /// Returns the account's own commits to a repository, in the order in which GitHub tells them: the newest first.
    pub fn commits(&self, full_name: &str) -> &[Commit] {
        self.commits.get(full_name).map_or(&[], Vec::as_slice)
    }
}

/// Leaves out who it is and what they wrote.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").finish_non_exhaustive()
    }
}

/// Leaves out whose it is and what it says.
impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("fork", &self.fork).finish_non_exhaustive()
    }
}

/// Leaves out who wrote it and what it says.
impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit").field("parents", &self.parents.len()).finish_non_exhaustive()
    }
}

/// Shows counts alone.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("repositories", &self.repositories.len())
            .field("commits", &self.commits.values().map(Vec::len).sum::<usize>())
            .finish_non_exhaustive()
    }
}
