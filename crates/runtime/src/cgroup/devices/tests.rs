use super::*;

fn rule(
    allow: bool,
    kind: Option<DeviceKind>,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> DeviceRule {
    DeviceRule {
        allow,
        kind,
        major,
        minor,
        access: access.to_owned(),
    }
}

/// Runs the few instructions that `compile` makes.
fn run(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> bool {
    let context = [access << 16 | kind, major, minor];
    let mut registers = [0u64; 11];
    let mut at = 0;
    loop {
        let Instruction {
            code,
            registers: packed,
            offset,
            immediate,
        } = program[at];
        let (to, from) = (usize::from(packed & 15), usize::from(packed >> 4));
        let value = u64::from(immediate.cast_unsigned());
        at += 1;
        match code {
            0x61 => registers[to] = u64::from(context[usize::try_from(offset).unwrap() / 4]),
            0x54 => registers[to] &= value,
            0x74 => registers[to] >>= value,
            0xbc => registers[to] = registers[from],
            0xb7 => registers[to] = value,
            0x15 | 0x55 if (registers[to] == value) == (code == 0x15) => {
                at += usize::try_from(offset).unwrap();
            }
            0x15 | 0x55 => {}
            0x95 => return registers[0] == 1,
            _ => panic!("code {code:#x}"),
        }
    }
}

const BLOCK: u32 = 1;
const CHAR: u32 = 2;
const MKNOD: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;

#[test]
fn later_rules_win() {
    let rules = [
        rule(false, None, None, None, "rwm"),
        rule(true, Some(DeviceKind::Char), None, None, "m"),
        rule(true, Some(DeviceKind::Char), Some(1), Some(3), "rwm"),
        rule(true, Some(DeviceKind::Block), Some(8), None, "r"),
        rule(false, Some(DeviceKind::Block), Some(8), Some(1), "r"),
    ];
    let program = compile(&rules).unwrap();
    assert!(run(&program, CHAR, READ | WRITE, 1, 3));
    assert!(run(&program, CHAR, MKNOD, 7, 7));
    assert!(!run(&program, CHAR, MKNOD | READ, 7, 7));
    assert!(run(&program, BLOCK, READ, 8, 0));
    assert!(!run(&program, BLOCK, WRITE, 8, 0));
    assert!(!run(&program, BLOCK, READ, 8, 1));
    assert!(!run(&program, BLOCK, MKNOD, 8, 0));
}

#[test]
fn everything_allowed() {
    let program = compile(&[rule(true, Some(DeviceKind::All), Some(-1), None, "")]).unwrap();
    assert!(run(&program, BLOCK, READ | WRITE | MKNOD, 9, 9));
}

#[test]
fn lines_of_version_1() {
    assert_eq!(line(&rule(false, None, None, None, "")), "a *:* rwm");
    assert_eq!(
        line(&rule(
            true,
            Some(DeviceKind::Char),
            Some(136),
            Some(-1),
            "rw"
        )),
        "c 136:* rw"
    );
}

#[test]
fn terminals_and_default_devices_are_always_allowed() {
    let rules = [
        rule(false, None, None, None, ""),
        rule(true, Some(DeviceKind::Char), Some(1), Some(3), "rwm"),
    ];
    let all = with_always_allowed(&rules);
    assert_eq!(all.len(), 2 + ALWAYS.len() - 1);
    let program = compile(&all).unwrap();
    assert!(run(&program, CHAR, READ | WRITE, 5, 2));
    assert!(run(&program, BLOCK, MKNOD, 8, 0));
    assert!(!run(&program, BLOCK, READ, 8, 0));
}
