//! What a configuration can say of a decoder, right and wrong.

use serde_json::json;

use super::*;
use crate::decode::FieldKind;

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
    let problems = Decoder::compile(&settings).unwrap_err();
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
        assert_eq!(Decoder::compile(&settings).is_ok(), right, "{settings:?}");
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
    let decoder = Decoder::compile(&with("level")).unwrap();
    let kinds: Vec<_> = decoder.catalogue().iter().map(|info| (info.key.as_str(), info.kind)).collect();
    assert_eq!(kinds, [("level", FieldKind::Number), ("alarm", FieldKind::Bool)]);
    assert_eq!(decoder.catalogue()[0].settings, metres);

    let problem = Decoder::compile(&with("levle")).unwrap_err().remove(0);
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
