//! Makes a tree of a trace's spans.
//!
//! Pure. Whatever the spans say of their parents, each stands in the tree once: one whose parent is not there is a root,
//! and a cycle is cut at its earliest span. Nothing here calls itself, so that a trace may be as deep as it likes.

use std::{cmp::Ordering, collections::HashMap};

use super::Span;

/// The spans of a trace, and how they hang together; places are those in `nodes`.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    /// By their start.
    pub(crate) roots: Vec<usize>,
}

/// A span in its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    /// By their start.
    pub(crate) children: Vec<usize>,
    /// A cycle was cut here.
    pub(crate) is_cut: bool,
}

impl Tree {
    /// Hangs spans together. Of those with the same id the first counts.
    pub(crate) fn new(spans: Vec<Span>) -> Self {
        let mut by_id = HashMap::with_capacity(spans.len());
        let mut nodes: Vec<Node> = Vec::with_capacity(spans.len());
        for span in spans {
            by_id.entry(span.id.clone()).or_insert_with(|| {
                nodes.push(Node {
                    span,
                    children: Vec::new(),
                    is_cut: false,
                });
                nodes.len() - 1
            });
        }
        let mut parents: Vec<Option<usize>> = nodes
            .iter()
            .map(|node| by_id.get(node.span.parent.as_ref()?).copied())
            .collect();
        let mut by_start: Vec<usize> = (0..nodes.len()).collect();
        by_start.sort_by(|one, other| earlier(&nodes, *one, *other));
        for cut in cuts(&nodes, &parents) {
            parents[cut] = None;
            nodes[cut].is_cut = true;
        }
        let mut roots = Vec::new();
        for index in by_start {
            match parents[index] {
                Some(parent) => nodes[parent].children.push(index),
                None => roots.push(index),
            }
        }
        Self { nodes, roots }
    }
}

/// By start, those that have none last; else in the order in which they came.
fn earlier(nodes: &[Node], one: usize, other: usize) -> Ordering {
    let start = |index: usize| nodes[index].span.start.unwrap_or(f64::INFINITY);
    start(one).total_cmp(&start(other)).then(one.cmp(&other))
}

/// The earliest span of each cycle.
fn cuts(nodes: &[Node], parents: &[Option<usize>]) -> Vec<usize> {
    /// Which walk came by, none yet being 0.
    const NONE: usize = 0;
    let mut seen = vec![NONE; nodes.len()];
    let mut cuts = Vec::new();
    for begin in 0..nodes.len() {
        let walk = begin + 1;
        let mut at = Some(begin);
        while let Some(index) = at.filter(|index| seen[*index] == NONE) {
            seen[index] = walk;
            at = parents[index];
        }
        // It came back to where it had been itself: that is a cycle. Where another walk had been, all is known.
        let Some(met) = at.filter(|index| seen[*index] == walk) else {
            continue;
        };
        let cycle = std::iter::successors(Some(met), |index| parents[*index].filter(|next| *next != met));
        cuts.extend(cycle.min_by(|one, other| earlier(nodes, *one, *other)));
    }
    cuts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::span::testing::span, *};

    /// The tree as a text: `a(b c(d))`, a cut one with `!`.
    fn shape(tree: &Tree) -> String {
        fn node(tree: &Tree, index: usize) -> String {
            let Node { span, children, is_cut } = &tree.nodes[index];
            let mark = if *is_cut { "!" } else { "" };
            let below: Vec<String> = children.iter().map(|child| node(tree, *child)).collect();
            if below.is_empty() {
                format!("{}{mark}", span.id)
            } else {
                format!("{}{mark}({})", span.id, below.join(" "))
            }
        }
        let roots: Vec<String> = tree.roots.iter().map(|root| node(tree, *root)).collect();
        roots.join(" ")
    }

    fn tree(spans: &[(&str, &str, f64)]) -> String {
        let spans = spans.iter().map(|(id, parent, start)| {
            span(
                id,
                (!parent.is_empty()).then_some(*parent),
                start.is_finite().then_some(*start),
            )
        });
        shape(&Tree::new(spans.collect()))
    }

    #[test]
    fn children_stand_by_their_start_and_those_without_one_last() {
        let unknown = f64::NAN;
        let spans = [
            ("u", "r", unknown),
            ("c", "r", 3.0),
            ("b", "r", 2.0),
            ("r", "", 1.0),
            ("d", "b", 2.5),
        ];
        assert_eq!(tree(&spans), "r(b(d) c u)");
    }

    #[test]
    fn a_parent_that_is_not_there_makes_a_root() {
        assert_eq!(tree(&[("b", "gone", 2.0), ("a", "", 1.0), ("c", "b", 3.0)]), "a b(c)");
    }

    #[test]
    fn a_cycle_is_cut_at_its_earliest_span() {
        assert_eq!(
            tree(&[("a", "c", 3.0), ("b", "a", 1.0), ("c", "b", 2.0), ("d", "a", 0.0)]),
            "b!(c(a(d)))"
        );
        assert_eq!(tree(&[("a", "a", 1.0)]), "a!");
        assert_eq!(tree(&[("a", "b", f64::NAN), ("b", "a", f64::NAN)]), "a!(b)");
    }

    #[test]
    fn two_cycles_are_cut_each() {
        assert_eq!(
            tree(&[("a", "b", 1.0), ("b", "a", 2.0), ("c", "d", 4.0), ("d", "c", 3.0)]),
            "a!(b) d!(c)"
        );
    }

    proptest! {
        #[test]
        fn each_span_stands_once_below_its_parent_whatever_they_say(
            spans in proptest::collection::vec((0_u8..20, proptest::option::of(0_u8..24), proptest::option::of(0_u8..9)), 0..40),
        ) {
            let spans: Vec<Span> = spans
                .iter()
                .map(|(id, parent, start)| {
                    span(&id.to_string(), parent.map(|id| id.to_string()).as_deref(), start.map(f64::from))
                })
                .collect();
            let mut ids: Vec<_> = spans.iter().map(|span| span.id.clone()).collect();
            ids.sort();
            ids.dedup();
            let tree = Tree::new(spans);
            prop_assert_eq!(tree.nodes.len(), ids.len());
            let mut stood = vec![0; tree.nodes.len()];
            let mut left: Vec<(usize, Option<usize>)> = tree.roots.iter().map(|root| (*root, None)).collect();
            while let Some((index, above)) = left.pop() {
                stood[index] += 1;
                prop_assert!(stood[index] == 1);
                let node = &tree.nodes[index];
                if let Some(above) = above {
                    prop_assert_eq!(node.span.parent.as_ref(), Some(&tree.nodes[above].span.id));
                } else {
                    // A root has no parent, or one that is not there, or was cut off it.
                    let parent = node.span.parent.as_ref();
                    prop_assert_eq!(node.is_cut, parent.is_some_and(|parent| ids.contains(parent)));
                }
                for pair in node.children.windows(2) {
                    prop_assert!(earlier(&tree.nodes, pair[0], pair[1]) == Ordering::Less);
                }
                left.extend(node.children.iter().map(|child| (*child, Some(index))));
            }
            prop_assert!(stood.iter().all(|times| *times == 1));
        }
    }
}
