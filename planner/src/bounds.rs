//! How large a statement may be. Whatever walks through a statement or a plan takes a part of the stack for each level of it, and
//! time for each branch, so that both are counted before anything walks.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{ObjectName, Query, Visit, Visitor};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// Most levels of a statement: operators in a row make as many, a join makes several.
const MAX_LEVELS: usize = 2000;

/// How many levels of a plan come of a join.
const LEVELS_OF_A_JOIN: usize = 4;

/// Most columns of one list.
const MAX_COLUMNS: usize = 4096;

/// Most stars of one list: each stands for all columns.
const MAX_STARS: usize = 64;

/// How often a statement names tables. Names of `WITH` stand for all that they mean at each place where they stand.
const MAX_RELATIONS: u64 = 2000;

/// Most nodes of a plan. Names of `WITH`, and views, stand for all that they mean at each place where they stand.
const MAX_NODES: usize = 10_000;

/// Longest text, and most operators in it, of statements that are planned where the stack is small and others wait.
const SMALL_BYTES: usize = 16 * 1024;
const SMALL_OPERATORS: usize = 64;

/// Whether planning it takes little time and little of the stack. It may say no too often.
pub(crate) fn is_small(query: &crate::Query) -> bool {
    let Some(sql) = query.sql() else { return false };
    let words = sql.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let operators = words.filter(|word| WORDS.iter().any(|operator| word.eq_ignore_ascii_case(operator)));
    let signs = sql.bytes().filter(|byte| SIGNS.contains(byte));
    sql.len() <= SMALL_BYTES && operators.count() + signs.count() <= SMALL_OPERATORS
}

/// What can make a level.
const WORDS: [&str; 12] = [
    "and",
    "or",
    "union",
    "except",
    "intersect",
    "join",
    "is",
    "like",
    "ilike",
    "similar",
    "collate",
    "not",
];
const SIGNS: &[u8] = b"+-*/%|&^~<>=:[";

/// Refuses a statement that is too deep or too wide.
///
/// # Errors
/// `InvalidSql`.
pub(crate) fn check_tokens(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut levels = Levels::default();
    for token in tokens {
        levels.see(&token.token);
        let Place { columns, stars, .. } = levels.here;
        let problem = if levels.deepest() > MAX_LEVELS {
            "the statement is nested too deeply, or combines too many conditions, operators, queries or joins: write long lists of \
             values as IN (...), or put them into a dataset and join it"
        } else if columns > MAX_COLUMNS || stars > MAX_STARS {
            "the statement asks for too many columns: leave some out, or ask in several statements"
        } else {
            continue;
        };
        let place = token.span.start;
        let message = format!("{problem} at Line: {}, Column: {}", place.line, place.column);
        return Err(Error::new(ErrorKind::InvalidSql, message));
    }
    Ok(())
}

/// How deep a statement is at the place where one is.
#[derive(Debug, Default)]
struct Levels {
    here: Place,
    outside: Vec<Place>,
    /// Levels of all the places outside.
    above: usize,
}

/// What stands between two brackets.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Operators of the operand that is read, and of the largest one before it in the same expression.
    operators: usize,
    operands: usize,
    /// How many operands AND and OR have combined.
    combined: usize,
    /// Levels of what the words CASE of this expression stood in. Their ends are not waited for.
    cased: usize,
    /// Whether a value has to follow, so that a word is a name.
    wants_value: bool,
    /// Levels of the deepest expression before.
    most: usize,
    /// Queries and joins, which go on over all expressions.
    links: usize,
    columns: usize,
    stars: usize,
    clause: Clause,
    may_be_star: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Clause {
    #[default]
    Other,
    Select,
    From,
}

impl Place {
    fn levels(&self) -> usize {
        self.most.max(self.expression()) + self.links
    }

    fn expression(&self) -> usize {
        self.operands.max(self.operators) + self.combined + self.cased
    }

    /// Another expression begins, which does not stand upon the last one.
    fn next(&mut self) {
        self.branch();
        self.cased = 0;
    }

    /// Another part of a CASE begins, which does not stand upon the last part, but in the same CASE.
    fn branch(&mut self) {
        self.most = self.most.max(self.expression());
        (self.operators, self.operands, self.combined) = (0, 0, 0);
    }

    /// Another operand of AND or OR begins.
    fn combine(&mut self) {
        self.operands = self.operands.max(self.operators);
        (self.operators, self.combined) = (0, self.combined + 1);
    }

    fn clause(&mut self, clause: Clause) {
        self.next();
        self.clause = clause;
    }
}

impl Levels {
    fn deepest(&self) -> usize {
        self.above + self.here.levels() + self.outside.len()
    }

    fn see(&mut self, token: &Token) {
        let may_be_star = std::mem::take(&mut self.here.may_be_star);
        let wants_value = std::mem::take(&mut self.here.wants_value);
        let here = &mut self.here;
        match token {
            Token::Whitespace(_) => (here.may_be_star, here.wants_value) = (may_be_star, wants_value),
            Token::LParen | Token::LBracket | Token::LBrace => {
                // What is called, or indexed, stands below.
                here.operators += 1;
                self.above += here.levels();
                self.outside.push(std::mem::take(here));
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                let Some(outside) = self.outside.pop() else { return };
                let inside = std::mem::replace(here, outside);
                self.above -= here.levels();
                here.operators += inside.levels();
            }
            Token::Comma => {
                here.next();
                match here.clause {
                    Clause::Select => (here.columns, here.may_be_star) = (here.columns + 1, true),
                    Clause::From => here.links += LEVELS_OF_A_JOIN,
                    Clause::Other => {}
                }
            }
            Token::Mul if may_be_star => here.stars += 1,
            Token::Word(word) => self.word(word.keyword, wants_value),
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::Period
            | Token::SemiColon
            | Token::EOF => here.may_be_star = matches!(token, Token::Period) && here.clause == Clause::Select,
            // Signs, and texts of other kinds, which are few.
            _ => {
                here.operators += 1;
                here.wants_value = !token.to_string().ends_with(['\'', '"', '`', '$']);
            }
        }
    }

    fn word(&mut self, word: Keyword, wants_value: bool) {
        let here = &mut self.here;
        match word {
            // IS DISTINCT FROM.
            Keyword::DISTINCT if wants_value => here.wants_value = true,
            Keyword::FROM
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::VALUES
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
            | Keyword::ON
                if wants_value => {}
            Keyword::SELECT => {
                here.clause(Clause::Select);
                (here.columns, here.stars, here.may_be_star) = (1, 0, true);
            }
            Keyword::DISTINCT | Keyword::ALL => here.may_be_star = here.clause == Clause::Select,
            Keyword::FROM => here.clause(Clause::From),
            Keyword::WHERE | Keyword::GROUP | Keyword::HAVING | Keyword::ORDER | Keyword::LIMIT | Keyword::VALUES => {
                here.clause(Clause::Other);
            }
            Keyword::CASE => {
                let around = here.expression();
                here.branch();
                here.cased = around + 1;
            }
            Keyword::WHEN | Keyword::THEN | Keyword::ELSE => here.branch(),
            Keyword::ON => here.next(),
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => here.links += 1,
            Keyword::JOIN => here.links += LEVELS_OF_A_JOIN,
            Keyword::AND | Keyword::OR => {
                here.combine();
                here.wants_value = true;
            }
            Keyword::NOT
            | Keyword::IS
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::SIMILAR
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::BETWEEN => {
                here.operators += 1;
                here.wants_value = true;
            }
            _ => {}
        }
    }
}

/// Refuses a statement that would be planned as one that is far larger.
///
/// # Errors
/// `InvalidSql`.
pub(crate) fn check_statement(statement: &SqlStatement) -> Result<()> {
    let statement = match statement {
        SqlStatement::Statement(statement) => statement,
        SqlStatement::Explain(explain) => return check_statement(&explain.statement),
        _ => return Ok(()),
    };
    let mut relations = Relations::default();
    match Visit::visit(statement.as_ref(), &mut relations) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::new(
            ErrorKind::InvalidSql,
            format!(
                "the statement reads more than {MAX_RELATIONS} tables, since each use of a name of WITH counts as all that it \
                 means: use them less often, or write a result into a dataset and read that"
            ),
        )),
    }
}

/// Counts tables.
#[derive(Debug, Default)]
struct Relations {
    /// Names of `WITH`, and how many tables each stands for.
    names: HashMap<String, u64>,
    count: u64,
}

impl Visitor for Relations {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for named in query.with.iter().flat_map(|with| &with.cte_tables) {
            let mut meant = Self {
                names: self.names.clone(),
                count: 1,
            };
            Visit::visit(named.query.as_ref(), &mut meant)?;
            self.names.insert(named.alias.name.value.to_lowercase(), meant.count);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = relation.0.last().and_then(|part| part.as_ident());
        let meant = name.and_then(|name| self.names.get(&name.value.to_lowercase()));
        self.count = self.count.saturating_add(meant.copied().unwrap_or(1));
        if self.count > MAX_RELATIONS {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Refuses a plan that has too many nodes. It may be far larger than its statement, but parts of it that are the same are there
/// only once, so that it is dangerous only to those who walk through all of it.
///
/// # Errors
/// `ResourceExhausted`.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<()> {
    if has_more_nodes(plan, MAX_NODES)? {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!(
                "the statement stands for more than {MAX_NODES} steps, since each use of a name of WITH or of a view counts as \
                 all that it means: use them less often, or write a result into a dataset and read that"
            ),
        ));
    }
    Ok(())
}

/// Whether a plan has more nodes than so many, those of subqueries included. It looks at no more than these.
pub(crate) fn has_more_nodes(plan: &LogicalPlan, most: usize) -> Result<bool> {
    let mut nodes = 0;
    plan.apply_with_subqueries(|_| {
        nodes += 1;
        Ok(if nodes > most {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(nodes > most)
}
