//! In which order datasets can be created.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::identity::{AccountName, DatasetAlias, DatasetRef};
use crate::manifest::DatasetSnapshot;

/// The positions of the snapshots such that each comes after those that it is computed from, and otherwise in the order
/// given. Inputs that are not among the snapshots do not matter. An alias without an account is one of `account`.
///
/// # Errors
/// `Malformed` if two snapshots have the same name, or if datasets are computed from each other in a circle, which the
/// message names; `InvalidIdentity` if an input is neither an alias nor a DID.
pub fn dependency_order(snapshots: &[&DatasetSnapshot], account: Option<&AccountName>) -> Result<Vec<usize>> {
    let full_name = |alias: &DatasetAlias| {
        DatasetAlias::new(alias.account.clone().or_else(|| account.cloned()), alias.name.clone())
    };
    let mut positions = HashMap::new();
    for (position, snapshot) in snapshots.iter().enumerate() {
        if positions.insert(full_name(&snapshot.name), position).is_some() {
            let error = Error::malformed("two snapshots have the same name; rename or remove one");
            return Err(error.with_context("dataset", &snapshot.name));
        }
    }
    let mut inputs = Vec::with_capacity(snapshots.len());
    for snapshot in snapshots {
        let mut positions_of_inputs = Vec::new();
        for input in snapshot.input_refs() {
            let parsed = input
                .parse()
                .map_err(|error: Error| error.with_context("dataset", &snapshot.name))?;
            if let DatasetRef::Alias(alias) = parsed {
                positions_of_inputs.extend(positions.get(&full_name(&alias)).copied());
            }
        }
        inputs.push(positions_of_inputs);
    }
    sort(&inputs).map_err(|circle| {
        let names: Vec<String> = circle
            .iter()
            .filter_map(|position| snapshots.get(*position))
            .map(|snapshot| snapshot.name.to_string())
            .collect();
        Error::malformed(format!(
            "datasets cannot be computed from each other in a circle: {} (each is an input of the one before it)",
            names.join(" <- ")
        ))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    Open,
    Done,
}

/// Puts every position after its inputs, or gives a circle, whose first and last positions are the same.
fn sort(inputs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut visits = vec![Visit::New; inputs.len()];
    let mut order = Vec::with_capacity(inputs.len());
    for start in 0..inputs.len() {
        // The way from `start`, with how many inputs of each were looked at. Not by recursion: chains may be long.
        let mut way = vec![(start, 0)];
        while let Some((position, seen)) = way.last_mut() {
            let position = *position;
            let Some(visit) = visits.get_mut(position).filter(|visit| **visit != Visit::Done) else {
                way.pop();
                continue;
            };
            *visit = Visit::Open;
            let next = inputs.get(position).and_then(|inputs| inputs.get(*seen)).copied();
            *seen += 1;
            match next {
                None => {
                    *visit = Visit::Done;
                    order.push(position);
                    way.pop();
                }
                Some(input) if visits.get(input) == Some(&Visit::Open) => {
                    let way = way.iter().map(|(position, _)| *position);
                    let circle = way.skip_while(|position| *position != input);
                    return Err(circle.chain([input]).collect());
                }
                Some(input) => way.push((input, 0)),
            }
        }
    }
    Ok(order)
}
