//! Mirrors that lie: the pull takes what they spoil from the registry itself.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tests::{
    Archive, Connection, Daemon, Entry, Image, Layer, Options, OwnRegistry, busybox_layer,
};

/// What a mirror makes of an answer: of the path that was asked for, and the bytes that the registry has there.
type Spoil = fn(&str, Vec<u8>) -> Vec<u8>;

/// A mirror of a registry that answers what the test wants, and ends with the test's process.
struct Mirror {
    address: String,
    spoil: Arc<Mutex<Spoil>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    fn of(registry: &OwnRegistry) -> Mirror {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mirror = Mirror {
            address: listener.local_addr().expect("its address").to_string(),
            spoil: Arc::new(Mutex::new(|_, bytes| bytes)),
            asked: Arc::default(),
        };
        let (spoil, asked) = (Arc::clone(&mirror.spoil), Arc::clone(&mirror.asked));
        let origin = format!("tcp://{}", registry.address());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let spoil = *spoil.lock().expect("lock");
                if let Some(path) = answer(stream, &origin, spoil) {
                    asked.lock().expect("lock").push(path);
                }
            }
        });
        mirror
    }

    fn spoils(&self, spoil: Spoil) {
        *self.spoil.lock().expect("lock") = spoil;
        self.asked.lock().expect("lock").clear();
    }

    fn was_asked(&self, words: &str) -> bool {
        let asked = self.asked.lock().expect("lock");
        asked.iter().any(|path| path.contains(words))
    }
}

/// Answers one request; says which.
fn answer(stream: TcpStream, origin: &str, spoil: Spoil) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.by_ref().take(10_000).read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let accept = "application/vnd.docker.distribution.manifest.v2+json";
    let mut connection = Connection::try_open(origin).ok()?;
    let had = connection
        .request("GET", &path, &[("Accept", accept)], b"")
        .ok()?;
    let kind = had.header("content-type").unwrap_or_default().to_owned();
    let body = spoil(&path, had.body);
    let head = format!(
        "HTTP/1.1 {} x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        had.status,
        body.len()
    );
    let mut stream = reader.into_inner();
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()?;
    Some(path)
}

fn other_bytes(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().map(|byte| byte ^ 1).collect()
}

/// Whole and of the right size, but another layer: only its digest tells.
fn another_layer(length: usize) -> Vec<u8> {
    let mut tar = Archive::new(&[Entry::file("evil", "evil")]).finish();
    tar.resize(length.max(tar.len()), 0);
    tar.truncate(length);
    tar
}

#[test]
fn what_a_mirror_spoils_comes_from_the_registry() {
    let root = tempfile::tempdir().expect("a root");
    let registry = OwnRegistry::serve(root.path(), &[]);
    let mirror = Mirror::of(&registry);
    let mirrors = [format!("{}=http://{}", registry.address(), mirror.address)];
    let options = Options {
        config: Some(json!({ "registry-mirrors": mirrors }).to_string()),
        ..Options::default()
    };
    Daemon::with(options, |d| {
        let cli = d.tare();
        let name = format!("{}/a/b:1", registry.address());
        let layers = vec![
            busybox_layer(),
            Layer::new(&[Entry::file("good", vec![b'x'; 300_000])]),
        ];
        d.load(&Image::new(&name, layers, json!({"Cmd": ["ls", "/good"]})).docker_archive());
        cli.ok(&["push", "-q", &name]);
        let id = cli.ok(&["inspect", "-f", "{{.Id}}", &name]);
        let cases: [(&str, Spoil); 7] = [
            ("/manifests/", |_, bytes| bytes),
            ("/blobs/", |path, bytes| match path.contains("/blobs/") {
                true => other_bytes(bytes),
                false => bytes,
            }),
            ("/blobs/", |path, bytes| match path.contains("/blobs/") {
                true => another_layer(bytes.len()),
                false => bytes,
            }),
            ("/blobs/", |path, bytes| match path.contains("/blobs/") {
                true => bytes[..bytes.len() / 2].to_vec(),
                false => bytes,
            }),
            ("/manifests/", |_, _| b"<html>sorry</html>".to_vec()),
            // Manifests that make sense, of a blob that nobody has, or that do not fit their config.
            ("/manifests/", |path, bytes| {
                match path.contains("/manifests/") {
                    true => orphaned(&bytes),
                    false => bytes,
                }
            }),
            ("/manifests/", |path, bytes| {
                match path.contains("/manifests/") {
                    true => swapped(&bytes),
                    false => bytes,
                }
            }),
        ];
        for (number, (asked, spoil)) in cases.into_iter().enumerate() {
            mirror.spoils(spoil);
            cli.ok(&["rmi", "-f", &name]);
            cli.ok(&["pull", "-q", &name]);
            assert!(mirror.was_asked(asked), "{number}");
            let got = cli.ok(&["inspect", "-f", "{{.Id}}", &name]);
            assert_eq!(got, id, "{number}");
            assert_eq!(cli.ok(&["run", "--rm", &name]), "/good", "{number}");
        }
    });
}

/// The same manifest of another config.
fn orphaned(bytes: &[u8]) -> Vec<u8> {
    let mut manifest: serde_json::Value = serde_json::from_slice(bytes).expect("a manifest");
    manifest["config"]["digest"] = tests::digest(b"nobody").into();
    manifest.to_string().into_bytes()
}

/// The same manifest with its layers in another order: config and layers do not fit any more.
fn swapped(bytes: &[u8]) -> Vec<u8> {
    let mut manifest: serde_json::Value = serde_json::from_slice(bytes).expect("a manifest");
    let layers = manifest["layers"].as_array_mut().expect("layers");
    layers.reverse();
    manifest.to_string().into_bytes()
}
