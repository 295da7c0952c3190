//! A plan as conditions and a score of SQL.

use std::collections::BTreeSet;
use std::fmt::Write;

use sqlx::{Postgres, QueryBuilder};

use super::table::{LOST, Table, quoted};
use crate::query::{Leaf, Node, Plan};
use crate::schema::Schema;

/// How many rows are counted to learn how rare a term is.
pub(super) const COUNTED: i64 = 20_000;

/// A look-up in a column, and what it adds to the score.
pub(super) struct Part {
    pub(super) column: String,
    pub(super) query: String,
    /// How much it counts, rarity apart.
    pub(super) boost: f32,
    /// Whether it counts by how rare and how frequent it is; a beginning counts the same everywhere.
    pub(super) weighed: bool,
}

/// Drops what looks for typos, which a `tsvector` cannot; tells whether there was any.
pub(super) fn without_typos(nodes: &[Node], any: &mut bool) -> Vec<Node> {
    let keep = |node: &Node| match node {
        Node::Leaf { leaf: Leaf::Typo(..), .. } => {
            *any = true;
            None
        }
        Node::Leaf { .. } => Some(node.clone()),
        Node::Any(nodes) => Some(Node::Any(without_typos(nodes, any))),
        Node::All(nodes) => Some(Node::All(without_typos(nodes, any))),
    };
    nodes.iter().filter_map(keep).collect()
}

pub(super) struct Lookup<'a> {
    pub(super) schema: &'a Schema,
    pub(super) table: &'a Table,
}

impl Lookup<'_> {
    fn leaf(&self, leaf: &Leaf, field: Option<usize>) -> Option<(String, String)> {
        Some(match leaf {
            Leaf::Term(text) => (self.table.terms(field), quoted(text)),
            Leaf::Phrase(terms) => {
                let mut query = String::new();
                let mut before = 0;
                for (place, (offset, text)) in terms.iter().enumerate() {
                    if place > 0 {
                        let _ = write!(query, " <{}> ", offset.saturating_sub(before));
                    }
                    query.push_str(&quoted(text));
                    before = *offset;
                }
                // where positions are lost, a document counts as having a phrase whose words it has
                let words: Vec<String> = terms.iter().map(|(_, text)| quoted(text)).collect();
                let query = format!("({query}) | ({} & {})", words.join(" & "), quoted(LOST));
                (self.table.terms(field), query)
            }
            Leaf::Prefix(key) => (format!("p{}", field?), format!("{}:*", quoted(key))),
            Leaf::Typo(..) => return None,
        })
    }

    /// A node as one query of one column, where it is of one.
    fn one(&self, node: &Node) -> Option<(String, String)> {
        match node {
            Node::Leaf { leaf, field, .. } => self.leaf(leaf, *field),
            Node::Any(nodes) | Node::All(nodes) => {
                let parts: Vec<_> = nodes.iter().map(|node| self.one(node)).collect::<Option<_>>()?;
                let columns: BTreeSet<&String> = parts.iter().map(|(column, _)| column).collect();
                let (1, Some(column)) = (columns.len(), columns.first()) else { return None };
                let sign = if matches!(node, Node::Any(_)) { " | " } else { " & " };
                let queries: Vec<String> = parts.iter().map(|(_, query)| format!("({query})")).collect();
                Some(((*column).clone(), queries.join(sign)))
            }
        }
    }

    fn push_node(&self, builder: &mut QueryBuilder<Postgres>, node: &Node) {
        if let Some((column, query)) = self.one(node) {
            builder.push(format!("d.{column} @@ ")).push_bind(query).push("::tsquery");
            return;
        }
        match node {
            Node::Leaf { .. } => {
                builder.push("FALSE");
            }
            Node::Any(nodes) => self.push_joined(builder, nodes, " OR ", "FALSE"),
            Node::All(nodes) => self.push_joined(builder, nodes, " AND ", "TRUE"),
        }
    }

    fn push_joined(&self, builder: &mut QueryBuilder<Postgres>, nodes: &[Node], sign: &str, neutral: &str) {
        builder.push("(");
        for (place, node) in nodes.iter().enumerate() {
            if place > 0 {
                builder.push(sign);
            }
            self.push_node(builder, node);
        }
        builder.push(if nodes.is_empty() { neutral } else { "" }).push(")");
    }

    /// Appends conditions that hold of the rows that the plan finds, each behind an `AND`.
    pub(super) fn push_where(&self, builder: &mut QueryBuilder<Postgres>, plan: &Plan) {
        for node in &plan.must {
            builder.push(" AND ");
            self.push_node(builder, node);
        }
        if plan.must.is_empty() && !plan.should.is_empty() {
            builder.push(" AND ");
            self.push_node(builder, &Node::Any(plan.should.clone()));
        }
        for node in &plan.must_not {
            // a row without the column's terms does not have these
            builder.push(" AND NOT COALESCE(");
            self.push_node(builder, node);
            builder.push(", FALSE)");
        }
    }

    /// What counts towards the score.
    pub(super) fn parts(&self, plan: &Plan) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut open: Vec<(&Node, f32)> =
            plan.must.iter().chain(&plan.should).map(|node| (node, 1.0)).collect();
        while let Some((node, boost)) = open.pop() {
            match node {
                Node::Any(nodes) | Node::All(nodes) => open.extend(nodes.iter().map(|node| (node, boost))),
                Node::Leaf { leaf, field, boost: own } => {
                    let weighed = !matches!(leaf, Leaf::Prefix(_));
                    let mut add = |field: Option<usize>, boost: f32| {
                        if let Some((column, query)) = self.leaf(leaf, field) {
                            parts.push(Part { column, query, boost, weighed });
                        }
                    };
                    add(*field, boost * own);
                    if field.is_none() && weighed {
                        for (index, text) in self.schema.apart().filter(|(_, text)| text.boost() > 1.0) {
                            add(Some(index), boost * own * (text.boost() - 1.0));
                        }
                    }
                }
            }
        }
        parts
    }
}
