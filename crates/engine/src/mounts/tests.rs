use super::*;
use crate::options::{BindOptions, HostOptions, TmpfsOptions};

fn options(binds: &[&str]) -> ContainerOptions {
    ContainerOptions {
        host: HostOptions {
            binds: binds.iter().map(|b| (*b).to_owned()).collect(),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn bind(text: &str) -> Result<MountPoint, String> {
    collect(&options(&[text]), Vec::new())
        .map(|mut points| points.remove(0))
        .map_err(|e| e.chain())
}

#[test]
fn dash_v_in_all_its_forms() {
    let point = bind("/a//b/:/c/../d:ro,z,rshared").unwrap();
    assert_eq!(
        (
            point.kind,
            point.source.as_str(),
            point.destination.as_str()
        ),
        (Kind::Bind, "/a/b", "/d")
    );
    assert_eq!(point.spec_options(), ["rbind", "rro", "rshared"]);
    let point = bind("data:/d:nocopy").unwrap();
    assert_eq!(
        (
            point.kind,
            point.name.as_str(),
            point.no_copy,
            point.anonymous
        ),
        (Kind::Volume, "data", true, false)
    );
    let point = bind("/d").unwrap();
    assert_eq!((point.kind, point.anonymous), (Kind::Volume, true));
    assert_eq!(bind("/a:/d").unwrap().spec_options(), ["rbind", "rprivate"]);
}

#[test]
fn dash_v_refusals_are_docker_s() {
    for (text, want) in [
        ("/x:/x:foo", "invalid mode: foo"),
        ("/x:/x:ro,rw", "invalid mode: ro,rw"),
        (
            "/etc/x:rel",
            "invalid volume specification: '/etc/x:rel': invalid mount config for type \"bind\": invalid mount path: \
             'rel' mount path must be absolute",
        ),
        ("a:b:c:d", "invalid volume specification: 'a:b:c:d'"),
        (":/x", "invalid volume specification: ':/x'"),
        (
            "../x:/x",
            "create ../x: \"../x\" includes invalid characters for a local volume name, only \
             \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path",
        ),
    ] {
        assert_eq!(bind(text).unwrap_err(), want, "{text}");
    }
    let error = collect(&options(&["/a:/x", "/b:/x/"]), Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "Duplicate mount point: /x");
}

#[test]
fn shallow_mounts_come_first_and_volumes_give_way() {
    let mut wanted = options(&["/a:/x/y/z", "/b:/x"]);
    wanted.volumes = ["/x", "/v/w"].map(str::to_owned).into();
    let points = collect(&wanted, Vec::new()).unwrap();
    let order: Vec<_> = points.iter().map(|p| p.destination.as_str()).collect();
    assert_eq!(order, ["/x", "/v/w", "/x/y/z"]);
    assert_eq!(points[0].kind, Kind::Bind);
}

#[test]
fn tmpfs_options_of_the_user_win() {
    let mut wanted = ContainerOptions::default();
    wanted
        .host
        .tmpfs
        .insert("/t".into(), "exec,size=1m,size=2m".into());
    assert_eq!(
        collect(&wanted, Vec::new()).unwrap()[0].spec_options(),
        ["nosuid", "nodev", "exec", "size=2m", "rprivate"]
    );
    wanted.host.tmpfs.insert("/t".into(), "foo=1".into());
    assert_eq!(
        collect(&wanted, Vec::new()).unwrap_err().to_string(),
        "invalid tmpfs option [\"foo=1\"]"
    );
}

#[test]
fn mount_refusals_are_docker_s() {
    let check = |mount: MountOption, want: &str| {
        let mut wanted = ContainerOptions::default();
        wanted.host.mounts.push(mount);
        let got = collect(&wanted, Vec::new())
            .map_or_else(|e| e.chain(), |p| p[0].spec_options().join(","));
        assert_eq!(got, want);
    };
    let mount = |kind: &str, source: &str| MountOption {
        kind: kind.into(),
        source: source.into(),
        target: "/x".into(),
        ..Default::default()
    };
    check(
        mount("foo", ""),
        "invalid mount config for type \"foo\": mount type unknown",
    );
    check(
        mount("bind", ""),
        "invalid mount config for type \"bind\": field Source must not be empty",
    );
    check(
        mount("tmpfs", "/s"),
        "invalid mount config for type \"tmpfs\": field Source must not be specified",
    );
    check(
        mount("image", "a"),
        "a mount of type \"image\" is not supported by this engine yet",
    );
    check(
        MountOption {
            bind: Some(BindOptions::default()),
            ..mount("volume", "")
        },
        "invalid mount config for type \"volume\": field BindOptions must not be specified",
    );
    check(
        MountOption {
            read_only: true,
            bind: Some(BindOptions {
                read_only_non_recursive: true,
                ..Default::default()
            }),
            ..mount("bind", "/s")
        },
        "rbind,ro,rprivate",
    );
    check(
        MountOption {
            tmpfs: Some(TmpfsOptions {
                size: 4096,
                mode: 0o1777,
                options: vec![vec!["exec".into()]],
            }),
            ..mount("tmpfs", "")
        },
        "nosuid,nodev,exec,size=4096,mode=1777,rprivate",
    );
}

#[test]
fn volumes_of_others_give_way_to_one_s_own() {
    let theirs = collect(&options(&["/a:/x", "data:/d", "/c:/own"]), Vec::new()).unwrap();
    let mut wanted = options(&["/mine:/own"]);
    wanted.volumes.insert("/d".into());
    let points = collect(&wanted, inherit(&theirs, "ro").unwrap()).unwrap();
    let found: Vec<_> = points
        .iter()
        .map(|p| (p.destination.as_str(), p.source.as_str(), p.access))
        .collect();
    assert_eq!(
        found,
        [
            ("/own", "/mine", Access::Full),
            ("/x", "/a", Access::ReadOnly),
            ("/d", "", Access::ReadOnly)
        ]
    );
    assert!(inherit(&theirs, "foo").is_err());
}
