//! The table that bench/README.md shows.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::median;

/// Rows of a Markdown table.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    who: String,
    value: String,
    /// Compared with the last contestant of its benchmark, the rival.
    ratio: Option<String>,
}

/// What one benchmark measures by and by, each time told at once: a round of a large thing takes a minute.
pub(crate) struct Times {
    what: &'static str,
    by: Vec<(&'static str, Vec<Duration>)>,
}

impl Times {
    pub(crate) fn new(what: &'static str) -> Times {
        let by = Vec::new();
        Times { what, by }
    }

    pub(crate) fn took(&mut self, who: &'static str, time: Duration) {
        eprintln!("  {}: {who}: {:.2} s", self.what, time.as_secs_f64());
        match self.by.iter_mut().find(|(known, _)| *known == who) {
            Some((_, times)) => times.push(time),
            None => self.by.push((who, vec![time])),
        }
    }
}

impl Table {
    /// Adds the medians of all contestants.
    pub(crate) fn all(&mut self, times: Times) {
        let medians: Vec<(&str, Duration)> = (times.by.into_iter())
            .map(|(who, times)| (who, median(times)))
            .collect();
        self.times(times.what, &medians);
    }

    /// Adds the times of one benchmark. The last contestant is the rival that the others are compared with.
    pub(crate) fn times(&mut self, what: &str, times: &[(&str, Duration)]) {
        let values: Vec<(&str, f64)> = times
            .iter()
            .map(|(who, time)| (*who, time.as_secs_f64() * 1000.0))
            .collect();
        self.values(what, "ms", &values);
    }

    /// Times and sizes: the smaller the better.
    pub(crate) fn values(&mut self, what: &str, unit: &str, values: &[(&str, f64)]) {
        let ratio = |value: f64, rival: f64| format!("1/{:.1}", rival / value);
        self.compare(what, unit, values, ratio);
    }

    /// Rates: the greater the better.
    pub(crate) fn rates(&mut self, what: &str, unit: &str, values: &[(&str, f64)]) {
        let ratio = |value: f64, rival: f64| format!("{:.2} times", value / rival);
        self.compare(what, unit, values, ratio);
    }

    fn compare(
        &mut self,
        what: &str,
        unit: &str,
        values: &[(&str, f64)],
        ratio: impl Fn(f64, f64) -> String,
    ) {
        let rival = values.last().map_or(0.0, |(_, value)| *value);
        for (at, (who, value)) in values.iter().enumerate() {
            let is_comparable = at + 1 < values.len() && *value > 0.0 && rival > 0.0;
            let ratio = is_comparable.then(|| ratio(*value, rival));
            let digits = match *value {
                small if small < 1.0 => 3,
                small if small < 10.0 => 2,
                _ => 1,
            };
            let value = format!("{value:.digits$} {unit}");
            let compared = ratio.as_ref().map(|ratio| format!(" ({ratio})"));
            eprintln!("  {what}: {who}: {value}{}", compared.unwrap_or_default());
            self.rows.push(Row {
                what: what.to_owned(),
                who: (*who).to_owned(),
                value,
                ratio,
            });
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what | who | median | of the rival's |\n|---|---|---:|---:|"
        )?;
        let mut last = "";
        for row in &self.rows {
            let what = if row.what == last { "" } else { &row.what };
            last = &row.what;
            let ratio = row.ratio.as_deref().unwrap_or_default();
            writeln!(f, "| {what} | {} | {} | {ratio} |", row.who, row.value)?;
        }
        Ok(())
    }
}
