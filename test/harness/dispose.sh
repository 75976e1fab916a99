#!/bin/sh
# Removes all that a lab left: processes, control groups, mounts, network namespaces, its folder. May run twice.
# usage: dispose.sh [--when-input-ends] CONTROL_GROUP NAMESPACE_PREFIX FOLDER
# With --when-input-ends it first waits for its standard input to close: the lab's owner holds the other end, and the
# kernel closes it however the owner dies.
if [ "$1" = --when-input-ends ]; then
  shift
  while read -r _; do :; done
fi
group=$1 prefix=$2 folder=$3

if [ -d "$group" ]; then
  echo 1 > "$group/cgroup.kill"
  for _ in $(seq 200); do
    grep -q 'populated 0' "$group/cgroup.events" && break
    sleep 0.05
  done
fi
# systemd-nspawn makes its groups in the old hierarchy too, where that is mounted.
for tree in "$group" "/sys/fs/cgroup/systemd/$(basename "$group")"; do
  if [ -d "$tree" ]; then find "$tree" -depth -type d -exec rmdir {} +; fi
done
awk -v folder="$folder/" 'index($5, folder) == 1 || $5 "/" == folder { print $5 }' /proc/self/mountinfo | sort -r |
  while read -r mount; do umount -l "$mount"; done
for namespace in /run/netns/"$prefix" /run/netns/"$prefix"-*; do
  if [ -e "$namespace" ]; then ip netns del "$(basename "$namespace")"; fi
done
rm -rf --one-file-system "$folder"
