//! Columns aligned at tabs, as Go's `text/tabwriter` does it: what ends with a tab is a cell, and a column is as wide as
//! the widest of its cells in lines that follow each other.

/// How wide a column is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Widths {
    /// At least this many letters.
    pub(crate) least: usize,
    /// And this many after the widest cell.
    pub(crate) gap: usize,
}

impl Widths {
    /// Of Docker's tables.
    pub(crate) const TABLE: Widths = Widths { least: 10, gap: 3 };
}

/// Aligns `text`.
pub(crate) fn align(text: &str, widths: Widths) -> String {
    let lines: Vec<Vec<&str>> = text
        .split('\n')
        .map(|line| line.split('\t').collect())
        .collect();
    let mut block = Block {
        lines: &lines,
        widths,
        columns: Vec::new(),
        out: String::with_capacity(text.len() * 2),
    };
    block.format(0, lines.len());
    block.out
}

struct Block<'a> {
    lines: &'a [Vec<&'a str>],
    widths: Widths,
    columns: Vec<usize>,
    out: String,
}

impl Block<'_> {
    /// Writes the lines from `first` up to `end`, which have the columns found so far in common.
    fn format(&mut self, mut first: usize, end: usize) {
        let mut this = first;
        while this < end {
            if !self.has_cell(this) {
                this += 1;
                continue;
            }
            self.write(first, this);
            first = this;
            while this < end && self.has_cell(this) {
                this += 1;
            }
            self.columns.push(self.width(first, this));
            self.format(first, this);
            self.columns.pop();
            first = this;
        }
        self.write(first, end);
    }

    /// Whether a line has a cell in the next column; its last piece is none.
    fn has_cell(&self, line: usize) -> bool {
        self.columns.len() + 1 < self.lines[line].len()
    }

    fn width(&self, first: usize, end: usize) -> usize {
        let column = self.columns.len();
        let widest = self.lines[first..end]
            .iter()
            .map(|line| letters(line[column]))
            .max()
            .unwrap_or(0);
        self.widths.least.max(widest + self.widths.gap)
    }

    fn write(&mut self, first: usize, end: usize) {
        for index in first..end {
            for (column, cell) in self.lines[index].iter().enumerate() {
                self.out.push_str(cell);
                if let Some(width) = self.columns.get(column) {
                    self.out.extend(std::iter::repeat_n(
                        ' ',
                        width.saturating_sub(letters(cell)),
                    ));
                }
            }
            if index + 1 < self.lines.len() {
                self.out.push('\n');
            }
        }
    }
}

fn letters(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let check = |text: &str, expected: &str| {
            assert_eq!(
                align(text, Widths { least: 3, gap: 1 }),
                expected,
                "{text:?}"
            );
        };
        check("a\tb\n", "a  b\n");
        check("long\tb\nx\ty\n", "long b\nx    y\n");
        check("…\tb\nabc\ty", "…   b\nabc y");
        check(
            "no tabs\na\tb\nlonger\tc\n\nd\te\n",
            "no tabs\na      b\nlonger c\n\nd  e\n",
        );
        check("a\t\tc\nlonger\tx\n", "a         c\nlonger x\n");
        check("", "");
    }
}
