//! Which room may depend on which, and which room alone may name which library.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Every room with the rooms that it may use.
const ARROWS: [(&str, &[&str]); 8] = [
    ("jetway-odf", &[]),
    ("jetway-sources", &["jetway-odf"]),
    ("jetway-planner", &["jetway-sources", "jetway-odf"]),
    ("jetway-flight", &["jetway-planner", "jetway-odf"]),
    ("jetway-control", &["jetway-planner", "jetway-odf"]),
    (
        "jetway-server",
        &[
            "jetway-odf",
            "jetway-sources",
            "jetway-planner",
            "jetway-flight",
            "jetway-control",
        ],
    ),
    (
        "jetway-benches",
        &["jetway-odf", "jetway-planner", "jetway-flight", "jetway-server"],
    ),
    ("xtask", &[]),
];

/// Libraries, by the start of their name, with the rooms that may name them. Benches may name what they measure against,
/// and the command line is a client of Arrow Flight.
const OWNERS: [(&str, &[&str]); 13] = [
    ("flatbuffers", &["jetway-odf"]),
    ("datafusion", &["jetway-planner", "jetway-benches"]),
    ("deltalake", &[]),
    ("arrow-flight", &["jetway-flight", "jetway-server", "jetway-benches"]),
    ("tonic", &["jetway-flight", "jetway-server", "jetway-benches"]),
    ("sqlx", &["jetway-control"]),
    ("async-graphql", &["jetway-control"]),
    ("axum", &["jetway-control"]),
    ("kube", &[]),
    ("k8s-openapi", &[]),
    ("alloy", &[]),
    ("ethers", &[]),
    ("criterion", &["jetway-benches"]),
];

/// The rooms of the workspace.
fn rooms() -> Vec<Package> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap();
    let members: BTreeSet<_> = metadata.workspace_members.iter().cloned().collect();
    metadata
        .packages
        .into_iter()
        .filter(|package| members.contains(&package.id))
        .collect()
}

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let rooms = rooms();
    let names: BTreeSet<String> = rooms.iter().map(|room| room.name.to_string()).collect();
    for room in &rooms {
        let allowed = allowed
            .get(room.name.as_str())
            .unwrap_or_else(|| panic!("{} has no line in ARROWS", room.name));
        for dependency in room
            .dependencies
            .iter()
            .filter(|dependency| names.contains(&dependency.name))
        {
            assert!(
                allowed.contains(&dependency.name.as_str()),
                "{} must not use {}",
                room.name,
                dependency.name
            );
        }
    }
}

#[test]
fn a_library_is_named_by_its_own_room_alone() {
    for room in rooms() {
        for dependency in room
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Build)
        {
            for (library, owners) in OWNERS {
                let is_it = dependency.name == library || dependency.name.starts_with(&format!("{library}-"));
                assert!(
                    !is_it || owners.contains(&room.name.as_str()),
                    "{} must not name {}: only {owners:?} may",
                    room.name,
                    dependency.name
                );
            }
        }
    }
}
