//! Words of a shell's command, quoted so that the shell reads them as they are.

use crate::address;

/// One word of the shell's: literal text and variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(String),
}

impl Word {
    pub(crate) fn literal(text: &str) -> Self {
        Self(vec![Part::Literal(text.to_owned())])
    }

    /// A variable; of its name only what may stand in one is kept.
    pub(crate) fn variable(name: &str) -> Self {
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        let begins_well = name.starts_with(|c: char| c.is_ascii_uppercase());
        Self(vec![Part::Variable(if begins_well {
            name
        } else {
            format!("_{name}")
        })])
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The literal parts percent-encoded, as one segment or value of an address.
    pub(crate) fn in_address(self) -> Self {
        let encoded = |part| match part {
            Part::Literal(text) => Part::Literal(address::encoded(&text)),
            variable @ Part::Variable(_) => variable,
        };
        Self(self.0.into_iter().map(encoded).collect())
    }

    /// As the shell reads it back: within double quotes if nothing in it means something there, else the literal
    /// parts within single quotes.
    pub(crate) fn quoted(&self) -> String {
        let is_harmless = self.0.iter().all(|part| match part {
            Part::Literal(text) => !text.contains(['$', '`', '"', '\\', '!', '\n']),
            Part::Variable(_) => true,
        });
        let has_variables = self.0.iter().any(|part| matches!(part, Part::Variable(_)));
        if is_harmless && has_variables {
            let inner: String = self
                .0
                .iter()
                .map(|part| match part {
                    Part::Literal(text) => text.clone(),
                    Part::Variable(name) => format!("${{{name}}}"),
                })
                .collect();
            return format!("\"{inner}\"");
        }
        let mut literal = String::new();
        let mut quoted = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => literal.push_str(text),
                Part::Variable(name) => {
                    if !literal.is_empty() {
                        quoted.push_str(&in_single_quotes(&std::mem::take(&mut literal)));
                    }
                    quoted.push_str("\"${");
                    quoted.push_str(name);
                    quoted.push_str("}\"");
                }
            }
        }
        if !literal.is_empty() || quoted.is_empty() {
            quoted.push_str(&in_single_quotes(&literal));
        }
        quoted
    }
}

fn in_single_quotes(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Word;

    /// What a real shell reads the word as.
    fn read_by_a_shell(word: &Word) -> String {
        let script = format!("TENANT='the tenant'; printf '%s' {}", word.quoted());
        let output = Command::new("sh")
            .args(["-c", &script])
            .output()
            .expect("there is a shell");
        assert!(output.status.success(), "{script}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{script}");
        String::from_utf8(output.stdout).expect("it writes what it was given")
    }

    #[test]
    fn a_shell_reads_hostile_texts_as_they_are() {
        for hostile in [
            "",
            "'",
            "''; touch /nowhere/x; '",
            "$(touch /nowhere/x)",
            "`touch /nowhere/x`",
            "\"; exit 3; \"",
            "\\",
            "a\nb",
            "${HOME}",
            "!!",
            "* ? [a] ~ {a,b} | & ; < >",
        ] {
            assert_eq!(read_by_a_shell(&Word::literal(hostile)), hostile);
            let mixed = Word::literal(hostile)
                .and(Word::variable("tenant"))
                .and(Word::literal(hostile));
            assert_eq!(
                read_by_a_shell(&mixed),
                format!("{hostile}the tenant{hostile}")
            );
        }
    }

    #[test]
    fn a_variables_name_is_one() {
        assert_eq!(Word::variable("tenant-id").quoted(), "\"${TENANT_ID}\"");
        assert_eq!(Word::variable("1}$(x)").quoted(), "\"${_1___X_}\"");
        assert_eq!(Word::variable("").quoted(), "\"${_}\"");
    }
}
