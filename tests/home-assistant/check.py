"""Drives Home Assistant as a person would, and says what it saw. Started by `run`."""

import asyncio
import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import aiohttp
from homeassistant.const import __version__ as HOME_ASSISTANT

PROGRAM, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
LOGIN, PASSWORD = "5f0000000000000000000a91", "simulated"
# Who speaks of our messages. Integrations that a first start looks for and this installation has not are not among them.
OURS = re.compile(r"mqtt|sigfox|components\.(sensor|binary_sensor|device_tracker|text|button|recorder)", re.I)
# Said once a device when its discovery goes from `device` to `component`, as nothing is left to be removed.
EXPECTED = re.compile(r"No device components to cleanup for sigfox2mqtt_home")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def process(name: str, *command: str, env: dict | None = None):
    """A process that ends with the block; its output is kept."""
    with (FOLDER / f"{name}.log").open("w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


async def until(what: str, condition, seconds: float = 120):
    """Waits until a condition gives something, and gives that."""
    end = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for: {what}")
        await asyncio.sleep(0.5)


def configuration(path: pathlib.Path, mode: str, broker: int, cloud: int, http: int, silent: str) -> None:
    path.write_text(f"""version = 1
[gateway]
id = "home"
data_dir = "{path.parent}/data"
[mqtt]
url = "mqtt://127.0.0.1:{broker}"
[mqtt.discovery]
mode = "{mode}"
[http]
listen = "127.0.0.1:{http}"
[sources.factory]
kind = "sigfox"
url = "http://127.0.0.1:{cloud}/v2"
login = "{LOGIN}"
password = "{PASSWORD}"
callback_token = "callback-token"
poll = "2s"
locations = "10s"
[devices.{silent}]
expected_interval = "1m"
""")
    path.chmod(0o600)


class Home:
    """Home Assistant through its REST and websocket APIs."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str):
        self.session, self.url = session, url
        self.headers = {"Authorization": f"Bearer {token}"}
        self.token = token

    @classmethod
    async def onboard(cls, session: aiohttp.ClientSession, url: str) -> "Home":
        """Makes the first user, as the first page that a person sees does."""
        client = f"{url}/"
        person = {"client_id": client, "name": "Test", "username": "test", "password": "test", "language": "en"}
        async with session.post(f"{url}/api/onboarding/users", json=person) as answer:
            code = (await answer.json())["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": client}
        async with session.post(f"{url}/auth/token", data=form) as answer:
            home = cls(session, url, (await answer.json())["access_token"])
        for step in ("core_config", "analytics"):
            await home.post(f"/api/onboarding/{step}", {})
        return home

    async def get(self, path: str):
        async with self.session.get(self.url + path, headers=self.headers) as answer:
            return await answer.json()

    async def post(self, path: str, body: dict):
        async with self.session.post(self.url + path, headers=self.headers, json=body) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{path}: {answer.status} {text}"
            return json.loads(text)

    async def add_mqtt(self, port: int) -> str:
        """Sets up the integration by its form; gives the entry's id."""
        flow = await self.post("/api/config/config_entries/flow", {"handler": "mqtt"})
        if flow["type"] == "menu":
            flow = await self.post(f"/api/config/config_entries/flow/{flow['flow_id']}", {"next_step_id": "broker"})
        form = {"broker": "127.0.0.1", "port": port}
        done = await self.post(f"/api/config/config_entries/flow/{flow['flow_id']}", form)
        assert done["type"] == "create_entry", done
        return done["result"]["entry_id"]

    async def states(self) -> dict:
        return {state["entity_id"]: state for state in await self.get("/api/states")}

    async def ask(self, message: dict):
        """One question over the websocket."""
        async with self.session.ws_connect(f"{self.url}/api/websocket") as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self.token})
            await socket.receive_json()
            await socket.send_json({"id": 1, **message})
            answer = await socket.receive_json()
            assert answer["success"], answer
            return answer["result"]

    async def ours(self) -> list[dict]:
        entities = await self.ask({"type": "config/entity_registry/list"})
        return [entity for entity in entities if entity["platform"] == "mqtt"]


def devices(cloud: int) -> list[dict]:
    """The simulated devices, those heard longest ago first."""
    credentials = base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{cloud}/v2/devices?limit=100", headers={"Authorization": f"Basic {credentials}"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        rows = json.load(answer)["data"]
    return sorted(rows, key=lambda row: row.get("lastCom") or 0)


async def main(folder: pathlib.Path, ports: dict[str, int]) -> None:
    config = folder / "config.toml"
    rows = devices(ports["cloud"])
    # Heard longest ago, and expected every minute: missing by twelve minutes.
    silent, others = rows[0]["id"], [row["id"] for row in rows[1:]]
    age = time.time() - rows[0]["lastCom"] / 1000
    assert age > 750, f"{silent} was heard {age:.0f} s ago"

    def gateway(mode: str):
        configuration(config, mode, ports["broker"], ports["cloud"], ports["http"], silent)
        return process(f"gateway-{mode}", PROGRAM, "--config", str(config), "--log", "info", "run")

    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{ports['home']}"

        async def answers():
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/api/onboarding") as answer:
                    return answer.status == 200

        await until("Home Assistant to answer", answers)
        home = await Home.onboard(session, url)
        entry = await home.add_mqtt(ports["broker"])
        say(f"Home Assistant {HOME_ASSISTANT}: MQTT is set up")

        def slug(device: str, key: str) -> str:
            return f"sigfox2mqtt_home_{device}_{key}"

        async def state(unique: str, wanted) -> dict | None:
            found = next((e for e in await home.ours() if e["unique_id"] == unique), None)
            now = found and (await home.states()).get(found["entity_id"])
            return now if now and wanted(now) else None

        async def expect(what: str, unique: str, wanted) -> dict:
            found = await until(f"{unique}: {what}", lambda: state(unique, wanted))
            say(f"{what}: {found['entity_id']} = {found['state']}")
            return found

        def is_known(now: dict) -> bool:
            return now["state"] not in ("unknown", "unavailable")

        kept = None
        for mode in ("device", "component", "device"):
            with gateway(mode):
                await expect("the gateway is connected", "sigfox2mqtt_home_connectivity", lambda n: n["state"] == "on")
                await expect("its source does well", "sigfox2mqtt_home_source_factory", lambda n: n["state"] == "off")
                for device in (others[0], others[1]):
                    await expect("a device was heard", slug(device, "last_seen"), is_known)
                await expect("a missing device is unavailable", slug(silent, "last_seen"),
                             lambda n: n["state"] == "unavailable")

                async def values():
                    ids = {e["entity_id"]: e["unique_id"] for e in await home.ours()}
                    now = await home.states()
                    known = [i for i, u in ids.items() if "_field_" in u and i in now and is_known(now[i])]
                    placed = [i for i in ids if i.startswith("device_tracker.") and "latitude" in now.get(i, {}).get("attributes", {})]
                    return (known, placed) if len(known) >= 20 and placed else None

                known, placed = await until("values and positions", values)
                now = await home.states()
                say(f"{len(known)} fields have values, such as {known[0]} = {now[known[0]]['state']}"
                    f" {now[known[0]]['attributes'].get('unit_of_measurement', '')}")
                say(f"{len(placed)} devices are on the map, such as {placed[0]} at"
                    f" {now[placed[0]]['attributes']['latitude']}, {now[placed[0]]['attributes']['longitude']}")
                names = sorted((e["unique_id"], e["entity_id"]) for e in await home.ours())
                if kept is None:
                    kept = names
                    await downlink(home, entry, others[0], slug, expect)
                    kept = sorted((e["unique_id"], e["entity_id"]) for e in await home.ours())
                    button = next(e for e in await home.ours() if e["unique_id"] == "sigfox2mqtt_home_sync")
                    await home.post("/api/services/button/press", {"entity_id": button["entity_id"]})
                    say("sync now is pressed")
                else:
                    assert names == kept, set(names) ^ set(kept)
                    say(f"mode {mode}: all {len(names)} entities are the same as before")
            await expect("the gateway is gone", "sigfox2mqtt_home_connectivity", lambda n: n["state"] == "off")
            await expect("and so is what it told", slug(others[0], "last_seen"), lambda n: n["state"] == "unavailable")


async def downlink(home: Home, entry: str, device: str, slug, expect) -> None:
    """Enables the text entity and sends eight bytes with it."""
    text = next(e for e in await home.ours() if e["unique_id"] == slug(device, "downlink_push"))
    assert text["disabled_by"] == "integration", text
    await home.ask({"type": "config/entity_registry/update", "entity_id": text["entity_id"], "disabled_by": None})
    await home.post(f"/api/config/config_entries/entry/{entry}/reload", {})
    await expect("the text entity is there", slug(device, "downlink_push"), lambda n: n["state"] != "unavailable")
    await home.post("/api/services/text/set_value", {"entity_id": text["entity_id"], "value": "0123456789abcdef"})
    await expect("a downlink from Home Assistant is queued", slug(device, "downlink"), lambda n: n["state"] == "queued")


def complaints(log: pathlib.Path) -> list[str]:
    lines = log.read_text().splitlines()
    said = [line for line in lines if re.search(r"\b(WARNING|ERROR|CRITICAL)\b", line)]
    return [line for line in said if OURS.search(line) and not EXPECTED.search(line)]


with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    ports = {name: free_port() for name in ("broker", "cloud", "http", "home")}
    (folder / "mosquitto.conf").write_text(f"user root\nlistener {ports['broker']} 127.0.0.1\nallow_anonymous true\n")
    home = FOLDER / "configuration"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    (home / "configuration.yaml").write_text(
        f"homeassistant:\n  name: Test\n  time_zone: UTC\n  unit_system: metric\n"
        f"http:\n  server_host: 127.0.0.1\n  server_port: {ports['home']}\nconfig:\napi:\nonboarding:\n"
        f"logger:\n  default: warning\n"
    )
    hass = [sys.executable, "-m", "homeassistant", "-c", str(home), "--skip-pip"]
    with (
        process("mosquitto", "mosquitto", "-c", str(folder / "mosquitto.conf")),
        process("cloud", PROGRAM, "simulate", "--listen", f"127.0.0.1:{ports['cloud']}", "--no-rate-limits",
                "--devices", "20", "--every", "20m", "--history", "6h"),
        process("home-assistant", *hass, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}),
    ):
        time.sleep(1)
        asyncio.run(main(folder, ports))
    found = complaints(home / "home-assistant.log")
    say(f"its log has {len(found)} warnings or errors about what we sent")
    print("\n".join(found[:20]))
    sys.exit(1 if found else 0)
