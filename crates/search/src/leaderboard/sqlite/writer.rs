//! The one writer of a file: what is submitted at the same time shares a transaction, and so a sync.

use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::cache::Cache;
use super::rows::{self, WindowRow};
use crate::leaderboard::held::{Order, order};
use crate::leaderboard::member::MemberId;
use crate::leaderboard::record::{Record, Submitted, Withdrawn};
use crate::leaderboard::standing::{Changed, Ledger, needs};
use crate::leaderboard::store::{Board, OpenWindows, exists, other_rules};
use crate::leaderboard::withdrawal::{Stored, withdraw};
use crate::{Error, ErrorKind, Result};

/// How many calls share a transaction at most.
const BATCH: usize = 1024;

type Reply<T> = oneshot::Sender<Result<T>>;

pub(super) struct Submit<M> {
    pub(super) board: Board,
    pub(super) window: String,
    pub(super) records: Vec<Record<M>>,
    pub(super) reply: Reply<Vec<Submitted>>,
}

pub(super) struct Withdraw<M> {
    pub(super) board: Board,
    pub(super) window: String,
    pub(super) member: M,
    pub(super) source: String,
    pub(super) open: OpenWindows,
    pub(super) reply: Reply<Withdrawn>,
}

pub(super) enum Request<M> {
    Submit(Submit<M>),
    Withdraw(Withdraw<M>),
    Other(What, Reply<bool>),
}

/// What is asked for besides counting records.
pub(super) enum What {
    Close(Board, String),
    Snapshot(Board, String, String),
    /// Brings a window into memory; answered by whether there is one.
    Load(Board, String),
    Forget(Board, String),
    Replace(Board, Board),
}

/// A change of what is in memory, to be made when the transaction is committed.
pub(super) enum Step<M> {
    Set { board: String, window: String, changed: Vec<Changed<M>> },
    Copy { board: String, window: String, name: String },
    Insert { board: Board, window: String, order: Box<dyn Order<M>> },
    Forget { board: String, window: String },
    Replace { board: String, with: String },
}

pub(super) struct Writer<M> {
    pub(super) connection: SqliteConnection,
    pub(super) cache: Arc<Cache<M>>,
}

/// An answer that is held back until the transaction is committed.
enum Answer {
    Submitted(Vec<Result<Vec<Submitted>>>),
    Withdrawn(Result<Withdrawn>),
    Done(Result<bool>),
}

/// Requests that are carried out together.
enum Group<M> {
    Submits(Vec<Submit<M>>),
    Withdraw(Withdraw<M>),
    Other(What, Reply<bool>),
}

impl<M: MemberId> Writer<M> {
    pub(super) async fn run(mut self, mut incoming: mpsc::UnboundedReceiver<Request<M>>) {
        let mut batch = Vec::with_capacity(BATCH);
        while incoming.recv_many(&mut batch, BATCH).await > 0 {
            self.handle(group(batch.drain(..))).await;
        }
        if let Err(error) = self.connection.close().await {
            tracing::debug!(error = %error, "the file of the boards was not closed in order; nothing is lost by that");
        }
    }

    async fn handle(&mut self, groups: Vec<Group<M>>) {
        let outcome = self.transact(&groups).await;
        match outcome {
            Ok((answers, steps)) => {
                self.cache.apply(steps);
                for (group, answer) in groups.into_iter().zip(answers) {
                    group.reply(answer);
                }
            }
            Err(error) => {
                // Some errors have rolled back already, and then this one says that there is no transaction.
                let _ = rows::run(&mut self.connection, "ROLLBACK").await;
                for group in groups {
                    group.refuse(&error);
                }
            }
        }
    }

    /// Carries everything out in one transaction, or nothing.
    async fn transact(&mut self, groups: &[Group<M>]) -> Result<(Vec<Answer>, Vec<Step<M>>)> {
        rows::run(&mut self.connection, "BEGIN IMMEDIATE").await?;
        let (mut answers, mut steps) = (Vec::with_capacity(groups.len()), Vec::new());
        for group in groups {
            answers.push(match group {
                Group::Submits(submits) => Answer::Submitted(self.submits(submits, &mut steps).await?),
                Group::Withdraw(asked) => Answer::Withdrawn(refusal(self.withdraw(asked, &mut steps).await)?),
                Group::Other(what, _) => Answer::Done(refusal(self.other(what, &mut steps).await)?),
            });
        }
        rows::run(&mut self.connection, "COMMIT").await?;
        Ok((answers, steps))
    }

    /// Counts the records of calls on one window: together, or, if one of them is refused, each for itself.
    async fn submits(
        &mut self,
        submits: &[Submit<M>],
        steps: &mut Vec<Step<M>>,
    ) -> Result<Vec<Result<Vec<Submitted>>>> {
        match refusal(self.submit(submits, steps).await)? {
            Ok(answers) => Ok(answers.into_iter().map(Ok).collect()),
            Err(error) if submits.len() == 1 => Ok(vec![Err(error)]),
            Err(_) => {
                let mut answers = Vec::with_capacity(submits.len());
                for submit in submits {
                    let one = refusal(self.submit(std::slice::from_ref(submit), steps).await)?;
                    answers.push(one.map(|answers| answers.into_iter().flatten().collect()));
                }
                Ok(answers)
            }
        }
    }

    async fn submit(
        &mut self,
        submits: &[Submit<M>],
        steps: &mut Vec<Step<M>>,
    ) -> Result<Vec<Vec<Submitted>>> {
        let Some(first) = submits.first() else { return Ok(Vec::new()) };
        let (board, rules) = (&first.board, first.board.rules());
        let no = self.board(board).await?;
        let window = self.window(no, &first.window).await?;
        let (members, wanted) = needs(rules, submits.iter().flat_map(|submit| &submit.records));
        let standings = rows::standings(&mut self.connection, rules, window.no, &members).await?;
        let known = rows::marked(&mut self.connection, no, window.no, &wanted).await?;
        let mut ledger = Ledger::new(board, standings, known);
        let mut answers = Vec::with_capacity(submits.len());
        for submit in submits {
            let answer = |record| ledger.answer(record, window.closed);
            answers.push(submit.records.iter().map(answer).collect::<Result<Vec<_>>>()?);
        }
        let (changed, new_marks) = ledger.finish();
        if !changed.is_empty() {
            rows::write(&mut self.connection, no, window, rules, &changed, &new_marks).await?;
            let (board, window) = (board.name().to_owned(), first.window.clone());
            steps.push(Step::Set { board, window, changed });
        }
        Ok(answers)
    }

    async fn withdraw(&mut self, asked: &Withdraw<M>, steps: &mut Vec<Step<M>>) -> Result<Withdrawn> {
        let (board, member, source) = (&asked.board, &asked.member, &asked.source);
        let no = self.board(board).await?;
        let counted = rows::counted_in(&mut self.connection, no, member, source).await?;
        let name = counted.as_ref().unwrap_or(&asked.window);
        let window = self.window(no, name).await?;
        let members = std::slice::from_ref(member);
        let standings = rows::standings(&mut self.connection, board.rules(), window.no, members).await?;
        let stored = Stored {
            counted: counted.is_some(),
            over: window.closed || counted.is_some() && !asked.open.contains(name),
            standing: standings.into_iter().next().map(|(_, standing)| standing),
            marks: rows::marks_of(&mut self.connection, no, window.no, member).await?,
        };
        let undone = withdraw(board, member, source, &stored)?;
        rows::unmark(&mut self.connection, no, window.no, member, &undone.gone).await?;
        let changed: Vec<Changed<M>> = undone.changed.into_iter().collect();
        rows::write(&mut self.connection, no, window, board.rules(), &changed, &undone.new).await?;
        if !changed.is_empty() {
            steps.push(Step::Set { board: board.name().to_owned(), window: name.clone(), changed });
        }
        Ok(undone.answer)
    }

    async fn other(&mut self, what: &What, steps: &mut Vec<Step<M>>) -> Result<bool> {
        match what {
            What::Close(board, window) => {
                let no = self.board(board).await?;
                let window = self.window(no, window).await?;
                rows::close(&mut self.connection, window.no).await?;
            }
            What::Snapshot(board, window, name) => {
                let no = self.board(board).await?;
                if rows::window(&mut self.connection, no, name).await?.is_some() {
                    return Err(exists(name));
                }
                let row = self.window(no, window).await?;
                // A snapshot of a snapshot is one of the same moment.
                let of = WindowRow { no: row.of.unwrap_or(row.no), ..row };
                rows::add_window(&mut self.connection, no, name, Some(of)).await?;
                let (board, window) = (board.name().to_owned(), window.clone());
                steps.push(Step::Copy { board, window, name: name.clone() });
            }
            What::Load(board, window) => {
                let found = rows::board(&mut self.connection, board.name()).await?;
                let Some((no, rules)) = found else { return Ok(false) };
                if rules != board.rules().fingerprint() {
                    return Err(other_rules(board));
                }
                let row = rows::window(&mut self.connection, no, window).await?;
                let Some(row) = row else { return Ok(false) };
                let entries = rows::load(&mut self.connection, row).await?;
                let order = order(board.rules(), entries);
                steps.push(Step::Insert { board: board.clone(), window: window.clone(), order });
            }
            What::Forget(board, window) => {
                let no = self.board(board).await?;
                let Some(row) = rows::window(&mut self.connection, no, window).await? else {
                    return Ok(false);
                };
                rows::forget(&mut self.connection, no, row.no).await?;
                steps.push(Step::Forget { board: board.name().to_owned(), window: window.clone() });
            }
            What::Replace(board, with) => {
                let old = rows::board(&mut self.connection, board.name()).await?.map(|(no, _)| no);
                let new = rows::board(&mut self.connection, with.name()).await?.map(|(no, _)| no);
                rows::replace(&mut self.connection, old, board.name(), new).await?;
                let (board, with) = (board.name().to_owned(), with.name().to_owned());
                steps.push(Step::Replace { board, with });
            }
        }
        Ok(true)
    }

    /// Finds a board or adds it.
    async fn board(&mut self, board: &Board) -> Result<i64> {
        let rules = board.rules().fingerprint();
        match rows::board(&mut self.connection, board.name()).await? {
            Some((no, other)) if other == rules => Ok(no),
            Some(_) => Err(other_rules(board)),
            None => rows::add_board(&mut self.connection, board.name(), &rules).await,
        }
    }

    async fn window(&mut self, board: i64, name: &str) -> Result<WindowRow> {
        if let Some(row) = rows::window(&mut self.connection, board, name).await? {
            return Ok(row);
        }
        rows::add_window(&mut self.connection, board, name, None).await?;
        let row = rows::window(&mut self.connection, board, name).await?;
        row.ok_or_else(|| Error::new(ErrorKind::Storage, "a window that was added is not there"))
    }
}

/// Tells what was asked wrongly, which is one caller's, from what ends the whole transaction.
fn refusal<T>(outcome: Result<T>) -> Result<Result<T>> {
    match outcome {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Conflict | ErrorKind::Unsupported
            ) =>
        {
            Ok(Err(error))
        }
        Err(error) => Err(error),
        Ok(done) => Ok(Ok(done)),
    }
}

/// Gathers neighbouring calls on one window.
fn group<M>(requests: impl Iterator<Item = Request<M>>) -> Vec<Group<M>> {
    let mut groups: Vec<Group<M>> = Vec::new();
    for request in requests {
        match request {
            Request::Submit(submit) => {
                let joins = |other: &Submit<M>| {
                    other.window == submit.window
                        && other.board.name() == submit.board.name()
                        && other.board.rules() == submit.board.rules()
                };
                match groups.last_mut() {
                    Some(Group::Submits(submits)) if submits.first().is_some_and(joins) => {
                        submits.push(submit);
                    }
                    _ => groups.push(Group::Submits(vec![submit])),
                }
            }
            Request::Withdraw(asked) => groups.push(Group::Withdraw(asked)),
            Request::Other(what, reply) => groups.push(Group::Other(what, reply)),
        }
    }
    groups
}

impl<M> Group<M> {
    fn reply(self, answer: Answer) {
        // Nobody may wait any more; what was done is done.
        match (self, answer) {
            (Self::Submits(submits), Answer::Submitted(answers)) => {
                for (submit, answer) in submits.into_iter().zip(answers) {
                    let _ = submit.reply.send(answer);
                }
            }
            (Self::Withdraw(asked), Answer::Withdrawn(answer)) => drop(asked.reply.send(answer)),
            (Self::Other(_, reply), Answer::Done(answer)) => drop(reply.send(answer)),
            // Cannot come about; the caller is told that the writer is gone.
            _ => {}
        }
    }

    fn refuse(self, error: &Error) {
        match self {
            Self::Submits(submits) => {
                for submit in submits {
                    let _ = submit.reply.send(Err(error.clone()));
                }
            }
            Self::Withdraw(asked) => drop(asked.reply.send(Err(error.clone()))),
            Self::Other(_, reply) => drop(reply.send(Err(error.clone()))),
        }
    }
}
