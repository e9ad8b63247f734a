# SPDX-License-Identifier: AGPL-3.0-or-later
"""The Dockerfile and docker-compose.yml without Docker: the steps of each stage are run on a minimal Debian, a service is a machine with what its entry grants."""
import contextlib
import ctypes
import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field

import yaml

import wardmote_root
from wardmote_suite import ROOT

CLONE_NEWNET = 0x40000000


@dataclass
class Stage:
    name: str
    below: str
    steps: list = field(default_factory=list)

    def last(self, instruction):
        return [rest for what, rest in self.steps if what == instruction][-1]


def stages():
    """The Dockerfile, read: {name: Stage}. An instruction that is not known here is an error."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found, stage = {}, None
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip():
            continue
        what, rest = line.split(None, 1)
        if what == "FROM":
            below, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()
            stage = found[name] = Stage(name, below)
        else:
            assert what in ("RUN", "COPY", "WORKDIR", "USER", "ENTRYPOINT", "CMD"), line
            stage.steps.append((what, rest))
    return found


def _copy(rest, folder):
    """The shell text of a COPY; what comes from another stage lies below /stages, the context in /context."""
    words = rest.split()
    source = "/context"
    if words[0].startswith("--from="):
        source = f"/stages/{words.pop(0)[7:]}"
    *names, target = words
    target = target if target.startswith("/") else f"{folder}/{target}"
    lines = []
    for name in names:
        path = f"{source}/{name.lstrip('/')}"
        single = len(names) == 1 and not target.endswith("/")
        lines.append(f"if [ -d {path} ]; then mkdir -p {target}; cp -r {path}/. {target}; elif [ {int(single)} = 1 ]; then mkdir -p $(dirname {target}); "
                     f"cp {path} {target}; else mkdir -p {target}; cp {path} {target}; fi")
    return "\n".join(lines)


def build(stage, all_stages, context, digest):
    """The layers of a stage: each of its steps run in order, as the user and in the folder that those before it named."""
    if stage.below in all_stages:
        below, user = build(all_stages[stage.below], all_stages, context, digest), all_stages[stage.below].last("USER")
    else:
        assert stage.below == "debian:12-slim", stage.below
        below, user = wardmote_root.base(), "root"
    folder, lines, options = "/", [], [f"--bind-ro={context}:/context"]
    for what, rest in stage.steps:
        if what == "RUN":
            run = f"cd {folder} && sh -c {shlex.quote(rest)}"
            lines.append(f"echo {shlex.quote('RUN ' + rest[:60])}" if user == "root" else f"echo as {user}")
            lines.append(f"({run}) >/dev/null" if user == "root" else f"setpriv --reuid={user} --regid={user} --init-groups sh -c {shlex.quote(run)}")
        elif what == "COPY":
            lines.append(_copy(rest, folder))
            for name in re.findall(r"--from=(\S+)", rest):
                options.append(f"--bind-ro={build(all_stages[name], all_stages, context, digest)[0]}:/stages/{name}")
        elif what == "WORKDIR":
            folder = rest
            lines.append(f"mkdir -p {rest}")
        elif what == "USER":
            user = rest
    return wardmote_root.layer(f"stage-{stage.name}", below, "\n".join(lines), *options, key=digest)


@contextlib.contextmanager
def own_network():
    """What this process starts meanwhile shares a network with nothing else: a loopback device, and every port free."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        assert libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)


def compose(*arguments, **environment):
    """What docker-compose makes of the file and of these variables."""
    return subprocess.run(["docker-compose", "--file", ROOT / "docker-compose.yml", *arguments], capture_output=True, text=True, check=False, timeout=120,
                          env={"PATH": os.environ["PATH"], **environment}, cwd="/")


def services(*arguments, **environment):
    done = compose(*arguments, "config", **environment)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)["services"]


def granted(service):
    """An entry of docker-compose.yml as options of systemd-nspawn. Volumes are the caller's to bind."""
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    mounts = [f"--tmpfs={entry}" if ":" in entry else f"--tmpfs={entry}:mode=1777" for entry in service["tmpfs"]]
    limits = [f"--rlimit={name.upper()}={value}" for name, value in service.get("ulimits", {}).items()]
    return ["--drop-capability=all", "--no-new-privileges=yes", *(["--read-only"] if service["read_only"] else []), *limits, *mounts]


def command_of(stage, all_stages, service):
    """ENTRYPOINT and CMD, where the service has none of its own."""
    def own(name, instruction):
        if name in service:
            return service[name] if isinstance(service[name], list) else shlex.split(service[name])
        if name == "command" and "entrypoint" in service:
            return []
        at = stage
        while instruction not in dict(at.steps):
            at = all_stages[at.below]
        return json.loads(at.last(instruction))
    return [*own("entrypoint", "ENTRYPOINT"), *own("command", "CMD")]
