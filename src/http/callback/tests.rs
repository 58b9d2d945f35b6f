//! Every shape of callback that clouds really send, down to what is kept of it.

use std::time::Duration;

use super::record::{Origin, Told, read};
use super::{Kind, Variables};
use crate::downlink::Report;
use crate::model::{Event, LinkQuality, LocationSource, SourceName, Timestamp, Uplink};

fn told(kind: Kind, body: &str) -> Result<Told, String> {
    let source: SourceName = "factory".parse().unwrap();
    let origin = Origin {
        source: &source,
        overlap: Duration::from_secs(900),
        now: "2026-09-09T00:00:00Z".parse().unwrap(),
        untimed: false,
    };
    let variables = Variables::from_json(body.as_bytes()).map_err(|malformed| malformed.0)?;
    read(kind, &variables, &origin).map_err(|malformed| malformed.0)
}

fn uplink(kind: Kind, body: &str) -> Uplink {
    match told(kind, body).unwrap() {
        Told::Uplink { uplink, .. } => *uplink,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_uplink_whose_values_are_all_strings() {
    let kept = uplink(
        Kind::Bidir,
        r#"{"device":"1A2345","data":"920e82002731b01db0512201","time":"1476980426","duplicate":"false",
            "snr":"18.86","station":"1234","avgSnr":"15.54","lat":"1","lng":"104","rssi":"-123.00",
            "seqNumber":"1492","ack":"false","longPolling":"false"}"#,
    );
    assert_eq!(kept.id().to_string(), "1A2345-1476980426-1492");
    assert_eq!(kept.payload.to_string(), "920e82002731b01db0512201");
    assert_eq!(
        (kept.rssi, kept.snr, kept.ack, kept.stations),
        (Some(-123.0), Some(18.86), Some(false), None)
    );
    assert_eq!(kept.location, None, "`lat` and `lng` of an uplink are the base station's");
    assert!(kept.replay);
}

#[test]
fn typed_and_quoted_bodies_are_kept_alike() {
    let typed = r#"{"time":1477925692,"device":"01234567","duplicate":true,"snr":1.23,"rssi":3.21,"avgSnr":4.56,
        "station":"76543210","data":"deadbeef","lat":51,"lng":-1,"seqNumber":100}"#;
    let quoted = r#"{"time":"1477925692","device":"01234567","duplicate":"true","snr":"1.23","rssi":"3.21",
        "avgSnr":"4.56","station":"76543210","data":"DEADBEEF","lat":"51","lng":"-1","seqNumber":"100"}"#;
    assert_eq!(uplink(Kind::Uplink, typed), uplink(Kind::Uplink, quoted));
    let milliseconds = typed.replace("1477925692", "1477925692000");
    assert_eq!(uplink(Kind::Uplink, typed), uplink(Kind::Uplink, &milliseconds));
    assert_eq!(uplink(Kind::Uplink, typed).device.to_string(), "01234567");
}

#[test]
fn missing_metadata_is_absent_however_it_is_written() {
    let quoted = r#"{"device":"4D9A83","time":"1565081856","data":"17","rssi":"null","station":"null","seqNumber":"241"}"#;
    let typed =
        r#"{"device":"4D9A83","time":1565081856,"data":"17","rssi":null,"station":null,"seqNumber":241}"#;
    assert_eq!(uplink(Kind::Uplink, quoted), uplink(Kind::Uplink, typed));
    assert_eq!(uplink(Kind::Uplink, typed).rssi, None);
}

#[test]
fn variables_that_the_cloud_did_not_substitute_are_absent() {
    let kept = uplink(
        Kind::Uplink,
        r#"{"device":"2C321C","data":"20945376e9713269569a16cd","time":"1500520476","snr":"68.22","station":"3A5F",
            "avgSnr":"73.13","rssi":"-75.00","seqNumber":"007c","type":"{customData#Type}",
            "lat":"{customData#LatitudeDegrees}"}"#,
    );
    assert_eq!(kept.seq, None, "`007c` is no decimal number");
    assert_eq!(kept.rssi, Some(-75.0));
}

#[test]
fn advanced_data_brings_quality_receptions_and_position() {
    let kept = uplink(
        Kind::Advanced,
        r#"{"device":"4D9A83","deviceTypeId":"5f0000000000000000000001","time":"1565081856","data":"17",
            "seqNumber":"241","lqi":"EXCELLENT","linkQuality":"3","fixedLat":"0.0","fixedLng":"0.0",
            "operatorName":"SIGFOX_France","countryCode":"250",
            "duplicates":[{"bsId":"1A2B","rssi":-101.0,"snr":31.5,"nbRep":3},
                          {"bsId":"3C4D","rssi":-118.0,"snr":12.0,"nbRep":1}],
            "computedLocation":{"lat":48.12,"lng":2.54,"radius":400,"source":2,"status":1,"placeIds":[]}}"#,
    );
    assert_eq!(kept.link_quality, Some(LinkQuality::Excellent));
    assert_eq!((kept.stations, kept.rssi, kept.snr), (Some(2), Some(-101.0), Some(31.5)));
    let location = kept.location.unwrap();
    assert_eq!((location.latitude, location.accuracy_m), (48.12, Some(400.0)));
    assert_eq!(location.source, LocationSource::Network);
    let bare = uplink(
        Kind::Advanced,
        r#"{"device":"4D9A83","time":1565081856,"data":"17","seqNumber":241,"lqi":"NA","duplicates":null,
            "computedLocation":null}"#,
    );
    assert_eq!((bare.id(), bare.link_quality, bare.stations, bare.location), (kept.id(), None, None, None));
}

#[test]
fn a_geoloc_names_the_message_that_it_belongs_to() {
    let body = r#"{"device":"4D9A83","time":"1523524028","duplicate":0,"snr":"16.38","rssi":"-127.00",
        "station":"6D6C","avgSnr":"19.24","lat":"23.5948976","lng":"121.0056306","radius":10742,
        "geolocSource":"2","seqNumber":83}"#;
    let Ok(Told::Location { location, uplink, .. }) = told(Kind::Geoloc, body) else { panic!("no location") };
    assert_eq!(uplink.map(|id| id.to_string()).as_deref(), Some("4D9A83-1523524028-83"));
    assert_eq!((location.longitude, location.accuracy_m), (121.005_630_6, Some(10742.0)));
    let nowhere = r#"{"device":"4D9A83","time":"1523524028","lat":"null","lng":"null"}"#;
    assert_eq!(told(Kind::Geoloc, nowhere), Ok(Told::Nothing));
}

#[test]
fn status_error_and_sequence_break_are_service_events() {
    for (kind, body, expected, detail) in [
        (
            Kind::Status,
            r#"{"device":"4D9A83","time":"1565081900","temp":"21.5","batt":"3.01","seqNumber":"242","snr":"18.86"}"#,
            "status",
            r#"{"temperature":21.5,"battery_voltage":3.01,"snr":18.86,"seq":242}"#,
        ),
        (
            Kind::Error,
            r#"{"device":"4D9A83","time":"1565085456","severity":"ERROR","info":"No message received for 3600s"}"#,
            "error",
            r#"{"severity":"ERROR","info":"No message received for 3600s"}"#,
        ),
        (
            Kind::Error,
            r#"{"device":"4D9A83","time":"1565085456","severity":"WARN"}"#,
            "warning",
            r#"{"severity":"WARN"}"#,
        ),
        (
            Kind::Error,
            r#"{"event":"break","device":"4D9A83","time":"1565085456","deviceLastSeqnumber":512,
                "deviceExpectedSeqnumber":513,"deviceMessageSeqnumber":4}"#,
            "break",
            r#"{"last_seq":512,"expected_seq":513,"message_seq":4}"#,
        ),
    ] {
        let Ok(Told::Service(Event::Service { kind, detail: told, .. })) = told(kind, body) else {
            panic!("{body}")
        };
        assert_eq!((kind.as_str(), told.as_str()), (expected, detail));
    }
}

#[test]
fn acknowledgements_are_read_in_every_spelling() {
    let time = Timestamp::from_cloud(1_565_081_856).unwrap();
    for (body, info_code, emitted, overusage) in [
        (
            r#"{"device":"4D9A83","time":"1565081856","infoCode":"0","infoMessage":"Acknowledge",
                "downlinkAck":"true","downlinkOverusage":"false"}"#,
            Some(0),
            Some(true),
            false,
        ),
        (
            r#"{"device":"4D9A83","time":1565081856,"infoCode":3,"infoMessage":"Overrun","downlinkAck":false,
                "downlinkOverUsage":true}"#,
            Some(3),
            Some(false),
            true,
        ),
        (r#"{"Device":"4D9A83","Time":1565081856,"InfoCode":4}"#, Some(4), None, false),
        (r#"{"device":"4D9A83","time":1565081856,"downlinkAck":1}"#, None, Some(true), false),
    ] {
        let Ok(Told::Report { report, .. }) = told(Kind::Ack, body) else { panic!("{body}") };
        assert_eq!(report, Report { time, info_code, emitted, overusage });
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    for (kind, body, about) in [
        (Kind::Uplink, r#"{"time":1477925692,"device":"01234567","data":"hello world"}"#, "`data`"),
        (Kind::Uplink, r#"{"time":1477925692,"device":"01234567"}"#, "`data`"),
        (Kind::Uplink, r#"{"time":1477925692,"data":"00"}"#, "`device`"),
        (Kind::Uplink, r#"{"time":1477925692,"device":"no","data":"00"}"#, "`device`"),
        (Kind::Bidir, r#"{"device":"01234567","data":"00"}"#, "`time`"),
        (Kind::Bidir, r#"{"time":"soon","device":"01234567","data":"00"}"#, "`time`"),
        (Kind::Bidir, r#"{"time":-5,"device":"01234567","data":"00"}"#, "`time`"),
        (Kind::Bidir, r#"{"time":9007199254740991,"device":"01234567","data":"00"}"#, "`time`"),
        (Kind::Ack, r#"{"time":1477925692,"device":"01234567"}"#, "infoCode"),
        (Kind::Uplink, "[1,2]", "object"),
        (Kind::Uplink, "{\"device\":", "JSON"),
    ] {
        let fault = told(kind, body).unwrap_err();
        assert!(fault.contains(about), "{body}: {fault}");
    }
}
