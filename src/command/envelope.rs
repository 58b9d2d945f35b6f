//! The envelope of every answer to a request.

use serde_json::{Value, json};

use crate::publish::document::{Response, ResponseError};

/// Why a request was not done: a word for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<crate::store::StoreError> for Fault {
    fn from(error: crate::store::StoreError) -> Self {
        Self::new("unavailable", error.to_string())
    }
}

/// The answer to a request, with what its sender calls it.
pub(super) fn envelope(outcome: Result<Value, Fault>, transaction: &Value) -> Value {
    match outcome {
        Ok(data) => json!(Response::done(data, transaction)),
        Err(Fault { code, message }) => {
            json!(Response::failed(ResponseError { code, message: &message }, transaction))
        }
    }
}
