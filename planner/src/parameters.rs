//! Parameters of statements: what type each has, and the statement with values in their places.
//!
//! A statement is planned once with placeholders. Their types come from where they stand (`infer.rs`); what stands where
//! anything fits, takes the type of what is bound. Values that fit the type of their place exactly get it; others keep their own,
//! and then mean what the same literal in the text would mean.

mod early;
mod infer;
mod rows;
mod values;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as SqlStatement;

pub(crate) use early::Early;
pub(crate) use rows::{Repeated, ValuesRow};
use values::Bound;

use crate::functions::presentable;
use crate::parse::Parsed;
use crate::{Error, ErrorKind, Result, names, policy};

/// What a statement needs and gives, see [`crate::Planner::prepare`].
#[derive(Debug, Clone)]
pub struct Prepared {
    /// One column for each parameter, in the order of their numbers, named `$1`, `$2` and so on. Where any type would do,
    /// it says text.
    pub parameters: SchemaRef,
    /// Schema of the result; none if the statement changes data.
    pub schema: Option<SchemaRef>,
}

/// A plan with placeholders, and their types where they are known.
#[derive(Debug, Clone)]
pub(crate) struct Unbound {
    /// None if it cannot be planned without knowing more types.
    plan: Option<LogicalPlan>,
    types: Vec<Option<DataType>>,
    /// None of a plan that came without a text.
    statement: Option<SqlStatement>,
    /// The aliases of columns whose names are repeated; then the plan has names of ours.
    aliases: Option<Vec<Option<String>>>,
}

/// Types that are tried for parameters that could have any, the one that most clients can send for anything first.
fn guesses() -> [DataType; 6] {
    [
        DataType::Utf8,
        DataType::Int64,
        DataType::Float64,
        DataType::Boolean,
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Interval(IntervalUnit::MonthDayNano),
    ]
}

impl Unbound {
    /// Plans a statement whose names are registered with the session.
    ///
    /// # Errors
    /// When it cannot be planned for any types of its parameters.
    pub(crate) async fn new(session: &SessionState, parsed: Parsed) -> Result<Self> {
        let Parsed {
            mut statement,
            parameters,
        } = parsed;
        let mut aliases = None;
        let mut planned = session.statement_to_plan(statement.clone()).await;
        if matches!(&planned, Err(error) if names::are_repeated(error)) {
            aliases = Some(names::make_unique(&mut statement));
            planned = session.statement_to_plan(statement.clone()).await;
        }
        let mut unbound = Self {
            plan: None,
            types: vec![None; parameters],
            statement: Some(statement),
            aliases,
        };
        let error = match planned {
            Ok(plan) => {
                policy::check(&plan)?;
                let plan = presentable(session, plan)?;
                let (plan, types) = infer::types(plan, parameters)?;
                (unbound.plan, unbound.types) = (Some(plan), types);
                return Ok(unbound);
            }
            Err(error) => error,
        };
        if parameters == 0 {
            return Err(error.into());
        }
        for guess in guesses() {
            if let Ok(plan) = unbound.plan_with(session, &vec![guess.clone(); parameters]).await {
                policy::check(&plan)?;
                unbound.types = vec![Some(guess); parameters];
                return Ok(unbound);
            }
        }
        Err(error.into())
    }

    /// A plan that came without a text, whose placeholders may say their types.
    ///
    /// # Errors
    /// When it does more than read, or has too many parameters.
    pub(crate) fn of_plan(plan: LogicalPlan) -> Result<Self> {
        policy::check(&plan)?;
        let declared = infer::declared(&plan)?;
        let (plan, mut types) = infer::types(plan, declared.len())?;
        for (known, declared) in types.iter_mut().zip(declared) {
            *known = known.take().or(declared);
        }
        Ok(Self {
            plan: Some(infer::set_types(plan, &types)?),
            types,
            statement: None,
            aliases: None,
        })
    }

    /// Plans the text with its parameters cast to types.
    async fn plan_with(&self, session: &SessionState, types: &[DataType]) -> Result<LogicalPlan> {
        let Some(statement) = self.statement.clone() else {
            return Err(unbound(types.len()));
        };
        let statement = infer::cast_parameters(statement, types)?;
        presentable(session, session.statement_to_plan(statement).await?)
    }

    /// How many parameters there are.
    pub(crate) fn count(&self) -> usize {
        self.types.len()
    }

    /// One column for each parameter.
    pub(crate) fn parameters(&self) -> SchemaRef {
        self.parameters_or(&DataType::Utf8)
    }

    fn parameters_or(&self, unknown: &DataType) -> SchemaRef {
        let fields = self.types.iter().zip(1..).map(|(data_type, number)| {
            let data_type = data_type.as_ref().unwrap_or(unknown).clone();
            Field::new(format!("${number}"), data_type, true)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The types of the parameters, and the plan for values of these types.
    ///
    /// # Errors
    /// When it makes no sense for any types.
    pub(crate) async fn announce(self, session: &SessionState) -> Result<(SchemaRef, Repeated)> {
        if self.types.iter().all(Option::is_some) {
            let parameters = self.parameters();
            let none = RecordBatch::new_empty(Arc::clone(&parameters));
            return Ok((parameters, self.bind(session, Some(&none)).await?));
        }
        let mut first = None;
        for guess in guesses() {
            let parameters = self.parameters_or(&guess);
            let none = RecordBatch::new_empty(Arc::clone(&parameters));
            let tried = match self.bind(session, Some(&none)).await {
                Ok(repeated) => repeated.plan(session, 0).map(|_| repeated),
                Err(error) => Err(error),
            };
            match tried {
                Ok(repeated) => return Ok((parameters, repeated)),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| unbound(self.types.len())))
    }

    /// The plan with types for the places of values, and the values in these types. Without values it is one row of none.
    ///
    /// # Errors
    /// `InvalidArgument` for too few or too many columns, and for values that do not fit their places.
    pub(crate) async fn bind(&self, session: &SessionState, values: Option<&RecordBatch>) -> Result<Repeated> {
        let count = self.types.len();
        let names = |plan: &LogicalPlan| match &self.aliases {
            Some(aliases) => names::wanted(plan, aliases).map(Some),
            None => Ok(None),
        };
        let Some(values) = values else {
            return match &self.plan {
                Some(plan) if count == 0 => Ok(Repeated::new(names(plan)?, plan.clone(), Bound::nothing())),
                _ => Err(unbound(count)),
            };
        };
        values::check_columns(&values.schema(), count)?;
        let (plan, bound) = match &self.plan {
            Some(plan) => {
                let bound = Bound::new(values, &self.types)?;
                let types: Vec<_> = bound.types().map(Some).collect();
                (infer::set_types(plan.clone(), &types)?, bound)
            }
            None => {
                let bound = Bound::new(values, &vec![None; count])?;
                let types: Vec<_> = bound.types().collect();
                let plan = self.plan_with(session, &types).await?;
                policy::check(&plan)?;
                (plan, bound)
            }
        };
        Ok(Repeated::new(names(&plan)?, plan, bound))
    }

    /// Whether the types of all parameters are known, and the values have types that fit them.
    pub(crate) fn takes(&self, values: &RecordBatch, fits: fn(&DataType, &DataType) -> bool) -> bool {
        let given = values.columns().iter().map(|column| column.data_type());
        let is_known = self.types.len() == values.num_columns();
        let mut pairs = given.zip(&self.types);
        is_known && pairs.all(|(given, wanted)| wanted.as_ref().is_some_and(|wanted| fits(given, wanted)))
    }

    /// The single row of expressions of an `INSERT ... VALUES`, as a projection of rows of parameters.
    pub(crate) fn values_row(&self) -> Option<ValuesRow> {
        ValuesRow::of(self.plan.as_ref()?, self.types.len())
    }

    /// Gives parameters that fill a column the type of the column.
    ///
    /// # Errors
    /// Those of `project`, which makes the rows fit the columns.
    pub(crate) fn fill(
        &mut self,
        targets: &[Option<DataType>],
        project: impl FnOnce(LogicalPlan) -> Result<LogicalPlan>,
    ) -> Result<()> {
        let Some(plan) = &self.plan else { return Ok(()) };
        project(plan.clone())?;
        let mut types = self.types.clone();
        infer::fill(plan, targets, &mut types);
        // Where the types of the columns do not go with the rest of the statement, what is bound decides.
        if let Ok(plan) = infer::set_types(plan.clone(), &types) {
            (self.plan, self.types) = (Some(plan), types);
        }
        Ok(())
    }
}

fn unbound(count: usize) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "the statement has {count} parameters, and no values are bound to them: prepare it and bind a row with {count} \
             columns, or write the values into the text"
        ),
    )
}
