//! Any text as a script and as the body of its entry point.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sigfox2mqtt::config::DecoderSettings;
use sigfox2mqtt::decode::Decoder;
use sigfox2mqtt::model::{DeviceId, Payload, Timestamp};

fuzz_target!(|text: &str| {
    let settings = DecoderSettings { script: Some("fuzz.js".into()), ..DecoderSettings::default() };
    for source in [text.to_owned(), format!("function decodeUplink(input) {{ {text} }}")] {
        if let Ok(decoder) = Decoder::compile(&settings, Some(&source)) {
            let _any = decoder.decode(DeviceId::new(1, 6), Timestamp::default(), &Payload::default());
        }
    }
});
