//! What Slack sends and takes: signatures, retry headers, messages.
