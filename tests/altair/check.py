"""A gateway mirrors a simulated cloud into a simulated studio; the vendor's client looks at what came of it."""

import json
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from iots import API

SPACE = "simulated"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait(what: str, found, seconds: float = 60.0):
    end = time.monotonic() + seconds
    while True:
        result = found()
        if result:
            return result
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for: {what}")
        time.sleep(0.2)


def run(log: pathlib.Path, *command: str) -> subprocess.Popen:
    with open(log, "a") as file:
        return subprocess.Popen(command, stdout=file, stderr=file)


def requests(cloud: int, ending: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{cloud}/sim/requests") as answer:
        return sum(count for path, count in json.load(answer).items() if path.endswith(ending))


def things(space) -> list:
    """All Things, by pages of four; the client goes on by the cursor."""
    return list(space.things().get(params={"limit": 4}))


def check(program: str, folder: pathlib.Path, children: list) -> None:
    broker, cloud, http = free_port(), free_port(), free_port()
    config = folder / "config.toml"
    config.write_text(f"""version = 1
[gateway]
id = "gw1"
data_dir = "{folder}/data"
[mqtt]
url = "embedded://127.0.0.1:{broker}"
[http]
listen = "127.0.0.1:{http}"
[sources.simulated]
kind = "sigfox"
url = "http://127.0.0.1:{cloud}/v2"
login = "5f0000000000000000000a91"
password = "simulated"
poll = "1s"
callback_token = "token"
[mirrors.studio]
url = "http://127.0.0.1:{cloud}"
space = "{SPACE}"
client_id = "client-simulated"
client_secret = "secret-simulated"
category = "sigfox"
poll = "1s"
""")
    config.chmod(0o600)
    children.append(run(folder / "log", program, "simulate", "--listen", f"127.0.0.1:{cloud}", "--devices", "10", "--every",
                        "5s", "--history", "5m", "--no-rate-limits", "--callback-token", "token", "--callback-url",
                        f"http://127.0.0.1:{http}/callback/simulated"))
    wait("the studio", lambda: reachable(cloud))

    def start() -> subprocess.Popen:
        children.append(run(folder / "log", program, "--config", str(config), "run"))
        return children[-1]

    gateway = start()
    api = API(host=f"http://127.0.0.1:{cloud}").set_credentials("client-simulated", "secret-simulated", ["thing", "category"])
    space = api.spaces(SPACE)
    known = wait("ten Things", lambda: (found := things(space)) and len(found) == 10 and found)
    markers = {thing.status["sigfoxId"]: thing.uid for thing in known}
    assert len(markers) == 10, markers
    print(f"the client reads {len(known)} Things over {-(-len(known) // 4)} pages, each with its own sigfoxId")
    in_category = list(api.spaces(SPACE).categories("sigfox").things().get())
    assert {thing.uid for thing in in_category} == {thing.uid for thing in known}
    print(f"the category {space.categories('sigfox').get().name} has all of them")

    def with_fields():
        return next((thing for thing in things(space) if "temp1" in (thing.status or {})), None)

    thing = wait("a weather monitor", with_fields)
    properties = space.things(thing.uid).properties().get()
    print(f"properties of {thing.title}: {json.dumps(json.loads(properties.json()), sort_keys=True)[:300]}")
    path = f"/spaces/{SPACE}/things/{thing.uid}/properties-history"
    history = api.make_request("GET", path, params={"limit": 1000}).json()["data"]
    times = [moment["at"] for moment in history]
    assert len(times) == len(set(times)) > 5, times
    print(f"its history has {len(times)} moments, none twice")

    gateway.kill()
    gateway.wait()
    shutil.rmtree(folder / "data")
    gateway = start()
    first = f"http://127.0.0.1:{http}/readyz"
    wait("the gateway", lambda: ready(first))
    time.sleep(4)
    again = {found.status["sigfoxId"]: found.uid for found in things(space)}
    assert again == markers and len(things(space)) == 10
    print("after kill -9 and the loss of its store the same Things are used")

    asking = next(found for found in things(space) if found.title == "Weather Orchard")
    call = space.things(asking.uid).actions("downlink")
    calls = [(text, call.create({"downlink": {"input": text}}), end) for text, end in [
        ("0123456789abcdef", "completed"), ("01 23", "failed")]]

    def ended(made):
        action = action_id(made)
        said = json.loads(space.things(asking.uid).actions("downlink", action).get().json())["downlink"]
        # The client's model leaves out what an action gave.
        path = f"/spaces/{SPACE}/things/{asking.uid}/actions/downlink/{action}"
        said["output"] = api.make_request("GET", path).json()["downlink"].get("output")
        return said if said["status"] in ("completed", "failed") else None

    for text, made, expected in reversed(calls):
        said = wait(f"a call to be {expected}", lambda: ended(made))
        assert said["status"] == expected, said
        print(f"a call with \"{text}\" is {said['status']}: {json.dumps(said['output'])}")

    space.things(thing.uid).delete()
    made = wait("the Thing to be made anew", lambda: next(
        (found for found in things(space) if found.status["sigfoxId"] == thing.status["sigfoxId"]), None))
    assert made.uid != thing.uid
    print("a Thing that was deleted by hand is made anew")

    revoked = requests(cloud, "/oauth2/revoke")
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(30) == 0
    assert requests(cloud, "/oauth2/revoke") == revoked + 1
    print("the gateway ended in order and gave its token back")
    api.revoke_token()


def action_id(made) -> str:
    return json.loads(made.json())["downlink"]["href"].rsplit("/", 1)[1]


def reachable(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def ready(url: str) -> bool:
    try:
        return urllib.request.urlopen(url).status == 200
    except OSError:
        return False


def main() -> None:
    children: list = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            check(sys.argv[1], pathlib.Path(folder), children)
        except BaseException:
            print((pathlib.Path(folder) / "log").read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            for child in children:
                if child.poll() is None:
                    child.kill()
                    child.wait()


main()
