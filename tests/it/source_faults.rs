//! What can go wrong between a gateway and its clouds, and where it strikes.

/// What strikes. `huge` is larger than any answer that is read to its end; one `timeout` ends with a cut after a second,
/// the other with our own patience after two; `loop` and `elsewhere` find no link to bend in lists of a single page.
const FAULTS: [&str; 16] = [
    "429",
    "401",
    "500",
    "badrow",
    "429=1",
    "timeout=1",
    "403",
    "drop",
    "loop",
    "truncate",
    "html",
    "huge",
    "timeout",
    "503=1",
    "elsewhere",
    "slow=1",
];

/// Where it strikes, by source: messages, inventory, locations, reports, sessions.
const PATHS: [&[&str]; 3] = [
    &[
        "/v2/device-types/5f000000000000000000000a/messages",
        "/v2/device-types/5f000000000000000000000d/messages",
        "/v2/device-types?",
        "/v2/devices?",
        "/v2/devices/A1/locations",
        "/v2/device-types/5f000000000000000000000a/callbacks-not-delivered",
    ],
    &[
        "/api/devicetypes/5f000000000000000000000b/messages",
        "/api/devicetypes/5f000000000000000000000d/messages",
        "/api/devicetypes?",
        "/api/devicetypes/5f000000000000000000000b/devices",
        "/api/devices/B1/locations",
        "/api/devicetypes/5f000000000000000000000b/status/error",
        "/api/devicetypes/5f000000000000000000000b/status/warn",
        "/api/callbacks/messages/error",
    ],
    &["/data", "/v1/sigfox_devices", "/v1/auth"],
];

/// The source of a path that begins a session.
const SORACOM: usize = 2;

/// One fault of a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strike {
    /// Which source it strikes.
    pub(crate) source: usize,
    kind: &'static str,
    path: &'static str,
    count: u32,
}

impl Strike {
    /// As a line of the simulator's script, and how often it strikes.
    pub(crate) fn line(self) -> (String, usize) {
        (format!("{}:{}:{}", self.kind, self.path, self.count), usize::try_from(self.count).unwrap())
    }

    /// Whether it can only strike when a session is begun.
    pub(crate) fn wants_a_session(self) -> bool {
        self.path == "/v1/auth"
    }

    /// Whether the source must say that it is locked out: Soracom's 401 only says that the token has ended, unless it
    /// is the answer to who asks for another.
    pub(crate) fn locks_out(self) -> bool {
        self.kind == "401" && (self.source != SORACOM || self.wants_a_session())
    }

    /// Whether what it strikes is left alone until a person asks again.
    pub(crate) fn wants_a_person(self) -> bool {
        ["401", "403"].contains(&self.kind)
    }
}

/// How many rounds it takes until each kind has struck each source.
pub(crate) const ROUNDS: usize = FAULTS.len();

/// Each kind once at each source, at one of its paths after the other. Different ones at once: what ails one source is
/// not to hinder another.
pub(crate) fn each_once(round: usize) -> Vec<Strike> {
    let strike = |source: usize| {
        let paths = PATHS[source];
        let kind = FAULTS[(round + 4 * source) % FAULTS.len()];
        Strike { source, kind, path: paths[round % paths.len()], count: 1 }
    };
    (0..PATHS.len()).map(strike).collect()
}

/// Two faults at random at each source; whoever is locked out by the first is spared the second, and so is who begins a
/// session, for one that was begun is not begun again.
pub(crate) fn at_random(rng: &mut fastrand::Rng) -> Vec<Strike> {
    let mut strikes = Vec::new();
    for source in 0..PATHS.len() {
        for _ in 0..2 {
            let kind = FAULTS[rng.usize(..FAULTS.len())];
            let path = PATHS[source][rng.usize(..PATHS[source].len())];
            let mut strike = Strike { source, kind, path, count: 1 };
            // A source that is locked out asks once a minute at most, and one that got in all the same not again.
            if !strike.wants_a_person() && !strike.wants_a_session() {
                strike.count = rng.u32(1..=3);
            }
            strikes.push(strike);
            if strike.wants_a_person() || strike.wants_a_session() {
                break;
            }
        }
    }
    strikes
}
