//! An answer that can be stored and given again.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::JsonFault;
use crate::{Error, ErrorKind, Result};

/// An answer of HTTP: status, headers, body. `Debug` shows the status and the sizes.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// The first line of a stored response; the body follows as it is.
#[derive(Serialize, Deserialize)]
struct Head {
    pumasi: u32,
    status: u16,
    headers: Vec<(String, String)>,
}

const FORMAT: u32 = 1;

impl Response {
    /// Makes an answer without headers.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// Adds a header to be given again, such as `content-type` or `location`.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the headers, in the order in which they were added.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body without copying it.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Writes it as bytes for a store to keep: a line of JSON with status and headers, then the body as it is.
    ///
    /// ```
    /// use pumasi_core::idempotency::Response;
    ///
    /// let response = Response::new(201, "registered").with_header("location", "/registrations/7");
    /// assert_eq!(Response::decode(&response.encode()?)?, response);
    /// # Ok::<(), pumasi_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the headers cannot be written, which no text causes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let head = Head { pumasi: FORMAT, status: self.status, headers: self.headers.clone() };
        let mut bytes = serde_json::to_vec(&head).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "a response could not be written")
                .with_source(JsonFault::from(&error))
        })?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        Ok(bytes)
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if it is something else, [`ErrorKind::Unsupported`] if a newer program wrote it; neither shows it.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let broken = || Error::new(ErrorKind::Storage, "a stored response cannot be read");
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(broken)?;
        let (head, body) = bytes.split_at(end);
        let head: Head =
            serde_json::from_slice(head).map_err(|error| broken().with_source(JsonFault::from(&error)))?;
        if head.pumasi != FORMAT {
            return Err(Error::new(ErrorKind::Unsupported, "a stored response is of a newer program"));
        }
        let body = body.get(1..).unwrap_or_default().to_vec();
        Ok(Self { status: head.status, headers: head.headers, body })
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}
