#!/bin/sh
# Print the newest Python of this host that can run volforensic and make a virtual environment; fail with a message
# where there is none. PYTHON=/path/to/python3 decides it by hand.
set -u

fits() { # running it is the proof: a name on PATH may be a stub, and Debian's python3 lacks ensurepip without python3-venv
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

for candidate in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
    if fits "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
done

found=$(python3 --version 2>/dev/null || echo "no python3 at all")
cat >&2 <<EOF
volforensic needs Python 3.11 or newer with the module venv; this host has ${PYTHON:-$found}${PYTHON:+, which is not one}.
  Debian 12 and later, Ubuntu 24.04 and later:  apt-get install python3-venv
  Amazon Linux 2023:                            dnf install python3.11
  elsewhere: install one and say where:         make setup PYTHON=/path/to/python3
EOF
exit 5
