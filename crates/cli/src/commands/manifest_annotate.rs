//! `manifest annotate`: say what an image in a list runs on.

use oci::Platform;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::manifests::{Store, reference};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["manifest annotate"],
    about: "Say what an image in a list that is being made runs on",
    usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
    args: Args::Exactly(2),
    order: Order::Anywhere,
    flags: &[&[
        Flag::text("arch", None, "The processor, in Go's words"),
        Flag::text("os", None, "The operating system"),
        Flag::list(
            "os-features",
            None,
            "A feature that the operating system must have",
        ),
        Flag::text("os-version", None, "The operating system's version"),
        Flag::text("variant", None, "The processor's variant"),
    ]],
    run,
};

/// What Go builds for, by operating system.
const VALID: &[(&str, &[&str])] = &[
    ("darwin", &["386", "amd64", "arm", "arm64"]),
    ("dragonfly", &["amd64"]),
    ("freebsd", &["386", "amd64", "arm"]),
    (
        "linux",
        &[
            "386", "amd64", "arm", "arm64", "mips64", "mips64le", "ppc64le", "riscv64", "s390x",
        ],
    ),
    ("netbsd", &["386", "amd64", "arm"]),
    ("openbsd", &["386", "amd64", "arm"]),
    ("plan9", &["386", "amd64"]),
    ("solaris", &["amd64"]),
    ("windows", &["386", "amd64", "arm", "arm64"]),
];

fn run(context: &Context, matches: &Matches) -> Outcome {
    let (list_name, image_name) = (&matches.args[0], &matches.args[1]);
    let (list, image) = (reference(list_name)?, reference(image_name)?);
    let store = Store::of(context);
    let mut entry = store.get(&list, &image)?.ok_or_else(|| {
        Failure::new(format!(
            "manifest for image {image_name} does not exist in {list_name}"
        ))
    })?;
    let platform = entry.descriptor.platform.get_or_insert_default();
    annotate(platform, matches);
    if !is_valid(platform) {
        let (os, arch) = (matches.text_or_empty("os"), matches.text_or_empty("arch"));
        return Err(Failure::new(format!(
            "manifest entry for image has unsupported os/arch combination: {os}/{arch}"
        )));
    }
    store.put(&list, &image, &entry)?;
    Ok(Exit::OK)
}

fn annotate(platform: &mut Platform, matches: &Matches) {
    let given = |flag: &str| {
        matches
            .text(flag)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    if let Some(os) = given("os") {
        platform.os = os;
    }
    if let Some(arch) = given("arch") {
        platform.architecture = arch;
    }
    if let Some(variant) = given("variant") {
        platform.variant = Some(variant);
    }
    if let Some(version) = given("os-version") {
        platform.os_version = Some(version);
    }
    for feature in matches.list("os-features").flat_map(|list| list.split(',')) {
        if !platform.os_features.iter().any(|known| known == feature) {
            platform.os_features.push(feature.to_owned());
        }
    }
}

fn is_valid(platform: &Platform) -> bool {
    VALID.iter().any(|(os, architectures)| {
        *os == platform.os && architectures.contains(&platform.architecture.as_str())
    })
}
