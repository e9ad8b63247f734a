# SPDX-License-Identifier: AGPL-3.0-or-later
# Finds and installs what is missing. To be sourced; the caller has set -euo pipefail.

# Packages of python modules serve the system's own interpreter, which need not be the first in PATH.
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3

# probe KIND:WHAT: is it there?
probe() {
  case $1 in
    cmd:*) command -v "${1#cmd:}" >/dev/null ;;
    pc:*) command -v pkg-config >/dev/null && pkg-config --exists "${1#pc:}" ;;
    py:*) command -v "$python" >/dev/null && "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('${1#py:}') is None)" ;;
    path:*) compgen -G "${1#path:}" >/dev/null ;;
    *) echo "unknown probe $1" >&2; exit 1 ;;
  esac
}

# missing_packages LIST...: the packages of these lists that are not there, one a line.
missing_packages() {
  local package probes one found
  while read -r package probes; do
    found=no
    for one in ${probes//,/ }; do
      if probe "$one"; then found=yes; break; fi
    done
    [ $found = yes ] || echo "$package"
  done < <(cat "$@" | grep -Ev '^(#|$)')
}

# apt_install PACKAGE...: without a prompt, and without the system's own PostgreSQL cluster, which its package would make and start.
apt_install() {
  local as_root=() folder=/etc/postgresql-common/createcluster.d
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" mkdir -p "$folder"
  echo 'create_main_cluster = false' | "${as_root[@]}" tee "$folder/wardmote-install.conf" >/dev/null
  local status=0
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null || status=$?
  "${as_root[@]}" rm -f "$folder/wardmote-install.conf"
  return $status
}

# need_packages INSTALL LIST...: installs what is missing (INSTALL=yes), or names it and ends.
need_packages() {
  local install=$1 missing
  shift
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  if [ "$install" != yes ]; then
    printf 'missing packages:\n%s\n' "$missing" >&2
    exit 1
  fi
  if ! command -v apt-get >/dev/null; then
    printf 'This is neither Debian nor Ubuntu. Please install what these packages hold there:\n%s\n' "$missing" >&2
    exit 1
  fi
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    printf 'missing packages (root may install them with apt-get install):\n%s\n' "$missing" >&2
    exit 1
  fi
  echo "installing" $missing
  # shellcheck disable=SC2086
  apt_install $missing
  missing=$(missing_packages "$@")
  [ -z "$missing" ] || { printf 'still missing after the installation:\n%s\n' "$missing" >&2; exit 1; }
}

# need_programs INSTALL FOLDER PROGRAM:PACKAGE...: puts what the PATH lacks into FOLDER, and FOLDER in front of the PATH: their packages would start services.
need_programs() {
  local install=$1 folder=$2 program
  shift 2
  export PATH=$folder/usr/bin:$folder/usr/sbin:$PATH:/usr/sbin
  for program in "$@"; do
    ! command -v "${program%:*}" >/dev/null || continue
    [ "$install" = yes ] || { echo "missing: ${program%:*} (package ${program#*:})" >&2; exit 1; }
    mkdir -p "$folder"
    (cd "$folder" && apt-get -qq download "${program#*:}" && dpkg -x "${program#*:}"_*.deb . && rm -f "${program#*:}"_*.deb)
  done
}
