# Sourced by the commands beside this file; not a command itself.
#
#   need_venv .venv -e '.[dev]'     make the environment if it is missing or out of date
#
# A stamp inside the environment holds what it was made from. It is written last, so an install that failed or was
# interrupted is done again; while it matches, nothing is started but a few short questions.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s\n' "$*" >&2; }

# Prints the Python to make environments with: $PYTHON, or the first on PATH that is new enough and can make one.
find_python() {
    local candidate
    local -a candidates=(python3.11 python3.12 python3.13 python3)
    [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    say "No Python 3.11 or newer that can make a virtual environment. Tried: ${candidates[*]}."
    say "Install one (on Debian: apt-get install python3 python3-venv) or name it: PYTHON=/path/to/python $0"
    return 2
}

# Prints what an environment would be made from now: its interpreter, this folder, pyproject.toml, the arguments and
# every file that they name.
venv_recipe() {
    local venv=$1 argument
    shift
    "$venv/bin/python" --version 2>/dev/null || return 1
    printf '%s\n' "$root" "$*"
    git hash-object --no-filters "$root/pyproject.toml"
    for argument in "$@"; do
        [ ! -f "$root/$argument" ] || git hash-object --no-filters "$root/$argument"
    done
}

venv_is_ready() {
    local venv=$1 recipe
    [ -f "$venv/.stamp" ] && recipe=$(venv_recipe "$@") && [ "$recipe" = "$(cat "$venv/.stamp")" ] || return 1
    [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" --version 2>/dev/null)" = "${recipe%%$'\n'*}" ]
}

# An environment worth keeping: not left in the middle of an install, new enough, with pip, and of the version that
# $PYTHON asks for.
venv_is_usable() {
    local python=$1/bin/python
    [ ! -e "$1/.installing" ] || return 1
    "$python" -c 'import sys, pip._internal.cli.main; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || return 1
    [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" --version 2>/dev/null)" = "$("$python" --version)" ]
}

make_venv() {
    local venv=$1 python
    shift
    python=$(find_python) || return
    # Python's fcntl stands in for flock(1), which macOS lacks. The lock belongs to descriptor 9, which this shell keeps,
    # so it lasts until the subshell ends, however it ends.
    "$python" -c '
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("Another command is preparing the environment; waiting for it.", file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)
' || return
    ! venv_is_ready "$venv" "$@" || return 0
    rm -f "$venv/.stamp"
    if ! venv_is_usable "$venv"; then
        say "Making ${venv#"$root"/} with $("$python" --version)."
        "$python" -m venv --clear "$venv" || return
    fi
    say "Installing $* into ${venv#"$root"/} (once, and whenever pyproject.toml changes)."
    touch "$venv/.installing"
    if ! (cd "$root" && "$venv/bin/python" -m pip install -qq --disable-pip-version-check "$@"); then
        rm -f "$venv/.installing"
        say "The install failed; pip says why above. The next run of $0 tries again."
        return 1
    fi
    rm -f "$venv/.installing"
    venv_recipe "$venv" "$@" >"$venv/.stamp.new" && mv "$venv/.stamp.new" "$venv/.stamp"
}

need_venv() {
    local venv=$root/$1
    shift
    venv_is_ready "$venv" "$@" || (make_venv "$venv" "$@") 9<"$root" || exit
    # Tests and benchmarks start hundreds of processes: without this, each would compile all modules again where
    # PYTHONDONTWRITEBYTECODE is set, and elsewhere leave folders beside the sources.
    export PYTHONPYCACHEPREFIX=$venv/pycache PYTHONDONTWRITEBYTECODE=
}
