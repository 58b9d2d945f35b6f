"""A bare MQTT 5 client: it sends packets that were recorded, byte for byte, as fast as the broker acknowledges them. It decodes
nothing, keeps nothing and makes no document, so that what limits it is the broker and the kernel."""

import socket
import struct
import time


def length_of(count):
    out = bytearray()
    while True:
        count, byte = divmod(count, 128)
        out.append(byte | (0x80 if count else 0))
        if not count:
            return bytes(out)


def string(text):
    return struct.pack(">H", len(text)) + text.encode()


def head_of(packet, start):
    """Where the packet's own part begins, and where the packet ends."""
    length, shift, place = 0, 0, start + 1
    while True:
        byte = packet[place]
        length |= (byte & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if not byte & 0x80:
            return place, place + length


def publishes(recorded):
    """The QoS 1 publishes of a recorded client, each with the place of its packet id and its topic."""
    place, found = 0, []
    while place < len(recorded):
        body, end = head_of(recorded, place)
        if recorded[place] >> 4 == 3 and recorded[place] & 0b110:
            topic_end = body + 2 + struct.unpack_from(">H", recorded, body)[0]
            found.append((bytearray(recorded[place:end]), topic_end - place, bytes(recorded[body + 2:topic_end])))
        place = end
    return found


def connect(port, name):
    """A connection, and how many publishes the broker lets be unanswered."""
    body = string("MQTT") + bytes([5, 2]) + struct.pack(">H", 60) + b"\0" + string(name)
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(bytes([0x10]) + length_of(len(body)) + body)
    answer = connection.recv(4096)
    assert answer[0] == 0x20 and answer[3] == 0, answer
    window, place, end = 65535, 5, len(answer)
    while place < end:
        name = answer[place]
        if name == 0x21:
            window = struct.unpack_from(">H", answer, place + 1)[0]
        place += {0x21: 3, 0x22: 3, 0x13: 3, 0x24: 2, 0x25: 2, 0x27: 5, 0x11: 5, 0x28: 2, 0x29: 2, 0x2A: 2}.get(name, end)
    return connection, window


def send(port, messages, most):
    """Sends the publishes with at most so many unanswered; gives the seconds until all are acknowledged."""
    connection, window = connect(port, "bare")
    window = min(window, most)
    packets = []
    for number, (packet, place, _topic) in enumerate(messages):
        struct.pack_into(">H", packet, place, number % 60000 + 1)
        packets.append(bytes(packet))
    sent = acknowledged = 0
    begun = time.monotonic()
    left = b""
    while acknowledged < len(packets):
        room = window - (sent - acknowledged)
        if room > 0 and sent < len(packets):
            connection.sendall(b"".join(packets[sent:sent + room]))
            sent = min(sent + room, len(packets))
        left += connection.recv(1 << 16)
        place = 0
        while place + 2 <= len(left) and place + 2 + left[place + 1] <= len(left):
            acknowledged += left[place] >> 4 == 4
            place += 2 + left[place + 1]
        left = left[place:]
    took = time.monotonic() - begun
    connection.close()
    return took
