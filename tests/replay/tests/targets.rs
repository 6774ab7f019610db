//! Every target in `fuzz/`, and that none is left out.

use replay::{replay, targets};

#[test]
fn the_target_dns_answer_keeps_its_promises() {
    replay("dns_answer", 5000, targets::dns_answer::target);
}

#[test]
fn the_target_netlink_keeps_its_promises() {
    replay("netlink", 5000, targets::netlink::target);
}

#[test]
fn the_target_dns_query_keeps_its_promises() {
    replay("dns_query", 3000, targets::dns_query::target);
}

#[test]
fn the_target_documents_keeps_its_promises() {
    replay("documents", 3000, targets::documents::target);
}

#[test]
fn the_target_image_archive_keeps_its_promises() {
    replay("image_archive", 60, targets::image_archive::target);
}

#[test]
fn the_target_layer_tar_keeps_its_promises() {
    replay("layer_tar", 60, targets::layer_tar::target);
}

#[test]
fn the_target_link_keeps_its_promises() {
    replay("link", 5000, targets::link::target);
}

#[test]
fn the_target_reference_keeps_its_promises() {
    replay("reference", 5000, targets::reference::target);
}

#[test]
fn the_target_registry_path_keeps_its_promises() {
    replay("registry_path", 5000, targets::registry_path::target);
}

#[test]
fn the_target_shim_frames_keeps_its_promises() {
    replay("shim_frames", 3000, targets::shim_frames::target);
}

#[test]
fn the_target_stdcopy_keeps_its_promises() {
    replay("stdcopy", 3000, targets::stdcopy::target);
}

#[test]
fn the_target_tar_walk_keeps_its_promises() {
    replay("tar_walk", 2000, targets::tar_walk::target);
}

#[test]
fn the_target_template_keeps_its_promises() {
    replay("template", 2000, targets::template::target);
}

#[test]
fn the_target_www_authenticate_keeps_its_promises() {
    replay("www_authenticate", 5000, targets::www_authenticate::target);
}

#[test]
fn no_target_is_left_out() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");
    let manifest = std::fs::read_to_string(format!("{folder}/Cargo.toml")).expect("a manifest");
    for file in std::fs::read_dir(format!("{folder}/fuzz_targets")).expect("the targets") {
        let file = file.expect("a target").file_name();
        let name = file.to_str().and_then(|name| name.strip_suffix(".rs"));
        let name = name.expect("a target's name");
        assert!(
            include_str!("targets.rs").contains(&format!("replay(\"{name}\"")),
            "{name}"
        );
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
