//! How mails are sent, if they are.

use std::path::PathBuf;

use grantor_mail::{DEADLINE, Folder, FolderError, Mailbox, Sender, Smtp, SmtpUrl, TlsError};

use crate::config::args::ApiArgs;
use crate::config::reading::{given, secret};
use crate::config::{Mistakes, names};

const URL_FORM: &str = "give smtps://user:password@host:465 or smtp://user:password@host:587?tls=required, with %-codes for special characters in user and password";

/// Who mails are from and which way they go.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Who they are from.
    pub from: Mailbox,
    /// Which way they go.
    pub route: MailRoute,
}

/// The way of mails.
#[derive(Debug, Clone)]
pub enum MailRoute {
    /// To a mail server.
    Smtp(SmtpUrl),
    /// Into a folder.
    Folder(PathBuf),
}

/// Why mails can't be sent as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// Not encrypted.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Not into that folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl MailSettings {
    /// What takes mails. A folder is made if it is not there; a mail server is not asked for yet.
    pub fn sender(&self) -> Result<Sender, SenderError> {
        Ok(match &self.route {
            MailRoute::Smtp(url) => Sender::Smtp(Smtp::new(url, &self.from, DEADLINE)?),
            MailRoute::Folder(path) => Sender::Folder(Folder::open(path)?),
        })
    }

    pub(super) fn describe(settings: Option<&Self>) -> Vec<(&'static str, String)> {
        let (mut url, mut from, mut folder) = (String::new(), String::new(), String::new());
        if let Some(settings) = settings {
            from = settings.from.to_string();
            match &settings.route {
                MailRoute::Smtp(given) => url = given.to_string(),
                MailRoute::Folder(path) => folder = path.display().to_string(),
            }
        }
        vec![
            ("smtp-url", url),
            ("mail-from", from),
            ("mail-folder", folder),
        ]
    }
}

impl ApiArgs {
    pub(super) fn mail(&self, mistakes: &mut Mistakes) -> Option<MailSettings> {
        let url = secret(
            mistakes,
            (names::SMTP_URL, self.smtp_url.as_ref()),
            (names::SMTP_URL_FILE, self.smtp_url_file.as_ref()),
        );
        let smtp = url.map(|url| SmtpUrl::parse(url.expose()));
        let from = given(self.mail_from.as_ref()).map(Mailbox::parse);
        let folder = given(self.mail_folder.as_ref());
        if let Some(Err(error)) = &smtp {
            mistakes.add(names::SMTP_URL, error.to_string(), URL_FORM);
        }
        if let Some(Err(error)) = &from {
            mistakes.add(
                names::MAIL_FROM,
                error.to_string(),
                "give the address that mails come from",
            );
        }
        if smtp.is_some() && folder.is_some() {
            mistakes.add(
                names::MAIL_FOLDER,
                format!(
                    "is given, and {} ({}) too",
                    names::SMTP_URL.option,
                    names::SMTP_URL.env
                ),
                "keep the URL to send mails, or the folder to try the product out",
            );
            return None;
        }
        if from.is_none() && (smtp.is_some() || folder.is_some()) {
            mistakes.add(
                names::MAIL_FROM,
                "is missing",
                "give the address that mails come from, name@example.com or Name <name@example.com>",
            );
        }
        let route = match smtp {
            Some(url) => MailRoute::Smtp(url.ok()?),
            None => MailRoute::Folder(folder?.into()),
        };
        Some(MailSettings {
            from: from?.ok()?,
            route,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Mistakes, render};

    const URL: &str = "smtps://ops:hunter2@mail.acme.example";

    fn args(url: &str, from: &str, folder: &str) -> ApiArgs {
        ApiArgs {
            smtp_url: Some(url.to_owned()),
            mail_from: Some(from.to_owned()),
            mail_folder: Some(folder.to_owned()),
            ..ApiArgs::default()
        }
    }

    fn mail(url: &str, from: &str, folder: &str) -> Result<Option<MailSettings>, Mistakes> {
        args(url, from, folder)
            .resolve()
            .map(|settings| settings.mail)
    }

    /// The one mistake, which may not show the password.
    fn told(args: &ApiArgs) -> String {
        let told = args.resolve().unwrap_err();
        assert!(!format!("{told} {told:?}").contains("hunter2"), "{told}");
        assert_eq!(told.iter().count(), 1, "{told}");
        told.to_string()
    }

    #[test]
    fn without_a_way_no_mails_are_sent() {
        assert!(ApiArgs::default().resolve().unwrap().mail.is_none());
        assert!(mail("", "", " ").unwrap().is_none());
        assert!(mail("", "grantor@acme.example", "").unwrap().is_none());
    }

    #[test]
    fn a_mail_server_or_a_folder_is_taken() {
        let smtp = mail(URL, "Grantor <grantor@acme.example>", "")
            .unwrap()
            .unwrap();
        assert!(matches!(&smtp.route, MailRoute::Smtp(url) if url.port() == 465));
        assert_eq!(smtp.from.to_string(), "Grantor <grantor@acme.example>");
        assert!(matches!(smtp.sender(), Ok(Sender::Smtp(_))));
        let folder = mail("", "grantor@localhost", "mails").unwrap().unwrap();
        assert!(matches!(&folder.route, MailRoute::Folder(path) if path.ends_with("mails")));
    }

    #[test]
    fn a_folder_is_made_when_its_sender_is() {
        let path = std::env::temp_dir().join(format!("grantor-kit-mails-{}", std::process::id()));
        let settings = mail("", "grantor@localhost", path.to_str().unwrap()).unwrap();
        assert!(!path.exists());
        let sender = settings.unwrap().sender();
        assert!(matches!(sender, Ok(Sender::Folder(_))));
        std::fs::remove_dir(&path).unwrap();
    }

    #[test]
    fn both_ways_at_once_are_refused_with_the_mend() {
        assert_eq!(
            told(&args(URL, "grantor@acme.example", "mails")),
            "--mail-folder (GRANTOR_MAIL_FOLDER) is given, and --smtp-url (GRANTOR_SMTP_URL) too: keep the URL to send mails, or the folder to try the product out"
        );
    }

    #[test]
    fn what_is_wrong_or_missing_is_told_without_the_password() {
        for (url, from, folder, begin) in [
            (URL, "", "", "--mail-from (GRANTOR_MAIL_FROM) is missing: "),
            (
                "",
                "",
                "mails",
                "--mail-from (GRANTOR_MAIL_FROM) is missing: ",
            ),
            (
                URL,
                "hunter2",
                "",
                "--mail-from (GRANTOR_MAIL_FROM) must be a mail address",
            ),
            (
                "smtp://ops:hunter2@mail.acme.example?tls=none",
                "grantor@acme.example",
                "",
                "--smtp-url (GRANTOR_SMTP_URL) would send the password to another machine",
            ),
            (
                "hunter2",
                "grantor@acme.example",
                "",
                "--smtp-url (GRANTOR_SMTP_URL) is not a URL: give smtps://",
            ),
        ] {
            let told = told(&args(url, from, folder));
            assert!(told.starts_with(begin), "{told}");
        }
    }

    #[test]
    fn the_url_may_come_from_a_file_but_not_from_two_places() {
        let path = std::env::temp_dir().join(format!("grantor-kit-smtp-{}", std::process::id()));
        std::fs::write(&path, format!("{URL}\n")).unwrap();
        let mut args = args("", "grantor@acme.example", "");
        args.smtp_url_file = path.to_str().map(str::to_owned);
        let settings = args.resolve().unwrap();
        args.smtp_url = Some(URL.to_owned());
        let told = told(&args);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(settings.mail.unwrap().route, MailRoute::Smtp(_)));
        assert!(told.contains("keep one of the two"), "{told}");
    }

    #[test]
    fn the_printed_configuration_and_debug_show_no_password() {
        let args = args(URL, "Grantor <grantor@acme.example>", "");
        let settings = args.resolve().unwrap();
        let printed = render(&settings.describe());
        assert!(
            printed.ends_with(
                "smtp-url = smtps://[redacted]@mail.acme.example:465\nmail-from = Grantor <grantor@acme.example>\nmail-folder = (none)\n"
            ),
            "{printed}"
        );
        for shown in [printed, format!("{settings:?} {settings:#?} {args:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
