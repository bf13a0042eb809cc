//! Parsing the fields of a body into verified types, telling all that is wrong at once.

use std::fmt::Display;

use crate::problem::{FieldFault, Problem};

/// Gathers what is wrong with the fields of one body.
#[derive(Debug, Default)]
pub struct Fields {
    faults: Vec<FieldFault>,
}

impl Fields {
    /// Parses one field; nothing when it is at fault, which is then remembered.
    pub fn parse<I, T, E: Display>(
        &mut self,
        pointer: &str,
        value: I,
        parse: impl FnOnce(I) -> Result<T, E>,
    ) -> Option<T> {
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.fault(pointer, error);
                None
            }
        }
    }

    /// Remembers that a field is at fault.
    pub fn fault(&mut self, pointer: &str, detail: impl Display) {
        self.faults.push(FieldFault::pointer(pointer, detail));
    }

    /// Whether nothing is at fault.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The problem that the faults amount to.
    pub fn into_problem(self) -> Problem {
        Problem::InvalidFields(self.faults)
    }
}
