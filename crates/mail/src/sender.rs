//! The ways in which a mail can go.

use crate::folder::Folder;
use crate::mail::Mail;
use crate::send_error::SendError;
use crate::smtp::Smtp;

/// Takes mails. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Sender {
    /// To a mail server.
    Smtp(Smtp),
    /// Into a folder.
    Folder(Folder),
}

impl Sender {
    /// Hands the mail over. When this returns well, it has been taken; otherwise [`SendError::is_transient`] tells
    /// whether to try again. A mail whose connection was lost may have been taken all the same.
    pub async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        match self {
            Self::Smtp(smtp) => smtp.send(mail).await,
            Self::Folder(folder) => folder.send(mail).await,
        }
    }
}
