//! Why a mail was not sent, and whether it is worth another try.

use std::fmt;
use std::io;
use std::time::Duration;

/// What the mail server was asked when it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To talk to us at all.
    Hello,
    /// To encrypt the connection.
    StartTls,
    /// To accept name and password.
    Login,
    /// To take a mail from this sender.
    From,
    /// To take a mail for this recipient.
    To,
    /// To take the mail itself.
    Content,
}

/// A mail server's no. Its words are left out: it may repeat in them what it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits (RFC 5321 §4.2).
    pub code: u16,
    /// The code of RFC 3463, such as `5.1.1`, if the server tells one.
    pub enhanced: Option<String>,
}

/// Why a mail was not sent. It holds neither what the mail says nor the password.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The mail server took too long.
    #[error("the mail server did not take the mail within {0:?}")]
    Deadline(Duration),
    /// There is no connection to the mail server, it is not trusted, or it was lost. The mail may have been taken.
    #[error("the connection to the mail server failed: {0}")]
    Connection(String),
    /// What answered is no mail server, or closed the connection in the middle of it. The mail may have been taken.
    #[error("the mail server's answer was cut off or not understood")]
    NotUnderstood,
    /// The server does not encrypt, and the settings demand it.
    #[error("the mail server offers no encryption (STARTTLS), which the settings demand")]
    NotEncrypted,
    /// The server knows no way to log in that is known here.
    #[error("the mail server offers no login by PLAIN or LOGIN")]
    NoLogin,
    /// The server said no.
    #[error("the mail server refused {step} with {reply}")]
    Refused {
        /// What.
        step: Step,
        /// How.
        reply: Reply,
    },
    /// The server takes no addresses beyond ASCII.
    #[error("the mail server takes no address with characters beyond ASCII (SMTPUTF8)")]
    AddressBeyondAscii,
    /// The folder took no file.
    #[error("the folder of mails cannot be written to ({})", .0.kind())]
    Folder(#[source] io::Error),
}

impl SendError {
    /// Whether the same mail will never be sent, however often it is tried.
    ///
    /// RFC 5321 §4.2.1: 5yz is permanent. That holds for what is said about the mail. A server that does not want to talk
    /// to us, or wants another password, says nothing about the mail: it can go once somebody has mended that.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused { step, reply } => {
                let about_the_mail = matches!(step, Step::From | Step::To | Step::Content);
                // RFC 4954 §6: authentication required, too weak, failed, or only when encrypted.
                let about_us = matches!(reply.code, 530 | 534 | 535 | 538);
                about_the_mail && !about_us && reply.code >= 500
            }
            Self::AddressBeyondAscii => true,
            Self::Deadline(_)
            | Self::Connection(_)
            | Self::NotUnderstood
            | Self::NotEncrypted
            | Self::NoLogin
            | Self::Folder(_) => false,
        }
    }

    /// Whether another try may succeed.
    pub fn is_transient(&self) -> bool {
        !self.is_permanent()
    }
}

impl Reply {
    /// Out of a code and the server's words, which begin with the enhanced code if there is one.
    pub(crate) fn new(code: u16, words: &str) -> Self {
        let first = words.split_whitespace().next().unwrap_or_default();
        let digits =
            |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let enhanced = first.split('.').count() == 3 && first.split('.').all(digits);
        Self {
            code,
            enhanced: enhanced.then(|| first.to_owned()),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        match &self.enhanced {
            Some(enhanced) => write!(f, " {enhanced}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hello => "to talk to us",
            Self::StartTls => "to encrypt the connection",
            Self::Login => "the login",
            Self::From => "the sender",
            Self::To => "the recipient",
            Self::Content => "the mail",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permanent(step: Step, code: u16) -> bool {
        let reply = Reply::new(code, "");
        SendError::Refused { step, reply }.is_permanent()
    }

    #[test]
    fn rfc5321_4_2_1_5yz_about_the_mail_is_permanent_and_nothing_else_is() {
        for step in [Step::From, Step::To, Step::Content] {
            assert!(permanent(step, 550) && permanent(step, 554) && permanent(step, 500));
            assert!(!permanent(step, 421) && !permanent(step, 452) && !permanent(step, 499));
            assert!(!permanent(step, 530) && !permanent(step, 535));
        }
        for step in [Step::Hello, Step::StartTls, Step::Login] {
            assert!(!permanent(step, 554) && !permanent(step, 535) && !permanent(step, 454));
        }
        assert!(SendError::Deadline(Duration::ZERO).is_transient());
    }

    #[test]
    fn of_the_servers_words_the_enhanced_code_alone_is_kept() {
        let shown = |words| Reply::new(550, words).to_string();
        assert_eq!(shown("5.1.1 no hunter2 here"), "550 5.1.1");
        assert_eq!(shown("5.7.509 hunter2"), "550 5.7.509");
        for words in [
            "hunter2",
            "",
            "5.1 x",
            "5.1.1.1 x",
            "5.1.hunter2",
            "5..1 x",
            "5.1.1111 x",
        ] {
            assert_eq!(shown(words), "550", "{words}");
        }
    }
}
