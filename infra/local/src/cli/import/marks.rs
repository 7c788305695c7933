//! Where the rows of a CSV file begin, and whether its last quote was ever closed: by the rules that the `csv` crate reads by.

use std::collections::VecDeque;

/// Where the bytes seen so far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    BetweenRows,
    CellStart,
    Cell,
    Quoted,
    /// After a quote in a quoted cell: it ends the cell, or another one follows and both are one sign of the text.
    QuoteInQuoted,
}

/// Sees every byte that is read. What is read is ahead of the rows that were handed out.
pub(super) struct Marks {
    delimiter: u8,
    place: Place,
    line: u64,
    after_return: bool,
    /// The lines on which rows begin that were not handed out yet.
    begun: VecDeque<u64>,
}

impl Marks {
    /// For what begins on this line of the file.
    pub(super) fn new(delimiter: u8, line: u64) -> Self {
        Self { delimiter, place: Place::BetweenRows, line, after_return: false, begun: VecDeque::new() }
    }

    pub(super) fn see(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.see_one(*byte);
        }
    }

    fn see_one(&mut self, byte: u8) {
        let is_end = matches!(byte, b'\n' | b'\r');
        if self.place == Place::BetweenRows && !is_end {
            self.begun.push_back(self.line);
            self.place = Place::CellStart;
        }
        self.place = match self.place {
            Place::Quoted if byte != b'"' => Place::Quoted,
            Place::Quoted => Place::QuoteInQuoted,
            Place::CellStart | Place::QuoteInQuoted if byte == b'"' => Place::Quoted,
            _ if is_end => Place::BetweenRows,
            _ if byte == self.delimiter => Place::CellStart,
            _ => Place::Cell,
        };
        // A line ends with either sign, or with both.
        if byte == b'\r' || (byte == b'\n' && !self.after_return) {
            self.line += 1;
        }
        self.after_return = byte == b'\r';
    }

    /// Of the row that is handed out: the line on which it begins, and whether it is the last of the file and a quote in it is
    /// never closed.
    pub(super) fn handed_out(&mut self) -> (u64, bool) {
        let line = self.begun.pop_front().unwrap_or(self.line);
        (line, self.place == Place::Quoted && self.begun.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::Marks;

    /// The lines on which rows begin, and whether the last ends within a quote.
    fn marks(text: &str) -> (Vec<u64>, bool) {
        let mut marks = Marks::new(b',', 1);
        marks.see(text.as_bytes());
        let mut handed_out = Vec::new();
        while !marks.begun.is_empty() {
            handed_out.push(marks.handed_out());
        }
        (
            handed_out.iter().map(|(line, _)| *line).collect(),
            handed_out.last().is_some_and(|(_, is_open)| *is_open),
        )
    }

    #[test]
    fn a_quote_is_open_where_csv_reads_on_to_the_end_for_it() {
        for closed in
            ["a,\"b\"\n", "a,\"b\"", "a,\"say \"\"b\"\"\"\n", "5\" pipe,b\"\n", "a,\"b\" c\"\n", "", "\"\""]
        {
            assert!(!marks(closed).1, "{closed:?}");
        }
        for open in ["a,\"b\n", "\"a,b\nc,d\n", "a,\"say \"\"b\n", "a,\"b\"\"", "a\n\"", "\"a\",\"\"\"\n"] {
            assert!(marks(open).1, "{open:?}");
        }
    }

    #[test]
    fn a_row_begins_on_the_line_that_an_editor_shows() {
        assert_eq!(marks("a,b\n\n\n1,\"x\ny\"\n2,z"), (vec![1, 4, 6], false));
        assert_eq!(marks("a,b\r\n\r\n1,\"x\r\ny\"\r\n2,z\r\n"), (vec![1, 3, 5], false));
        assert_eq!(marks("a,b\r1,x\r\r2,y\r"), (vec![1, 2, 4], false));
    }

    #[test]
    fn the_rows_are_those_that_the_csv_crate_reads() {
        let text = "a,b\n\n\"1\",\"x \"\"y\"\"\nz\"\r\n2\",\"q\"r,\"s\n\"\n\n,\n\"\"\n\"open,\n1,2\n";
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        assert_eq!(reader.records().count(), marks(text).0.len());
        assert!(marks(text).1);
    }
}
