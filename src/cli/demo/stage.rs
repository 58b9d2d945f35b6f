//! What the demo is made of: free addresses, a folder of its own, simulated clouds, a configuration.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use crate::clock;
use crate::config::{Config, Environment, Mqtt};
use crate::simulate::{
    CallbackTarget, Device, Logins, Options, Pace, SENSIT_TYPE, Scenario, Simulator, WEATHER_TYPE,
};

/// Ten minutes of a device last twenty seconds, so that twenty devices make a line a second.
const SPEED: f64 = 30.0;
/// The gateway has read what devices there are when the first of them sends.
const HEAD_START: Duration = Duration::from_millis(1500);
/// What the clouds remember at the start, for the web page's charts.
const HISTORY: Duration = Duration::from_secs(24 * 3600);
/// A day lasts 48 minutes here, too short for people who try downlinks one after the other.
const DAILY_DOWNLINKS: u32 = 100;

/// The demo before its curtain.
pub(super) struct Stage {
    /// What the gateway is told to do.
    pub(super) config: Config,
    /// The broker as clients reach it.
    pub(super) broker: Mqtt,
    /// The clouds, not yet serving.
    pub(super) simulator: Simulator,
    /// Where the store lies.
    pub(super) folder: Folder,
    addresses: Addresses,
    /// A device that asks for downlinks with every uplink: its id and name.
    asking: (String, String),
}

#[derive(Clone, Copy)]
struct Addresses {
    broker: Address,
    web: Address,
}

impl Stage {
    /// Takes the usual addresses, or free ones where they are taken.
    pub(super) async fn build() -> anyhow::Result<Self> {
        let addresses = Addresses { broker: Address::near(1883)?, web: Address::near(8080)? };
        let token = format!("{:032x}", fastrand::u128(..));
        let target: CallbackTarget = format!("http://{}/callback/sigfox", addresses.web.taken).parse()?;
        let scenario = Scenario {
            pace: Pace::new(SPEED)?,
            callbacks: Some((target, Some(token.clone()))),
            daily_downlinks: DAILY_DOWNLINKS,
            history: HISTORY,
            soracom_alone: true,
            ..Scenario::default()
        };
        let world = scenario.build(clock::now()).head_start(HEAD_START);
        let often =
            |device: &&Device| device.schedule.as_ref().is_some_and(|schedule| schedule.asks_every == 1);
        let asking = world.devices().find(often).context("no device asks for downlinks")?;
        let asking = (asking.id.to_string(), asking.name.clone());
        let at_soracom: Vec<String> =
            world.devices().filter(|device| !device.in_sigfox).map(|device| device.id.to_string()).collect();
        let options = Options { rate_limits: false, ..Options::default() };
        let simulator = Simulator::bind(world, options).await?;
        let folder = Folder::make()?;
        let config = configuration(&folder.path, simulator.local_addr(), addresses, &token, &at_soracom)?;
        let url = format!("mqtt://{}", addresses.broker.taken).parse()?;
        let broker = Mqtt { url, ..config.mqtt.clone() };
        Ok(Self { config, broker, simulator, folder, addresses, asking })
    }

    /// What a person is told at the start.
    pub(super) fn program(&self) -> String {
        let Addresses { broker, web } = self.addresses;
        let (host, port, base) = (broker.taken.ip(), broker.taken.port(), &self.config.mqtt.base);
        let (id, name) = &self.asking;
        let mut moved = String::new();
        for (what, address) in [("broker", broker), ("listener", web)] {
            if address.taken.port() != address.usual {
                moved.push_str(&format!(
                    "Port {} is taken, so the {what} is on port {}.\n",
                    address.usual,
                    address.taken.port()
                ));
            }
        }
        format!(
            "The clouds of Sigfox and Soracom, simulated, a broker and the gateway run on this machine.\n{moved}\n\
             Look at the web page:\n  http://{web}/\n\
             Watch the messages:\n  mosquitto_sub -h {host} -p {port} -t '{base}/#' -v\n\
             Send a downlink to {name}, which asks for one with every uplink:\n  \
             mosquitto_pub -h {host} -p {port} -t {base}/device/{id}/downlink/push -m '{{\"data\":\"0123456789abcdef\"}}'\n\
             Ask the gateway how it does:\n  curl http://{web}/readyz\n\
             Look behind the stage of the clouds:\n  http://{cloud}/sim/state\n\nCtrl-C ends it.\n\n",
            web = web.taken,
            cloud = self.simulator.local_addr(),
        )
    }
}

/// The weather monitors' payload with units, and a downlink that a person can fill in.
const WEATHER_DECODER: &str = r#"[decoders.weather]
format = """status::uint:8 temperature::int:16:little-endian:/100 housing::int:16:little-endian:/100 \
  pressure::uint:16:little-endian:/10 humidity::uint:16:little-endian:/100 light::uint:16:little-endian last::uint:8"""
encode = "interval:0:uint:16 alarm:2:bool:7"
[decoders.weather.fields]
temperature = { unit = "°C", device_class = "temperature", precision = 1 }
housing = { name = "housing temperature", unit = "°C", device_class = "temperature", precision = 1 }
pressure = { unit = "hPa", device_class = "atmospheric_pressure", precision = 1 }
humidity = { unit = "%", device_class = "humidity", precision = 0 }
light = { unit = "lx", device_class = "illuminance" }
last = { name = "last message" }
"#;

fn configuration(
    folder: &Path,
    cloud: SocketAddr,
    addresses: Addresses,
    token: &str,
    at_soracom: &[String],
) -> anyhow::Result<Config> {
    let Logins { login, password, auth_key_id, auth_key, .. } = Logins::default();
    // Soracom knows no device types: each of its devices names its decoder.
    let devices: String =
        at_soracom.iter().map(|id| format!("[devices.{id}]\ndecoder = \"sensit-v3\"\n")).collect();
    let data_dir = toml::Value::from(folder.to_string_lossy().into_owned());
    let text = format!(
        r#"version = 1
[gateway]
id = "demo"
data_dir = {data_dir}
[mqtt]
url = "embedded://{broker}"
[sources.sigfox]
kind = "sigfox"
url = "http://{cloud}/v2"
login = "{login}"
password = "{password}"
poll = "2s"
locations = "10s"
inventory = "30s"
callback_token = "{token}"
[sources.soracom]
kind = "soracom"
url = "http://{cloud}/v1"
auth_key_id = "{auth_key_id}"
auth_key = "{auth_key}"
poll = "2s"
inventory = "30s"
[device_types.{SENSIT_TYPE}]
decoder = "sensit-v3"
[device_types.{WEATHER_TYPE}]
decoder = "weather"
{WEATHER_DECODER}{devices}[downlink]
daily_limit = {DAILY_DOWNLINKS}
[http]
listen = "{web}"
"#,
        broker = addresses.broker.taken,
        web = addresses.web.taken,
    );
    // Variables that are meant for a gateway of this machine are not meant for the demo.
    let environment = Environment { variables: BTreeMap::new(), host_name: "demo".to_owned() };
    let loaded =
        Config::parse(&text, "demo", folder, &environment).map_err(|problems| anyhow!("{problems}"))?;
    Ok(loaded.config)
}

/// An address on loopback at the usual port, or at a free one.
#[derive(Clone, Copy)]
struct Address {
    usual: u16,
    taken: SocketAddr,
}

impl Address {
    fn near(usual: u16) -> anyhow::Result<Self> {
        let try_port =
            |port| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
        let taken = try_port(usual).or_else(|_taken| try_port(0)).context("no free port on 127.0.0.1")?;
        Ok(Self { usual, taken })
    }
}

/// A folder that is there as long as the demo is.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("sigfox2mqtt-demo-{:016x}", fastrand::u64(..)));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self { path })
    }

    /// Removes it; what cannot be removed, the system will with its other temporary files.
    pub(super) fn remove(self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_left_and_another_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let usual = taken.local_addr().unwrap().port();
        let address = Address::near(usual).unwrap();
        assert_ne!(address.taken.port(), usual);
    }

    #[tokio::test]
    async fn the_stage_is_set_with_a_configuration_that_holds() {
        let stage = Stage::build().await.unwrap();
        let program = stage.program();
        assert!(program.contains("mosquitto_sub -h 127.0.0.1 -p "), "{program}");
        assert!(program.contains(&format!("/device/{}/downlink/push", stage.asking.0)), "{program}");
        assert_eq!((stage.config.sources.len(), stage.config.devices.len()), (2, 3));
        let interval = Duration::from_secs(600).div_f64(SPEED);
        assert!(interval / 20 <= Duration::from_secs(1), "a line a second, not one in {interval:?}");
        stage.folder.remove();
    }
}
