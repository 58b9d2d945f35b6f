//! Scripts as vendors write them, and as nobody should.

use proptest::prelude::*;

use super::*;

fn script(source: &str) -> Script {
    Script::compile(source).unwrap_or_else(|error| panic!("{error}"))
}

fn decode(source: &str) -> Decoded {
    script(source).decode("1A2B3C".parse().unwrap(), Timestamp::default(), &"0102ff".parse().unwrap())
}

fn fields(value: Value) -> Fields {
    let Value::Object(fields) = value else { panic!("{value} is no object") };
    fields
}

#[test]
fn every_published_entry_point_is_called_as_its_network_calls_it() {
    for source in [
        "function decodeUplink(input) { return { data: { n: input.bytes.length, last: input.bytes[2] } } }",
        "const decodeUplink = ({ bytes, fPort }) => ({ data: { n: bytes.length, last: bytes[bytes.length - fPort] } });",
        "exports.decodeUplink = (input) => ({ data: { n: input.bytes.length, last: 255 } })",
        "module.exports = { decodeUplink(input) { return { data: { n: input.bytes.length, last: 255 } } } }",
        "function Decode(fPort, bytes, variables) { return { n: bytes.length, last: bytes[2 * fPort] } }",
        "function Decoder(bytes, port) { var decoded = {}; decoded.n = bytes.length; decoded.last = bytes[2]; return decoded; }",
    ] {
        let decoded = decode(source);
        assert_eq!(
            (decoded.fields, decoded.errors),
            (fields(json!({ "n": 3, "last": 255 })), vec![]),
            "{source}"
        );
    }
}

#[test]
fn a_script_knows_the_device_and_the_time_of_its_message() {
    let decoded = decode(
        "function decodeUplink(input) { return { data: { device: input.device, time: input.recvTime.toISOString() } } }",
    );
    assert_eq!(decoded.fields, fields(json!({ "device": "1A2B3C", "time": "1970-01-01T00:00:00.000Z" })));
}

#[test]
fn what_a_script_complains_of_is_passed_on() {
    let decoded = decode(
        "function decodeUplink() { return { data: { t: NaN, big: 9007199254740993n, ok: 1 }, errors: ['no probe'], warnings: ['old'] } }",
    );
    assert_eq!(decoded.fields, fields(json!({ "t": null, "big": "9007199254740993", "ok": 1 })));
    assert_eq!(decoded.errors, ["no probe", "warning: old", "`t` is infinite or not a number"]);
}

#[test]
fn a_script_that_misbehaves_costs_one_error() {
    for (body, words) in [
        ("for (;;) {}", "stopped after 50 ms"),
        ("/(a+)+b/.test('a'.repeat(40))", "stopped after 50 ms"),
        ("return { data: { s: Array(4294967295).join('0') } }", "too long an array"),
        ("[].concat(new Array(4294967295))", "too long an array"),
        ("new Array(4294967295).map((x) => x)", "too long an array"),
        ("let all = []; for (;;) all.push(new Uint8Array(1 << 20))", "needs more than 16 MiB"),
        ("return { data: { s: 'x'.repeat(100000) } }", "answers too much"),
        ("(function again() { again() })()", "fails"),
        ("throw new Error('bad length')", "bad length"),
        ("throw 'bad length'", "bad length"),
        ("throw null", "fails"),
        ("return input.bytes.x.y", "fails"),
        ("return { data: 5 }", "no object"),
        ("return Promise.resolve({})", "promise"),
        ("let o = {}; o.o = o; return { data: o }", "fails"),
        ("require('fs')", "fails"),
    ] {
        let decoded = decode(&format!("function decodeUplink(input) {{ {body} }}"));
        assert_eq!(decoded.fields, Fields::new(), "{body}");
        assert!(decoded.errors.join(" ").contains(words), "{body}: {:?}", decoded.errors);
    }
}

#[test]
fn nothing_is_left_for_the_next_call() {
    let counting = script("var n = 0; function decodeUplink() { globalThis.n += 1; return { data: { n } } }");
    for _ in 0..3 {
        let decoded = counting.decode(DeviceId::new(1, 4), Timestamp::default(), &Payload::default());
        assert_eq!(decoded.fields, fields(json!({ "n": 1 })));
    }
}

#[test]
fn a_downlink_is_exactly_eight_bytes() {
    for (source, expected) in [
        (
            "function encodeDownlink(input) { return { bytes: [input.data.a, 0, 0, 0, 0, 0, 0, 1] } }",
            Ok([7, 0, 0, 0, 0, 0, 0, 1]),
        ),
        ("function Encode(fPort, o) { return [o.a, 0, 0, 0, 0, 0, 0, fPort] }", Ok([7, 0, 0, 0, 0, 0, 0, 1])),
        (
            "function Encoder(o, port) { return Uint8Array.from([o.a, 0, 0, 0, 0, 0, 0, port]) }",
            Ok([7, 0, 0, 0, 0, 0, 0, 1]),
        ),
        ("function encodeDownlink(input) { return { bytes: [1] } }", Err("exactly 8 bytes")),
        (
            "function encodeDownlink(input) { return { bytes: [1, 2, 3, 4, 5, 6, 7, 256] } }",
            Err("exactly 8 bytes"),
        ),
        ("function encodeDownlink(input) { return { errors: ['a is odd'] } }", Err("a is odd")),
    ] {
        let script = script(source);
        assert!(script.can_encode());
        match (script.encode(&fields(json!({ "a": 7 }))), expected) {
            (Ok(bytes), Ok(expected)) => assert_eq!(bytes, expected, "{source}"),
            (Err(error), Err(words)) => assert!(error.contains(words), "{source}: {error}"),
            (found, _) => panic!("{source}: {found:?}"),
        }
    }
}

#[test]
fn a_script_without_an_entry_point_is_refused() {
    for (source, words) in
        [("var x = 1", "no entry point"), ("function decodeUplink(", "fails"), ("for (;;) {}", "stopped")]
    {
        let error = Script::compile(source).map(|_| ()).expect_err(source);
        assert!(error.contains(words), "{source}: {error}");
    }
}

proptest! {
    // A script costs a millisecond, one that must be stopped fifty.
    #![proptest_config(crate::decode::cases(50))]

    #[test]
    fn no_script_is_too_strange(
        text in "(return|while|for|function|throw|new|=>|input|bytes|data|errors|Array|Proxy|fill|repeat|[a-c]|[0-9]{1,9}|[-+*/%<>=!&|?:;,.()\\[\\]{}\"'`$ ]){0,30}|\\PC{0,40}",
        bytes in prop::collection::vec(any::<u8>(), 0..=12),
    ) {
        let payload = Payload::new(bytes).unwrap();
        for source in [text.clone(), format!("function decodeUplink(input) {{ {text} }}"),
            format!("function decodeUplink(input) {{ return {{ data: {{ x: {text} }} }} }}")] {
            if let Ok(script) = Script::compile(&source) {
                let decoded = script.decode(DeviceId::new(1, 4), Timestamp::default(), &payload);
                // Small enough to be published, however large what the script made.
                prop_assert!(serde_json::to_string(&decoded.fields).unwrap().len() <= 1 << 17);
            }
        }
    }
}
