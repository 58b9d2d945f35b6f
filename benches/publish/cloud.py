"""cloud.py UPLINKS DEVICES SPAN_S [RATE]: a Sigfox cloud (API v2) of one device type that serves its messages, newest first, in
pages of a hundred, as fast as Python can. UPLINKS are spread over the last SPAN_S seconds; RATE more come every second.
Prints its port; `/asked` says when it was asked for messages first and how many there are by now."""

import http.server
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

TYPE = "5f0000000000000000000b01"
UPLINKS, DEVICES, SPAN_MS = int(sys.argv[1]), int(sys.argv[2]), 1000 * int(sys.argv[3])
RATE = int(sys.argv[4]) if len(sys.argv) > 4 else 0
BEGUN_MS = int(time.time() * 1000)
STEP_MS = SPAN_MS / max(UPLINKS, 1)
PAGE = 100
asked = {"first": None}


def device(number):
    return f"{0x100000 + number:X}"


def total(now_ms):
    return UPLINKS + int((now_ms - BEGUN_MS) * RATE / 1000)


def time_ms(number):
    if number < UPLINKS:
        return int(BEGUN_MS - SPAN_MS + number * STEP_MS)
    return BEGUN_MS + (number - UPLINKS) * 1000 // RATE


def last_before(before_ms, many):
    """How many of the messages are not later than this."""
    low, high = 0, many
    while low < high:
        middle = (low + high) // 2
        if time_ms(middle) <= before_ms:
            low = middle + 1
        else:
            high = middle
    return low


def row(number):
    of_device = number // DEVICES
    return (f'{{"device":{{"id":"{device(number % DEVICES)}"}},"time":{time_ms(number)},'
            f'"data":"{of_device % 4000:04x}{number % 100:02x}{3000 + number % 600:04x}8000{number % 256:02x}",'
            f'"rolloverCounter":0,"seqNumber":{of_device % 4096},"nbFrames":3,"lqi":3,"satInfos":[],"rinfos":'
            f'[{{"baseStation":{{"id":"1A2B"}},"rssi":"-1{number % 30:02d}.25","snr":"1{number % 9}.50","delay":1.2}}]}}')


def messages(url):
    question = {name: values[0] for name, values in parse_qs(url.query).items()}
    many = total(int(time.time() * 1000))
    asked["first"] = asked["first"] or time.time()
    end = last_before(int(question["before"]), many) if "before" in question else many
    end -= int(question.get("offset", 0))
    since = int(question.get("since", 0))
    rows = []
    while end > 0 and len(rows) < PAGE and time_ms(end - 1) >= since:
        end -= 1
        rows.append(row(end))
    more = end > 0 and time_ms(end - 1) >= since
    # By number, so that what comes meanwhile moves nothing.
    rest = f"since={since}&before={time_ms(end)}&offset={last_before(time_ms(end), many) - end}"
    paging = f'{{"next":"{PLACE}{url.path}?{rest}"}}' if more else "{}"
    return f'{{"data":[{",".join(rows)}],"paging":{paging}}}'


def devices(url):
    start = int(parse_qs(url.query).get("offset", ["0"])[0])
    rows = [{"id": device(number), "name": f"Meter {number}", "deviceType": {"id": TYPE}, "state": 0}
            for number in range(start, min(start + PAGE, DEVICES))]
    more = start + PAGE < DEVICES
    paging = {"next": f"{PLACE}{url.path}?offset={start + PAGE}"} if more else {}
    return json.dumps({"data": rows, "paging": paging})


class Cloud(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer leave as one packet, at once.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        url = urlsplit(self.path)
        kind = {"id": TYPE, "name": "Meter", "keepAlive": 3600, "payloadType": 2}
        if url.path == "/asked":
            body = json.dumps({"first": asked["first"], "uplinks": total(int(time.time() * 1000))})
        elif url.path.endswith("/device-types"):
            body = json.dumps({"data": [kind], "paging": {}})
        elif url.path.endswith(f"/device-types/{TYPE}"):
            body = json.dumps(kind)
        elif url.path.endswith(f"/device-types/{TYPE}/messages"):
            body = messages(url)
        elif url.path.endswith("/devices"):
            body = devices(url)
        else:
            body = '{"data":[],"paging":{}}'
        body = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
PLACE = f"http://127.0.0.1:{server.server_port}"
print(server.server_port, flush=True)
server.serve_forever()
