//! Volumes by themselves: made, listed, removed, and the devices that the local driver mounts for them.

use std::fs;

use tests::{Daemon, Entry, IMAGE, Image, Layer, busybox_layer, daemon_test, own_test};

use serde_json::{Value, json};

fn create(d: &Daemon, body: &Value) -> Value {
    let made = d.api("POST", "/volumes/create", &body.to_string());
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

fn list(d: &Daemon, filters: &Value) -> Vec<String> {
    let text = filters.to_string().replace('"', "%22");
    let listed = d.api("GET", &format!("/volumes?filters={text}"), "").json();
    let names = listed["Volumes"].as_array().expect("a list").iter();
    let mut names: Vec<String> = names
        .map(|volume| volume["Name"].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

fn remove(d: &Daemon, name: &str) {
    let removed = d.api("DELETE", &format!("/volumes/{name}"), "");
    assert_eq!(removed.status, 204, "{}", removed.text());
}

daemon_test!(made_inspected_removed, |d| {
    let name = d.name("v");
    let body = json!({"Name": name, "Labels": {"a": "b"}});
    let made = create(d, &body);
    assert_eq!(made["Driver"], "local");
    assert_eq!(made["Labels"], json!({"a": "b"}));
    assert_eq!(made["Options"], Value::Null);
    assert_eq!(made["Scope"], "local");
    let mountpoint = made["Mountpoint"].as_str().expect("a path");
    assert!(
        mountpoint.ends_with(&format!("/volumes/{name}/_data")),
        "{mountpoint}"
    );
    // Again: the same, whatever else is said.
    assert_eq!(
        create(d, &json!({"Name": name, "Labels": {"c": "d"}})),
        made
    );
    assert_eq!(d.api("GET", &format!("/volumes/{name}"), "").json(), made);
    remove(d, &name);
    let gone = d.api("DELETE", &format!("/volumes/{name}"), "");
    assert_eq!(
        (gone.status, gone.message()),
        (404, format!("get {name}: no such volume"))
    );
    let forced = d.api("DELETE", &format!("/volumes/{name}?force=1"), "");
    assert_eq!(forced.status, 204);
    // Without a name.
    let made = create(d, &json!({}));
    assert_eq!(made["Labels"], json!({"com.docker.volume.anonymous": ""}));
    remove(d, made["Name"].as_str().expect("a name"));
});

daemon_test!(refused_by_name, |d| {
    let name = d.name("v");
    for (body, status, words) in [
        (
            json!({"Name": name, "Driver": "foo"}),
            404,
            "error looking up volume plugin foo: plugin \"foo\" not found",
        ),
        (
            json!({"Name": name, "DriverOpts": {"foo": "bar"}}),
            400,
            "invalid option: \"foo\"",
        ),
        (
            json!({"Name": name, "DriverOpts": {"type": "tmpfs"}}),
            400,
            "missing required option: \"device\"",
        ),
        (
            json!({"Name": name, "DriverOpts": {"size": "1m"}}),
            400,
            "quota size requested but no quota support",
        ),
        (
            json!({"Name": "a/b"}),
            400,
            "includes invalid characters for a local volume name",
        ),
        (
            json!({"Name": name, "ClusterVolumeSpec": {}}),
            503,
            "This node is not a swarm manager",
        ),
    ] {
        let refused = d.api("POST", "/volumes/create", &body.to_string());
        assert_eq!(refused.status, status, "{body}");
        assert!(refused.message().contains(words), "{}", refused.message());
    }
    let update = d.api("PUT", &format!("/volumes/{name}?version=1"), "{}");
    assert_eq!(update.status, 503);
    for (path, words) in [
        (
            "/volumes?filters={%22foo%22:[%22x%22]}",
            "invalid filter 'foo'",
        ),
        (
            "/volumes?filters={%22dangling%22:[%22x%22]}",
            "invalid filter 'dangling=[x]'",
        ),
    ] {
        let refused = d.api("GET", path, "");
        assert_eq!((refused.status, refused.message().as_str()), (400, words));
    }
});

daemon_test!(listed_by_filters_and_pruned, |d| {
    let (used, free) = (d.name("used"), d.name("free"));
    let label = d.name("label");
    for name in [&used, &free] {
        create(d, &json!({"Name": name, "Labels": {&label: "x"}}));
    }
    let anonymous = create(d, &json!({"Labels": {&label: "y"}}));
    let anonymous = anonymous["Name"].as_str().expect("a name").to_owned();
    let (docker, container) = (d.docker(), d.name("c"));
    docker.ok(&[
        "create",
        "--name",
        &container,
        "-v",
        &format!("{used}:/v"),
        IMAGE,
        "true",
    ]);
    let by_label = |more: Value| {
        let mut filters = json!({"label": [&label]});
        for (key, value) in more.as_object().expect("an object") {
            filters[key] = value.clone();
        }
        list(d, &filters)
    };
    assert_eq!(by_label(json!({})).len(), 3);
    assert_eq!(by_label(json!({"dangling": ["false"]})), [&*used]);
    assert_eq!(by_label(json!({"name": [&free[2..]]})), [&*free]);
    assert_eq!(by_label(json!({"driver": ["other"]})), [""; 0]);
    assert_eq!(
        list(d, &json!({"label": [format!("{label}=y")]})),
        [&*anonymous]
    );

    let in_use = d.api("DELETE", &format!("/volumes/{used}"), "");
    assert_eq!(in_use.status, 409);
    assert!(
        in_use
            .message()
            .starts_with(&format!("remove {used}: volume is in use - [")),
        "{}",
        in_use.message()
    );

    let prune = |all: &str| {
        let filters = format!("{{%22label%22:[%22{label}%22]{all}}}");
        let pruned = d
            .api("POST", &format!("/volumes/prune?filters={filters}"), "")
            .json();
        pruned["VolumesDeleted"].clone()
    };
    // Anonymous ones; with `all` those with a name too; never one that a container has.
    assert_eq!(prune(""), json!([anonymous]));
    assert_eq!(prune(",%22all%22:[%22true%22]"), json!([free]));
    assert_eq!(by_label(json!({})), [&*used]);
    docker.ok(&["rm", "-v", &container]);
    remove(d, &used);
});

daemon_test!(a_tmpfs_is_shared_while_it_is_used, |d| {
    let (volume, holder) = (d.name("v"), d.name("holder"));
    let options = json!({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=1000"});
    create(d, &json!({"Name": volume, "DriverOpts": options}));
    let (docker, spec) = (d.docker(), format!("{volume}:/v"));
    docker.ok(&[
        "run",
        "-d",
        "--name",
        &holder,
        "-v",
        &spec,
        IMAGE,
        "sh",
        "-c",
        "echo shared >/v/f; exec sleep 600",
    ]);
    let look = |script: &str| docker.ok(&["run", "--rm", "-v", &spec, IMAGE, "sh", "-c", script]);
    let seen = look(
        "until [ -s /v/f ]; do usleep 10000; done; cat /v/f; grep ' /v ' /proc/mounts; stat -c %u /v",
    );
    assert!(seen.starts_with("shared\ntmpfs /v tmpfs rw"), "{seen}");
    assert!(
        seen.contains("size=1024k") && seen.ends_with("\n1000"),
        "{seen}"
    );
    docker.ok(&["rm", "-f", &holder]);
    assert_eq!(look("ls /v"), "");
    remove(d, &volume);
});

own_test!(a_mounted_volume_outlives_the_daemon_and_nobody_else, |d| {
    let (volume, holder) = (d.name("v"), d.name("holder"));
    create(
        d,
        &json!({"Name": volume, "DriverOpts": {"type": "tmpfs", "device": "tmpfs"}}),
    );
    let (docker, spec) = (d.docker(), format!("{volume}:/v"));
    docker.ok(&[
        "run",
        "-d",
        "--name",
        &holder,
        "-v",
        &spec,
        IMAGE,
        "sh",
        "-c",
        "echo kept >/v/f; exec sleep 600",
    ]);
    d.crash();
    assert_eq!(
        docker.ok(&[
            "run",
            "--rm",
            "-v",
            &spec,
            IMAGE,
            "sh",
            "-c",
            "until [ -s /v/f ]; do usleep 10000; done; cat /v/f"
        ]),
        "kept"
    );
    // It ends while no daemon looks: the next one unmounts.
    let pid = docker.ok(&["inspect", "-f", "{{.State.Pid}}", &holder]);
    d.stop(rustix::process::Signal::KILL);
    let pid = rustix::process::Pid::from_raw(pid.parse().expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill");
    d.start();
    docker.ok(&["wait", &holder]);
    assert_eq!(d.leftovers().mounts(), [""; 0]);
    docker.ok(&["rm", &holder]);
    remove(d, &volume);
});

own_test!(a_bind_stays_when_its_volume_goes, |d| {
    let (volume, stopped) = (d.name("v"), d.name("stopped"));
    let device = d.folder().join("device");
    fs::create_dir(&device).expect("mkdir");
    let options = json!({"type": "none", "device": device, "o": "bind"});
    create(d, &json!({"Name": volume, "DriverOpts": options}));
    let (docker, spec) = (d.docker(), format!("{volume}:/v"));
    docker.ok(&[
        "run",
        "--rm",
        "-v",
        &spec,
        IMAGE,
        "sh",
        "-c",
        "echo x >/v/f",
    ]);
    assert_eq!(fs::read_to_string(device.join("f")).expect("read"), "x\n");
    // Files of a container that does not run are those of the device too.
    docker.ok(&["create", "--name", &stopped, "-v", &spec, IMAGE, "true"]);
    docker
        .command(&["cp", &format!("{stopped}:/v/f"), "-"])
        .run()
        .ok();
    let into = d.folder().join("into");
    fs::write(&into, "y").expect("write");
    docker.ok(&["cp", &into.to_string_lossy(), &format!("{stopped}:/v/g")]);
    assert_eq!(fs::read_to_string(device.join("g")).expect("read"), "y");
    docker.ok(&["rm", &stopped]);
    remove(d, &volume);
    assert!(device.join("f").exists() && device.join("g").exists());
});

daemon_test!(a_device_that_is_not_there, |d| {
    let volume = d.name("v");
    let options = json!({"type": "none", "device": "/nope", "o": "bind"});
    create(d, &json!({"Name": volume, "DriverOpts": options}));
    // The real one says "no such file or directory" here, which its client takes for a missing executable: 127.
    let run = d
        .docker()
        .run(&["run", "--rm", "-v", &format!("{volume}:/v"), IMAGE, "true"]);
    assert!(
        run.err()
            .contains("failed to mount local volume: mount /nope:"),
        "{}",
        run.err()
    );
    if tests::oracle().is_none() {
        run.exits(125);
    }
    remove(d, &volume);
});

daemon_test!(made_by_a_mount_with_options, |d| {
    let volume = d.name("v");
    let spec = |more: &str| format!("type=volume,source={volume},target=/v,{more}");
    let docker = d.docker();
    let options = spec("volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-label=q=r");
    let kind = docker.ok(&[
        "run", "--rm", "--mount", &options, IMAGE, "stat", "-f", "-c", "%T", "/v",
    ]);
    assert_eq!(kind, "tmpfs");
    let made = d.api("GET", &format!("/volumes/{volume}"), "").json();
    assert_eq!(made["Labels"], json!({"q": "r"}));
    assert_eq!(made["Options"], json!({"type": "tmpfs", "device": "tmpfs"}));
    remove(d, &volume);
    docker
        .run(&[
            "run",
            "--rm",
            "--mount",
            &spec("volume-opt=foo=bar"),
            IMAGE,
            "true",
        ])
        .fails(125, "invalid option: \"foo\"");
});

daemon_test!(subpaths_stay_in_their_volume, |d| {
    let volume = d.name("v");
    let docker = d.docker();
    docker.ok(&[
        "run",
        "--rm",
        "-v",
        &format!("{volume}:/v"),
        IMAGE,
        "sh",
        "-c",
        "mkdir /v/a; echo x >/v/a/f; ln -s / /v/out",
    ]);
    let with = |subpath: &str| {
        let spec = format!("type=volume,source={volume},target=/v,volume-subpath={subpath}");
        docker.run(&["run", "--rm", "--mount", &spec, IMAGE, "ls", "/v"])
    };
    assert_eq!(with("a").ok(), "f");
    for subpath in ["out", "out/etc"] {
        with(subpath).fails(125, "path concatenation escapes the base directory");
    }
    for subpath in ["../x", "/a"] {
        with(subpath).fails(125, "subpath must be a relative path within the volume");
    }
    let missing = with("nope");
    assert!(
        missing.err().contains("cannot access path"),
        "{}",
        missing.err()
    );
    if tests::oracle().is_none() {
        missing.exits(125);
    }
    remove(d, &volume);
});

own_test!(a_volume_deleted_by_hand_is_made_again, |d| {
    let volume = d.name("v");
    let (docker, spec) = (d.docker(), format!("{volume}:/v"));
    docker.ok(&["run", "--rm", "-v", &spec, IMAGE, "touch", "/v/f"]);
    fs::remove_dir_all(d.data_root().join("volumes").join(&volume)).expect("remove");
    assert_eq!(
        docker.ok(&["run", "--rm", "-v", &spec, IMAGE, "ls", "/v"]),
        ""
    );
    d.crash();
    remove(d, &volume);
});

daemon_test!(volumes_of_an_image_are_filled_unless_told_not_to_be, |d| {
    let image = d.name("image");
    let layer = Layer::new(&[
        Entry::folder("data/"),
        Entry::file("data/f", "from the image"),
    ]);
    let config = json!({"Cmd": ["cat", "/data/f"], "Volumes": {"/data": {}}, "Env": ["PATH=/bin"]});
    d.load(
        &Image::new(
            &format!("{image}:latest"),
            vec![busybox_layer(), layer],
            config,
        )
        .docker_archive(),
    );
    let (docker, volume) = (d.docker(), d.name("v"));
    assert_eq!(docker.ok(&["run", "--rm", &image]), "from the image");
    // The image's volume went with its container.
    let anonymous = json!({"label": ["com.docker.volume.anonymous"]});
    if tests::oracle().is_none() {
        assert_eq!(list(d, &anonymous), [""; 0]);
    }
    let spec = format!("type=volume,source={volume},target=/data,volume-nocopy");
    docker
        .run(&["run", "--rm", "--mount", &spec, &image])
        .fails(1, "No such file");
    assert_eq!(
        docker.ok(&["run", "--rm", "-v", &format!("{volume}:/data"), &image]),
        "from the image"
    );
    remove(d, &volume);
    docker.ok(&["rmi", &image]);
});

daemon_test!(events_and_disk_usage, |d| {
    let (volume, since) = (d.name("v"), tests::now());
    let docker = d.docker();
    docker.ok(&[
        "run",
        "--rm",
        "-v",
        &format!("{volume}:/v"),
        IMAGE,
        "sh",
        "-c",
        "echo 123 >/v/f",
    ]);
    let usage = d.api("GET", "/v1.51/system/df?type=volume", "").json();
    let volumes = usage["Volumes"].as_array().expect("a list");
    let found = volumes
        .iter()
        .find(|found| found["Name"] == *volume)
        .expect("the volume");
    assert_eq!(found["UsageData"], json!({"RefCount": 0, "Size": 4}));
    remove(d, &volume);
    let filter = format!("volume={volume}");
    let format = "{{.Action}} {{.Actor.Attributes.destination}}";
    let events = docker.ok(&[
        "events",
        "--since",
        &since,
        "--until",
        &tests::now(),
        "--filter",
        &filter,
        "--format",
        format,
    ]);
    let lines: Vec<&str> = events.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "create <no value>",
            "mount /v",
            "unmount <no value>",
            "destroy <no value>"
        ]
    );
});

own_test!(a_subpath_swapped_for_a_link_leads_nowhere, |d| {
    // Another user of the volume swaps the folder for a link out of it, again and again, while containers start.
    let (volume, swapper) = (d.name("v"), d.name("swapper"));
    let docker = d.docker();
    let script = "mkdir -p /v/a; ln -s /etc /v/link; echo ready; while :; do \
                  mv -T /v/a /v/b; mv -T /v/link /v/a; mv -T /v/a /v/link; mv -T /v/b /v/a; done";
    docker.ok(&[
        "run",
        "-d",
        "--name",
        &swapper,
        "-v",
        &format!("{volume}:/v"),
        IMAGE,
        "sh",
        "-c",
        script,
    ]);
    docker.spawn(&["logs", "-f", &swapper]).line_with("ready");
    let spec = format!("type=volume,source={volume},target=/v,volume-subpath=a");
    for _ in 0..20 {
        let run = docker.run(&["run", "--rm", "--mount", &spec, IMAGE, "ls", "/v"]);
        // Refused, or the folder of the volume; never the host's /etc.
        assert_eq!(run.out(), "", "{}", run.err());
    }
    docker.ok(&["rm", "-f", &swapper]);
    remove(d, &volume);
});
