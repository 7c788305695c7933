//! The text of the picture.

use super::super::words::rules;
use super::graph::Graph;
use super::layout::{LINE, Layout, PAD, WIDTH};
use crate::policy::journey::Journey;
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark}\
.ground{fill:#fff}.name{fill:#16202c;font-weight:600;font-size:16px}.rule,.label{fill:#5a6675}.words{fill:#3d4856;font-size:12px}\
.halo{fill:#fff;opacity:.9}.way{fill:none;stroke:#8592a3;stroke-width:1.5}.tip{fill:#8592a3}\
.box{stroke-width:1.5}.text{fill:#16202c}.head{fill:#16202c;font-weight:600}\
.start .box{fill:#e7f0fb;stroke:#3d7ac2}.send .box{fill:#e6f5ec;stroke:#2f8f5b}.wait .box{fill:#fdf3dd;stroke:#b98a1d}\
.choose .box{fill:#f3eafb;stroke:#8a55bd}.act .box{fill:#f1f3f5;stroke:#7b8794}.end .box{fill:#e9ecef;stroke:#7b8794}\
@media (prefers-color-scheme:dark){\
.ground{fill:#12171d}.name,.text,.head{fill:#edf1f5}.rule,.label{fill:#9ba8b7}.words{fill:#c3ccd6}.halo{fill:#12171d}\
.start .box{fill:#17304d}.send .box{fill:#153a28}.wait .box{fill:#40330f}.choose .box{fill:#33214a}\
.act .box,.end .box{fill:#262e37}}";

/// Lines of one text at most.
const LINES: usize = 4;

/// Where the picture begins below the name and the rules.
const HEAD: i32 = 34;

pub(super) fn write(journey: &Journey, graph: &Graph, layout: &Layout) -> String {
    let rules = rules(journey);
    let down = HEAD + LINE * rules.len() as i32;
    let (width, height) = (layout.width.max(360), layout.height + down);
    let mut svg = String::new();
    // Writing to a text cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"system-ui,sans-serif\" font-size=\"13\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto-start-reverse\"><path class=\"tip\" d=\"M0,0 L8,4 L0,8 z\"/></marker></defs>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n",
        escaped(&journey.name)
    );
    text(&mut svg, "name", (24, 30), None, &journey.name);
    for (row, rule) in rules.iter().enumerate() {
        text(&mut svg, "rule", (24, 50 + LINE * row as i32), None, &short(rule, width - 48));
    }
    let _ = writeln!(svg, "<g transform=\"translate(0,{down})\">");
    for (path, _) in &layout.ways {
        let _ = writeln!(svg, "<path class=\"way\" d=\"{path}\" marker-end=\"url(#tip)\"/>");
    }
    for (shown, (left, top, height)) in graph.boxes.iter().zip(&layout.boxes) {
        let round = if matches!(shown.class, "start" | "end") { 18 } else { 8 };
        let _ = writeln!(
            svg,
            "<g class=\"{}\"><rect class=\"box\" x=\"{left}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{height}\" rx=\"{round}\"/>",
            shown.class
        );
        let label = shown.label.iter().map(|label| ("label", label.as_str()));
        let lines = shown.lines.iter().enumerate();
        let lines = lines.map(|(row, line)| (if row == 0 { "head" } else { "text" }, line.as_str()));
        for (row, (class, line)) in label.chain(lines).enumerate() {
            let y = top + PAD + LINE * row as i32 + 13;
            text(&mut svg, class, (left + 12, y), None, &short(line, WIDTH - 24));
        }
        svg.push_str("</g>\n");
    }
    for (way, (_, (x, y))) in graph.ways.iter().zip(&layout.ways).filter(|(way, _)| !way.words.is_empty()) {
        let words = short(&way.words, WIDTH);
        let wide = measure(&words) * 12 / 13 + 8;
        let x = (*x).clamp(wide / 2 + 4, width - wide / 2 - 4);
        let left = x - wide / 2;
        let _ = writeln!(
            svg,
            "<rect class=\"halo\" x=\"{left}\" y=\"{}\" width=\"{wide}\" height=\"17\" rx=\"3\"/>",
            y - 13
        );
        text(&mut svg, "words", (x, *y), Some("middle"), &words);
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn text(svg: &mut String, class: &str, (x, y): (i32, i32), anchor: Option<&str>, text: &str) {
    let anchor = anchor.map(|anchor| format!(" text-anchor=\"{anchor}\"")).unwrap_or_default();
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{anchor}>{}</text>", escaped(text));
}

/// As much of a text as fits into so many pixels.
fn short(text: &str, width: i32) -> String {
    let mut shown = String::new();
    let mut left = width;
    for c in text.chars() {
        left -= advance(c);
        if left < advance('…') && measure(text) > width {
            shown.push('…');
            break;
        }
        shown.push(c);
    }
    shown
}

/// A text in lines that fit into a box; of a very long one the end is left out.
pub(super) fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let is_full = lines.len() == LINES;
        match lines.last_mut() {
            Some(line) if is_full || measure(line) + advance(' ') + measure(word) <= WIDTH - 24 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn measure(text: &str) -> i32 {
    text.chars().map(advance).sum()
}

/// About how wide a character is at 13 pixels: East Asian ones are twice as wide.
fn advance(c: char) -> i32 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' => 4,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 11,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}' => 13,
        c if c.is_uppercase() => 9,
        _ => 7,
    }
}

/// As text in XML, which has no control characters.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}
