//! A log on a filesystem that is full.

use std::path::PathBuf;

use linux::mount::{self, Attributes, FsContext};
use shim::protocol::{INIT, Kind, Op};

use crate::rig::Rig;

/// What `seq` prints, several times what fits.
const LINES: u32 = 40_000;

/// A small tmpfs with a file that fills most of it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn under(rig: &mut Rig) -> Self {
        let path = rig.path("small");
        std::fs::create_dir(&path).unwrap();
        let context = FsContext::new("tmpfs").unwrap();
        context.string("size", "8m").unwrap();
        let tree = context
            .create()
            .unwrap()
            .mount(Attributes::empty())
            .unwrap();
        mount::attach(tree, mount::open_target(&path).unwrap()).unwrap();
        std::fs::write(path.join("filler"), vec![0; 7 << 20]).unwrap();
        rig.setup.log.path = path.join("log");
        Self(path)
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        mount::unmount_detached(&self.0).unwrap();
    }
}

fn numbers(text: &str) -> Vec<u32> {
    text.lines().map_while(|line| line.parse().ok()).collect()
}

fn assert_counts(numbers: &[u32]) {
    assert!((1..).zip(numbers).all(|(expect, number)| expect == *number));
}

#[test]
fn a_full_disk_holds_the_container_back_and_loses_nothing() {
    let mut rig = Rig::new(&format!("seq {LINES}; exit 3"));
    let disk = SmallDisk::under(&mut rig);
    let mut control = rig.start();
    control.warned("write log");
    disk.free();
    assert_eq!(control.init_exited(), 3);
    let logged = rig.logged();
    let numbers = numbers(&logged);
    assert_eq!(
        (numbers.len(), logged.lines().count()),
        (LINES as usize, LINES as usize)
    );
    assert_counts(&numbers);
    rig.finish();
}

#[test]
fn a_disk_that_stays_full_costs_lines_but_never_silently() {
    let mut rig = Rig::new(&format!("seq {LINES}; read go; echo after; cat"));
    rig.setup.open_stdin = true;
    rig.setup.stdin_once = true;
    let disk = SmallDisk::under(&mut rig);
    let mut control = rig.spawn();
    let mut attached = rig.attach(INIT);
    control.call(Op::Start).unwrap();
    // The container is not held back for ever: its clients see all it has to say.
    attached.until(&format!("\n{LINES}\n"));
    disk.free();
    control.warned("bytes of output are missing");
    attached.raw(Kind::Stdin, b"go\n");
    attached.until("after\n");
    attached.raw(Kind::StdinClosed, &[]);
    control.init_exited();

    let logged = rig.logged();
    let lines: Vec<&str> = logged.lines().collect();
    let [kept @ .., gap, "after"] = &lines[..] else {
        panic!("{logged}");
    };
    // The last one may have lost its end.
    let (last, whole) = kept.split_last().expect("lines");
    assert_counts(&numbers(&whole.join("\n")));
    let printed: String = (1..=LINES).map(|number| format!("{number}\n")).collect();
    let kept = whole.iter().map(|line| line.len() + 1).sum::<usize>() + last.len();
    assert_eq!(printed[..kept].lines().last(), Some(*last));
    let missing = gap.strip_prefix("[tare: ").and_then(|text| {
        text.strip_suffix(" bytes of output are missing here: the log could not be written]")
    });
    let missing: usize = missing.expect(gap).parse().expect(gap);
    // Whether its line feed is its own or stands for the gap cannot be seen.
    assert!(
        printed.len() - kept - missing <= 1,
        "{gap}: {kept} of {}",
        printed.len()
    );
    rig.finish();
}

#[test]
fn a_container_that_ends_on_a_full_disk_says_what_is_missing() {
    let mut rig = Rig::new(&format!("seq {LINES}"));
    let _disk = SmallDisk::under(&mut rig);
    let mut control = rig.start();
    control.warned("bytes of output are missing");
    assert_eq!(control.init_exited(), 0);
    rig.finish();
}

/// Runs to the end of a container with `mode=non-blocking` whose disk is full until it has said everything.
fn logged_without_waiting(buffer: u64) -> String {
    let mut rig = Rig::new(&format!("seq {LINES}; read go"));
    rig.setup.open_stdin = true;
    rig.setup.log.buffer = Some(buffer);
    let disk = SmallDisk::under(&mut rig);
    let mut control = rig.spawn();
    let mut attached = rig.attach(INIT);
    control.call(Op::Start).unwrap();
    attached.until(&format!("\n{LINES}\n"));
    disk.free();
    attached.raw(Kind::Stdin, b"go\n");
    control.init_exited();
    let logged = rig.logged();
    rig.finish();
    logged
}

#[test]
fn what_nobody_waits_for_is_kept_in_memory() {
    let logged = logged_without_waiting(64 << 20);
    assert_eq!(logged.lines().count(), LINES as usize);
    assert_counts(&numbers(&logged));
}

#[test]
fn what_nobody_waits_for_is_given_up_beyond_its_buffer() {
    let logged = logged_without_waiting(4000);
    let kept = numbers(&logged);
    // The last one may have lost its end.
    let (_last, whole) = kept.split_last().expect("lines");
    assert_counts(whole);
    assert!(kept.len() < LINES as usize);
    let gap = logged.lines().last().unwrap();
    assert!(
        gap.ends_with("bytes of output are missing here: the log could not be written]"),
        "{gap}"
    );
}
