//! What becomes of a mail, by what the server does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::test_server::{Act, Heard, Identity, TestServer};
use super::*;
use crate::mail::tests::mail;
use crate::sender::Sender;

/// Longer than any test that is not about it.
const PATIENT: Duration = Duration::from_secs(60);
const PLAIN_TLS: &str = "250-test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN";

fn url(port: u16, login: &str, tls: &str) -> SmtpUrl {
    let (scheme, query) = match tls {
        "implicit" => ("smtps", String::new()),
        tls => ("smtp", format!("?tls={tls}")),
    };
    SmtpUrl::parse(&format!("{scheme}://{login}127.0.0.1:{port}{query}")).unwrap()
}

async fn send_with(
    url: &SmtpUrl,
    deadline: Duration,
    roots: &[&Identity],
    mail: &Mail,
) -> Result<(), SendError> {
    let roots = roots
        .iter()
        .map(|identity| Certificate::from_der(identity.certificate.clone()).unwrap());
    let smtp = Smtp::trusting(url, &mail.from, deadline, roots.collect()).unwrap();
    Sender::Smtp(smtp).send(mail).await
}

/// Sends without encryption.
async fn send(server: TestServer, mail: &Mail) -> (Result<(), SendError>, Heard) {
    let sent = send_with(&url(server.port, "", "none"), PATIENT, &[], mail).await;
    (sent, server.heard())
}

/// What a server that takes everything says.
fn obliging(command: &str) -> Act {
    Act::Say(match command.split([' ', ':']).next().unwrap() {
        "CONNECT" => "220 test ESMTP",
        "EHLO" => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
        "DATA" => "354 go ahead",
        "AUTH" => "235 2.7.0 welcome",
        "QUIT" => "221 bye",
        _ => "250 2.0.0 fine",
    })
}

/// What a server does about one command.
type Doing = fn() -> Act;

/// An obliging server that does something else about one command.
fn but(at: &'static str, act: Doing) -> TestServer {
    TestServer::start(move |command| {
        if command.starts_with(at) {
            act()
        } else {
            obliging(command)
        }
    })
}

fn refusal(error: &SendError) -> (Step, String) {
    match error {
        SendError::Refused { step, reply } => (*step, reply.to_string()),
        other => panic!("{other}"),
    }
}

/// The text of a mail as its reader sees it, without the line break that ends it.
fn read(mail: &[u8]) -> String {
    let mail = std::str::from_utf8(mail).unwrap();
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let text = if head.contains("Transfer-Encoding: base64") {
        String::from_utf8(STANDARD.decode(body.replace("\r\n", "")).unwrap()).unwrap()
    } else {
        body.strip_suffix("\r\n").unwrap_or(body).to_owned()
    };
    text.replace("\r\n", "\n")
}

#[tokio::test]
async fn a_mail_is_handed_over_as_it_was_written() {
    let sent = mail("Rotation due", "Two secrets are due.");
    let (result, heard) = send(TestServer::start(obliging), &sent).await;
    result.unwrap();
    assert_eq!(
        heard.commands,
        [
            "EHLO acme.example",
            "MAIL FROM:<grantor@acme.example>",
            "RCPT TO:<ops@acme.example>",
            "DATA",
            "QUIT"
        ]
    );
    let received = String::from_utf8(heard.mail).unwrap();
    assert_eq!(received, sent.formatted());
    assert!(received.contains("\r\nMessage-ID: <dlv_1@grantor.example>\r\n"));
}

#[tokio::test]
async fn dots_long_lines_and_all_scripts_arrive_unharmed() {
    for text in [
        ".\n..\n.hidden\nfine\n.".to_owned(),
        "ä夜🔑".repeat(3_000),
        format!("{}\n.\n{}", "x".repeat(5_000), "ß".repeat(5_000)),
        ".".repeat(5_000),
        "trailing space \nand a tab\t\n= equals =3D".to_owned(),
        "From here\n\n\nto there".to_owned(),
        String::new(),
    ] {
        let (result, heard) = send(TestServer::start(obliging), &mail("Wörter", &text)).await;
        result.unwrap();
        assert_eq!(read(&heard.mail), text);
        assert!(heard.mail.is_ascii());
        let longest = heard
            .mail
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::len)
            .max();
        assert!(longest.unwrap() <= 999);
    }
}

#[tokio::test]
async fn rfc5321_4_2_1_4yz_is_worth_another_try_and_5yz_is_not() {
    let cases: [(&str, Step, Doing, Doing); 4] = [
        (
            "MAIL",
            Step::From,
            || Act::Say("451 4.3.0 later"),
            || Act::Say("553 5.1.8 not you"),
        ),
        (
            "RCPT",
            Step::To,
            || Act::Say("450 4.2.1 later"),
            || Act::Say("550 5.1.1 nobody"),
        ),
        (
            "DATA",
            Step::Content,
            || Act::Say("421 4.3.2 later"),
            || Act::Say("554 5.5.1 no"),
        ),
        (
            "CONTENT",
            Step::Content,
            || Act::Say("452 4.3.1 full"),
            || Act::Say("552-5.3.4 too\r\n552 5.3.4 large"),
        ),
    ];
    for (at, step, later, never) in cases {
        let error = send(but(at, later), &mail("s", "t")).await.0.unwrap_err();
        assert_eq!(refusal(&error).0, step);
        assert!(error.is_transient(), "{error}");
        let (result, heard) = send(but(at, never), &mail("s", "t")).await;
        let error = result.unwrap_err();
        assert_eq!(refusal(&error).0, step);
        assert!(error.is_permanent(), "{error}");
        assert_eq!(heard.commands.last().unwrap(), "QUIT");
    }
}

#[tokio::test]
async fn a_server_that_will_not_talk_says_nothing_about_the_mail() {
    let away = || Act::Say("554 5.3.2 go away");
    let error = send(but("CONNECT", away), &mail("s", "t"))
        .await
        .0
        .unwrap_err();
    assert_eq!(refusal(&error), (Step::Hello, "554 5.3.2".to_owned()));
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_lost_connection_is_worth_another_try() {
    for at in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT"] {
        let error = send(but(at, || Act::Close), &mail("s", "t"))
            .await
            .0
            .unwrap_err();
        assert!(error.is_transient(), "{at}: {error}");
        assert!(
            matches!(error, SendError::NotUnderstood | SendError::Connection(_)),
            "{at}: {error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_worth_another_try() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let error = send_with(&url(port, "", "none"), PATIENT, &[], &mail("s", "t")).await;
    let error = error.unwrap_err();
    assert!(error.is_transient());
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_meets_the_deadline() {
    let short = Duration::from_millis(100);
    for (at, tls) in [
        ("CONNECT", "none"),
        ("CONNECT", "implicit"),
        ("CONTENT", "none"),
    ] {
        let server = but(at, || Act::Hang);
        let error = send_with(&url(server.port, "", tls), short, &[], &mail("s", "t")).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, SendError::Deadline(limit) if limit == short),
            "{error}"
        );
        assert!(error.is_transient());
        // The connection has been given up, or this would not return.
        server.heard();
    }
}

#[tokio::test]
async fn what_was_taken_is_taken_however_the_connection_ends() {
    for end in [|| Act::Hang, || Act::Close, || Act::Say("500 5.5.0 what")] {
        let (result, heard) = send(but("QUIT", end), &mail("s", "t")).await;
        result.unwrap();
        assert!(!heard.mail.is_empty());
    }
}

#[tokio::test]
async fn what_is_no_mail_server_is_not_understood() {
    let http = || Act::Say("HTTP/1.1 400 Bad Request");
    let error = send(but("CONNECT", http), &mail("s", "t"))
        .await
        .0
        .unwrap_err();
    assert!(matches!(error, SendError::NotUnderstood), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn an_address_beyond_ascii_needs_a_server_that_takes_it() {
    let mut sent = mail("s", "t");
    sent.to = Mailbox::new("", "zoë@acme.example").unwrap();
    let (result, heard) = send(TestServer::start(obliging), &sent).await;
    let error = result.unwrap_err();
    assert!(matches!(error, SendError::AddressBeyondAscii), "{error}");
    assert!(error.is_permanent() && heard.mail.is_empty());
    let able = || Act::Say("250-test\r\n250-8BITMIME\r\n250 SMTPUTF8");
    let (result, heard) = send(but("EHLO", able), &sent).await;
    result.unwrap();
    assert_eq!(
        &heard.commands[1..3],
        [
            "MAIL FROM:<grantor@acme.example> SMTPUTF8 BODY=8BITMIME",
            "RCPT TO:<zoë@acme.example>"
        ]
    );
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_does_not_encrypt_when_encryption_is_demanded() {
    let server = TestServer::start(obliging);
    let url = url(server.port, "ops:hunter2@", "required");
    let error = send_with(&url, PATIENT, &[], &mail("s", "t"))
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::NotEncrypted), "{error}");
    assert!(error.is_transient());
    assert_eq!(server.heard().commands, ["EHLO acme.example", "QUIT"]);
}

#[tokio::test]
async fn opportunism_sends_without_encryption_where_none_is_offered() {
    let server = TestServer::start(obliging);
    let url = url(server.port, "", "opportunistic");
    send_with(&url, PATIENT, &[], &mail("s", "t"))
        .await
        .unwrap();
    assert!(!server.heard().mail.is_empty());
}

/// Offers STARTTLS, and after it what obliging servers offer.
fn starts_tls(command: &str) -> Act {
    match command {
        "STARTTLS" => Act::Encrypt,
        "EHLO acme.example" => Act::Say(PLAIN_TLS),
        other => obliging(other),
    }
}

#[tokio::test]
async fn name_and_password_go_out_after_starttls_and_to_a_server_that_is_trusted() {
    for tls in ["required", "opportunistic"] {
        let identity = Identity::new();
        let server = TestServer::start_with(Some(&identity), false, starts_tls);
        let url = url(server.port, "ops:h%C3%BCnter2@", tls);
        send_with(&url, PATIENT, &[&identity], &mail("s", "t"))
            .await
            .unwrap();
        let login = format!("AUTH PLAIN {}", STANDARD.encode("\0ops\0hünter2"));
        assert_eq!(
            server.heard().commands[..5],
            [
                "EHLO acme.example",
                "STARTTLS",
                "[tls]",
                "EHLO acme.example",
                &login
            ]
        );
    }
}

#[tokio::test]
async fn smtps_is_encrypted_from_the_first_byte_on() {
    let identity = Identity::new();
    let server = TestServer::start_with(Some(&identity), true, obliging);
    let url = url(server.port, "ops:hunter2@", "implicit");
    send_with(&url, PATIENT, &[&identity], &mail("s", "hello"))
        .await
        .unwrap();
    assert_eq!(read(&server.heard().mail), "hello");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_neither_password_nor_mail() {
    for (tls, at_once) in [
        ("implicit", true),
        ("required", false),
        ("opportunistic", false),
    ] {
        let identity = Identity::new();
        let server = TestServer::start_with(Some(&identity), at_once, move |command| {
            if at_once {
                obliging(command)
            } else {
                starts_tls(command)
            }
        });
        let url = url(server.port, "ops:hunter2@", tls);
        let error = send_with(&url, PATIENT, &[&Identity::new()], &mail("s", "t")).await;
        let error = error.unwrap_err();
        assert!(error.is_transient());
        assert!(error.to_string().contains("certificate"), "{error}");
        let heard = server.heard();
        assert!(
            !heard
                .commands
                .iter()
                .any(|command| command.starts_with("AUTH"))
        );
        assert!(heard.mail.is_empty());
    }
}

#[tokio::test]
async fn a_wrong_password_is_not_the_mails_fault_and_is_not_shown() {
    let base64 = STANDARD.encode("\0ops\0hunter2");
    for (at, act) in [
        (
            "AUTH",
            (|| Act::Say("535 5.7.8 no hunter2 AG9wcwBodW50ZXIy")) as fn() -> Act,
        ),
        ("EHLO", || Act::Say("250-test\r\n250 AUTH GSSAPI")),
        ("MAIL", || Act::Say("530 5.7.0 log in first")),
    ] {
        let server = but(at, act);
        let url = url(server.port, "ops:hunter2@", "none");
        let error = send_with(&url, PATIENT, &[], &mail("s", "t"))
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{error}");
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(
                !shown.contains("hunter2") && !shown.contains(&base64),
                "{shown}"
            );
        }
        server.heard();
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_mail_in_its_answer_does_not_put_it_into_the_error() {
    let repeat = || Act::Say("554 5.7.1 spam: https://acme.example/let-me-in?code=hunter2");
    let sent = mail("hunter2", "https://acme.example/let-me-in?code=hunter2");
    let error = send(but("CONTENT", repeat), &sent).await.0.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the mail server refused the mail with 554 5.7.1"
    );
    let mut shown = format!("{error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        shown += &cause.to_string();
        source = cause.source();
    }
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let url = url(25, "ops:hunter2@", "none");
    let smtp = Smtp::new(&url, &mail("s", "t").from, DEADLINE).unwrap();
    let shown = format!("{:?} {smtp:#?}", Sender::Smtp(smtp.clone()));
    assert!(shown.contains("[redacted]@127.0.0.1:25"), "{shown}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("ops"),
        "{shown}"
    );
}
