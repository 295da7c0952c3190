//! What librdkafka's codes mean to a caller.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{Error, ErrorKind, Retry};

/// How long a caller should wait for a topic to be made.
const TOPIC: Duration = Duration::from_secs(1);

/// What librdkafka reported, by its code: its own texts quote settings, secrets among them.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Code(RDKafkaErrorCode);

/// Picks the public kind and retry class of a failure while doing `what`.
pub(super) fn failed(what: &str, error: &KafkaError) -> Error {
    if let KafkaError::ClientConfig(_, _, name, _) = error {
        return Error::new(
            ErrorKind::InvalidInput,
            format!("{what}: librdkafka refuses the property {name}"),
        );
    }
    if let KafkaError::ClientCreation(_) = error {
        let message = format!("{what}: librdkafka refuses this combination of properties");
        return Error::new(ErrorKind::InvalidInput, message);
    }
    let code = match error {
        // It has one, and `rdkafka_error_code` does not tell it.
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    };
    match code {
        Some(code) => failed_with(what, code),
        None => Error::new(ErrorKind::Other, format!("{what}: the client reported an error without a code")),
    }
}

/// As [`failed`], for a bare code.
pub(super) fn failed_with(what: &str, code: RDKafkaErrorCode) -> Error {
    let (kind, retry, said) = classify(code);
    Error::new(kind, format!("{what} on Kafka failed: {said}")).with_retry(retry).with_source(Code(code))
}

/// The error of a call that has not ended in its time.
pub(super) fn too_slow(what: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what} on Kafka was not answered in time"))
}

/// Tells whether a commit that failed so is to be sent again by itself: the group is being shared out anew, or its
/// coordinator is moving.
pub(super) fn passes(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::RebalanceInProgress
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
    )
}

/// Tells whether another broker leads the partition, or will in a moment.
pub(super) fn moves(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
    )
}

/// Tells whether a record ended so because its producer was given up.
pub(super) fn purged(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
}

/// Tells whether a commit that failed so tells that this member is none any more.
pub(super) fn expelled(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::UnknownMemberId | Code::IllegalGeneration | Code::FencedInstanceId)
}

fn classify(code: RDKafkaErrorCode) -> (ErrorKind, Retry, &'static str) {
    use RDKafkaErrorCode as Code;
    match code {
        Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve | Code::NetworkException => {
            (ErrorKind::Unavailable, Retry::Now, "no broker can be reached")
        }
        Code::MessageTimedOut | Code::OperationTimedOut | Code::RequestTimedOut | Code::TimedOutQueue => {
            (ErrorKind::Timeout, Retry::Now, "no broker answered in time")
        }
        Code::QueueFull => (ErrorKind::Overloaded, Retry::Now, "the queue of what is to be sent is full"),
        Code::WaitingForCoordinator
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::RebalanceInProgress => {
            (ErrorKind::Unavailable, Retry::Now, "the group's coordinator is not ready")
        }
        Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::OffsetNotAvailable
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::NotController => {
            (ErrorKind::Unavailable, Retry::Now, "a partition has no leader that can serve")
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            (ErrorKind::NotFound, Retry::After(TOPIC), "there is no such topic or partition")
        }
        Code::UnknownMemberId | Code::IllegalGeneration | Code::AssignmentLost | Code::NoOffset => {
            (ErrorKind::Conflict, Retry::Never, "the partition is with another member")
        }
        Code::FencedInstanceId => {
            (ErrorKind::Conflict, Retry::Never, "another process has the same group instance id")
        }
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            (ErrorKind::InvalidInput, Retry::Never, "the event is larger than the broker takes")
        }
        Code::InvalidSessionTimeout => {
            (ErrorKind::InvalidInput, Retry::Never, "the broker does not allow this session timeout")
        }
        Code::InvalidReplicationFactor
        | Code::InvalidPartitions
        | Code::PolicyViolation
        | Code::InvalidConfig => {
            (ErrorKind::InvalidInput, Retry::Never, "the broker refuses the topic's settings")
        }
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::SSL => (ErrorKind::Unauthorized, Retry::Never, "the broker does not allow it"),
        Code::KafkaStorageError | Code::LogDirNotFound => {
            (ErrorKind::Storage, Retry::After(TOPIC), "the broker's disk failed")
        }
        _ => (ErrorKind::Other, Retry::Never, "the broker reported an error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_not_made_in_time_may_be_asked_for_again() {
        let error = failed("creating a topic", &KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut));
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Now), "{error}");
    }

    #[test]
    fn a_refused_property_is_named_and_its_value_is_not() {
        let mut config = rdkafka::ClientConfig::new();
        config.set("security.protocol", "hunter2");
        let error = match config.create_native_config() {
            Err(error) => failed("opening", &error),
            Ok(_) => Error::new(ErrorKind::Other, "taken"),
        };
        let shown = format!("{error} {error:?}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{shown}");
        assert!(shown.contains("security.protocol") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_may_pass_is_retryable_and_what_does_not_is_not() {
        for code in [RDKafkaErrorCode::AllBrokersDown, RDKafkaErrorCode::MessageTimedOut] {
            assert!(failed_with("publishing", code).retry().is_retryable());
        }
        for code in [RDKafkaErrorCode::TopicAuthorizationFailed, RDKafkaErrorCode::MessageSizeTooLarge] {
            assert!(!failed_with("publishing", code).retry().is_retryable());
        }
    }
}
