//! Who a mail is from and to.

use std::fmt;

use lettre::Address;

use crate::text::{TextError, check};
use crate::written;

/// Why a mailbox was refused. No error repeats what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// The name can't be one.
    #[error("has a name that {0}")]
    Name(#[source] TextError),
    /// The address is none, or is one of the exotic kinds that no provider gives out.
    #[error("must be a mail address such as `name@example.com` or `Name <name@example.com>`")]
    NotAnAddress,
}

/// An address with the name of its owner, if that is known. Its domain is written in ASCII, whatever its script.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    name: Option<String>,
    address: Address,
}

impl Mailbox {
    /// The most characters that a name may have.
    pub const LONGEST_NAME: usize = 100;

    /// The most bytes that an address may have (RFC 5321 §4.5.3.1.3).
    pub const LONGEST_ADDRESS: usize = 254;

    /// Checks a name and an address. An empty name is none.
    pub fn new(name: &str, address: &str) -> Result<Self, MailboxError> {
        check(name, Self::LONGEST_NAME, |_| false).map_err(MailboxError::Name)?;
        let name = Some(name.trim()).filter(|name| !name.is_empty());
        Ok(Self {
            name: name.map(str::to_owned),
            address: checked(address).ok_or(MailboxError::NotAnAddress)?,
        })
    }

    /// Reads `name@example.com` or `Name <name@example.com>`, as it is written in a setting.
    pub fn parse(text: &str) -> Result<Self, MailboxError> {
        let text = text.trim();
        match text
            .strip_suffix('>')
            .and_then(|open| open.rsplit_once('<'))
        {
            None => Self::new("", text),
            Some((name, address)) => {
                let name = name.trim();
                let quoted = name
                    .strip_prefix('"')
                    .and_then(|name| name.strip_suffix('"'));
                Self::new(quoted.unwrap_or(name), address)
            }
        }
    }

    /// The address, without the name.
    pub fn address(&self) -> &str {
        self.address.as_ref()
    }

    /// The domain of the address.
    pub fn domain(&self) -> &str {
        self.address.domain()
    }

    pub(crate) fn envelope(&self) -> Address {
        self.address.clone()
    }

    /// As a header's value.
    pub(crate) fn written(&self) -> String {
        match &self.name {
            Some(name) => {
                let phrase = written::phrase(name);
                // RFC 5322 §2.2.3: a long line goes on in the next, after a space.
                let short = phrase.len() + self.address().len() < 66;
                let space = if short { " " } else { "\r\n " };
                format!("{phrase}{space}<{}>", self.address)
            }
            None => self.address.to_string(),
        }
    }
}

fn checked(address: &str) -> Option<Address> {
    if address.len() > Mailbox::LONGEST_ADDRESS {
        return None;
    }
    let (local, domain) = address.rsplit_once('@')?;
    // RFC 5321 §4.1.2: a Dot-string. The quoted kind is allowed there, and no provider's.
    let exotic = |c: char| c.is_control() || c.is_whitespace() || "\"(),:;<>@[\\]".contains(c);
    if local.len() > 64
        || local
            .split('.')
            .any(|word| word.is_empty() || word.contains(exotic))
    {
        return None;
    }
    // What the parser of hosts would decode is no domain; neither is an address in brackets.
    if domain.contains(['%', '[']) || domain.split('.').any(str::is_empty) {
        return None;
    }
    let url::Host::Domain(domain) = url::Host::parse(domain).ok()? else {
        return None;
    };
    let address = Address::new(local, domain).ok()?;
    (AsRef::<str>::as_ref(&address).len() <= Mailbox::LONGEST_ADDRESS).then_some(address)
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for (written, shown) in [
            ("ops@acme.example", "ops@acme.example"),
            (" Ops <ops@acme.example> ", "Ops <ops@acme.example>"),
            (
                "\"Ops, Night\" <ops@acme.example>",
                "Ops, Night <ops@acme.example>",
            ),
            ("<ops@acme.example>", "ops@acme.example"),
            (
                "first.last+tag@Sub.Example.COM",
                "first.last+tag@sub.example.com",
            ),
            ("grantor@localhost", "grantor@localhost"),
            ("Zoë <ü@münchen.example>", "Zoë <ü@xn--mnchen-3ya.example>"),
        ] {
            assert_eq!(Mailbox::parse(written).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "a",
            "a@",
            "@b.example",
            "a@b..example",
            "a@b.example.",
            ".a@b.example",
            "a.@b.example",
            "a..b@c.example",
            "a b@c.example",
            "a@b@c.example",
            "a@b.example,c@d.example",
            "a@b.example> RCPT TO:<eve@evil.example",
            "\"a b\"@c.example",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@b%2eexample",
            "Ops <ops@acme.example",
            "Ops ops@acme.example>",
        ] {
            assert_eq!(
                Mailbox::parse(bad),
                Err(MailboxError::NotAnAddress),
                "{bad:?}"
            );
        }
        let long = format!("{}@b.example", "a".repeat(65));
        assert_eq!(Mailbox::parse(&long), Err(MailboxError::NotAnAddress));
        let long = format!("a@{}.example", "b".repeat(250));
        assert_eq!(Mailbox::parse(&long), Err(MailboxError::NotAnAddress));
    }

    #[test]
    fn an_address_or_name_that_could_add_a_header_is_refused() {
        let bcc = "\r\nBcc: eve@evil.example";
        assert!(Mailbox::new("Ops", &format!("ops@acme.example{bcc}")).is_err());
        assert!(Mailbox::new("Ops", &format!("ops{bcc}@acme.example")).is_err());
        assert!(Mailbox::new("Ops", "ops@acme.example\n").is_err());
        assert_eq!(
            Mailbox::new(&format!("Ops{bcc}"), "ops@acme.example"),
            Err(MailboxError::Name(TextError::Control { code: 13 }))
        );
        assert!(Mailbox::new(&"x".repeat(101), "ops@acme.example").is_err());
    }
}
