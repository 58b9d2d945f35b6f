//! Which decoder is a device's, and what is said about a configuration that names none.

use super::*;
use crate::model::{Payload, Timestamp};

const TANK: u32 = 0x1A_2B3C;

fn decoder(format: &str) -> DecoderSettings {
    DecoderSettings { format: Some(format.to_owned()), ..DecoderSettings::default() }
}

fn device(decoder: &str) -> DeviceSettings {
    DeviceSettings { decoder: Some(decoder.to_owned()), ..DeviceSettings::default() }
}

fn device_type(decoder: &str) -> DeviceTypeSettings {
    DeviceTypeSettings { decoder: Some(decoder.to_owned()), ..DeviceTypeSettings::default() }
}

fn registry() -> Registry {
    Registry::compile(
        &BTreeMap::from([("level".to_owned(), decoder("level::uint:16"))]),
        &BTreeMap::from([(DeviceId::new(TANK, 6), device("level"))]),
        &BTreeMap::from([
            ("4d30".to_owned(), device_type("hex")),
            ("Buttons".to_owned(), device_type("text")),
        ]),
    )
    .unwrap()
}

#[test]
fn a_device_has_the_first_decoder_that_is_found() {
    let grammar = PayloadKind::Grammar("x::uint:8".to_owned());
    let registry = registry();
    let (tank, other) = (DeviceId::new(TANK, 8), DeviceId::new(1, 6));
    for (device, device_type, cloud, expected) in [
        (tank, Some(("4d30", None)), Some(&grammar), Some("level")),
        (other, Some(("4d30", Some("Buttons"))), Some(&grammar), Some("hex")),
        (other, Some(("ffff", Some("Buttons"))), Some(&grammar), Some("text")),
        (other, Some(("ffff", None)), Some(&grammar), Some("cloud")),
        (other, None, Some(&PayloadKind::Text), Some("text")),
        (other, None, Some(&PayloadKind::Raw), None),
        (other, None, Some(&PayloadKind::Geolocation), None),
        (other, None, None, None),
    ] {
        let resolved = registry.resolve(device, device_type, cloud);
        assert_eq!(resolved.name.as_deref(), expected);
        assert_eq!((resolved.decoder.is_some(), resolved.problem), (expected.is_some(), None));
    }
}

#[test]
fn a_wrong_grammar_of_the_cloud_makes_the_device_raw_and_says_why() {
    let registry = registry();
    let resolve = |text: &str| {
        registry.resolve(DeviceId::new(1, 6), None, Some(&PayloadKind::Grammar(text.to_owned())))
    };
    let wrong = resolve("x::uint:99");
    assert!(wrong.decoder.is_none() && wrong.name.is_none());
    assert!(wrong.problem.unwrap().contains("column 9: `99`"));
    let empty = resolve(" ");
    assert!(empty.decoder.is_none() && empty.problem.is_none());
}

#[test]
fn the_clouds_grammars_are_compiled_once_and_forgotten_when_they_are_too_many() {
    let registry = registry();
    let resolve = |bits: usize| {
        let kind = PayloadKind::Grammar(format!("x{bits}::uint:8"));
        registry.resolve(DeviceId::new(1, 6), None, Some(&kind)).decoder.unwrap()
    };
    assert!(Arc::ptr_eq(&resolve(0), &resolve(0)));
    for bits in 0..3 * MOST_CLOUD_GRAMMARS {
        let decoded =
            resolve(bits).decode(DeviceId::new(1, 6), Timestamp::default(), &Payload::new(vec![7]).unwrap());
        assert_eq!(decoded.fields.len(), 1);
        assert!(registry.cloud.lock().unwrap().len() <= MOST_CLOUD_GRAMMARS);
    }
}

#[test]
fn every_problem_of_a_configuration_is_found_with_its_key() {
    let problems = Registry::compile(
        &BTreeMap::from([
            ("a".to_owned(), decoder("x::unit:8")),
            ("b".to_owned(), DecoderSettings::default()),
        ]),
        &BTreeMap::from([(DeviceId::new(TANK, 6), device("lvel")), (DeviceId::new(2, 6), device("a"))]),
        &BTreeMap::from([("4d30".to_owned(), device_type("hax"))]),
    )
    .unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        ["decoders.a.format", "decoders.b", "devices.1A2B3C.decoder", "device_types.4d30.decoder"]
    );
    assert!(problems[2].1.contains("`lvel`"), "{problems:?}");
}
