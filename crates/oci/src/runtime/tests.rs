use super::*;

/// What runc's `spec` command writes, with the fields it leaves `null`.
const RUNC: &str = r#"{
  "ociVersion": "1.2.0",
  "process": {"terminal": true, "user": {"uid": 0, "gid": 0, "additionalGids": null}, "args": ["sh"],
    "env": ["PATH=/bin"], "cwd": "/", "capabilities": {"bounding": ["CAP_KILL"], "ambient": null},
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}], "noNewPrivileges": true},
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "runc",
  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": null}],
  "linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "", "major": -1}],
      "blockIO": {"throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 5}]},
      "memory": {"disableOOMKiller": true, "kernelTCP": 7}},
    "namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/1/ns/net"}],
    "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": null,
      "syscalls": [{"names": ["clone"], "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}]}]},
    "rootfsPropagation": "rslave", "maskedPaths": ["/proc/kcore"], "timeOffsets": {"boottime": {"secs": 5}}}
}"#;

#[test]
fn reads_what_runc_writes() {
    let spec: Spec = serde_json::from_str(RUNC).unwrap();
    let linux = spec.linux.as_ref().unwrap();
    assert_eq!(linux.namespaces[1].kind, NamespaceKind::Network);
    assert_eq!(linux.rootfs_propagation, Some(RootfsPropagation::RSlave));
    let resources = linux.resources.as_ref().unwrap();
    assert_eq!(resources.devices[1].kind, None);
    assert_eq!(
        resources.memory.as_ref().unwrap().disable_oom_killer,
        Some(true)
    );
    assert_eq!(
        resources
            .block_io
            .as_ref()
            .unwrap()
            .throttle_read_iops_device[0]
            .rate,
        5
    );
    assert_eq!(linux.time_offsets["boottime"].secs, 5);
}

#[test]
fn round_trips() {
    let spec: Spec = serde_json::from_str(RUNC).unwrap();
    let again: Spec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(spec, again);
}

#[test]
fn empty_fields_are_not_written() {
    assert_eq!(
        serde_json::to_string(&Spec::default()).unwrap(),
        r#"{"ociVersion":""}"#
    );
    assert_eq!(serde_json::to_string(&Linux::default()).unwrap(), "{}");
    assert_eq!(serde_json::to_string(&Resources::default()).unwrap(), "{}");
}

#[test]
fn unknown_words_are_refused() {
    assert!(serde_json::from_str::<Namespace>(r#"{"type":"disk"}"#).is_err());
    assert!(serde_json::from_str::<DeviceRule>(r#"{"allow":true,"type":"x"}"#).is_err());
}
