//! The monotonic moment, for parts that never wait and so need no runtime.

use std::sync::Arc;
use std::time::Instant;

use crate::time::Clock;

/// Asks the system's monotonic clock, or the one that was injected.
#[derive(Clone, Debug, Default)]
pub(crate) enum Ticks {
    #[default]
    System,
    Of(Arc<dyn Clock>),
}

impl Ticks {
    pub(crate) fn instant(&self) -> Instant {
        match self {
            // tokio's clock, so that `tokio::time::pause` holds here too
            #[cfg(feature = "runtime")]
            Self::System => tokio::time::Instant::now().into_std(),
            #[cfg(not(feature = "runtime"))]
            Self::System => Instant::now(),
            Self::Of(clock) => clock.instant(),
        }
    }
}
