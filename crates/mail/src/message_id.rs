//! What a mail is recognised by, however often it arrives.

use std::fmt;

/// Why a message id was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageIdError {
    /// Too long for a line of a header and the name of a file.
    #[error("must have at most {} characters", MessageId::LIMIT)]
    TooLong,
    /// Not of the form `left@right`.
    #[error(
        "must be of the form `left@right`, each of letters, digits and `+ - _ =`, with single dots between"
    )]
    Malformed,
}

/// A message id (RFC 5322 §3.6.4) without its angle brackets: `left@right`, unique for ever. The sender gives a mail the
/// same one at each try. It is used as the name of a file too, so it has no slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// The most characters that it may have.
    pub const LIMIT: usize = 200;

    /// Checks a message id.
    pub fn parse(text: &str) -> Result<Self, MessageIdError> {
        if text.len() > Self::LIMIT {
            return Err(MessageIdError::TooLong);
        }
        match text.split_once('@') {
            Some((left, right)) if is_dotted(left) && is_dotted(right) => Ok(Self(text.to_owned())),
            Some(_) | None => Err(MessageIdError::Malformed),
        }
    }

    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_dotted(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-_=".contains(&byte);
    text.split('.')
        .all(|word| !word.is_empty() && word.bytes().all(allowed))
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_lead_elsewhere_are_refused() {
        assert!(MessageId::parse("dlv_01h455vb4pex5vsknk084sn02q.1@grantor.example").is_ok());
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "<a@b>",
            "../a@b",
            "a/b@c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a b@c",
            "a@b\r\nBcc: eve@evil.example",
            "é@b",
        ] {
            assert_eq!(
                MessageId::parse(bad),
                Err(MessageIdError::Malformed),
                "{bad:?}"
            );
        }
        let long = format!("{}@b", "a".repeat(MessageId::LIMIT));
        assert_eq!(MessageId::parse(&long), Err(MessageIdError::TooLong));
    }
}
