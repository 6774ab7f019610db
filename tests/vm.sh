#!/bin/sh
# The first process of the virtual machine of `cargo xtask vm`: a machine with nothing but cgroup v2.
/bin/busybox --install -s /bin
export PATH=/bin
if [ ! -e /switched ]; then
  # A container's root is pivoted to, which the kernel refuses on the initramfs itself.
  mkdir /new
  mount -t tmpfs tmpfs /new
  for entry in bin dev etc init overlay.ko proc run sys tmp var; do cp -a /$entry /new/; done
  touch /new/switched
  exec switch_root /new /init
fi
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /var/log
mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for folder in /tmp /run /var/lib; do mount -t tmpfs tmpfs $folder; done
insmod /overlay.ko
echo root:x:0:0::/:/bin/sh >/etc/passwd
echo root:x:0: >/etc/group

failed=0
# check NAME EXPECTED COMMAND...: the command's output, errors included, is what is expected.
check() {
  name=$1 expected=$2
  shift 2
  got=$("$@" 2>&1)
  if [ "$got" = "$expected" ]; then echo "ok $name"; else
    failed=1
    printf 'FAILED %s\n expected: %s\n got: %s\n' "$name" "$expected" "$got"
  fi
}

mkdir -p /tmp/rootfs/bin /tmp/rootfs/etc
cp /bin/busybox /tmp/rootfs/bin
/bin/busybox --install -s /tmp/rootfs/bin
cp /etc/passwd /etc/group /tmp/rootfs/etc
tar -C /tmp/rootfs -c . | tare import -c 'CMD ["sh"]' - box >/tmp/import 2>&1 || { cat /tmp/import; tail -20 /var/log/tare.log /run/tare/*.log; }

# Of Debian's modules only overlayfs is here, none for networks.
check 'the first container' hello tare run --network none --rm box echo hello
check 'a cgroup namespace of its own' 0::/ tare run --network none --rm box cat /proc/self/cgroup
check 'memory' 33554432 tare run --network none --rm -m 32m box cat /sys/fs/cgroup/memory.max
check 'swap' 33554432 tare run --network none --rm -m 32m --memory-swap 64m box cat /sys/fs/cgroup/memory.swap.max
check 'cpus' '50000 100000' tare run --network none --rm --cpus 0.5 box cat /sys/fs/cgroup/cpu.max
check 'shares' 20 tare run --network none --rm --cpu-shares 512 box cat /sys/fs/cgroup/cpu.weight
check 'pids' 17 tare run --network none --rm --pids-limit 17 box cat /sys/fs/cgroup/pids.max
check 'cpuset' 1 tare run --network none --rm --cpuset-cpus 1 box cat /sys/fs/cgroup/cpuset.cpus.effective
check 'the cgroup is read-only' "sh: can't create /sys/fs/cgroup/x: Read-only file system" tare run --network none --rm box sh -c 'echo >/sys/fs/cgroup/x'
check 'a device that is allowed' 0 tare run --network none --rm box sh -c 'mknod /null c 1 3; echo >/null; echo $?'
check 'a device that is not' "cat: can't open '/kmsg': Operation not permitted" tare run --network none --rm box sh -c 'mknod /kmsg c 1 11; exec cat /kmsg'
check 'out of memory' true sh -c 'tare run --network none --name oom -m 16m --memory-swap 16m box sh -c "tail -f /dev/zero" >/dev/null 2>&1; tare inspect -f "{{.State.OOMKilled}}" oom'
tare rm oom >/dev/null

id=$(tare run --network none -d --name long box sleep 1000)
check 'exec' 2 tare exec long sh -c 'ls /proc | grep -c "^[0-9]*$" >/dev/null; echo 2'
check 'pause' long tare pause long
check 'paused' 1 cat /sys/fs/cgroup/tare/$id/cgroup.freeze
check 'unpause' long tare unpause long
kill -9 "$(cat /run/tare/tare.pid)"
check 'after the daemon was killed' running sh -c "tare inspect -f '{{.State.Status}}' long 2>/dev/null"
check 'exec after that' again tare exec long echo again
check 'stop' long tare stop -t 0 long
check 'exit code' 137 tare inspect -f '{{.State.ExitCode}}' long
check 'remove' long tare rm long
check 'no cgroup left' '' find /sys/fs/cgroup/tare -mindepth 1 -type d
check 'info' 2 tare info -f '{{.CgroupVersion}}'
[ $failed = 0 ] && echo 'vm: all passed'
poweroff -f
