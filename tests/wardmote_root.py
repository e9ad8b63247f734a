# SPDX-License-Identifier: AGPL-3.0-or-later
"""Debian systems of a test's own. Their folders are made by debootstrap and apt-get once, kept in build/roots, and used below overlays: whatever runs in a
Machine changes neither them nor this machine. Needs root, and a kernel that lets systemd-nspawn start."""
import atexit
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from wardmote_suite import ROOT, until

ROOTS = ROOT / "build/roots"
SUITE, KEYRING = "bookworm", "/usr/share/keyrings/debian-archive-keyring.gpg"
SECONDS = 900
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
# Packages may not start what they bring while a layer is made, and nothing is worth a sync.
NO_SERVICES = "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d"
NO_SYNC = "echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe"


class Failed(Exception):
    """A command in a machine ended with something else than 0."""


@contextlib.contextmanager
def _locked(name):
    """Test processes share the folders: one makes them, the others wait."""
    (ROOTS / "locks").mkdir(parents=True, exist_ok=True)
    with open(ROOTS / "locks" / name, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(folder):
    """Overlays leave a work folder that nobody may enter."""
    shutil.rmtree(folder, ignore_errors=True)
    assert not os.path.exists(folder), f"{folder} could not be removed"


def mirror():
    """Where this machine has its own packages of that release from."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"], capture_output=True, text=True, timeout=60, check=True)
    found = [uri for uri, codename in map(str.split, done.stdout.splitlines()) if codename == SUITE]
    if not found:
        raise Failed(f"apt has no source of {SUITE}: {done.stdout}")
    return found[0]


def base():
    """A minimal system, as the layers of a Machine: a list of folders, the uppermost first."""
    assert os.geteuid() == 0, "folders of systems are made and entered as root"
    with _locked("base"):
        made = ROOTS / "base"
        if not made.exists():
            _remove(ROOTS / "base.new")
            done = subprocess.run(["debootstrap", "--variant=minbase", f"--keyring={KEYRING}", SUITE, ROOTS / "base.new", mirror()], capture_output=True,
                                  text=True, timeout=SECONDS, check=False)
            if done.returncode != 0:
                raise Failed(f"debootstrap: {done.stdout[-2000:]}{done.stderr[-2000:]}")
            (ROOTS / "base.new").rename(made)
        return [made]


def layer(name, below, script, *options, key=""):
    """`below` and above it what `script` changes; made anew when the script, `key` or what is below differs, with the older ones of that name away."""
    key = hashlib.sha256("\0".join([script, key, *(path.name for path in below)]).encode()).hexdigest()[:16]
    made = ROOTS / f"{name}.{key}"
    with _locked(name):
        if not made.exists():
            for old in ROOTS.glob(f"{name}.*"):
                _remove(old)
            archives = ROOTS / "archives"
            (archives / "partial").mkdir(parents=True, exist_ok=True)
            with Machine(below, f"--bind={archives}:/var/cache/apt/archives", *options, network="host") as machine:
                machine.run(f"{NO_SERVICES} && {NO_SYNC} && {{ {script}\n}} && rm /usr/sbin/policy-rc.d")
                machine.upper.rename(made)
        return [made, *below]


def copy_sources(folder, only=("",)):
    """What belongs to the repository besides its tests, or what of it lies below the names in `only`; a digest of it."""
    listed = subprocess.run(["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=True)
    digest = hashlib.sha256()
    for name in sorted(listed.stdout.split("\0")):
        if name and name.startswith(only) and not name.startswith(("tests/", "bench/", ".ci/")) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
            digest.update(f"{name}\0{os.stat(ROOT / name).st_mode}\0".encode() + (ROOT / name).read_bytes())
    return digest.hexdigest()


def apt_install(packages):
    return f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {packages} >/dev/null"


class Machine:
    """A system whose changes are thrown away in the end. `options` are those of systemd-nspawn; `network` is "host", "shared" (that
    of this process, without its name service) or none: then it has a loopback device of its own and nothing else."""

    def __init__(self, layers, *options, network=None):
        ROOTS.mkdir(parents=True, exist_ok=True)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=ROOTS))
        for part in ("upper", "work", "merged"):
            (self.folder / part).mkdir()
        self.upper = self.folder / "upper"
        self.layers = layers
        net = {None: ["--private-network"], "host": ["--resolv-conf=copy-host"], "shared": ["--resolv-conf=off"]}[network]
        self.options = [*net, *options]
        self.leader = None
        self._process = None
        atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _nspawn(self, *arguments):
        """The overlay is mounted where only the container sees it, and gone with it."""
        lower = ":".join(str(path) for path in self.layers)
        mount = f"mount -t overlay overlay -o 'lowerdir={lower},upperdir={self.upper},workdir={self.folder}/work' {self.folder}/merged"
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mount} && exec systemd-nspawn "$@"', "sh", "--quiet", "--register=no", "--keep-unit",
                f"--directory={self.folder}/merged", f"--machine=wmt-{hashlib.sha256(self.folder.name.encode()).hexdigest()[:12]}", *self.options, *arguments]

    @staticmethod
    def _finish(command, text, given):
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, **given)
        if done.returncode != 0:
            raise Failed(f"{text}\nended with {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def command(self, arguments, *options, environment=None):
        """The command line that runs something in a machine that is not booted, or in the one that is."""
        variables = {**ENVIRONMENT, **(environment or {})}
        if self.leader is None:
            return self._nspawn("--as-pid2", "--pipe", *(f"--setenv={name}={value}" for name, value in variables.items()), *options, "--", *arguments)
        return ["nsenter", "-t", str(self.leader), "-a", "env", "-i", *(f"{name}={value}" for name, value in variables.items()), *arguments]

    def run(self, script, *options, environment=None, **given):
        """Its standard output; Failed when it did not end with 0."""
        return self._finish(self.command(["/bin/sh", "-euc", script], *options, environment=environment), script, {"stdin": subprocess.DEVNULL, **given}
                            if "input" not in given else given)

    def boot(self):
        """Starts systemd in it, and waits until all that it starts is up."""
        log = open(self.folder / "console", "wb")
        self._process = subprocess.Popen(self._nspawn("--boot", "--console=pipe"), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")

        def first():
            """The process that is the first one of its own namespace."""
            assert self._process.poll() is None, (self.folder / "console").read_text(errors="replace")
            for child in children.read_text(encoding="utf-8").split():
                with contextlib.suppress(OSError):
                    numbers = pathlib.Path(f"/proc/{child}/status").read_text(encoding="utf-8").split("NSpid:")[1].split("\n")[0].split()
                    if len(numbers) > 1 and numbers[-1] == "1" and pathlib.Path(f"/proc/{child}/comm").read_text(encoding="utf-8").strip() == "systemd":
                        return int(child)
            return None
        self.leader = until(first, what="systemd-nspawn")

        def running():
            assert self._process.poll() is None, (self.folder / "console").read_text(errors="replace")
            state = subprocess.run(self.command(["systemctl", "is-system-running"]), capture_output=True, text=True, check=False).stdout.strip()
            return state if state in ("running", "degraded") else None
        state = until(running, 120, "the start of systemd")
        assert state == "running", self.run("systemctl --failed --no-pager")

    def close(self):
        atexit.unregister(self.close)
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                os.kill(self.leader, signal.SIGKILL)
                self._process.wait(60)
        _remove(self.folder)
