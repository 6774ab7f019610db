use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::globals::Globals;

fn context(folder: &Path) -> Context {
    let globals = Globals {
        config: Some(folder.display().to_string()),
        ..Globals::default()
    };
    Context::new("tare", globals)
}

fn with_config(text: &str) -> (tempfile::TempDir, Context) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), text).unwrap();
    let context = context(folder.path());
    (folder, context)
}

fn joe(registry: &str) -> AuthConfig {
    AuthConfig {
        username: "joe".into(),
        password: "secret:x".into(),
        server_address: registry.into(),
        ..AuthConfig::default()
    }
}

#[test]
fn credentials_are_kept_in_the_file_and_found_for_their_registry_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made");
    assert_eq!(store(&context(&folder), &joe("h:5000")), Ok(true));
    assert_eq!(store(&context(&folder), &joe("h:5000")), Ok(false));
    let path = folder.join("config.json");
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\n\t\"auths\": {\n\t\t\"h:5000\": {\n\t\t\t\"auth\": \"am9lOnNlY3JldDp4\"\n\t\t}\n\t}\n}"
    );
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
    let again = context(&folder);
    assert_eq!(stored(&again, "h:5000"), joe("h:5000"));
    for other in ["h", "h:5001", "x.h:5000", HUB, ""] {
        assert_eq!(stored(&again, other), AuthConfig::default(), "{other}");
    }
    assert_eq!(erase(&again, "h:5000"), Ok(()));
    assert_eq!(stored(&context(&folder), "h:5000"), AuthConfig::default());
}

#[test]
fn old_files_name_registries_by_address() {
    let (_folder, context) =
        with_config(r#"{"auths":{"https://h:1/v1/":{"auth":"am9lOnNlY3JldDp4AAA="}}}"#);
    assert_eq!(stored(&context, "h:1").password, "secret:x");
}

#[test]
fn broken_entries_are_told_and_left_out() {
    for auth in ["!!!", "am9l"] {
        let (_folder, context) =
            with_config(&format!(r#"{{"auths":{{"h":{{"auth":"{auth}"}}}}}}"#));
        assert!(in_file(&context, "h").is_err(), "{auth}");
        assert_eq!(stored(&context, "h"), AuthConfig::default());
    }
}

#[test]
fn an_identity_token_takes_the_place_of_the_password() {
    let token = AuthConfig {
        username: "joe".into(),
        password: String::new(),
        identity_token: "t".into(),
        ..joe("h")
    };
    let (_folder, context) = with_config("{}");
    assert_eq!(store(&context, &token), Ok(false));
    let found = stored(&self::context(&context.config_folder()), "h");
    assert_eq!(
        (found.identity_token.as_str(), found.password.as_str()),
        ("t", "")
    );
}

#[test]
fn helpers_are_chosen_by_registry() {
    let (_folder, context) =
        with_config(r#"{"credsStore":"all","credHelpers":{"h":"own","x":""}}"#);
    let name = |registry| helper(&context, registry).map(|helper| format!("{helper:?}"));
    assert!(name("h").unwrap().contains("docker-credential-own"));
    assert!(name("y").unwrap().contains("docker-credential-all"));
    assert_eq!(name("x"), None);
}

#[test]
fn a_helper_that_is_not_there_is_told_in_dockers_words() {
    let (_folder, context) = with_config(r#"{"credsStore":"tare-has-none"}"#);
    assert_eq!(stored(&context, "h"), AuthConfig::default());
    let told = store(&context, &joe("h")).unwrap_err().message;
    assert_eq!(
        told,
        "Error saving credentials: error storing credentials - err: exec: \"docker-credential-tare-has-none\": executable file not found in $PATH, out: ``"
    );
}

#[test]
fn names_of_registries_are_hosts() {
    let check = |address: &str, expected: &str| assert_eq!(host_of(address), expected);
    check("https://h:1/v1/", "h:1");
    check("http://h", "h");
    check("h:1/x/y", "h:1");
    check("h", "h");
    let image: oci::Reference = "busybox".parse().unwrap();
    assert_eq!(registry_of(&image), HUB);
}
