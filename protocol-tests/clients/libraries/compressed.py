"""A WebSocket of a Python library that offers compression: compressed.py <websockets|wsproto> [BITS]

CLIENT_TEST names the server. The first line of output is the extension that was agreed on, each other one a message
that was received; each line of input is a message to send. BITS is the window that is asked for.
"""

import json
import os
import select
import socket
import ssl
import sys
import threading


def with_websockets(host, port, target, bits, tls):
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
    from websockets.sync.client import connect

    # None: as it offers compression by itself.
    extensions = bits and [ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits)]
    scheme = "wss" if tls else "ws"
    with connect(f"{scheme}://{host}:{port}{target}", extensions=extensions) as connection:
        print(connection.response.headers.get("Sec-WebSocket-Extensions", "none"), flush=True)

        def send():
            for line in sys.stdin:
                connection.send(line.rstrip("\n"))
            connection.close()

        threading.Thread(target=send, daemon=True).start()
        for message in connection:
            print(message, flush=True)


def with_wsproto(host, port, target, bits, tls):
    from wsproto import ConnectionType, WSConnection
    from wsproto.events import AcceptConnection, CloseConnection, Ping, Request, TextMessage
    from wsproto.extensions import PerMessageDeflate

    stream = socket.create_connection((host, port))
    if tls:
        stream = ssl.create_default_context().wrap_socket(stream, server_hostname=host)
    # Two threads use it, but only one at a time may speak TLS: none waits for long while it does.
    stream.settimeout(0.05)
    connection = WSConnection(ConnectionType.CLIENT)
    lock = threading.Lock()

    def send(event):
        with lock:
            stream.sendall(connection.send(event))

    def send_lines():
        for line in sys.stdin:
            send(TextMessage(data=line.rstrip("\n")))
        send(CloseConnection(code=1000))

    send(Request(host=f"{host}:{port}", target=target, extensions=[PerMessageDeflate(server_max_window_bits=bits)]))
    text = ""
    while True:
        if not (tls and stream.pending()):
            select.select([stream], [], [])
        with lock:
            try:
                data = stream.recv(65536)
            except TimeoutError:
                # The rest of a record is on its way.
                continue
            connection.receive_data(data or None)
            events = list(connection.events())
        for event in events:
            if isinstance(event, AcceptConnection):
                agreed = [extension.name for extension in event.extensions]
                print(", ".join(agreed) or "none", flush=True)
                threading.Thread(target=send_lines, daemon=True).start()
            elif isinstance(event, Ping):
                send(event.response())
            elif isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    print(text, flush=True)
                    text = ""
            elif isinstance(event, CloseConnection):
                return
            else:
                raise RuntimeError(f"unexpected: {event}")


def main():
    settings = json.loads(os.environ["CLIENT_TEST"])
    target = f"/app/{settings['app']['key']}?protocol=7&client=python&version=1.0"
    connect = {"websockets": with_websockets, "wsproto": with_wsproto}[sys.argv[1]]
    bits = int(sys.argv[2]) if len(sys.argv) > 2 else None
    connect(settings["host"], settings["port"], target, bits, settings.get("tls", False))


if __name__ == "__main__":
    main()
