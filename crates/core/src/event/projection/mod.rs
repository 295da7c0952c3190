//! Replicas of another service's entities, kept from its events.
