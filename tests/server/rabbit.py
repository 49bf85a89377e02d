"""A RabbitMQ of a test's own, and STOMP as a few lines of Python: what AMQP publishes is read by STOMP, too."""
import os
import queue
import socket
import ssl
import subprocess
import threading
import time

from serving import free_ports

SERVER, CONTROL = "/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmqctl"


class Rabbit:
    """AMQP and STOMP, each plain and in TLS, on loopback. `pair`: certificate and key; `ca`: whose clients' certificates are looked at."""

    def __init__(self, folder, pair, ca):
        self.folder = folder
        folder.mkdir()
        self.amqp, self.amqps, self.stomp, self.stomps, epmd, distribution = free_ports(6)
        (folder / "enabled_plugins").write_text("[rabbitmq_stomp].\n")
        tls = f"ssl_options.cacertfile = {ca}\nssl_options.certfile = {pair[0]}\nssl_options.keyfile = {pair[1]}\n"
        (folder / "rabbit.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.amqp}\nlisteners.ssl.1 = 127.0.0.1:{self.amqps}\nstomp.listeners.tcp.1 = 127.0.0.1:{self.stomp}\n"
            f"stomp.listeners.ssl.1 = 127.0.0.1:{self.stomps}\n{tls}ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"
            "log.console = false\nloopback_users = none\n")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
                    "RABBITMQ_NODENAME": f"test{os.getpid()}@localhost", "RABBITMQ_DIST_PORT": str(distribution),
                    "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"), "RABBITMQ_LOG_BASE": str(folder / "log"),
                    "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"), "RABBITMQ_CONFIG_FILE": str(folder / "rabbit.conf"),
                    "RABBITMQ_PID_FILE": str(folder / "pid"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"}
        self.process = subprocess.Popen([SERVER], env=self.env, cwd=folder, stdout=(folder / "out").open("wb"), stderr=subprocess.STDOUT)

    def wait(self, seconds=60):
        """STOMP is the last that listens."""
        end = time.monotonic() + seconds
        for port in (self.amqp, self.amqps, self.stomp, self.stomps):
            while True:
                assert self.process.poll() is None, (self.folder / "out").read_text()
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() < end, (self.folder / "out").read_text()
                    time.sleep(0.1)
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        subprocess.run(["epmd", "-kill"], env=self.env, capture_output=True, timeout=30)


class Subscriber:
    """What comes to a destination: (headers, body) in `got`."""

    def __init__(self, port, destination):
        self.got = queue.Queue()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.stream = self.socket.makefile("rb")
        self.send("CONNECT", {"accept-version": "1.2", "host": "/", "login": "guest", "passcode": "guest"})
        assert self.frame()[0] == "CONNECTED"
        self.send("SUBSCRIBE", {"id": "0", "destination": destination, "ack": "auto", "receipt": "r"})
        assert self.frame()[0] == "RECEIPT"
        threading.Thread(target=self.read, daemon=True).start()

    def send(self, command, headers):
        self.socket.sendall(command.encode() + b"\n" + b"".join(f"{k}:{v}\n".encode() for k, v in headers.items()) + b"\n\0")

    def frame(self):
        while (line := self.stream.readline()) == b"\n":
            pass
        command, headers = line.decode().strip(), {}
        while (line := self.stream.readline().decode().rstrip("\n")):
            name, value = line.split(":", 1)
            headers.setdefault(name, value)
        n = headers.get("content-length")
        body = self.stream.read(int(n) + 1)[:-1] if n else b"".join(iter(lambda: self.stream.read(1), b"\0"))
        return command, headers, body

    def read(self):
        try:
            while True:
                self.got.put(self.frame()[1:])
        except (OSError, ValueError):
            pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
