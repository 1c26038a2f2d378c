//! What may have been meant by a misspelt name.

/// The one of the names that is nearest, if it is near: about a third of the letters may be wrong. The first of those that are
/// equally near.
pub(crate) fn nearest<T: AsRef<str>>(wanted: &str, names: impl IntoIterator<Item = T>) -> Option<T> {
    let wanted = wanted.to_lowercase();
    let mut best: Option<(usize, T)> = None;
    for name in names {
        let found = name.as_ref().to_lowercase();
        let distance = distance(&wanted, &found);
        let allowed = (wanted.chars().count().max(found.chars().count()) / 3).max(1);
        if distance <= allowed && best.as_ref().is_none_or(|(shortest, _)| distance < *shortest) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// How many letters have to be added, removed, changed or swapped with their neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (row, x) in a.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, y) in b.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let changed = at(&last, column) + usize::from(x != y);
            let mut least = changed.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let is_swap = row > 0 && column > 0 && a.get(row - 1) == Some(y) && b.get(column - 1) == Some(x);
            if is_swap {
                least = least.min(at(&before_last, column - 1) + 1);
            }
            current.push(least);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn what_is_near_is_found_and_nothing_else() {
        let names = ["count", "cot", "upper", "generate_series"];
        let cases = [
            ("coutn", Some("count")),
            ("UPER", Some("upper")),
            ("generate_serie", Some("generate_series")),
            ("zzzzzzzz", None),
            ("x", None),
        ];
        for (wanted, expected) in cases {
            assert_eq!(nearest(wanted, names), expected, "{wanted}");
        }
        for (a, b, expected) in [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
