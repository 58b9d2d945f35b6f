//! From the body of a downlink command to orders. Parses only; no I/O, no clock.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::parse_duration;
use crate::downlink::{Expiry, Order, Refusal, Target};
use crate::model::{DownlinkPayload, Fields, ItemId, Timestamp};

/// How many items one command may have; a queue holds fewer.
const MOST_ITEMS: usize = 64;

/// The longest key or transaction that is kept with an item.
const LONGEST_TEXT: usize = 128;

/// A body that is no command at all, in words that begin with one that programs can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoCommand(pub(super) String);

/// Reads the items of a push: an object, or an array of them. Each stands for itself: a wrong one is refused, the
/// others are not. `encode` makes bytes from fields by the device's decoder.
pub(crate) fn orders(
    body: &[u8],
    repeat: bool,
    encode: impl Fn(&Fields) -> Result<DownlinkPayload, String>,
) -> Result<Vec<Result<Order, Refusal>>, NoCommand> {
    let items = match serde_json::from_slice(body) {
        Ok(Value::Array(items)) => items,
        Ok(item @ Value::Object(_)) => vec![item],
        Ok(_) => return Err(NoCommand("malformed: expected a JSON object, or an array of them".to_owned())),
        Err(error) => return Err(no_json(&error)),
    };
    if items.len() > MOST_ITEMS {
        return Err(NoCommand(format!(
            "too_many: {} items in one command (at most {MOST_ITEMS})",
            items.len()
        )));
    }
    Ok(items.iter().map(|item| order(item, repeat, &encode)).collect())
}

/// Reads what is to be cancelled.
pub(super) fn target(body: &[u8]) -> Result<Target, NoCommand> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Err(NoCommand("malformed: expected {\"id\":…} or {\"all\":true}".to_owned()));
    };
    match (body.get("id").filter(|id| !id.is_null()), body.get("all")) {
        (None, Some(Value::Bool(true))) => Ok(Target::All),
        (Some(Value::String(id)), None | Some(Value::Null | Value::Bool(false))) => {
            id.parse().map(Target::One).map_err(|error| NoCommand(format!("invalid_id: {error}")))
        }
        _ => Err(NoCommand("malformed: expected {\"id\":…} or {\"all\":true}".to_owned())),
    }
}

/// What the sender calls the command, if the body is an object that says so.
pub(super) fn transaction(body: &[u8]) -> Value {
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut body)) => body.remove("transaction").unwrap_or_default(),
        _ => Value::Null,
    }
}

pub(super) fn no_json(error: &serde_json::Error) -> NoCommand {
    NoCommand(format!("malformed: not JSON at line {} column {}", error.line(), error.column()))
}

fn order(
    item: &Value,
    repeat: bool,
    encode: impl Fn(&Fields) -> Result<DownlinkPayload, String>,
) -> Result<Order, Refusal> {
    let made_id = ItemId::made(uuid::Uuid::new_v4());
    let mut refusal = Refusal { id: made_id.clone(), transaction: None, reason: String::new() };
    let refuse = |reason: String, refusal: Refusal| Err(Refusal { reason, ..refusal });
    let Value::Object(item) = item else {
        return refuse("malformed: an item is no JSON object".to_owned(), refusal);
    };
    match given(item, "transaction").map(short_text).transpose() {
        Ok(transaction) => refusal.transaction = transaction,
        Err(fault) => return refuse(format!("malformed: `transaction` {fault}"), refusal),
    }
    let id = match given(item, "id").map(item_id).transpose() {
        Ok(id) => id,
        Err(fault) => return refuse(format!("invalid_id: {fault}"), refusal),
    };
    if let Some(id) = &id {
        refusal.id = id.clone();
    }
    match content(item, encode) {
        Ok(Content { data, expiry, not_before, coalesce }) => Ok(Order {
            id,
            made_id,
            data,
            expiry,
            not_before,
            coalesce,
            transaction: refusal.transaction,
            repeat,
        }),
        Err(reason) => refuse(reason, refusal),
    }
}

struct Content {
    data: DownlinkPayload,
    expiry: Expiry,
    not_before: Option<Timestamp>,
    coalesce: Option<String>,
}

fn content(
    item: &Map<String, Value>,
    encode: impl Fn(&Fields) -> Result<DownlinkPayload, String>,
) -> Result<Content, String> {
    let data = match (given(item, "data"), given(item, "fields")) {
        (Some(Value::String(text)), None) => {
            text.parse::<DownlinkPayload>().map_err(|error| format!("invalid_data: {error}"))?
        }
        (Some(_), None) => return Err("invalid_data: `data` is no text of 16 hex digits".to_owned()),
        (None, Some(Value::Object(fields))) => {
            encode(fields).map_err(|error| format!("invalid_fields: {error}"))?
        }
        (None, Some(_)) => return Err("invalid_fields: `fields` is no JSON object".to_owned()),
        (None, None) => return Err("invalid_data: `data` is missing (expected 16 hex digits)".to_owned()),
        (Some(_), Some(_)) => return Err("malformed: `data` and `fields` are both given".to_owned()),
    };
    let expiry = match (given(item, "expires_after"), given(item, "expires_at")) {
        (None, None) => Expiry::Default,
        (Some(value), None) => {
            Expiry::After(duration(value).map_err(|fault| format!("malformed: `expires_after` {fault}"))?)
        }
        (None, Some(value)) => {
            Expiry::At(time(value).map_err(|fault| format!("malformed: `expires_at` {fault}"))?)
        }
        (Some(_), Some(_)) => {
            return Err("malformed: `expires_after` and `expires_at` are both given".to_owned());
        }
    };
    let not_before = given(item, "not_before").map(time).transpose();
    let not_before = not_before.map_err(|fault| format!("malformed: `not_before` {fault}"))?;
    let coalesce = given(item, "coalesce").map(short_text).transpose();
    let coalesce = coalesce.map_err(|fault| format!("malformed: `coalesce` {fault}"))?;
    Ok(Content { data, expiry, not_before, coalesce })
}

/// Null says as much as nothing.
fn given<'a>(item: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    item.get(key).filter(|value| !value.is_null())
}

fn item_id(value: &Value) -> Result<ItemId, String> {
    let text = value.as_str().ok_or_else(|| "`id` is no text".to_owned())?;
    text.parse().map_err(|error| format!("{error}"))
}

fn short_text(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err("is no text".to_owned()),
    };
    if text.len() > LONGEST_TEXT { Err(format!("is over {LONGEST_TEXT} bytes")) } else { Ok(text) }
}

/// RFC 3339, or a number of seconds or milliseconds since 1970.
pub(super) fn time(value: &Value) -> Result<Timestamp, String> {
    let time = match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64().and_then(Timestamp::from_cloud),
        _ => None,
    };
    time.ok_or_else(|| "is no time (expected RFC 3339, such as 2026-09-09T22:26:40Z)".to_owned())
}

/// `90s 15m 1h30m 2d`, or a number of seconds.
fn duration(value: &Value) -> Result<Duration, String> {
    let duration = match value {
        Value::Number(number) => number.as_u64().map(Duration::from_secs),
        Value::String(text) => parse_duration(text),
        _ => None,
    };
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "is no duration (expected \"90s\", \"15m\", \"6h\" or \"2d\")".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<Result<Order, Refusal>>, NoCommand> {
        orders(body.as_bytes(), false, |_| Ok(DownlinkPayload::new([7; 8])))
    }

    fn one(body: &str) -> Result<Order, String> {
        read(body).unwrap().remove(0).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_push_says_what_is_to_be_sent_and_when() {
        let order = one(r#"{"id":"set-7","data":"0123456789ABCDEF","expires_after":"2d","not_before":"2026-09-09T00:00:00Z",
            "coalesce":"mode","transaction":42,"later_key":true}"#)
        .unwrap();
        assert_eq!(order.name().as_str(), "set-7");
        assert_eq!(order.data.to_string(), "0123456789abcdef");
        assert_eq!(order.expiry, Expiry::After(Duration::from_secs(2 * 86_400)));
        assert_eq!(order.transaction.as_deref(), Some("42"));
        assert_eq!(one(r#"{"fields":{"mode":1}}"#).unwrap().data, DownlinkPayload::new([7; 8]));
        let bare = one(r#"{"id":null,"data":"0123456789abcdef","expires_after":null}"#).unwrap();
        assert!(bare.id.is_none() && bare.name().is_made());
        assert_eq!(bare.expiry, Expiry::Default);
    }

    #[test]
    fn a_wrong_item_is_refused_with_a_reason() {
        for (item, reason) in [
            (r#"{"id":"a"}"#, "invalid_data"),
            (r#"{"id":"a","data":""}"#, "invalid_data"),
            (r#"{"id":"a","data":"00"}"#, "invalid_data"),
            (r#"{"id":"a","data":"0123456789abcde"}"#, "invalid_data"),
            (r#"{"id":"a","data":"0123456789abcdef00"}"#, "invalid_data"),
            (r#"{"id":"a","data":"not hexadecimal!"}"#, "invalid_data"),
            (r#"{"id":"a","data":81985529216486895}"#, "invalid_data"),
            (r#"{"id":"a/b","data":"0123456789abcdef"}"#, "invalid_id"),
            (r#"{"id":7,"data":"0123456789abcdef"}"#, "invalid_id"),
            (r#"{"id":"a","fields":[]}"#, "invalid_fields"),
            (r#"{"id":"a","data":"0123456789abcdef","fields":{}}"#, "malformed"),
            (r#"{"id":"a","data":"0123456789abcdef","expires_after":"soon"}"#, "malformed"),
            (r#"{"id":"a","data":"0123456789abcdef","expires_after":"0s"}"#, "malformed"),
            (r#"{"id":"a","data":"0123456789abcdef","expires_at":"tomorrow"}"#, "malformed"),
            (r#"{"id":"a","data":"0123456789abcdef","expires_at":1,"expires_after":"1s"}"#, "malformed"),
            (r#"{"id":"a","data":"0123456789abcdef","not_before":{}}"#, "malformed"),
            (r#"{"id":"a","data":"0123456789abcdef","coalesce":[]}"#, "malformed"),
            ("[7]", "malformed"),
        ] {
            let refused = one(item).unwrap_err();
            assert!(refused.starts_with(reason), "{item}: {refused}");
        }
    }

    #[test]
    fn a_wrong_item_among_good_ones_costs_only_itself() {
        let read = read(
            r#"[{"id":"a","data":"0123456789abcdef"},{"id":"b","data":"00"},{"data":"0123456789abcdef"}]"#,
        );
        assert_eq!(read.unwrap().iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn what_is_no_command_is_said() {
        let many = format!("[{}]", vec!["1"; 65].join(","));
        for body in ["", "hello", "7", "\"x\"", "{\"id\":", many.as_str()] {
            assert!(read(body).is_err(), "{body}");
        }
        for body in
            ["", "{}", "[]", r#"{"all":false}"#, r#"{"id":"a","all":true}"#, r#"{"id":"a/b"}"#, r#"{"id":7}"#]
        {
            assert!(target(body.as_bytes()).is_err(), "{body}");
        }
        assert_eq!(target(br#"{"all":true}"#), Ok(Target::All));
        assert_eq!(target(br#"{"id":"a"}"#), Ok(Target::One("a".parse().unwrap())));
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            drop(orders(&body, true, |_| Err(String::new())));
            drop(target(&body));
            drop(transaction(&body));
        }
    }
}
