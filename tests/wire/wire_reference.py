# SPDX-License-Identifier: AGPL-3.0-or-later
"""A reader of HTTP/1.1 that takes RFC 9112 at its word and knows nothing of ours: the requests in some bytes, up to the first that is not well-formed."""
import re

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
START = re.compile(rb"(" + TOKEN + rb") (/[!-~]*) HTTP/1\.([01])")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*")
EMPTY = re.compile(rb"(?:\r?\n)*")  # lines that a reader should skip before a request
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)\r\n")


class Malformed(Exception):
    """Not HTTP, or not all of it."""


def head_of(data):
    """(method, target, version, fields, length of the head)"""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise Malformed
    lines = data[:end].split(b"\r\n")
    start = START.fullmatch(lines[0])
    fields = [FIELD.fullmatch(line) for line in lines[1:]]
    if start is None or None in fields:
        raise Malformed
    return start[1], start[2], int(start[3]), [(field[1].lower(), field[2]) for field in fields], end + 4


def framing_of(version, fields):
    """(chunked, length)"""
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    lengths = [value for name, value in fields if name == b"content-length"]
    if codings:
        if lengths or version == 0 or len(codings) != 1 or codings[0].lower() != b"chunked":
            raise Malformed
        return True, 0
    if len(lengths) > 1 or (lengths and not re.fullmatch(rb"[0-9]+", lengths[0])):
        raise Malformed
    return False, int(lengths[0]) if lengths else 0


def unchunked(data):
    """(body, bytes used)"""
    body, at = b"", 0
    while True:
        size = CHUNK.match(data, at)
        if size is None:
            raise Malformed
        at = size.end()
        length = int(size[1], 16)
        if length == 0:
            break
        if len(data) < at + length + 2 or data[at + length:at + length + 2] != b"\r\n":
            raise Malformed
        body += data[at:at + length]
        at += length + 2
    while not data.startswith(b"\r\n", at):
        end = data.find(b"\r\n", at)
        if end < 0 or FIELD.fullmatch(data, at, end) is None:
            raise Malformed
        at = end + 2
    return body, at + 2


def checksum(body):
    total = 0
    for byte in body:
        total = (total * 31 + byte) & 0xffffffff
    return total


def requests_of(data):
    """(method, target, chunked, length, checksum) of each, until something is not well-formed. A chunked body whose framing is not is told as length None."""
    found, at = [], 0
    while at < len(data):
        at += len(EMPTY.match(data, at)[0])
        try:
            method, target, version, fields, used = head_of(data[at:])
            chunked, length = framing_of(version, fields)
        except Malformed:
            break
        at += used
        try:
            body, used = unchunked(data[at:]) if chunked else (data[at:at + length], length)
        except Malformed:
            found.append((method.decode(), target.decode(), True, None, None))
            break
        if len(body) < (0 if chunked else length):
            break
        at += used
        found.append((method.decode(), target.decode(), chunked, len(body), checksum(body)))
    return found
