//! What a service holds of its sagas: the single endpoint, decisions, views and queries.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::Message;
use super::operator::Decision;
use super::signal::{Receipt, Signal};
use super::stored::missing;
use super::view::{Snapshot, View};
use super::{Engine, check_definition};
use crate::Result;
use crate::definition::Definition;
use crate::definition::erased::key_json;
use crate::machine::{Ended, record};
use crate::store::{Query, SagaId, Stored, Summary};

/// What the sagas of one definition are started, answered, looked at and decided by. Clones are the same handle.
///
/// Every call works from every process: it does what it can here, and otherwise leaves it with whoever drives the saga.
pub struct SagaHandle<K, App> {
    engine: Engine<App>,
    saga: Arc<str>,
    key: PhantomData<fn(K)>,
}

impl<K, App> SagaHandle<K, App> {
    pub(super) fn new(engine: Engine<App>, saga: Arc<str>) -> Self {
        Self { engine, saga, key: PhantomData }
    }
}

impl<K: Serialize + DeserializeOwned, App: Send + Sync + 'static> SagaHandle<K, App> {
    /// Starts the saga with this key, or attaches to it; drives it as far as it goes, and says what it needs next.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the key is longer than 1,024 bytes as JSON, or another one when it is read back from it, as the number NaN, or
    /// written otherwise then, as a `HashMap` often is, whose sagas would not be found again;
    /// `Unsupported` or `Protocol` if the saga is there and this code
    /// cannot drive it; `NotFound` if it was there, and has ended and been [forgotten](crate::EngineOptions::with_retention) by another
    /// process before this call could look how; `Overloaded`, `Unavailable` or `Storage` if it is busy or the store failed: call
    /// again.
    pub async fn start(&self, key: &K) -> Result<View> {
        self.engine.core.call(&self.saga, &key_json(key)?, None, true).await
    }

    /// Starts the saga with this key, or attaches to it; gives it this answer, drives it as far as it goes, and says what it needs
    /// next.
    ///
    /// When this returns `Ok`, the answer is recorded. An answer that comes before its turn is kept; one that was given before
    /// changes nothing. What is still kept when the saga has ended, because another answer to the same wait was taken or none any
    /// more, goes to the wait's [late handler](crate::Late); where there is none it is dropped, and counted.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and `InvalidInput` if the saga does not wait for such an answer anywhere, if it does not have the
    /// answer's type, if its own check refuses it, if it is larger than 1 MiB as JSON, or if 1,000 answers, or 4 MiB of them, wait
    /// for their turn already.
    pub async fn advance(&self, key: &K, answer: impl Into<Signal>) -> Result<View> {
        let message = Some(Message::Signal(answer.into()));
        self.engine.core.call(&self.saga, &key_json(key)?, message, true).await
    }

    /// Leaves a signal for a saga that exists, without driving it: for webhooks, which have to be answered at once. The receipt tells
    /// whether anybody will look at it.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such saga; `InvalidInput` as [`advance`](Self::advance); `Unsupported` if the saga follows a version
    /// that is not known here, `Protocol` if its record is damaged: nothing is kept then; `Unavailable` or `Storage` if the store
    /// failed: call again with the same id.
    pub async fn signal(&self, key: &K, signal: impl Into<Signal>) -> Result<Receipt> {
        self.engine.core.leave_signal(&self.saga, &key_json(key)?, signal.into()).await
    }

    /// Begins a saga anew that has ended, however it did. Its steps get new keys, but for those whose effects stand because an operator
    /// [passed their compensations over](Decision::skip): they are asked for again under their old ones. A signal that was left for it before goes to its late
    /// handler first.
    ///
    /// One that is completed is forgotten with what it did, which stands: to do it all once more. Where only what was undone may be
    /// tried again, a registration for one, this is [`restart_undone`](Self::restart_undone).
    ///
    /// # Errors
    ///
    /// `Conflict` if it has not ended, or is a [child](crate::definition::SagaBuilder::child) whose parent counts on it; `NotFound` if there is none; otherwise as [`start`](Self::start).
    pub async fn restart(&self, key: &K) -> Result<View> {
        self.engine.core.call(&self.saga, &key_json(key)?, Some(Message::Restart(Ended::Anyhow)), false).await
    }

    /// Begins a saga anew that was undone, under the keys that [`restart`](Self::restart) gives; one that is completed stays as it is.
    ///
    /// Whether it was undone is decided with the record of the new beginning: nothing comes between.
    ///
    /// # Errors
    ///
    /// `Conflict` if it has not ended, or is completed; otherwise as [`restart`](Self::restart).
    pub async fn restart_undone(&self, key: &K) -> Result<View> {
        self.engine.core.call(&self.saga, &key_json(key)?, Some(Message::Restart(Ended::Undone)), false).await
    }

    /// Carries out an operator's decision, and records who made it and why.
    ///
    /// If the saga is being driven at the moment, the decision is left with its driver, which looks for it whenever an attempt of a
    /// step ends (left by another process, within a second of that), and this call waits for what becomes of it there. Should it come too
    /// late, that is recorded among the [audits](crate::Snapshot::audits), and answered with `Conflict`.
    ///
    /// # Errors
    ///
    /// `Conflict` if it does not fit where the saga stands by the time it comes to it, or cancels a [child](crate::definition::SagaBuilder::child) whose parent
    /// counts on it; `InvalidInput` if it says not who made it or why, or says so in more than
    /// 2,000 bytes, if a savepoint does not exist or a value is not what the step makes; `NotFound` if there is no such saga;
    /// `Timeout` if it is left with a driver that has not come to it within the engine's [patience](crate::EngineOptions::with_patience): it
    /// may be carried out later, as the audits tell then; otherwise as [`start`](Self::start).
    pub async fn decide(&self, key: &K, decision: Decision) -> Result<View> {
        decision.check()?;
        self.engine.core.decide(&self.saga, &key_json(key)?, decision).await
    }

    /// Shows where the saga stands.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none; `Unsupported` or `Protocol` if this code cannot read it.
    pub async fn view(&self, key: &K) -> Result<View> {
        self.engine.core.stored_view(SagaId::of(&self.saga, &key_json(key)?)).await
    }

    /// Shows the saga in full.
    ///
    /// # Errors
    ///
    /// As [`view`](Self::view).
    pub async fn snapshot(&self, key: &K) -> Result<Snapshot> {
        let id = SagaId::of(&self.saga, &key_json(key)?);
        let stored = self.engine.core.store.load(id).await?.ok_or_else(|| missing(id))?;
        let mut snapshot = self.shown(id, &stored)?;
        self.engine.core.add_children(vec![&mut snapshot.view]).await;
        Ok(snapshot)
    }

    /// Shows several sagas in full, each in its place, and `None` where there is none: one question to a store that can take several
    /// at once, as a page of a list needs it, and one more for the children that they wait for.
    ///
    /// # Errors
    ///
    /// As [`view`](Self::view), but for `NotFound`.
    pub async fn snapshots(&self, keys: &[K]) -> Result<Vec<Option<Snapshot>>> {
        let ids =
            keys.iter().map(|key| Ok(SagaId::of(&self.saga, &key_json(key)?))).collect::<Result<Vec<_>>>()?;
        let stored = self.engine.core.store.load_all(&ids).await?;
        let mut snapshots = Vec::with_capacity(ids.len());
        for (id, stored) in ids.into_iter().zip(stored) {
            snapshots.push(stored.map(|stored| self.shown(id, &stored)).transpose()?);
        }
        let views = snapshots.iter_mut().flatten().map(|snapshot| &mut snapshot.view);
        self.engine.core.add_children(views.collect()).await;
        Ok(snapshots)
    }

    fn shown(&self, id: SagaId, stored: &Stored) -> Result<Snapshot> {
        let definition = self.engine.core.definition_of(stored)?;
        let log = record::read(&stored.log, stored.version)?;
        check_definition(&definition, &log.state)?;
        let mut snapshot = Snapshot::new(id, &stored.head.key, &definition, &log.state, log.history);
        snapshot.view = snapshot.view.parked_as(&stored.head);
        Ok(snapshot)
    }

    /// Lists the sagas of this definition that a query means.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the query has a NUL in a text; `Unavailable` or `Storage` if the store failed.
    pub async fn query(&self, query: Query) -> Result<Vec<Summary>> {
        self.engine.core.store.query(&query.with_saga(Arc::clone(&self.saga))).await
    }

    /// Returns the newest version of the definition.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none any more.
    pub fn definition(&self) -> Result<Definition<K, App>> {
        self.engine.core.newest(&self.saga).map(Definition::from_untyped)
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine<App> {
        &self.engine
    }

    /// Returns the id of the saga with this key.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the key cannot be written as JSON and read back, or is longer than 1,024 bytes.
    pub fn id(&self, key: &K) -> Result<SagaId> {
        Ok(SagaId::of(&self.saga, &key_json(key)?))
    }
}

impl<K, App> Clone for SagaHandle<K, App> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), saga: Arc::clone(&self.saga), key: PhantomData }
    }
}

impl<K, App> fmt::Debug for SagaHandle<K, App> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaHandle").field("saga", &self.saga).finish_non_exhaustive()
    }
}
