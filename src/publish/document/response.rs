//! The answer to a request (`bridge/response/<verb>`).

use serde::Serialize;
use serde_json::{Value, json};

use super::VERSION;

/// The answer to a request or to a command.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Response<'a> {
    v: u8,
    /// Whether it was done.
    status: Status,
    /// What was asked for; an empty object where it was not done.
    data: Value,
    /// Why it was not done.
    error: Option<ResponseError<'a>>,
    /// What the sender calls the request; null if it gave nothing.
    transaction: &'a Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Status {
    /// It was done.
    Ok,
    /// It was not done.
    Error,
}

/// Why a request was not done.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ResponseError<'a> {
    /// A word for programs.
    pub code: &'a str,
    /// A sentence for people.
    pub message: &'a str,
}

impl<'a> Response<'a> {
    /// The request was done, with this outcome.
    #[must_use]
    pub fn done(data: Value, transaction: &'a Value) -> Self {
        Self { v: VERSION, status: Status::Ok, data, error: None, transaction }
    }

    /// The request was not done.
    #[must_use]
    pub fn failed(error: ResponseError<'a>, transaction: &'a Value) -> Self {
        Self { v: VERSION, status: Status::Error, data: json!({}), error: Some(error), transaction }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::document::print;

    #[test]
    fn the_document_is_the_one_of_the_contract() {
        assert_eq!(
            print(&Response::done(json!({ "published": 3 }), &json!(7))),
            r#"{"v":1,"status":"ok","data":{"published":3},"error":null,"transaction":7}"#
        );
        let error = ResponseError { code: "not_found", message: "device 2C not found" };
        assert_eq!(
            print(&Response::failed(error, &Value::Null)),
            concat!(
                r#"{"v":1,"status":"error","data":{},"#,
                r#""error":{"code":"not_found","message":"device 2C not found"},"transaction":null}"#
            )
        );
    }
}
