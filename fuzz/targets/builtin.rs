//! Any bytes as the payload of every built-in decoder, and what it read as a downlink.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sigfox2mqtt::decode::{Decoder, builtin_names};
use sigfox2mqtt::model::{DeviceId, Payload, Timestamp};

fuzz_target!(|bytes: Vec<u8>| {
    let Some(payload) = Payload::new(bytes) else { return };
    for (name, _) in builtin_names() {
        let decoder = Decoder::builtin(name).expect("its own name");
        let decoded = decoder.decode(DeviceId::new(1, 6), Timestamp::default(), &payload);
        let _either = decoder.encode(&decoded.fields);
    }
});
