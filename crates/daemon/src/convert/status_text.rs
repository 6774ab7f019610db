//! `Up 3 seconds`, `Exited (0) 2 minutes ago`: the words in which `ps` tells a container's state.

use engine::{StateView, Status};
use jiff::Timestamp;

/// The status column at the moment `now`.
pub(crate) fn status(state: &StateView, now: Timestamp) -> String {
    let since = |time: Option<Timestamp>| time.map_or_else(String::new, |t| human(now, t));
    match state.status {
        Status::Running => format!("Up {}", since(state.started_at)),
        Status::Paused => format!("Up {} (Paused)", since(state.started_at)),
        Status::Restarting => format!(
            "Restarting ({}) {} ago",
            state.exit_code,
            since(state.finished_at)
        ),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Dead => "Dead".to_owned(),
        Status::Created => "Created".to_owned(),
        Status::Exited if state.started_at.is_none() && state.finished_at.is_none() => {
            "Created".to_owned()
        }
        Status::Exited => format!(
            "Exited ({}) {} ago",
            state.exit_code,
            since(state.finished_at)
        ),
    }
}

/// docker/go-units `HumanDuration`.
fn human(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs();
    let minutes = seconds / 60;
    // Go rounds hours to the nearest and cuts everything else.
    let hours = (seconds + 1800) / 3600;
    if seconds < 1 {
        "Less than a second".to_owned()
    } else if seconds == 1 {
        "1 second".to_owned()
    } else if seconds < 60 {
        format!("{seconds} seconds")
    } else if minutes == 1 {
        "About a minute".to_owned()
    } else if minutes < 60 {
        format!("{minutes} minutes")
    } else if hours == 1 {
        "About an hour".to_owned()
    } else if hours < 48 {
        format!("{hours} hours")
    } else if hours < 24 * 7 * 2 {
        format!("{} days", hours / 24)
    } else if hours < 24 * 30 * 2 {
        format!("{} weeks", hours / 24 / 7)
    } else if hours < 24 * 365 * 2 {
        format!("{} months", hours / 24 / 30)
    } else {
        format!("{} years", seconds / 3600 / 24 / 365)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn durations_as_go_units_says_them() {
        for (seconds, expect) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (180, "3 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (729 * 86400, "24 months"),
            (730 * 86400, "2 years"),
        ] {
            assert_eq!(human(at(seconds + 10), at(10)), expect, "{seconds}");
        }
    }

    #[test]
    fn each_state() {
        let state = |status| StateView {
            status,
            running: false,
            oom_killed: false,
            pid: 0,
            exit_code: 3,
            error: String::new(),
            started_at: Some(at(100)),
            finished_at: Some(at(110)),
        };
        let check =
            |status, expect: &str| assert_eq!(super::status(&state(status), at(120)), expect);
        check(Status::Running, "Up 20 seconds");
        check(Status::Paused, "Up 20 seconds (Paused)");
        check(Status::Exited, "Exited (3) 10 seconds ago");
        check(Status::Restarting, "Restarting (3) 10 seconds ago");
        check(Status::Created, "Created");
        check(Status::Dead, "Dead");
        check(Status::Removing, "Removal In Progress");
    }
}
