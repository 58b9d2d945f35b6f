"""bridge.py CLOUD BROKER_PORT UPLINKS: what many a site has instead of a gateway: it asks a Sigfox cloud for the messages of all
device types, decodes them, and publishes each with QoS 1. It keeps nothing: what it holds when it ends is lost."""

import json
import struct
import sys
import time
import urllib.request

import paho.mqtt.client as mqtt

CLOUD, BROKER_PORT, UPLINKS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
LINK_QUALITY = ["limit", "average", "good", "excellent"]


def get(url):
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def pages(url):
    while url:
        page = get(url)
        yield page["data"]
        url = page["paging"].get("next")


def document(message):
    temperature, humidity, battery, alarm = struct.unpack(">hBHB", bytes.fromhex(message["data"])[:6])
    best = max(message["rinfos"], key=lambda station: float(station["rssi"]))
    return json.dumps({
        "device": message["device"]["id"],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(message["time"] / 1000)),
        "seq": message["seqNumber"],
        "data": message["data"],
        "fields": {"temperature": temperature / 100, "humidity": humidity, "battery_voltage": battery / 1000,
                   "alarm": bool(alarm & 0x80)},
        "lqi": LINK_QUALITY[message["lqi"]],
        "rssi": float(best["rssi"]),
        "snr": float(best["snr"]),
        "stations": len(message["rinfos"]),
    })


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="bridge", protocol=mqtt.MQTTv5)
client.max_queued_messages_set(0)
client.max_inflight_messages_set(100)
client.connect("127.0.0.1", BROKER_PORT)
client.loop_start()
seen, waiting = set(), []
while len(seen) < UPLINKS:
    for kind in get(f"{CLOUD}/v2/device-types")["data"]:
        for rows in pages(f"{CLOUD}/v2/device-types/{kind['id']}/messages?limit=100"):
            for message in rows:
                key = (message["device"]["id"], message["time"], message["seqNumber"])
                if key not in seen:
                    seen.add(key)
                    topic = f"bridge/device/{key[0]}/event/up"
                    waiting.append(client.publish(topic, document(message), qos=1))
for publish in waiting:
    publish.wait_for_publish()
client.disconnect()
client.loop_stop()
