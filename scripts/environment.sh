# shellcheck shell=sh
# Read by ./quickstart and ./test: makes a virtual environment once and activates it.
#
# VENV names its folder (.venv when not set), LOCKS the one with the locks (locks when not set).

VENV=${VENV:-$PWD/.venv}
LOCKS=$(cd "${LOCKS:-locks}" && pwd)
export LOCKS

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

is_recent_python() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
  for name in python3 python3.13 python3.12 python3.11 python3.14 python; do
    if is_recent_python "$name"; then
      command -v "$name"
      return
    fi
  done
  fail "cloudtune needs Python 3.11 or later, and none was found on the PATH." \
    "Install one (python.org, your package manager, pyenv) and start again."
}

make_environment() {
  if [ -e "$VENV" ] && ! is_recent_python "$VENV/bin/python"; then
    fail "$VENV has no Python 3.11 or later in it. Remove it and start again."
  fi
  python=$(find_python)
  if "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv "$VENV"
    # The pip that comes with Python 3.11 takes twice as long.
    "$VENV/bin/python" -m pip --quiet install --require-hashes --requirement "$LOCKS/pip.txt"
  elif "$python" -m pip --version >/dev/null 2>&1; then # Debian without python3-venv
    "$python" -m venv --without-pip "$VENV"
    "$python" -m pip --quiet --python "$VENV/bin/python" install --require-hashes \
      --requirement "$LOCKS/pip.txt"
  else
    fail "$python has neither ensurepip nor pip." \
      "On Debian and Ubuntu: sudo apt install python3-venv. Then start again."
  fi
}

# Installs packages into the environment, and shows each one: on a terminal in one line.
install_packages() {
  failed=$VENV/.install-failed
  rm -f "$failed"
  line='  %s\n'
  if [ -t 2 ]; then line='  %-76.76s\r'; fi
  { "$VENV/bin/python" -m pip --disable-pip-version-check install "$@" || : >"$failed"; } |
    while read -r word name rest; do
      name=${name##*/}
      case $word in
      Collecting) printf "$line" "collecting ${name%%[<>=!~;]*}" ;;
      Downloading) printf "$line" "downloading ${name%%-*} $rest" ;;
      Installing) printf "$line" "installing the packages, which can take a minute" ;;
      esac
    done >&2
  if [ -t 2 ]; then printf '%78s\r' '' >&2; fi
  [ ! -e "$failed" ]
}

# Activates the environment with cloudtune and the packages of a lock, which is named after an
# extra. Further words go to pip.
use_environment() {
  extra=$1
  shift
  stamp=$VENV/.cloudtune-$extra
  wanted="$PWD $(cat pyproject.toml "$LOCKS/$extra.txt" | cksum)"
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || ! is_recent_python "$VENV/bin/python"; then
    echo "Installing cloudtune[$extra] into $VENV; this happens once" >&2
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || make_environment
    install_packages "$@" --no-deps --require-hashes --requirement "$LOCKS/$extra.txt" \
      --build-constraint "$LOCKS/build.txt"
    "$VENV/bin/python" -m pip --quiet install --no-deps --no-build-isolation --no-index --editable .
    printf '%s\n' "$wanted" >"$stamp"
  fi
  unset PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
  VIRTUAL_ENV=$VENV
  PATH=$VENV/bin:$PATH
  export VIRTUAL_ENV PATH
}
