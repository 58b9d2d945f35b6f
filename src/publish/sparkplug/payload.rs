//! Sparkplug B payloads as protocol buffers: the fields that an edge node writes and reads, by the numbers of
//! Sparkplug 3.0, section 6.4.1. What else a payload may hold (data sets, templates, files) is skipped when read.

pub use prost::Message;

/// What every topic below the namespace carries, but for STATE.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Payload {
    /// When it was sent, in milliseconds since 1970.
    #[prost(uint64, optional, tag = "1")]
    pub timestamp: Option<u64>,
    /// The values.
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
    /// 0 to 255, counted over all messages of an edge node.
    #[prost(uint64, optional, tag = "3")]
    pub seq: Option<u64>,
}

/// One value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metric {
    /// Its name; in births, and where it has no alias.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The number that stands for the name once a birth has told it.
    #[prost(uint64, optional, tag = "2")]
    pub alias: Option<u64>,
    /// When it was measured, in milliseconds since 1970.
    #[prost(uint64, optional, tag = "3")]
    pub timestamp: Option<u64>,
    /// The code of its type; in births.
    #[prost(uint32, optional, tag = "4")]
    pub datatype: Option<u32>,
    /// Whether it is old: it goes into the history and changes nothing that is current.
    #[prost(bool, optional, tag = "5")]
    pub is_historical: Option<bool>,
    /// Whether there is no value.
    #[prost(bool, optional, tag = "7")]
    pub is_null: Option<bool>,
    /// What else is known of it; in births.
    #[prost(message, optional, tag = "9")]
    pub properties: Option<PropertySet>,
    /// The value, as wide as its type asks for.
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14, 15, 16")]
    pub value: Option<Value>,
}

/// A value on the wire. Signed numbers travel as their two's complement.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Value {
    /// Integers of up to 32 bits.
    #[prost(uint32, tag = "10")]
    Int(u32),
    /// Integers of 64 bits, and times.
    #[prost(uint64, tag = "11")]
    Long(u64),
    /// A number of 32 bits.
    #[prost(float, tag = "12")]
    Float(f32),
    /// A number of 64 bits.
    #[prost(double, tag = "13")]
    Double(f64),
    /// True or false.
    #[prost(bool, tag = "14")]
    Boolean(bool),
    /// Text.
    #[prost(string, tag = "15")]
    String(String),
    /// Bytes.
    #[prost(bytes = "vec", tag = "16")]
    Bytes(Vec<u8>),
}

/// Properties of a metric: keys and values in the same order.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PropertySet {
    /// The names.
    #[prost(string, repeated, tag = "1")]
    pub keys: Vec<String>,
    /// The values.
    #[prost(message, repeated, tag = "2")]
    pub values: Vec<PropertyValue>,
}

/// The value of a property; texts are all that we write.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PropertyValue {
    /// The code of its type.
    #[prost(uint32, optional, tag = "1")]
    pub datatype: Option<u32>,
    /// The text.
    #[prost(string, optional, tag = "8")]
    pub text: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_payload_is_the_bytes_of_the_specifications_numbers() {
        let payload = Payload {
            timestamp: Some(1),
            metrics: vec![Metric {
                name: Some("n".to_owned()),
                alias: Some(7),
                timestamp: Some(2),
                datatype: Some(10),
                properties: Some(PropertySet {
                    keys: vec!["engUnit".to_owned()],
                    values: vec![PropertyValue { datatype: Some(12), text: Some("m".to_owned()) }],
                }),
                value: Some(Value::Double(1.0)),
                ..Metric::default()
            }],
            seq: Some(0),
        };
        let metric = [
            "0a016e",             // 1: name "n"
            "1007",               // 2: alias 7
            "1802",               // 3: timestamp 2
            "200a",               // 4: datatype Double
            "4a10",               /* 9: properties, 16 bytes */
            "0a07656e67556e6974", // 1: "engUnit"
            "1205",               /* 2: a value, 5 bytes */
            "080c",
            "42016d",             // 1: String, 8: "m"
            "69000000000000f03f", // 13: 1.0
        ]
        .concat();
        let length = format!("{:02x}", metric.len() / 2);
        let expected = format!("080112{length}{metric}1800");
        assert_eq!(hex::encode(payload.encode_to_vec()), expected);
        assert_eq!(Payload::decode(payload.encode_to_vec().as_slice()), Ok(payload));
    }

    #[test]
    fn what_we_do_not_know_is_skipped() {
        // A metric with a data set (17) and metadata (8), and a payload with uuid (4) and body (5).
        let bytes = hex::decode("12080a01784200" /* 8 */.to_owned() + "8a0100" /* 17 */ + "22017a2a017b");
        let payload = Payload::decode(bytes.unwrap().as_slice()).unwrap();
        assert_eq!(payload.metrics[0].name.as_deref(), Some("x"));
        assert_eq!(payload.metrics[0].value, None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            drop(Payload::decode(bytes.as_slice()));
        }
    }
}
