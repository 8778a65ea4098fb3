#!/bin/sh
# Installs, upgrades and removes the MIaaS agent on this host. Needs no network when the wheels of
# its libraries stand beside it.
#
#   sh install.sh miaas-0.1.0-py3-none-any.whl                  install or upgrade
#   sh install.sh --wheelhouse DIR miaas-....whl                take libraries from DIR alone
#   sh install.sh --uninstall [--stop-containers] [--purge]     remove; containers run on unless told
#
# --root DIR    put everything below DIR instead of /, and start nothing (images, tests)
# --python P    the Python to use, 3.11 or newer (default python3)
#
# Containers, volumes, /etc/miaas and /var/lib/miaas-agent are never touched, but by
# --stop-containers (stops this node's containers; volumes stay) and --purge (settings and memory).
set -eu

PROGRAMS="miaas miaas-agent miaas-reconciler miaas-state-gc"
UNITS="miaas-agent.service miaas-agent-once.service miaas-agent.timer miaas-agent-fence.service miaas-agent-fence.timer"
root='' python=python3 wheelhouse='' wheel='' action=install stop=no purge=no

say() { printf 'miaas: %s\n' "$*"; }
fail() {
    printf 'miaas: %s\n' "$*" >&2
    exit 3
}

while [ $# -gt 0 ]; do
    case $1 in
    --root) root=${2:?--root needs a folder}; shift ;;
    --python) python=${2:?--python needs a program}; shift ;;
    --wheelhouse) wheelhouse=${2:?--wheelhouse needs a folder}; shift ;;
    --uninstall) action=uninstall ;;
    --stop-containers) stop=yes ;;
    --purge) purge=yes ;;
    -*) printf 'miaas: no option %s. Fix: see the first lines of this script\n' "$1" >&2; exit 2 ;;
    *) wheel=$1 ;;
    esac
    shift
done
root=${root%/}
home=$root/opt/miaas bin=$root/usr/local/bin units=$root/etc/systemd/system

# Whether systemd runs this very host.
systemd_runs() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

check() {
    [ -n "$wheel" ] || { printf 'miaas: name the wheel to install\n' >&2; exit 2; }
    [ -f "$wheel" ] || fail "$wheel is not there"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$python is not Python 3.11 or newer. Fix: install one, and name it: --python python3.11"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make a venv. Fix: apt-get install python3-venv"
    command -v git >/dev/null 2>&1 || say "git is not installed yet: the agent needs it"
    mkdir -p "$home/releases" "$bin" "$units" 2>/dev/null ||
        fail "cannot write to $home, $bin and $units. Fix: run as root"
}

# A release is a venv of its own that never changes. The old one serves until the new one is whole.
make_release() {
    number=1
    while [ -e "$home/releases/$number" ]; do number=$((number + 1)); done
    release=$home/releases/$number
    trap 'rm -rf "$release"' EXIT
    "$python" -m venv "$release"
    beside=$(cd "$(dirname "$wheel")" && pwd)
    if [ -z "$wheelhouse" ] && [ "$(find "$beside" -maxdepth 1 -name '*.whl' | wc -l)" -gt 1 ]; then
        wheelhouse=$beside
    fi
    set -- --quiet --disable-pip-version-check
    [ -z "$wheelhouse" ] || set -- "$@" --no-index --find-links "$wheelhouse"
    "$release/bin/python" -m pip install "$@" "$wheel" ||
        fail "the wheel cannot be installed. Fix: without a network, put the wheels of all libraries beside it"
    "$release/bin/miaas-agent" --help >/dev/null || fail "the new release does not start"
    trap - EXIT
}

# From one release to the next in a single rename.
switch() {
    old=$(readlink "$home/current" 2>/dev/null || true)
    ln -s "releases/$number" "$home/current.new"
    mv -T "$home/current.new" "$home/current"
    for program in $PROGRAMS; do
        ln -sfn "$home/current/bin/$program" "$bin/$program"
    done
    from=$("$release/bin/python" -P -c 'from importlib.resources import files; print(files("agent"))')
    for unit in $UNITS; do
        install -m 0644 "$from/units/$unit" "$units/$unit"
    done
    install -m 0755 "$from/install.sh" "$home/install.sh"
    [ -z "$old" ] || say "upgraded: $home/$old, now releases/$number"
}

# Restart the way that was chosen, if one was. Containers belong to Docker and run on.
start() {
    systemd_runs || { say "installed; no systemd here to start it"; return 0; }
    systemctl daemon-reload
    # Whichever way the agent runs: the fence has to look while it does not.
    if [ -f /etc/miaas/agent.toml ]; then
        systemctl enable --now miaas-agent-fence.timer
        systemctl restart miaas-agent-fence.timer
    fi
    if systemctl --quiet is-enabled miaas-agent.timer 2>/dev/null; then
        systemctl restart miaas-agent.timer
    elif [ -f /etc/miaas/agent.toml ]; then
        systemctl --quiet enable miaas-agent.service
        systemctl restart miaas-agent.service
    else
        say "installed. Next: miaas-agent enrol --node NAME --state-url URL"
    fi
}

# The release that ran until now is kept for a way back; older ones go.
sweep() {
    for place in "$home"/releases/*; do
        case releases/${place##*/} in
        "releases/$number" | "$old") ;;
        *) rm -rf "$place" ;;
        esac
    done
}

# A text of the settings file; nothing where it is not set.
setting() {
    sed -n "s/^$1 *= *[\"']\([^\"']*\)[\"'].*\$/\1/p" "$root/etc/miaas/agent.toml" 2>/dev/null || true
}

# Docker on the engine that the agent drives, whatever this shell would talk to.
on_engine() { docker --host "${engine:-unix:///var/run/docker.sock}" "$@"; }

stop_containers() {
    node=$(setting node) engine=$(setting docker_host)
    [ -n "$node" ] || fail "no node is named in $root/etc/miaas/agent.toml: whose containers to stop?"
    ours="label=io.miaas.node=$node"
    made=$(on_engine ps --all --quiet --filter "$ours") && running=$(on_engine ps --quiet --filter "$ours") ||
        fail "Docker does not answer. Fix: start it, or leave --stop-containers out"
    # One with `restart: always` comes back with the engine, also where it was stopped before.
    # shellcheck disable=SC2086  # a list of ids on purpose
    [ -z "$made" ] || on_engine update --restart=no $made >/dev/null ||
        fail "Docker would start some containers again. Fix: docker update --restart=no, or leave --stop-containers out"
    # shellcheck disable=SC2086  # a list of ids on purpose
    [ -z "$running" ] || on_engine stop $running >/dev/null ||
        fail "some containers do not stop. Fix: see `docker ps`, and run this again"
    say "stopped $(printf '%s' "$running" | grep -c . || true) containers; they and their volumes are still there"
}

uninstall() {
    if systemd_runs; then
        # The fence last: until the agent is gone it may still start something.
        systemctl disable --now miaas-agent.service miaas-agent.timer 2>/dev/null || true
        # The timer may have just started a pass, whose files are about to go.
        systemctl stop miaas-agent-once.service 2>/dev/null || true
        systemctl reset-failed miaas-agent-once.service 2>/dev/null || true
        systemctl disable --now miaas-agent-fence.timer 2>/dev/null || true
    fi
    [ "$stop" = no ] || stop_containers
    for unit in $UNITS; do rm -f "$units/$unit"; done
    for program in $PROGRAMS; do
        case $(readlink "$bin/$program" 2>/dev/null || true) in
        "$home"/*) rm -f "$bin/$program" ;;
        esac
    done
    rm -rf "$home"
    if systemd_runs; then systemctl daemon-reload; fi
    if [ "$purge" = yes ]; then
        rm -rf "$root/etc/miaas" "$root/var/lib/miaas-agent"
        say "removed, with settings and memory"
    else
        say "removed. Left: /etc/miaas, /var/lib/miaas-agent, all volumes, and what runs"
    fi
}

if [ "$action" = uninstall ]; then
    uninstall
else
    check
    make_release
    switch
    start
    sweep
fi
