# SPDX-License-Identifier: AGPL-3.0-or-later
"""Consultations as a team with FastAPI, asyncpg and uvicorn would serve them, on the database of Wardmote: one process per core, each with a socket of its
own on the same port. A record and a page come from PostgreSQL as JSON text and are sent as they are."""
import base64
import json
import os
import re
import signal
import socket
import sys
import threading

import asyncpg
import fastapi
import fastapi.exceptions
import uvicorn

import database
import models
import statements
import tokens

UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
IS_UUID = re.compile(UUID)
STATUSES = "idea|planned|approved|open|closed|analysed|fed_back|evaluated|cancelled"
PARAMETERS = {
    "status": re.compile(f"(?:{STATUSES})(?:,(?:{STATUSES}))*"), "partner_id": re.compile(f"{UUID}(?:,{UUID})*"),
    "statutory": re.compile("true|false"), "everyone": re.compile("true|false"),
    "locality_ids": re.compile(f"{UUID}(?:,{UUID})*"), "topics": re.compile("[^,]+(?:,[^,]+)*"), "q": re.compile(".{1,200}"),
    "sort": re.compile("-?(?:open_on|close_on|title|updated_at)"), "limit": re.compile("[1-9][0-9]{0,8}"),
    "include": re.compile("(?:partner|localities)(?:,(?:partner|localities))*"), "cursor": re.compile("[A-Za-z0-9_-]+"),
}
LISTS = ("locality_ids", "topics")
ONE_OR_SEVERAL = ("status", "partner_id")
SCOPES = {"partner": "partners:read", "localities": "localities:read"}
PROBLEMS = {
    400: ("invalid-request", "The request is not valid"), 401: ("invalid-token", "The access token is not valid"),
    403: ("insufficient-scope", "The token is not enough for this"), 404: ("not-found", "There is nothing here"),
    409: ("conflict", "The request conflicts with what is stored"), 412: ("precondition-failed", "The record has changed meanwhile"),
    422: ("unprocessable", "The request does not fit the data"), 428: ("precondition-required", "If-Match is required"),
}
# What a policy, a guard or a constraint of the database refuses.
REFUSED = {"42501": 403, "WM403": 403, "23514": 422, "23503": 422, "23505": 409, "22P02": 422}
VERSION = re.compile('"([0-9]{1,9})-[^"]*"')
SETTINGS = os.environ
PUBLIC_URL = SETTINGS.get("PUBLIC_URL", SETTINGS["ISSUER"])
COMMON = {"Cache-Control": "no-store", "Vary": "Accept, Authorization"}
POOL = 4

app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
db = database.Database()
verifier = tokens.Tokens(SETTINGS["JWKS_FILE"], SETTINGS["ISSUER"], SETTINGS.get("AUDIENCE", SETTINGS["ISSUER"]))


@app.exception_handler(fastapi.HTTPException)
async def problem(_request, error):
    slug, title = PROBLEMS[error.status_code]
    body = {"type": f"{PUBLIC_URL}/problems/{slug}", "title": title, "status": error.status_code, "detail": error.detail}
    return fastapi.responses.JSONResponse(body, error.status_code, media_type="application/problem+json")


@app.exception_handler(404)
async def no_path(request, _error):
    return await problem(request, fastapi.HTTPException(404))


@app.exception_handler(database.NoActor)
async def no_actor(request, _error):
    return await problem(request, fastapi.HTTPException(401))


@app.exception_handler(fastapi.exceptions.RequestValidationError)
async def no_body(request, error):
    return await problem(request, fastapi.HTTPException(400, str(error.errors()[0]["loc"])))


def authenticate(request, *scopes):
    """Who asks: None for the anonymous. Every statement acts as the caller in its own transaction."""
    field = request.headers.get("authorization")
    if field is None:
        return None
    caller = verifier.caller(field[7:]) if field.startswith("Bearer ") else None
    if caller is None:
        raise fastapi.HTTPException(401)
    if caller.scopes is not None and not set(scopes) <= set(caller.scopes):
        raise fastapi.HTTPException(403)
    return caller


async def ask(caller, text, values, anew=False):
    if caller is None:
        return await db.read(None, None, text, values, anew)
    return await db.read(statements.ACT_SESSION if len(caller.values) == 4 else statements.ACT, caller.values, text, values, anew)


def parse(request):
    """The query of a list, checked: a parameter that is unknown, repeated or ill-formed is never ignored."""
    query = {"sort": "open_on", "limit": 50, "include": ()}
    for name, value in request.query_params.multi_items():
        if name not in PARAMETERS or not PARAMETERS[name].fullmatch(value) or (name in query and name not in ("sort", "limit", "include")):
            raise fastapi.HTTPException(400, f"{name}: not valid")
        query[name] = value.split(",") if name in LISTS else value
    for name in ONE_OR_SEVERAL:
        if "," in query.get(name, ""):
            query[f"{name}_any"] = query.pop(name).split(",")
    if query.get("status") == "open":
        query["status_open"] = query.pop("status")
    if "locality_ids" in query and "q" in query:
        query["q_of_places"] = query.pop("q")
    query["limit"] = min(int(query["limit"]), 500)
    query["include"] = tuple(query["include"].split(",")) if query["include"] else ()
    return query


def encode_cursor(query, link):
    return base64.urlsafe_b64encode(json.dumps([query["sort"], *link.split("\x1f")]).encode()).decode().rstrip("=")


def decode_cursor(query):
    text = query["cursor"]
    try:
        sort, key, record = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if sort == query["sort"] and isinstance(key, str) and IS_UUID.fullmatch(record):
            return key, record
    except (ValueError, TypeError):
        pass
    raise fastapi.HTTPException(400, "cursor: none of this list")


@app.get("/v1/consultations/{record}")
async def one(record: str, request: fastapi.Request):
    caller = authenticate(request, "consultations:read")
    row = await ask(caller, statements.ONE["partner" if caller else "anonymous"], (record,)) if IS_UUID.fullmatch(record) else None
    if row is None:
        raise fastapi.HTTPException(404)
    etag = f'"{row["version"]}-{caller.partner if caller else "anonymous"}"'
    headers = {"ETag": etag, **COMMON}
    if request.headers.get("if-none-match") == etag:
        return fastapi.Response(status_code=304, headers=headers)
    return fastapi.Response(row["body"], headers=headers, media_type="application/json")


@app.get("/v1/consultations")
async def page(request: fastapi.Request):
    query = parse(request)
    caller = authenticate(request, "consultations:read", *(SCOPES[part] for part in query["include"]))
    text, anew, values = statements.listing("partner" if caller else "anonymous", query, decode_cursor(query) if "cursor" in query else None)
    row = await ask(caller, text, values, anew)
    target = re.sub("[?&]cursor=[^&]*", "", f"{request.url.path}?{request.url.query}".rstrip("?"))
    own = PUBLIC_URL + target
    header, links = f'<{own}>; rel="self"', [{"rel": "self", "href": own, "type": "application/json"}]
    if row["link"] is not None:
        following = f'{own}{"&" if "?" in own else "?"}cursor={encode_cursor(query, row["link"])}'
        header += f', <{following}>; rel="next"'
        links.append({"rel": "next", "href": following, "type": "application/json"})
    body = f'{{"items":[{row["body"]}],"links":{json.dumps(links)}}}'
    return fastapi.Response(body, headers={"Link": header, **COMMON}, media_type="application/json")


async def write(request, text, values):
    """(the record, the answer's fields) after a create or a change."""
    caller = authenticate(request, "consultations:write")
    if caller is None:
        raise fastapi.HTTPException(401)
    try:
        row = await db.write(statements.ACT_SESSION if len(caller.values) == 4 else statements.ACT, caller.values, text, values)
    except asyncpg.PostgresError as error:
        if error.sqlstate not in REFUSED:
            raise
        raise fastapi.HTTPException(REFUSED[error.sqlstate], str(error)) from error
    if row is None:
        raise fastapi.HTTPException(404)
    if row["status"] >= 400:
        raise fastapi.HTTPException(row["status"], row["body"])
    return row, {"ETag": f'"{row["version"]}-{caller.partner}"', "Cache-Control": "no-store"}


@app.post("/v1/consultations")
async def create(body: models.Create, request: fastapi.Request):
    row, headers = await write(request, statements.CREATE, (body.json(exclude_unset=True),))
    headers["Location"] = f"{PUBLIC_URL}/v1/consultations/{row['id']}"
    return fastapi.Response(row["body"], 201, headers, "application/json")


@app.patch("/v1/consultations/{record}")
async def change(record: str, body: models.Patch, request: fastapi.Request):
    field = request.headers.get("if-match")
    if not IS_UUID.fullmatch(record):
        raise fastapi.HTTPException(404)
    if field is None:
        raise fastapi.HTTPException(428)
    found = VERSION.fullmatch(field)
    version = None if field == "*" else int(found[1]) if found else 0
    row, headers = await write(request, statements.PATCH, (body.json(exclude_unset=True), record, version))
    return fastapi.Response(row["body"], 200, headers, "application/json")


class Server(uvicorn.Server):
    """Tells the leader when it listens."""

    def __init__(self, config, ready):
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets=None):
        await db.open(SETTINGS["DATABASE_URL"], int(SETTINGS.get("POOL", POOL)))
        await super().startup(sockets)
        os.write(self.ready, b"1")


def listener():
    """The kernel deals connections evenly over such sockets; from one that is shared, the first process to wake takes all that wait."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind(("127.0.0.1", int(SETTINGS["PORT"])))
    return found


def serve(own, ready):
    config = uvicorn.Config(app, loop="uvloop", http="httptools", lifespan="off", access_log=False, log_level="error", server_header=False, date_header=False)
    Server(config, ready).run(sockets=[own])


def main():
    """The leader: it serves nothing, and ends with its standard input."""
    pipe = os.pipe()
    children = []
    for own in [listener() for _ in range(int(SETTINGS.get("PROCESSES", os.cpu_count())))]:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            serve(own, pipe[1])
            os._exit(0)
        children.append(child)
        own.close()

    def end(*_):
        for child in children:
            os.kill(child, signal.SIGTERM)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    os.close(pipe[1])
    for _ in children:
        if os.read(pipe[0], 1) == b"":
            sys.exit("no process is left")
    print("ready", flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os.kill(os.getpid(), signal.SIGTERM)), daemon=True).start()
    os.waitpid(-1, 0)
    end()


if __name__ == "__main__":
    main()
