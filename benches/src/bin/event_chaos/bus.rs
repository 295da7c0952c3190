//! The bus that a run asks for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::event::{EventBus, KafkaBusOptions, RedisBusOptions, SqliteBusOptions, Subscription};

use crate::{Failure, Setup};

pub(crate) struct Bus;

impl Bus {
    pub(crate) const GROUP: &str = "readers";

    /// Opens the bus as the member `role`.
    pub(crate) async fn open(setup: &Setup, folder: &Path, role: &str) -> Result<Arc<dyn EventBus>, Failure> {
        Ok(match setup.bus.as_str() {
            "redis" => {
                let url = std::env::var("PUMASI_REDIS_URL")?;
                Arc::new(RedisBusOptions::new(url).with_prefix(&setup.run).open().await?)
            }
            "kafka" => {
                let options = KafkaBusOptions::new(std::env::var("PUMASI_KAFKA_URL")?)
                    .with_create_topics(
                        std::num::NonZero::new(8).ok_or("zero")?,
                        std::num::NonZero::<u16>::MIN,
                    )
                    .with_session_timeout(Duration::from_secs(6));
                // A member that comes back under its name before its session ends moves no partition.
                let options = match role.starts_with("consumer") {
                    true => options.with_group_instance(format!("{}-{role}", setup.run)),
                    false => options,
                };
                Arc::new(options.open().await?)
            }
            _ => {
                let options =
                    SqliteBusOptions::new(folder.join("events.db")).with_poll(Duration::from_millis(10));
                Arc::new(options.open().await?)
            }
        })
    }

    pub(crate) fn topic(setup: &Setup) -> String {
        format!("{}.posts", setup.run)
    }

    pub(crate) fn group(setup: &Setup) -> String {
        format!("{}.{}", setup.run, Self::GROUP)
    }

    pub(crate) fn subscription(setup: &Setup) -> Subscription {
        Subscription::new(Self::group(setup), [Self::topic(setup)]).with_lease(Duration::from_secs(2))
    }
}
