use super::*;
use crate::format::json::{Html, Json};

fn document() -> Data {
    let text = r#"{"Id":"abc","State":{"Status":"running","ExitCode":0,"Pid":12},"Names":["a","b"],
        "Config":{"Labels":{"z":"1","a.b":"2"},"Entrypoint":null,"Cmd":["sh","-c","<x>"]},"Init":null}"#;
    Data::document(serde_json::from_str(text).unwrap())
}

#[track_caller]
fn check(source: &str, expected: &str) {
    let rendered = Template::parse(source)
        .unwrap()
        .render(&document(), Missing::Key);
    assert_eq!(rendered.as_deref(), Ok(expected), "{source}");
}

#[track_caller]
fn check_error(source: &str, expected: &str) {
    let error = match Template::parse(source) {
        Ok(template) => template.render(&document(), Missing::Key).unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.to_string(), expected, "{source}");
}

#[test]
fn dockers_functions_work() {
    check("{{.Id}} {{.State.Status}} {{.State.Pid}}", "abc running 12");
    check(
        "{{upper .Id}}{{lower \"ABC\"}}{{title \"two words\"}}",
        "ABCabcTwo Words",
    );
    check("{{join .Names \",\"}}", "a,b");
    check("{{index (split \"a:b\" \":\") 1}}", "b");
    check(
        "{{truncate .Id 2}}|{{pad .Id 1 2}}|{{pad \"\" 1 2}}",
        "ab| abc  |",
    );
    check("{{range .Names}}{{println .}}{{end}}", "a\nb\n");
    check("{{index .Config.Labels \"a.b\"}}", "2");
    check("{{if eq .State.ExitCode 0}}fine{{else}}bad{{end}}", "fine");
    check(
        "{{len .Names}} {{printf \"%s-%d\" .Id .State.Pid}}",
        "2 abc-12",
    );
    check(
        "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
        "a.b=2;z=1;",
    );
    check("{{with .State}}{{.Status}}{{end}}", "running");
}

#[test]
fn json_prints_documents_as_they_came() {
    check(
        "{{json .State}}",
        r#"{"Status":"running","ExitCode":0,"Pid":12}"#,
    );
    check("{{json .Config.Labels}}", r#"{"z":"1","a.b":"2"}"#);
    check(
        "{{json .Config.Cmd}}{{json .Id}}",
        r#"["sh","-c","<x>"]"abc""#,
    );
    check("{{json .Init}} {{json .Config.Entrypoint}}", "null null");
    check("{{.Names | json}}", r#"["a","b"]"#);
}

#[test]
fn nil_slices_print_as_in_go() {
    check(
        "{{.Config.Entrypoint}} {{.Init}} {{.Names}} {{.Config.Labels}}",
        "[] <nil> [a b] map[a.b:2 z:1]",
    );
    check("{{if .Config.Entrypoint}}yes{{else}}no{{end}}", "no");
}

#[test]
fn errors_have_gos_words() {
    check_error(
        "{{.Foo}}",
        r#"template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo""#,
    );
    check_error(
        "x\n{{.State.Foo}}",
        r#"template: :2:8: executing "" at <.State.Foo>: map has no entry for key "Foo""#,
    );
    check_error("{{.Foo", "template: :1: unclosed action");
}

#[test]
fn rows_escape_for_the_web_and_have_labels() {
    let members = Json::object([("Ports", Json::text("80->80")), ("Names", Json::text("a"))]);
    let row = Data::row(
        members,
        Some(Arc::new(|name: &str| format!("label {name}"))),
    );
    let render = |source: &str| {
        Template::parse(source)
            .unwrap()
            .render(&row, Missing::Field("T"))
            .unwrap()
    };
    assert_eq!(
        render("{{json .}}"),
        r#"{"Ports":"80-\u003e80","Names":"a"}"#
    );
    assert_eq!(
        render(r#"{{.Label "x y"}}|{{ $.Label "z" | upper }}|{{if (.Label "q")}}q{{end}}"#),
        "label x y|LABEL Z|q"
    );
    assert_eq!(
        row.json().compact(Html::Plain),
        r#"{"Ports":"80->80","Names":"a"}"#
    );
    let error = Template::parse("{{.Foo}}")
        .unwrap()
        .render(&row, Missing::Field("*formatter.T"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"template: :1:2: executing "" at <.Foo>: can't evaluate field Foo in type *formatter.T"#
    );
}

#[test]
fn a_missing_key_of_a_true_map_is_no_value() {
    let data = Data::document(Json::of(&serde_json::json!({"Labels": {"a": "b"}})).unwrap());
    let render = |source: &str| {
        let template = Template::parse(source).unwrap();
        template.render(&data, Missing::Field("T"))
    };
    assert_eq!(
        render("{{.Labels.a}} {{.Labels.x}}").unwrap(),
        "b <no value>"
    );
    assert!(render("{{.Nonsense}}").is_err());
}

#[test]
fn structs_print_as_in_go() {
    let text = r#"{"HostConfig":{"RestartPolicy":{"Name":"no","MaximumRetryCount":0},
        "LogConfig":{"Type":"json-file","Config":{"b":"2","a":"1"}}},"Labels":{"x":"y"}}"#;
    let data = Data::document(serde_json::from_str(text).unwrap());
    let check = |source: &str, expected: &str| {
        let rendered = Template::parse(source).unwrap().render(&data, Missing::Key);
        assert_eq!(rendered.as_deref(), Ok(expected), "{source}");
    };
    check("{{.HostConfig.RestartPolicy}}", "{no 0}");
    check("{{.HostConfig.RestartPolicy.Name}}", "no");
    check("{{ .HostConfig.LogConfig }}", "{json-file map[a:1 b:2]}");
    check("{{.Labels}}", "map[x:y]");
    check(
        "{{with .HostConfig}}{{json .RestartPolicy}}{{end}}",
        r#"{"Name":"no","MaximumRetryCount":0}"#,
    );
}

#[test]
fn the_config_of_an_image_leaves_zeros_out_of_json() {
    let text =
        r#"{"Id":"x","Config":{"Cmd":["sh"],"Env":null,"User":""},"RootFS":{"Type":"layers"}}"#;
    let data = Data::document(serde_json::from_str(text).unwrap());
    let check = |source: &str, expected: &str| {
        let rendered = Template::parse(source).unwrap().render(&data, Missing::Key);
        assert_eq!(rendered.as_deref(), Ok(expected), "{source}");
    };
    check("{{json .Config}}", r#"{"Cmd":["sh"]}"#);
    check(
        "{{json .}}",
        r#"{"Id":"x","Config":{"Cmd":["sh"]},"RootFS":{"Type":"layers"}}"#,
    );
    check("{{.Config.Env}} {{json .Config.Env}}", "[] null");
}
