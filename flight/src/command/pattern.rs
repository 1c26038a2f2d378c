//! Filter patterns: `%` for any text, `_` for any character, `\` before either for itself.

/// A pattern, ready to be compared with many names.
#[derive(Debug)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Self {
        Self {
            tokens: tokens(pattern),
        }
    }

    /// The one name that fits, in small letters; none if the pattern has wildcards.
    pub(super) fn literal(&self) -> Option<String> {
        let exact = self.tokens.iter().map(|token| match token {
            Token::Exactly(c) => Some(*c),
            Token::Many | Token::One => None,
        });
        exact.collect()
    }

    /// Whether a name fits. Names compare without case, as everywhere in SQL here.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().map(|c| c.to_ascii_lowercase()).collect();
        // The last `%` and the place in the name from which it was tried; a mismatch goes back there and lets it take one more.
        let mut resume: Option<(usize, usize)> = None;
        let (mut token, mut at) = (0, 0);
        loop {
            match (self.tokens.get(token), name.get(at)) {
                (Some(Token::Many), _) => {
                    resume = Some((token + 1, at));
                    token += 1;
                }
                (Some(Token::One), Some(_)) => (token, at) = (token + 1, at + 1),
                (Some(Token::Exactly(c)), Some(d)) if c == d => (token, at) = (token + 1, at + 1),
                (None, None) => return true,
                _ => match resume {
                    Some((after, from)) if from < name.len() => {
                        resume = Some((after, from + 1));
                        (token, at) = (after, from + 1);
                    }
                    _ => return false,
                },
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Many,
    One,
    Exactly(char),
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            // Two of them mean the same as one and would only cost time.
            '%' if tokens.last() == Some(&Token::Many) => continue,
            '%' => Token::Many,
            '_' => Token::One,
            '\\' => Token::Exactly(chars.next().unwrap_or('\\').to_ascii_lowercase()),
            other => Token::Exactly(other.to_ascii_lowercase()),
        });
    }
    tokens
}

/// Whether our one catalog is asked for: by name, or by not narrowing. An empty name means tables without a catalog, and
/// there are none.
pub(super) fn wants_catalog(catalog: Option<&str>) -> bool {
    catalog.is_none_or(|catalog| catalog.eq_ignore_ascii_case(jetway_planner::CATALOG))
}
