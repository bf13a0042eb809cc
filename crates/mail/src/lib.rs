//! Sends mails: by a mail server over SMTP, or into a folder for whoever tries the product out.
//!
//! A [`Mail`] is made of parts that were checked when they were made, so nothing that somebody typed can add a header or
//! a recipient. A [`Sender`] takes it within a deadline. Whether a failure is worth another try is told by the
//! [`SendError`]; trying again is up to the caller, who gives the mail the same [`MessageId`] each time, so that a mail
//! that arrives twice can be recognised. Nothing here knows what the mails are about.

pub mod folder;
pub mod mail;
pub mod mailbox;
pub mod message_id;
pub mod send_error;
pub mod sender;
pub mod smtp;
pub mod smtp_url;
pub mod text;
mod written;

pub use folder::{Folder, FolderError};
pub use mail::Mail;
pub use mailbox::{Mailbox, MailboxError};
pub use message_id::{MessageId, MessageIdError};
pub use send_error::{Reply, SendError, Step};
pub use sender::Sender;
pub use smtp::{DEADLINE, Smtp, TlsError};
pub use smtp_url::{SmtpUrl, SmtpUrlError, Tls};
pub use text::{Subject, Text, TextError};
