//! Mails by a mail server: one connection for each, and all of it within a deadline.

#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio::time::timeout;

use crate::mail::Mail;
use crate::mailbox::Mailbox;
use crate::send_error::{Reply, SendError, Step};
use crate::smtp_url::{SmtpUrl, Tls};

/// How long a mail server should be given for one mail, from the look-up of its name on. Some look at a mail for long
/// before they take it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How long a server that has said all it had to is given to see the connection end.
const FAREWELL: Duration = Duration::from_millis(250);

/// The ways to log in that are known. Both send the password, which is why the connection must be encrypted.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up for the mail server")]
pub struct TlsError(#[source] Error);

/// A mail server and how to talk to it. Cheap to clone.
#[derive(Clone)]
pub struct Smtp(Arc<Server>);

struct Server {
    url: SmtpUrl,
    hello: ClientId,
    /// There unless the connection is never encrypted.
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    deadline: Duration,
}

impl Smtp {
    /// Prepares to talk to a server. Nothing is connected yet. The certificates that the system trusts are read now; the
    /// variable `SSL_CERT_FILE` can name others. To the server we are the domain of `from` (RFC 5321 §4.1.1.1: a name of
    /// the client), as some refuse the name of a machine that nobody can look up.
    pub fn new(url: &SmtpUrl, from: &Mailbox, deadline: Duration) -> Result<Self, TlsError> {
        Self::trusting(url, from, deadline, Vec::new())
    }

    fn trusting(
        url: &SmtpUrl,
        from: &Mailbox,
        deadline: Duration,
        roots: Vec<Certificate>,
    ) -> Result<Self, TlsError> {
        let tls = match url.tls() {
            Tls::None => None,
            Tls::Implicit | Tls::Required | Tls::Opportunistic => {
                let builder = roots
                    .into_iter()
                    .fold(TlsParameters::builder(url.host()), |builder, root| {
                        builder.add_root_certificate(root)
                    });
                Some(builder.build().map_err(TlsError)?)
            }
        };
        let login = url.login().map(|login| {
            Credentials::new(
                login.user.as_str().to_owned(),
                login.password.as_str().to_owned(),
            )
        });
        Ok(Self(Arc::new(Server {
            url: url.clone(),
            hello: ClientId::Domain(from.domain().to_owned()),
            tls,
            login,
            deadline,
        })))
    }

    pub(crate) async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let content = mail.formatted();
        let deadline = self.0.deadline;
        let talk = async {
            let mut connection = self.0.connect().await?;
            let handed_over = self.0.hand_over(&mut connection, mail, &content).await;
            Ok((connection, handed_over))
        };
        let (mut connection, handed_over) = timeout(deadline, talk)
            .await
            .map_err(|_| SendError::Deadline(deadline))??;
        // What was said holds, however the connection ends.
        let _ = timeout(FAREWELL, connection.abort()).await;
        handed_over
    }
}

impl Server {
    /// Connects and encrypts.
    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let host = self.url.host();
        let tls = self.tls.as_ref();
        let at_once = tls.filter(|_| self.url.tls() == Tls::Implicit).cloned();
        // The deadline of the whole holds for the connecting too.
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (host.as_str(), self.url.port()),
            None,
            &self.hello,
            at_once,
            None,
        )
        .await
        .map_err(failure(Step::Hello))?;
        let Some(tls) = tls.filter(|_| self.url.tls() != Tls::Implicit) else {
            return Ok(connection);
        };
        if connection.can_starttls() {
            connection
                .starttls(tls.clone(), &self.hello)
                .await
                .map_err(failure(Step::StartTls))?;
        } else if self.url.tls() == Tls::Required {
            let _ = timeout(FAREWELL, connection.abort()).await;
            return Err(SendError::NotEncrypted);
        }
        Ok(connection)
    }

    /// Logs in and hands the mail over.
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        mail: &Mail,
        content: &str,
    ) -> Result<(), SendError> {
        if let Some(login) = &self.login {
            let known = connection.server_info().get_auth_mechanism(&MECHANISMS);
            known.ok_or(SendError::NoLogin)?;
            let logged_in = connection.auth(&MECHANISMS, login).await;
            logged_in.map_err(failure(Step::Login))?;
        }
        let (from, to) = (mail.from.envelope(), mail.to.envelope());
        let parameters = parameters(connection, content)?;
        let begun = connection.command(MailFrom::new(Some(from), parameters));
        begun.await.map_err(failure(Step::From))?;
        let addressed = connection.command(Rcpt::new(to, Vec::new()));
        addressed.await.map_err(failure(Step::To))?;
        let awaited = connection.command(Data);
        awaited.await.map_err(failure(Step::Content))?;
        // The line break before the last dot is the mail's own.
        let content = content.strip_suffix("\r\n").unwrap_or(content);
        let taken = connection.message(content.as_bytes()).await;
        taken.map_err(failure(Step::Content))?;
        Ok(())
    }
}

/// What the server must be able to do for this mail. Only an address beyond ASCII makes a mail that is not ASCII.
fn parameters(
    connection: &AsyncSmtpConnection,
    content: &str,
) -> Result<Vec<MailParameter>, SendError> {
    if content.is_ascii() {
        return Ok(Vec::new());
    }
    let server = connection.server_info();
    // RFC 6531 §3.1: who takes such addresses takes 8 bits too.
    if server.supports_feature(Extension::SmtpUtfEight)
        && server.supports_feature(Extension::EightBitMime)
    {
        Ok(vec![
            MailParameter::SmtpUtfEight,
            MailParameter::Body(MailBodyParameter::EightBitMime),
        ])
    } else {
        Err(SendError::AddressBeyondAscii)
    }
}

/// Tells what a failure at this step comes to. The server's words are not passed on.
fn failure(step: Step) -> impl Fn(Error) -> SendError {
    move |error| match error.status() {
        Some(code) => {
            let words = error.source().map(ToString::to_string).unwrap_or_default();
            let reply = Reply::new(code.into(), &words);
            SendError::Refused { step, reply }
        }
        None if error.is_response() || error.is_client() => SendError::NotUnderstood,
        None => SendError::Connection(root_cause(&error)),
    }
}

/// The innermost of what led to a failure of the network or of TLS, which says the most.
fn root_cause(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp")
            .field("url", &self.0.url)
            .field("deadline", &self.0.deadline)
            .finish_non_exhaustive()
    }
}
