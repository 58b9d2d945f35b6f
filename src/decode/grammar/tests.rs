//! The grammar against faults, against an independent reader of bits, and against itself backwards.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn a_fault_is_said_with_its_column_and_what_would_be_right() {
    let sigfox = Dialect::Sigfox;
    for (text, dialect, column, words) in [
        ("", sigfox, 1, "there is no field"),
        ("   ", sigfox, 1, "there is no field"),
        ("a", sigfox, 2, "`a` has no type"),
        ("a::", sigfox, 4, "expected one of bool, uint"),
        ("::uint:8", sigfox, 1, "needs a name"),
        ("a::uint:8  b°::uint:8", sigfox, 13, "`°` cannot stand in a name"),
        ("a$::uint:8", sigfox, 2, "expected letters, digits and - _ #"),
        ("a::unit:8", sigfox, 4, "`unit` is no type"),
        ("a:uint:8", sigfox, 3, "two colons before a type"),
        ("a:256:uint:8", sigfox, 3, "expected 0 to 255"),
        ("a:-1:uint:8", sigfox, 3, "is no byte index"),
        ("a::uint", sigfox, 8, "from 1 to 64"),
        ("a::uint:", sigfox, 9, "from 1 to 64"),
        ("a::uint:0", sigfox, 9, "from 1 to 64"),
        ("a::int:65", sigfox, 8, "from 1 to 64"),
        ("a::float:16", sigfox, 10, "32 or 64"),
        ("a::char:0", sigfox, 9, "from 1 to 256"),
        ("a::hex:6", sigfox, 8, "multiple of 4"),
        ("a::bool", sigfox, 8, "needs its bit"),
        ("a::bool:8", sigfox, 9, "expected 7, the first, to 0"),
        ("a::bool:7:7", sigfox, 11, "cannot stand here"),
        ("a::uint:8:middle-endian", sigfox, 11, "expected little-endian or big-endian"),
        ("a::uint:12:little-endian", sigfox, 12, "whole bytes"),
        ("a::uint:8:8", sigfox, 11, "expected 7, the first, to 0"),
        ("a::uint:8:7:little-endian", sigfox, 13, "cannot stand here"),
        ("a::uint:8:", sigfox, 11, "nothing follows this colon"),
        ("a::uint:8:/0", sigfox, 12, "divided by"),
        ("a::uint:8:*", sigfox, 12, "decimal constant"),
        ("a::uint:8:*1.2.3", sigfox, 12, "decimal constant"),
        ("a::uint:8:*1x", sigfox, 13, "expected + - * /"),
        ("a::uint:8:+1+2+3+4+5+6", sigfox, 21, "at most 5"),
        ("a::uint:8:+1:+2:+3:+4:+5:+6", sigfox, 26, "at most 5"),
        ("a::uint:8 b::uint:8 a::uint:8", sigfox, 21, "there is a field `a` already"),
        ("a::char:2:/10", sigfox, 11, "cannot stand here"),
        ("a%::uint:8", Dialect::Soracom, 2, "expected letters, digits and - _ # $"),
    ] {
        let error = Grammar::parse(text, dialect).expect_err(text);
        assert!(error.message.contains(words), "{text}: {error}");
        assert_eq!(error.column, column, "{text}: {error}");
    }
}

#[test]
fn what_the_cloud_accepted_is_accepted_with_the_last_of_two_names() {
    let grammar = Grammar::parse_from_cloud("pad::uint:4 pad:0:uint:4:3").unwrap();
    let (fields, errors) = grammar.read(&[0x12]);
    assert_eq!((Value::Object(fields), errors), (json!({ "pad": 2 }), vec![]));
}

#[test]
fn a_field_says_where_it_lies() {
    let text = "a::uint:8 b::uint:16 c::uint:6 d:3:bool:1 e:4:uint:2:3 f:5:uint:12:3 g::char:2";
    let grammar = Grammar::parse(text, Dialect::Sigfox).unwrap();
    let places: Vec<String> = grammar.fields().iter().map(ToString::to_string).collect();
    let expected = [
        "byte 0",
        "bytes 1 to 2",
        "byte 3 bits 7 to 2",
        "byte 3 bit 1",
        "byte 4 bits 3 to 2",
        "byte 5 bit 3 to byte 6 bit 0",
        "bytes 6 to 7",
    ];
    assert_eq!(places, expected);
}

#[test]
fn a_value_without_meaning_is_null_and_an_error() {
    let grammar = Grammar::parse("a::float:32 b::float:64 c::bcd:8", Dialect::Sigfox).unwrap();
    let (fields, errors) = grammar.read(&hex::decode("7fc00000fff00000000000001a").unwrap());
    assert_eq!(Value::Object(fields), json!({ "a": null, "b": null, "c": null }));
    assert_eq!(errors, ["`a` is not a number (NaN)", "`b` is infinite", "`c` holds a digit above 9"]);
}

#[test]
fn both_signs_of_a_number_can_be_told_apart() {
    let grammar = Grammar::parse("a::uint:16:/10 b::int:8 c::bool:7", Dialect::Sigfox).unwrap();
    let others =
        |payload: &[u8]| grammar.fields().iter().map(|field| field.other_sign(payload)).collect::<Vec<_>>();
    assert_eq!(others(&[0xFF, 0xFE, 0x80, 0x80]), [Some(json!(-0.2)), Some(json!(128)), None]);
    assert_eq!(others(&[0x00, 0x01, 0x7F, 0x80]), [None, None, None]);
}

#[test]
fn fields_become_the_bytes_that_they_came_from() {
    let text = "on::bool:7 mode:0:uint:3:6 t::int:12:3:/10 n:2:uint:16:little-endian name::char:2";
    let grammar = Grammar::parse(text, Dialect::Sigfox).unwrap();
    assert_eq!(grammar.check_downlink(), Ok(()));
    let Value::Object(fields) = json!({ "on": true, "mode": 5, "t": -20.4, "n": 258, "name": "A" }) else {
        panic!()
    };
    let bytes = grammar.write(&fields).unwrap();
    assert_eq!(hex::encode(bytes), "df34020141000000");
    assert_eq!(grammar.read(&bytes), (fields, vec![]));
}

#[test]
fn what_does_not_fit_a_downlink_is_said_all_at_once() {
    let grammar =
        Grammar::parse("t::int:8:/10 n::uint:4 s::char:1 d::bcd:8 f::float:32", Dialect::Sigfox).unwrap();
    let Value::Object(fields) = json!({ "t": 12.8, "n": 1.5, "s": "ab", "d": "1A", "x": 1, "f": 1e300 })
    else {
        panic!()
    };
    assert_eq!(
        grammar.write(&fields).unwrap_err(),
        "`t` cannot be 12.8 (expected a number from -12.8 to 12.7); \
         `n` cannot be 1.5 (expected an integer from 0 to 15); \
         `s` has 2 bytes (expected at most 1); `d` is no text of 2 decimal digits; \
         `f` does not fit a float of 32 bits; there is no field `x` (expected t, n, s, d, f)"
    );
    for (text, words) in [("a:8:uint:8", "bytes 0 to 7"), ("a::uint:8 b:0:bool:3", "share byte 0 bit 3")] {
        let grammar = Grammar::parse(text, Dialect::Sigfox).unwrap();
        assert!(grammar.check_downlink().unwrap_err().contains(words), "{text}");
    }
}

/// One field as a text of the grammar, beside what an independent reader needs to know of it.
#[derive(Debug, Clone)]
struct Written {
    signed: bool,
    width: usize,
    byte: usize,
    bit: usize,
    little_endian: bool,
}

fn written() -> impl Strategy<Value = Written> {
    (any::<bool>(), 1_usize..=64, 0_usize..24, 0_usize..8, any::<bool>()).prop_map(
        |(signed, width, byte, bit, little)| Written {
            signed,
            width,
            byte,
            bit,
            little_endian: little && width % 8 == 0,
        },
    )
}

/// Reads by cutting a string of ones and zeros, as one would with a pencil.
fn read_by_hand(field: &Written, payload: &[u8]) -> Option<Value> {
    let all: String = payload.iter().map(|byte| format!("{byte:08b}")).collect();
    let start = field.byte * 8 + (7 - field.bit);
    let mut digits = all.get(start..start + field.width)?.to_owned();
    if field.little_endian {
        let bytes: Vec<&str> =
            digits.as_bytes().chunks(8).map(|byte| std::str::from_utf8(byte).unwrap()).collect();
        digits = bytes.into_iter().rev().collect();
    }
    let number = i128::from_str_radix(&digits, 2).unwrap();
    let negative = field.signed && digits.starts_with('1');
    number::integer(if negative { number - (1 << field.width) } else { number })
}

proptest! {
    #![proptest_config(crate::decode::cases(1))]

    #[test]
    fn any_field_of_any_payload_is_what_the_string_of_bits_says(
        field in written(),
        payload in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let Written { signed, width, byte, bit, little_endian } = field;
        let order = if little_endian { ":little-endian" } else { "" };
        let text = format!("x:{byte}:{}:{width}{order}:{bit}", if signed { "int" } else { "uint" });
        let (fields, errors) = Grammar::parse(&text, Dialect::Sigfox).unwrap().read(&payload);
        let expected = read_by_hand(&field, &payload);
        prop_assert_eq!(fields.get("x"), expected.as_ref());
        prop_assert_eq!(errors.len(), usize::from(expected.is_none()));
    }

    #[test]
    fn no_text_is_too_strange(text in "[a-c:0-9/*+. $é\u{0}-]{0,40}|(a:[0-9]?:(uint|int|bool|char|float|hex):[0-9]{1,2}(:[-+*/0-9.]{0,6}){0,3} ?){0,6}|\\PC{0,60}", payload in prop::collection::vec(any::<u8>(), 0..20)) {
        for dialect in [Dialect::Sigfox, Dialect::Soracom] {
            match Grammar::parse(&text, dialect) {
                Ok(grammar) => {
                    let (fields, errors) = grammar.read(&payload);
                    prop_assert!(fields.len() <= grammar.fields().len());
                    prop_assert!(fields.len() + errors.len() >= grammar.fields().len());
                }
                Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}", error),
            }
        }
    }

    #[test]
    fn what_an_encoder_writes_its_grammar_reads(
        width in 1_u32..=64, signed: bool, bit in 0_usize..8, raw: u64, divisor in 1_u32..1000,
    ) {
        // A wider field fits only from the first bit on.
        let bit = if width > 57 { 7 } else { bit };
        let kind = if signed { "int" } else { "uint" };
        let scale = if width > 40 { String::new() } else { format!(":/{divisor}") };
        let grammar = Grammar::parse(&format!("x:0:{kind}:{width}:{bit}{scale}"), Dialect::Sigfox).unwrap();
        let mut bytes = [0; 8];
        bits::write(&mut bytes, 7 - bit, width, raw);
        let (fields, _) = grammar.read(&bytes);
        prop_assert_eq!(grammar.write(&fields), Ok(bytes));
    }
}
