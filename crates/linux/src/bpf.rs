//! `bpf(2)`, as far as the device rules of cgroup v2 need it.

use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::Result;
use crate::error::{Context as _, check};

/// One instruction of eBPF, as `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub code: u8,
    /// Destination in the low four bits, source in the high four.
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct AttachAttributes {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

/// Loads a `BPF_PROG_TYPE_CGROUP_DEVICE` program.
pub fn load_device_program(program: &[Instruction]) -> Result<OwnedFd> {
    let attributes = LoadAttributes {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(program.len()).unwrap_or(u32::MAX),
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        ..LoadAttributes::default()
    };
    // SAFETY: the attributes are a prefix of union bpf_attr of the size given; what they point at outlives the call.
    let code = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_LOAD,
            &raw const attributes,
            size_of::<LoadAttributes>(),
        )
    };
    let raw =
        check(code).context(|| format!("bpf(BPF_PROG_LOAD, {} instructions)", program.len()))?;
    // SAFETY: the answer is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(raw).unwrap_or(-1)) })
}

/// Attaches a device program to a cgroup, beside those of its parents.
pub fn attach_device_program(cgroup: impl AsFd, program: impl AsFd) -> Result<()> {
    let attributes = AttachAttributes {
        target: cgroup.as_fd().as_raw_fd().unsigned_abs(),
        program: program.as_fd().as_raw_fd().unsigned_abs(),
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
        ..AttachAttributes::default()
    };
    // SAFETY: the attributes are a prefix of union bpf_attr of the size given, without pointers.
    let code = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_ATTACH,
            &raw const attributes,
            size_of::<AttachAttributes>(),
        )
    };
    check(code)
        .map(drop)
        .context(|| "bpf(BPF_PROG_ATTACH, BPF_CGROUP_DEVICE)")
}
