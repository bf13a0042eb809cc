//! Links by which members set a password, once: an invitation for the first one, a reset for a new one.

use crate::ids::{CredentialLinkId, MemberId, TenantId};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkPurpose {
    /// The member's first password.
    Invitation,
    /// A new password in place of one that was forgotten.
    PasswordReset,
}

impl LinkPurpose {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Invitation, Self::PasswordReset];

    /// The word in storage and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::PasswordReset => "password_reset",
        }
    }

    /// The purpose with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// Which link of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkKey {
    /// The tenant.
    pub tenant: TenantId,
    /// The member.
    pub member: MemberId,
    /// The link; the id's time is its expiry.
    pub id: CredentialLinkId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back_and_no_other() {
        for purpose in LinkPurpose::ALL {
            assert_eq!(LinkPurpose::parse(purpose.as_str()), Some(purpose));
        }
        for bad in ["", "Invitation", "reset"] {
            assert_eq!(LinkPurpose::parse(bad), None);
        }
    }
}
