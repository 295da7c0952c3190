//! A cache that fails when it is told to, for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::Cache;
use crate::{Error, ErrorKind, Result};

/// How a [`FlakyCache`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Fault {
    /// It passes everything on.
    None,
    /// Every operation answers [`ErrorKind::Unavailable`].
    Down,
    /// No operation ever answers.
    Hanging,
    /// Reads work, writes answer [`ErrorKind::Storage`].
    ReadOnly,
}

/// Passes everything on to another cache until it is told to fail.
#[derive(Clone, Debug)]
pub struct FlakyCache<C> {
    inner: C,
    fault: Arc<AtomicU8>,
}

impl<C: Cache> FlakyCache<C> {
    /// Wraps `inner`, without a fault. Clones fail together.
    pub fn new(inner: C) -> Self {
        Self { inner, fault: Arc::default() }
    }

    /// Sets how it behaves from now on.
    pub fn set_fault(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
    }

    async fn reach(&self, writes: bool) -> Result<()> {
        let fault = self.fault.load(Ordering::SeqCst);
        if fault == Fault::Down as u8 {
            return Err(Error::new(ErrorKind::Unavailable, "the cache is down"));
        }
        if fault == Fault::Hanging as u8 {
            std::future::pending::<()>().await;
        }
        if fault == Fault::ReadOnly as u8 && writes {
            return Err(Error::new(ErrorKind::Storage, "the cache cannot be written"));
        }
        Ok(())
    }
}

#[async_trait]
impl<C: Cache> Cache for FlakyCache<C> {
    async fn get(&self, key: &str) -> Result<Option<Arc<[u8]>>> {
        self.reach(false).await?;
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Arc<[u8]>>>> {
        self.reach(false).await?;
        self.inner.get_many(keys).await
    }

    async fn set(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<()> {
        self.reach(true).await?;
        self.inner.set(key, value, ttl).await
    }

    async fn set_if_absent(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<bool> {
        self.reach(true).await?;
        self.inner.set_if_absent(key, value, ttl).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.reach(true).await?;
        self.inner.delete(key).await
    }
}
