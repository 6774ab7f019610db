//! Drives a store by hand: `store ROOT load|save|import|inspect|rmi|history|churn|names ...`. For measuring against other
//! engines, and (`names COUNT`, `images COUNT LAYERS`) for how the store fares with many names,
//! images and layers.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let start = std::time::Instant::now();
    let store = image::Store::open(Path::new(&args[0]))?;
    eprintln!("open {:?}", start.elapsed());
    let start = std::time::Instant::now();
    match (&*args[1], &args[2..]) {
        ("load", [file]) => {
            let file = File::open(file)?;
            let loaded = store.load(file, &[], &mut |_| {})?;
            loaded.iter().for_each(|line| println!("{line}"));
        }
        ("import", [file, name]) => {
            let file = File::open(file)?;
            let options = image::ImportOptions {
                reference: name.parse().ok(),
                ..Default::default()
            };
            println!("{}", store.import(file, &options)?);
        }
        ("save", names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            store.save(&names, io::stdout().lock())?;
        }
        ("inspect", [name]) => println!("{:#?}", store.resolve(name)?),
        ("history", [name]) => println!("{:#?}", store.history(name)?),
        ("rmi", [name]) => {
            println!(
                "{:?}",
                store.remove(name, Default::default(), &|_| Vec::new())?
            );
        }
        ("churn", [name, times]) => {
            for _ in 0..times.parse()? {
                let container = oci::ContainerId::random();
                let image = store.resolve(name)?;
                store.prepare(&container, Some(&image.id))?;
                store.release(&container)?;
            }
        }
        ("names", [count]) => names(&store, count.parse()?)?,
        ("images", [count, layers]) => images(&store, count.parse()?, layers.parse()?)?,
        _ => eprintln!("unknown command"),
    }
    io::stdout().flush()?;
    eprintln!("done {:?}", start.elapsed());
    Ok(())
}

/// `count` images, all of the same `layers` layers: how long what is done with all of them takes.
fn images(
    store: &image::Store,
    count: usize,
    layers: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let archive = many(count, layers)?;
    let unused = |_: &image::ImageId| Vec::new();
    let timed = |what: &str, work: &dyn Fn() -> image::Result<()>| {
        let start = std::time::Instant::now();
        let done = work();
        eprintln!("{what:20} {:?}", start.elapsed());
        done
    };
    timed("load", &|| {
        store.load(&archive[..], &[], &mut |_| {}).map(drop)
    })?;
    timed("load again", &|| {
        store.load(&archive[..], &[], &mut |_| {}).map(drop)
    })?;
    timed("resolve", &|| store.resolve("many:1").map(drop))?;
    timed("list", &|| store.list(&Default::default()).map(drop))?;
    timed("disk usage", &|| store.disk_usage().map(drop))?;
    timed("rmi", &|| {
        store
            .remove("many:1", Default::default(), &unused)
            .map(drop)
    })?;
    timed("check", &|| store.check(false, &unused).map(drop))?;
    timed("prune -a", &|| {
        let query = image::PruneQuery {
            dangling_only: false,
            ..Default::default()
        };
        store.prune(&query, &unused).map(drop)
    })?;
    Ok(())
}

fn many(count: usize, layers: usize) -> io::Result<Vec<u8>> {
    use image::tar::{Entry, EntryKind, Writer};
    let file = |name: &str| Entry::new(EntryKind::Regular, name, 0o644);
    let mut tar = Writer::new(Vec::new());
    let mut ids = Vec::new();
    for number in 0..layers {
        let mut layer = Writer::new(Vec::new());
        layer.file(file("a"), number.to_string().as_bytes())?;
        let layer = layer.finish()?;
        tar.file(file(&format!("{number}.tar")), &layer)?;
        ids.push(format!("\"{}\"", oci::Digest::sha256(&layer)));
    }
    let ids = ids.join(",");
    let members: Vec<String> = (0..layers).map(|n| format!("\"{n}.tar\"")).collect();
    let members = members.join(",");
    let mut index = Vec::new();
    for number in 0..count {
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","author":"{number}","rootfs":{{"type":"layers","diff_ids":[{ids}]}}}}"#
        );
        tar.file(file(&format!("{number}.json")), config.as_bytes())?;
        index.push(format!(
            r#"{{"Config":"{number}.json","RepoTags":["many:{number}"],"Layers":[{members}]}}"#
        ));
    }
    tar.file(
        file("manifest.json"),
        format!("[{}]", index.join(",")).as_bytes(),
    )?;
    tar.finish()
}

/// One image with `count` names: how long what is done with it takes.
fn names(store: &image::Store, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let archive = archive(count)?;
    let unused = |_: &image::ImageId| Vec::new();
    let forced = image::RemoveOptions {
        force: true,
        no_prune: false,
    };
    let timed = |what: &str, work: &dyn Fn() -> image::Result<()>| {
        let start = std::time::Instant::now();
        let done = work();
        eprintln!("{what:20} {:?}", start.elapsed());
        done
    };
    let load = || store.load(&archive[..], &[], &mut |_| {}).map(drop);
    timed("load", &load)?;
    timed("load again", &load)?;
    timed("resolve", &|| store.resolve("many:1").map(drop))?;
    timed("list", &|| store.list(&Default::default()).map(drop))?;
    timed("tag", &|| {
        let target = "one-more:1".parse()?;
        store.tag("many:1", &target).map(drop)
    })?;
    timed("save", &|| store.save(&["many"], io::sink()))?;
    timed("rmi one name", &|| {
        store.remove("many:1", Default::default(), &unused)?;
        store
            .remove("many:2", Default::default(), &unused)
            .map(drop)
    })?;
    timed("rmi -f by id", &|| {
        let id = store.resolve("many:3")?.id;
        store.remove(id.as_str(), forced, &unused).map(drop)
    })?;
    timed("load", &load)?;
    timed("prune -a", &|| {
        let query = image::PruneQuery {
            dangling_only: false,
            ..Default::default()
        };
        store.prune(&query, &unused).map(drop)
    })?;
    Ok(())
}

/// An archive of one image with one layer and this many names.
fn archive(names: usize) -> io::Result<Vec<u8>> {
    use image::tar::{Entry, EntryKind, Writer};
    let file = |name: &str| Entry::new(EntryKind::Regular, name, 0o644);
    let mut layer = Writer::new(Vec::new());
    layer.file(file("a"), b"text")?;
    let layer = layer.finish()?;
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        oci::Digest::sha256(&layer)
    );
    let tags: Vec<String> = (0..names).map(|n| format!("\"many:{n}\"")).collect();
    let index = format!(
        r#"[{{"Config":"config.json","RepoTags":[{}],"Layers":["layer.tar"]}}]"#,
        tags.join(",")
    );
    let mut tar = Writer::new(Vec::new());
    tar.file(file("layer.tar"), &layer)?;
    tar.file(file("config.json"), config.as_bytes())?;
    tar.file(file("manifest.json"), index.as_bytes())?;
    tar.finish()
}
