//! `import URL`: the daemon fetches the archive.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::json;
use tests::{Archive, Entry, own_test};

/// Gives these answers, a connection each, and then no more; says where.
fn serve(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for answer in answers {
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            // Whoever has read enough goes away.
            let _ = stream.get_mut().write_all(&answer);
        }
    });
    format!("http://{address}/root.tar")
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn whole(body: &[u8]) -> Vec<u8> {
    answer(
        "200 OK",
        &format!("Content-Length: {}\r\n", body.len()),
        body,
    )
}

fn tar() -> Vec<u8> {
    Archive::new(&[Entry::file("a", vec![b'x'; 3 << 20])]).finish()
}

own_test!(an_archive_at_an_address_is_imported, |d| {
    for cli in [d.tare(), d.docker()] {
        let there = answer(
            "302 Found",
            "Location: /elsewhere\r\nContent-Length: 0\r\n",
            b"",
        );
        let address = serve(vec![there, whole(&tar())]);
        let told = cli.ok(&["import", "-c", "CMD [\"x\"]", &address, "imported:1"]);
        let first = format!("Downloading from {address}");
        assert!(told.contains(&first), "{told}");
        let id = told.lines().last().unwrap_or_default().to_owned();
        let inspect = ["image", "inspect", "-f", "{{.Id}} {{.Comment}} {{.Size}}"];
        let image = cli.ok(&[&inspect[..], &["imported:1"]].concat());
        assert_eq!(image, format!("{id} Imported from {address} {}", 3 << 20));
        cli.ok(&["rmi", "imported:1"]);
    }
    // Name and password are for the server alone, also behind a redirect; the history has neither.
    let there = answer("302 Found", "Location: /b\r\nContent-Length: 0\r\n", b"");
    let address = serve(vec![there, whole(&tar())]);
    let login = address.replace("http://", "http://joe:hunter2@");
    let told = d.tare().ok(&["import", &login, "imported:1"]);
    let comment = d.tare().ok(&["image", "inspect", "imported:1"]);
    let history = d.tare().ok(&["history", "--no-trunc", "imported:1"]);
    for text in [told, comment, history] {
        assert!(
            text.contains(&*address) || text.contains("sha256:"),
            "{text}"
        );
        assert!(!text.contains("hunter2") && !text.contains("joe"), "{text}");
    }
    d.tare().ok(&["rmi", "imported:1"]);
    // An address without a scheme is one of the web, as Docker's daemon has it.
    let address = serve(vec![whole(&tar())]);
    let bare = address.trim_start_matches("http://");
    let answer = d.api(
        "POST",
        &format!("/images/create?fromSrc={bare}&repo=bare"),
        "",
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("\"Importing\""), "{}", answer.text());
    d.tare().ok(&["rmi", "bare"]);
});

own_test!(what_cannot_be_fetched_is_told_and_leaves_nothing, |d| {
    let cli = d.tare();
    let import = |answers: Vec<Vec<u8>>, words: &str| {
        let address = serve(answers);
        cli.run(&["import", &address, "imported:1"]).fails(1, words);
        cli.run(&["image", "inspect", "imported:1"]).exits(1);
    };
    import(
        vec![answer("404 Not Found", "Content-Length: 0\r\n", b"")],
        "404",
    );
    import(vec![], "127.0.0.1");
    import(vec![answer("204 No Content", "", b"")], "204");
    let tar = tar();
    let part = format!(
        "Content-Range: bytes 0-{}/*\r\nContent-Length: {}\r\n",
        tar.len() - 1,
        tar.len()
    );
    import(vec![answer("206 Partial Content", &part, &tar)], "206");
    let longer = format!("Content-Length: {}\r\n", tar.len() + 1);
    import(vec![answer("200 OK", &longer, &tar)], "127.0.0.1");
    for bad in [
        "file:///etc/passwd",
        "ftp://joe:hunter2@127.0.0.1/x",
        "http://",
    ] {
        let answer = d.api(
            "POST",
            &format!("/images/create?fromSrc={bad}&repo=bad"),
            "",
        );
        let text = answer.text();
        assert_eq!(answer.status, 400, "{text}");
        assert!(text.contains("is no address of a web server"), "{text}");
        assert!(!text.contains(": :") && !text.contains("hunter2"), "{text}");
    }
    let length = format!("Content-Length: {}\r\n", tar.len());
    for part in [0, 100, 1 << 20, tar.len() - 1] {
        import(vec![answer("200 OK", &length, &tar[..part])], "127.0.0.1");
    }
    let chunked = answer("200 OK", "Transfer-Encoding: chunked\r\n", b"400\r\n");
    let part = [&chunked[..], &tar[..1024], b"\r\n"].concat();
    import(vec![part], "127.0.0.1");
    import(vec![whole(b"this is no tar at all")], "");
    let round = answer(
        "301 Moved",
        "Location: /root.tar\r\nContent-Length: 0\r\n",
        b"",
    );
    import(vec![round; 12], "redirects more than");
    cli.run(&["import", "http://", "x"]).fails(1, "");
    let report = d.api("POST", "/system/check", "").json();
    assert_eq!(report["Problems"], json!([]));
});
