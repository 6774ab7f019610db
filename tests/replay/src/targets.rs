//! The targets, as they lie in `fuzz/`.

#[path = "../../../fuzz/fuzz_targets/dns_answer.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod dns_answer;
#[path = "../../../fuzz/fuzz_targets/dns_query.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod dns_query;
#[path = "../../../fuzz/fuzz_targets/documents.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod documents;
#[path = "../../../fuzz/fuzz_targets/image_archive.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod image_archive;
#[path = "../../../fuzz/fuzz_targets/layer_tar.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod layer_tar;
#[path = "../../../fuzz/fuzz_targets/link.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod link;
#[path = "../../../fuzz/fuzz_targets/netlink.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod netlink;
#[path = "../../../fuzz/fuzz_targets/reference.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod reference;
#[path = "../../../fuzz/fuzz_targets/registry_path.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod registry_path;
#[path = "../../../fuzz/fuzz_targets/shim_frames.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod shim_frames;
#[path = "../../../fuzz/fuzz_targets/stdcopy.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod stdcopy;
#[path = "../../../fuzz/fuzz_targets/tar_walk.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod tar_walk;
// It takes the client's modules by their path, whose own tests are not to come along.
#[cfg(not(test))]
#[path = "../../../fuzz/fuzz_targets/template.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod template;
#[path = "../../../fuzz/fuzz_targets/www_authenticate.rs"]
#[expect(warnings, reason = "checked where it lives")]
pub mod www_authenticate;
