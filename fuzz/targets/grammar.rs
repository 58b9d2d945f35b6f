//! Any text as a grammar of either dialect, any bytes as its payload, and what was read written back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sigfox2mqtt::decode::grammar::{Dialect, Grammar};

fuzz_target!(|input: (&str, &[u8])| {
    let (text, payload) = input;
    for dialect in [Dialect::Sigfox, Dialect::Soracom] {
        match Grammar::parse(text, dialect) {
            Ok(grammar) => {
                let (fields, errors) = grammar.read(payload);
                assert!(fields.len() + errors.len() >= grammar.fields().len());
                if grammar.check_downlink().is_ok() {
                    let _either = grammar.write(&fields);
                }
            }
            Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.column)),
        }
    }
});
