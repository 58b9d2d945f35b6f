//! Payloads that are text, or that nobody has a better reading for.

use super::{Builtin, Known, Layout};
use crate::decode::Decoded;

/// UTF-8 text (Sigfox API v2, `payloadType` 5 says ASCII).
pub(super) const TEXT: Builtin = Builtin {
    name: "text",
    device: "devices that send text",
    fields: &[Known::text("text")],
    layout: Layout::Function(text),
    encode: None,
};

/// The payload's own digits, as a field.
pub(super) const HEX: Builtin = Builtin {
    name: "hex",
    device: "devices that nobody can read yet",
    fields: &[Known::text("hex")],
    layout: Layout::Function(|payload| Decoded::of([("hex", hex::encode(payload).into())])),
    encode: None,
};

fn text(payload: &[u8]) -> Decoded {
    let text = String::from_utf8_lossy(payload);
    let mut decoded = Decoded::of([("text", text.trim_end_matches('\0').into())]);
    if std::str::from_utf8(payload).is_err() {
        decoded.errors.push("`text` is not UTF-8 throughout".to_owned());
    }
    decoded
}
