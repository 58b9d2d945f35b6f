//! Vendors' JavaScript decoders, in QuickJS: each call in a fresh realm with its own bounds and without any I/O.
//!
//! Entry points as they are published for ChirpStack 4 and The Things Stack (`decodeUplink`, `encodeDownlink`),
//! ChirpStack 3 (`Decode`, `Encode`) and The Things Network 2 (`Decoder`, `Encoder`).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rquickjs::{CatchResultExt, CaughtError, Context, Function, Runtime};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Decoded;
use crate::model::{DeviceId, Fields, Payload, Timestamp};

/// Processor time that a call may take, and the script to load before it.
const TIME: Duration = Duration::from_millis(50);
const MEMORY: usize = 16 << 20;
const STACK: usize = 256 << 10;
/// The longest answer as JSON.
const LONGEST_ANSWER: usize = 64 << 10;
/// How many complaints of a script are passed on, and how many characters of each.
const MOST_ERRORS: usize = 16;
const LONGEST_ERROR: usize = 300;

/// What vendors' scripts expect to find around them, and what keeps the engine's own loops short.
const AROUND: &str = include_str!("script/around.js");

/// Finds the entry points, calls one and makes JSON of its answer; a number that JSON lacks becomes null and is
/// named in `lost`.
const CALL: &str = include_str!("script/call.js");

/// A script that has at least one entry point.
#[derive(Debug)]
pub(super) struct Script {
    source: Arc<str>,
    can_decode: bool,
    can_encode: bool,
}

/// What `CALL` answers.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    bytes: Value,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    lost: Vec<String>,
}

impl Script {
    /// Runs a script once to see which entry points it has.
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        let answer: Value = call(source, "entries", &Value::Null)?;
        let has = |entry: &str| answer.get(entry) == Some(&Value::Bool(true));
        let (can_decode, can_encode) = (has("decode"), has("encode"));
        if !can_decode && !can_encode {
            return Err(
                "the script has no entry point (expected a function decodeUplink, Decode or Decoder)"
                    .to_owned(),
            );
        }
        Ok(Self { source: source.into(), can_decode, can_encode })
    }

    /// Whether it can make downlinks.
    pub(super) fn can_encode(&self) -> bool {
        self.can_encode
    }

    /// Reads a payload.
    pub(super) fn decode(&self, device: DeviceId, time: Timestamp, payload: &Payload) -> Decoded {
        if !self.can_decode {
            return Decoded::nothing("the script only makes downlinks");
        }
        let input = json!({ "bytes": payload.as_bytes(), "device": device, "time": time.as_millis() });
        let answer: Answer = match call(&self.source, "decode", &input) {
            Ok(answer) => answer,
            Err(problem) => return Decoded::nothing(problem),
        };
        let mut errors: Vec<String> =
            answer.errors.iter().take(MOST_ERRORS).map(|error| short(error)).collect();
        let warnings = answer.warnings.iter().take(MOST_ERRORS);
        errors.extend(warnings.map(|warning| format!("warning: {}", short(warning))));
        let lost = answer.lost.iter().take(MOST_ERRORS);
        errors.extend(lost.map(|name| format!("`{}` is infinite or not a number", short(name))));
        let fields = match answer.data {
            Value::Object(fields) => fields,
            Value::Null => Fields::new(),
            _ => {
                errors.push("the script gives no object of fields".to_owned());
                Fields::new()
            }
        };
        Decoded { fields, errors, ..Decoded::default() }
    }

    /// Makes the eight bytes of a downlink.
    pub(super) fn encode(&self, fields: &Fields) -> Result<[u8; 8], String> {
        let answer: Answer = call(&self.source, "encode", &json!({ "data": fields }))?;
        if !answer.errors.is_empty() {
            let errors: Vec<String> =
                answer.errors.iter().take(MOST_ERRORS).map(|error| short(error)).collect();
            return Err(errors.join("; "));
        }
        let bytes: Option<Vec<u8>> = serde_json::from_value(answer.bytes).ok();
        bytes
            .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok())
            .ok_or_else(|| "the script does not give exactly 8 bytes".to_owned())
    }
}

/// Loads a script into a fresh realm and calls it.
fn call<T: for<'de> Deserialize<'de>>(source: &str, what: &str, input: &Value) -> Result<T, String> {
    let broken = |_unusable: rquickjs::Error| "the script engine cannot be started".to_owned();
    let runtime = Runtime::new().map_err(broken)?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(STACK);
    let limit = Rc::new(Cell::new(spent() + TIME));
    let watched = Rc::clone(&limit);
    runtime.set_interrupt_handler(Some(Box::new(move || spent() >= watched.get())));
    let context = Context::full(&runtime).map_err(broken)?;
    let text = context.with(|ctx| {
        let run = || -> rquickjs::Result<String> {
            ctx.eval::<(), _>(AROUND)?;
            ctx.eval::<(), _>(source)?;
            let function: Function<'_> = ctx.eval(CALL)?;
            limit.set(spent() + TIME);
            function.call((what, input.to_string()))
        };
        run().catch(&ctx).map_err(|error| said(&error, spent() >= limit.get()))
    })?;
    if text.len() > LONGEST_ANSWER {
        return Err(format!("the script answers too much (expected at most {} KiB)", LONGEST_ANSWER >> 10));
    }
    serde_json::from_str(&text)
        .map_err(|_shape| "the script's answer has another shape than expected".to_owned())
}

/// The processor time that this thread has spent: what others do on a busy machine is not the script's fault.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn said(error: &CaughtError<'_>, late: bool) -> String {
    let message = match error {
        CaughtError::Exception(exception) => {
            let place = exception.stack().unwrap_or_default();
            let place =
                place.lines().map(str::trim).find(|line| line.contains("eval_script")).unwrap_or_default();
            format!("{} {place}", exception.message().unwrap_or_default())
        }
        CaughtError::Value(value) => {
            value.as_string().and_then(|text| text.to_string().ok()).unwrap_or_default()
        }
        CaughtError::Error(error) => error.to_string(),
    };
    if late {
        format!("the script was stopped after {} ms", TIME.as_millis())
    } else if message.contains("out of memory") {
        format!("the script needs more than {} MiB", MEMORY >> 20)
    } else {
        format!("the script fails: {}", short(message.trim()))
    }
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST_ERROR).collect()
}

#[cfg(test)]
mod tests;
