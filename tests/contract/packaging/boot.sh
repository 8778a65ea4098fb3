#!/bin/bash
# Boots the systemd of this machine as the first process of namespaces of its own, on a copy of this
# root that is thrown away. Used by test_systemd.py; needs to be root.
#   boot.sh FOLDER SHARED NAME   FOLDER: for mounts; SHARED: shown inside as /mnt; NAME: of the cgroup
set -eu
folder=$1 shared=$2 name=$3

if [ -z "${inside:-}" ]; then
    if [ -e /sys/fs/cgroup/cgroup.procs ]; then
        trees=(/sys/fs/cgroup)
    else
        trees=(/sys/fs/cgroup/{systemd,memory,pids,cpu})
    fi
    for tree in "${trees[@]}"; do
        mkdir -p "$tree/$name"
        echo $$ >"$tree/$name/cgroup.procs"
    done
    export inside=yes
    exec unshare --pid --mount --uts --ipc --net --cgroup --fork --kill-child --propagation private \
        bash "$0" "$@"
fi

mount -t tmpfs tmpfs "$folder"
mkdir "$folder"/{upper,work,root}
root=$folder/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev"
mount --bind "$shared" "$root/mnt"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
touch "$root/dev/console"
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root"/sys/fs/cgroup/{systemd,memory,pids,cpu}
    mount -t cgroup -o none,name=systemd,xattr cgroup "$root/sys/fs/cgroup/systemd"
    for one in memory pids cpu; do mount -t cgroup -o "$one" cgroup "$root/sys/fs/cgroup/$one"; done
fi
# What this machine starts is none of its business.
rm -f "$root"/etc/systemd/system/*.wants/*
echo box >"$root/etc/hostname"
: >"$root/etc/machine-id"
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" \
    /lib/systemd/systemd --log-target=console --show-status=no --unit=basic.target
