//! Limits, in the terms of the runtime spec.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use linux::file;
use oci::runtime::{
    BlockIo, Cpu, DeviceRule, Memory, Pids, Resources, ThrottleDevice, WeightDevice,
};

use crate::error::{Error, Result};
use crate::options::{HostOptions, ResourceOptions};

pub(super) fn of(host: &HostOptions, devices: Vec<DeviceRule>) -> Result<Resources> {
    let wanted = &host.resources;
    let memory = memory(wanted);
    let cpu = cpu(wanted);
    let block_io = block_io(wanted)?;
    Ok(Resources {
        devices,
        memory: (memory != Memory::default()).then_some(memory),
        cpu: (cpu != Cpu::default()).then_some(cpu),
        pids: wanted
            .pids_limit
            .filter(|limit| *limit > 0)
            .map(|limit| Pids { limit }),
        block_io: (block_io != BlockIo::default()).then_some(block_io),
        ..Default::default()
    })
}

fn some(value: i64) -> Option<i64> {
    (value != 0).then_some(value)
}

fn memory(wanted: &ResourceOptions) -> Memory {
    // Docker's rule: without a word on swap a limited container gets as much swap as memory.
    let swap = match (wanted.memory, wanted.memory_swap) {
        (memory, 0) if memory > 0 => Some(memory.saturating_mul(2)),
        (_, swap) => some(swap),
    };
    Memory {
        limit: some(wanted.memory),
        reservation: some(wanted.memory_reservation),
        swap,
        swappiness: wanted.memory_swappiness.and_then(|s| u64::try_from(s).ok()),
        disable_oom_killer: wanted.oom_kill_disable.filter(|disable| *disable),
        ..Default::default()
    }
}

/// `--cpus` is a quota over a period of 100 ms.
fn cpu(wanted: &ResourceOptions) -> Cpu {
    const PERIOD: i64 = 100_000;
    let (period, quota) = match wanted.nano_cpus {
        0 => (some(wanted.cpu_period), some(wanted.cpu_quota)),
        nano => (
            Some(PERIOD),
            Some(nano.saturating_mul(PERIOD) / 1_000_000_000),
        ),
    };
    let positive = |value: i64| u64::try_from(value).ok().filter(|v| *v > 0);
    Cpu {
        shares: positive(wanted.cpu_shares),
        quota,
        period: period.and_then(positive),
        realtime_runtime: some(wanted.cpu_realtime_runtime),
        realtime_period: positive(wanted.cpu_realtime_period),
        cpus: wanted.cpuset_cpus.clone(),
        mems: wanted.cpuset_mems.clone(),
        ..Default::default()
    }
}

fn block_io(wanted: &ResourceOptions) -> Result<BlockIo> {
    let throttle = |rates: &[(String, u64)]| -> Result<Vec<ThrottleDevice>> {
        let one = |(path, rate): &(String, u64)| {
            let (major, minor) = block_device(path)?;
            Ok(ThrottleDevice {
                major,
                minor,
                rate: *rate,
            })
        };
        rates.iter().map(one).collect()
    };
    let weights = wanted.blkio_weight_device.iter().map(|(path, weight)| {
        let (major, minor) = block_device(path)?;
        Ok(WeightDevice {
            major,
            minor,
            weight: Some(*weight),
            ..Default::default()
        })
    });
    Ok(BlockIo {
        weight: (wanted.blkio_weight != 0).then_some(wanted.blkio_weight),
        weight_device: weights.collect::<Result<_>>()?,
        throttle_read_bps_device: throttle(&wanted.blkio_device_read_bps)?,
        throttle_write_bps_device: throttle(&wanted.blkio_device_write_bps)?,
        throttle_read_iops_device: throttle(&wanted.blkio_device_read_iops)?,
        throttle_write_iops_device: throttle(&wanted.blkio_device_write_iops)?,
        ..Default::default()
    })
}

fn block_device(path: &str) -> Result<(i64, i64)> {
    let wrong = || Error::invalid(format!("{path} is not a block device"));
    let meta = std::fs::metadata(path).map_err(|e| wrong().caused_by(e))?;
    if !meta.file_type().is_block_device() {
        return Err(wrong());
    }
    let (major, minor) = file::device_numbers(meta.rdev());
    Ok((major.into(), minor.into()))
}
