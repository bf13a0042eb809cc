//! The places within the page that one can link to.

use std::fmt::Write as _;

/// The anchor of an operation: `operation/createClient`.
pub(crate) fn operation(name: &str) -> String {
    within("operation/", name)
}

/// The anchor of a schema: `schema/Client`.
pub(crate) fn schema(name: &str) -> String {
    within("schema/", name)
}

/// The anchor of a tag: `tag/Clients`.
pub(crate) fn tag(name: &str) -> String {
    within("tag/", name)
}

/// The anchor of a security scheme: `security/bearer`.
pub(crate) fn security(name: &str) -> String {
    within("security/", name)
}

/// The link to an anchor of the same page.
pub(crate) fn link_to(anchor: &str) -> String {
    format!("#{anchor}")
}

/// Writes what an id may not hold, and what a browser would decode in a link, as `~` and its number, so that two
/// names never share an anchor.
fn within(kind: &str, name: &str) -> String {
    let mut anchor = String::from(kind);
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.') {
            anchor.push(character);
        } else {
            // Writing into a string can't fail.
            let _ = write!(anchor, "~{:x}~", u32::from(character));
        }
    }
    anchor
}

#[cfg(test)]
mod tests {
    use super::{operation, schema};

    #[test]
    fn usual_names_stay_as_they_are() {
        assert_eq!(operation("createClient"), "operation/createClient");
        assert_eq!(schema("v1.Client_Page-2"), "schema/v1.Client_Page-2");
    }

    #[test]
    fn other_characters_are_written_apart() {
        assert_eq!(schema("Page<Client>"), "schema/Page~3c~Client~3e~");
        assert_ne!(schema("a b"), schema("a~20~b"));
        assert_ne!(schema("a%20b"), schema("a b"));
    }
}
