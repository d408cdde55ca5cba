//! GraphML, for networkx, Gephi and other programs for graphs.

use std::io::Write;

use super::{Columns, Edge, NUMBERS, Node, Nodes, Relations, described, edges, name};
use crate::graph::Error;
use crate::graph::view::View;

/// Writes GraphML: nodes with label and types, edges with their relation and numbers.
pub(in crate::graph::export) fn graphml(
    view: &View<'_>,
    columns: Columns,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut named = Nodes::default();
    edges(view, &mut |Edge { subject, object, .. }| named.add(&subject, &object))?;
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">")?;
    let key = |of: &str, name: &str, kind: &str| {
        format!("  <key id=\"{name}\" for=\"{of}\" attr.name=\"{name}\" attr.type=\"{kind}\"/>")
    };
    let of_nodes = [("label", columns.labels), ("aliases", columns.aliases), ("types", true)];
    let of_edges = [("relation", true), ("relation_label", columns.labels)];
    for (of, names) in [("node", &of_nodes[..]), ("edge", &of_edges)] {
        for (name, _) in names.iter().filter(|(_, is_there)| *is_there) {
            writeln!(out, "{}", key(of, name, "string"))?;
        }
    }
    for (name, _) in NUMBERS {
        writeln!(out, "{}", key("edge", name, "double"))?;
    }
    writeln!(out, "  <graph edgedefault=\"directed\">")?;
    let data = |is_there: bool, name: &str, value: &str| {
        if is_there { format!("<data key=\"{name}\">{}</data>", xml(value)) } else { String::new() }
    };
    named.each(|name, own| {
        let Node { label, aliases, types } = described(view, own)?;
        write!(out, "    <node id=\"{}\">{}", xml(name), data(columns.labels, "label", &label))?;
        write!(out, "{}", data(columns.aliases, "aliases", &aliases.join("|")))?;
        Ok(writeln!(out, "{}</node>", data(true, "types", &types.join("|")))?)
    })?;
    let mut relations = Relations::default();
    edges(view, &mut |Edge { subject, relation, object, numbers }| {
        let (source, target) = (xml(subject.as_str()), xml(&name(&object)));
        write!(out, "    <edge source=\"{source}\" target=\"{target}\">")?;
        let label = relations.label(view, &relation)?;
        write!(out, "{}", data(true, "relation", relation.as_str()))?;
        write!(out, "{}", data(columns.labels, "relation_label", label))?;
        for ((name, _), number) in NUMBERS.iter().zip(&numbers) {
            if let Some(number) = number {
                write!(out, "{}", data(true, name, number))?;
            }
        }
        Ok(writeln!(out, "</edge>")?)
    })?;
    writeln!(out, "  </graph>\n</graphml>")?;
    Ok(())
}

/// A text as XML 1.0 can hold it; characters that it cannot become U+FFFD.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // As they are, a reader would make spaces or nothing of them.
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
