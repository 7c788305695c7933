//! The picture of a journey: an SVG that stands alone, readable on light and on dark ground.

mod graph;
mod layout;
mod svg;

use super::Flow;

/// The journey as an SVG document. Nothing in it runs, and nothing is fetched.
pub fn draw(flow: &Flow) -> String {
    let graph = graph::of(flow);
    svg::write(flow.journey(), &graph, &layout::of(&graph))
}
