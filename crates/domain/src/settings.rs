//! What a tenant sets for itself: how long things live that it hands out, how members get in, and where they turn.
//!
//! A tenant that has set nothing has the defaults. Each setting is a type of its own, so that what is read from
//! storage or sent by somebody is within its bounds wherever it is used.

use std::fmt;

use chrono::TimeDelta;
use thiserror::Error;

use crate::lifetime::AccessTokenLifetime;
use crate::limits::Limits;
use crate::text::{EmailAddress, PersonName};
use crate::web_address::{WebAddress, WebAddressError, check_spelling, safe_url};

/// All that a tenant sets for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantSettings {
    /// The lifetime of a new client's access tokens, where its maker names none.
    pub default_access_token_lifetime: DefaultAccessTokenLifetime,
    /// How long a link works by which a member sets their first password.
    pub invitation_lifetime: InvitationLifetime,
    /// How long a link works by which a member sets a new password.
    pub password_reset_lifetime: PasswordResetLifetime,
    /// How many characters a member's password has at least.
    pub password_min_length: PasswordMinLength,
    /// Where mailed links lead, in place of the built-in page.
    pub credential_page: Option<CredentialPage>,
    /// To whom members are told to turn.
    pub support_contact: Option<SupportContact>,
    /// Whether administrators may choose a client's secret themselves (`secret_4`).
    pub chosen_secrets: ChosenSecrets,
    /// From how many failures of a client on its contact is told (`client_10`).
    pub sustained_errors: SustainedErrors,
    /// The limits of every client without limits of its own (`client_15`).
    pub client_limits: Limits,
}

/// When the failures of a client are so many that its contact is told (`client_10`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SustainedErrors {
    /// From how many on.
    pub threshold: FailureThreshold,
    /// Within what time; and no second time within that time again.
    pub window: FailureWindow,
}

impl SustainedErrors {
    /// The time within which they are summed up.
    pub fn window(&self) -> TimeDelta {
        TimeDelta::seconds(self.window.get().into())
    }
}

/// Whether administrators may choose a client's secret themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChosenSecrets {
    /// They may, if it is strong enough.
    #[default]
    Allowed,
    /// Secrets are made by us alone.
    Forbidden,
}

/// To whom members turn; shown in mails to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportContact {
    /// Their name.
    pub name: Option<PersonName>,
    /// Their mail address.
    pub email: EmailAddress,
}

/// The lifetime of a new client's access tokens, where its maker names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultAccessTokenLifetime(pub AccessTokenLifetime);

impl Default for DefaultAccessTokenLifetime {
    fn default() -> Self {
        Self(AccessTokenLifetime::DEFAULT)
    }
}

/// A number outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be between {least} and {most} {unit}")]
pub struct OutOfBounds {
    /// The least that is allowed.
    pub least: u32,
    /// The most that is allowed.
    pub most: u32,
    /// What is counted.
    pub unit: &'static str,
}

macro_rules! bounded {
    ($($(#[$doc:meta])* $name:ident: $least:expr, $most:expr, $default:expr, $unit:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(u32);

        impl $name {
            /// The least that it may be.
            pub const LEAST: u32 = $least;
            /// The most that it may be.
            pub const MOST: u32 = $most;
            /// What it is unless told otherwise.
            pub const DEFAULT: Self = Self($default);

            /// Parses a number.
            pub fn parse(number: i64) -> Result<Self, OutOfBounds> {
                u32::try_from(number)
                    .ok()
                    .filter(|number| (Self::LEAST..=Self::MOST).contains(number))
                    .map(Self)
                    .ok_or(OutOfBounds { least: Self::LEAST, most: Self::MOST, unit: $unit })
            }

            /// The number.
            pub fn get(self) -> u32 {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::DEFAULT
            }
        }
    )*};
}

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

bounded! {
    /// How long an invitation works, in seconds: an hour to 30 days.
    InvitationLifetime: HOUR, 30 * DAY, 7 * DAY, "seconds";
    /// How long a link to a new password works, in seconds: five minutes to a day.
    PasswordResetLifetime: 5 * MINUTE, DAY, HOUR, "seconds";
    /// How many characters a password has at least.
    PasswordMinLength: 8, 64, 12, "characters";
    /// From how many failures on a client's contact is told.
    FailureThreshold: 1, 100_000, 50, "failures";
    /// Within what time, in seconds: five minutes to a day. They are counted by the minute.
    FailureWindow: 5 * MINUTE, DAY, 15 * MINUTE, "seconds";
}

/// The address of a tenant's own page on which members set a password. A link's token is put behind it
/// as `?token=…`, so it has neither query nor fragment of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialPage(String);

/// Why a text is not the address of a page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CredentialPageError {
    /// Not an absolute URL.
    #[error("must be an absolute URL such as `https://console.example.com/password`")]
    NotAUrl,
    /// Too long.
    #[error("must have at most {} bytes", WebAddress::LIMIT)]
    TooLong,
    /// Plain HTTP to another machine: whoever listens would read the link.
    #[error("must begin with `https://`; plain `http://` is for loopback addresses alone")]
    Insecure,
    /// A user name or a password.
    #[error("must have no user name or password; remove what stands before the @")]
    UserInfo,
    /// A query, even an empty one.
    #[error("must have no query; remove it from the ? on")]
    Query,
    /// A fragment, even an empty one.
    #[error("must have no fragment; remove it from the # on")]
    Fragment,
    /// Not the spelling that a URL parser writes.
    #[error("must be in its normal spelling; write it as `{normal}`")]
    Spelling {
        /// The normal spelling.
        normal: String,
    },
}

impl From<WebAddressError> for CredentialPageError {
    fn from(error: WebAddressError) -> Self {
        match error {
            WebAddressError::NotAUrl => Self::NotAUrl,
            WebAddressError::TooLong => Self::TooLong,
            WebAddressError::Insecure => Self::Insecure,
            WebAddressError::UserInfo => Self::UserInfo,
            WebAddressError::Fragment => Self::Fragment,
            WebAddressError::Spelling { normal } => Self::Spelling { normal },
        }
    }
}

impl CredentialPage {
    /// Parses an address, and refuses every spelling but the normal one.
    pub fn parse(text: &str) -> Result<Self, CredentialPageError> {
        let url = safe_url(text)?;
        if url.query().is_some() {
            return Err(CredentialPageError::Query);
        }
        check_spelling(text, &url)?;
        Ok(Self(text.to_owned()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CredentialPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_that_sets_nothing_has_the_defaults() {
        let settings = TenantSettings::default();
        assert_eq!(settings.default_access_token_lifetime.0.seconds(), 3_600);
        assert_eq!(settings.invitation_lifetime.get(), 7 * 24 * 3_600);
        assert_eq!(settings.password_reset_lifetime.get(), 3_600);
        assert_eq!(settings.password_min_length.get(), 12);
        assert_eq!(settings.credential_page, None);
        assert_eq!(settings.support_contact, None);
        assert_eq!(settings.chosen_secrets, ChosenSecrets::Allowed);
        assert_eq!(settings.sustained_errors.threshold.get(), 50);
        assert_eq!(settings.sustained_errors.window().num_minutes(), 15);
        assert_eq!(settings.client_limits, Limits::default());
    }

    #[test]
    fn numbers_have_bounds_and_the_refusal_names_them() {
        fn check(parse: impl Fn(i64) -> Result<u32, OutOfBounds>, least: i64, most: i64) {
            for good in [least, least + 1, most - 1, most] {
                assert_eq!(parse(good).map(i64::from), Ok(good));
            }
            for bad in [least - 1, most + 1, 0, -1, i64::MIN, i64::MAX, 1 << 32] {
                let refusal = parse(bad).unwrap_err().to_string();
                assert!(
                    refusal.starts_with(&format!("must be between {least} and {most} ")),
                    "{bad}: {refusal}"
                );
            }
        }
        let number = InvitationLifetime::get;
        check(
            |n| InvitationLifetime::parse(n).map(number),
            3_600,
            2_592_000,
        );
        let number = PasswordResetLifetime::get;
        check(|n| PasswordResetLifetime::parse(n).map(number), 300, 86_400);
        let number = PasswordMinLength::get;
        check(|n| PasswordMinLength::parse(n).map(number), 8, 64);
        let number = FailureThreshold::get;
        check(|n| FailureThreshold::parse(n).map(number), 1, 100_000);
        let number = FailureWindow::get;
        check(|n| FailureWindow::parse(n).map(number), 300, 86_400);
    }

    #[test]
    fn a_page_is_https_or_on_loopback() {
        for good in [
            "https://console.example.com",
            "https://console.example.com/",
            "https://console.example.com/a/password",
            "https://console.example.com:8443/password/",
            "http://localhost:5173/password",
            "http://127.0.0.1:5173/password",
            "http://[::1]:5173/password",
        ] {
            assert_eq!(CredentialPage::parse(good).unwrap().as_str(), good);
        }
        for insecure in [
            "http://console.example.com/password",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "ftp://console.example.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "urn:grantor:api",
        ] {
            let refused = CredentialPage::parse(insecure);
            assert_eq!(refused, Err(CredentialPageError::Insecure), "{insecure}");
        }
    }

    #[test]
    fn a_page_has_nothing_behind_its_path_and_nobody_before_its_host() {
        use CredentialPageError as Error;
        for (text, error) in [
            ("https://a.example/p?x=1", Error::Query),
            ("https://a.example/p?", Error::Query),
            ("https://a.example/p#f", Error::Fragment),
            ("https://a.example/p#", Error::Fragment),
            ("https://a.example/p?#", Error::Fragment),
            ("https://u@a.example/p", Error::UserInfo),
            ("https://u:p@a.example/p", Error::UserInfo),
            ("", Error::NotAUrl),
            ("a.example/p", Error::NotAUrl),
            ("//a.example/p", Error::NotAUrl),
            ("https://", Error::NotAUrl),
        ] {
            assert_eq!(CredentialPage::parse(text), Err(error), "{text}");
        }
        let long = format!("https://a.example/{}", "x".repeat(WebAddress::LIMIT));
        assert_eq!(CredentialPage::parse(&long), Err(Error::TooLong));
    }

    #[test]
    fn a_page_has_one_spelling() {
        for text in [
            "HTTPS://a.example/p",
            "https://A.example/p",
            "https://a.example:443/p",
            "https://a.example/q/../p",
            "https:\\\\a.example\\p",
            " https://a.example/p",
            "https://a.example/\np",
            "https://@a.example/p",
        ] {
            let normal = "https://a.example/p".to_owned();
            let refused = CredentialPage::parse(text);
            assert_eq!(
                refused,
                Err(CredentialPageError::Spelling { normal }),
                "{text}"
            );
        }
    }
}
