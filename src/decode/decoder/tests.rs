//! What a configuration can say of a decoder, right and wrong.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn fields(value: Value) -> Fields {
    let Value::Object(fields) = value else { panic!("{value} is no object") };
    fields
}

fn decode(decoder: &Decoder, hex: &str) -> Decoded {
    decoder.decode(DeviceId::new(1, 4), Timestamp::default(), &hex.parse().unwrap())
}

#[test]
fn every_problem_of_a_decoder_is_found_at_once() {
    let settings = DecoderSettings {
        format: Some("a::unit:8".to_owned()),
        encode: Some("a:7:uint:16".to_owned()),
        ..DecoderSettings::default()
    };
    let problems = Decoder::compile(&settings, None).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["format", "encode"]);
    assert!(problems[0].message.starts_with("column 4: "), "{problems:?}");
}

#[test]
fn a_decoder_reads_in_exactly_one_way() {
    let format = Some("a::uint:8".to_owned());
    let builtin = Some("hex".to_owned());
    for (settings, right) in [
        (DecoderSettings { format: format.clone(), ..DecoderSettings::default() }, true),
        (DecoderSettings { builtin: builtin.clone(), ..DecoderSettings::default() }, true),
        (DecoderSettings { encode: format.clone(), ..DecoderSettings::default() }, true),
        (DecoderSettings { format, builtin, ..DecoderSettings::default() }, false),
        (DecoderSettings { builtin: Some("hax".to_owned()), ..DecoderSettings::default() }, false),
        (DecoderSettings::default(), false),
    ] {
        assert_eq!(Decoder::compile(&settings, None).is_ok(), right, "{settings:?}");
    }
}

#[test]
fn settings_of_fields_go_into_the_catalogue_and_a_misspelt_field_is_refused() {
    let metres = FieldSettings { unit: Some("m".to_owned()), ..FieldSettings::default() };
    let with = |key: &str| DecoderSettings {
        format: Some("level::uint:16:/100 alarm::bool:0".to_owned()),
        fields: BTreeMap::from([(key.to_owned(), metres.clone())]),
        ..DecoderSettings::default()
    };
    let decoder = Decoder::compile(&with("level"), None).unwrap();
    let kinds: Vec<_> = decoder.catalogue().iter().map(|info| (info.key.as_str(), info.kind)).collect();
    assert_eq!(kinds, [("level", FieldKind::Number), ("alarm", FieldKind::Bool)]);
    assert_eq!(decoder.catalogue()[0].settings, metres);

    let problem = Decoder::compile(&with("levle"), None).unwrap_err().remove(0);
    assert_eq!(problem.key, "fields.levle");
    assert_eq!(problem.message, "there is no field `levle` (expected level, alarm)");
}

#[test]
fn a_position_in_the_fields_is_a_position_of_the_device() {
    for (value, expected) in [
        (json!({ "latitude": 48.1, "longitude": 2.5 }), Some((48.1, 2.5, None))),
        (json!({ "lat": 48.1, "lng": -2.5, "accuracy": 30 }), Some((48.1, -2.5, Some(30.0)))),
        (json!({ "lat": -33.0, "lon": 0, "gps_accuracy": 5 }), Some((-33.0, 0.0, Some(5.0)))),
        (json!({ "latitude": 0, "longitude": 0 }), None),
        (json!({ "latitude": 91, "longitude": 0 }), None),
        (json!({ "fix_failed": true, "latitude": 48.1, "longitude": 2.5 }), None),
        (json!({ "latitude": 48.1 }), None),
        (json!({ "latitude": "48.1", "longitude": "2.5" }), None),
    ] {
        assert_eq!(position(&fields(value.clone())), expected, "{value}");
    }
}

#[test]
fn a_decoder_without_an_encoder_says_so() {
    let decoder = Decoder::builtin("hex").unwrap();
    assert!(!decoder.can_encode());
    assert!(decoder.encode(&Fields::new()).unwrap_err().contains("no encoder"));
    assert_eq!(decode(&decoder, "0A").fields, fields(json!({ "hex": "0a" })));
}

fn compiled(settings: &DecoderSettings) -> Decoder {
    Decoder::compile(settings, None).unwrap()
}

fn climate() -> DecoderSettings {
    DecoderSettings { format: Some("t::int:16:/10 h::uint:8".to_owned()), ..DecoderSettings::default() }
}

#[test]
fn computed_fields_stand_on_the_fields_and_on_each_other() {
    let decoder = compiled(&DecoderSettings {
        computed: vec![
            ("f".to_owned(), "t * 1.8 + 32".to_owned()),
            ("warm".to_owned(), "f > 68".to_owned()),
            ("ratio".to_owned(), "1 / (h - 50)".to_owned()),
        ],
        ..climate()
    });
    let kinds: Vec<_> = decoder.catalogue().iter().map(|info| info.kind).collect();
    assert_eq!(
        kinds,
        [FieldKind::Number, FieldKind::Number, FieldKind::Number, FieldKind::Bool, FieldKind::Number]
    );
    let decoded = decode(&decoder, "00d734");
    assert_eq!(decoded.fields, fields(json!({ "t": 21.5, "h": 52, "f": 70.7, "warm": true, "ratio": 0.5 })));
    let decoded = decode(&decoder, "00d732");
    assert_eq!(decoded.fields.get("ratio"), Some(&Value::Null));
    assert_eq!(decoded.errors, ["`ratio` cannot be computed: its value is infinite or not a number"]);
    // A field that is not there computes nothing, and has been said to be missing once.
    let decoded = decode(&decoder, "00d7");
    assert_eq!((decoded.fields.len(), decoded.errors.len()), (3, 1));
}

#[test]
fn an_expression_over_a_misspelt_field_is_refused() {
    let settings = DecoderSettings {
        computed: vec![("f".to_owned(), "temp * 1.8".to_owned())],
        acknowledged_by: Some("g == 1".to_owned()),
        ..climate()
    };
    let problems = Decoder::compile(&settings, None).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["computed.f", "acknowledged_by"]);
    assert_eq!(problems[0].message, "there is no field `temp` (expected t, h)");
}

#[test]
fn a_rule_says_which_uplink_proves_a_downlink() {
    let decoder = compiled(&DecoderSettings { acknowledged_by: Some("h == 7".to_owned()), ..climate() });
    for (payload, acknowledges) in [("000007", true), ("000008", false), ("0000", false)] {
        assert_eq!(decode(&decoder, payload).acknowledges, acknowledges, "{payload}");
    }
}

#[test]
fn a_decoder_encodes_by_its_own_grammar() {
    let decoder =
        compiled(&DecoderSettings { encode: Some("mode::uint:8 t::int:16:/10".to_owned()), ..climate() });
    let data = decoder.encode(&fields(json!({ "mode": 2, "t": -5 }))).map(|data| data.to_string());
    assert_eq!(data.as_deref(), Ok("02ffce0000000000"));
    assert!(decoder.can_encode());
}

#[test]
fn every_built_in_decoder_stands_any_payload() {
    for (name, _) in crate::decode::builtin_names() {
        let decoder = Decoder::builtin(name).unwrap_or_else(|| panic!("{name}"));
        for length in 0..=16 {
            for fill in 0..=u8::MAX {
                let mut bytes = vec![fill; length];
                if let Some(last) = bytes.last_mut() {
                    *last = !fill;
                }
                let decoded =
                    decoder.decode(DeviceId::new(1, 4), Timestamp::default(), &Payload::new(bytes).unwrap());
                let known = |key: &String| decoder.catalogue().iter().any(|info| info.key == *key);
                let named = decoded.fields.keys().all(|key| known(key) || key.starts_with("config_"));
                assert!(named || name == "unabiz", "{name}: {:?}", decoded.fields);
            }
        }
    }
}

#[cfg(feature = "javascript")]
#[test]
fn a_script_is_a_decoder_like_any_other() {
    let settings = DecoderSettings {
        script: Some("vendor.js".into()),
        computed: vec![("double".to_owned(), "n * 2".to_owned())],
        fields: BTreeMap::from([(
            "n".to_owned(),
            FieldSettings { unit: Some("m".to_owned()), ..FieldSettings::default() },
        )]),
        ..DecoderSettings::default()
    };
    let source =
        "function decodeUplink(input) { return { data: { n: input.bytes[0], latitude: 1, longitude: 2 } } }";
    let decoder = Decoder::compile(&settings, Some(source)).unwrap();
    let decoded = decode(&decoder, "05");
    assert_eq!(decoded.fields, fields(json!({ "n": 5, "latitude": 1, "longitude": 2, "double": 10 })));
    assert_eq!(decoded.position, Some((1.0, 2.0, None)));
    assert_eq!(decoder.catalogue().iter().map(|info| info.kind).collect::<Vec<_>>(), [FieldKind::Number; 2]);
    assert!(!decoder.can_encode());
}

proptest! {
    #![proptest_config(crate::decode::cases(4))]

    #[test]
    fn any_bytes_are_read_or_refused_by_every_built_in_decoder(bytes in prop::collection::vec(any::<u8>(), 0..=64)) {
        let payload = Payload::new(bytes).unwrap();
        for (name, _) in crate::decode::builtin_names() {
            let decoder = Decoder::builtin(name).unwrap();
            let decoded = decoder.decode(DeviceId::new(1, 4), Timestamp::default(), &payload);
            prop_assert!(!decoded.fields.is_empty() || !decoded.errors.is_empty(), "{name} says nothing");
            let catalogue: Vec<&str> = decoder.catalogue().iter().map(|info| info.key.as_str()).collect();
            // A Sens'it's report of its configuration is no measurement that anybody lists.
            let listed = |key: &&String| catalogue.contains(&key.as_str()) || key.starts_with("config_");
            let unknown: Vec<_> = decoded.fields.keys().filter(|key| !listed(key)).collect();
            // The payloads of this one name their fields themselves.
            prop_assert!(name == "unabiz" || unknown.is_empty(), "{name} gives {unknown:?}");
            // Whether they make a downlink or not.
            drop(decoder.encode(&decoded.fields));
        }
    }
}
