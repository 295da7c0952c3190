//! Drawing a definition, and a saga that follows it.

use std::fmt::Write;

use super::{Plan, UnitKind};

/// How a unit of a live saga is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Look {
    /// Nothing has happened yet.
    Ahead,
    /// It is under way, or waits.
    Active,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// It was undone.
    Undone,
    /// A person has to decide.
    Stuck,
}

impl Look {
    const ALL: [Self; 6] = [Self::Ahead, Self::Active, Self::Done, Self::Failed, Self::Undone, Self::Stuck];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Active => "active",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Undone => "undone",
            Self::Stuck => "stuck",
        }
    }

    const fn fill(self) -> &'static str {
        match self {
            Self::Ahead => "#ffffff",
            Self::Active => "#cfe8ff",
            Self::Done => "#c9f2d0",
            Self::Failed => "#ffd6d6",
            Self::Undone => "#e4e4e4",
            Self::Stuck => "#ffc2a8",
        }
    }
}

/// How a unit of a saga is drawn, and what undoes it; where there is nothing to say, as on a definition.
#[derive(Clone, Copy, Default)]
pub(crate) struct Looks {
    pub(crate) unit: Option<Look>,
    pub(crate) undo: Option<Look>,
}

pub(super) fn fill_of(look: Option<Look>) -> &'static str {
    look.map_or("#ffffff", Look::fill)
}

/// The words of a drawing that are no names.
const START: &str = "start";
const END: &str = "end";
const UNDONE_BY: &str = "undone by";
const LATE: &str = "late";

/// What a name in a drawing reads as; `None` if it stays as it is.
pub(crate) type Titles<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Names as they are.
pub(crate) const AS_NAMED: Titles<'static> = &|_| None;

/// The title of a name.
pub(super) fn titled(titles: Titles<'_>, name: &str) -> String {
    titles(name).unwrap_or_else(|| name.to_owned())
}

/// Quotes and line ends would end a label.
fn label(name: &str) -> String {
    name.replace(['"', '\\', '\n', '\r', '[', ']', '{', '}', '(', ')', '<', '>', '|', '`'], "_")
}

impl Plan {
    /// Draws the plan as a Mermaid flow chart: steps as boxes, waits as rounded ones, the pivot with a thick frame; what undoes a
    /// step hangs on it by a dotted line.
    pub fn mermaid(&self) -> String {
        self.draw_mermaid(|_| Looks::default(), AS_NAMED)
    }

    /// Draws the plan in Graphviz's DOT.
    pub fn dot(&self) -> String {
        self.draw_dot(|_| Looks::default(), AS_NAMED)
    }

    pub(crate) fn draw_mermaid(&self, looks: impl Fn(usize) -> Looks, titles: Titles<'_>) -> String {
        let label = |name: &str| label(&titled(titles, name));
        let mut out = String::from("flowchart TD\n");
        let mut line = |text: std::fmt::Arguments<'_>| {
            let _ = writeln!(out, "    {text}");
        };
        line(format_args!("start(({}))", label(START)));
        for (unit, plan) in self.units.iter().enumerate() {
            let name = label(&plan.name);
            match plan.kind {
                UnitKind::Wait => line(format_args!("u{unit}([\"{name}\"])")),
                UnitKind::Child => line(format_args!("u{unit}[[\"{name}\"]]")),
                _ if self.pivot == Some(unit) => line(format_args!("u{unit}{{{{\"{name}\"}}}}")),
                _ => line(format_args!("u{unit}[\"{name}\"]")),
            }
            if let Some(undo) = &plan.undo {
                line(format_args!("c{unit}[\"{}\"]", label(&undo.name)));
                line(format_args!("u{unit} -. {} .-> c{unit}", label(UNDONE_BY)));
            }
            if let Some(late) = &plan.late {
                line(format_args!("l{unit}[\"{}\"]", label(&late.name)));
                line(format_args!("u{unit} -. {} .-> l{unit}", label(LATE)));
            }
        }
        line(format_args!("finish(({}))", label(END)));
        for (from, to) in self.edges() {
            line(format_args!("{from} --> {to}"));
        }
        for kind in Look::ALL {
            let nodes = (0..self.units.len()).flat_map(|unit| {
                let Looks { unit: own, undo } = looks(unit);
                [(own, format!("u{unit}")), (undo, format!("c{unit}"))]
            });
            let names: Vec<_> = nodes.filter(|(look, _)| *look == Some(kind)).map(|(_, name)| name).collect();
            if !names.is_empty() {
                line(format_args!("classDef {} fill:{}", kind.as_str(), kind.fill()));
                line(format_args!("class {} {}", names.join(","), kind.as_str()));
            }
        }
        out
    }

    pub(crate) fn draw_dot(&self, looks: impl Fn(usize) -> Looks, titles: Titles<'_>) -> String {
        let label = |name: &str| label(&titled(titles, name));
        let mut out = format!("digraph \"{}\" {{\n", label(&self.saga));
        let mut line = |text: std::fmt::Arguments<'_>| {
            let _ = writeln!(out, "    {text}");
        };
        line(format_args!("node [shape=box, style=filled, fillcolor=\"#ffffff\"];"));
        line(format_args!("start [shape=circle, label=\"{}\"];", label(START)));
        line(format_args!("finish [shape=circle, label=\"{}\"];", label(END)));
        for (unit, plan) in self.units.iter().enumerate() {
            let shape = match plan.kind {
                UnitKind::Wait => "ellipse",
                UnitKind::Child => "box3d",
                _ if self.pivot == Some(unit) => "hexagon",
                _ => "box",
            };
            let Looks { unit: look, undo: undo_look } = looks(unit);
            let fill = fill_of(look);
            let name = label(&plan.name);
            line(format_args!("u{unit} [label=\"{name}\", shape={shape}, fillcolor=\"{fill}\"];"));
            if let Some(undo) = &plan.undo {
                let fill = fill_of(undo_look);
                line(format_args!("c{unit} [label=\"{}\", fillcolor=\"{fill}\"];", label(&undo.name)));
                line(format_args!("u{unit} -> c{unit} [style=dotted, label=\"{}\"];", label(UNDONE_BY)));
            }
            if let Some(late) = &plan.late {
                line(format_args!("l{unit} [label=\"{}\"];", label(&late.name)));
                line(format_args!("u{unit} -> l{unit} [style=dotted, label=\"{}\"];", label(LATE)));
            }
        }
        for (from, to) in self.edges() {
            line(format_args!("{from} -> {to};"));
        }
        out.push_str("}\n");
        out
    }

    /// Every unit of a stage with every one of the next, and the ends.
    fn edges(&self) -> Vec<(String, String)> {
        let mut edges = Vec::new();
        let mut before = vec!["start".to_owned()];
        for stage in &self.stages {
            let units: Vec<_> = stage.clone().map(|unit| format!("u{unit}")).collect();
            for from in &before {
                edges.extend(units.iter().map(|to| (from.clone(), to.clone())));
            }
            before = units;
        }
        edges.extend(before.into_iter().map(|from| (from, "finish".to_owned())));
        edges
    }
}
