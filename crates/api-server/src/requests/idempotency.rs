//! `Idempotency-Key`: the same key with the same request has one effect and one answer.

use std::fmt;

use zeroize::Zeroizing;

use crate::problem::Problem;

/// A key that the caller made up. Answers are sealed under it, so it is treated as a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Zeroizing<String>);

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

impl IdempotencyKey {
    /// Reads the header. The form of the IETF's draft, a string in quotation marks, is taken as well.
    pub fn parse(header: Option<&[u8]>) -> Result<Option<Self>, Problem> {
        let Some(header) = header else {
            return Ok(None);
        };
        let text = std::str::from_utf8(header).map_err(|_| Problem::InvalidIdempotencyKey)?;
        let text = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(text);
        // Too short a key could be guessed, and with it the answer that is kept.
        if (16..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Some(Self(Zeroizing::new(text.to_owned()))))
        } else {
            Err(Problem::InvalidIdempotencyKey)
        }
    }

    /// The key of one of the items of a request that came with this key.
    #[must_use]
    pub fn of_item(&self, index: usize) -> Self {
        Self(Zeroizing::new(format!("{}/{index}", self.0.as_str())))
    }

    /// The key's letters.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: &[u8]) -> Result<Option<IdempotencyKey>, Problem> {
        IdempotencyKey::parse(Some(header))
    }

    #[test]
    fn a_key_has_16_to_255_visible_letters() {
        let uuid = b"0f8b1c9e-93a4-4f0e-8a55-2f6f6a6f1d11";
        assert!(parse(uuid).unwrap().is_some());
        assert_eq!(
            parse(b"\"0f8b1c9e-93a4-4f0e-8a55-2f6f6a6f1d11\"").unwrap(),
            parse(uuid).unwrap()
        );
        assert!(IdempotencyKey::parse(None).unwrap().is_none());
        let long = [b'a'; 256];
        for bad in [
            b"".as_slice(),
            b"short",
            b"fifteen_letters",
            b"with a space in the middle",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            &long,
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(parse(&long[..255]).is_ok());
    }

    #[test]
    fn it_does_not_print() {
        let key = parse(b"0f8b1c9e-93a4-4f0e-8a55").unwrap().unwrap();
        assert_eq!(format!("{key:?}"), "IdempotencyKey(..)");
        assert_ne!(key.of_item(0).expose(), key.of_item(1).expose());
    }
}
