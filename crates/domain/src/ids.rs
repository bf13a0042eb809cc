//! Typed ids: UUIDv7 in the database, a prefix and 26 characters everywhere else (`TypeID` encoding).
//!
//! One registry at the foot of this file names every kind. Parsing the id of another kind fails, so a
//! tenant's id can't be handed in where a client's belongs.

use std::fmt;

use thiserror::Error;

/// The 32 letters of Crockford's base 32, in lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 26 letters of 5 bits hold 130 bits: the first letter carries 3 of them.
const ENCODED_LENGTH: usize = 26;

/// Why a text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseIdError {
    /// The prefix is missing or another kind's.
    #[error("expected an id that starts with `{expected}_`")]
    Prefix {
        /// The prefix that ids of this kind have.
        expected: &'static str,
    },
    /// What follows the prefix is not 26 letters of the alphabet, or overflows 128 bits.
    #[error("expected `{expected}_` followed by 26 lower-case letters and digits (no i, l, o, u)")]
    Encoding {
        /// The prefix that ids of this kind have.
        expected: &'static str,
    },
}

fn encode(uuid: uuid::Uuid, out: &mut impl fmt::Write) -> fmt::Result {
    let bits = uuid.as_u128();
    for position in (0..ENCODED_LENGTH).rev() {
        let index = usize::try_from((bits >> (position * 5)) & 31).map_err(|_| fmt::Error)?;
        let letter = ALPHABET.get(index).copied().ok_or(fmt::Error)?;
        out.write_char(char::from(letter))?;
    }
    Ok(())
}

fn decode(text: &str) -> Option<uuid::Uuid> {
    if text.len() != ENCODED_LENGTH || text.as_bytes().first()? > &b'7' {
        return None;
    }
    let mut bits: u128 = 0;
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = (bits << 5) | u128::try_from(value).ok()?;
    }
    Some(uuid::Uuid::from_u128(bits))
}

/// What all typed ids have in common.
pub trait TypedId: Copy {
    /// The letters before the underscore.
    const PREFIX: &'static str;
    /// Wraps the stored form.
    fn from_uuid(uuid: uuid::Uuid) -> Self;
    /// The stored form.
    fn uuid(self) -> uuid::Uuid;
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Wraps the stored form.
            pub const fn from_uuid(uuid: uuid::Uuid) -> Self { Self(uuid) }
            /// The stored form.
            pub const fn uuid(self) -> uuid::Uuid { self.0 }
        }

        impl TypedId for $name {
            const PREFIX: &'static str = $prefix;
            fn from_uuid(uuid: uuid::Uuid) -> Self { Self(uuid) }
            fn uuid(self) -> uuid::Uuid { self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                encode(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let encoded = text
                    .strip_prefix(concat!($prefix, "_"))
                    .ok_or(ParseIdError::Prefix { expected: $prefix })?;
                decode(encoded).map(Self).ok_or(ParseIdError::Encoding { expected: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*

        /// Every prefix in use, for the test that keeps them apart.
        pub const PREFIXES: &[&str] = &[$($prefix),*];
    };
}

typed_ids! {
    /// One customer organisation.
    TenantId = "ten";
    /// A node in a tenant's tree of organizations.
    OrganizationId = "org";
    /// A user of one tenant.
    MemberId = "mem";
    /// What holds OAuth credentials in one tenant.
    ClientId = "cli";
    /// One credential of a confidential client.
    SecretId = "sec";
    /// An access token; the id's time is the token's expiry.
    TokenId = "tok";
    /// An API with an audience and a catalogue of scopes.
    ResourceServerId = "rsv";
    /// A role that a tenant has made for itself.
    RoleId = "rol";
    /// A role held over one organization's subtree.
    RoleAssignmentId = "ras";
    /// A link by which a member sets a password, once; the id's time is the link's expiry.
    CredentialLinkId = "lnk";
    /// All the refresh tokens of one authorization; the id's time is when they are over.
    RefreshFamilyId = "fam";
    /// One row of the log of record.
    AuditEventId = "aud";
    /// Something in the outbox; the id's time is when it is given up.
    DeliveryId = "dlv";
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_id_survives_the_way_out_and_back() {
        for uuid in [
            Uuid::nil(),
            Uuid::max(),
            Uuid::from_u128(0x0192_f0a1_b2c3_7d4e_8f5a_6b7c_8d9e_0f1a),
        ] {
            let id = ClientId::from_uuid(uuid);
            assert_eq!(id.to_string().parse::<ClientId>(), Ok(id));
            assert_eq!(id.to_string().len(), "cli_".len() + 26);
        }
        assert_eq!(
            ClientId::from_uuid(Uuid::max()).to_string(),
            "cli_7zzzzzzzzzzzzzzzzzzzzzzzzz"
        );
    }

    #[test]
    fn the_id_of_another_kind_is_refused() {
        let tenant = TenantId::from_uuid(Uuid::from_u128(7)).to_string();
        assert_eq!(
            tenant.parse::<ClientId>(),
            Err(ParseIdError::Prefix { expected: "cli" })
        );
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        let good = ClientId::from_uuid(Uuid::from_u128(7)).to_string();
        let upper = format!("cli_{}", good[4..].to_uppercase());
        let overflow = format!("cli_8{}", &good[5..]);
        for bad in [
            "",
            "cli",
            "cli_",
            "cli_0",
            &good[..29],
            &format!("{good}0"),
            &upper,
            &overflow,
            "cli_ⅷ00000000000000000000000",
        ] {
            assert!(
                bad.parse::<ClientId>().is_err() || bad == good,
                "{bad} was taken for an id"
            );
        }
        assert!(
            format!("cli_{}", "u".repeat(26))
                .parse::<ClientId>()
                .is_err()
        );
    }

    #[test]
    fn prefixes_are_unique() {
        let mut seen = PREFIXES.to_vec();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), PREFIXES.len());
    }
}
