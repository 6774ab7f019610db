use super::*;

/// The mount as the JSON that the daemon is sent.
fn json(text: &str) -> String {
    serde_json::to_string(&parse(text).unwrap()).unwrap()
}

#[test]
fn mounts_are_read_as_docker_reads_them() {
    let check = |text: &str, expected: &str| assert_eq!(json(text), expected, "{text}");
    check(
        "type=bind,src=/a,dst=/b,ro",
        r#"{"Type":"bind","Source":"/a","Target":"/b","ReadOnly":true}"#,
    );
    check("target=/b", r#"{"Type":"volume","Target":"/b"}"#);
    check(
        "type=volume,source=v,target=/b,volume-nocopy,volume-label=a=b,volume-driver=local,volume-opt=o=x,volume-subpath=s",
        r#"{"Type":"volume","Source":"v","Target":"/b","VolumeOptions":{"NoCopy":true,"Labels":{"a":"b"},"Subpath":"s","DriverConfig":{"Name":"local","Options":{"o":"x"}}}}"#,
    );
    check(
        "type=tmpfs,destination=/b,tmpfs-size=64m,tmpfs-mode=1770",
        r#"{"Type":"tmpfs","Target":"/b","TmpfsOptions":{"SizeBytes":67108864,"Mode":1016}}"#,
    );
    check(
        "type=bind,src=/a,dst=/b,bind-propagation=rshared,bind-recursive=disabled",
        r#"{"Type":"bind","Source":"/a","Target":"/b","BindOptions":{"Propagation":"rshared","NonRecursive":true}}"#,
    );
    check(
        "type=volume,\"dst=/a,b\"",
        r#"{"Type":"volume","Target":"/a,b"}"#,
    );
}

#[test]
fn wrong_mounts_are_refused_in_dockers_words() {
    let check =
        |text: &str, expected: &str| assert_eq!(parse(text).unwrap_err(), expected, "{text}");
    check("", "EOF");
    check("type=bind", "target is required");
    check("foo", "invalid field 'foo' must be a key=value pair");
    check(
        "type=bind,foo=bar,target=/x",
        "unexpected key 'foo' in 'foo=bar'",
    );
    check(
        "type=volume,bind-propagation=x,target=/x",
        "cannot mix 'bind-*' options with mount type 'volume'",
    );
    check(
        "type=bind,volume-nocopy,src=/tmp,target=/x",
        "cannot mix 'volume-*' options with mount type 'bind'",
    );
    check(
        "type=tmpfs,tmpfs-size=xx,target=/x",
        "invalid value for tmpfs-size: xx",
    );
    check(
        "type=tmpfs,tmpfs-mode=9,target=/x",
        "invalid value for tmpfs-mode: 9",
    );
    check(
        "type=bind,bind-recursive=foo,target=/x",
        "invalid value for bind-recursive: foo (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")",
    );
    check(
        "type=bind,bind-recursive=writable,src=/tmp,target=/x",
        "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
    );
    check(
        "type=bind,bind-recursive=readonly,ro,src=/tmp,target=/x",
        "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    );
    check("type=bind,ro=foo,target=/x", "invalid value for ro: foo");
    check(
        "a\"b",
        "parse error on line 1, column 2: bare \" in non-quoted-field",
    );
    check(
        "\"a",
        "parse error on line 1, column 3: extraneous or missing \" in quoted-field",
    );
    check("type=,target=/x", "type is required");
}
