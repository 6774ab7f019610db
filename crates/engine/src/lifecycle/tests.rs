use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Start),
        (1..9u32, 0..9i64).prop_map(|(pid, s)| Event::Started { pid, at: at(s) }),
        (125..128i32).prop_map(|code| Event::StartFailed {
            code,
            error: "no".into()
        }),
        Just(Event::OutOfMemory),
        Just(Event::Paused),
        Just(Event::Unpaused),
        (0..256i32, 0..9i64, any::<bool>()).prop_map(|(code, s, oom_killed)| Event::Ended {
            code,
            at: at(s),
            oom_killed
        }),
        Just(Event::Remove),
        Just(Event::RemoveFailed),
        Just(Event::Removed),
    ]
}

/// The arrows of the picture in the module's documentation.
fn is_arrow(from: Phase, to: Phase) -> bool {
    use Phase::*;
    matches!(
        (from, to),
        (Created | Exited, Starting)
            | (Starting, Running { .. } | Created | Exited)
            | (Running { .. }, Paused { .. } | Exited)
            | (Paused { .. }, Running { .. } | Exited)
            | (Created | Exited | Dead, Removing)
            | (Removing, Dead | Gone)
    )
}

proptest! {
    #[test]
    fn never_leaves_the_graph(auto_remove: bool, events in proptest::collection::vec(any_event(), 0..40)) {
        let mut life = Life::new(auto_remove);
        let (mut launches, mut results) = (0, 0);
        for event in events {
            let Ok((next, effects)) = step(&life, event.clone()) else { continue };
            // Who runs out of memory stays what he was.
            let arrow = is_arrow(life.phase, next.phase) || event == Event::OutOfMemory && life.phase == next.phase;
            prop_assert!(arrow, "{:?} -> {:?}", life.phase, next.phase);
            launches += effects.iter().filter(|e| **e == Effect::Launch).count();
            results += usize::from(matches!(event, Event::Started { .. } | Event::StartFailed { .. }));
            prop_assert!(launches >= results);
            if let (Some(before), Some(after)) = (life.phase.pid(), next.phase.pid()) {
                prop_assert_eq!(before, after, "a run keeps its process");
            }
            prop_assert_eq!(next.auto_remove, auto_remove);
            life = next;
        }
    }

    #[test]
    fn every_exit_wakes_the_waiters_and_only_removal_forgets(events in proptest::collection::vec(any_event(), 0..40)) {
        let mut life = Life::new(false);
        for event in events {
            let Ok((next, effects)) = step(&life, event) else { continue };
            let ends_run = life.phase.is_active() && !next.phase.is_active();
            prop_assert_eq!(effects.contains(&Effect::WakeWaiters), ends_run);
            prop_assert_eq!(effects.contains(&Effect::Forget), next.phase == Phase::Gone);
            life = next;
        }
    }
}

/// Docker's `FinishedAt` of a container that runs again is the end of the run before.
#[test]
fn a_new_run_keeps_when_the_last_one_ended() {
    let run = |life: &Life, event| step(life, event).unwrap().0;
    let mut life = run(&Life::new(false), Event::Start);
    life = run(&life, Event::Started { pid: 7, at: at(1) });
    let ended = Event::Ended {
        code: 0,
        at: at(2),
        oom_killed: false,
    };
    life = run(&run(&life, ended), Event::Start);
    life = run(&life, Event::Started { pid: 8, at: at(3) });
    assert_eq!(life.finished_at, Some(at(2)));
}

#[test]
fn refusals_tell_docker_s_cases_apart() {
    let mut life = Life::new(false);
    let check = |life: &Life, event, want| assert_eq!(step(life, event).unwrap_err(), want);
    check(&life, Event::Paused, Refusal::NotRunning);
    check(&life, Event::Unpaused, Refusal::NotPaused);
    life.phase = Phase::Running { pid: 7 };
    check(&life, Event::Start, Refusal::AlreadyRunning);
    check(&life, Event::Remove, Refusal::StillRunning);
    life.phase = Phase::Paused { pid: 7 };
    check(&life, Event::Start, Refusal::StartPaused);
    check(&life, Event::Paused, Refusal::AlreadyPaused);
    check(&life, Event::Remove, Refusal::StillPaused);
}
