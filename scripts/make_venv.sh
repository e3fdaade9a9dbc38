#!/bin/sh
# Make a virtual environment with the first Python >= 3.11 that can.
# usage: make_venv.sh FOLDER
set -eu

usable() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

for python in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if usable "$python"; then
        if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            echo "error: $python has no venv; install it (Debian, Ubuntu: apt-get install python3-venv)" >&2
            exit 1
        fi
        exec "$python" -m venv "$1"
    fi
done
echo "error: TaiLoRA needs Python 3.11 or newer; install it (Debian, Ubuntu: apt-get install" \
    "python3 python3-venv; macOS: brew install python) or name it: make PYTHON=/path/to/python" >&2
exit 1
