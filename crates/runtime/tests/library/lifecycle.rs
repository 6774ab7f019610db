use runtime::Kind;

use crate::fixture::{Bundle, streams};

#[test]
fn runs_with_namespaces_of_its_own() {
    let bundle = Bundle::new("run");
    let outcome = bundle
        .run(&bundle.spec("echo $$; hostname; id -u; id -G; pwd; echo $HOME; exit 7"))
        .unwrap();
    assert_eq!(
        outcome.stdout, "1\nbox\n0\n0 10\n/\n/root\n",
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.code, 7);
}
