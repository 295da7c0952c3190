//! What an account has done, as records that a line of a résumé can point to.

use std::path::{Path, PathBuf};

use pumasi_core::github::{Account, Commit, GithubClient, Limits, Repository};
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_llm_parse::ground::{Record, Records};
use serde::{Deserialize, Serialize};

/// The committed export, of a person who was made up.
const EXPORT: &str = include_str!("github.json");
/// How much of an account is read: what fits a model's context.
const LIMITS: Limits = Limits { repositories: 20, commits: 30 };
/// How much of a commit's message is kept, in characters.
const LONGEST: usize = 600;
/// How many digits of a commit's hash name it.
const DIGITS: usize = 12;

/// Where accounts come from.
#[derive(Clone, Debug)]
pub(crate) enum Accounts {
    /// GitHub itself, or what stands in for it.
    Api(Box<GithubClient>),
    /// Exports: the committed one, or a file.
    Export(Option<PathBuf>),
}

impl Accounts {
    /// Reads GitHub with `PUMASI_GITHUB_TOKEN` (at `PUMASI_GITHUB_URL`, if that is set), else exports; a file that cannot be read is an
    /// error.
    pub(crate) fn from_env() -> Result<Self> {
        let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let Some(token) = set("PUMASI_GITHUB_TOKEN") else {
            let export = set("PUMASI_GITHUB_EXPORT").map(PathBuf::from);
            // A file that is asked for is there, or the service does not start.
            export.as_deref().map(read_export).transpose()?;
            return Ok(Self::Export(export));
        };
        let url = set("PUMASI_GITHUB_URL").unwrap_or_else(|| GithubClient::BASE_URL.to_owned());
        GithubClient::at(&url, token).map(|client| Self::Api(Box::new(client)))
    }

    /// Reads an account.
    pub(crate) async fn read(&self, login: &str) -> Result<Account> {
        let account = match self {
            Self::Api(client) => return client.account(login, LIMITS).await,
            Self::Export(None) => Account::from_json(EXPORT)?,
            Self::Export(Some(path)) => read_export(path)?,
        };
        if account.user.login.eq_ignore_ascii_case(login) {
            return Ok(account);
        }
        Err(Error::new(
            ErrorKind::NotFound,
            "there is no export of this account, and no token to ask GitHub with",
        ))
    }

    /// The account of the committed export, if that is all there is.
    pub(crate) fn sample(&self) -> Result<Option<String>> {
        match self {
            Self::Export(None) => Account::from_json(EXPORT).map(|account| Some(account.user.login)),
            _ => Ok(None),
        }
    }
}

fn read_export(path: &Path) -> Result<Account> {
    let json = std::fs::read_to_string(path).map_err(|error| {
        Error::new(ErrorKind::Storage, "the file that PUMASI_GITHUB_EXPORT names cannot be read")
            .with_source(error)
    })?;
    Account::from_json(&json).map_err(|error| {
        let message = "the file that PUMASI_GITHUB_EXPORT names is no export of an account";
        Error::new(error.kind(), message).with_source(error)
    })
}

/// A record, and where people find it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) text: String,
}

/// What an account has done.
#[derive(Clone)]
pub(crate) struct Evidence {
    pub(crate) sources: Vec<Source>,
    pub(crate) records: Records,
}

impl Evidence {
    /// Makes records of the person, of each repository that is no fork, and of each own commit. What people say of themselves proves
    /// nothing: of the person there is the name and the place.
    pub(crate) fn of(account: &Account) -> Result<Self> {
        let user = &account.user;
        let who = [Some(user.login.as_str()), user.name.as_deref(), user.location.as_deref()];
        let mut sources = vec![Source {
            id: "profile".to_owned(),
            url: user.html_url.clone(),
            text: who.into_iter().flatten().collect::<Vec<_>>().join("\n"),
        }];
        for repository in account.repositories.iter().take(LIMITS.repositories) {
            if !repository.fork {
                sources.push(of_repository(repository));
            }
            let commits = account.commits(&repository.full_name).iter().take(LIMITS.commits);
            sources.extend(commits.map(of_commit));
        }
        Self::new(sources)
    }

    /// Takes records as they were kept; a commit that stands in two repositories is one record.
    pub(crate) fn new(mut sources: Vec<Source>) -> Result<Self> {
        let mut seen = std::collections::HashSet::new();
        sources.retain(|source| seen.insert(source.id.clone()));
        let records = Records::new(sources.iter().map(|one| Record::new(&one.id, &one.text)))?;
        Ok(Self { sources, records })
    }

    /// Where people find a record.
    pub(crate) fn url(&self, id: &str) -> &str {
        self.sources.iter().find(|source| source.id == id).map_or("", |source| &source.url)
    }
}

fn of_repository(repository: &Repository) -> Source {
    let about: Vec<&str> = repository.language.as_deref().into_iter().collect();
    let topics = repository.topics.join(", ");
    let about = about.into_iter().chain((!topics.is_empty()).then_some(topics.as_str()));
    let mut text = vec![repository.name.clone()];
    text.extend(repository.description.clone());
    text.push(about.collect::<Vec<_>>().join(" · "));
    text.push(format!("{} stars", repository.stargazers_count));
    text.retain(|line| !line.is_empty());
    Source { id: repository.full_name.clone(), url: repository.html_url.clone(), text: text.join("\n") }
}

fn of_commit(commit: &Commit) -> Source {
    Source {
        id: commit.sha.chars().take(DIGITS).collect(),
        url: commit.html_url.clone(),
        text: commit.message().chars().take(LONGEST).collect(),
    }
}
