//! Names whose meaning comes with the request.

use datafusion::execution::session_state::SessionState;
use jetway_odf::identity::{DatasetAlias, DatasetId};
use std::sync::Arc;

use crate::TableName;

/// What names mean in a statement, whoever reads it and whatever the datasets are called by now.
#[derive(Debug)]
pub(crate) struct FixedNames(Vec<(TableName, DatasetId)>);

impl FixedNames {
    /// Lets names of a session's statement mean these datasets.
    pub(crate) fn set(session: &mut SessionState, names: &[(TableName, DatasetId)]) {
        if !names.is_empty() {
            session.config_mut().set_extension(Arc::new(Self(names.to_vec())));
        }
    }

    /// The same name, or the identity that it stands for in this session. A name without an account means the dataset of that
    /// name in the default account, or the only one of that name.
    pub(crate) fn meaning(session: &SessionState, name: TableName) -> TableName {
        let Some(fixed) = session.config().get_extension::<Self>() else {
            return name;
        };
        let TableName::Alias(wanted) = &name else { return name };
        let default = &session.config_options().catalog.default_schema;
        let of = |is_meant: &dyn Fn(&DatasetAlias) -> bool| -> Vec<DatasetId> {
            let found = fixed
                .0
                .iter()
                .filter(|(name, _)| matches!(name, TableName::Alias(alias) if is_meant(alias)));
            found.map(|(_, id)| *id).collect()
        };
        let exact = of(&|alias| alias == wanted);
        let in_default = of(&|alias| {
            let account = alias.account.as_ref().map(|account| account.as_str());
            alias.name == wanted.name && account.is_some_and(|account| account.eq_ignore_ascii_case(default))
        });
        let by_name = of(&|alias| alias.name == wanted.name);
        let found = match (exact.as_slice(), in_default.as_slice(), by_name.as_slice()) {
            ([id, ..], _, _) => Some(*id),
            (_, [id, ..], _) | (_, _, [id]) if wanted.account.is_none() => Some(*id),
            _ => None,
        };
        found.map_or(name, TableName::Id)
    }
}
