//! The data of the table of keys, in the order of the reference page.

use super::super::value::Kind::{
    Address, Boolean, Choice, Duration, File, Integer, Name, Rate, Schedule, Secret, Size, Text, Texts,
    Topic, Url,
};
use super::Absent::{Default, Derived, Nothing, Required};
use super::{Absent, Key, Kind, Section};

const fn key(name: &'static str, kind: Kind, absent: Absent, doc: &'static str) -> Key {
    Key { name, kind, absent, doc }
}

/// Every section, in the order in which it is shown.
pub(in crate::config) static SECTIONS: &[Section] = &[
    Section {
        path: "",
        always: true,
        doc: "The top of the file.",
        keys: &[key("version", Integer(0, i64::MAX), Required, "Version of the configuration's format: 1.")],
    },
    Section {
        path: "gateway",
        always: true,
        doc: "Who this gateway is.",
        keys: &[
            key(
                "id",
                Name,
                Derived("the host name"),
                "Its name in topics and in Home Assistant; unique per broker.",
            ),
            key(
                "data_dir",
                File,
                Derived("`$STATE_DIRECTORY`, else `/var/lib/sigfox2mqtt`"),
                "The folder of the store.",
            ),
        ],
    },
    Section { path: "mqtt", always: true, doc: "The broker and how the gateway speaks to it.", keys: MQTT },
    Section {
        path: "mqtt.discovery",
        always: true,
        doc: "What Home Assistant is told about devices and their fields.",
        keys: &[
            key(
                "mode",
                Choice(&["device", "component", "off"]),
                Default("device"),
                "One message a device, one an entity (for hosts that know no device discovery), or none.",
            ),
            key("prefix", Topic, Default("homeassistant"), "First level of the discovery topics."),
        ],
    },
    Section {
        path: "sources.*",
        always: false,
        doc: "A cloud that uplinks come from. At least one is required; its name is yours.",
        keys: SOURCE,
    },
    Section {
        path: "devices.*",
        always: false,
        doc: "A device's own settings; its id as the cloud prints it.",
        keys: &[
            key("name", Text, Derived("its name in the cloud"), "What it is called."),
            key(
                "decoder",
                Text,
                Derived("that of its type"),
                "A name of `[decoders]` or of a built-in decoder.",
            ),
            key(
                "expected_interval",
                Duration(1),
                Derived("learned"),
                "How often it is expected to send; after two missed intervals it is offline.",
            ),
        ],
    },
    Section {
        path: "device_types.*",
        always: false,
        doc: "Settings of all devices of a type; its id or its name in the cloud.",
        keys: &[
            key(
                "decoder",
                Text,
                Derived("the cloud's own grammar"),
                "A name of `[decoders]` or of a built-in decoder.",
            ),
            key(
                "expected_interval",
                Duration(1),
                Derived("learned"),
                "How often its devices are expected to send.",
            ),
        ],
    },
    Section {
        path: "decoders.*",
        always: false,
        doc: "A decoder; made of one of `format`, `builtin` and `script`.",
        keys: &[
            key("format", Text, Nothing, "A grammar, such as `level::uint:16:/100 alarm:2:bool:0`."),
            key("dialect", Choice(&["sigfox", "soracom"]), Default("sigfox"), "Whose grammar `format` is."),
            key("builtin", Text, Nothing, "A built-in decoder that this one refines."),
            key("script", File, Nothing, "A JavaScript file with `decodeUplink(input)`."),
            key("encode", Text, Nothing, "The grammar of the eight bytes of a downlink."),
            key(
                "acknowledged_by",
                Text,
                Nothing,
                "An expression over the fields that is true of the uplink that proves that a downlink arrived.",
            ),
        ],
    },
    Section {
        path: "decoders.*.computed",
        always: false,
        doc: "Fields that are computed from the decoded ones.",
        keys: &[key("*", Text, Nothing, "An expression over the fields.")],
    },
    Section {
        path: "decoders.*.fields.*",
        always: false,
        doc: "What is known about a field, in the names of Home Assistant.",
        keys: FIELD,
    },
    Section {
        path: "downlink",
        always: true,
        doc: "Rules for all downlinks.",
        keys: &[
            key(
                "expires_after",
                Duration(1),
                Default("2d"),
                "When an item ends unsent, unless it says so itself.",
            ),
            key("daily_limit", Integer(1, 1000), Default("4"), "How many a device is sent a UTC day."),
        ],
    },
    Section { path: "store", always: true, doc: "The history on disk and its bounds.", keys: STORE },
    Section {
        path: "http",
        always: false,
        doc: "The listener for the web page, the API, metrics, health and callbacks; absent: none.",
        keys: HTTP,
    },
    Section {
        path: "mirrors.*",
        always: false,
        doc: "A copy of what is known in another cloud: Altair IoT Studio.",
        keys: MIRROR,
    },
    Section {
        path: "sparkplug",
        always: false,
        doc: "The gateway as a Sparkplug B edge node; absent: off.",
        keys: &[
            key("group", Topic, Default("sigfox2mqtt"), "The group that the edge node is in."),
            key("edge_node", Topic, Derived("`gateway.id`"), "Its name in the group."),
            key("namespace", Topic, Default("spBv1.0"), "First level of its topics."),
            key("primary_host", Topic, Nothing, "A host; while it is offline messages are stored, not sent."),
        ],
    },
];

static MQTT: &[Key] = &[
    key(
        "url",
        Url(&["mqtt", "mqtts", "ws", "wss", "embedded"]),
        Default("mqtt://127.0.0.1:1883"),
        "The broker's address; `embedded://ADDRESS:PORT` starts the built-in broker there.",
    ),
    key("protocol", Integer(4, 5), Default("5"), "Version of MQTT: 5, or 4 for MQTT 3.1.1."),
    key("username", Text, Nothing, "User at the broker."),
    key("password", Secret, Nothing, "Its password."),
    key("ca_file", File, Derived("the system's certificates"), "A private CA in PEM."),
    key("cert_file", File, Nothing, "A client certificate in PEM; with `key_file`."),
    key("key_file", File, Nothing, "The client certificate's key in PEM."),
    key("base", Topic, Default("sigfox2mqtt"), "First level or levels of every topic."),
    key(
        "max_inflight",
        Integer(1, 65_535),
        Default("100"),
        "How many publishes may wait for the broker at once.",
    ),
    key("attributes", Boolean, Default("false"), "Whether each field also gets a retained topic of its own."),
    key("requests", Texts, Derived("all"), "The verbs of `bridge/request` that are answered."),
];

static SOURCE: &[Key] = &[
    key("kind", Choice(&["sigfox", "soracom"]), Required, "Which cloud."),
    key("api", Choice(&["v2", "v1"]), Default("v2"), "Version of the Sigfox API."),
    key("coverage", Choice(&["jp", "global"]), Default("jp"), "Where the Soracom account lives."),
    key("url", Url(&["https", "http"]), Derived("by `api` or `coverage`"), "Where the API is."),
    key("login", Text, Required, "Login of the Sigfox API's user (kind `sigfox`)."),
    key("password", Secret, Required, "Password of the Sigfox API's user (kind `sigfox`)."),
    key("auth_key_id", Text, Required, "Id of the Soracom key, `keyId-…` (kind `soracom`)."),
    key("auth_key", Secret, Required, "The Soracom key (kind `soracom`)."),
    key("ca_file", File, Derived("the system's certificates"), "A private CA in PEM."),
    key(
        "insecure",
        Boolean,
        Default("false"),
        "Whether certificates go unchecked; only for a private endpoint.",
    ),
    key("poll", Schedule, Default("30s"), "When the cloud is asked for messages."),
    key("locations", Schedule, Default("15m"), "When it is asked for locations."),
    key("inventory", Schedule, Default("1h"), "When it is asked for devices and device types."),
    key("backfill", Duration(0), Default("3d"), "How far back the first sync goes."),
    key("overlap", Duration(0), Default("15m"), "How far each poll looks back for late messages."),
    key("resync", Schedule, Default("1d"), "When the whole of `backfill` is looked through again."),
    key(
        "device_types",
        Texts,
        Default("*"),
        "Ids or names of the device types that are taken; `*` and `?` allowed.",
    ),
    key("devices", Texts, Derived("all"), "Ids of the devices that are taken; `*` and `?` allowed."),
    key("except_devices", Texts, Nothing, "Ids of devices that are left out; `*` and `?` allowed."),
    key("rate", Rate, Default("50/10s"), "Own ceiling on requests: so many in so long."),
    key("timeout", Duration(1), Default("30s"), "How long one request may take, its answer included."),
    key(
        "downlink",
        Choice(&["callback", "direct", "soracom", "none"]),
        Derived("`callback` where a callback token is set, `soracom` for that kind, else `none`"),
        "How downlinks are made.",
    ),
    key(
        "direct_group",
        Boolean,
        Default("false"),
        "Whether `direct` also serves device types with several devices.",
    ),
    key("callback_token", Secret, Nothing, "What the cloud's callbacks must present."),
    key(
        "callback_batch",
        Text,
        Nothing,
        "The pattern of a line in a batch of callbacks, with the cloud's own variables such as `{device};{time}`.",
    ),
];

static FIELD: &[Key] = &[
    key("name", Text, Derived("the field's key"), "What people call it."),
    key("unit", Text, Nothing, "Unit of measurement."),
    key("device_class", Text, Nothing, "Device class of Home Assistant."),
    key(
        "state_class",
        Choice(&["measurement", "measurement_angle", "total", "total_increasing"]),
        Nothing,
        "State class of Home Assistant.",
    ),
    key("precision", Integer(0, 20), Nothing, "Digits after the point that are shown."),
    key("icon", Text, Nothing, "Icon, such as `mdi:water`."),
    key("entity_category", Choice(&["diagnostic", "config"]), Nothing, "Category of the entity."),
];

static STORE: &[Key] = &[
    key("keep", Duration(60), Default("400d"), "How long history is kept."),
    key(
        "max_size",
        Size(1 << 20),
        Default("1GiB"),
        "Most bytes on disk; the oldest history goes first, never what is not yet published.",
    ),
    key("flush", Duration(0), Default("5s"), "Longest time that a polled message may be in memory only."),
    key("cache", Size(64 << 10), Default("8MiB"), "Memory for the store's cache."),
    key("backup", File, Nothing, "A folder for a backup a day; made when it is not there. Absent: none."),
    key("backup_keep", Integer(1, 1000), Default("7"), "How many of them are kept; the oldest go."),
    key("backup_hour", Integer(0, 23), Default("3"), "The hour, in UTC, in which it is written."),
];

static HTTP: &[Key] = &[
    key("listen", Address, Default("127.0.0.1:8080"), "Address and port; port 0 takes a free one."),
    key(
        "token",
        Secret,
        Derived("required unless `listen` is a loopback address"),
        "Asked for by the web page and the API; callbacks have tokens of their own.",
    ),
    key("read_token", Secret, Nothing, "Another token, which lets look at everything and change nothing."),
    key("tls_cert_file", File, Nothing, "Certificate chain in PEM, for https; with `tls_key_file`."),
    key("tls_key_file", File, Nothing, "The certificate's key in PEM."),
    key("metrics", Boolean, Default("true"), "Whether `/metrics` is served."),
    key(
        "tiles",
        Text,
        Nothing,
        "Map tiles that the web page shows: `https://…/{z}/{x}/{y}.png`; without it the map needs no other host.",
    ),
];

static MIRROR: &[Key] = &[
    key("kind", Choice(&["altair"]), Default("altair"), "Which cloud."),
    key("url", Url(&["https", "http"]), Default("https://api.swx.altairone.com"), "Where the API is."),
    key("space", Text, Required, "The space that the things live in."),
    key("client_id", Text, Required, "The client that logs in."),
    key("client_secret", Secret, Required, "Its secret."),
    key("category", Text, Nothing, "The category that the Things are put into; made if it is not there."),
    key("ca_file", File, Derived("the system's certificates"), "A private CA in PEM."),
    key(
        "insecure",
        Boolean,
        Default("false"),
        "Whether certificates go unchecked; only for a private endpoint.",
    ),
    key("prefer", Text, Nothing, "Value of a `Prefer` header, where the service asks for one."),
    key("devices", Texts, Default("*"), "Ids of the devices that are mirrored; `*` and `?` allowed."),
    key("poll", Schedule, Default("10s"), "When actions are looked for."),
    key("rate", Rate, Default("100/10s"), "Own ceiling on requests: so many in so long."),
];
