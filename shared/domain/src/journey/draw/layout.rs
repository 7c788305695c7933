//! Where boxes stand and how ways run: rows from top to bottom, each box below all that lead to it; a way that leads back
//! runs along the left side.

use super::graph::{Box, Graph};
use std::collections::{BTreeMap, BTreeSet};

/// The width of a box, and the room between two beside each other.
pub(super) const WIDTH: i32 = 230;
const APART: i32 = 50;
/// Height of a line of text, and room above and below.
pub(super) const LINE: i32 = 17;
pub(super) const PAD: i32 = 10;
/// Room between rows: the words of a way stand there.
const GAP: i32 = 62;
const MARGIN: i32 = 24;
/// Room for each way along a side.
const LANE: i32 = 16;

/// A picture's measures.
pub(super) struct Layout {
    pub(super) width: i32,
    pub(super) height: i32,
    /// Left, top and height of each box.
    pub(super) boxes: Vec<(i32, i32, i32)>,
    /// Each way: its path and where the middle of its words is.
    pub(super) ways: Vec<(String, (i32, i32))>,
}

pub(super) fn height(of: &Box) -> i32 {
    let lines = of.lines.len() as i32 + i32::from(of.label.is_some());
    lines * LINE + 2 * PAD
}

pub(super) fn of(graph: &Graph) -> Layout {
    let count = graph.boxes.len();
    let back = backward(graph);
    let rows = rows(graph, &back);
    let columns = columns(graph, &back, &rows);
    let last_row = rows.iter().copied().max().unwrap_or(0);
    let mut tallest = vec![0; last_row + 1];
    for (at, row) in rows.iter().enumerate() {
        tallest[*row] = tallest[*row].max(height(&graph.boxes[at]));
    }
    let mut tops = vec![MARGIN];
    for row in 0..last_row {
        tops.push(tops[row] + tallest[row] + GAP);
    }
    let left = MARGIN + LANE * back.len() as i32;
    let place =
        |at: usize| (left + columns[at] as i32 * (WIDTH + APART), tops[rows[at]], height(&graph.boxes[at]));
    let boxes: Vec<_> = (0..count).map(place).collect();
    let right = left + columns.iter().copied().max().unwrap_or(0) as i32 * (WIDTH + APART) + WIDTH;
    let taken: BTreeSet<(usize, usize)> = rows.iter().copied().zip(columns.iter().copied()).collect();
    let is_free =
        |column: usize, from: usize, to: usize| (from..to).all(|row| !taken.contains(&(row, column)));

    let (mut lanes, mut back_lanes) = (0, 0);
    let mut ways = Vec::new();
    for (number, way) in graph.ways.iter().enumerate() {
        let ((x1, y1, h1), (x2, y2, _)) = (boxes[way.from], boxes[way.to]);
        let (from_x, from_y, to_x) = (x1 + WIDTH / 2, y1 + h1, x2 + WIDTH / 2);
        let (row1, row2) = (rows[way.from], rows[way.to]);
        if back.contains(&number) {
            back_lanes += 1;
            // Out below the row and in above the other: nothing stands there.
            let (lane, out, into) = (left - LANE * back_lanes, tops[row1] + tallest[row1] + 12, y2 - 14);
            let (from, to) = (x1 + 24, x2 + 24);
            let path = format!(
                "M{from},{from_y} V{} Q{from},{out} {},{out} H{} Q{lane},{out} {lane},{} V{} Q{lane},{into} {},{into} \
                 H{} Q{to},{into} {to},{} V{y2}",
                out - 6,
                from - 6,
                lane + 6,
                out - 6,
                into + 6,
                lane + 6,
                to - 6,
                into + 6
            );
            ways.push((path, (from, out + 16)));
            continue;
        }
        // Between the source's row and the next there is room to change the column, and likewise before the target's.
        let (below, above) = (tops[row1] + tallest[row1], y2 - GAP);
        let next_top = tops[(row1 + 1).min(last_row)];
        let start = format!("M{from_x},{from_y} V{below}");
        let (path, words) = if row2 == row1 + 1 {
            (format!("{start} {}", bend(from_x, below, to_x, y2)), (to_x, y2 - 20))
        } else if is_free(columns[way.to], row1 + 1, row2) {
            (format!("{start} {} V{y2}", bend(from_x, below, to_x, next_top)), (to_x, next_top - 20))
        } else if is_free(columns[way.from], row1 + 1, row2) {
            (format!("{start} V{above} {}", bend(from_x, above, to_x, y2)), (from_x, below + 20))
        } else {
            lanes += 1;
            let lane = right + LANE * lanes;
            let path = format!(
                "{start} {} V{above} {}",
                bend(from_x, below, lane, next_top),
                bend(lane, above, to_x, y2)
            );
            (path, (lane - WIDTH / 4, next_top - 20))
        };
        ways.push((path, words));
    }
    let bottom = boxes.iter().map(|(_, top, height)| top + height).max().unwrap_or(0);
    let bottom = if back.is_empty() { bottom } else { bottom + 2 * LANE };
    Layout { width: right + LANE * lanes + MARGIN, height: bottom + MARGIN, boxes, ways }
}

/// From one point down to another.
fn bend(x1: i32, y1: i32, x2: i32, y2: i32) -> String {
    if x1 == x2 {
        return format!("V{y2}");
    }
    let middle = (y1 + y2) / 2;
    format!("C{x1},{middle} {x2},{middle} {x2},{y2}")
}

/// The ways that lead back to where one has been.
fn backward(graph: &Graph) -> BTreeSet<usize> {
    let mut back = BTreeSet::new();
    let mut done = vec![false; graph.boxes.len()];
    // A box with the ways from it that were gone; depth first, without recursion.
    let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
    let ways_from = |at: usize| -> Vec<usize> {
        (0..graph.ways.len()).rev().filter(|way| graph.ways[*way].from == at).collect()
    };
    for root in 0..graph.boxes.len() {
        if done[root] {
            continue;
        }
        done[root] = true;
        path.push((root, ways_from(root)));
        while let Some((_, open)) = path.last_mut() {
            let Some(way) = open.pop() else {
                path.pop();
                continue;
            };
            let to = graph.ways[way].to;
            if path.iter().any(|(on, _)| *on == to) {
                back.insert(way);
            } else if !std::mem::replace(&mut done[to], true) {
                path.push((to, ways_from(to)));
            }
        }
    }
    back
}

/// Each box in a row below all that lead to it.
fn rows(graph: &Graph, back: &BTreeSet<usize>) -> Vec<usize> {
    let mut rows = vec![0; graph.boxes.len()];
    let ways = || graph.ways.iter().enumerate().filter(|(number, _)| !back.contains(number));
    // No more rounds than boxes: without the ways that lead back there is no circle.
    for _ in 0..graph.boxes.len() {
        for (_, way) in ways() {
            rows[way.to] = rows[way.to].max(rows[way.from] + 1);
        }
    }
    rows
}

/// Each box below the first that leads to it, or the next free place to the right.
fn columns(graph: &Graph, back: &BTreeSet<usize>, rows: &[usize]) -> Vec<usize> {
    let mut columns = vec![0; rows.len()];
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| (rows[*at], *at));
    let mut taken: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for at in order {
        let ways =
            graph.ways.iter().enumerate().filter(|(number, way)| way.to == at && !back.contains(number));
        let wanted = ways.map(|(_, way)| columns[way.from]).min().unwrap_or(0);
        let row = taken.entry(rows[at]).or_default();
        let column = (wanted..).find(|column| !row.contains(column)).unwrap_or(wanted);
        row.insert(column);
        columns[at] = column;
    }
    columns
}
