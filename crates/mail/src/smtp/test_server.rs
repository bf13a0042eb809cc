//! A mail server for tests: a thread that speaks as much SMTP as one connection needs, and does what its script says.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server does about a command.
pub(super) enum Act {
    /// Answers with these lines.
    Say(&'static str),
    /// Says nothing and waits until the other side has enough.
    Hang,
    /// Closes the connection.
    Close,
    /// Answers 220 and encrypts.
    Encrypt,
}

/// What the server heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The commands, line by line. `[tls]` stands where encryption began.
    pub(super) commands: Vec<String>,
    /// The mail, without the dots that were added on its way.
    pub(super) mail: Vec<u8>,
}

/// A running server.
pub(super) struct TestServer {
    pub(super) port: u16,
    heard: JoinHandle<Heard>,
}

/// A certificate for 127.0.0.1 that nobody vouches for, and what serves with it.
pub(super) struct Identity {
    pub(super) certificate: Vec<u8>,
    config: Arc<ServerConfig>,
}

impl Identity {
    pub(super) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self {
            certificate: made.cert.der().to_vec(),
            config: Arc::new(config),
        }
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl TestServer {
    /// Starts one. `script` is asked about `CONNECT`, each command, and `CONTENT` once the mail is there.
    pub(super) fn start(script: impl FnMut(&str) -> Act + Send + 'static) -> Self {
        Self::start_with(None, false, script)
    }

    /// Starts one that can encrypt, from the first byte on or when the script says so.
    pub(super) fn start_with(
        identity: Option<&Identity>,
        at_once: bool,
        mut script: impl FnMut(&str) -> Act + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = identity.map(|identity| Arc::clone(&identity.config));
        let heard = thread::spawn(move || {
            let (plain, _) = listener.accept().unwrap();
            let mut heard = Heard::default();
            // Where a client leaves is for the test to judge.
            let _ = serve(plain, tls.as_ref(), at_once, &mut script, &mut heard);
            heard
        });
        Self { port, heard }
    }

    /// What it heard, once the connection is over.
    pub(super) fn heard(self) -> Heard {
        self.heard.join().unwrap()
    }
}

fn encrypted(plain: TcpStream, tls: &Arc<ServerConfig>) -> Box<dyn Stream> {
    let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
    Box::new(StreamOwned::new(connection, plain))
}

fn serve(
    plain: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
    at_once: bool,
    script: &mut impl FnMut(&str) -> Act,
    heard: &mut Heard,
) -> io::Result<()> {
    let below = plain.try_clone()?;
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(match tls {
        Some(tls) if at_once => encrypted(plain, tls),
        _ => Box::new(plain),
    });
    let mut command = "CONNECT".to_owned();
    loop {
        match script(&command) {
            Act::Say(answer) => {
                stream.get_mut().write_all(answer.as_bytes())?;
                stream.get_mut().write_all(b"\r\n")?;
                stream.get_mut().flush()?;
                if answer.starts_with("354") {
                    heard.mail = content(&mut stream)?;
                    command = "CONTENT".to_owned();
                    continue;
                }
            }
            Act::Hang => {
                stream.read_to_end(&mut Vec::new())?;
                return Ok(());
            }
            Act::Close => return Ok(()),
            Act::Encrypt => {
                stream.get_mut().write_all(b"220 go ahead\r\n")?;
                stream = BufReader::new(encrypted(below.try_clone()?, tls.unwrap()));
                heard.commands.push("[tls]".to_owned());
            }
        }
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        command = line.trim_end().to_owned();
        heard.commands.push(command.clone());
    }
}

/// RFC 5321 §4.5.2: the mail ends with a line of one dot, and a line that begins with a dot has got another.
fn content(stream: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.strip_prefix(b".") {
            Some(b"\r\n") => return Ok(mail),
            Some(rest) => mail.extend_from_slice(rest),
            None => mail.extend_from_slice(&line),
        }
    }
}
