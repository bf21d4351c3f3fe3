"""ClickHouse's HTTP interface, as far as clients use it, over the real engine (the package chdb-core).

The engine is the real one; this file only carries requests to it: `query` in the URL or the body, `param_*`,
`database`, `default_format`, settings, `/ping`, exception codes, users, and inserts whose body becomes a file that the
engine reads itself. One request runs at a time; requests with the setting `readonly` run beside it, and end when their
client closes its connection, if `cancel_http_readonly_queries_on_client_close` is set.

    python3 clickhouse_front.py DATA_FOLDER [--user NAME] [--password TEXT] [--port N] [--config FILE]

prints `listening PORT` once it answers. Data survives a kill of the process. `POST /control?…` arms a fault for tests:

    at=N            it strikes the Nth statement from now (1 is the next); statements that read count as well
    only=TEXT       only statements that contain TEXT are counted
    besides=TEXT    statements that contain TEXT are not counted (default: writers, the table that stores write to in the
                    background while they are open)
    times=N         it strikes N statements in a row (default 1)
    do=refuse       answers `status` (500) with `message`; the statement does not run
    do=lose         runs the statement, then closes the connection without an answer
    do=half         reads half of the body, answers `status` and closes
    do=die          starts the statement and kills the process `after_ms` later
    do=delay        waits `after_ms` before the statement runs
    do=none         disarms

`GET /log` returns the statements that ran, one JSON text per line; `POST /log` empties it.
"""

import argparse
import itertools
import json
import os
import queue
import re
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from chdb import session

# what is part of the interface and not a setting of the engine
NOT_SETTINGS = {
    "query", "database", "default_format", "user", "password", "decompress", "compress", "session_id", "query_id",
    "enable_http_compression", "wait_end_of_query", "send_progress_in_http_headers", "role", "session_timeout",
    "http_zlib_compression_level", "buffer_size", "client_protocol_version",
    # once it is set, a session of the engine refuses to change it again: kept here
    "readonly",
    "cancel_http_readonly_queries_on_client_close",
}
READERS = 4  # requests with `readonly` at a time
STATUS_OF_CODE = {516: 403, 193: 403, 497: 403, 60: 404, 81: 404, 46: 404, 36: 400, 62: 400, 241: 500, 202: 500}
FORMAT_AT_END = re.compile(r"\bFORMAT\s+([A-Za-z0-9]+)\s*;?\s*$", re.IGNORECASE)
LZ4_FRAME_HEAD = b"\x04\x22\x4d\x18" + b"\x60\x70\x73"  # version 1, independent blocks of up to 4 MiB
LZ4_FRAME_BLOCK_MAX = 4 << 20
FIELD_VALUE_BYTES_MAX = 128 << 10  # the server's http_max_field_value_size, as it is delivered


class Refused(Exception):
    """An error that is answered like one of the engine's own."""

    def __init__(self, code, text):
        super().__init__(f"Code: {code}. DB::Exception: {text}")


class Fault:
    """What a test has armed."""

    def __init__(self, words):
        self.kind = words.get("do", "none")
        self.at = int(words.get("at", "1"))
        self.times = int(words.get("times", "1"))
        self.only = words.get("only", "")
        self.besides = words.get("besides", "writers")
        self.status = int(words.get("status", "500"))
        self.message = words.get("message", "Code: 999. DB::Exception: refused by a test. (KEEPER_EXCEPTION)")
        self.after_ms = int(words.get("after_ms", "0"))

    def strikes(self, sql):
        if self.kind == "none" or self.only not in sql or self.besides in sql:
            return None
        self.at -= 1
        if self.at > 0:
            return None
        self.times -= 1
        kind = self.kind
        if self.times <= 0:
            self.kind = "none"
        return kind


class Lane:
    """A session of the engine: one statement at a time."""

    def __init__(self, path):
        self.session = session.Session(path)
        self.database = None
        self.settings = {}

    def run(self, sql, database, parameters, settings, answer_format):
        if database != self.database:
            self.database = None
            self.session.query(f"USE `{database.replace('`', '')}`")
            self.database = database
        # a statement to set one costs as much as a small insert: what the last request had set stays as it is
        for name in [name for name in self.settings if name not in settings]:
            del self.settings[name]
            self.session.query(f"SET {name} = DEFAULT")
        for name, value in settings.items():
            if self.settings.get(name) == value:
                continue
            if not re.fullmatch(r"[a-z0-9_]+", name):
                raise Refused(115, f"Unknown setting {name}. (UNKNOWN_SETTING)")
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            self.session.query(f"SET {name} = '{quoted}'")
            self.settings[name] = value
        answer = self.session.query(sql, answer_format, params=parameters)
        return answer.bytes() if answer is not None else b""


class Engine:
    """The engine: a session for everything, and some for requests that only read."""

    def __init__(self, folder, config):
        self.path = f"{folder}?config-file={config}" if config else folder
        self.lock = threading.Lock()
        self.main = Lane(self.path)
        self.readers = queue.LifoQueue()
        for _ in range(READERS):
            self.readers.put(None)
        self.spool = tempfile.mkdtemp(prefix="spool-", dir=os.path.dirname(os.path.abspath(folder)))
        self.log = []
        self.requests = itertools.count(1)
        self.kill_lock = threading.Lock()
        self.killer = None
        self.fault = Fault({})

    def run(self, sql, *words):
        with self.lock:
            self.log.append(sql)
            return self.main.run(sql, *words)

    def read(self, connection, sql, *words):
        """Runs a statement that only reads; with a connection, until its client closes it."""
        if not re.match(r"\(*\s*(SELECT|WITH|SHOW|DESCRIBE|EXPLAIN|EXISTS)\b", sql, re.IGNORECASE):
            raise Refused(164, "Cannot execute query in readonly mode. (READONLY)")
        lane = self.readers.get()
        mark, ended = f"/* request {next(self.requests)} */", threading.Event()
        try:
            lane = lane or Lane(self.path)
            self.log.append(sql)
            if connection is not None:
                threading.Thread(target=self.watch, args=(connection, mark, ended), daemon=True).start()
            return lane.run(f"{mark} {sql}", *words)
        finally:
            ended.set()
            self.readers.put(lane)

    def watch(self, connection, mark, ended):
        """Kills the statement with this mark when the client has gone."""
        while not ended.is_set():
            try:
                readable, _, _ = select.select([connection], [], [], 0.02)
                if readable and connection.recv(1, socket.MSG_PEEK) != b"":
                    return
            except (OSError, ValueError):
                return  # answered and closed meanwhile
            if readable:
                break
        while not ended.wait(0.02):
            with self.kill_lock:
                self.killer = self.killer or session.Session(self.path)
                self.killer.query(f"KILL QUERY WHERE startsWith(query, '{mark}') ASYNC")


def lz4_frame(blocks):
    """The client's compressed blocks (checksum, method, sizes, LZ4 data) as an LZ4 frame, which the engine unpacks."""
    frame, at = [LZ4_FRAME_HEAD], 0
    while at < len(blocks):
        method = blocks[at + 16]
        size = int.from_bytes(blocks[at + 17 : at + 21], "little")
        plain_size = int.from_bytes(blocks[at + 21 : at + 25], "little")
        data = blocks[at + 25 : at + 16 + size]
        if plain_size > LZ4_FRAME_BLOCK_MAX or len(data) != size - 9:
            raise Refused(271, f"a block of {plain_size} bytes, or cut off. (CANNOT_DECOMPRESS)")
        stored = {0x82: 0, 0x02: 1 << 31}.get(method)
        if stored is None:
            raise Refused(432, f"Unknown codec family code: {method}. (UNKNOWN_CODEC)")
        frame += [(len(data) | stored).to_bytes(4, "little"), data]
        at += 16 + size
    frame.append(b"\0\0\0\0")
    return b"".join(frame)


def form_fields(content_type, body):
    """Fields of a form; values may hold anything, so parts are cut at the boundary and at nothing else."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    mark = b"--" + boundary.group(1).encode()
    fields = {}
    for part in (b"\r\n" + body).split(b"\r\n" + mark)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        if len(value) > FIELD_VALUE_BYTES_MAX:
            raise Refused(1000, "HTML Form Exception: Field value too long. (POCO_EXCEPTION)")
        if name:
            fields[name.group(1).decode()] = value
    return fields


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # a client that was killed has not much more to say
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body, code=None, close=False):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Server-Display-Name", "front")
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        if close:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def read_body(self, most=None):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts, size = [], 0
            while True:
                length = int(self.rfile.readline().split(b";")[0] or b"0", 16)
                data = self.rfile.read(length)
                self.rfile.readline()
                if len(data) < length:
                    raise ConnectionError("the client went away")
                if length == 0:
                    return b"".join(parts)
                parts.append(data)
                size += length
                if most is not None and size >= most:
                    return b"".join(parts)
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length if most is None else min(length, most))
        if most is None and len(body) < length:
            raise ConnectionError("the client went away")
        return body

    def do_GET(self):
        path = urlsplit(self.path).path
        if path == "/ping":
            self.answer(200, b"Ok.\n")
        elif path == "/log":
            lines = "".join(json.dumps(sql) + "\n" for sql in self.server.engine.log)
            self.answer(200, lines.encode())
        else:
            self.statement()

    def do_POST(self):
        url = urlsplit(self.path)
        engine = self.server.engine
        if url.path == "/control":
            self.read_body()
            engine.fault = Fault(dict(parse_qsl(url.query)))
            self.answer(200, b"Ok.\n")
        elif url.path == "/log":
            self.read_body()
            engine.log.clear()
            self.answer(200, b"Ok.\n")
        else:
            self.statement()

    def statement(self):
        words = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        form = "multipart/form-data" in self.headers.get("Content-Type", "")
        body = None
        if "query" not in words:
            body = self.read_body()
            if form:
                fields = {n: v.decode() for n, v in form_fields(self.headers["Content-Type"], body).items()}
                words.update(fields)
            else:
                words["query"] = body.decode()
            body = b""
        engine = self.server.engine
        strike = engine.fault.strikes(words["query"])
        if strike == "half":
            self.read_body(most=1)
            return self.answer(engine.fault.status, engine.fault.message.encode(), close=True)
        if body is None:
            body = self.read_body()
        if strike == "refuse":
            return self.answer(engine.fault.status, engine.fault.message.encode())
        if strike == "delay":
            time.sleep(engine.fault.after_ms / 1000)
        if strike == "die":
            wait = engine.fault.after_ms / 1000
            threading.Thread(target=lambda: (time.sleep(wait), os.kill(os.getpid(), signal.SIGKILL))).start()
        try:
            self.check_user(words)
            answer = self.run(words, body)
        except Exception as error:
            text = str(error)
            code = re.match(r"Code: (\d+)", text.strip())
            number = int(code.group(1)) if code else 1002
            return self.answer(STATUS_OF_CODE.get(number, 500), text.encode() + b"\n", number)
        if strike == "lose":
            self.close_connection = True
            return None
        return self.answer(200, answer)

    def check_user(self, words):
        user = self.headers.get("X-ClickHouse-User") or words.get("user") or "default"
        password = self.headers.get("X-ClickHouse-Key") or words.get("password") or ""
        if (user, password) != self.server.user:
            raise Refused(
                516,
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name. "
                "(AUTHENTICATION_FAILED)",
            )

    def run(self, words, body):
        sql = words["query"].strip().rstrip(";")
        parameters = {name[6:]: value for name, value in words.items() if name.startswith("param_")}
        settings = {n: v for n, v in words.items() if n not in NOT_SETTINGS and not n.startswith("param_")}
        answer_format = words.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated"
        engine = self.server.engine
        spooled = None
        if words.get("compress") == "1":
            raise Refused(1, "this front answers without compression. (UNSUPPORTED_METHOD)")
        if sql[:6].upper() == "INSERT" and body and FORMAT_AT_END.search(sql):
            compressed = words.get("decompress") == "1"
            handle, spooled = tempfile.mkstemp(dir=engine.spool)
            with os.fdopen(handle, "wb") as file:
                file.write(lz4_frame(body) if compressed else body)
            compression = " COMPRESSION 'lz4'" if compressed else ""
            sql = FORMAT_AT_END.sub(lambda m: f"FROM INFILE '{spooled}'{compression} FORMAT {m.group(1)}", sql)
        elif body:
            sql = sql + "\n" + body.decode()
        to_run = (sql, words.get("database", "default"), parameters, settings, answer_format)
        try:
            if words.get("readonly", "0") != "0":
                ends = words.get("cancel_http_readonly_queries_on_client_close") == "1"
                return engine.read(self.connection if ends else None, *to_run)
            return engine.run(*to_run)
        finally:
            if spooled:
                os.unlink(spooled)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--config", help="a configuration file of the engine")
    options = parser.parse_args()
    server = Server(("127.0.0.1", options.port), Front)
    server.user = (options.user, options.password)
    server.engine = Engine(options.folder, options.config)
    print(f"listening {server.server_address[1]}", flush=True)
    # ends with the process that started it: its end closes our standard input
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    server.serve_forever()


main()
