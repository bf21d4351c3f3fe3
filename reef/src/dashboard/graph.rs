//! The graph of patterns: a column for each environment, a row for each application, an edge for each pair of services.

use super::shown;
use super::words::End;
use crate::printable::{printable, shortened};
use crate::report::PatternLine;
use maud::{Markup, html};
use model::pattern::ANY_SERVICE;
use model::time::SECOND_MS;
use std::collections::{BTreeMap, BTreeSet};

/// Most nodes that are drawn; a picture of more shows nothing.
const NODES_MAX: usize = 60;
/// Characters of a node's name.
const NAME_MAX: usize = 20;
/// Sizes in units of the picture.
const NODE: (i32, i32) = (168, 26);
const GAP: (i32, i32) = (210, 12);
const MARGIN: (i32, i32) = (118, 44);
const ROW_GAP: i32 = 22;

/// Environment, application and service.
type Place = (String, String, String);

/// The usual order of environments.
fn rank(environment: &str) -> usize {
    const ORDER: [&[&str]; 5] = [
        &["dev", "development", "local"],
        &["test", "testing", "qa", "ci"],
        &["staging", "stage"],
        &["canary"],
        &["prod", "production"],
    ];
    let name = environment.to_lowercase();
    ORDER.iter().position(|names| names.contains(&name.as_str())).unwrap_or(3)
}

/// Names of environments in the order of a release.
pub fn in_order(environments: BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = environments.into_iter().collect();
    names.sort_by(|a, b| (rank(a), a).cmp(&(rank(b), b)));
    names
}

fn place(end: End) -> Place {
    let application = if end.application.is_empty() { end.colony_id } else { end.application };
    (end.environment.to_owned(), application.to_owned(), end.service.to_owned())
}

/// Where the nodes are; the same patterns always give the same picture.
struct Layout {
    columns: Vec<String>,
    /// Application, and where its row begins.
    rows: Vec<(String, i32)>,
    /// Top left corner of each node.
    nodes: BTreeMap<Place, (i32, i32)>,
    size: (i32, i32),
}

impl Layout {
    fn of(places: &BTreeSet<Place>) -> Layout {
        let columns = in_order(places.iter().map(|(environment, ..)| environment.clone()).collect());
        let applications: BTreeSet<&String> = places.iter().map(|(_, application, _)| application).collect();
        let (mut nodes, mut rows, mut top) = (BTreeMap::new(), Vec::new(), MARGIN.1);
        for application in applications {
            let mut most = 1;
            for (column, environment) in (0_i32..).zip(&columns) {
                let cell = places.iter().filter(|place| place.0 == *environment && place.1 == *application);
                for (line, place) in (0_i32..).zip(cell) {
                    let left = MARGIN.0 + column * (NODE.0 + GAP.0);
                    nodes.insert(place.clone(), (left, top + line * (NODE.1 + GAP.1)));
                    most = most.max(line + 1);
                }
            }
            rows.push((application.clone(), top));
            top += most * (NODE.1 + GAP.1) + ROW_GAP;
        }
        let count = i32::try_from(columns.len()).unwrap_or(1).max(1);
        // room for loops beside the last column
        let width = MARGIN.0 + count * NODE.0 + (count - 1) * GAP.0 + GAP.0 / 2 + 40;
        Layout { columns, rows, nodes, size: (width, top) }
    }
}

/// The best pattern of two places, and how many more there are.
struct Edge<'a> {
    line: &'a PatternLine,
    more: usize,
}

/// The picture; words where it would show nothing.
pub fn drawn(lines: &[PatternLine]) -> Markup {
    let places: BTreeSet<Place> =
        lines.iter().flat_map(|line| [place(End::source(line)), place(End::target(line))]).collect();
    if places.len() > NODES_MAX {
        return html! {
            p.note { "These patterns join more services than a picture can show: choose an application or an environment." }
        };
    }
    let mut edges: BTreeMap<(Place, Place), Edge> = BTreeMap::new();
    for line in lines {
        let ends = (place(End::source(line)), place(End::target(line)));
        edges.entry(ends).and_modify(|edge| edge.more += 1).or_insert(Edge { line, more: 0 });
    }
    let layout = Layout::of(&places);
    let (width, height) = layout.size;
    html! {
        div.wide tabindex="0" role="group" aria-label="Graph of patterns: environments from left to right, applications from top to bottom" {
            svg.graph viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) {
                defs {
                    marker #arrow viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto" {
                        path.head d="M0 0 L8 4 L0 8 z" {}
                    }
                }
                @for (column, environment) in (0_i32..).zip(&layout.columns) {
                    text.column x=(MARGIN.0 + column * (NODE.0 + GAP.0)) y="20" {
                        (if environment.is_empty() { "no environment".to_owned() } else { shortened(environment, NAME_MAX) })
                    }
                }
                @for (application, top) in &layout.rows {
                    text.row x="0" y=(top + 17) { (shortened(application, 15)) title { (printable(application)) } }
                }
                @for (number, ((from, to), edge)) in (0_i32..).zip(&edges) {
                    @if let (Some(from), Some(to)) = (layout.nodes.get(from), layout.nodes.get(to)) {
                        (drawn_edge(edge, *from, *to, number))
                    }
                }
                @for ((_, _, service), (x, y)) in &layout.nodes { (drawn_node(service, (*x, *y))) }
            }
        }
    }
}

fn drawn_node(service: &str, (x, y): (i32, i32)) -> Markup {
    let shown = if service == ANY_SERVICE { "any service".to_owned() } else { shortened(service, NAME_MAX) };
    html! {
        g.node {
            rect x=(x) y=(y) width=(NODE.0) height=(NODE.1) rx="5" {}
            text x=(x + 10) y=(y + 17) { (shown) }
            title { (printable(service)) }
        }
    }
}

/// A curve from the right side of one node to the near side of another.
fn drawn_edge(edge: &Edge, from: (i32, i32), to: (i32, i32), number: i32) -> Markup {
    let line = edge.line;
    let middle = |(x, y): (i32, i32), is_right: bool| (if is_right { x + NODE.0 } else { x }, y + NODE.1 / 2);
    let (is_forward, is_same) = (to.0 > from.0, to.0 == from.0);
    let (start, end) = (middle(from, is_forward || is_same), middle(to, !is_forward));
    let (path, (x, y)) = if is_same {
        let bow = 46 + number % 4 * 12;
        let path = format!(
            "M{} {} C{} {} {} {} {} {}",
            start.0,
            start.1,
            start.0 + bow,
            start.1,
            end.0 + bow,
            end.1,
            end.0,
            end.1
        );
        (path, (start.0 + bow * 3 / 4, (start.1 + end.1) / 2))
    } else {
        let bend = (end.0 - start.0) / 2;
        let path = format!(
            "M{} {} C{} {} {} {} {} {}",
            start.0,
            start.1,
            start.0 + bend,
            start.1,
            end.0 - bend,
            end.1,
            end.0,
            end.1
        );
        // near its source, where edges to the same target are still apart
        let at = (start.0 + (end.0 - start.0) * 2 / 5, start.1 + (end.1 - start.1) * 7 / 20);
        (path, at)
    };
    let width = if line.confidence >= 0.99 {
        "2.5"
    } else if line.confidence >= 0.95 {
        "1.8"
    } else {
        "1.2"
    };
    let lag = shown::span(i64::from(line.lag_seconds) * SECOND_MS);
    let confidence = match line.confidence {
        value if value > 0.995 => "> 99 %".to_owned(),
        value => format!("{:.0} %", value * 100.0),
    };
    let label = format!("{lag} · {confidence}");
    let more = if edge.more > 0 { format!(" (and {} more between these two)", edge.more) } else { String::new() };
    let said = format!("{}: {label}{more}", printable(&line.pattern_description));
    html! {
        a.edge.(line.state) href=(shown::pattern_address(&line.correlation_id)) aria-label=(said)
            data-lag=(line.lag_seconds) data-confidence=(line.confidence) data-more=(edge.more) {
            title { (said) }
            path.reach d=(path) {}
            path.line d=(path) stroke-width=(width) marker-end="url(#arrow)" {}
            text x=(x) y=(y - 4) text-anchor="middle" { (label) @if edge.more > 0 { " +" (edge.more) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_are_in_the_order_of_a_release() {
        let names: BTreeSet<String> = ["production", "dev", "staging", "eu-west", "qa"].map(str::to_owned).into();
        assert_eq!(in_order(names), ["dev", "qa", "staging", "eu-west", "production"]);
    }

    #[test]
    fn nodes_do_not_lie_on_one_another() {
        let mut places = BTreeSet::new();
        for environment in ["staging", "production", ""] {
            for application in ["shop", "pay"] {
                for service in ["a", "b", "c"] {
                    places.insert((environment.to_owned(), application.to_owned(), service.to_owned()));
                }
            }
        }
        let layout = Layout::of(&places);
        let corners: BTreeSet<(i32, i32)> = layout.nodes.values().copied().collect();
        assert_eq!((corners.len(), layout.nodes.len()), (18, 18));
        for (x, y) in corners {
            assert!(x + NODE.0 <= layout.size.0 && y + NODE.1 <= layout.size.1);
        }
    }
}
