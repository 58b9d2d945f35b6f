"""A daemon with a simulated cloud and a broker of its own, for the benches that ask it something."""
import gzip
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

# As many lines as fit into the body of a callback.
LINES = 1000


class Gateway:
    """A daemon and its simulated cloud, with so many devices that it knows."""

    def __init__(self, program, devices):
        self.program, self.devices = pathlib.Path(program).resolve(), devices
        self.folder = tempfile.TemporaryDirectory()
        self.processes = []

    def __enter__(self):
        folder = pathlib.Path(self.folder.name)
        clouds = self.start(["simulate", "--listen", "127.0.0.1:0", "--devices", str(self.devices), "--every", "12h",
                             "--history", "12h", "--no-rate-limits"], folder / "clouds")
        cloud = self.wait(clouds, r"http://127\.0\.0\.1:\d+/v2")
        self.config = folder / "config.toml"
        self.config.write_text(f"""version = 1
[gateway]
id = "bench"
data_dir = "{folder / 'data'}"
[mqtt]
url = "embedded://127.0.0.1:0"
[sources.factory]
kind = "sigfox"
url = "{cloud}"
login = "5f0000000000000000000a91"
password = "simulated"
rate = "5000/10s"
callback_token = "callback"
callback_batch = "{{device}};{{time}};{{seqNumber}};{{data}}"
[http]
listen = "127.0.0.1:0"
""")
        self.config.chmod(0o600)
        daemon = self.start(["--config", self.config, "run"], folder / "daemon")
        address = self.wait(daemon, r"listening for http.*?address=(127\.0\.0\.1:\d+)")
        self.host = address
        # Half of the devices are Soracom's; what counts is that the list stands still.
        known, limit = -1, time.monotonic() + 300
        while time.monotonic() < limit:
            time.sleep(2)
            total, waiting = self.api("/devices?limit=1")["total"], self.api("/outbox")["waiting"]
            if total == known and total > 0 and waiting == 0:
                break
            known = total
        self.known = known
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
            process.wait(30)
        self.folder.cleanup()

    def start(self, arguments, log):
        with open(log, "w") as file:
            self.processes.append(subprocess.Popen([self.program, *arguments], stdout=file, stderr=file,
                                                   env={**os.environ, "NO_COLOR": "1"}))
        return log

    def wait(self, log, pattern):
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            found = re.search(pattern, log.read_text())
            if found:
                return found.group(found.lastindex or 0)
            time.sleep(0.1)
        sys.exit(f"waited in vain for {pattern} in:\n{log.read_text()}")

    def record(self, uplinks):
        """Brings uplinks of (device, seconds, seq, hex) by callback, as fast as they are kept; seconds that it took."""
        connection = http.client.HTTPConnection(self.host)
        began, lines = time.monotonic(), []
        for uplink in uplinks:
            lines.append(";".join(map(str, uplink)))
            if len(lines) == LINES:
                self.send(connection, lines)
                lines = []
        if lines:
            self.send(connection, lines)
        return time.monotonic() - began

    @staticmethod
    def send(connection, lines):
        headers = {"Authorization": "Bearer callback"}
        connection.request("POST", "/callback/factory/uplink", "\n".join(lines), headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300:
            sys.exit(f"the callback is answered with {answer.status}")

    def api(self, path):
        return json.loads(self.get(f"/api/v1{path}")[1])

    def get(self, path, connection=None):
        """Bytes on the wire, and what they say."""
        connection = connection or http.client.HTTPConnection(self.host)
        connection.request("GET", path, headers={"Accept-Encoding": "gzip", "Accept": "text/html, */*"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{path} is answered with {answer.status}")
        whole = gzip.decompress(body) if answer.getheader("Content-Encoding") == "gzip" else body
        return len(body), whole

    def a_device(self):
        """One with values, and the bytes that it sent last."""
        devices = self.api("/devices?limit=1000")["devices"]
        device = next(device["id"] for device in devices if device["fields"])
        return device, self.api(f"/devices/{device}/uplinks?limit=1")["uplinks"][0]["data"]


def program():
    """That of the command line, else the release build."""
    root = pathlib.Path(__file__).resolve().parent.parent
    built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"), "release/sigfox2mqtt")
    return pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else built).resolve()
