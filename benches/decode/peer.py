"""The payload of HARDWARIO's climate monitor in Python: peer.py HEX PAYLOADS prints nanoseconds of processor time a payload."""
import json
import struct
import sys
import time

LAYOUT = struct.Struct("<BhBHH")


def decode(payload):
    header, temperature, humidity, illuminance, pressure = LAYOUT.unpack(payload)
    return {
        "header": header,
        "temperature": temperature / 2,
        "humidity": humidity / 2,
        "illuminance": illuminance * 2,
        "pressure": pressure * 2,
    }


payload, payloads = bytes.fromhex(sys.argv[1]), int(sys.argv[2])
written = 0
start = time.process_time_ns()
for _ in range(payloads):
    written += len(json.dumps(decode(payload)))
took = time.process_time_ns() - start
assert written
print(took / payloads)
