"""The cases that a WebSocket server has to get right, one after the other: websocket_cases.py <none|deflate>

They are those that the conformance suites of WebSocket libraries consist of: framing, pings, reserved bits, opcodes,
fragmentation, UTF-8, closing, sizes and compression. What comes back is read and judged by wsproto. As a relay of the
Pusher protocol echoes nothing, what is to arrive is sent as a client event, and comes out at a second connection.

CLIENT_TEST names the server. Each line of output is a case: its name, and "ok" or what was wrong.
"""

import codecs
import hashlib
import hmac
import itertools
import json
import os
import socket
import ssl
import struct
import sys
import zlib

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message, Ping, Pong, Request, TextMessage
from wsproto.extensions import PerMessageDeflate

SETTINGS = json.loads(os.environ["CLIENT_TEST"])
CHANNEL = f"private-cases{SETTINGS['tag']}"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
SYNC_FLUSH_END = b"\x00\x00\xff\xff"
PATIENCE_SECONDS = 20


class Wrong(Exception):
    """The server did something that it should not do."""


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True, length=None):
    """A frame as a client sends it; `length` is what is announced, where it is not the truth."""
    announced = len(payload) if length is None else length
    head = bytes([(fin << 7) | (rsv << 4) | opcode])
    mask_bit = masked << 7
    if announced < 126:
        head += bytes([mask_bit | announced])
    elif announced < 65536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", announced)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", announced)
    if not masked:
        return head + payload
    key = os.urandom(4)
    keys = (key * (len(payload) // 4 + 1))[: len(payload)]
    masked_payload = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
    return head + key + masked_payload.to_bytes(len(payload), "big")


def fragments(payload, size, opcode=TEXT, rsv=0):
    """A message in frames of so many bytes."""
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    last = len(pieces) - 1
    return [
        frame(opcode if index == 0 else CONTINUATION, piece, index == last, rsv if index == 0 else 0)
        for index, piece in enumerate(pieces)
    ]


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


class Connection:
    """A connection to the relay, read by wsproto. `offer`: of compression, or None."""

    def __init__(self, offer):
        target = f"/app/{SETTINGS['app']['key']}?protocol=7&client=python&version=1.0"
        stream = socket.create_connection((SETTINGS["host"], SETTINGS["port"]))
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if SETTINGS.get("tls"):
            stream = ssl.create_default_context().wrap_socket(stream, server_hostname=SETTINGS["host"])
        stream.settimeout(PATIENCE_SECONDS)
        self.stream = stream
        self.websocket = WSConnection(ConnectionType.CLIENT)
        self.events = []
        self.text = ""
        self.is_ended = False
        host = f"{SETTINGS['host']}:{SETTINGS['port']}"
        extensions = [] if offer is None else [PerMessageDeflate(**offer)]
        self.write(self.websocket.send(Request(host=host, target=target, extensions=extensions)))
        accepted = self.next()
        if not isinstance(accepted, AcceptConnection):
            raise Wrong(f"not accepted: {accepted}")
        self.extensions = accepted.extensions
        self.socket_id = json.loads(self.message("pusher:connection_established")["data"])["socket_id"]

    def write(self, data, chop=None):
        try:
            for at in range(0, len(data), chop or max(len(data), 1)):
                self.stream.sendall(data[at : at + (chop or len(data))])
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            # It was closed meanwhile, and what it was closed with can still be read.
            pass

    def next(self):
        """The next event; None when the stream has ended."""
        while not self.events:
            if self.is_ended:
                return None
            try:
                data = self.stream.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                data = b""
            except TimeoutError:
                raise Wrong(f"nothing came for {PATIENCE_SECONDS} s") from None
            self.is_ended = not data
            if data:
                self.websocket.receive_data(data)
                self.events.extend(self.websocket.events())
        return self.events.pop(0)

    def next_message(self):
        """The next message of the protocol, or the pong or close that comes before it."""
        while True:
            event = self.next()
            if isinstance(event, Ping):
                self.write(self.websocket.send(event.response()))
            elif isinstance(event, TextMessage):
                self.text += event.data
                if event.message_finished:
                    text, self.text = self.text, ""
                    return json.loads(text)
            elif isinstance(event, Message):
                raise Wrong("a binary message came")
            else:
                return event

    def message(self, name):
        """The next message, which is an event of this name."""
        message = self.next_message()
        if not isinstance(message, dict) or message["event"] != name:
            raise Wrong(f"instead of {name} came {message}")
        return message

    def subscribe(self):
        key, secret = SETTINGS["app"]["key"], SETTINGS["app"]["secret"]
        signed = f"{self.socket_id}:{CHANNEL}".encode()
        signature = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        data = {"channel": CHANNEL, "auth": f"{key}:{signature}"}
        self.write(frame(TEXT, json.dumps({"event": "pusher:subscribe", "data": data}).encode()))
        self.message("pusher_internal:subscription_succeeded")
        return self

    def expect_alive(self):
        """It is still served."""
        self.write(frame(TEXT, b'{"event":"pusher:ping"}'))
        self.message("pusher:pong")

    def expect_pongs(self, payloads):
        for payload in payloads:
            event = self.next_message()
            if not isinstance(event, Pong) or bytes(event.payload) != payload:
                raise Wrong(f"instead of a pong of {payload[:20]} came {event}")

    def expect_close(self, codes):
        """It is closed by one of these codes, and then the stream ends."""
        event = self.next_message()
        while isinstance(event, (dict, Pong)):
            event = self.next_message()
        if not isinstance(event, CloseConnection):
            raise Wrong(f"instead of a close came {event}")
        if event.code not in codes:
            raise Wrong(f"it was closed with {event.code}, not {codes}: {event.reason}")
        # Where the client has not closed before, the server waits for its answer.
        self.write(self.websocket.send(event.response()))
        if self.next_message() is not None:
            raise Wrong("something came behind the close")

    def end(self):
        self.stream.close()


class Sends:
    """What a case sends, and what has to come of it."""

    def __init__(self, frames, arrives=(), pongs=(), close=None, errors=0, chop=None, offer=None):
        self.frames, self.arrives, self.pongs = frames, arrives, pongs
        self.close, self.errors, self.chop, self.offer = close, errors, chop, offer

    def run(self, receiver, offer):
        connection = Connection(offer if self.offer is None else self.offer).subscribe()
        try:
            frames = self.frames(connection) if callable(self.frames) else self.frames
            connection.write(b"".join(frames), self.chop)
            for data in self.arrives:
                arrived = receiver.message("client-case")["data"]
                if arrived != data:
                    raise Wrong(f"{len(arrived)} characters arrived, not the {len(data)} that were sent")
            connection.expect_pongs(self.pongs)
            for _ in range(self.errors):
                connection.message("pusher:error")
            if self.close:
                connection.expect_close(self.close)
            else:
                connection.expect_alive()
        finally:
            connection.end()


def client_event(data):
    message = {"event": "client-case", "channel": CHANNEL, "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


AROUND = len(client_event(""))


def sized(length):
    """Data by which the whole message has so many bytes."""
    return "*" * (length - AROUND)


def deflated(payload, bits=15, level=6):
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data[: -len(SYNC_FLUSH_END)]


def framing():
    for length in [AROUND, 125, 126, 127, 128, 65535, 65536]:
        data = sized(max(length, AROUND))
        yield f"text of {length}", Sends([frame(TEXT, client_event(data))], [data])
    data = sized(65536)
    yield "text in chops of 997", Sends([frame(TEXT, client_event(data))], [data], chop=997)
    yield "frame that comes byte by byte", Sends([frame(TEXT, client_event("x"))], ["x"], chop=1)
    yield "empty text", Sends([frame(TEXT)], errors=1)
    for length in [0, 125, 126, 127, 128, 65535, 65536]:
        yield f"binary of {length}", Sends([frame(BINARY, b"\xfe" * length)], close=[1003])
    for name, opcode in [("text", TEXT), ("ping", PING), ("close", CLOSE)]:
        yield f"{name} without a mask", Sends([frame(opcode, masked=False)], close=[1002])
    yield "length above 2^63", Sends([frame(TEXT, length=1 << 63)], close=[1002, 1009])


def pings():
    payloads = [b"", b"Hello, world!", bytes(range(0, 250, 17)), b"\xfe" * 125]
    for payload in payloads:
        yield f"ping of {len(payload)}", Sends([frame(PING, payload)], pongs=[payload])
    yield "ping of 126", Sends([frame(PING, b"\xfe" * 126)], close=[1002])
    yield "ping byte by byte", Sends([frame(PING, b"\xfe" * 125)], pongs=[b"\xfe" * 125], chop=1)
    for payload in [b"", b"nobody asked"]:
        yield f"unsolicited pong of {len(payload)}", Sends([frame(PONG, payload)])
    mixed = [frame(PONG, b"unsolicited"), frame(PING, b"asked")]
    yield "unsolicited pong and a ping", Sends(mixed, pongs=[b"asked"])
    ten = [f"payload {number}".encode() for number in range(10)]
    for chop in [None, 1]:
        yield f"ten pings in chops of {chop}", Sends([frame(PING, payload) for payload in ten], pongs=ten, chop=chop)


def reserved_bits(compresses):
    # With compression the first bit of a text is its mark.
    for rsv in range(1, 8):
        for name, opcode in [("text", TEXT), ("ping", PING), ("close", CLOSE), ("pong", PONG)]:
            if compresses and rsv == 4 and opcode == TEXT:
                continue
            for before in [[], [frame(TEXT, client_event("before"))]]:
                sends = Sends([*before, frame(opcode, b"", rsv=rsv)], ["before"] if before else [], close=[1002])
                yield f"bits {rsv:03b} of a {name} behind {len(before)}", sends


def opcodes():
    for opcode in itertools.chain(range(3, 8), range(11, 16)):
        for payload in [b"", b"reserved"]:
            yield f"opcode {opcode} of {len(payload)}", Sends([frame(opcode, payload)], close=[1002])
        behind = [frame(TEXT, client_event("before")), frame(opcode, b"reserved"), frame(PING)]
        yield f"opcode {opcode} behind a text, byte by byte", Sends(behind, ["before"], close=[1002], chop=1)


def fragmentation():
    data = "fragmented"
    whole = client_event(data)
    begins, ends = frame(TEXT, whole[:20], fin=False), frame(CONTINUATION, whole[20:])
    middle = [frame(TEXT, whole[:20], fin=False), frame(CONTINUATION, whole[20:40], fin=False)]
    for name, opcode in [("ping", PING), ("pong", PONG), ("close", CLOSE)]:
        sends = Sends([frame(opcode, b"", fin=False), frame(CONTINUATION)], close=[1002])
        yield f"{name} in two fragments", sends
    for chop in [None, 1]:
        yield f"text in two fragments, chops of {chop}", Sends([begins, ends], [data], chop=chop)
        between = [begins, frame(PING, b"between"), ends]
        yield f"ping between fragments, chops of {chop}", Sends(between, [data], [b"between"], chop=chop)
        pings = [f"ping {number}".encode() for number in range(5)]
        many = [*middle, *(frame(PING, ping) for ping in pings), frame(CONTINUATION, whole[40:])]
        yield f"five pings between fragments, chops of {chop}", Sends(many, [data], pings, chop=chop)
        for fin in [True, False]:
            alone = [frame(CONTINUATION, b"of nothing", fin=fin), frame(TEXT, whole)]
            yield f"continuation of nothing, fin {fin}, chops of {chop}", Sends(alone, close=[1002], chop=chop)
            behind = [begins, ends, frame(CONTINUATION, b"of nothing", fin=fin)]
            yield (
                f"continuation behind an end, fin {fin}, chops of {chop}",
                Sends(behind, [data], close=[1002], chop=chop),
            )
    yield "text inside a text", Sends([begins, frame(TEXT, b"{}")], close=[1002])
    yield "text inside a text, not finished", Sends([begins, frame(TEXT, b"{}", fin=False)], close=[1002])
    empty = [frame(TEXT, b"", fin=False), frame(CONTINUATION, b"", fin=False), frame(CONTINUATION, whole)]
    yield "empty fragments before the text", Sends(empty, [data])
    yield "nothing but empty fragments", Sends([frame(TEXT, b"", fin=False), frame(CONTINUATION)], errors=1)
    yield "fragments of one byte", Sends(fragments(whole, 1), [data])
    large = client_event(sized(65536))
    for size in [64, 256, 1300, 4096, 16384, 65535]:
        yield f"64 KiB in fragments of {size}", Sends(fragments(large, size), [sized(65536)])


VALID_UTF8 = [
    "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\u0080", "\u07ff", "\u0800", "\uffff", "\ud7ff", "\ue000", "\ufffd",
    "\U00010000", "\U0003fffe", "\U0010ffff", "𐀀 👩‍👩‍👧‍👦 e\u0301", "\ufffe", "\ufeff", "日本語 العربية עברית",
]
INVALID_UTF8 = [
    "80", "bf", "80bf", "80bf80bf80bf80", "c0", "c1bf", "c020", "e0", "e020", "f0", "f020", "f8", "fc", "fe", "ff",
    "fefeffff", "c0af", "e080af", "f08080af", "f8808080af", "fc80808080af", "c080", "e08080", "f0808080", "e09fbf",
    "f08fbfbf", "eda080", "edadbf", "edae80", "edafbf", "edb080", "edbfbf", "eda080edb080", "f4908080", "f5808080",
    "f7bfbfbf", "f888808080", "fbbfbfbfbf", "fc8480808080", "cebae1bdb9cf83cebcceb5f4908080656469746564", "c3", "e282",
    "f09f98", "c328", "e28228", "f0288cbc", "f0902828",
]


def utf8():
    for text in VALID_UTF8:
        whole = client_event(text)
        name = text.encode().hex()[:16]
        yield f"valid {name}", Sends([frame(TEXT, whole)], [text])
        yield f"valid {name}, fragments of one byte", Sends(fragments(whole, 1), [text])
        yield f"valid {name}, chops of one byte", Sends(fragments(whole, 7), [text], chop=1)
    for sequence in INVALID_UTF8:
        whole = client_event("<>").replace(b"<>", bytes.fromhex(sequence))
        yield f"invalid {sequence}", Sends([frame(TEXT, whole)], close=[1007])
        yield f"invalid {sequence}, fragments of one byte", Sends(fragments(whole, 1), close=[1007])
    yield "character that is cut off by the end", Sends([frame(TEXT, b"\xce\xba\xe1\xbd")], close=[1007])
    unfinished = [frame(TEXT, b"\xce\xba\xf4\x90\x80\x80", fin=False), frame(CONTINUATION, b"edited")]
    yield "invalid in a first fragment", Sends(unfinished, close=[1007])


def closing():
    valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
    for code in valid:
        yield f"close with {code}", Sends([frame(CLOSE, close_payload(code))], close=[code, 1000])
    for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535]:
        yield f"close with {code}, which must not be", Sends([frame(CLOSE, close_payload(code))], close=[1002])
    yield "close without a code", Sends([frame(CLOSE)], close=[1000, 1005])
    yield "close of one byte", Sends([frame(CLOSE, b"a")], close=[1002])
    for length in [1, 122, 123]:
        payload = close_payload(1000, b"*" * length)
        yield f"close with a reason of {length}", Sends([frame(CLOSE, payload)], close=[1000])
    yield "close with a reason of 124", Sends([frame(CLOSE, close_payload(1000, b"*" * 124))], close=[1002])
    bad_reason = close_payload(1000, b"\xce\xba\xe1\xbd\xb9\xf4\x90\x80\x80")
    yield "close with a reason that is no UTF-8", Sends([frame(CLOSE, bad_reason)], close=[1002, 1007])
    for name, behind in [
        ("close", frame(CLOSE, close_payload(1000))), ("ping", frame(PING, b"late")), ("text", frame(TEXT, b"{}")),
    ]:
        yield f"{name} behind a close", Sends([frame(CLOSE, close_payload(1000)), behind], close=[1000])
    begun = [frame(TEXT, b"{", fin=False), frame(CLOSE, close_payload(1000))]
    yield "close between fragments", Sends(begun, close=[1000])


def sizes():
    for length in [256 * 1024, 1024 * 1024]:
        data = sized(length)
        yield f"{length} bytes", Sends([frame(TEXT, client_event(data))], [data])
        yield f"{length} bytes in fragments of 4096", Sends(fragments(client_event(data), 4096), [data])
        yield f"{length} bytes in chops of 1460", Sends([frame(TEXT, client_event(data))], [data], chop=1460)
    over = 2 * 1024 * 1024 + 1
    yield "more than a message may have", Sends([frame(TEXT, client_event(sized(over)))], close=[1009])
    yield "more than a message may have, in fragments", Sends(
        fragments(client_event(sized(over)), 65536), close=[1009]
    )


def compression():
    offers = {
        "as it comes": {},
        "without context takeover of the client": {"client_no_context_takeover": True},
        "without context takeover of either": {"client_no_context_takeover": True, "server_no_context_takeover": True},
        "with windows of 9": {"client_max_window_bits": 9, "server_max_window_bits": 9},
        "with windows of 15": {"client_max_window_bits": 15, "server_max_window_bits": 15},
    }
    repeated = json.dumps([{"order": number, "state": "shipped"} for number in range(3000)])
    random = codecs.encode(os.urandom(40_000), "base64").decode()
    for name, offer in offers.items():
        for length in [16, 256, 1024, 8192, 65536]:
            many = [(repeated + random)[at : at + length] for at in range(0, 10 * 97, 97)]

            def by_wsproto(connection, many=many):
                if not connection.extensions:
                    raise Wrong("compression was not agreed on")
                messages = [TextMessage(data=client_event(data).decode()) for data in many]
                return [connection.websocket.send(message) for message in messages]

            yield f"ten compressed of {length}, {name}", Sends(by_wsproto, many, offer=offer)
    event = client_event(repeated[:9000])
    data = deflated(event)
    for size in [1, 100, 1000]:
        sends = Sends(fragments(data, size, rsv=4), [repeated[:9000]])
        yield f"compressed in fragments of {size}", sends
    stored = deflated(event, level=0)
    yield "compressed, but only stored", Sends([frame(TEXT, stored, rsv=4)], [repeated[:9000]])
    ends = [frame(TEXT, data, rsv=4), frame(TEXT, event)]
    yield "not compressed behind compressed", Sends(ends, [repeated[:9000]] * 2)
    marked = [frame(TEXT, data[:20], fin=False, rsv=4), frame(CONTINUATION, data[20:], rsv=4)]
    yield "mark on a continuation", Sends(marked, close=[1002])
    yield "not deflate at all", Sends([frame(TEXT, b"\xff" * 40, rsv=4)], close=[1002, 1007])
    yield "block that is cut off", Sends([frame(TEXT, stored[: len(stored) // 2], rsv=4)], close=[1002, 1007])
    invalid = deflated(client_event("<>").replace(b"<>", b"\xed\xa0\x80"))
    yield "compressed text that is no UTF-8", Sends([frame(TEXT, invalid, rsv=4)], close=[1007])
    bomb = deflated(b" " * (64 * 1024 * 1024))
    yield "64 MiB in 64 KiB", Sends([frame(TEXT, bomb, rsv=4)], close=[1009])


def main():
    compresses = {"none": False, "deflate": True}[sys.argv[1]]
    offer = {} if compresses else None
    cases = [framing(), pings(), reserved_bits(compresses), opcodes(), fragmentation(), utf8(), closing(), sizes()]
    cases += [compression()] if compresses else []
    receiver = Connection(offer).subscribe()
    for name, case in itertools.chain(*cases):
        try:
            case.run(receiver, offer)
            print(f"{name}: ok", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            # What a case left unread is not the next one's.
            receiver.end()
            receiver = Connection(offer).subscribe()
    receiver.end()


if __name__ == "__main__":
    main()
