//! Errors whose text is a line for a person already: it is passed on as it is, whatever they are
//! wrapped in.

/// Why there is no connection: a line for a person, with the peer in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConnectError(String);

impl ConnectError {
    pub(in crate::source) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Why a server's certificate is not believed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::source) struct Distrust(pub(in crate::source) String);
