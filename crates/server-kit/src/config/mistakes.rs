//! Everything that is wrong with a configuration, told at once.

use std::fmt;

use crate::config::Name;

/// One thing that is wrong, and its mend. It never holds what was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The setting at fault.
    pub name: Name,
    /// What is wrong, as the rest of a sentence that begins with the setting.
    pub wrong: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}) {}: {}",
            self.name.option, self.name.env, self.wrong, self.mend
        )
    }
}

/// All mistakes of a configuration, one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn add(&mut self, name: Name, wrong: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Mistake {
            name,
            wrong: wrong.into(),
            mend: mend.into(),
        });
    }

    /// Adds those of another part of the configuration.
    pub fn merge(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.0.iter()
    }

    /// `value`, if there are no mistakes.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Both parts of a configuration, or the mistakes of both. For three, nest.
pub fn all<A, B>(
    first: Result<A, Mistakes>,
    second: Result<B, Mistakes>,
) -> Result<(A, B), Mistakes> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(mistakes), Ok(_)) | (Ok(_), Err(mistakes)) => Err(mistakes),
        (Err(mut mistakes), Err(others)) => {
            mistakes.merge(others);
            Err(mistakes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::names;

    fn one(name: Name) -> Mistakes {
        let mut mistakes = Mistakes::new();
        mistakes.add(name, "is wrong", "mend it");
        mistakes
    }

    #[test]
    fn mistakes_of_several_parts_are_told_together() {
        let both = all::<(), ()>(Err(one(names::LOG)), Err(one(names::POOL_SIZE))).unwrap_err();
        assert_eq!(
            both.to_string(),
            "--log (GRANTOR_LOG) is wrong: mend it\n--pool-size (GRANTOR_POOL_SIZE) is wrong: mend it"
        );
        assert_eq!(
            all(Ok(1), Err::<(), _>(one(names::LOG))),
            Err(one(names::LOG))
        );
        assert_eq!(
            all(Err::<(), _>(one(names::LOG)), Ok(1)),
            Err(one(names::LOG))
        );
        assert_eq!(all(Ok(1), Ok(2)), Ok((1, 2)));
    }
}
