//! `scheduler`, `ioPriority` and `execCPUAffinity` of a process.

use linux::process::{self as kernel, SchedulerAttributes};
use oci::runtime::{IoPriority, Process, Scheduler};

use crate::error::Context as _;
use crate::{Error, Result};

#[derive(Default)]
pub(crate) struct Scheduling {
    attributes: Option<SchedulerAttributes>,
    io: Option<(u16, u16)>,
    cpus: Option<Vec<usize>>,
}

impl Scheduling {
    pub(crate) fn new(process: &Process) -> Result<Self> {
        let affinity = process
            .exec_cpu_affinity
            .as_ref()
            .map(|affinity| affinity.last.as_str());
        Ok(Self {
            attributes: process.scheduler.as_ref().map(attributes).transpose()?,
            io: process.io_priority.as_ref().map(io_priority).transpose()?,
            cpus: affinity
                .filter(|list| !list.is_empty())
                .map(cpu_list)
                .transpose()?,
        })
    }

    pub(crate) fn apply(&self) -> Result<()> {
        if let Some(attributes) = self.attributes {
            kernel::set_scheduler(attributes).context(|| "unable to set the scheduler")?;
        }
        if let Some((class, priority)) = self.io {
            kernel::set_io_priority(class, priority)
                .context(|| "unable to set the I/O priority")?;
        }
        if let Some(cpus) = &self.cpus {
            kernel::set_cpu_affinity(cpus).context(|| "unable to set the CPU affinity")?;
        }
        Ok(())
    }
}

const POLICIES: [(&str, u32); 7] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];

const FLAGS: [(&str, u64); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

fn attributes(scheduler: &Scheduler) -> Result<SchedulerAttributes> {
    let unknown =
        |what: &str, name: &str| Error::invalid(format!("unknown scheduler {what} {name:?}"));
    let policy = POLICIES.iter().find(|(name, _)| *name == scheduler.policy);
    let policy = policy
        .ok_or_else(|| unknown("policy", &scheduler.policy))?
        .1;
    let flags = scheduler.flags.iter().try_fold(0, |flags, name| {
        let flag = FLAGS
            .iter()
            .find(|(known, _)| known == name)
            .ok_or_else(|| unknown("flag", name))?;
        Ok::<_, Error>(flags | flag.1)
    })?;
    let priority = u32::try_from(scheduler.priority)
        .map_err(|_| Error::invalid("scheduler priority is negative"))?;
    Ok(SchedulerAttributes {
        policy,
        flags,
        nice: scheduler.nice,
        priority,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
        ..SchedulerAttributes::default()
    })
}

fn io_priority(priority: &IoPriority) -> Result<(u16, u16)> {
    let class = match priority.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        class => {
            return Err(Error::invalid(format!(
                "unknown ioPriority class {class:?}"
            )));
        }
    };
    let level = u16::try_from(priority.priority)
        .ok()
        .filter(|level| *level < 8);
    Ok((
        class,
        level.ok_or_else(|| Error::invalid("ioPriority must be 0 to 7"))?,
    ))
}

/// `0-3,7`.
fn cpu_list(list: &str) -> Result<Vec<usize>> {
    let invalid = || Error::invalid(format!("invalid CPU list {list:?}"));
    let number = |text: &str| {
        text.trim()
            .parse::<usize>()
            .ok()
            .filter(|cpu| *cpu < 1024)
            .ok_or_else(invalid)
    };
    let mut cpus = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cpus.extend(number(first)?..=number(last)?);
    }
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        assert_eq!(cpu_list("0-2,5").unwrap(), [0, 1, 2, 5]);
        assert!(cpu_list("0-99999999").is_err());
        assert!(cpu_list("a").is_err());
    }
}
