use super::*;

/// Trap 26.
#[test]
fn users_mistakes_are_never_internal() {
    for (kind, expected) in [
        (PlannerKind::InvalidSql, Code::InvalidArgument),
        (PlannerKind::SchemaMismatch, Code::InvalidArgument),
        (PlannerKind::NotFound, Code::NotFound),
        (PlannerKind::Conflict, Code::Aborted),
        (PlannerKind::Unavailable, Code::Unavailable),
        (PlannerKind::Corrupt, Code::DataLoss),
    ] {
        assert_eq!(code(ErrorKind::Planner(kind)), expected);
    }
}

#[test]
fn a_fault_of_our_own_does_not_leak() {
    let error = Error::internal("secret path /var/lib").with_source(std::io::Error::other("disk 7"));
    let status = status(&error);
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("secret") && !status.message().contains("disk 7"));
    assert!(status.message().contains("reference"));
}

#[test]
fn causes_are_said_once() {
    let planner = jetway_planner::Error::new(PlannerKind::Internal, "cannot read the slice")
        .with_source(std::io::Error::other("disk 7"));
    assert_eq!(chain(&Error::from(planner)), "cannot read the slice: disk 7");
}

/// Trap 26.
#[test]
fn long_messages_are_cut_by_their_encoded_size() {
    assert_eq!(shorten("all of it", 100), "all of it");
    for text in ["x".repeat(10_000), "%".repeat(10_000), "日本".repeat(10_000)] {
        let short = shorten(&text, MAX_MESSAGE);
        let encoded: usize = short
            .bytes()
            .map(|b| if (b' '..=b'~').contains(&b) && b != b'%' { 1 } else { 3 })
            .sum();
        assert!(encoded <= MAX_MESSAGE && encoded > MAX_MESSAGE - 30, "{encoded}");
        assert!(short.ends_with("(shortened)"));
    }
}
