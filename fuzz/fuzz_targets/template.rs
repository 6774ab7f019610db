//! `--format` templates over a document, in the client's own wrapping of the template crate.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The modules are the client's private ones, taken by their path: nothing is made public for the fuzzer's sake.
#[path = "../../crates/cli/src/format"]
#[allow(dead_code, unused_imports)]
mod format {
    mod absent;
    mod actions;
    mod check;
    mod data;
    mod functions;
    pub(crate) mod json;
    mod methods;
    mod template;

    pub(crate) use data::Data;
    pub(crate) use template::{Missing, Template};
}

use format::{Data, Missing, Template, json::Json};

fuzz_target!(|source: &str| {
    let document = serde_json::json!({
        "Id": "abc", "State": {"ExitCode": 3, "Running": false}, "Labels": {"a": "b"}, "Mounts": [{"Type": "bind"}, null],
    });
    let Ok(template) = Template::parse(source) else {
        return;
    };
    let _ = Template::parse_header(source);
    let data = Data::document(Json::of(&document).expect("JSON"));
    let _ = template.render(&data, Missing::Field("*types.Container"));
    let _ = template.render(&data, Missing::Key);
});
