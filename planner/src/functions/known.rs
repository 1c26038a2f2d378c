//! The functions that SQL may call, by name. What is not named here does not exist: functions that a later version of a
//! library adds are looked at before they are let in. Left out are those that tell about files or the program:
//! `input_file_name`, `file_row_index`, `version`.

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionContext;

use super::suggest::nearest;
use crate::Result;

/// What functions are for, in the order of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Numeric,
    Text,
    Regex,
    Hash,
    Time,
    Condition,
    Json,
    Geometry,
    Nested,
    Type,
}

/// Functions that give a value for each row, without their other names.
pub(crate) const SCALAR: [(Section, &[&str]); 10] = [
    (
        Section::Numeric,
        &[
            "abs",
            "acos",
            "acosh",
            "asin",
            "asinh",
            "atan",
            "atan2",
            "atanh",
            "cbrt",
            "ceil",
            "cos",
            "cosh",
            "cot",
            "degrees",
            "exp",
            "factorial",
            "floor",
            "gcd",
            "isnan",
            "iszero",
            "lcm",
            "ln",
            "log",
            "log10",
            "log2",
            "nanvl",
            "pi",
            "power",
            "radians",
            "random",
            "round",
            "signum",
            "sin",
            "sinh",
            "sqrt",
            "tan",
            "tanh",
            "to_hex",
            "trunc",
        ],
    ),
    (
        Section::Text,
        &[
            "ascii",
            "bit_length",
            "btrim",
            "character_length",
            "chr",
            "concat",
            "concat_ws",
            "contains",
            "decode",
            "encode",
            "ends_with",
            "find_in_set",
            "initcap",
            "left",
            "levenshtein",
            "lower",
            "lpad",
            "ltrim",
            "octet_length",
            "overlay",
            "repeat",
            "replace",
            "reverse",
            "right",
            "rpad",
            "rtrim",
            "split_part",
            "starts_with",
            "strpos",
            "substr",
            "substr_index",
            "translate",
            "upper",
            "uuid",
        ],
    ),
    (
        Section::Regex,
        &[
            "regexp_count",
            "regexp_instr",
            "regexp_like",
            "regexp_match",
            "regexp_replace",
        ],
    ),
    (
        Section::Hash,
        &["digest", "md5", "sha224", "sha256", "sha384", "sha3_256", "sha512"],
    ),
    (
        Section::Time,
        &[
            "current_date",
            "current_time",
            "date_bin",
            "date_part",
            "date_trunc",
            "from_unixtime",
            "make_date",
            "make_time",
            "now",
            "to_char",
            "to_date",
            "to_local_time",
            "to_time",
            "to_timestamp",
            "to_timestamp_micros",
            "to_timestamp_millis",
            "to_timestamp_nanos",
            "to_timestamp_seconds",
            "to_unixtime",
        ],
    ),
    (
        Section::Condition,
        &["coalesce", "greatest", "least", "nullif", "nvl", "nvl2"],
    ),
    (
        Section::Json,
        &[
            "json_as_text",
            "json_contains",
            "json_from_scalar",
            "json_get",
            "json_get_array",
            "json_get_bool",
            "json_get_float",
            "json_get_int",
            "json_get_json",
            "json_get_str",
            "json_length",
            "json_object_keys",
            "json_union_to_text",
        ],
    ),
    (
        Section::Geometry,
        &[
            "geometrytype",
            "st_3dmakebox",
            "st_area",
            "st_asbinary",
            "st_astext",
            "st_box2dfromgeohash",
            "st_centroid",
            "st_contains",
            "st_convexhull",
            "st_coorddim",
            "st_coveredby",
            "st_covers",
            "st_crosses",
            "st_disjoint",
            "st_distance",
            "st_endpoint",
            "st_equals",
            "st_geohash",
            "st_geometrytype",
            "st_geomfromtext",
            "st_geomfromwkb",
            "st_intersects",
            "st_isclosed",
            "st_isempty",
            "st_isvalid",
            "st_isvalidreason",
            "st_length",
            "st_m",
            "st_makebox2d",
            "st_makepoint",
            "st_makepointm",
            "st_ndims",
            "st_npoints",
            "st_numinteriorrings",
            "st_orientedenvelope",
            "st_overlaps",
            "st_point",
            "st_pointfromgeohash",
            "st_pointm",
            "st_pointonsurface",
            "st_pointz",
            "st_pointzm",
            "st_simplify",
            "st_simplifypreservetopology",
            "st_simplifyvw",
            "st_startpoint",
            "st_touches",
            "st_within",
            "st_x",
            "st_xmax",
            "st_xmin",
            "st_y",
            "st_ymax",
            "st_ymin",
            "st_z",
            "st_zmax",
            "st_zmin",
        ],
    ),
    (
        Section::Nested,
        &[
            "array_add",
            "array_any_value",
            "array_append",
            "array_avg",
            "array_compact",
            "array_concat",
            "array_dims",
            "array_distance",
            "array_distinct",
            "array_element",
            "array_except",
            "array_has",
            "array_has_all",
            "array_has_any",
            "array_intersect",
            "array_length",
            "array_max",
            "array_min",
            "array_ndims",
            "array_normalize",
            "array_pop_back",
            "array_pop_front",
            "array_position",
            "array_positions",
            "array_prepend",
            "array_product",
            "array_remove",
            "array_remove_all",
            "array_remove_n",
            "array_repeat",
            "array_replace",
            "array_replace_all",
            "array_replace_n",
            "array_resize",
            "array_reverse",
            "array_scale",
            "array_slice",
            "array_sort",
            "array_subtract",
            "array_sum",
            "array_to_string",
            "array_union",
            "arrays_zip",
            "cardinality",
            "cosine_distance",
            "empty",
            "flatten",
            "generate_series",
            "get_field",
            "inner_product",
            "make_array",
            "map",
            "map_entries",
            "map_extract",
            "map_keys",
            "map_values",
            "named_struct",
            "range",
            "string_to_array",
            "struct",
            "union_extract",
            "union_tag",
        ],
    ),
    (
        Section::Type,
        &[
            "arrow_cast",
            "arrow_field",
            "arrow_metadata",
            "arrow_try_cast",
            "arrow_typeof",
            "cast_to_type",
            "try_cast_to_type",
            "with_metadata",
        ],
    ),
];

/// Functions that take a function: none, since the dialect has no way to write one.
pub(crate) const HIGHER_ORDER: &[&str] = &[];

/// Functions that give a value for many rows.
pub(crate) const AGGREGATE: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

/// Functions that give a value for each row by those around it.
pub(crate) const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// Functions that give a table.
pub(crate) const TABLE: &[&str] = &["at", "generate_series", "range", "to_table"];

impl Section {
    /// The section of a function, by its first name; none if it is not to be called.
    pub(crate) fn of(function: &str) -> Option<Self> {
        let section = SCALAR.iter().find(|(_, names)| names.contains(&function));
        section.map(|(section, _)| *section)
    }
}

/// Adds the functions over JSON and geometries and our own, and takes away what is not named here.
pub(crate) fn set_up(mut session: SessionState) -> Result<SessionState> {
    datafusion_functions_json::register_all(&mut session)?;
    session.register_udf(super::hash::sha3_256())?;
    let context = SessionContext::new_with_state(session);
    geodatafusion::register(&context);
    let mut session = context.state();
    let others = |names: Vec<(String, String)>, known: &dyn Fn(&str) -> bool| {
        names
            .into_iter()
            .filter(|(_, first)| !known(first))
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    let scalar = session.scalar_functions().iter();
    let scalar = scalar
        .map(|(name, function)| (name.clone(), function.name().to_owned()))
        .collect();
    for name in others(scalar, &|name| Section::of(name).is_some()) {
        session.deregister_udf(&name)?;
    }
    let aggregate = session.aggregate_functions().iter();
    let aggregate = aggregate
        .map(|(name, function)| (name.clone(), function.name().to_owned()))
        .collect();
    for name in others(aggregate, &|name| AGGREGATE.contains(&name)) {
        session.deregister_udaf(&name)?;
    }
    let window = session.window_functions().iter();
    let window = window
        .map(|(name, function)| (name.clone(), function.name().to_owned()))
        .collect();
    for name in others(window, &|name| WINDOW.contains(&name)) {
        session.deregister_udwf(&name)?;
    }
    let higher = session.higher_order_functions().iter();
    let higher = higher
        .map(|(name, function)| (name.clone(), function.name().to_owned()))
        .collect();
    for name in others(higher, &|name| HIGHER_ORDER.contains(&name)) {
        session.deregister_higher_order_function(&name)?;
    }
    let table = session
        .table_functions()
        .keys()
        .map(|name| (name.clone(), name.clone()))
        .collect();
    for name in others(table, &|name| TABLE.contains(&name)) {
        session.deregister_udtf(&name)?;
    }
    // Each of them takes texts as geometries.
    let geometry = SCALAR.iter().filter(|(section, _)| *section == Section::Geometry);
    for name in geometry.flat_map(|(_, names)| names.iter()) {
        let function = session.udf(name)?;
        session.register_udf(super::wkt::shallow(function))?;
    }
    Ok(session)
}

/// The function that may have been meant by a name that is none.
pub(crate) fn meant(name: &str) -> Option<&'static str> {
    let scalar = SCALAR.iter().flat_map(|(_, names)| names.iter());
    let all = scalar.chain(HIGHER_ORDER).chain(AGGREGATE).chain(WINDOW).copied();
    nearest(name, all)
}

/// The table function that may have been meant.
pub(crate) fn meant_table(name: &str) -> Option<&'static str> {
    nearest(name, TABLE.iter().copied())
}

#[cfg(test)]
mod tests;
