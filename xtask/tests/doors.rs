//! The doors of the house: which crate may import which. A new arrow belongs here and in the design first.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

const DOORS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("chassis", &["wire"]),
    ("queues", &["wire", "chassis"]),
    ("handlers", &["wire", "chassis"]),
    ("messages", &["wire", "chassis", "queues", "handlers"]),
    ("supervise", &["wire", "chassis", "handlers"]),
    ("signals", &["wire", "chassis"]),
    ("calls", &["wire", "chassis", "handlers"]),
    // The runtime for handlers in Rust: it knows the wire by its documents alone, as those of other languages do.
    ("handler", &[]),
];

#[test]
fn crates_import_only_through_their_doors() {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("cargo knows its workspace");
    let short = |name: &str| name.strip_prefix("outrigger-").map(str::to_owned);
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata.workspace_packages() {
        let Some(name) = short(&package.name) else { continue };
        let normal = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal);
        found.insert(name, normal.filter_map(|dependency| short(&dependency.name)).collect());
    }
    let allowed: BTreeMap<_, BTreeSet<String>> = DOORS
        .iter()
        .map(|(name, doors)| {
            (
                (*name).to_owned(),
                doors.iter().map(|door| (*door).to_owned()).collect(),
            )
        })
        .collect();
    for (name, doors) in &allowed {
        let uses = found.get(name).unwrap_or_else(|| panic!("crate `{name}` is gone"));
        let forbidden: Vec<_> = uses.difference(doors).collect();
        assert!(
            forbidden.is_empty(),
            "crate `{name}` imports {forbidden:?}, and has doors to {doors:?} only"
        );
    }
    let unknown: Vec<_> = found
        .keys()
        .filter(|name| !allowed.contains_key(*name) && *name != "benches")
        .collect();
    assert!(unknown.is_empty(), "crates without doors: {unknown:?}");
}
