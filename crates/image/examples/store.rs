//! Drives a store by hand: `store ROOT load|save|import|inspect|rmi|history|churn ...`. For measuring against other engines.

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
            let loaded = store.load(file, None, &mut |_| {})?;
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
        _ => eprintln!("unknown command"),
    }
    io::stdout().flush()?;
    eprintln!("done {:?}", start.elapsed());
    Ok(())
}
