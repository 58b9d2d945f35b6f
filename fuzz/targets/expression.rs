//! Any text as a computed field and as a rule of acknowledgement.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sigfox2mqtt::config::DecoderSettings;
use sigfox2mqtt::decode::Decoder;
use sigfox2mqtt::model::{DeviceId, Payload, Timestamp};

fuzz_target!(|input: (&str, [u8; 8])| {
    let (text, bytes) = input;
    let settings = DecoderSettings {
        format: Some("a::int:16:/10 b::float:32 c::char:1 d::bool:0".to_owned()),
        computed: vec![("x".to_owned(), text.to_owned())],
        acknowledged_by: Some(text.to_owned()),
        ..DecoderSettings::default()
    };
    if let (Ok(decoder), Some(payload)) = (Decoder::compile(&settings, None), Payload::new(bytes.to_vec())) {
        let decoded = decoder.decode(DeviceId::new(1, 6), Timestamp::default(), &payload);
        assert!(decoded.fields.len() <= 5);
    }
});
