//! How fast 200 MB of container output go into a log and come back, on one core:
//! `cargo run --profile dist -p shim --example log_speed`.

use std::time::Instant;

use shim::log::{Config, Driver, Query, Reader, Stream, Writer};
use shim::time::Timestamp;

const TOTAL: usize = 200 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("tare-log-speed-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    for (driver, line) in [Driver::JsonFile, Driver::Local]
        .into_iter()
        .flat_map(|driver| [10, 80, 1000].map(|line| (driver, line)))
    {
        let config = Config {
            driver,
            path: folder.join(format!("{line}.log")),
            max_file: 1,
            ..Config::default()
        };
        let mut text = vec![b'x'; line];
        text[line - 1] = b'\n';
        let chunk = text.repeat(65_536 / line);
        let begun = Instant::now();
        let mut writer = Writer::open(&config)?;
        let mut written = 0;
        while written < TOTAL {
            writer.write(Stream::Stdout, &chunk, Timestamp::now())?;
            written += chunk.len();
        }
        let wrote = begun.elapsed();
        let begun = Instant::now();
        let mut reader = Reader::open(driver, &config.path, Query::default())?;
        let mut read = 0;
        while let Some(entry) = reader.next_entry()? {
            read += entry.line.len();
        }
        assert_eq!(read, written);
        println!(
            "{driver:?}, lines of {line} bytes: written in {wrote:.2?}, read in {:.2?}",
            begun.elapsed()
        );
        std::fs::remove_file(&config.path)?;
    }
    std::fs::remove_dir(&folder)?;
    Ok(())
}
