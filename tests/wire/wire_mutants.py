# SPDX-License-Identifier: AGPL-3.0-or-later
"""Changed messages: a row of the corpus with lines, framing and single bytes altered where parsers are known to differ."""
from wire_corpus import ROWS, SHORT

SEEDS = [row["data"] for row in ROWS if len(row["data"]) <= SHORT]
PLAIN = [row["data"] for row in ROWS if len(row["data"]) <= SHORT and "requests" in row]
LINES = [b"Content-Length: 5", b"Content-Length: 0", b"Content-Length:5", b"content-length: 6", b"Content-Length: 5, 5", b"Content-Length: +5",
         b"Content-Length: 0x5", b"Content-Length : 5", b"Content-Length:\t5", b"Content-Length: 5\x00", b"Content-Length: 5\x0b", b"Content_Length: 5",
         b"Transfer-Encoding: chunked", b"Transfer-Encoding:chunked", b"transfer-encoding: Chunked", b"Transfer-Encoding : chunked",
         b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity", b"Transfer-Encoding: \x0bchunked",
         b"Transfer-Encoding: chunked ", b"Transfer-Encoding:\r\n chunked", b"Transfer_Encoding: chunked", b"Connection: Transfer-Encoding",
         b"Connection: Content-Length", b"Connection: close", b"Connection: keep-alive", b"Connection: Host", b"Upgrade: h2c", b"Upgrade: websocket",
         b"Expect: 100-continue", b"Host: evil", b"Host : localhost", b" Host: evil", b"X: y\r\n z", b"X: y\r\n\tContent-Length: 5", b": x", b"X", b"X: \xff\x00",
         b"Trailer: Content-Length", b"TE: trailers", b"X-Front-Id: forged", b"X-Request-Id: forged", b"X-HTTP-Method-Override: DELETE", b"Cookie: a=b;c"]
BYTES = [b"\r", b"\n", b"\r\n", b"\n\n", b"\0", b" ", b"\t", b"\x0b", b"\x0c", b":", b",", b";", b"0", b"5", b"f", b"\x7f", b"\x85", b"\xa0", b"\xff", b"%", b"/", b"?",
         b"#", b"\\", b"\"", b"\r\n\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n"]
TAILS = [b"GET /echo?smuggled HTTP/1.1\r\nHost: x\r\n\r\n", b"0\r\n\r\n", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"\r\n", b"POST /echo?smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"]
STARTS = [b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"get"]


def _place(random, data):
    """Somewhere, most often near the end of a line."""
    ends = [at for at in range(len(data)) if data[at] in b"\r\n:"]
    if ends and random.random() < 0.7:
        return min(len(data), max(0, random.choice(ends) + random.randint(-1, 2)))
    return random.randint(0, len(data))


def _insert_line(random, data):
    lines = data.split(b"\r\n")
    lines.insert(random.randint(1, max(1, min(len(lines), 5))), random.choice(LINES))
    return b"\r\n".join(lines)


def _repeat_line(random, data):
    lines = data.split(b"\r\n")
    lines.insert(random.randint(0, len(lines)), random.choice(lines))
    return b"\r\n".join(lines)


def _insert_bytes(random, data):
    at = _place(random, data)
    return data[:at] + random.choice(BYTES) + data[at:]


def _delete_bytes(random, data):
    at = _place(random, data)
    return data[:at] + data[at + random.randint(1, 3):]


def _replace_byte(random, data):
    at = _place(random, data)
    return data[:at] + bytes([random.randint(0, 255)]) + data[at + 1:]


def _bare_end(random, data):
    ends = data.count(b"\r\n")
    if ends == 0:
        return data
    parts = data.split(b"\r\n")
    at = random.randint(1, ends)
    return b"\r\n".join(parts[:at]) + random.choice([b"\n", b"\r", b"\n\r", b"\r\r\n", b"\0\n", b"\r\0\n"]) + b"\r\n".join(parts[at:])


def _other_number(random, data):
    digits = [at for at in range(len(data)) if chr(data[at]).isdigit()]
    if not digits:
        return data
    at = random.choice(digits)
    return data[:at] + random.choice([b"", b"0", b"1", b"6", b"9", b"10", b"a", b"ffffffff", b"18446744073709551616"]) + data[at + 1:]


def _other_start(random, data):
    method, blank, rest = data.partition(b" ")
    return random.choice(STARTS) + blank + rest if random.random() < 0.5 else data.replace(b"HTTP/1.1", random.choice([b"HTTP/1.0", b"HTTP/1.1 ", b"HTTP/0.9"]), 1)


def _tail(random, data):
    return data + random.choice(TAILS)


def _splice(random, data):
    other = random.choice(SEEDS)
    return data[:random.randint(0, len(data))] + other[random.randint(0, len(other)):] if random.random() < 0.3 else data + other


CHANGES = [_insert_line, _insert_line, _repeat_line, _insert_bytes, _insert_bytes, _delete_bytes, _replace_byte, _bare_end, _other_number, _other_start,
           _tail, _splice]


def mutant(random):
    data = random.choice(PLAIN if random.random() < 0.7 else SEEDS)
    for _ in range(random.choice([1, 1, 1, 2, 2, 3, 4])):
        data = random.choice(CHANGES)(random, data)
    return data[:4000]
