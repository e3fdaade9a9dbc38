#!/bin/sh
# Make a virtual environment with the first Python from 3.11 to 3.13 that can.
# usage: make_venv.sh FOLDER
set -eu

usable() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1
}

for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if usable "$python"; then
        if "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            exec "$python" -m venv "$1"
        fi
        echo "$python has no venv (Debian, Ubuntu: apt-get install python3-venv)" >&2
    fi
done
echo "error: TaiLoRA needs Python 3.11 to 3.13 with venv; install it (Debian, Ubuntu: apt-get" \
    "install python3 python3-venv; macOS: brew install python@3.13) or name it:" \
    "make PYTHON=/path/to/python" >&2
exit 1
