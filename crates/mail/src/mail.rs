//! A mail, and how it is written down.

use chrono::{DateTime, Utc};

use crate::mailbox::Mailbox;
use crate::message_id::MessageId;
use crate::text::{Subject, Text};
use crate::written;

/// The last second that a mail's date can tell: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// One mail to one recipient. The same mail is written down in the same bytes each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// What it is recognised by; the same at each try.
    pub message_id: MessageId,
    /// When it was written; the same at each try.
    pub date: DateTime<Utc>,
    /// Who it is from.
    pub from: Mailbox,
    /// Who it is to.
    pub to: Mailbox,
    /// What it is about.
    pub subject: Subject,
    /// What it says.
    pub text: Text,
}

impl Mail {
    /// The mail in the format of RFC 5322. All of it is ASCII, but for an address whose local part is not.
    pub fn formatted(&self) -> String {
        let seconds = self.date.timestamp().clamp(0, LAST_SECOND);
        let date = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        let (encoding, body) = written::body(self.text.as_str());
        // RFC 3834 §5: `Auto-Submitted`, so that no absence note is sent back.
        format!(
            "Date: {}\r\n\
             From: {}\r\n\
             To: {}\r\n\
             Message-ID: <{}>\r\n\
             Subject: {}\r\n\
             Auto-Submitted: auto-generated\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\
             \r\n\
             {body}",
            date.format("%a, %d %b %Y %H:%M:%S +0000"),
            self.from.written(),
            self.to.written(),
            self.message_id,
            written::unstructured(self.subject.as_str()),
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::TimeZone as _;

    use super::*;

    /// A mail about anything.
    pub(crate) fn mail(subject: &str, text: &str) -> Mail {
        Mail {
            message_id: MessageId::parse("dlv_1@grantor.example").unwrap(),
            date: Utc.with_ymd_and_hms(2026, 11, 20, 12, 58, 14).unwrap(),
            from: Mailbox::parse("Grantor <grantor@acme.example>").unwrap(),
            to: Mailbox::parse("Zoë Ops <ops@acme.example>").unwrap(),
            subject: Subject::parse(subject).unwrap(),
            text: Text::parse(text).unwrap(),
        }
    }

    #[test]
    fn a_plain_mail_is_written_plainly() {
        let mail = mail("Rotation due", "Two secrets are due.\n\n.\nSee the list.\n");
        assert_eq!(
            mail.formatted(),
            "Date: Fri, 20 Nov 2026 12:58:14 +0000\r\n\
             From: Grantor <grantor@acme.example>\r\n\
             To: =?utf-8?B?Wm/DqyBPcHM=?= <ops@acme.example>\r\n\
             Message-ID: <dlv_1@grantor.example>\r\n\
             Subject: Rotation due\r\n\
             Auto-Submitted: auto-generated\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 7bit\r\n\
             \r\n\
             Two secrets are due.\r\n\r\n.\r\nSee the list.\r\n"
        );
        assert_eq!(mail.formatted(), mail.clone().formatted());
    }

    #[test]
    fn what_is_beyond_ascii_is_encoded_and_no_line_is_too_long() {
        let mut mail = mail(&"Überprüfung 夜 ".repeat(17), &"ä".repeat(5_000));
        mail.to = Mailbox::new(&"名".repeat(100), "ops@acme.example").unwrap();
        let id = format!("{}@b", "a".repeat(MessageId::LIMIT - 2));
        mail.message_id = MessageId::parse(&id).unwrap();
        let written = mail.formatted();
        assert!(written.is_ascii());
        assert!(written.contains(&format!("<{id}>")), "{written}");
        // RFC 5322 §2.1.1.
        assert!(
            written.split("\r\n").all(|line| line.len() <= 998),
            "{written}"
        );
    }

    #[test]
    fn nothing_that_was_typed_becomes_a_header() {
        let mut mail = mail(
            "Bcc: eve@evil.example, =?utf-8?q?=0D=0ABcc:_eve?=",
            "\nBcc: eve@evil.example\n",
        );
        mail.to = Mailbox::new("\"Eve\" <eve@evil.example>, ", "ops@acme.example").unwrap();
        let written = mail.formatted();
        let (head, _) = written.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = head
            .split("\r\n")
            .filter(|line| !line.starts_with(' '))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "Date",
                "From",
                "To",
                "Message-ID",
                "Subject",
                "Auto-Submitted",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding"
            ]
        );
        // A name does not end where it says, and what was typed as if it were encoded is not decoded.
        assert!(!head.contains("<eve@"), "{head}");
        assert!(!head.contains("=?utf-8?q?"), "{head}");
    }

    #[test]
    fn a_date_beyond_what_can_be_written_is_the_nearest_that_can() {
        let mut mail = mail("s", "t");
        for (date, shown) in [
            (DateTime::<Utc>::MIN_UTC, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (DateTime::<Utc>::MAX_UTC, "Fri, 31 Dec 9999 23:59:59 +0000"),
        ] {
            mail.date = date;
            assert!(mail.formatted().contains(&format!("Date: {shown}\r\n")));
        }
    }

    #[test]
    fn debug_does_not_show_what_a_mail_says() {
        let shown = format!("{:?}", mail("hunter2", "hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
