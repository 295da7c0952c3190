//! Calls to the server on one collection.

use qdrant_client::Qdrant;
use qdrant_client::qdrant::{
    CountPoints, DeletePayloadPoints, DeletePoints, Filter, GetPoints, PointId, PointStruct, PointVectors,
    PointsOperationResponse, PointsSelector, QueryPoints, RetrievedPoint, ScoredPoint, ScrollPoints,
    SetPayloadPoints, UpdatePointVectors, UpdateResult, UpdateStatus, UpsertPoints, WithVectorsSelector,
    WriteOrdering, WriteOrderingType, points_selector::PointsSelectorOneOf,
};

use super::error::failed;
use super::payload::{EMBEDDING, Members};
use crate::{Error, ErrorKind, Result};

/// How many points are read at once.
const PAGE: u32 = 256;

/// The collection at the server.
pub(super) struct Wire {
    pub(super) client: Qdrant,
    /// The server's address, as it was given.
    pub(super) url: String,
    pub(super) collection: String,
}

/// Writes take effect in the order in which they are made, also on a cluster.
fn strong() -> WriteOrdering {
    WriteOrdering { r#type: WriteOrderingType::Strong.into() }
}

fn those(filter: Filter) -> PointsSelector {
    PointsSelector { points_selector_one_of: Some(PointsSelectorOneOf::Filter(filter)) }
}

fn vectors(wanted: bool) -> Option<WithVectorsSelector> {
    wanted.then(|| vec![EMBEDDING].into())
}

impl Wire {
    /// Reads points by id, with some of their members.
    pub(super) async fn get(
        &self,
        ids: Vec<PointId>,
        members: Vec<&str>,
        with_embedding: bool,
        what: &str,
    ) -> Result<Vec<RetrievedPoint>> {
        let mut all = Vec::with_capacity(ids.len());
        for ids in ids.chunks(PAGE as usize) {
            let request = GetPoints {
                collection_name: self.collection.clone(),
                ids: ids.to_vec(),
                with_payload: Some(members.clone().into()),
                with_vectors: vectors(with_embedding),
                ..GetPoints::default()
            };
            all.extend(self.client.get_points(request).await.map_err(|error| failed(what, &error))?.result);
        }
        Ok(all)
    }

    /// Reads all points that match, with some of their members.
    pub(super) async fn all(
        &self,
        filter: Filter,
        members: Vec<&str>,
        with_embedding: bool,
        what: &str,
    ) -> Result<Vec<RetrievedPoint>> {
        let mut all = Vec::new();
        let mut offset = None;
        loop {
            let request = ScrollPoints {
                collection_name: self.collection.clone(),
                filter: Some(filter.clone()),
                offset,
                limit: Some(PAGE),
                with_payload: Some(members.clone().into()),
                with_vectors: vectors(with_embedding),
                ..ScrollPoints::default()
            };
            let page = self.client.scroll(request).await.map_err(|error| failed(what, &error))?;
            all.extend(page.result);
            offset = page.next_page_offset;
            if offset.is_none() {
                return Ok(all);
            }
        }
    }

    /// Counts the points that match.
    pub(super) async fn count(&self, filter: Filter, what: &str) -> Result<u64> {
        let request = CountPoints {
            collection_name: self.collection.clone(),
            filter: Some(filter),
            exact: Some(true),
            ..CountPoints::default()
        };
        let answer = self.client.count(request).await.map_err(|error| failed(what, &error))?;
        Ok(answer.result.map(|result| result.count).unwrap_or_default())
    }

    /// Ranks points.
    pub(super) async fn query(&self, query: QueryPoints, what: &str) -> Result<Vec<ScoredPoint>> {
        let request = QueryPoints { collection_name: self.collection.clone(), ..query };
        Ok(self.client.query(request).await.map_err(|error| failed(what, &error))?.result)
    }

    /// Puts points, in place of those with the same ids.
    pub(super) async fn put(&self, points: Vec<PointStruct>, what: &str) -> Result<()> {
        let request = UpsertPoints { points, ..self.upsert() };
        done(&self.client.upsert_points(request).await.map_err(|error| failed(what, &error))?, what)
    }

    /// Puts a point; one that is there already only where it matches.
    pub(super) async fn put_if(&self, point: PointStruct, matches: Filter, what: &str) -> Result<()> {
        let request = UpsertPoints { points: vec![point], update_filter: Some(matches), ..self.upsert() };
        done(&self.client.upsert_points(request).await.map_err(|error| failed(what, &error))?, what)
    }

    fn upsert(&self) -> UpsertPoints {
        UpsertPoints {
            collection_name: self.collection.clone(),
            wait: Some(true),
            ordering: Some(strong()),
            ..UpsertPoints::default()
        }
    }

    /// Sets members of the points that match.
    pub(super) async fn set(&self, matches: Filter, members: Members, what: &str) -> Result<()> {
        let request = SetPayloadPoints {
            collection_name: self.collection.clone(),
            wait: Some(true),
            payload: members,
            points_selector: Some(those(matches)),
            ordering: Some(strong()),
            ..SetPayloadPoints::default()
        };
        done(&self.client.set_payload(request).await.map_err(|error| failed(what, &error))?, what)
    }

    /// Takes a member of the points that match away.
    pub(super) async fn unset(&self, matches: Filter, member: &str, what: &str) -> Result<()> {
        let request = DeletePayloadPoints {
            collection_name: self.collection.clone(),
            wait: Some(true),
            keys: vec![member.to_owned()],
            points_selector: Some(those(matches)),
            ordering: Some(strong()),
            ..DeletePayloadPoints::default()
        };
        done(&self.client.delete_payload(request).await.map_err(|error| failed(what, &error))?, what)
    }

    /// Sets some vectors of points, and leaves their others.
    pub(super) async fn set_vectors(&self, points: Vec<PointVectors>, what: &str) -> Result<()> {
        let request = UpdatePointVectors {
            collection_name: self.collection.clone(),
            wait: Some(true),
            points,
            ordering: Some(strong()),
            ..UpdatePointVectors::default()
        };
        done(&self.client.update_vectors(request).await.map_err(|error| failed(what, &error))?, what)
    }

    /// Removes the points that match.
    pub(super) async fn delete(&self, matches: Filter, what: &str) -> Result<()> {
        let request = DeletePoints {
            collection_name: self.collection.clone(),
            wait: Some(true),
            points: Some(those(matches)),
            ordering: Some(strong()),
            ..DeletePoints::default()
        };
        done(&self.client.delete_points(request).await.map_err(|error| failed(what, &error))?, what)
    }
}

/// Checks that a change has taken effect.
fn done(answer: &PointsOperationResponse, what: &str) -> Result<()> {
    match answer.result.as_ref().map(UpdateResult::status) {
        Some(UpdateStatus::Completed) => Ok(()),
        Some(UpdateStatus::Acknowledged | UpdateStatus::WaitTimeout) => {
            Err(Error::new(ErrorKind::Timeout, format!("{what} failed: the change was not made in time")))
        }
        _ => Err(Error::new(ErrorKind::Storage, format!("{what} failed: the change was refused"))),
    }
}
