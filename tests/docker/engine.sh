#!/bin/sh
# Runs a command beside a container engine of its own: engine.sh COMMAND [ARGUMENT...]
#
# For Debian and its relatives, as root. Installs the engine by apt when it is missing, starts it
# on a socket and a data directory of its own, makes the image batchyard-busybox:test without
# any registry, runs the command with DOCKER_HOST set, and stops and removes all of it again.
# Exits with the command's exit code.
set -eu

[ "$#" -gt 0 ] || { echo "usage: engine.sh COMMAND [ARGUMENT...]" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "engine.sh: an engine can only be started by root" >&2; exit 2; }

root=$(mktemp -d -t batchyard-engine.XXXXXX)
containerd_pid=
dockerd_pid=

# Ends one process by its id, and waits for it, for at most ten seconds.
end_process() {
    [ -n "$1" ] || return 0
    kill "$1" 2>/dev/null || return 0
    tries=0
    while kill -0 "$1" 2>/dev/null && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -KILL "$1" 2>/dev/null || true
}

# Ids of processes that work for this engine: its shims carry its directory in their arguments.
helpers() {
    ps -eo pid=,args= | awk -v root="$root/" -v self="$$" \
        'index($0, root) && $1 != self && $2 != "awk" { print $1 }'
}

clean_up() {
    status=$?
    trap - EXIT INT TERM
    if [ -S "$root/docker.sock" ]; then
        docker -H "unix://$root/docker.sock" ps --all --quiet 2>/dev/null |
            xargs -r docker -H "unix://$root/docker.sock" rm --force >/dev/null 2>&1 || true
    fi
    end_process "$dockerd_pid"
    end_process "$containerd_pid"
    # Shims end by themselves soon after their container.
    tries=0
    while [ -n "$(helpers)" ] && [ "$tries" -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    for pid in $(helpers); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    # Mounts that a killed container left would make the removal below fail.
    awk -v root="$root/" 'index($2, root) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mounted; do umount -l "$mounted" || true; done
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$root/dockerd.log" 2>/dev/null >&2 || true
    fi
    rm -rf "$root"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_missing() {
    if command -v dockerd >/dev/null && command -v containerd >/dev/null &&
        [ -x /bin/busybox ] && command -v docker >/dev/null; then
        return 0
    fi
    # At run level 1 the packages' scripts start no service: this engine is to be private.
    export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends \
        docker.io containerd runc busybox-static >"$root/apt.log" 2>&1 ||
        { cat "$root/apt.log" >&2; return 1; }
}

start_engine() {
    containerd --root "$root/containerd" --state "$root/containerd-state" \
        --address "$root/containerd.sock" >"$root/containerd.log" 2>&1 &
    containerd_pid=$!
    # No bridge and no packet filter: tests use the host's network, and the host stays as it is.
    dockerd --containerd "$root/containerd.sock" --host "unix://$root/docker.sock" \
        --data-root "$root/data" --exec-root "$root/exec" --pidfile "$root/docker.pid" \
        --bridge none --iptables=false --ip6tables=false --storage-driver vfs \
        --exec-opt native.cgroupdriver=cgroupfs >"$root/dockerd.log" 2>&1 &
    dockerd_pid=$!
    tries=0
    until docker -H "unix://$root/docker.sock" version >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ] || ! kill -0 "$dockerd_pid" 2>/dev/null; then
            echo "engine.sh: the engine did not start" >&2
            return 1
        fi
        sleep 0.1
    done
}

make_image() {
    mkdir -p "$root/image/bin" "$root/image/etc" "$root/image/tmp"
    chmod 1777 "$root/image/tmp"
    cp /bin/busybox "$root/image/bin/busybox"
    /bin/busybox --list | while read -r applet; do
        [ "$applet" = busybox ] || ln -s busybox "$root/image/bin/$applet"
    done
    printf 'root:x:0:0:root:/:/bin/sh\nworker:x:1234:1234:worker:/:/bin/sh\n' \
        >"$root/image/etc/passwd"
    printf 'root:x:0:\nworker:x:1234:\n' >"$root/image/etc/group"
    tar -C "$root/image" -c . |
        docker -H "unix://$root/docker.sock" import \
            --change 'ENV PATH=/bin' --change 'CMD ["/bin/sh"]' - batchyard-busybox:test >/dev/null
}

install_missing
start_engine
make_image
DOCKER_HOST="unix://$root/docker.sock" "$@"
