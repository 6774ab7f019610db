//! The specification's limits, in the files of either version.

use oci::runtime::{
    BlockIo, Cpu, HugepageLimit, Memory, Network, RdmaLimit, Resources, ThrottleDevice,
};

use super::{Cgroup, Folder};
use crate::{Error, Kind, Result};

/// Where a controller is: its container's folder in a version 1 hierarchy, or the one of version 2.
enum Place<'a> {
    V1(&'a Folder),
    V2(&'a Folder),
}

pub(super) fn set(cgroup: &Cgroup, resources: &Resources) -> Result<()> {
    if let Some(memory) = resources
        .memory
        .as_ref()
        .filter(|memory| **memory != Memory::default())
    {
        set_memory(&cgroup.place("memory")?, memory)?;
    }
    if let Some(cpu) = &resources.cpu {
        set_cpu(cgroup, cpu)?;
    }
    if let Some(pids) = resources.pids.filter(|pids| pids.limit != 0) {
        let (Place::V1(folder) | Place::V2(folder)) = cgroup.place("pids")?;
        folder.write("pids.max", &limit_or_max(pids.limit))?;
    }
    if let Some(block_io) = resources
        .block_io
        .as_ref()
        .filter(|block_io| **block_io != BlockIo::default())
    {
        set_block_io(cgroup, block_io)?;
    }
    for limit in &resources.hugepage_limits {
        set_hugepages(&cgroup.place("hugetlb")?, limit)?;
    }
    if let Some(network) = &resources.network {
        set_network(cgroup, network)?;
    }
    for (device, limit) in &resources.rdma {
        set_rdma(&cgroup.place("rdma")?, device, *limit)?;
    }
    set_unified(cgroup, resources)
}

impl Cgroup {
    /// Refuses a limit whose controller the machine does not have.
    fn place(&self, controller: &str) -> Result<Place<'_>> {
        if let Some(folder) = self.controller(controller) {
            return Ok(Place::V1(folder));
        }
        let offers = |folder: &&Folder| {
            let text =
                linux::file::read_at(&folder.fd, "cgroup.controllers", 4096).unwrap_or_default();
            String::from_utf8_lossy(&text)
                .split_whitespace()
                .any(|held| held == controller)
        };
        let missing = || {
            Error::new(
                Kind::Invalid,
                format!("cannot set a limit: the {controller} cgroup controller is not available"),
            )
        };
        self.unified
            .as_ref()
            .filter(offers)
            .map(Place::V2)
            .ok_or_else(missing)
    }
}

/// Version 2 says `max` for what the specification and version 1 call -1.
fn limit_or_max(value: i64) -> String {
    if value < 0 {
        "max".to_owned()
    } else {
        value.to_string()
    }
}

fn set_memory(place: &Place<'_>, memory: &Memory) -> Result<()> {
    match place {
        Place::V1(folder) => set_memory_v1(folder, memory),
        Place::V2(folder) => set_memory_v2(folder, memory),
    }
}

fn set_memory_v1(folder: &Folder, memory: &Memory) -> Result<()> {
    let write = |name: &str, value: Option<i64>| match value {
        Some(value) if value != 0 => folder.write(name, &value.to_string()),
        _ => Ok(()),
    };
    // Memory and swap together can never be less than memory alone: a new cgroup is unlimited, so this order works.
    write("memory.limit_in_bytes", memory.limit)?;
    if memory.swap.is_some_and(|swap| swap != 0) {
        if !folder.has("memory.memsw.limit_in_bytes") {
            return Err(Error::new(
                Kind::Invalid,
                "cannot limit swap: the kernel does not account for it (swapaccount=1)",
            ));
        }
        write("memory.memsw.limit_in_bytes", memory.swap)?;
    }
    write("memory.soft_limit_in_bytes", memory.reservation)?;
    write("memory.kmem.limit_in_bytes", memory.kernel)?;
    write("memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp)?;
    if let Some(swappiness) = memory.swappiness {
        folder.write("memory.swappiness", &swappiness.to_string())?;
    }
    if let Some(use_hierarchy) = memory.use_hierarchy {
        folder.write(
            "memory.use_hierarchy",
            if use_hierarchy { "1" } else { "0" },
        )?;
    }
    if memory.disable_oom_killer == Some(true) {
        folder.write("memory.oom_control", "1")?;
    }
    Ok(())
}

fn set_memory_v2(folder: &Folder, memory: &Memory) -> Result<()> {
    let refused = [
        (
            "memory.kernel",
            memory.kernel.is_some_and(|limit| limit > 0),
        ),
        (
            "memory.kernelTCP",
            memory.kernel_tcp.is_some_and(|limit| limit > 0),
        ),
        ("memory.swappiness", memory.swappiness.is_some()),
        (
            "memory.disableOOMKiller",
            memory.disable_oom_killer == Some(true),
        ),
        ("memory.useHierarchy", memory.use_hierarchy == Some(false)),
    ];
    if let Some((name, _)) = refused.iter().find(|(_, asked)| *asked) {
        return Err(Error::new(
            Kind::Invalid,
            format!("{name} does not exist in cgroup v2"),
        ));
    }
    if let Some(swap) = swap_v2(memory)? {
        folder.write("memory.swap.max", &swap)?;
    }
    if let Some(limit) = memory.limit.filter(|limit| *limit != 0) {
        folder.write("memory.max", &limit_or_max(limit))?;
    }
    if let Some(reservation) = memory.reservation.filter(|limit| *limit != 0) {
        folder.write("memory.low", &limit_or_max(reservation))?;
    }
    Ok(())
}

/// The specification counts memory and swap together, version 2 swap alone.
fn swap_v2(memory: &Memory) -> Result<Option<String>> {
    let (limit, Some(swap)) = (
        memory.limit.unwrap_or(0),
        memory.swap.filter(|swap| *swap != 0),
    ) else {
        return Ok(None);
    };
    if swap < 0 || limit < 0 {
        return Ok(Some("max".to_owned()));
    }
    if limit == 0 {
        return Err(Error::new(
            Kind::Invalid,
            "unable to set swap limit without memory limit",
        ));
    }
    if swap < limit {
        return Err(Error::new(
            Kind::Invalid,
            "memory+swap limit should be >= memory limit",
        ));
    }
    Ok(Some((swap - limit).to_string()))
}

fn set_cpu(cgroup: &Cgroup, cpu: &Cpu) -> Result<()> {
    let time = Cpu {
        cpus: String::new(),
        mems: String::new(),
        ..cpu.clone()
    };
    if time != Cpu::default() {
        match cgroup.place("cpu")? {
            Place::V1(folder) => set_cpu_v1(folder, cpu)?,
            Place::V2(folder) => set_cpu_v2(folder, cpu)?,
        }
    }
    for (name, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if !value.is_empty() {
            let (Place::V1(folder) | Place::V2(folder)) = cgroup.place("cpuset")?;
            folder.write(name, value)?;
        }
    }
    Ok(())
}

fn set_cpu_v1(folder: &Folder, cpu: &Cpu) -> Result<()> {
    let write = |name: &str, value: Option<String>| {
        value.map_or(Ok(()), |value| folder.write(name, &value))
    };
    let nonzero = |value: Option<u64>| {
        value
            .filter(|value| *value != 0)
            .map(|value| value.to_string())
    };
    write("cpu.shares", nonzero(cpu.shares))?;
    write("cpu.cfs_period_us", nonzero(cpu.period))?;
    write(
        "cpu.cfs_quota_us",
        cpu.quota
            .filter(|quota| *quota != 0)
            .map(|quota| quota.to_string()),
    )?;
    write("cpu.cfs_burst_us", cpu.burst.map(|burst| burst.to_string()))?;
    write("cpu.rt_period_us", nonzero(cpu.realtime_period))?;
    write(
        "cpu.rt_runtime_us",
        cpu.realtime_runtime
            .filter(|time| *time != 0)
            .map(|time| time.to_string()),
    )?;
    write("cpu.idle", cpu.idle.map(|idle| idle.to_string()))
}

fn set_cpu_v2(folder: &Folder, cpu: &Cpu) -> Result<()> {
    if cpu.realtime_period.is_some_and(|time| time != 0)
        || cpu.realtime_runtime.is_some_and(|time| time != 0)
    {
        return Err(Error::new(
            Kind::Invalid,
            "cpu.realtimePeriod and cpu.realtimeRuntime do not exist in cgroup v2",
        ));
    }
    if let Some(idle) = cpu.idle {
        folder.write("cpu.idle", &idle.to_string())?;
    }
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        folder.write("cpu.weight", &weight(shares).to_string())?;
    }
    let period = cpu.period.filter(|period| *period != 0);
    if let Some(quota) = cpu
        .quota
        .filter(|quota| *quota != 0)
        .or_else(|| period.map(|_| -1))
    {
        folder.write(
            "cpu.max",
            &format!("{} {}", limit_or_max(quota), period.unwrap_or(100_000)),
        )?;
    }
    cpu.burst.map_or(Ok(()), |burst| {
        folder.write("cpu.max.burst", &burst.to_string())
    })
}

/// `cpu.shares` (2 to 262144, 1024 by default) to `cpu.weight` (1 to 10000, 100 by default). runc 1.3 and crun map
/// the two ranges by a line, under which the defaults do not meet, and their users know the numbers.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn set_block_io(cgroup: &Cgroup, block_io: &BlockIo) -> Result<()> {
    if let Some(folder) = cgroup.controller("blkio") {
        return set_block_io_v1(folder, block_io);
    }
    match cgroup.place("io")? {
        Place::V1(folder) => set_block_io_v1(folder, block_io),
        Place::V2(folder) => set_block_io_v2(folder, block_io),
    }
}

fn set_block_io_v1(folder: &Folder, block_io: &BlockIo) -> Result<()> {
    let scheduler = if folder.has("blkio.weight") {
        "blkio"
    } else {
        "blkio.bfq"
    };
    if let Some(weight) = block_io.weight.filter(|weight| *weight != 0) {
        folder.write(&format!("{scheduler}.weight"), &weight.to_string())?;
    }
    if let Some(weight) = block_io.leaf_weight.filter(|weight| *weight != 0) {
        folder.write("blkio.leaf_weight", &weight.to_string())?;
    }
    for device in &block_io.weight_device {
        let name = format!("{}:{}", device.major, device.minor);
        if let Some(weight) = device.weight {
            folder.write(
                &format!("{scheduler}.weight_device"),
                &format!("{name} {weight}"),
            )?;
        }
        if let Some(weight) = device.leaf_weight {
            folder.write("blkio.leaf_weight_device", &format!("{name} {weight}"))?;
        }
    }
    let throttles = [
        ("read_bps", &block_io.throttle_read_bps_device),
        ("write_bps", &block_io.throttle_write_bps_device),
        ("read_iops", &block_io.throttle_read_iops_device),
        ("write_iops", &block_io.throttle_write_iops_device),
    ];
    for (name, devices) in throttles {
        for ThrottleDevice { major, minor, rate } in devices {
            folder.write(
                &format!("blkio.throttle.{name}_device"),
                &format!("{major}:{minor} {rate}"),
            )?;
        }
    }
    Ok(())
}

fn set_block_io_v2(folder: &Folder, block_io: &BlockIo) -> Result<()> {
    if block_io.leaf_weight.is_some() {
        return Err(Error::new(
            Kind::Invalid,
            "blockIO.leafWeight does not exist in cgroup v2",
        ));
    }
    let bfq = folder.has("io.bfq.weight");
    if let Some(weight) = block_io.weight.filter(|weight| *weight != 0) {
        if bfq {
            folder.write("io.bfq.weight", &weight.to_string())?;
        } else {
            // 10 to 1000 becomes 1 to 10000.
            folder.write(
                "io.weight",
                &(1 + (u64::from(weight).max(10) - 10) * 9999 / 990).to_string(),
            )?;
        }
    }
    for device in &block_io.weight_device {
        let name = if bfq { "io.bfq.weight" } else { "io.weight" };
        if let Some(weight) = device.weight {
            folder.write(name, &format!("{}:{} {weight}", device.major, device.minor))?;
        }
    }
    let throttles = [
        ("rbps", &block_io.throttle_read_bps_device),
        ("wbps", &block_io.throttle_write_bps_device),
        ("riops", &block_io.throttle_read_iops_device),
        ("wiops", &block_io.throttle_write_iops_device),
    ];
    for (name, devices) in throttles {
        for ThrottleDevice { major, minor, rate } in devices {
            folder.write("io.max", &format!("{major}:{minor} {name}={rate}"))?;
        }
    }
    Ok(())
}

fn set_hugepages(place: &Place<'_>, limit: &HugepageLimit) -> Result<()> {
    if limit.page_size.contains('/') {
        return Err(Error::new(
            Kind::Invalid,
            format!("invalid hugepage size {:?}", limit.page_size),
        ));
    }
    match place {
        Place::V1(folder) => folder.write(
            &format!("hugetlb.{}.limit_in_bytes", limit.page_size),
            &limit.limit.to_string(),
        ),
        Place::V2(folder) => folder.write(
            &format!("hugetlb.{}.max", limit.page_size),
            &limit.limit.to_string(),
        ),
    }
}

fn set_network(cgroup: &Cgroup, network: &Network) -> Result<()> {
    let v1_only = |controller: &str| {
        let message =
            format!("cannot set a limit: the {controller} cgroup controller is not available");
        cgroup
            .controller(controller)
            .ok_or_else(|| Error::new(Kind::Invalid, message))
    };
    if let Some(class) = network.class_id {
        v1_only("net_cls")?.write("net_cls.classid", &class.to_string())?;
    }
    for interface in &network.priorities {
        v1_only("net_prio")?.write(
            "net_prio.ifpriomap",
            &format!("{} {}", interface.name, interface.priority),
        )?;
    }
    Ok(())
}

fn set_rdma(place: &Place<'_>, device: &str, limit: RdmaLimit) -> Result<()> {
    let (Place::V1(folder) | Place::V2(folder)) = place;
    let value =
        |limit: Option<u32>| limit.map_or_else(|| "max".to_owned(), |limit| limit.to_string());
    let (handles, objects) = (value(limit.hca_handles), value(limit.hca_objects));
    folder.write(
        "rdma.max",
        &format!("{device} hca_handle={handles} hca_object={objects}"),
    )
}

fn set_unified(cgroup: &Cgroup, resources: &Resources) -> Result<()> {
    for (name, value) in &resources.unified {
        if name.contains('/') || name.starts_with("cgroup.") {
            return Err(Error::new(
                Kind::Invalid,
                format!("unified resource {name:?} is not a limit"),
            ));
        }
        match &cgroup.unified {
            Some(folder) if folder.has(name) => folder.write(name, value)?,
            _ => {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("unified resource {name:?} does not exist here"),
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_as_runc() {
        assert_eq!([2, 1024, 262_144].map(weight), [1, 39, 10_000]);
        assert_eq!(weight(0), 1);
    }

    #[test]
    fn swap_is_without_memory_in_v2() {
        let swap = |limit, swap| {
            swap_v2(&Memory {
                limit,
                swap,
                ..Memory::default()
            })
        };
        assert_eq!(swap(Some(100), Some(300)).unwrap().as_deref(), Some("200"));
        assert_eq!(swap(Some(100), Some(-1)).unwrap().as_deref(), Some("max"));
        assert_eq!(swap(Some(100), None).unwrap(), None);
        assert!(swap(None, Some(300)).is_err());
        assert!(swap(Some(300), Some(100)).is_err());
    }
}
