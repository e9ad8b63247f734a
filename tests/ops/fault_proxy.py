# SPDX-License-Identifier: AGPL-3.0-or-later
"""A proxy between the server and PostgreSQL that can delay, stall, cut and refuse: what a network does when it fails. It speaks no protocol but for the
end of an answer (ReadyForQuery). One thread; everything that a test sets takes effect at its next turn."""
import contextlib
import os
import selectors
import socket
import struct
import tempfile
import threading
import time

READY_FOR_QUERY = b"Z\x00\x00\x00\x05"
# ParameterStatus: what a server says of itself when a connection starts.
WRITABLE = b"S\x00\x00\x00\x26default_transaction_read_only\x00off\x00"
READ_ONLY = b"S\x00\x00\x00\x25default_transaction_read_only\x00on\x00"
TURN_SECONDS = 0.02


class Link:
    """One connection and its counterpart at the database."""

    def __init__(self, client, server):
        self.client = client
        self.server = server
        self.answer_then_cut = False
        self.sent = 0
        self.late = []  # (due, socket, data)

    def close(self):
        self.client.close()
        self.server.close()


class FaultProxy:
    """Listens on a unix socket of its own folder, as PostgreSQL does: `uri` is a cluster's with this folder as the host. `tcp`: on a loopback port instead;
    then what is cut is reset."""

    def __init__(self, cluster, tcp=False):
        self._cluster = cluster
        self._tcp = tcp
        self.folder = tempfile.mkdtemp(prefix="wmp-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.refuse = False           # new connections are closed at once
        self.stalled = set()          # of "to_server", "to_client": see stall
        self.read_only = False        # new connections are told that this server takes no writes, as a standby's are
        self.delay = 0                # seconds that answers take longer
        self.cut_after = None         # bytes of answers on one connection, then it is cut
        self.cuts = 0
        self._cut_now = False
        self._markers = {}            # text in a request -> "before" or "after" the database has it
        self._links = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._turned = threading.Event()
        self._listener = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self._listener.bind(("127.0.0.1", 0) if tcp else f"{self.folder}/.s.PGSQL.5432")
        if not tcp:
            os.chmod(f"{self.folder}/.s.PGSQL.5432", 0o777)
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def uri(self, role, database="wardmote"):
        where = f"127.0.0.1&port={self._listener.getsockname()[1]}" if self._tcp else self.folder
        return self._cluster.uri(role, database).replace(self._cluster.folder, where)

    def stall(self, way):
        """From now on nothing moves this way: not even what was on its way when this was called."""
        self.stalled.add(way)
        for _ in range(2):
            self._turned.clear()
            self._turned.wait()

    def lead(self, cluster):
        """From now on to another one; what goes to this one is cut."""
        self._cluster = cluster
        cuts, links = self.cuts, len(self._links)
        self.cut()
        while links and self.cuts == cuts:
            self._turned.clear()
            self._turned.wait()

    def cut(self):
        """All connections, now."""
        with self._lock:
            self._cut_now = True

    def cut_at(self, marker, moment):
        """Once, when a request holds this text. "before": the database never gets it whole; "after": the database has answered, and the answer is lost."""
        with self._lock:
            self._markers[marker.encode()] = moment

    def heal(self):
        with self._lock:
            self.refuse, self.read_only, self.delay, self.cut_after = False, False, 0, None
            self.stalled.clear()
            self._markers.clear()

    def close(self):
        self._ended.set()
        self._thread.join()
        self._listener.close()
        if not self._tcp:
            os.unlink(f"{self.folder}/.s.PGSQL.5432")
        os.rmdir(self.folder)

    # --- the thread ---

    def _run(self):
        while not self._ended.is_set():
            with self._lock:
                if self._cut_now:
                    self._cut_now = False
                    for link in list(self._links):
                        self._drop(link)
            self._turn()
            self._turned.set()
        for link in self._links:
            link.close()

    def _turn(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ, None)
            for link in self._links:
                if "to_server" not in self.stalled:
                    selector.register(link.client, selectors.EVENT_READ, (link, True))
                if "to_client" not in self.stalled:
                    selector.register(link.server, selectors.EVENT_READ, (link, False))
            events = selector.select(TURN_SECONDS)
        for key, _ in events:
            if key.data is None:
                self._accept()
            elif key.data[0] in self._links:
                with contextlib.suppress(OSError):
                    self._move(*key.data)
        self._send_late()

    def _accept(self):
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            if self.refuse:
                raise ConnectionRefusedError
            server.connect(f"{self._cluster.folder}/.s.PGSQL.5432")
        except OSError:
            client.close()
            server.close()
            return
        self._links.append(Link(client, server))

    def _drop(self, link):
        if self._tcp:
            link.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.close()
        self._links.remove(link)
        self.cuts += 1

    def _move(self, link, to_server):
        try:
            data = (link.client if to_server else link.server).recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            link.close()
            self._links.remove(link)
        elif to_server:
            self._to_server(link, data)
        else:
            self._to_client(link, data)

    def _to_server(self, link, data):
        with self._lock:
            moment = next((self._markers.pop(marker) for marker in list(self._markers) if marker in data), None)
        if moment == "before":
            self._drop(link)
            return
        link.answer_then_cut |= moment == "after"
        link.server.sendall(data)

    def _to_client(self, link, data):
        if self.read_only:
            data = data.replace(WRITABLE, READ_ONLY)
        if link.answer_then_cut:
            if READY_FOR_QUERY in data:
                self._drop(link)
            return
        link.sent += len(data)
        if self.cut_after is not None and link.sent > self.cut_after:
            link.client.sendall(data[:max(0, len(data) - (link.sent - self.cut_after))])
            self._drop(link)
        elif self.delay > 0:
            link.late.append((time.monotonic() + self.delay, data))
        else:
            link.client.sendall(data)

    def _send_late(self):
        now = time.monotonic()
        for link in list(self._links):
            while link.late and link.late[0][0] <= now:
                with contextlib.suppress(OSError):
                    link.client.sendall(link.late.pop(0)[1])


class Through:
    """A cluster as the server sees it through a proxy."""

    def __init__(self, cluster, proxy):
        self.folder = cluster.folder
        self._proxy = proxy

    def uri(self, role, database="wardmote"):
        return self._proxy.uri(role, database)
