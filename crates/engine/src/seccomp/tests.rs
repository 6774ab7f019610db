use super::*;

fn resolve(profile: &Profile, capabilities: &[&str]) -> Seccomp {
    let capabilities: Vec<String> = capabilities.iter().map(|c| (*c).to_owned()).collect();
    profile.resolve(Target {
        capabilities: &capabilities,
        kernel: KernelVersion(6, 18),
        machine: "x86_64",
    })
}

/// The actions a profile has for one call, conditions on arguments aside.
fn actions(seccomp: &Seccomp, call: &str) -> Vec<SeccompAction> {
    let named = |rule: &&SeccompRule| rule.names.iter().any(|n| n == call);
    seccomp
        .syscalls
        .iter()
        .filter(named)
        .map(|rule| rule.action)
        .collect()
}

#[test]
fn the_default_profile_knows_its_architectures() {
    let seccomp = resolve(&DEFAULT, &[]);
    assert_eq!(
        seccomp.architectures,
        ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    );
    assert_eq!(actions(&seccomp, "arch_prctl"), [SeccompAction::Allow]);
    assert!(actions(&seccomp, "set_tls").is_empty());
}

#[test]
fn capabilities_open_calls() {
    let check = |caps: &[&str], call: &str, expect: &[SeccompAction]| {
        assert_eq!(
            actions(&resolve(&DEFAULT, caps), call),
            expect,
            "{call} with {caps:?}"
        );
    };
    use SeccompAction::{Allow, Errno};
    check(&[], "mount", &[]);
    check(&["CAP_SYS_ADMIN"], "mount", &[Allow]);
    check(&[], "chroot", &[]);
    check(&["CAP_SYS_CHROOT"], "chroot", &[Allow]);
    check(&[], "clone3", &[Errno]);
    check(&["CAP_SYS_ADMIN"], "clone3", &[Allow]);
    check(&[], "ptrace", &[Allow]);
}

#[test]
fn old_kernels_lose_what_needs_a_newer_one() {
    let seccomp = DEFAULT.resolve(Target {
        capabilities: &[],
        kernel: KernelVersion(4, 4),
        machine: "x86_64",
    });
    assert!(actions(&seccomp, "ptrace").is_empty());
}

#[test]
fn reads_kernel_releases() {
    let check = |text: &str, expect: Option<KernelVersion>| {
        assert_eq!(text.parse().ok(), expect, "{text}");
    };
    check("6.18.3-cloud-amd64", Some(KernelVersion(6, 18)));
    check("4.8", Some(KernelVersion(4, 8)));
    check("5", None);
    check("next", None);
}

#[test]
fn refuses_contradictions_and_garbage() {
    let check = |json: &str, text: &str| {
        let error = Profile::parse(json).expect_err(json).chain();
        assert!(error.contains(text), "{error}");
    };
    check("{", "decoding seccomp profile failed");
    check(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["a"],"archMap":[{"architecture":"b"}]}"#,
        "use either 'architectures' or 'archMap'",
    );
    check(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}"#,
        "use either 'name' or 'names'",
    );
    check(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["b"],"action":"SCMP_ACT_MAYBE"}]}"#,
        "SCMP_ACT_MAYBE",
    );
    check(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","listenerPath":"/run/x.sock"}"#,
        "listenerPath",
    );
}

#[test]
fn takes_the_old_single_name() {
    let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","args":null}]}"#;
    let seccomp = resolve(&Profile::parse(json).unwrap(), &[]);
    assert_eq!(actions(&seccomp, "read"), [SeccompAction::Allow]);
}
