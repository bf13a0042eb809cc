//! The scopes of OpenID Connect, which every tenant has. They tell of a member, and need one.

/// The audience of tokens that tell of a member: the userinfo endpoint of the member's issuer.
pub const AUDIENCE: &str = "urn:grantor:userinfo";
/// What stands before the colon elsewhere: these scopes have none, but their catalogue needs a name.
pub const KEY: &str = "openid";

/// A scope of OpenID Connect Core §5.4 or §11.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpenIdScope {
    /// Who the member is.
    OpenId,
    /// Their name and what else describes them.
    Profile,
    /// Their mail address.
    Email,
    /// Their postal address.
    Address,
    /// Their phone number.
    Phone,
    /// To go on while they are away.
    OfflineAccess,
}

impl OpenIdScope {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::OpenId,
        Self::Profile,
        Self::Email,
        Self::Address,
        Self::Phone,
        Self::OfflineAccess,
    ];

    /// The scope itself.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::Email => "email",
            Self::Address => "address",
            Self::Phone => "phone",
            Self::OfflineAccess => "offline_access",
        }
    }

    /// What it allows, in a sentence for people.
    pub const fn description(self) -> &'static str {
        match self {
            Self::OpenId => "Know who you are.",
            Self::Profile => "See your name.",
            Self::Email => "See your mail address.",
            Self::Address => "See your postal address.",
            Self::Phone => "See your phone number.",
            Self::OfflineAccess => "Go on while you are away.",
        }
    }

    /// Finds a scope by its text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_found_by_its_text_alone() {
        for scope in OpenIdScope::ALL {
            assert_eq!(OpenIdScope::parse(scope.as_str()), Some(*scope));
            assert!(scope.description().ends_with('.'));
        }
        for other in ["", "OpenID", "openid ", "openid:x", "grantor:clients.read"] {
            assert_eq!(OpenIdScope::parse(other), None, "{other}");
        }
    }
}
